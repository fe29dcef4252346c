//! How much of a presence is shown (RFC 5025 §3.3): which persons, services and devices, and which attributes of them.
//!
//! These form a lattice: [`Provided::union`] is what several rules together show, [`Provided::narrower`] what several
//! presentities behind one extension all show.

use crate::body::xml_writer::XmlWriter;
use crate::limits;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

/// What tells a person, service or device from others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identifier {
    /// Its RPID class.
    Class(String),
    /// Its id in the document.
    Occurrence(String),
    /// The URN of a device.
    Device(String),
    /// The contact of a service.
    Uri(String),
    /// The scheme of that contact.
    Scheme(String),
}

impl Identifier {
    fn write(&self, w: &mut XmlWriter) {
        let (name, value) = match self {
            Self::Class(value) => ("pr:class", value),
            Self::Occurrence(value) => ("pr:occurrence-id", value),
            Self::Device(value) => ("pr:deviceID", value),
            Self::Uri(value) => ("pr:service-uri", value),
            Self::Scheme(value) => ("pr:service-uri-scheme", value),
        };
        w.leaf(name, value.as_str());
    }
}

/// Which persons, services or devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    /// Every one.
    All,
    /// Those that one of these identifies.
    Some(BTreeSet<Identifier>),
}

impl Default for Parts {
    fn default() -> Self {
        Self::Some(BTreeSet::new())
    }
}

impl Parts {
    /// Adds an identifier; `false` where there are too many.
    pub(crate) fn insert(&mut self, identifier: Identifier) -> bool {
        match self {
            Self::All => true,
            Self::Some(set) => {
                set.insert(identifier);
                set.len() <= limits::GRANTED_MAX
            }
        }
    }

    /// Whether something that `identifies` holds for is among them.
    pub(crate) fn has(&self, identifies: impl Fn(&Identifier) -> bool) -> bool {
        match self {
            Self::All => true,
            Self::Some(set) => set.iter().any(identifies),
        }
    }

    fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Some(a), Self::Some(b)) => Self::Some(a.union(b).cloned().collect()),
            _ => Self::All,
        }
    }

    fn narrower(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, narrow) | (narrow, Self::All) => narrow.clone(),
            (Self::Some(a), Self::Some(b)) => Self::Some(a.intersection(b).cloned().collect()),
        }
    }

    fn write(&self, w: &mut XmlWriter, name: &'static str, all: &'static str) {
        match self {
            Self::Some(set) if set.is_empty() => {}
            Self::Some(set) => {
                w.open(name);
                set.iter().for_each(|identifier| identifier.write(w));
                w.close();
            }
            Self::All => _ = w.open(name).empty(all).close(),
        }
    }
}

/// A presence attribute with a permission of its own that is granted or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    Activities,
    Class,
    DeviceId,
    Mood,
    PlaceIs,
    PlaceType,
    Privacy,
    Relationship,
    Sphere,
    StatusIcon,
    TimeOffset,
    Note,
}

impl Attribute {
    /// Every one, with the element that grants it as we write it.
    const ALL: [(Self, &'static str); 12] = [
        (Self::Activities, "pr:provide-activities"),
        (Self::Class, "pr:provide-class"),
        (Self::DeviceId, "pr:provide-deviceID"),
        (Self::Mood, "pr:provide-mood"),
        (Self::PlaceIs, "pr:provide-place-is"),
        (Self::PlaceType, "pr:provide-place-type"),
        (Self::Privacy, "pr:provide-privacy"),
        (Self::Relationship, "pr:provide-relationship"),
        (Self::Sphere, "pr:provide-sphere"),
        (Self::StatusIcon, "pr:provide-status-icon"),
        (Self::TimeOffset, "pr:provide-time-offset"),
        (Self::Note, "pr:provide-note"),
    ];

    /// The attribute that an element with this local name grants.
    pub(crate) fn called(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, qualified)| qualified.strip_prefix("pr:") == Some(name));
        found.map(|(attribute, _)| *attribute)
    }
}

/// A set of attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(u16);

impl Attributes {
    const fn bit(attribute: Attribute) -> u16 {
        1 << attribute as u16
    }

    /// Adds one.
    pub(crate) const fn insert(&mut self, attribute: Attribute) {
        self.0 |= Self::bit(attribute);
    }

    const fn contains(self, attribute: Attribute) -> bool {
        self.0 & Self::bit(attribute) != 0
    }
}

/// How much of `user-input` is shown (RFC 5025 §3.3.2.12), the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum UserInputShown {
    /// Nothing.
    #[default]
    False,
    /// Whether it is idle.
    Bare,
    /// Also after how long it counts as idle.
    Thresholds,
    /// All.
    Full,
}

impl UserInputShown {
    const ALL: [(Self, &'static str); 4] = [
        (Self::False, "false"),
        (Self::Bare, "bare"),
        (Self::Thresholds, "thresholds"),
        (Self::Full, "full"),
    ];

    /// The value that is written so.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(shown, _)| *shown)
    }
}

/// What is shown; by default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Provided {
    /// `provide-persons`.
    pub(crate) persons: Parts,
    /// `provide-services`.
    pub(crate) services: Parts,
    /// `provide-devices`.
    pub(crate) devices: Parts,
    /// The attributes that are granted or not.
    pub(crate) attributes: Attributes,
    /// `provide-user-input`.
    pub(crate) user_input: UserInputShown,
    /// `provide-unknown-attribute`: namespace and local name.
    pub(crate) unknown: BTreeSet<(String, String)>,
    /// `provide-all-attributes`.
    pub(crate) all_attributes: bool,
}

impl Provided {
    /// Everything there is.
    pub(crate) fn everything() -> Arc<Self> {
        static EVERYTHING: LazyLock<Arc<Provided>> = LazyLock::new(|| {
            let (persons, services, devices) = (Parts::All, Parts::All, Parts::All);
            Arc::new(Provided { persons, services, devices, all_attributes: true, ..Provided::default() })
        });
        EVERYTHING.clone()
    }

    /// Whether nothing is hidden.
    pub(crate) fn is_everything(&self) -> bool {
        self.all_attributes
            && [&self.persons, &self.services, &self.devices].iter().all(|p| **p == Parts::All)
    }

    /// Whether an attribute is shown.
    pub(crate) const fn has(&self, attribute: Attribute) -> bool {
        self.all_attributes || self.attributes.contains(attribute)
    }

    /// How much of `user-input` is shown.
    pub(crate) fn user_input(&self) -> UserInputShown {
        if self.all_attributes { UserInputShown::Full } else { self.user_input }
    }

    /// Whether an element of a namespace we do not interpret is shown.
    pub(crate) fn has_unknown(&self, namespace: &str, name: &str) -> bool {
        self.all_attributes || self.unknown.iter().any(|(ns, known)| ns == namespace && known == name)
    }

    /// What both together show.
    pub(crate) fn union(a: &Arc<Self>, b: &Arc<Self>) -> Arc<Self> {
        if a == b {
            return a.clone();
        }
        Arc::new(Self {
            persons: a.persons.union(&b.persons),
            services: a.services.union(&b.services),
            devices: a.devices.union(&b.devices),
            attributes: Attributes(a.attributes.0 | b.attributes.0),
            user_input: a.user_input.max(b.user_input),
            unknown: a.unknown.union(&b.unknown).cloned().collect(),
            all_attributes: a.all_attributes || b.all_attributes,
        })
    }

    /// What each of both shows.
    pub(crate) fn narrower(a: &Arc<Self>, b: &Arc<Self>) -> Arc<Self> {
        if a == b || b.is_everything() {
            return a.clone();
        }
        let (all, of) = (a.all_attributes && b.all_attributes, |own: &Self, other: &Self| {
            if own.all_attributes { other.attributes.0 } else { own.attributes.0 & other.mask() }
        });
        let unknown = match (a.all_attributes, b.all_attributes) {
            (true, _) => b.unknown.clone(),
            (_, true) => a.unknown.clone(),
            _ => a.unknown.intersection(&b.unknown).cloned().collect(),
        };
        Arc::new(Self {
            persons: a.persons.narrower(&b.persons),
            services: a.services.narrower(&b.services),
            devices: a.devices.narrower(&b.devices),
            attributes: Attributes(of(a, b)),
            user_input: a.user_input().min(b.user_input()),
            unknown,
            all_attributes: all,
        })
    }

    const fn mask(&self) -> u16 {
        if self.all_attributes { u16::MAX } else { self.attributes.0 }
    }

    /// Writes it as transformations.
    pub(crate) fn write(&self, w: &mut XmlWriter) {
        self.persons.write(w, "pr:provide-persons", "pr:all-persons");
        self.services.write(w, "pr:provide-services", "pr:all-services");
        self.devices.write(w, "pr:provide-devices", "pr:all-devices");
        for (attribute, name) in Attribute::ALL {
            if self.attributes.contains(attribute) {
                w.leaf(name, "true");
            }
        }
        if let Some((_, name)) =
            UserInputShown::ALL.iter().skip(1).find(|(shown, _)| *shown == self.user_input)
        {
            w.leaf("pr:provide-user-input", *name);
        }
        for (namespace, name) in &self.unknown {
            w.open("pr:provide-unknown-attribute").attr("name", name.as_str()).attr("ns", namespace.as_str());
            w.text("true").close();
        }
        if self.all_attributes {
            w.empty("pr:provide-all-attributes");
        }
    }

    /// In a few words, for people.
    pub(crate) fn summary(&self) -> String {
        if self.is_everything() {
            return "everything".to_owned();
        }
        let mut parts = Vec::new();
        for (name, some) in
            [("persons", &self.persons), ("services", &self.services), ("devices", &self.devices)]
        {
            match some {
                Parts::All => parts.push(name.to_owned()),
                Parts::Some(set) if set.is_empty() => {}
                Parts::Some(set) => parts.push(format!("some {name} ({})", set.len())),
            }
        }
        if self.all_attributes {
            parts.push("all attributes".to_owned());
        } else {
            let named = Attribute::ALL.iter().filter(|(attribute, _)| self.attributes.contains(*attribute));
            parts.extend(named.map(|(_, name)| name.trim_start_matches("pr:provide-").to_owned()));
            if self.user_input > UserInputShown::False {
                parts.push("user-input".to_owned());
            }
            parts.extend(self.unknown.iter().map(|(_, name)| name.clone()));
        }
        if parts.is_empty() { "nothing but that there is somebody".to_owned() } else { parts.join(", ") }
    }
}
