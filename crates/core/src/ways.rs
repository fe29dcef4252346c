//! The way to a next hop whose address is not known at once (RFC 3263): DNS, then for streams a connection.
//!
//! In goes who waits (a [`Traveller`]) and a URI; out comes a [`Flow`], at once or later.
//!
//! ```text
//!  way_to --- Known(flow)
//!    |   \--- None
//!    |
//!  Later -- DNS answers, a stream opens --> on_way(traveller, flow)
//!        \- nothing is left to try -------> on_no_way(traveller)
//!
//!  the request fails on the flow --> next_way: the next hop of the same lookup (RFC 3263 §4.3)
//! ```
//!
//! `on_way` and `on_no_way` are never called from inside `way_to` and `next_way`. A way is kept until it is forgotten, so
//! that the requests of a subscription take the hop that was found once. What it does not do: judge a failure, send.

use crate::connections::Opening;
use crate::dns::Asker;
pub(crate) use crate::egress::Reach;
use crate::flow::{Flow, StreamId, Transport};
use crate::hits::Limit;
use crate::input::{DnsAnswer, QueryId};
use crate::node::Node;
use crate::output::Event;
use crate::target::{Hop, Lookup, Next, Target, Wanted, locate};
use crate::time::Now;
use lampyris_sip::Uri;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Who waits for a way to a next hop.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Traveller {
    /// A subscription's NOTIFYs, by its slot.
    Subscription(u32),
    /// A branch of a request that is passed on.
    Branch(u32),
    /// A request of ours to a gateway.
    Gateway(u32),
}

/// What looking for a way gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WayTo {
    /// This flow leads there.
    Known(Flow),
    /// It is being found out: `on_way` or `on_no_way` will say.
    Later,
    /// There is none (any more).
    None,
}

/// How far a way is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// DNS was asked.
    Asked(QueryId),
    /// A stream is being opened.
    Connecting(StreamId),
    /// It leads over this flow.
    Known(Flow),
}

struct Way {
    stage: Stage,
    reach: Reach,
    /// What to try if this hop fails.
    rest: Option<Lookup>,
}

/// All ways.
#[derive(Default)]
pub(crate) struct Ways {
    ways: BTreeMap<Traveller, Way>,
    /// Who waits for a stream to open.
    connecting: BTreeSet<(StreamId, Traveller)>,
    /// Who would have been led where nobody may go, and why not; for people.
    barred: BTreeMap<Traveller, (SocketAddr, &'static str)>,
}

impl Ways {
    /// Where somebody would have been led, and why not.
    pub(crate) fn barred(&self, traveller: Traveller) -> Option<(SocketAddr, &'static str)> {
        self.barred.get(&traveller).copied()
    }

    fn set(&mut self, traveller: Traveller, way: Way) {
        if matches!(way.stage, Stage::Known(_)) {
            self.barred.remove(&traveller);
        }
        if let Stage::Connecting(id) = way.stage {
            self.connecting.insert((id, traveller));
        }
        self.ways.insert(traveller, way);
    }

    fn take(&mut self, traveller: Traveller) -> Option<Way> {
        let way = self.ways.remove(&traveller)?;
        if let Stage::Connecting(id) = way.stage {
            self.connecting.remove(&(id, traveller));
        }
        Some(way)
    }

    /// Who waits for this stream.
    fn waiting_for(&self, id: StreamId) -> Vec<Traveller> {
        let (first, last) = (Traveller::Subscription(0), Traveller::Gateway(u32::MAX));
        self.connecting.range((id, first)..=(id, last)).map(|(_, traveller)| *traveller).collect()
    }
}

impl Node {
    /// Finds the flow to the next hop of `uri` (a route's URI or the request target), or goes on where that was begun.
    pub(crate) fn way_to(&mut self, now: Now, traveller: Traveller, uri: &str, reach: Reach) -> WayTo {
        match self.ways.ways.get(&traveller).map(|way| way.stage) {
            // Why: the stream has closed since; it may only have been idle for too long, so all hops are tried again.
            Some(Stage::Known(Flow::Stream { id, .. })) if !self.connections.is_open(id) => {}
            Some(Stage::Known(flow)) => return WayTo::Known(flow),
            Some(Stage::Asked(_) | Stage::Connecting(_)) => return WayTo::Later,
            None => {}
        }
        self.forget_way(traveller);
        let Some(wanted) = Uri::parse(uri).ok().and_then(|uri| Wanted::of(&uri)) else { return WayTo::None };
        match locate(&wanted, &self.transports()) {
            Target::Immediate(hop) => self.try_hop(traveller, hop, reach, None),
            Target::Lookup(lookup) => self.advance(now, traveller, reach, lookup),
            Target::Unreachable => WayTo::None,
        }
    }

    /// The flow to a numeric next hop, where it can be used at once; nobody waits for it.
    pub(crate) fn known_way(&mut self, uri: &str, reach: Reach) -> Option<Flow> {
        let wanted = Uri::parse(uri).ok().and_then(|uri| Wanted::of(&uri))?;
        let Target::Immediate(hop) = locate(&wanted, &self.transports()) else { return None };
        match self.stage_of(None, hop, reach)? {
            Stage::Known(flow) => Some(flow),
            Stage::Asked(_) | Stage::Connecting(_) => None,
        }
    }

    /// The transports we can open, most preferred first.
    fn transports(&self) -> Vec<Transport> {
        let own = self.listeners.iter().map(|listener| listener.transport);
        let mut supported: Vec<_> = own.filter(|transport| !transport.is_opened_by_peers()).collect();
        supported.sort_unstable();
        supported.dedup();
        supported
    }

    /// After a transport failure, a time-out or a 503 on the current hop: tries the next one (RFC 3263 §4.3).
    pub(crate) fn next_way(&mut self, now: Now, traveller: Traveller) -> WayTo {
        if let Some(Way { stage: Stage::Asked(_), .. }) = self.ways.ways.get(&traveller) {
            return WayTo::Later;
        }
        match self.ways.take(traveller) {
            Some(Way { reach, rest: Some(rest), .. }) => self.advance(now, traveller, reach, rest),
            _ => WayTo::None,
        }
    }

    /// The traveller has arrived or given up.
    pub(crate) fn forget_way(&mut self, traveller: Traveller) {
        self.ways.barred.remove(&traveller);
        if let Some(Way { stage: Stage::Asked(query), .. }) = self.ways.take(traveller) {
            self.questions.forget(query);
        }
    }

    fn advance(&mut self, now: Now, traveller: Traveller, reach: Reach, mut lookup: Lookup) -> WayTo {
        loop {
            match lookup.step() {
                Next::Ask(question) => {
                    let query = self.ask(now, Asker::Traveller(traveller), question);
                    self.ways.set(traveller, Way { stage: Stage::Asked(query), reach, rest: Some(lookup) });
                    return WayTo::Later;
                }
                Next::Try(hop) => {
                    if let Some(stage) = self.stage_of(Some(traveller), hop, reach) {
                        return self.enter_stage(traveller, Way { stage, reach, rest: Some(lookup) });
                    }
                }
                Next::Exhausted => return WayTo::None,
            }
        }
    }

    fn try_hop(&mut self, traveller: Traveller, hop: Hop, reach: Reach, rest: Option<Lookup>) -> WayTo {
        match self.stage_of(Some(traveller), hop, reach) {
            Some(stage) => self.enter_stage(traveller, Way { stage, reach, rest }),
            None => WayTo::None,
        }
    }

    fn enter_stage(&mut self, traveller: Traveller, way: Way) -> WayTo {
        let stage = way.stage;
        self.ways.set(traveller, way);
        match stage {
            Stage::Known(flow) => WayTo::Known(flow),
            Stage::Asked(_) | Stage::Connecting(_) => WayTo::Later,
        }
    }

    /// How far one hop is known; `None` where it may not be gone to.
    fn stage_of(&mut self, traveller: Option<Traveller>, hop: Hop, reach: Reach) -> Option<Stage> {
        // Why: asked here, because only here a name has become an address.
        if let Some(why) = self.barred(hop.address, reach) {
            self.hits.add(Limit::Egress);
            if let Some(traveller) = traveller {
                self.ways.barred.insert(traveller, (hop.address, why));
            }
            self.tell(Event::Unsent { to: hop.address, why });
            return None;
        }
        let listener = self.listener_for(hop.transport, hop.address.is_ipv6())?.id;
        if hop.transport == Transport::Udp {
            return Some(Stage::Known(Flow::Udp { listener, remote: hop.address }));
        }
        Some(match self.stream_to(hop.transport, listener, hop.address, hop.name) {
            Opening::Open(flow) => Stage::Known(flow),
            Opening::Connecting(id) => Stage::Connecting(id),
        })
    }

    /// DNS answered a traveller's question.
    pub(crate) fn on_way_resolved(&mut self, now: Now, traveller: Traveller, answer: DnsAnswer) {
        let Some(Way { reach, rest: Some(mut lookup), .. }) = self.ways.take(traveller) else { return };
        lookup.on_answer(answer, &mut self.rng);
        let way = self.advance(now, traveller, reach, lookup);
        self.tell_traveller(now, traveller, way);
    }

    /// A stream that travellers may wait for is open.
    pub(crate) fn on_way_opened(&mut self, now: Now, id: StreamId, flow: Flow) {
        for traveller in self.ways.waiting_for(id) {
            if let Some(way) = self.ways.take(traveller) {
                self.ways.set(traveller, Way { stage: Stage::Known(flow), ..way });
                self.tell_traveller(now, traveller, WayTo::Known(flow));
            }
        }
    }

    /// A stream that travellers may wait for could not be opened.
    pub(crate) fn on_way_closed(&mut self, now: Now, id: StreamId) {
        for traveller in self.ways.waiting_for(id) {
            let way = self.next_way(now, traveller);
            self.tell_traveller(now, traveller, way);
        }
    }

    fn tell_traveller(&mut self, now: Now, traveller: Traveller, way: WayTo) {
        match way {
            WayTo::Known(flow) => self.on_way(now, traveller, flow),
            WayTo::None => self.on_no_way(now, traveller),
            WayTo::Later => {}
        }
    }

    /// A way is decided: it leads over this flow.
    fn on_way(&mut self, now: Now, traveller: Traveller, flow: Flow) {
        match traveller {
            Traveller::Subscription(slot) => self.resume(now, slot),
            Traveller::Branch(branch) => self.on_branch_way(now, branch, Some(flow)),
            Traveller::Gateway(slot) => self.on_gateway_way(now, slot, Some(flow)),
        }
    }

    /// A way is decided: there is none.
    fn on_no_way(&mut self, now: Now, traveller: Traveller) {
        match traveller {
            Traveller::Subscription(slot) => self.on_unreachable(now, slot),
            Traveller::Branch(branch) => self.on_branch_way(now, branch, None),
            Traveller::Gateway(slot) => self.on_gateway_way(now, slot, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Listener, ListenerId};
    use crate::input::{DnsQuestion, Input, SrvRecord};
    use crate::output::Output;
    use crate::settings::Settings;
    use crate::time::{Instant, UnixTime};
    use std::sync::Arc;

    const NOW: Now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(1_000_000) };
    const BRANCH: Traveller = Traveller::Branch(7);

    fn node() -> Node {
        let listener = |id, transport| {
            let local = "192.0.2.100:5060".parse().unwrap();
            let names = vec!["198.51.100.1".to_owned()];
            Listener { id: ListenerId(id), transport, local, advertised: local, names }
        };
        let listeners = vec![listener(0, Transport::Udp), listener(1, Transport::Tcp)];
        Node::new(Arc::new(Settings::empty()), listeners, [0; 32], NOW)
    }

    /// What it asks DNS and which streams it opens, as text.
    fn asked(node: &mut Node) -> Vec<(u64, String)> {
        let mut asked = Vec::new();
        loop {
            match node.poll_output(NOW) {
                Output::Resolve { query, question } => asked.push((query.0, format!("{question:?}"))),
                Output::Connect { id, remote, .. } => asked.push((id.0, format!("connect {remote}"))),
                Output::Timeout(_) => return asked,
                _ => {}
            }
        }
    }

    fn udp(remote: &str) -> WayTo {
        WayTo::Known(Flow::Udp { listener: ListenerId(0), remote: remote.parse().unwrap() })
    }

    #[test]
    fn how_far_a_way_may_lead() {
        let (far, machine, link) = ("192.0.2.1", "127.0.0.1", "169.254.0.9");
        let of = |ip: &str| Reach::Of(ip.parse().unwrap());
        for (uri, reach, reached) in [
            ("sip:a@192.0.2.1", of(far), true),
            ("sip:a@127.0.0.1:5070", of(far), false),
            ("sip:a@127.0.0.1:5070", of(machine), true),
            ("sip:a@127.0.0.1:5070", of("::ffff:127.0.0.1"), true),
            ("sip:a@127.0.0.1:5070", Reach::Anywhere, true),
            ("sip:a@169.254.169.253", of(far), false),
            ("sip:a@169.254.169.253", of(link), true),
            ("sip:a@[fe80::1]", of(far), false),
            ("sip:a@10.0.0.7", of(far), false),
            ("sip:a@10.0.0.7", of("192.168.1.9"), true),
            ("sip:a@10.0.0.7", of(machine), true),
            ("sip:a@100.127.0.1", of(far), false),
            ("sip:a@100.128.0.1", of(far), true),
            ("sip:a@10.0.0.7", Reach::Anywhere, true),
            ("sip:a@169.254.169.254", Reach::Anywhere, false),
            ("sip:a@192.0.2.100", of(far), false),
            ("sip:a@192.0.2.100", Reach::Anywhere, false),
            ("sip:a@198.51.100.1", Reach::Anywhere, false),
            ("sip:a@192.0.2.100:5070", Reach::Anywhere, true),
            ("sip:a@224.0.1.75", Reach::Anywhere, false),
            ("sip:a@255.255.255.255", Reach::Anywhere, false),
            ("sip:a@0.0.0.0", Reach::Anywhere, false),
            ("sips:a@192.0.2.1", Reach::Anywhere, false),
            ("tel:+1555", Reach::Anywhere, false),
        ] {
            let way = node().way_to(NOW, BRANCH, uri, reach);
            assert_eq!(way != WayTo::None, reached, "{uri} {reach:?}: {way:?}");
        }
    }

    #[test]
    fn hops_follow_one_another_until_none_is_left() {
        let mut node = node();
        let way = |node: &mut Node| node.way_to(NOW, BRANCH, "sip:p.example;transport=udp", Reach::Anywhere);
        assert_eq!(way(&mut node), WayTo::Later);
        assert_eq!(way(&mut node), WayTo::Later, "asked once");
        assert_eq!(node.next_way(NOW, BRANCH), WayTo::Later, "there is no hop yet that could have failed");
        let first = asked(&mut node);
        assert_eq!(first.len(), 1, "{first:?}");
        assert_eq!(first[0].1, format!("{:?}", DnsQuestion::Srv("_sip._udp.p.example".into())));
        let srv =
            |priority, target: &str| SrvRecord { priority, weight: 0, port: 5070, target: target.into() };
        let answer = DnsAnswer::Srv(vec![srv(1, "192.0.2.1"), srv(2, "127.0.0.1"), srv(3, "b.example")]);
        node.handle_input(NOW, Input::Resolved { query: QueryId(first[0].0), answer: answer.clone() });
        assert_eq!(way(&mut node), udp("192.0.2.1:5070"));
        assert_eq!(way(&mut node), udp("192.0.2.1:5070"), "kept");
        node.handle_input(NOW, Input::Resolved { query: QueryId(first[0].0), answer });
        assert_eq!(way(&mut node), udp("192.0.2.1:5070"), "a second answer is nobody's");
        assert_eq!(node.next_way(NOW, BRANCH), udp("127.0.0.1:5070"));
        assert_eq!(node.next_way(NOW, BRANCH), WayTo::Later);
        let second = asked(&mut node);
        let answer = DnsAnswer::Address(vec!["192.0.2.3".parse().unwrap()]);
        node.handle_input(NOW, Input::Resolved { query: QueryId(second[0].0), answer });
        assert_eq!(way(&mut node), udp("192.0.2.3:5070"));
        assert_eq!(node.next_way(NOW, BRANCH), WayTo::None);
        assert!(node.ways.ways.is_empty());
    }

    #[test]
    fn travellers_share_a_stream_and_leave_nothing_behind() {
        let mut node = node();
        let (uri, other) = ("sip:192.0.2.1:5070;transport=tcp", Traveller::Subscription(7));
        assert_eq!(node.way_to(NOW, BRANCH, uri, Reach::Anywhere), WayTo::Later);
        assert_eq!(node.way_to(NOW, other, uri, Reach::Anywhere), WayTo::Later);
        let opened = asked(&mut node);
        assert_eq!(opened.len(), 1, "{opened:?}");
        let (id, remote) = (StreamId(opened[0].0), "192.0.2.1:5070".parse().unwrap());
        let open = Input::FlowOpened { id, transport: Transport::Tcp, listener: ListenerId(1), remote };
        node.handle_input(NOW, open);
        let known = WayTo::Known(Flow::Stream { id, remote });
        for traveller in [BRANCH, other] {
            assert_eq!(node.way_to(NOW, traveller, uri, Reach::Anywhere), known);
        }
        node.handle_input(NOW, Input::FlowClosed { id });
        assert_eq!(node.way_to(NOW, BRANCH, uri, Reach::Anywhere), WayTo::Later, "opened anew");
        let again = asked(&mut node);
        assert_ne!(again[0].0, opened[0].0);
        node.handle_input(NOW, Input::FlowClosed { id: StreamId(again[0].0) });
        assert!(!node.ways.ways.contains_key(&BRANCH), "it could not be opened, and there is no other hop");
        assert_eq!(node.way_to(NOW, BRANCH, "sip:p.example", Reach::Anywhere), WayTo::Later);
        node.forget_way(BRANCH);
        node.forget_way(other);
        assert!(node.ways.ways.is_empty() && node.ways.connecting.is_empty());
        let unanswered = asked(&mut node)[0].0;
        node.handle_input(NOW, Input::Resolved { query: QueryId(unanswered), answer: DnsAnswer::Failed });
        assert!(asked(&mut node).is_empty(), "nobody goes on with a lookup that was forgotten");
    }
}
