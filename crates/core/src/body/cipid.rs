//! Contact information (RFC 4482): what a service or person is called, looks and sounds like.
//!
//! In: children of a person or tuple element. Out: a [`Cipid`], and its elements again. Where the URIs lead is not looked
//! at; nothing is fetched.

use super::presence_document::Note;
use super::rpid::decode_note;
use super::xml::Element;
use super::xml_writer::XmlWriter;
use crate::limits;

/// The namespace of RFC 4482.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:cipid";

/// What is said of one service or person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cipid {
    /// A business card's URI.
    pub card: Option<String>,
    /// Names to show, one per language.
    pub display_names: Vec<Note>,
    /// A page about it.
    pub homepage: Option<String>,
    /// A picture of it.
    pub icon: Option<String>,
    /// A map of where it is.
    pub map: Option<String>,
    /// What it sounds like.
    pub sound: Option<String>,
}

impl Cipid {
    /// Takes in `child`, if it is contact information; says whether it was. Of two equal elements the first counts, of
    /// names the first in each language (RFC 4482 §3.2).
    pub(crate) fn decode_child(of: &mut Option<Box<Self>>, child: Element<'_>) -> bool {
        let names = ["card", "display-name", "homepage", "icon", "map", "sound"];
        if child.namespace() != NAMESPACE || !names.contains(&child.name()) {
            return false;
        }
        let text = child.trimmed();
        if text.is_empty() {
            return true;
        }
        let cipid = of.get_or_insert_with(Box::default);
        let place = match child.name() {
            "card" => &mut cipid.card,
            "homepage" => &mut cipid.homepage,
            "icon" => &mut cipid.icon,
            "map" => &mut cipid.map,
            "sound" => &mut cipid.sound,
            _ => {
                let name = decode_note(child);
                let known = cipid.display_names.iter().any(|known| known.lang == name.lang);
                if !known && cipid.display_names.len() < limits::DISPLAY_NAMES_MAX {
                    cipid.display_names.push(name);
                }
                return true;
            }
        };
        place.get_or_insert_with(|| text.into_owned());
        true
    }

    /// Takes what `older` says and this does not.
    pub(crate) fn merge(&mut self, older: &Self) {
        let fields = [
            (&mut self.card, &older.card),
            (&mut self.homepage, &older.homepage),
            (&mut self.icon, &older.icon),
            (&mut self.map, &older.map),
            (&mut self.sound, &older.sound),
        ];
        for (newest, older) in fields {
            if newest.is_none() {
                newest.clone_from(older);
            }
        }
        if self.display_names.is_empty() {
            self.display_names.clone_from(&older.display_names);
        }
    }

    /// Writes its elements, in the order of the RFC's list.
    pub(crate) fn encode(&self, w: &mut XmlWriter) {
        let leaf = |w: &mut XmlWriter, name, text: &Option<String>| {
            if let Some(text) = text {
                w.open(name).attr("xmlns", NAMESPACE).text(text.as_str()).close();
            }
        };
        leaf(w, "card", &self.card);
        for name in &self.display_names {
            w.open("display-name").attr("xmlns", NAMESPACE).attr_opt("xml:lang", name.lang.as_deref());
            w.text(name.text.as_str()).close();
        }
        leaf(w, "homepage", &self.homepage);
        leaf(w, "icon", &self.icon);
        leaf(w, "map", &self.map);
        leaf(w, "sound", &self.sound);
    }
}
