//! What the kinds of record are called in the store's files, as numbers and as names. Neither ever changes.

use lampyris_core::journal::Kind;

/// The number that stands for a kind in checksums and backups.
pub(crate) const fn number(kind: Kind) -> u8 {
    match kind {
        Kind::Subscription => 1,
        Kind::Publication => 2,
        Kind::Bindings => 3,
        Kind::Device => 4,
        Kind::Mailbox => 5,
        Kind::Resource => 6,
        Kind::Features => 7,
        Kind::Call => 8,
        Kind::Status => 9,
        Kind::Rules => 10,
        Kind::Answer => 11,
        Kind::Gateway => 12,
        Kind::Document => 13,
    }
}

/// The kind of a number.
pub(crate) fn of_number(found: u8) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| number(*kind) == found)
}

/// The name of a kind's database, and for people.
pub(crate) const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Device => "device",
        Kind::Mailbox => "mailbox",
        Kind::Features => "features",
        Kind::Status => "status",
        Kind::Rules => "rules",
        Kind::Answer => "answer",
        Kind::Gateway => "gateway",
        Kind::Document => "document",
        Kind::Bindings => "bindings",
        Kind::Publication => "publication",
        Kind::Resource => "resource",
        Kind::Call => "call",
        Kind::Subscription => "subscription",
    }
}

/// The kind of a name.
pub(crate) fn of_name(found: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| name(*kind) == found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_lead_back() {
        for kind in Kind::ALL {
            assert_eq!((of_number(number(kind)), of_name(name(kind))), (Some(kind), Some(kind)));
        }
        assert_eq!((of_number(0), of_name("meta")), (None, None));
    }
}
