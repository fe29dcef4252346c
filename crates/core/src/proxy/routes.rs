//! Route and Record-Route: which entries are ours, and ours to add (RFC 3261 §16.4, §16.6 step 4, RFC 5658).

use crate::flow::{Flow, Listener, Transport};
use crate::node::Node;
use lampyris_sip::{Host, Message, Name, NameAddr, Uri};

/// A request's way, without what only we understand of it (RFC 3261 §16.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Preloaded {
    /// The Request-URI.
    pub(super) uri: String,
    /// Route values beyond us.
    pub(super) routes: Vec<String>,
}

impl Node {
    /// Reads Request-URI and Route, and takes our own entries off.
    pub(super) fn preloaded(&self, message: &Message) -> Preloaded {
        let mut uri = message.request_uri().unwrap_or("").to_owned();
        let mut routes: Vec<String> = message.values(Name::Route).map(str::to_owned).collect();
        // RFC 3261 §16.4: a strict router put our Record-Route into the Request-URI; the target is the last Route.
        if self.is_our_route(&uri)
            && let Some(last) = routes.pop()
        {
            uri = NameAddr::parse(&last).map_or(last.clone(), |addr| addr.uri().to_owned());
        }
        let ours = routes.iter().take_while(|route| {
            let addr = NameAddr::parse(route).ok();
            let uri = addr.and_then(|addr| Uri::parse(addr.uri()).ok());
            // Why: a phone's outbound proxy may be set up by the name of our domain. An address is us only with our port.
            let is_domain = |host: Host<'_>| host.ip().is_none() && self.domain_of(host).is_some();
            uri.is_some_and(|uri| self.is_us(&uri) || is_domain(uri.host()))
        });
        let ours = ours.count();
        routes.drain(..ours);
        Preloaded { uri, routes }
    }

    /// Whether a URI is one we put into Record-Route.
    fn is_our_route(&self, uri: &str) -> bool {
        let Ok(uri) = Uri::parse(uri) else { return false };
        uri.user().is_none() && uri.params().has("lr") && self.is_us(&uri)
    }

    /// Whether a URI's host and port are a listener's.
    pub(super) fn is_us(&self, uri: &Uri<'_>) -> bool {
        let port = Transport::port_of(uri);
        let host = uri.host();
        self.listeners.iter().any(|listener| {
            let own = [listener.local, listener.advertised];
            let named = || listener.names.iter().any(|name| name.eq_ignore_ascii_case(uri.host_str()));
            own.iter().any(|own| own.port() == port)
                && (host.ip().is_some_and(|ip| own.iter().any(|own| own.ip() == ip)) || named())
        })
    }

    /// What we put into Record-Route: one entry, or two where the sides differ (RFC 5658 §4), the far one on top.
    /// For a `sips:` request they are `sips:` (RFC 3261 §16.6 step 4).
    pub(super) fn record_routes(&self, from: Flow, to: Flow, is_sips: bool) -> Vec<String> {
        let (Some(near), Some(far)) = (self.listener_of(from), self.listener_of(to)) else {
            return Vec::new();
        };
        if near.id == far.id {
            return vec![record_route(far, is_sips)];
        }
        vec![record_route(far, is_sips), record_route(near, is_sips)]
    }
}

fn record_route(listener: &Listener, is_sips: bool) -> String {
    format!("<{};lr>", listener.uri("", listener.advertised, is_sips))
}
