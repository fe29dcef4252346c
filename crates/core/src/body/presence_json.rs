//! `application/json`: presence for web pages and scripts that have no use for XML; its schema is
//! `docs/presence.schema.json`.
//!
//! In: a composed [`Presence`]. Out: one object on one line with a hole for the entity. It is written only, and holds what
//! PIDF, the data model, rich presence and contact information say; elements of other namespaces are named, and their XML
//! is a string.

use super::encoded::Syntax;
use super::foreign::Foreign;
use super::presence_document::{Basic, DateTime, Device, Note, Person, TimedStatus, Tuple};
use super::rpid::{Rpid, Token, Values};
use super::{EncodedBody, Hole, cipid::Cipid};
use crate::composition::extension::Presence;
use crate::composition::presence::Composed;

/// The content type.
pub const CONTENT_TYPE: &str = "application/json";

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct PresenceJson;

impl PresenceJson {
    /// The document for `presence` of the extension (or user part) `extension`.
    pub fn encode(presence: &Presence, extension: &str) -> EncodedBody {
        let Composed { document, lamp } = Composed::of(presence, extension);
        let lamp = lamp.and_then(|at| document.tuples.get(at)).map(|tuple| tuple.id.as_str());
        let mut w = JsonWriter::default();
        w.open('{');
        w.key("entity").hole(Hole::Entity);
        w.key("open").boolean(document.is_open().unwrap_or(false));
        w.list("notes", &document.notes, note);
        w.list("persons", &document.persons, person);
        w.list("services", &document.tuples, |w, tuple| service(w, tuple, lamp == Some(&tuple.id)));
        w.list("devices", &document.devices, device);
        w.list("extensions", &document.foreign, foreign);
        w.close('}');
        w.finish()
    }
}

fn service(w: &mut JsonWriter, tuple: &Tuple, is_lamp: bool) {
    w.open('{');
    w.key("id").text(&tuple.id);
    if let Some(basic) = tuple.basic {
        w.key("status").text(basic.name());
    }
    match &tuple.contact {
        Some(contact) => {
            w.key("contact").text(&contact.uri);
            if let Some(priority) = contact.priority {
                w.key("priority").number(&priority.to_string());
            }
        }
        None if is_lamp => _ = w.key("contact").hole(Hole::Entity),
        None => {}
    }
    w.text_of("deviceId", tuple.device_id.as_deref());
    rpid(w, &tuple.rpid);
    contact_information(w, tuple.cipid.as_deref());
    w.list("timed", &tuple.timed, timed);
    let foreign_of_all: Vec<&Foreign> = tuple.status_foreign.iter().chain(&tuple.foreign).collect();
    end(w, &tuple.notes, tuple.timestamp.as_ref(), &foreign_of_all);
}

fn timed(w: &mut JsonWriter, timed: &TimedStatus) {
    w.open('{');
    interval(w, Some(&timed.from), timed.until.as_ref());
    w.text_of("status", timed.basic.map(Basic::name));
    end(w, timed.note.as_slice(), None, &timed.foreign.iter().collect::<Vec<_>>());
}

fn person(w: &mut JsonWriter, person: &Person) {
    w.open('{');
    w.key("id").text(&person.id);
    rpid(w, &person.rpid);
    contact_information(w, person.cipid.as_deref());
    end(w, &person.notes, person.timestamp.as_ref(), &person.foreign.iter().collect::<Vec<_>>());
}

fn device(w: &mut JsonWriter, device: &Device) {
    w.open('{');
    w.key("id").text(&device.id);
    w.key("deviceId").text(&device.device_id);
    rpid(w, &device.rpid);
    end(w, &device.notes, device.timestamp.as_ref(), &device.foreign.iter().collect::<Vec<_>>());
}

fn end(w: &mut JsonWriter, notes: &[Note], timestamp: Option<&DateTime>, extensions: &[&Foreign]) {
    w.list("notes", notes, note);
    w.text_of("timestamp", timestamp.map(DateTime::as_str));
    w.list("extensions", extensions, |w, element| foreign(w, element));
    w.close('}');
}

fn note(w: &mut JsonWriter, note: &Note) {
    w.open('{');
    w.text_of("lang", note.lang.as_deref());
    w.key("text").text(&note.text).close('}');
}

fn foreign(w: &mut JsonWriter, element: &Foreign) {
    w.open('{').key("namespace").text(element.namespace()).key("name").text(element.name());
    w.key("xml").text(element.xml()).close('}');
}

fn interval(w: &mut JsonWriter, from: Option<&DateTime>, until: Option<&DateTime>) {
    w.text_of("from", from.map(DateTime::as_str));
    w.text_of("until", until.map(DateTime::as_str));
}

fn rpid(w: &mut JsonWriter, rpid: &Rpid) {
    values(w, "activities", rpid.activities.as_deref());
    w.text_of("class", rpid.class.as_deref());
    values(w, "mood", rpid.mood.as_deref());
    if let Some(place) = rpid.place_is.as_deref() {
        w.key("placeIs").open('{');
        w.text_of("audio", place.audio.map(Token::name));
        w.text_of("video", place.video.map(Token::name));
        w.text_of("text", place.text.map(Token::name));
        w.list("notes", &place.notes, note);
        interval(w, place.from.as_ref(), place.until.as_ref());
        w.close('}');
    }
    values(w, "placeType", rpid.place_type.as_deref());
    values(w, "privacy", rpid.privacy.as_deref());
    values(w, "relationship", rpid.relationship.as_deref());
    values(w, "serviceClass", rpid.service_class.as_deref());
    values(w, "sphere", rpid.sphere.as_deref());
    if let Some(icon) = rpid.status_icon.as_deref() {
        w.key("statusIcon").open('{').key("uri").text(&icon.text);
        interval(w, icon.from.as_ref(), icon.until.as_ref());
        w.close('}');
    }
    if let Some(offset) = rpid.time_offset.as_deref() {
        w.key("timeOffset").open('{').key("minutes").number(&offset.minutes.to_string());
        w.text_of("description", offset.description.as_deref());
        interval(w, offset.from.as_ref(), offset.until.as_ref());
        w.close('}');
    }
    if let Some(input) = rpid.user_input.as_deref() {
        w.key("userInput").open('{').key("idle").boolean(input.idle);
        if let Some(seconds) = input.idle_threshold_s {
            w.key("idleThreshold").number(&seconds.to_string());
        }
        w.text_of("lastInput", input.last_input.as_ref().map(DateTime::as_str));
        w.close('}');
    }
}

fn values<T: Token>(w: &mut JsonWriter, key: &'static str, values: Option<&Values<T>>) {
    let Some(values) = values else { return };
    w.key(key).open('{');
    // Why: a word of another namespace, such as a type of place of RFC 4589, is a word all the same.
    let words = values.known.iter().map(|word| word.name()).chain(values.foreign.iter().map(Foreign::name));
    w.list("values", &words.collect::<Vec<_>>(), |w, word| _ = w.text(word));
    w.list("other", &values.other, note);
    w.list("notes", &values.notes, note);
    interval(w, values.from.as_ref(), values.until.as_ref());
    w.close('}');
}

fn contact_information(w: &mut JsonWriter, cipid: Option<&Cipid>) {
    let Some(cipid) = cipid else { return };
    w.text_of("card", cipid.card.as_deref());
    w.list("displayNames", &cipid.display_names, note);
    w.text_of("homepage", cipid.homepage.as_deref());
    w.text_of("icon", cipid.icon.as_deref());
    w.text_of("map", cipid.map.as_deref());
    w.text_of("sound", cipid.sound.as_deref());
}

/// Gives `value` to `sink` in pieces, escaped for a JSON string.
pub(super) fn escape(value: &str, sink: &mut dyn FnMut(&str)) {
    let mut clean_from = 0;
    for (at, c) in value.char_indices() {
        let replacement = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            // Why: beside what RFC 8259 §7 forbids, what ends a line in older JavaScript.
            '\0'..='\u{1f}' | '\u{7f}' | '\u{2028}' | '\u{2029}' => "",
            _ => continue,
        };
        sink(value.get(clean_from..at).unwrap_or(""));
        if replacement.is_empty() {
            sink(&format!("\\u{:04x}", u32::from(c)));
        } else {
            sink(replacement);
        }
        clean_from = at + c.len_utf8();
    }
    sink(value.get(clean_from..).unwrap_or(""));
}

/// Writes one document; every string escaped, commas where they belong.
#[derive(Default)]
struct JsonWriter {
    body: EncodedBody,
}

impl JsonWriter {
    fn raw(&mut self, text: &str) -> &mut Self {
        self.body.bytes.extend_from_slice(text.as_bytes());
        self
    }

    fn open(&mut self, bracket: char) -> &mut Self {
        self.separate();
        self.raw(bracket.encode_utf8(&mut [0; 4]))
    }

    fn close(&mut self, bracket: char) -> &mut Self {
        self.raw(bracket.encode_utf8(&mut [0; 4]))
    }

    /// A comma, unless this is the first in its brackets or follows its key.
    fn separate(&mut self) {
        if self.body.bytes.last().is_some_and(|last| !b"{[:".contains(last)) {
            self.raw(",");
        }
    }

    fn key(&mut self, key: &'static str) -> &mut Self {
        self.text(key).raw(":")
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.separate();
        self.raw("\"");
        let bytes = &mut self.body.bytes;
        escape(text, &mut |piece| bytes.extend_from_slice(piece.as_bytes()));
        self.raw("\"")
    }

    fn text_of(&mut self, key: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.key(key).text(text);
        }
    }

    fn hole(&mut self, hole: Hole) -> &mut Self {
        self.separate();
        self.raw("\"");
        self.body.holes.push((u32::try_from(self.body.bytes.len()).unwrap_or(u32::MAX), hole));
        self.raw("\"")
    }

    fn number(&mut self, number: &str) -> &mut Self {
        self.separate();
        self.raw(number)
    }

    fn boolean(&mut self, value: bool) -> &mut Self {
        self.separate();
        self.raw(if value { "true" } else { "false" })
    }

    /// The array `key`, left out where it is empty.
    fn list<T>(&mut self, key: &'static str, list: &[T], mut write: impl FnMut(&mut Self, &T)) {
        if list.is_empty() {
            return;
        }
        self.key(key).open('[');
        list.iter().for_each(|item| write(self, item));
        self.close(']');
    }

    fn finish(mut self) -> EncodedBody {
        self.raw("\n");
        self.body.syntax = Syntax::Json;
        self.body
    }
}
