//! Which events a reader wants, and may have.

use super::history::Item;

/// Every kind of event there is, with whether a board may show it.
pub(crate) const KINDS: [(&str, bool); 14] = [
    ("extension", true),
    ("device", true),
    ("feature", true),
    ("status", true),
    ("registration", false),
    ("subscription", false),
    ("publication", false),
    ("rules", false),
    ("oversized", false),
    ("unsent", false),
    ("notify_in", false),
    ("presence_in", false),
    ("gateway", false),
    ("rejected", false),
];

/// What passes: all given parts must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Kinds; all where empty.
    pub(crate) kinds: Vec<String>,
    /// Extensions and people, as `6001`, `6001@default`, `alice` or `sip:alice@example.com`; all where empty. What is
    /// about none of them passes only where none is named.
    pub(crate) subjects: Vec<String>,
    /// Domains and contexts, whole: who is in one of them passes beside the subjects.
    pub(crate) groups: Vec<String>,
    /// Everything, or what a board shows.
    pub(crate) all: bool,
}

impl Filter {
    /// Everything.
    pub(crate) fn everything() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// Whether an event passes.
    pub(crate) fn passes(&self, item: &Item) -> bool {
        let may = self.all || KINDS.iter().any(|(kind, open)| *open && *kind == item.kind());
        may && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == item.kind()))
            && self.is_about(item.subject())
    }

    /// Whether something of this name is wanted.
    pub(crate) fn is_about(&self, subject: &str) -> bool {
        let bare = subject.strip_prefix("sip:").unwrap_or(subject);
        let (user, group) = bare.split_once('@').unwrap_or((bare, ""));
        self.subjects.is_empty() && self.groups.is_empty()
            || self.groups.iter().any(|wanted| wanted == group)
            || self.subjects.iter().any(|wanted| [subject, bare, user].contains(&wanted.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tap::Told;
    use lampyris_core::output::Event;

    #[test]
    fn a_filter_is_about_kinds_names_and_what_one_may_see() {
        let extension = || Event::Extension { extension: "6001@default".into(), state: "InUse", was: "Idle" };
        let person = || Event::Extension { extension: "sip:alice@x".into(), state: "InUse", was: "Idle" };
        let registration = || Event::Registration { aor: "sip:alice@x".into(), bindings: 1 };
        let rows = [
            ("", "", true, extension(), true),
            ("", "", false, extension(), true),
            ("", "", false, registration(), false),
            ("", "", true, registration(), true),
            ("registration", "", false, registration(), false),
            ("device", "", true, extension(), false),
            ("", "6001", true, extension(), true),
            ("", "6001@default", true, extension(), true),
            ("", "600", true, extension(), false),
            ("", "alice", true, person(), true),
            ("", "alice@x", true, person(), true),
            ("extension", "sip:alice@x", true, registration(), false),
            ("", "x", true, person(), true),
            ("", "x", true, extension(), false),
            ("", "default alice", true, person(), true),
            ("", "default bob", true, extension(), true),
            ("", "default bob", true, person(), false),
        ];
        for (kinds, subjects, all, event, passes) in rows {
            let list = |text: &str| -> Vec<String> {
                text.split(' ').filter(|part| !part.is_empty()).map(str::to_owned).collect()
            };
            let (groups, subjects) =
                list(subjects).into_iter().partition(|name| ["default", "x"].contains(&name.as_str()));
            let filter = Filter { kinds: list(kinds), subjects, groups, all };
            let item = Item::new(1, Told { number: 1, at_ms: 0, event });
            assert_eq!(filter.passes(&item), passes, "{filter:?} {item:?}");
        }
    }
}
