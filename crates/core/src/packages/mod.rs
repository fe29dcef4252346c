//! Event packages (RFC 6665 §5.4): one file each and one row in [`ALL`].
//!
//! Allow-Events, 489, 406, documents, PUBLISH and the table-wide tests read this table; a package's name stands in its
//! own file only.

use crate::authz::policy::Standing;
use crate::body::dialog_info::shown::Reveal;
use crate::body::{BodyError, EncodedBody, Style};
use crate::features::FeatureChange;
use crate::journal::Counts;
use crate::time::UnixTime;
use crate::view_of::View;
use lampyris_sip::Params;
use std::any::Any;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

mod as_feature_event;
mod dialog;
mod message_summary;
mod presence;
mod reg;
mod winfo;

/// A decoded publication or a composed state, as only its package understands it.
pub(crate) type Content = Arc<dyn Any + Send + Sync>;

/// Which facts make a NOTIFY due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateKind {
    /// The states of the devices behind a lamp: registrations, calls, commands.
    DeviceStates,
    /// The dialogs of the devices behind a lamp, whether or not they change its state.
    Calls,
    /// What was published.
    Publications,
    /// The message counts of a mailbox.
    Mailbox,
    /// The bindings of a user.
    Bindings,
    /// What a user has set: do not disturb, forwarding.
    Features,
    /// Who watches a user.
    Watchers,
}

/// What a package's resources are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// Whatever has a lamp: an extension, or a user where no extension has the name.
    Lamps,
    /// Users; a phone that asks for the extension that is its own means its user.
    Users,
    /// Mailboxes, by their own name or their owner's.
    Mailboxes,
}

/// Who may watch a package's state where no rule says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Whom the presentity's rules, or without them `Domain::watch`, let see this.
    Colleagues(Topic),
    /// The owner; of a mailbox also whom the configuration names.
    Owner,
}

/// What of a person is watched, as far as the default of who may differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// Whether they are there and what they do.
    Presence,
    /// Their calls.
    Calls,
}

/// The calls that a publication says a device has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// All, ringing ones included.
    pub(crate) inuse: u32,
    /// Ringing at the device.
    pub(crate) ringing: u32,
    /// Put on hold by the device.
    pub(crate) onhold: u32,
}

/// Whether a dialog is known from elsewhere, by Call-ID, tag of the publisher and tag of the other side.
pub(crate) type IsTracked<'a> = dyn Fn(&str, Option<&str>, Option<&str>) -> bool + 'a;

/// What a document is about, as far as all its watchers share it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The extension or user part: element ids are made of it.
    pub(crate) name: &'a str,
    /// Which of its watchers.
    pub(crate) class: Class<'a>,
}

/// Watchers of one resource, package, format and style who are shown the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class<'a> {
    /// How much of other people's calls.
    pub(crate) reveal: Reveal,
    /// How much of everything else: what the presentity's rules say of them.
    pub(crate) standing: &'a Standing,
    /// The revision they acknowledged, where something is new to them; `None` shows the state as it is.
    pub(crate) told: Option<u32>,
    /// They can read documents that hold only what is new to them.
    pub(crate) partial: bool,
    /// The parameters of Event that the package keeps.
    pub(crate) params: &'a str,
}

/// Something that holds until a time, or for good.
pub(crate) type Timed<T> = (T, Option<UnixTime>);
impl Default for Class<'_> {
    fn default() -> Self {
        let (reveal, standing) = (Reveal::default(), &Standing::Open);
        Self { reveal, standing, told: None, partial: false, params: "" }
    }
}

/// What a publication says after a new body was merged into it.
pub(crate) struct Merged<P> {
    /// As the package understands it.
    pub(crate) content: P,
    /// As the journal keeps it.
    pub(crate) body: Vec<u8>,
}

/// What the documents of a format tell their readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tells {
    /// The state as it is.
    State,
    /// The state, and once to each what came to its end; only what is new to those whose profile says they can read that.
    Ends,
    /// What is new, to those who acknowledged the document before. Read only by those who name the format in Accept.
    Changes,
}

/// One body format of a package.
pub(crate) struct BodyFormat<S: 'static> {
    /// As in `application/pidf+xml`.
    pub(crate) content_type: &'static str,
    /// Writes the state, with holes for what differs between watchers.
    pub(crate) encode: fn(&S, Subject<'_>, Style) -> EncodedBody,
}

/// Reads one kind of body that a phone sends.
pub(crate) struct PublishFormat<P> {
    /// As in `application/pidf+xml`.
    pub(crate) content_type: &'static str,
    /// Reads the body.
    pub(crate) decode: fn(&[u8]) -> Result<P, BodyError>,
}

/// An event package. Items follow the template of RFC 6665 §5.4: fill them in with the package's RFC beside you.
pub(crate) trait EventPackage: Sync + 'static {
    /// Its event state, composed once per resource for all watchers.
    type State: Send + Sync + 'static;
    /// What a publication for it says.
    type Published: Send + Sync + 'static;
    /// As it stands in Event.
    const NAME: &'static str;
    /// Its RFC.
    const SPEC: &'static str;
    /// Which facts make a NOTIFY due.
    const DEPENDS_ON: &'static [StateKind];
    /// Who may watch by default.
    const AUDIENCE: Audience;
    /// What its resources are.
    const WATCHES: Watched = Watched::Lamps;
    /// The content type of the documents that filters (RFC 4661) are applied to.
    const FILTERABLE: Option<&'static str> = None;
    /// Whether its state is composed by a policy, of which `why` tells.
    const IS_PRESENCE: bool = false;
    /// Least time between two NOTIFYs of one subscription that answer no SUBSCRIBE.
    const PACE: Duration = Duration::ZERO;
    /// The package whose watchers it is about, of a template (RFC 6665 §5.3).
    const WATCHERS_OF: Option<&'static str> = None;
    /// Body formats, preferred first; Accept picks, else 406.
    fn formats(&self) -> &'static [BodyFormat<Self::State>];
    /// What the documents of one of them tell.
    fn tells(&self, _format: usize) -> Tells {
        Tells::State
    }
    /// Bodies taken by PUBLISH (RFC 3903); anything else is 415. Without any, a PUBLISH is 489.
    fn publishable(&self) -> &'static [PublishFormat<Self::Published>];
    /// Bodies of SUBSCRIBE that set a feature of the user; anything else is 415. Without any, bodies are not looked at.
    fn settable(&self) -> &'static [PublishFormat<FeatureChange>] {
        &[]
    }
    /// The event state of a resource.
    fn compose(&self, view: &View<'_>) -> Self::State;
    /// What a watcher is shown who may not know whether anybody is there: the state of somebody who is not.
    fn withheld(&self, view: &View<'_>) -> Self::State;
    /// The state in one word, for people.
    fn word(&self, _state: &Self::State) -> Option<&'static str> {
        None
    }
    /// The parameters of Event that decide what a subscription is shown, to be kept with it; why they are refused.
    fn event_params(&self, _params: Params<'_>) -> Result<String, &'static str> {
        Ok(String::new())
    }
    /// A number that rises whenever the state changes, for packages that tell watchers only what is new to them.
    fn revision(&self, _state: &Self::State) -> u32 {
        0
    }
    /// The revision that stands for all who were told of everything up to `told`; `None` where nothing is new to them.
    fn base(&self, _state: &Self::State, _told: u32) -> Option<u32> {
        None
    }
    /// Whether all that a subscription with these parameters of Event asked for is over, and the subscription with it.
    fn is_over(&self, _state: &Self::State, _params: &str) -> bool {
        false
    }
    /// The calls that a publication says the publisher has; `is_tracked` tells those that need not be said (Call-ID, tag
    /// of the publisher, tag of the other side).
    fn calls(&self, _published: &Self::Published, _is_tracked: &IsTracked<'_>) -> Option<Calls> {
        None
    }
    /// The spheres that the persons of a publication are in.
    fn spheres(&self, _published: &Self::Published) -> Vec<String> {
        Vec::new()
    }
    /// The message counts in a publication.
    fn counts(&self, _published: &Self::Published) -> Option<Counts> {
        None
    }
    /// Whether a first publication speaks of the same things as an older one of the same publisher.
    fn replaces(&self, old: &Self::Published, new: &Self::Published) -> bool;
    /// Whether a first publication tells again of all that an older one of the same publisher tells of, wherever it came
    /// from.
    fn supersedes(&self, _old: &Self::Published, _new: &Self::Published) -> bool {
        false
    }
    /// The whole body that one of changes makes of the one that stands; `None` where it is whole itself.
    fn patched(&self, _content_type: &str, _old: &[u8], _body: &[u8]) -> Result<Option<Vec<u8>>, BodyError> {
        Ok(None)
    }
    /// What a publication says after a body came that follows `old`; `None` where that is the body as it came. `is_over`
    /// knows what other publications said is over for good.
    fn merged(
        &self,
        _old: Option<&Self::Published>,
        _new: &Self::Published,
        _is_over: &dyn Fn(&str) -> bool,
    ) -> Option<Merged<Self::Published>> {
        None
    }
    /// What a publication says at a time, and when it will next say something else; `None` where it says the same at all
    /// times.
    fn at(&self, _published: &Self::Published, _now: UnixTime) -> Option<Timed<Self::Published>> {
        None
    }
    /// What a publication says is over for good, by names that mean the same in every publication for a resource.
    fn over(&self, _published: &Self::Published) -> Vec<String> {
        Vec::new()
    }
    /// A publication in a few words, for people.
    fn summary(&self, published: &Self::Published) -> String;
}

/// [`EventPackage`] without its types: what the generic core sees.
pub(crate) trait AnyPackage: Sync {
    fn name(&self) -> &'static str;
    fn spec(&self) -> &'static str;
    fn depends_on(&self) -> &'static [StateKind];
    fn audience(&self) -> Audience;
    fn watches(&self) -> Watched;
    fn filterable(&self) -> Option<&'static str>;
    fn is_presence(&self) -> bool;
    fn format_count(&self) -> usize;
    fn content_type(&self, format: usize) -> Option<&'static str>;
    fn tells(&self, format: usize) -> Tells;
    fn patched(&self, content_type: &str, old: &[u8], body: &[u8]) -> Result<Option<Vec<u8>>, BodyError>;
    fn publish_types(&self) -> Vec<&'static str>;
    fn set_types(&self) -> Vec<&'static str>;
    /// What the body of a SUBSCRIBE sets; `None` where no format takes this type.
    fn change(&self, content_type: &str, body: &[u8]) -> Option<Result<FeatureChange, BodyError>>;
    fn compose(&self, view: &View<'_>) -> Content;
    fn withheld(&self, view: &View<'_>) -> Content;
    fn spheres(&self, published: &Content) -> Vec<String>;
    fn pace(&self) -> Duration;
    fn watchers_of(&self) -> Option<&'static str>;
    fn word(&self, state: &Content) -> Option<&'static str>;
    fn encode(&self, state: &Content, format: usize, subject: Subject<'_>, style: Style) -> EncodedBody;
    /// `None` where no format takes this type.
    fn decode(&self, content_type: &str, body: &[u8]) -> Option<Result<Content, BodyError>>;
    fn event_params(&self, params: Params<'_>) -> Result<String, &'static str>;
    fn revision(&self, state: &Content) -> u32;
    fn base(&self, state: &Content, told: u32) -> Option<u32>;
    fn is_over(&self, state: &Content, params: &str) -> bool;
    fn calls(&self, published: &Content, is_tracked: &IsTracked<'_>) -> Option<Calls>;
    fn counts(&self, published: &Content) -> Option<Counts>;
    fn replaces(&self, old: &Content, new: &Content) -> bool;
    fn supersedes(&self, old: &Content, new: &Content) -> bool;
    fn merged(
        &self,
        old: Option<&Content>,
        new: &Content,
        is_over: &dyn Fn(&str) -> bool,
    ) -> Option<(Content, Vec<u8>)>;
    fn at(&self, published: &Content, now: UnixTime) -> Option<Timed<Content>>;
    fn over(&self, published: &Content) -> Vec<String>;
    fn summary(&self, published: &Content) -> String;
}

impl<P: EventPackage> AnyPackage for P {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn spec(&self) -> &'static str {
        P::SPEC
    }

    fn depends_on(&self) -> &'static [StateKind] {
        P::DEPENDS_ON
    }

    fn audience(&self) -> Audience {
        P::AUDIENCE
    }

    fn watches(&self) -> Watched {
        P::WATCHES
    }

    fn filterable(&self) -> Option<&'static str> {
        P::FILTERABLE
    }
    fn is_presence(&self) -> bool {
        P::IS_PRESENCE
    }

    fn format_count(&self) -> usize {
        self.formats().len()
    }

    fn content_type(&self, format: usize) -> Option<&'static str> {
        Some(self.formats().get(format)?.content_type)
    }

    fn tells(&self, format: usize) -> Tells {
        EventPackage::tells(self, format)
    }

    fn patched(&self, content_type: &str, old: &[u8], body: &[u8]) -> Result<Option<Vec<u8>>, BodyError> {
        EventPackage::patched(self, content_type, old, body)
    }

    fn publish_types(&self) -> Vec<&'static str> {
        self.publishable().iter().map(|format| format.content_type).collect()
    }

    fn set_types(&self) -> Vec<&'static str> {
        self.settable().iter().map(|format| format.content_type).collect()
    }

    fn change(&self, content_type: &str, body: &[u8]) -> Option<Result<FeatureChange, BodyError>> {
        let format = self.settable().iter().find(|f| f.content_type.eq_ignore_ascii_case(content_type))?;
        Some((format.decode)(body))
    }

    fn compose(&self, view: &View<'_>) -> Content {
        Arc::new(EventPackage::compose(self, view))
    }

    fn withheld(&self, view: &View<'_>) -> Content {
        Arc::new(EventPackage::withheld(self, view))
    }

    fn spheres(&self, published: &Content) -> Vec<String> {
        published.downcast_ref().map_or_else(Vec::new, |published| EventPackage::spheres(self, published))
    }

    fn pace(&self) -> Duration {
        P::PACE
    }

    fn watchers_of(&self) -> Option<&'static str> {
        P::WATCHERS_OF
    }

    fn word(&self, state: &Content) -> Option<&'static str> {
        EventPackage::word(self, state.downcast_ref()?)
    }

    fn encode(&self, state: &Content, format: usize, subject: Subject<'_>, style: Style) -> EncodedBody {
        match (state.downcast_ref(), self.formats().get(format)) {
            (Some(state), Some(format)) => (format.encode)(state, subject, style),
            _ => EncodedBody::default(),
        }
    }

    fn decode(&self, content_type: &str, body: &[u8]) -> Option<Result<Content, BodyError>> {
        let format = self.publishable().iter().find(|f| f.content_type.eq_ignore_ascii_case(content_type))?;
        Some((format.decode)(body).map(|published| Arc::new(published) as Content))
    }

    fn event_params(&self, params: Params<'_>) -> Result<String, &'static str> {
        EventPackage::event_params(self, params)
    }

    fn revision(&self, state: &Content) -> u32 {
        state.downcast_ref().map_or(0, |state| EventPackage::revision(self, state))
    }

    fn base(&self, state: &Content, told: u32) -> Option<u32> {
        EventPackage::base(self, state.downcast_ref()?, told)
    }

    fn is_over(&self, state: &Content, params: &str) -> bool {
        state.downcast_ref().is_some_and(|state| EventPackage::is_over(self, state, params))
    }

    fn calls(&self, published: &Content, is_tracked: &IsTracked<'_>) -> Option<Calls> {
        EventPackage::calls(self, published.downcast_ref()?, is_tracked)
    }

    fn counts(&self, published: &Content) -> Option<Counts> {
        EventPackage::counts(self, published.downcast_ref()?)
    }

    fn replaces(&self, old: &Content, new: &Content) -> bool {
        let (old, new) = (old.downcast_ref(), new.downcast_ref());
        old.zip(new).is_some_and(|(old, new)| EventPackage::replaces(self, old, new))
    }

    fn supersedes(&self, old: &Content, new: &Content) -> bool {
        let (old, new) = (old.downcast_ref(), new.downcast_ref());
        old.zip(new).is_some_and(|(old, new)| EventPackage::supersedes(self, old, new))
    }

    fn merged(
        &self,
        old: Option<&Content>,
        new: &Content,
        is_over: &dyn Fn(&str) -> bool,
    ) -> Option<(Content, Vec<u8>)> {
        let old = old.and_then(|old| old.downcast_ref());
        let Merged { content, body } = EventPackage::merged(self, old, new.downcast_ref()?, is_over)?;
        Some((Arc::new(content), body))
    }

    fn at(&self, published: &Content, now: UnixTime) -> Option<Timed<Content>> {
        let (content, until) = EventPackage::at(self, published.downcast_ref()?, now)?;
        Some((Arc::new(content), until))
    }

    fn over(&self, published: &Content) -> Vec<String> {
        published.downcast_ref().map_or_else(Vec::new, |published| EventPackage::over(self, published))
    }

    fn summary(&self, published: &Content) -> String {
        published.downcast_ref().map_or_else(String::new, |published| EventPackage::summary(self, published))
    }
}

/// Every package we have. The order is internal; the first two are what phones ask for most.
pub(crate) static ALL: &[&dyn AnyPackage] = &[
    &presence::PresencePackage,
    &dialog::DialogPackage,
    &message_summary::MessageSummaryPackage,
    &reg::RegPackage,
    &as_feature_event::FeaturePackage,
    &winfo::Winfo::<winfo::Presence>::ROW,
    &winfo::Winfo::<winfo::Dialog>::ROW,
    &winfo::Winfo::<winfo::MessageSummary>::ROW,
];

/// A package by its place in [`ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PackageId(u8);

impl PackageId {
    /// The package with this name, compared as RFC 6665 §7.2.1 says: case matters not in what phones send.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Self::all().find(|id| id.name().eq_ignore_ascii_case(name))
    }

    /// Every package's id.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..ALL.len()).filter_map(|index| u8::try_from(index).ok()).map(Self)
    }

    /// Its place in [`ALL`].
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// The package.
    pub(crate) fn get(self) -> &'static dyn AnyPackage {
        ALL[self.index()]
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        self.get().name()
    }

    /// The format with this content type.
    pub(crate) fn format(self, content_type: &str) -> Option<u8> {
        (0..self.get().format_count())
            .find(|index| self.content_type(*index).eq_ignore_ascii_case(content_type))
            .and_then(|index| u8::try_from(index).ok())
    }

    /// The content type of a format; empty for none.
    pub(crate) fn content_type(self, format: usize) -> &'static str {
        self.get().content_type(format).unwrap_or("")
    }
}

/// The value of Allow-Events: every package.
pub(crate) fn allow_events() -> String {
    ALL.iter().map(|package| package.name()).collect::<Vec<_>>().join(", ")
}

/// The table as a page of the manual (`docs/events.md`).
pub(crate) fn document() -> String {
    let mut text = String::from(
        "# Event packages\n\nGenerated from the package table; a test keeps it true.\n\n\
         | Event | Source | Documents, preferred first | PUBLISH takes | SUBSCRIBE sets by | Who may watch by default |\n\
         |---|---|---|---|---|---|\n",
    );
    for package in ALL {
        let formats: Vec<_> =
            (0..package.format_count()).filter_map(|format| package.content_type(format)).collect();
        let audience = match (package.audience(), package.watches()) {
            (Audience::Colleagues(Topic::Presence), _) => "`watch`: whoever is authenticated in the domain",
            (Audience::Colleagues(Topic::Calls), _) => "`watch_dialog`: as `watch`",
            (Audience::Owner, Watched::Mailboxes) => "the owner, and whom `mailbox_watchers` names",
            (Audience::Owner, _) => "the owner",
        };
        let listed =
            |types: Vec<&str>| if types.is_empty() { "nothing".to_owned() } else { types.join(", ") };
        let (published, set) = (listed(package.publish_types()), listed(package.set_types()));
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {published} | {set} | {audience} |",
            package.name(),
            package.spec(),
            formats.join(", ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_complete() {
        let mut names = std::collections::BTreeSet::new();
        for package in ALL {
            assert!(names.insert(package.name()), "{} twice", package.name());
            assert!(package.name().chars().all(|c| c.is_ascii_lowercase() || "-.".contains(c)));
            let sources = ["RFC ", "BroadSoft "];
            assert!(sources.iter().any(|source| package.spec().starts_with(source)), "{}", package.name());
            assert!(package.format_count() > 0 && !package.depends_on().is_empty());
            for format in 0..package.format_count() {
                let content_type = package.content_type(format).unwrap();
                let id = PackageId::by_name(package.name()).unwrap();
                assert_eq!(id.format(&content_type.to_uppercase()), u8::try_from(format).ok());
            }
        }
    }
}
