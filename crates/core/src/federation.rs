//! Federation: other domains whose users may watch ours, and whom ours may watch, server to server over TLS.
//!
//! In: the configuration, and the names that the certificate of a connection proves. Out: who somebody of another domain is,
//! and who may ask for whom. A request is believed to be of a domain only where its connection proves that domain's name
//! (RFC 5922 §7); what our users watch there is asked for on behalf of each of them, and a user of elsewhere is never let ask
//! us for a third domain, so that no chain of servers can close to a ring.

use crate::authn::Identity;
use crate::flow::Flow;
use crate::node::Node;
use crate::output::Event;
use crate::reject::Reject;
use crate::resource::ResourceKey;
use crate::view_of::Facts;
use lampyris_sip::uri::escape_user;
use lampyris_sip::{Message, Method, Name, NameAddr, Uri};
use std::fmt;

/// Another domain that we federate with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Federation {
    /// In lower case.
    pub domain: String,
    /// URI of its server.
    pub hop: String,
    /// Names of which its certificate must have one.
    pub names: Vec<String>,
    /// Who here may ask for whom there.
    pub ask: Vec<Rule>,
    /// Who there may ask for whom here.
    pub allow: Vec<Rule>,
}

/// Who may ask for whom, by user parts; in each one `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    who: String,
    whom: String,
}

impl Rule {
    /// Reads `WHO = WHOM`.
    pub fn parse(text: &str) -> Option<Self> {
        let (who, whom) = text.split_once('=')?;
        let (who, whom) = (who.trim(), whom.trim());
        let is_one = |text: &str| !text.is_empty() && text.matches('*').count() <= 1;
        (is_one(who) && is_one(whom)).then(|| Self { who: who.to_owned(), whom: whom.to_owned() })
    }

    fn fits(&self, who: &str, whom: &str) -> bool {
        is_meant(&self.who, who) && is_meant(&self.whom, whom)
    }
}

impl fmt::Display for Rule {
    /// As it is configured.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.who, self.whom)
    }
}

fn is_meant(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            !text.is_empty()
                && text
                    .strip_prefix(before)
                    .is_some_and(|rest| rest.len() >= after.len() && rest.ends_with(after))
        }
    }
}

/// User part and lower-case host of a SIP URI.
pub(crate) fn user_and_host(uri: &str) -> Option<(String, String)> {
    let uri = Uri::parse(uri).ok()?;
    Some((uri.user_unescaped()?.into_owned(), uri.host_str().to_ascii_lowercase()))
}

impl Facts {
    /// The federation with a domain.
    pub(crate) fn federation_with(&self, host: &str) -> Option<&Federation> {
        self.settings.federation.iter().find(|federation| federation.domain == host)
    }

    /// Whether a watcher of a federated domain may ask for a resource; `None` for other watchers.
    pub(crate) fn federation_allows(&self, watcher: &str, key: &ResourceKey) -> Option<bool> {
        if self.settings.federation.is_empty() || !watcher.starts_with("sip:") {
            return None;
        }
        let (user, host) = user_and_host(watcher)?;
        let federation = self.federation_with(&host)?;
        Some(federation.allow.iter().any(|rule| rule.fits(&user, key.name())))
    }

    /// The federation by which a user of ours may ask for somebody elsewhere.
    pub(crate) fn federation_for(&self, who: &str, uri: &str) -> Option<&Federation> {
        let (user, host) = user_and_host(uri)?;
        self.federation_with(&host).filter(|known| known.ask.iter().any(|rule| rule.fits(who, &user)))
    }
}

impl Node {
    /// Who sent a SUBSCRIBE that says it is of a federated domain; `None` for all others.
    ///
    /// # Errors
    /// 403: the connection does not prove that.
    pub(crate) fn federated(
        &self,
        flow: Flow,
        message: &Message,
        domain: usize,
    ) -> Result<Option<Identity>, Reject> {
        if message.method() != Some(Method::Subscribe) || self.facts.settings.federation.is_empty() {
            return Ok(None);
        }
        let Some((mut user, host)) = user_and_host(message.from().uri()) else { return Ok(None) };
        let Some(federation) = self.facts.federation_with(&host) else { return Ok(None) };
        let proved = self.connections.proved(flow);
        if !federation.names.iter().any(|name| proved.contains(&name.as_str())) {
            return Err(Reject::Forbidden);
        }
        // RFC 3325 §5: who the domain says it is goes before what its user says.
        let asserted = message.values(Name::PAssertedIdentity).next();
        let asserted = asserted.and_then(|value| user_and_host(NameAddr::parse(value).ok()?.uri()));
        if let Some((asserted, _)) = asserted.filter(|(_, asserted_host)| *asserted_host == host) {
            user = asserted;
        }
        let foreign = Some(format!("sip:{}@{host}", escape_user(&user)));
        Ok(Some(Identity { peer: None, domain, user: String::new(), foreign }))
    }

    /// Says that somebody claimed to be of a domain and was not believed.
    pub(crate) fn tell_stranger(&mut self, flow: Flow, message: &Message) {
        let why = format!("{} is of a domain whose certificate was not shown", message.from().uri());
        self.tell(Event::Rejected { from: flow.remote(), status: 403, why });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_say_who_may_ask_for_whom() {
        for (rule, who, whom, fits) in [
            ("alice = bob", "alice", "bob", true),
            ("alice = bob", "carol", "bob", false),
            ("* = 60*", "carol", "6001", true),
            ("* = 60*", "carol", "7001", false),
            ("*-desk = *", "bob-desk", "x", true),
            ("*-desk = *", "-des", "x", false),
            ("* = *", "carol", "", false),
            ("a*a = b", "a", "b", false),
        ] {
            assert_eq!(Rule::parse(rule).unwrap().fits(who, whom), fits, "{rule}: {who} {whom}");
        }
        for none in ["alice", "= bob", "alice =", "** = b", "a = **"] {
            assert_eq!(Rule::parse(none), None, "{none}");
        }
    }
}
