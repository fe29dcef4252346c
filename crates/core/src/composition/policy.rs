//! The policies by which a presentity's sources become one presence: four by name, and variations in the configuration.
//!
//! In: words of the configuration. Out: a [`Policy`], which `presence` applies. It is data; nothing here composes.

use std::time::Duration;

/// Where a word on somebody's presence comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// Set by hand: by command or feature key.
    Manual,
    /// Calls of the person's devices.
    Calls,
    /// Published by a phone or application.
    Publication,
    /// Told by a connector to another system.
    Connector,
    /// Told by a calendar.
    Calendar,
    /// Devices being registered, or not.
    Registration,
    /// Written down for when nobody publishes (RFC 4827).
    Document,
}

impl SourceKind {
    /// All, in the usual order, the strongest first.
    pub const ALL: [Self; 7] = [
        Self::Manual,
        Self::Calls,
        Self::Publication,
        Self::Connector,
        Self::Calendar,
        Self::Registration,
        Self::Document,
    ];

    /// Its name in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Calls => "calls",
            Self::Publication => "publication",
            Self::Connector => "connector",
            Self::Calendar => "calendar",
            Self::Registration => "registration",
            Self::Document => "document",
        }
    }

    /// The kind with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How the sources that count are weighed against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Every service is shown; the activities of calls stand beside those of whoever spoke of them first: a person by
    /// hand, then whoever published last.
    Union,
    /// Whoever spoke last of an attribute is right.
    Latest,
    /// Whoever stands first among the kinds of source is right; of one kind, who spoke last.
    Priority,
    /// Open beats closed, and the activity that leaves a person most available beats the others.
    MostAvailable,
}

impl Base {
    /// All.
    pub const ALL: [Self; 4] = [Self::Union, Self::Latest, Self::Priority, Self::MostAvailable];

    /// Its name in configuration files, which is also that of the policy that is just this.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Union => "union",
            Self::Latest => "latest",
            Self::Priority => "priority",
            Self::MostAvailable => "most-available",
        }
    }
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// How sources are weighed.
    pub base: Base,
    /// The kinds that count, the strongest first.
    pub sources: Vec<SourceKind>,
    /// Kinds that silence all others about the person while they say anything.
    pub overriding: Vec<SourceKind>,
    /// What was published, or told by a connector or calendar, counts for so long after it was last changed.
    pub fresh: Option<Duration>,
    /// A status set by hand without a time holds for so long.
    pub lease: Option<Duration>,
    /// Somebody in a call is on the phone and not away.
    pub call_beats_away: bool,
    /// Do not disturb hides the call that a person is in, too.
    pub dnd_beats_all: bool,
    /// One closed device closes the person; otherwise only all together do.
    pub any_closed: bool,
    /// The device that did something last comes first in documents.
    pub active_first: bool,
}

impl Policy {
    /// The policy that is a base and nothing else.
    pub fn of(base: Base) -> Self {
        Self {
            name: base.name().to_owned(),
            base,
            sources: SourceKind::ALL.to_vec(),
            overriding: Vec::new(),
            fresh: None,
            lease: None,
            call_beats_away: false,
            dnd_beats_all: false,
            any_closed: false,
            active_first: false,
        }
    }

    /// Where a kind of this name stands among those that count; behind them where it does not.
    pub fn rank_named(&self, name: &str) -> usize {
        self.sources.iter().position(|known| known.name() == name).unwrap_or(usize::MAX)
    }

    /// Where a kind stands among those that count.
    pub fn rank(&self, kind: SourceKind) -> Option<usize> {
        self.sources.iter().position(|known| *known == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_bases_are_found_by_name() {
        assert!(SourceKind::ALL.iter().all(|kind| SourceKind::parse(kind.name()) == Some(*kind)));
        assert_eq!(SourceKind::parse("mood"), None);
        let names: std::collections::BTreeSet<_> = Base::ALL.map(Base::name).into();
        assert_eq!(names.len(), Base::ALL.len());
        assert_eq!(Policy::of(Base::Priority).rank(SourceKind::Registration), Some(5));
    }
}
