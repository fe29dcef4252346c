//! Resource lists (RFC 4662): several resources that one subscription watches.
//!
//! In: the `[lists]` of the configuration, documents (RFC 4826), the bodies of SUBSCRIBEs (RFC 5367), whole domains. Out: what a
//! list has in it ([`roster`]), as one watcher and one package see it. How watchers are told is the notifier's matter.

pub(crate) mod find;
pub mod request;
pub mod resource_lists;
pub(crate) mod roster;
pub(crate) mod show;

use crate::pattern::Pattern;
use std::collections::BTreeMap;
use std::time::Duration;

pub use crate::pattern::PatternError;

/// The option-tag of RFC 4662.
pub(crate) const OPTION: &str = "eventlist";
/// The option-tag of RFC 5367.
pub(crate) const RECIPIENT_LIST: &str = "recipient-list-subscribe";

/// Every list of the configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lists {
    /// By index into `Settings::domains` and user part.
    pub named: BTreeMap<(usize, String), List>,
    /// Those that are one person's own, by that person's address as in `sip:alice@example.com`.
    pub own: BTreeMap<String, List>,
}

/// A list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    /// For people; may be empty.
    pub display: String,
    /// What is in it, in order.
    pub members: Vec<Member>,
    /// The event packages it is for; none means every one.
    pub packages: Vec<String>,
    /// Who may subscribe to it, by address; none means whoever may subscribe here at all. Each member is asked for besides.
    pub watchers: Vec<String>,
    /// How long changes are gathered before they are told.
    pub batch: Duration,
    /// Every NOTIFY tells the whole list.
    pub full_state: bool,
}

/// One thing that stands in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// What.
    pub what: What,
    /// For people; may be empty.
    pub display: String,
}

/// What stands for one or more resources.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A user or extension of the list's domain, by name.
    Name(String),
    /// A URI, maybe of another server.
    Uri(String),
    /// The extensions and users whose names match.
    Matching(NamePattern),
    /// The peers whose calls belong to this group.
    Group(String),
    /// The extensions with a hint in this context.
    Context(String),
    /// What another list of the same domain has.
    List(String),
}

/// A pattern as hints have them, as in `_60XX`.
#[derive(Clone, Debug, PartialEq)]
pub struct NamePattern(Pattern);

impl NamePattern {
    /// Whether this name is meant.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.0.matches(name)
    }
}

impl What {
    /// Reads what the configuration says: `list:NAME`, `group:NAME`, `context:NAME`, `_60XX`, a URI, or a name.
    ///
    /// # Errors
    /// A pattern that is none.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let rest = |prefix: &str| text.strip_prefix(prefix).map(str::to_owned);
        if text.starts_with('_') {
            return Pattern::parse(text).map(|pattern| Self::Matching(NamePattern(pattern)));
        }
        if let Some(name) = rest("list:") {
            return Ok(Self::List(name));
        }
        if let Some(name) = rest("group:") {
            return Ok(Self::Group(name));
        }
        if let Some(name) = rest("context:") {
            return Ok(Self::Context(name));
        }
        let is_uri = ["sip:", "sips:", "tel:", "pres:"].iter().any(|scheme| text.starts_with(scheme));
        Ok(if is_uri { Self::Uri(text.to_owned()) } else { Self::Name(text.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_what() {
        for (text, what) in [
            ("bob", What::Name("bob".into())),
            ("6001", What::Name("6001".into())),
            ("sip:bob@example.com", What::Uri("sip:bob@example.com".into())),
            ("list:board", What::List("board".into())),
            ("group:sales", What::Group("sales".into())),
            ("context:default", What::Context("default".into())),
        ] {
            assert_eq!(What::parse(text), Ok(what), "{text}");
        }
        let Ok(What::Matching(pattern)) = What::parse("_60XX") else { panic!("no pattern") };
        assert!(pattern.matches("6001") && !pattern.matches("6101"));
        assert!(What::parse("_60[").is_err());
    }
}
