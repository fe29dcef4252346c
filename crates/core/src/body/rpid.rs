//! Rich presence (RFC 4480): activities, mood, place, privacy and the rest, read from and written into PIDF.
//!
//! In: children of a person, tuple or device element. Out: an [`Rpid`], and its elements again in the order and shape of
//! the RFC's schema. The `id` attributes are not kept. The namespaces of the drafts, which chan_sip still uses, are read
//! too.

use super::BodyError;
use super::foreign::{Foreign, Keeper};
use super::presence_document::{DateTime, Note};
use super::xml::{Element, XML_NAMESPACE};
use super::xml_writer::XmlWriter;

/// The namespace of RFC 4480.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:rpid";

/// Interop: chan_sip (founding trace) uses the namespaces of the drafts.
const DRAFT_NAMESPACES: [&str; 4] = [
    "urn:ietf:params:xml:ns:pidf:rpid:rpid-person",
    "urn:ietf:params:xml:ns:pidf:rpid:status:rpid-status",
    "urn:ietf:params:xml:ns:pidf:rpid:rpid-tuple",
    "urn:ietf:params:xml:ns:pidf:status:rpid",
];

/// Every element that a person, service or device may have.
const ELEMENTS: [&str; 12] = [
    "activities",
    "class",
    "mood",
    "place-is",
    "place-type",
    "privacy",
    "relationship",
    "service-class",
    "sphere",
    "status-icon",
    "time-offset",
    "user-input",
];

/// Whether `namespace` is rich presence, of the RFC or of its drafts.
pub(crate) fn is_rpid(namespace: &str) -> bool {
    namespace == NAMESPACE || DRAFT_NAMESPACES.contains(&namespace)
}

/// One word of a closed list that is written as an empty element.
pub trait Token: Copy + PartialEq + 'static {
    /// Every word.
    const ALL: &'static [Self];
    /// The element's local name.
    fn name(self) -> &'static str;
    /// The name with the prefix `rpid`.
    fn qualified(self) -> &'static str;
    /// The name with the prefix `ep`, for documents in the drafts' namespace.
    fn qualified_as_draft(self) -> &'static str;
    /// The word whose local name is `name`.
    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|token| token.name() == name)
    }
}

macro_rules! tokens {
    ($(#[$doc:meta])* $type:ident: $($variant:ident $name:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $type {
            $(#[doc = concat!("`", $name, "`.")] $variant,)+
        }

        impl Token for $type {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            fn qualified(self) -> &'static str {
                match self { $(Self::$variant => concat!("rpid:", $name)),+ }
            }

            fn qualified_as_draft(self) -> &'static str {
                match self { $(Self::$variant => concat!("ep:", $name)),+ }
            }
        }
    };
}

tokens! {
    /// What a person is doing (RFC 4480 §3.2).
    Activity:
    Appointment "appointment", Away "away", Breakfast "breakfast", Busy "busy", Dinner "dinner", Holiday "holiday",
    InTransit "in-transit", LookingForWork "looking-for-work", Meal "meal", Meeting "meeting",
    OnThePhone "on-the-phone", Performance "performance", PermanentAbsence "permanent-absence", Playing "playing",
    Presentation "presentation", Shopping "shopping", Sleeping "sleeping", Spectator "spectator",
    Steering "steering", Travel "travel", Tv "tv", Vacation "vacation", Working "working", Worship "worship",
    Unknown "unknown",
}

tokens! {
    /// How a person feels (RFC 4480 §3.6).
    Mood:
    Afraid "afraid", Amazed "amazed", Angry "angry", Annoyed "annoyed", Anxious "anxious", Ashamed "ashamed",
    Bored "bored", Brave "brave", Calm "calm", Cold "cold", Confused "confused", Contented "contented",
    Cranky "cranky", Curious "curious", Depressed "depressed", Disappointed "disappointed", Disgusted "disgusted",
    Distracted "distracted", Embarrassed "embarrassed", Excited "excited", Flirtatious "flirtatious",
    Frustrated "frustrated", Grumpy "grumpy", Guilty "guilty", Happy "happy", Hot "hot", Humbled "humbled",
    Humiliated "humiliated", Hungry "hungry", Hurt "hurt", Impressed "impressed", InAwe "in_awe", InLove "in_love",
    Indignant "indignant", Interested "interested", Invincible "invincible", Jealous "jealous", Lonely "lonely",
    Mean "mean", Moody "moody", Nervous "nervous", Neutral "neutral", Offended "offended", Playful "playful",
    Proud "proud", Relieved "relieved", Remorseful "remorseful", Restless "restless", Sad "sad",
    Sarcastic "sarcastic", Serious "serious", Shocked "shocked", Shy "shy", Sick "sick", Sleepy "sleepy",
    Stressed "stressed", Surprised "surprised", Thirsty "thirsty", Worried "worried", Unknown "unknown",
}

tokens! {
    /// Which media others nearby cannot overhear (RFC 4480 §3.9).
    Privacy: Audio "audio", Text "text", Video "video", Unknown "unknown",
}

tokens! {
    /// Who answers at an alternative contact (RFC 4480 §3.10).
    Relationship:
    Assistant "assistant", Associate "associate", Family "family", Friend "friend", SelfSame "self",
    Supervisor "supervisor", Unknown "unknown",
}

tokens! {
    /// What kind of service a tuple is (RFC 4480 §3.11).
    ServiceClass:
    Courier "courier", Electronic "electronic", Freight "freight", InPerson "in-person", Postal "postal",
    Unknown "unknown",
}

tokens! {
    /// The role a person is in (RFC 4480 §3.12).
    Sphere: Home "home", Work "work", Unknown "unknown",
}

tokens! {
    /// How well the place suits sound (RFC 4480 §3.7).
    AudioPlace: Noisy "noisy", Ok "ok", Quiet "quiet", Unknown "unknown",
}

tokens! {
    /// How well the place suits video (RFC 4480 §3.7).
    VideoPlace: TooBright "toobright", Ok "ok", Dark "dark", Unknown "unknown",
}

tokens! {
    /// How well the place suits text (RFC 4480 §3.7).
    TextPlace: Uncomfortable "uncomfortable", Inappropriate "inappropriate", Ok "ok", Unknown "unknown",
}

tokens! {
    /// The type of place has no words of its own: they come from other namespaces (RFC 4480 §3.8).
    PlaceType: Unknown "unknown",
}

/// Words of one list, with what else was said beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values<T> {
    /// The words.
    pub known: Vec<T>,
    /// Words in free text (`<other>`).
    pub other: Vec<Note>,
    /// Words of other namespaces.
    pub foreign: Vec<Foreign>,
    /// Notes.
    pub notes: Vec<Note>,
    /// Since when they hold.
    pub from: Option<DateTime>,
    /// Until when they hold.
    pub until: Option<DateTime>,
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        let (known, other, foreign, notes) = Default::default();
        Self { known, other, foreign, notes, from: None, until: None }
    }
}

impl<T> Values<T> {
    /// The words `known` and nothing else.
    pub fn of(known: Vec<T>) -> Self {
        Self { known, ..Self::default() }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.other.is_empty() && self.foreign.is_empty()
    }
}

/// What the place is like (RFC 4480 §3.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceIs {
    /// For sound.
    pub audio: Option<AudioPlace>,
    /// For video.
    pub video: Option<VideoPlace>,
    /// For text.
    pub text: Option<TextPlace>,
    /// Notes.
    pub notes: Vec<Note>,
    /// Since when it holds.
    pub from: Option<DateTime>,
    /// Until when it holds.
    pub until: Option<DateTime>,
}

/// Whether there was input lately (RFC 4480 §3.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserInput {
    /// There was not.
    pub idle: bool,
    /// Seconds without input that count as idle.
    pub idle_threshold_s: Option<u32>,
    /// The last input.
    pub last_input: Option<DateTime>,
}

/// A text that holds for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timed {
    /// The text.
    pub text: String,
    /// Since when it holds.
    pub from: Option<DateTime>,
    /// Until when it holds.
    pub until: Option<DateTime>,
}

/// The time zone of a person (RFC 4480 §3.14).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeOffset {
    /// Minutes ahead of UTC.
    pub minutes: i32,
    /// What people call it.
    pub description: Option<String>,
    /// Since when it holds.
    pub from: Option<DateTime>,
    /// Until when it holds.
    pub until: Option<DateTime>,
}

/// The rich presence of a person, service or device.
///
/// Why boxed: most say one thing or nothing, and one is kept for every service of every publication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rpid {
    /// What the person is doing.
    pub activities: Option<Box<Values<Activity>>>,
    /// A name for filtering.
    pub class: Option<String>,
    /// How the person feels.
    pub mood: Option<Box<Values<Mood>>>,
    /// What the place is like.
    pub place_is: Option<Box<PlaceIs>>,
    /// What kind of place it is.
    pub place_type: Option<Box<Values<PlaceType>>>,
    /// Which media are private.
    pub privacy: Option<Box<Values<Privacy>>>,
    /// Who answers.
    pub relationship: Option<Box<Values<Relationship>>>,
    /// What kind of service it is.
    pub service_class: Option<Box<Values<ServiceClass>>>,
    /// The role the person is in.
    pub sphere: Option<Box<Values<Sphere>>>,
    /// An icon's URI.
    pub status_icon: Option<Box<Timed>>,
    /// The time zone.
    pub time_offset: Option<Box<TimeOffset>>,
    /// Whether there was input lately.
    pub user_input: Option<Box<UserInput>>,
}

/// The note in `element`.
pub(crate) fn decode_note(element: Element<'_>) -> Note {
    let language = element.attr_of(XML_NAMESPACE, "lang").filter(|lang| is_language(lang));
    Note { lang: language.map(str::to_owned), text: element.trimmed().into_owned() }
}

/// Writes `note` as the element `name`.
pub(crate) fn encode_note(w: &mut XmlWriter, name: &'static str, note: &Note) {
    w.open(name).attr_opt("xml:lang", note.lang.as_deref()).text(note.text.as_str()).close();
}

fn is_language(text: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    text.split('-').all(part)
        && text.split('-').next().is_some_and(|p| p.bytes().all(|b| b.is_ascii_alphabetic()))
}

/// The date and time in an attribute.
pub(crate) fn date(element: Element<'_>, name: &str) -> Option<DateTime> {
    element.attr(name).and_then(DateTime::parse)
}

fn decode_values<T: Token>(element: Element<'_>, keeper: &mut Keeper<'_>) -> Result<Values<T>, BodyError> {
    let (from, until) = (date(element, "from"), date(element, "until"));
    let mut values = Values { from, until, ..Values::default() };
    for child in element.children() {
        match child.name() {
            "note" if is_rpid(child.namespace()) => values.notes.push(decode_note(child)),
            "other" if is_rpid(child.namespace()) => values.other.push(decode_note(child)),
            name if is_rpid(child.namespace()) => match T::parse(name) {
                Some(token) if !values.known.contains(&token) => values.known.push(token),
                Some(_) => {}
                // Why: a word that a later RFC adds is still a word; its text is its name.
                None => values.other.push(Note::of(name)),
            },
            _ => keeper.keep_other(child, NAMESPACE, &mut values.foreign)?,
        }
    }
    Ok(values)
}

fn first_token<T: Token>(element: Element<'_>) -> Option<T> {
    element.children().find_map(|child| T::parse(child.name()))
}

impl Rpid {
    /// Whether it has the element `name` that may come once for each time.
    fn has(&self, name: &str) -> bool {
        match name {
            "activities" => self.activities.is_some(),
            "mood" => self.mood.is_some(),
            "place-is" => self.place_is.is_some(),
            "place-type" => self.place_type.is_some(),
            "privacy" => self.privacy.is_some(),
            "sphere" => self.sphere.is_some(),
            "status-icon" => self.status_icon.is_some(),
            "time-offset" => self.time_offset.is_some(),
            _ => false,
        }
    }

    /// Takes in `child`, if it is rich presence; says whether it was. Of two equal elements the first counts; a further one
    /// for another time (RFC 4480 §3.1) is not taken, so that it is kept as it came.
    pub(crate) fn decode_child(
        &mut self,
        child: Element<'_>,
        keeper: &mut Keeper<'_>,
    ) -> Result<bool, BodyError> {
        if !is_rpid(child.namespace()) {
            return Ok(false);
        }
        let is_timed = child.attr("from").is_some() || child.attr("until").is_some();
        if is_timed && self.has(child.name()) {
            return Ok(false);
        }
        fn once<V>(place: &mut Option<Box<V>>, value: V) {
            place.get_or_insert_with(|| Box::new(value));
        }
        let text = child.trimmed();
        match child.name() {
            "activities" => once(&mut self.activities, decode_values(child, keeper)?),
            "class" if !text.is_empty() => _ = self.class.get_or_insert_with(|| text.into_owned()),
            "mood" => once(&mut self.mood, decode_values(child, keeper)?),
            "place-type" => once(&mut self.place_type, decode_values(child, keeper)?),
            "privacy" => once(&mut self.privacy, decode_values(child, keeper)?),
            "relationship" => once(&mut self.relationship, decode_values(child, keeper)?),
            "service-class" => once(&mut self.service_class, decode_values(child, keeper)?),
            "sphere" => {
                let mut values: Values<Sphere> = decode_values(child, keeper)?;
                // Why: RFC 4480's own example has the sphere as plain text.
                if values.is_empty() && !text.is_empty() {
                    values.other.push(Note::of(text.as_ref()));
                }
                once(&mut self.sphere, values);
            }
            "place-is" => once(&mut self.place_is, decode_place(child)),
            "status-icon" if !text.is_empty() => {
                let (from, until) = (date(child, "from"), date(child, "until"));
                once(&mut self.status_icon, Timed { text: text.into_owned(), from, until });
            }
            "time-offset" => {
                let (from, until) = (date(child, "from"), date(child, "until"));
                let description = child.attr("description").map(str::to_owned);
                if let Ok(minutes) = text.parse() {
                    once(&mut self.time_offset, TimeOffset { minutes, description, from, until });
                }
            }
            "user-input" if *text == *"active" || *text == *"idle" => {
                let threshold = child.attr("idle-threshold").and_then(|n| n.trim().parse().ok());
                let idle_threshold_s = threshold.filter(|seconds| *seconds > 0);
                let last_input = date(child, "last-input");
                once(
                    &mut self.user_input,
                    UserInput { idle: *text == *"idle", idle_threshold_s, last_input },
                );
            }
            // Why: a known element that says nothing says nothing to watchers either; one we do not know might.
            name => return Ok(ELEMENTS.contains(&name)),
        }
        Ok(true)
    }

    /// The sphere, as rules call it.
    pub(crate) fn sphere_name(&self) -> Option<String> {
        let values = self.sphere.as_deref()?;
        let known = values.known.first().map(|sphere| sphere.name().to_owned());
        known.or_else(|| values.other.first().map(|other| other.text.clone()))
    }

    /// Writes its elements, in the RFC's shape, with the prefix `rpid`.
    pub(crate) fn encode(&self, w: &mut XmlWriter) {
        if let Some(values) = self.activities.as_deref() {
            encode_values(w, "rpid:activities", values, Shape::Many);
        }
        if let Some(class) = &self.class {
            w.leaf("rpid:class", class.as_str());
        }
        if let Some(values) = self.mood.as_deref().filter(|values| !values.is_empty()) {
            encode_values(w, "rpid:mood", values, Shape::Many);
        }
        if let Some(place) = self.place_is.as_deref() {
            encode_place(w, place);
        }
        let has_place = |values: &&Values<PlaceType>| !values.other.is_empty() || !values.foreign.is_empty();
        if let Some(values) = self.place_type.as_deref().filter(has_place) {
            let values = Values { known: Vec::new(), ..values.clone() };
            encode_values(w, "rpid:place-type", &values, Shape::One);
        }
        if let Some(values) = self.privacy.as_deref() {
            // Why: the schema wants audio, text, video in this order, and no `other`.
            let mut values = Values { other: Vec::new(), ..values.clone() };
            values.known.sort_unstable();
            encode_values(w, "rpid:privacy", &values, Shape::Many);
        }
        if let Some(values) = self.relationship.as_deref().filter(|values| !values.is_empty()) {
            let values = Values { from: None, until: None, ..values.clone() };
            encode_values(w, "rpid:relationship", &values, Shape::One);
        }
        let classed = |values: &&Values<ServiceClass>| !values.known.is_empty() || !values.foreign.is_empty();
        if let Some(values) = self.service_class.as_deref().filter(classed) {
            let values = Values { other: Vec::new(), from: None, until: None, ..values.clone() };
            encode_values(w, "rpid:service-class", &values, Shape::One);
        }
        if let Some(values) = self.sphere.as_deref() {
            let values = Values { other: Vec::new(), notes: Vec::new(), ..values.clone() };
            encode_values(w, "rpid:sphere", &values, Shape::One);
        }
        if let Some(icon) = self.status_icon.as_deref() {
            w.open("rpid:status-icon");
            encode_interval(w, icon.from.as_ref(), icon.until.as_ref());
            w.text(icon.text.as_str()).close();
        }
        if let Some(offset) = self.time_offset.as_deref() {
            w.open("rpid:time-offset");
            encode_interval(w, offset.from.as_ref(), offset.until.as_ref());
            w.attr_opt("description", offset.description.as_deref());
            w.text(offset.minutes.to_string().as_str()).close();
        }
        if let Some(input) = self.user_input.as_deref() {
            w.open("rpid:user-input");
            if let Some(seconds) = input.idle_threshold_s {
                w.attr("idle-threshold", seconds.to_string().as_str());
            }
            w.attr_opt("last-input", input.last_input.as_ref().map(DateTime::as_str));
            w.text(if input.idle { "idle" } else { "active" }).close();
        }
    }
}

/// How many words the schema lets an element have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    One,
    Many,
}

fn encode_values<T: Token>(w: &mut XmlWriter, name: &'static str, values: &Values<T>, shape: Shape) {
    w.open(name);
    encode_interval(w, values.from.as_ref(), values.until.as_ref());
    values.notes.iter().for_each(|note| encode_note(w, "rpid:note", note));
    if shape == Shape::One {
        match (values.known.first(), values.other.first()) {
            (Some(token), _) => _ = w.empty(token.qualified()),
            (None, Some(other)) => encode_note(w, "rpid:other", other),
            (None, None) => values.foreign.iter().for_each(|foreign| _ = w.foreign(foreign)),
        }
    } else {
        let alone = values.known.len() + values.other.len() + values.foreign.len() == 1;
        // Why: `unknown` beside a known word says nothing, and the schema forbids it.
        let said = values.known.iter().filter(|token| alone || token.name() != "unknown");
        said.for_each(|token| _ = w.empty(token.qualified()));
        values.other.iter().for_each(|other| encode_note(w, "rpid:other", other));
        values.foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
    }
    w.close();
}

fn encode_interval(w: &mut XmlWriter, from: Option<&DateTime>, until: Option<&DateTime>) {
    w.attr_opt("from", from.map(DateTime::as_str)).attr_opt("until", until.map(DateTime::as_str));
}

fn decode_place(element: Element<'_>) -> PlaceIs {
    let mut place =
        PlaceIs { from: date(element, "from"), until: date(element, "until"), ..PlaceIs::default() };
    for child in element.children() {
        match child.name() {
            "audio" => place.audio = first_token(child),
            "video" => place.video = first_token(child),
            "text" => place.text = first_token(child),
            "note" => place.notes.push(decode_note(child)),
            _ => {}
        }
    }
    place
}

fn encode_place(w: &mut XmlWriter, place: &PlaceIs) {
    w.open("rpid:place-is");
    encode_interval(w, place.from.as_ref(), place.until.as_ref());
    place.notes.iter().for_each(|note| encode_note(w, "rpid:note", note));
    let mut part = |name, token: Option<&'static str>| {
        if let Some(token) = token {
            w.open(name).empty(token).close();
        }
    };
    part("rpid:audio", place.audio.map(Token::qualified));
    part("rpid:video", place.video.map(Token::qualified));
    part("rpid:text", place.text.map(Token::qualified));
    w.close();
}
