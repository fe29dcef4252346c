//! Streams that are open, and the way to a watcher whose address is not known at once.
//!
//! Most NOTIFYs go back where the SUBSCRIBE came from, or to a numeric Contact: no state. A route set, a named Contact or
//! another transport need DNS or a connection first (RFC 3263); such a subscription has a *way* here until it leaves.

use crate::flow::{Flow, ListenerId, StreamId, Transport};
use crate::input::{DnsAnswer, DnsQuestion, QueryId};
use crate::limits;
use crate::node::{Node, Timer};
use crate::notifier::subscription::Text;
use crate::output::Output;
use crate::settings::{Authentication, Host, Nat};
use crate::target::{Hop, Lookup, Next, Target, Wanted, locate};
use crate::time::Now;
use lampyris_sip::{NameAddr, Uri};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

struct Stream {
    transport: Transport,
    listener: ListenerId,
    remote: SocketAddr,
    open: bool,
}

/// How far the way to a watcher is known.
enum Way {
    /// DNS was asked.
    Asked(QueryId, Lookup),
    /// A stream is being opened; what to try if it cannot be.
    Connecting(StreamId, Option<Lookup>),
    /// Known.
    Known(Flow),
}

/// Streams and ways.
#[derive(Default)]
pub(crate) struct Connections {
    streams: BTreeMap<StreamId, Stream>,
    by_remote: BTreeMap<(Transport, SocketAddr), StreamId>,
    opened: u64,
    asked: u64,
    ways: BTreeMap<u32, Way>,
    /// Questions where the peers with a host name are.
    peers: BTreeMap<QueryId, String>,
}

/// Ids of streams we open have this bit, so that they never meet those the shell accepts.
const OURS: u64 = 1 << 63;

impl Connections {
    /// The listener a stream belongs to.
    pub(crate) fn listener(&self, id: StreamId) -> Option<ListenerId> {
        self.streams.get(&id).map(|stream| stream.listener)
    }

    /// Whether bytes can be sent on a stream.
    pub(crate) fn is_open(&self, id: StreamId) -> bool {
        self.streams.get(&id).is_some_and(|stream| stream.open)
    }

    /// The transport of a flow.
    pub(crate) fn transport(&self, flow: Flow) -> Transport {
        match flow {
            Flow::Udp { .. } => Transport::Udp,
            Flow::Stream { id, .. } => {
                self.streams.get(&id).map_or(Transport::Tcp, |stream| stream.transport)
            }
        }
    }

    /// Forgets the way of a subscription.
    pub(crate) fn forget_way(&mut self, slot: u32) {
        self.ways.remove(&slot);
    }
}

impl Node {
    /// Where the next NOTIFY of a subscription goes; `None` while that is being found out.
    ///
    /// A route set decides (RFC 3261 §12.2.1.1). Without one: on streams the flow the SUBSCRIBE came on, while it is
    /// open; on UDP the Contact, except where its address is not the one the SUBSCRIBE came from: then the source.
    pub(crate) fn notify_flow(&mut self, now: Now, slot: u32) -> Option<Flow> {
        let subscription = self.subscriptions.get(slot)?;
        let routes = subscription.text(Text::Routes);
        let target = subscription.text(Text::Target);
        let flow = subscription.flow;
        let uri = if routes.is_empty() {
            if let Some(direct) =
                self.direct_flow(flow, target, self.nat_of(subscription.text(Text::Watcher)))
            {
                return Some(direct);
            }
            target.to_owned()
        } else {
            let first = lampyris_sip::headers::route::split(routes).next()?;
            NameAddr::parse(first).map_or_else(|_| target.to_owned(), |name| name.uri().to_owned())
        };
        match self.connections.ways.get(&slot) {
            Some(Way::Known(Flow::Stream { id, .. })) if !self.connections.is_open(*id) => {}
            Some(Way::Known(flow)) => return Some(*flow),
            Some(_) => return None,
            None => {}
        }
        self.find_way(now, slot, &uri)
    }

    fn nat_of(&self, watcher: &str) -> Nat {
        self.facts.settings.peers.get(watcher).map_or(Nat::Auto, |peer| peer.nat)
    }

    /// The flow that needs no lookup, if there is one.
    pub(crate) fn direct_flow(&self, flow: Flow, target: &str, nat: Nat) -> Option<Flow> {
        let Flow::Udp { listener, remote } = flow else {
            let Flow::Stream { id, .. } = flow else { return None };
            return self.connections.is_open(id).then_some(flow);
        };
        if nat == Nat::Source {
            return Some(flow);
        }
        let Ok(uri) = Uri::parse(target) else { return Some(flow) };
        let udp = uri.params().get("transport").is_none_or(|t| t.eq_ignore_ascii_case("udp"));
        match uri.host().ip() {
            Some(ip) if nat == Nat::Contact || ip == canonical(remote.ip()) => {
                let port = uri.port().unwrap_or(5060);
                let same_family = ip.is_ipv6() == remote.is_ipv6();
                let address = SocketAddr::new(ip, port);
                let may = udp && same_family && self.may_reach(address, remote.ip());
                may.then_some(Flow::Udp { listener, remote: address })
            }
            // Why: behind a NAT the Contact is an address of another network, or a name we would look up in vain.
            _ if nat == Nat::Auto => Some(flow),
            _ => None,
        }
    }

    fn find_way(&mut self, now: Now, slot: u32, uri: &str) -> Option<Flow> {
        let wanted = Uri::parse(uri).ok().and_then(|uri| Wanted::of(&uri));
        let mut supported: Vec<_> = self.listeners.iter().map(|listener| listener.transport).collect();
        supported.sort_unstable();
        supported.dedup();
        match wanted.map_or(Target::Unreachable, |wanted| locate(&wanted, &supported)) {
            Target::Immediate(hop) => self.try_hop(now, slot, hop, None),
            Target::Lookup(lookup) => self.advance(now, slot, lookup),
            Target::Unreachable => {
                self.lose_way(now, slot);
                None
            }
        }
    }

    fn advance(&mut self, now: Now, slot: u32, mut lookup: Lookup) -> Option<Flow> {
        match lookup.next() {
            Next::Ask(question) => {
                self.connections.asked += 1;
                let query = QueryId(self.connections.asked);
                self.connections.ways.insert(slot, Way::Asked(query, lookup));
                self.outputs.push_back(Output::Resolve { query, question });
                let wait = Duration::from_secs(limits::DNS_WAIT_S);
                self.timers.insert(now.mono + wait, Timer::DnsGivenUp(query.0));
                None
            }
            Next::Try(hop) => self.try_hop(now, slot, hop, Some(lookup)),
            Next::Exhausted => {
                self.lose_way(now, slot);
                None
            }
        }
    }

    /// Whether a watcher that came from `source` may have its NOTIFYs sent to an address it named: not to ourselves, and
    /// into the machine or the link only where it is there itself (security rows 50 and 51).
    fn may_reach(&self, address: SocketAddr, source: IpAddr) -> bool {
        let (ip, source) = (canonical(address.ip()), canonical(source));
        let is_link_local = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        let text = ip.to_string();
        let is_ours = self.listeners.iter().any(|listener| {
            let own = [listener.local, listener.advertised];
            own.iter().any(|own| own.port() == address.port())
                && (own.iter().any(|own| canonical(own.ip()) == ip) || listener.names.contains(&text))
        });
        !is_ours
            && (!ip.is_loopback() || source.is_loopback())
            && (!is_link_local(ip) || is_link_local(source))
    }

    fn try_hop(&mut self, now: Now, slot: u32, hop: Hop, rest: Option<Lookup>) -> Option<Flow> {
        let source = self.subscriptions.get(slot)?.flow.remote().ip();
        let listener = self.listener_for(hop.transport, hop.address.is_ipv6()).map(|listener| listener.id);
        // Why: asked here, because only here a name has become an address.
        let listener = listener.filter(|_| self.may_reach(hop.address, source));
        let Some(listener) = listener else {
            return match rest {
                Some(rest) => self.advance(now, slot, rest),
                None => {
                    self.lose_way(now, slot);
                    None
                }
            };
        };
        if hop.transport == Transport::Udp {
            let flow = Flow::Udp { listener, remote: hop.address };
            self.connections.ways.insert(slot, Way::Known(flow));
            return Some(flow);
        }
        let key = (hop.transport, hop.address);
        if let Some(id) = self.connections.by_remote.get(&key).copied() {
            let flow = Flow::Stream { id, remote: hop.address };
            if self.connections.is_open(id) {
                self.connections.ways.insert(slot, Way::Known(flow));
                return Some(flow);
            }
            self.connections.ways.insert(slot, Way::Connecting(id, rest));
            return None;
        }
        self.connections.opened += 1;
        let id = StreamId(OURS | self.connections.opened);
        let stream = Stream { transport: hop.transport, listener, remote: hop.address, open: false };
        self.connections.streams.insert(id, stream);
        self.connections.by_remote.insert(key, id);
        self.connections.ways.insert(slot, Way::Connecting(id, rest));
        self.outputs.push_back(Output::Connect {
            id,
            transport: hop.transport,
            listener,
            remote: hop.address,
        });
        None
    }

    fn lose_way(&mut self, now: Now, slot: u32) {
        self.connections.ways.remove(&slot);
        self.on_unreachable(now, slot);
    }

    /// Asks DNS where the peers are that are known by the address of a host name.
    pub(crate) fn look_up_peers(&mut self) {
        let settings = self.facts.settings.clone();
        for peer in settings.peers.values() {
            let Host::Named(host, _) = &peer.host else { continue };
            if peer.authentication != Authentication::Address {
                continue;
            }
            self.connections.asked += 1;
            let query = QueryId(self.connections.asked);
            self.connections.peers.insert(query, peer.name.clone());
            let question = DnsQuestion::Address(host.clone());
            self.outputs.push_back(Output::Resolve { query, question });
        }
    }

    fn on_peer_resolved(&mut self, name: &str, answer: DnsAnswer) {
        let settings = self.facts.settings.clone();
        let Some(peer) = settings.peers.get(name) else { return };
        let (Host::Named(_, port), DnsAnswer::Address(ips)) = (&peer.host, answer) else { return };
        let addresses: Vec<_> = ips.into_iter().map(|ip| SocketAddr::new(ip, port.unwrap_or(5060))).collect();
        self.authenticator.resolved(peer, &addresses);
    }

    /// DNS answered.
    pub(crate) fn on_resolved(&mut self, now: Now, query: QueryId, answer: DnsAnswer) {
        if let Some(name) = self.connections.peers.remove(&query) {
            return self.on_peer_resolved(&name, answer);
        }
        let waiting = self.connections.ways.iter().find_map(|(slot, way)| match way {
            Way::Asked(asked, _) if *asked == query => Some(*slot),
            _ => None,
        });
        let Some(slot) = waiting else { return };
        let Some(Way::Asked(_, mut lookup)) = self.connections.ways.remove(&slot) else { return };
        lookup.on_answer(answer, &mut self.rng);
        if self.advance(now, slot, lookup).is_some() {
            self.resume(now, slot);
        }
    }

    /// DNS has not answered in time.
    pub(crate) fn on_dns_given_up(&mut self, now: Now, query: u64) {
        self.on_resolved(now, QueryId(query), DnsAnswer::Failed);
    }

    /// A stream is open.
    pub(crate) fn on_flow_opened(
        &mut self,
        now: Now,
        id: StreamId,
        transport: Transport,
        listener: ListenerId,
        remote: SocketAddr,
    ) {
        self.connections.streams.insert(id, Stream { transport, listener, remote, open: true });
        if id.0 & OURS == 0 {
            return; // Why: what a peer opened is used by what came in on it, not for anybody else.
        }
        let flow = Flow::Stream { id, remote };
        let waiting = self.ways_over(id);
        for slot in waiting {
            self.connections.ways.insert(slot, Way::Known(flow));
            self.resume(now, slot);
        }
    }

    /// A stream closed, or could not be opened.
    pub(crate) fn on_flow_closed(&mut self, now: Now, id: StreamId) {
        if let Some(stream) = self.connections.streams.remove(&id) {
            let key = (stream.transport, stream.remote);
            if self.connections.by_remote.get(&key) == Some(&id) {
                self.connections.by_remote.remove(&key);
            }
        }
        let waiting = self.ways_over(id);
        for slot in waiting {
            let flow = match self.connections.ways.remove(&slot) {
                Some(Way::Connecting(_, Some(rest))) => self.advance(now, slot, rest),
                Some(Way::Connecting(_, None)) => {
                    self.lose_way(now, slot);
                    None
                }
                _ => None,
            };
            if flow.is_some() {
                self.resume(now, slot);
            }
        }
        let mut actions = Vec::new();
        self.transactions.on_stream_closed(id, &mut actions);
        self.on_actions(now, actions);
        if self.facts.registrar.on_stream(id).is_empty() {
            self.facts.registrar.forget_stream(id);
        } else {
            let grace = self.facts.settings.flow_grace;
            self.timers.insert(now.mono + grace, Timer::FlowLost(id));
        }
    }

    fn ways_over(&self, id: StreamId) -> Vec<u32> {
        if id.0 & OURS == 0 {
            return Vec::new(); // Why: ways use streams of ours only, and anybody can open and close the others.
        }
        let over = |way: &Way| match way {
            Way::Connecting(stream, _) => *stream == id,
            Way::Known(Flow::Stream { id: stream, .. }) => *stream == id,
            Way::Known(Flow::Udp { .. }) | Way::Asked(..) => false,
        };
        self.connections.ways.iter().filter(|(_, way)| over(way)).map(|(slot, _)| *slot).collect()
    }
}

/// An IPv4 address as itself where a dual-stack socket shows it mapped.
fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}
