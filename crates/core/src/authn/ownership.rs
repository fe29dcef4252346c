//! Which addresses an authenticated peer may speak for (RFC 3261 §22, security row 6).
//!
//! In go a peer and an address at one of our domains; out comes whether it is the peer's own: its name, one of its
//! aliases, a name of its person, or an extension whose hint is its device and no other. Who may *watch* or *publish for* somebody else is
//! decided elsewhere.

use crate::settings::{Peer, Settings};

/// Whether `peer` may put `user` (unescaped) at the domain with index `domain` into From, or into To of a REGISTER.
pub(crate) fn owns(settings: &Settings, peer: &Peer, domain: usize, user: &str) -> bool {
    let is_persons = settings.people.of_peer(&peer.name).is_some_and(|own| {
        settings.people.called(domain, user).is_some_and(|called| called.name == own.name)
    });
    is_persons
        || peer.domain == domain
            && (user == peer.name
                || peer.aliases.iter().any(|a| a == user)
                || is_extension_of(settings, peer, user))
}

/// Why: a hint of several devices belongs to none of them alone; else every phone of a group could speak for it.
fn is_extension_of(settings: &Settings, peer: &Peer, extension: &str) -> bool {
    let contexts = [peer.subscribe_context.as_deref(), Some(peer.context.as_str())];
    !extension.is_empty()
        && contexts.into_iter().flatten().any(|context| {
            settings
                .dialplan
                .lookup(context, extension)
                .and_then(|found| found.hint)
                .is_some_and(|hint| hint.devices.as_slice() == std::slice::from_ref(&peer.device))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_state::DeviceName;
    use crate::hint::Hint;
    use crate::settings::Domain;

    #[test]
    fn a_peer_owns_its_name_its_aliases_and_the_extensions_of_its_device_alone() {
        let mut settings = Settings::empty();
        settings.domains.push(Domain::named("other.example"));
        for (extension, hint) in [("6001", "SIP/alice"), ("6002", "SIP/alice&SIP/bob"), ("6003", "SIP/bob")] {
            settings.dialplan.add_hint("desk", extension, Hint::parse(hint)).unwrap();
        }
        settings.dialplan.add_hint("blf", "_7XXX", Hint::parse("SIP/alice")).unwrap();
        let mut alice = Peer::named("alice", DeviceName::parse("SIP/alice").unwrap());
        alice.aliases = vec!["al".to_owned(), "a b".to_owned()];
        alice.context = "desk".to_owned();
        for (domain, user, owned) in [
            (0, "alice", true),
            (0, "al", true),
            (0, "a b", true),
            (0, "Alice", false),
            (0, "bob", false),
            (0, "", false),
            (0, "6001", true),
            (0, "6002", false),
            (0, "6003", false),
            (0, "7001", false),
            (1, "alice", false),
            (1, "6001", false),
        ] {
            assert_eq!(owns(&settings, &alice, domain, user), owned, "{user} at {domain}");
        }
        alice.subscribe_context = Some("blf".to_owned());
        assert!(owns(&settings, &alice, 0, "7001") && owns(&settings, &alice, 0, "6001"));
    }
}
