//! Gateways as configured: servers elsewhere that we are a client of.

use crate::lists::Member;
use std::fmt;
use std::time::Duration;

/// A server elsewhere, and what we want of it.
#[derive(Clone, Debug, PartialEq)]
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
    /// URI of the server itself.
    pub server: String,
    /// URI of the next hop of every request that begins a dialog, where that is not its target.
    pub proxy: Option<String>,
    /// We register there.
    pub registration: Option<Registration>,
    /// What we watch there.
    pub subscriptions: Vec<RemoteSubscription>,
    /// What we publish there.
    pub publications: Vec<RemotePublication>,
    /// The peer that this server is when it asks here; empty for none.
    pub peer: String,
    /// Domains, in lower case, whose presentities are watched there for all users of ours.
    pub watches: Vec<String>,
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

/// Whose state is published at a server elsewhere, and as whose.
#[derive(Clone, Debug, PartialEq)]
pub struct RemotePublication {
    /// The event package.
    pub package: String,
    /// Who, as in a list of the first domain.
    pub who: Vec<Member>,
    /// As which URI, the first that fits; whom none fits is not published.
    pub maps: Vec<Mapping>,
    /// URI of the next hop; the URI itself where there is none.
    pub hop: Option<String>,
    /// The life asked for, in seconds.
    pub expires_s: u32,
    /// The wait after a failure.
    pub retry: Duration,
}

/// Who somebody of one server is at the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// A user part, or `user@host`; one `*` stands for any text.
    pub from: String,
    /// Who that is; `*` stands for what the `*` of `from` stood for. Of what arrives: a peer, an extension,
    /// `extension@context`, `sip:user@domain`, for message counts a mailbox. Of what is published: a URI.
    pub to: String,
}

impl Mapping {
    /// What this user is called there.
    pub(crate) fn apply(&self, user: &str, host: &str) -> Option<String> {
        let full = format!("{user}@{host}");
        let text = if self.from.contains('@') { full.as_str() } else { user };
        let Some((before, after)) = self.from.split_once('*') else {
            return (self.from == text).then(|| self.to.clone());
        };
        let rest = text.strip_prefix(before)?.strip_suffix(after)?;
        // Why: nobody is called "", and a user part with an `@` in it would name another domain.
        let is_name = !rest.is_empty() && (self.from.contains('@') || !rest.contains('@'));
        is_name.then(|| self.to.replacen('*', rest, 1))
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
            let mapping = Mapping { from: remote.into(), to: local.into() };
            assert_eq!(mapping.apply(user, host).as_deref(), want, "{remote} {user}@{host}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        assert_eq!(format!("{:?}", Password("1234".into())), "***");
    }
}
