//! Gateways as configured: servers elsewhere that we are a client of.

use std::fmt;
use std::time::Duration;

/// A server elsewhere, and what we want of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its name here.
    pub name: String,
    /// The digest realm we have a password for; a challenge of any other realm is not answered.
    pub realm: String,
    /// Digest username.
    pub username: String,
    /// Password; empty where there is none.
    pub password: Password,
    /// Who we are there: the URI in From, as in `sip:1000@example.com`.
    pub identity: String,
    /// URI of the next hop of every request that begins a dialog, where that is not its target.
    pub proxy: Option<String>,
    /// We register there.
    pub registration: Option<Registration>,
    /// What we watch there.
    pub subscriptions: Vec<RemoteSubscription>,
}

/// A password. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A registration at a server elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The Request-URI, as in `sip:example.com`.
    pub registrar: String,
    /// The life asked for, in seconds.
    pub expires_s: u32,
    /// The wait after a failure.
    pub retry: Duration,
}

/// One URI that is watched at a server elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSubscription {
    /// The event package.
    pub package: String,
    /// The URI is a list (RFC 4662).
    pub list: bool,
    /// Accept; empty for none.
    pub accept: String,
    /// The Request-URI.
    pub target: String,
    /// The URI in To: who is watched.
    pub watched: String,
    /// The life asked for, in seconds.
    pub expires_s: u32,
    /// The wait after a failure.
    pub retry: Duration,
    /// Whose state what arrives is, the first that fits; nobody's where none does.
    pub maps: Vec<Mapping>,
}

/// Whose state something is that is said of somebody elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// A user part, or `user@host`; one `*` stands for any text.
    pub remote: String,
    /// Who it is here: a peer, an extension, `extension@context`, `sip:user@domain`, for message counts a mailbox; `*` stands
    /// for what the `*` of `remote` stood for.
    pub local: String,
}

impl Mapping {
    /// The local name of somebody elsewhere.
    pub(crate) fn apply(&self, user: &str, host: &str) -> Option<String> {
        let full = format!("{user}@{host}");
        let text = if self.remote.contains('@') { full.as_str() } else { user };
        let Some((before, after)) = self.remote.split_once('*') else {
            return (self.remote == text).then(|| self.local.clone());
        };
        let rest = text.strip_prefix(before)?.strip_suffix(after)?;
        // Why: nobody is called "", and a user part with an `@` in it would name another domain.
        let is_name = !rest.is_empty() && (self.remote.contains('@') || !rest.contains('@'));
        is_name.then(|| self.local.replacen('*', rest, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_names_who_it_is_here() {
        for (remote, local, user, host, want) in [
            ("1000", "bob", "1000", "a.example", Some("bob")),
            ("1000", "bob", "1001", "a.example", None),
            ("*", "*", "alice", "a.example", Some("alice")),
            ("1*", "7*@default", "1000", "a.example", Some("7000@default")),
            ("1*", "7*", "2000", "a.example", None),
            ("1*", "7*", "1", "a.example", None),
            ("*@a.example", "a-*", "bob", "a.example", Some("a-bob")),
            ("*@a.example", "a-*", "bob", "b.example", None),
            ("*", "*", "", "a.example", None),
            ("*", "*", "bob@x", "a.example", None),
        ] {
            let mapping = Mapping { remote: remote.into(), local: local.into() };
            assert_eq!(mapping.apply(user, host).as_deref(), want, "{remote} {user}@{host}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        assert_eq!(format!("{:?}", Password("1234".into())), "***");
    }
}
