//! `qualify=yes`: OPTIONS to a registered phone, and UNAVAILABLE when it does not answer (chan_sip).
//!
//! One probe per binding and round; a peer is reachable while any of its bindings answers. Until the first round is over
//! a peer counts as reachable: its REGISTER has just proved it.

use crate::flow::{Flow, Transport};
use crate::node::{Node, Requester, Timer};
use crate::time::{Instant, Now};
use crate::transaction::{Branch, ClientId};
use lampyris_sip::{Name, RequestWriter, Uri};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// What is known of a probed peer.
#[derive(Clone, Debug, Default)]
struct Probed {
    reachable: Option<bool>,
    rtt: Duration,
    waiting: usize,
    answered: bool,
}

struct Probe {
    peer: String,
    client: ClientId,
    sent: Instant,
}

/// All probed peers.
#[derive(Default)]
pub(crate) struct Qualifier {
    peers: BTreeMap<String, Probed>,
    probes: BTreeMap<u32, Probe>,
    rounds: BTreeMap<u32, String>,
    next: u32,
}

impl Qualifier {
    /// Whether a peer answers, as far as anybody knows.
    pub(crate) fn is_reachable(&self, peer: &str) -> bool {
        self.peers.get(peer).and_then(|probed| probed.reachable).unwrap_or(true)
    }

    /// The last round trip, where the last probe was answered.
    pub(crate) fn rtt(&self, peer: &str) -> Option<Duration> {
        self.peers.get(peer).filter(|probed| probed.reachable == Some(true)).map(|probed| probed.rtt)
    }

    /// What was known of a peer no longer holds: it has registered anew.
    pub(crate) fn forget(&mut self, peer: &str) {
        self.peers.remove(peer);
    }
}

impl Node {
    /// Starts the rounds of every peer with `qualify`; after a start or a reload.
    pub(crate) fn schedule_qualify(&mut self, now: Now) {
        self.qualifier.rounds.clear();
        let settings = self.facts.settings.clone();
        for (name, every) in settings.peers.values().filter_map(|p| Some((&p.name, p.qualify?.every))) {
            self.qualifier.next = self.qualifier.next.wrapping_add(1);
            let round = self.qualifier.next;
            self.qualifier.rounds.insert(round, name.clone());
            // Why: spread, so that a thousand phones are not asked in the same instant.
            let spread = self.rng.below(u64::try_from(every.as_micros()).unwrap_or(u64::MAX));
            self.timers.insert(now.mono + Duration::from_micros(spread), Timer::Qualify(round));
        }
    }

    /// Probes every binding of a peer, or looks what became of the probes.
    pub(crate) fn on_qualify_due(&mut self, now: Now, round: u32) {
        if let Some(probe) = self.qualifier.probes.get(&round) {
            // The wait for this probe's answer is over.
            let (peer, client) = (probe.peer.clone(), probe.client);
            self.transactions.abandon(client);
            return self.end_probe(now, round, &peer, None);
        }
        let Some(name) = self.qualifier.rounds.get(&round).cloned() else { return };
        let settings = self.facts.settings.clone();
        let Some(peer) = settings.peers.get(&name) else { return };
        let Some(qualify) = peer.qualify else { return };
        self.timers.insert(now.mono + qualify.every, Timer::Qualify(round));
        let bindings = self.facts.registrar.bindings(&self.facts.aor(peer)).to_vec();
        let probed = self.qualifier.peers.entry(name.clone()).or_default();
        probed.waiting = 0;
        probed.answered = false;
        for binding in bindings {
            let Some(flow) = self.binding_flow(&binding.contact, binding.flow) else { continue };
            self.qualifier.next = self.qualifier.next.wrapping_add(1);
            let id = self.qualifier.next;
            let tag = self.rng.next_u64();
            let Some(listener) = self.listener_of(flow) else { continue };
            let via = format!("SIP/2.0/{} {}", listener.transport.via(), listener.advertised);
            let from = format!("<sip:lampyris@{}>;tag={tag:016x}", listener.advertised);
            let call_id = format!("{:032x}", self.rng.next_u128());
            let agent = settings.server_name.clone();
            let write = |branch: &Branch| {
                let mut writer = RequestWriter::new("OPTIONS", &binding.contact);
                writer.header_fmt(Name::Via, format_args!("{via};branch={};rport", branch.as_str()));
                writer.header(Name::MaxForwards, "70");
                for route in &binding.path {
                    writer.header(Name::Route, route);
                }
                writer.header(Name::From, &from);
                writer.header_fmt(Name::To, format_args!("<{}>", binding.contact));
                writer.header(Name::CallId, &call_id);
                writer.header(Name::CSeq, "1 OPTIONS");
                if !agent.is_empty() {
                    writer.header(Name::UserAgent, &agent);
                }
                writer.finish()
            };
            let (client, transmit) =
                self.transactions.start(now.mono, flow, "OPTIONS", Requester::Qualify(id), write);
            self.transmit(transmit);
            self.qualifier.probes.insert(id, Probe { peer: name.clone(), client, sent: now.mono });
            self.timers.insert(now.mono + qualify.wait, Timer::Qualify(id));
            if let Some(probed) = self.qualifier.peers.get_mut(&name) {
                probed.waiting += 1;
            }
        }
    }

    /// Where a binding is reached without a lookup: its open stream, or the source it registered from.
    fn binding_flow(&self, contact: &str, flow: Flow) -> Option<Flow> {
        if !self.is_secure_for(contact, flow) {
            return None;
        }
        match flow {
            Flow::Stream { id, .. } => self.connections.is_open(id).then_some(flow),
            Flow::Udp { listener, remote } => {
                let uri = Uri::parse(contact).ok()?;
                let same = uri.host().ip() == Some(remote.ip());
                let to = if same { SocketAddr::new(remote.ip(), Transport::port_of(&uri)) } else { remote };
                let may = self.connections.transport(flow) == Transport::Udp && self.may_return(remote, to);
                may.then_some(Flow::Udp { listener, remote: to })
            }
        }
    }

    /// A probe was answered: any answer but a time-out means there is a phone.
    pub(crate) fn on_qualify_answer(&mut self, now: Now, id: u32, status: u16) {
        let Some(probe) = self.qualifier.probes.get(&id) else { return };
        let (peer, sent) = (probe.peer.clone(), probe.sent);
        let rtt = (status != 408 && status != 503).then(|| now.mono.since(sent));
        self.end_probe(now, id, &peer, rtt);
    }

    fn end_probe(&mut self, now: Now, id: u32, peer: &str, rtt: Option<Duration>) {
        self.qualifier.probes.remove(&id);
        let Some(probed) = self.qualifier.peers.get_mut(peer) else { return };
        probed.waiting = probed.waiting.saturating_sub(1);
        if let Some(rtt) = rtt {
            probed.answered = true;
            probed.rtt = rtt;
        }
        if probed.answered || probed.waiting == 0 {
            let reachable = Some(probed.answered);
            if probed.reachable != reachable {
                probed.reachable = reachable;
                self.refresh_peer(now, peer);
            }
        }
    }
}
