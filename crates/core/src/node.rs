//! The presence server as one value: inputs in, outputs out, nothing else.
//!
//! ```text
//! shell                      Node
//!   | handle_input(now, i)     |      one mutation ...
//!   |------------------------->|
//!   | poll_output(now)         |      ... then drain until Timeout
//!   |------------------------->|
//!   |<-- Transmit, Persist ... |
//!   |<-- Timeout(at)           |      call again at `at`, or sooner with anything else
//! ```
//!
//! - `now` is a parameter everywhere: `mono` drives timers, `wall` only stamps documents and stored expiries.
//! - Randomness comes from one seed.
//! - A `Transmit { after: Some(ticket) }` leaves once its ticket is durable; nothing else waits for the disk. On
//!   `Persisted(ticket, Err)` the change behind the ticket is undone and its request answered 503 with Retry-After.
//! - A node is single-threaded and takes messages in order: `early` can never overtake `terminated`.
//! - It cannot fail for I/O. A refused request is a `Reject` and is the response.

use crate::authn::Authenticator;
use crate::authz::policy::RuleTable;
use crate::authz::waiting::Waiting;
use crate::calls::{CallId, Calls, DialogId, Side};
use crate::connections::Connections;
use crate::device_state::DeviceState;
use crate::devices::Devices;
use crate::dns::Questions;
use crate::drain::Draining;
use crate::features::FeatureKeys;
use crate::flow::{Flow, Listener, ListenerId, StreamId, Transport};
use crate::gateways::Gateways;
use crate::gruu::GruuKey;
use crate::hard_state::HardStates;
use crate::hits::Hits;
use crate::input::{Input, QueryId};
use crate::journal::{Key, Kind, Value};
use crate::limits;
use crate::mailbox::Mailboxes;
use crate::manual_status::ManualStatuses;
use crate::map::Maps;
use crate::metrics::Metrics;
use crate::notifier::{Subscriptions, Unsolicited};
use crate::output::{Event, Output, Ticket};
use crate::overload::Load;
use crate::packages::PackageId;
use crate::peer_hosts::PeerHosts;
use crate::proxy::{BranchId, Proxy};
use crate::publication::Publications;
use crate::qualify::Qualifier;
use crate::registrar::Registrar;
use crate::repeats::Repeats;
use crate::resource::{ResourceId, Resources};
use crate::rng::Rng;
use crate::settings::Settings;
use crate::slots::Slots;
use crate::tickets::Tickets;
use crate::time::{Instant, Now};
use crate::timers::{TimerToken, Timers};
use crate::transaction::{Action, Answer, ResponseParts, Transactions, Transmit, ack::ack};
use crate::view_of::Facts;
use crate::ways::Ways;
use bytes::Bytes;
use lampyris_sip::{Message, Name};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a timer of the node is for. Slots may have been reused: each handler looks whether it is still due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A subscription ends.
    SubscriptionExpires(u32),
    /// A NOTIFY is tried again.
    NotifyAgain(u32),
    /// A NOTIFY that was too soon after the last may leave.
    Paced(u32),
    /// A watcher wants to be told the state though nothing has changed.
    NotifyUnchanged(u32),
    /// A publication ends.
    PublicationExpires(u32),
    /// A publication says something else from now on.
    PublicationTurns(u32),
    /// The first binding of an AOR ends.
    BindingExpires(u32),
    /// Bindings that ended have been shown long enough.
    EndedBindings,
    /// A manual device state ends.
    ManualExpires(crate::devices::DeviceId),
    /// A publication may have become too old to count.
    PublicationStale(u32),
    /// A status set by command ends.
    StatusExpires(u32),
    /// The bindings of a closed stream are lost.
    FlowLost(StreamId),
    /// Peers are asked whether they are there.
    Qualify(u32),
    /// A branch of a request has rung, or was cancelled, for long enough.
    Branch(BranchId),
    /// A call has rung for as long as its user wants it to.
    NoAnswer(crate::transaction::ServerId),
    /// A DNS query is given up.
    DnsGivenUp(QueryId),
    /// A host that peers are configured with is looked up again.
    PeerHostDue(u32),
    /// A call is looked at.
    Call(CallId),
    /// An interval of presence rules begins or ends.
    RulesDue,
    /// A document of hard state says something else from now on.
    HardStateTurns,
    /// A watcher has waited long enough for a decision.
    WaitingEnds(u64),
    /// The next of those that a restart owes a NOTIFY.
    Backlog,
    /// The next subscriptions of a server that is being drained end.
    Drain,
    /// Nothing of before the start comes again.
    RepeatsOver,
    /// Something is to be asked of a gateway.
    Gateway(u32),
}

/// Who waits for the answer to a request of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requester {
    /// A NOTIFY of the subscription in this slot; its CSeq tells it from another subscription there.
    Notify {
        /// The subscription.
        slot: u32,
        /// The NOTIFY's CSeq.
        cseq: u32,
    },
    /// The last NOTIFY of a subscription that is gone.
    Farewell,
    /// A qualify OPTIONS.
    Qualify(u32),
    /// A branch of a request that is passed on.
    Branch(BranchId),
    /// Nobody: whatever the answer is.
    Nobody,
    /// An OPTIONS inside a dialog of a call.
    Probe {
        /// The dialog.
        dialog: DialogId,
        /// Who is asked.
        side: Side,
    },
    /// Message counts for a phone that has no subscription.
    Unsolicited(u32),
    /// A SUBSCRIBE or REGISTER to a gateway; its CSeq tells it from an older one.
    Gateway {
        /// The errand.
        slot: u32,
        /// The request's CSeq.
        cseq: u32,
    },
}

/// Counters for `status`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: u64,
    pub(crate) rejects: u64,
    pub(crate) notifies: u64,
    pub(crate) notifies_ok: u64,
    pub(crate) notifies_failed: u64,
    pub(crate) malformed: u64,
    pub(crate) bugs: u64,
}

/// The presence server.
pub struct Node {
    pub(crate) facts: Facts,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) transactions: Transactions<Requester>,
    pub(crate) authenticator: Authenticator,
    pub(crate) connections: Connections,
    pub(crate) ways: Ways,
    pub(crate) questions: Questions,
    pub(crate) peer_hosts: PeerHosts,
    pub(crate) qualifier: Qualifier,
    pub(crate) gateways: Gateways,
    pub(crate) proxy: Proxy,
    pub(crate) unsolicited: Unsolicited,
    pub(crate) tickets: Tickets,
    pub(crate) timers: Timers<Timer>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) rng: Rng,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) dirty: Vec<(ResourceId, PackageId)>,
    pub(crate) due: VecDeque<u32>,
    pub(crate) draining: Option<Draining>,
    pub(crate) repeats: Repeats,
    /// Rows of device and presence states set by command: the names as typed.
    pub(crate) device_rows: Slots<String>,
    pub(crate) counters: Counters,
    /// Limits that were hit.
    pub(crate) hits: Hits,
    /// What the shell said last of how much there is to do.
    pub(crate) load: Load,
    pub(crate) metrics: Box<Metrics>,
    pub(crate) started: Instant,
    /// The next [`Timer::RulesDue`].
    pub(crate) rules_timer: Option<TimerToken>,
    /// The next [`Timer::HardStateTurns`].
    pub(crate) hard_state_timer: Option<TimerToken>,
    /// Both clocks when they were last looked at.
    pub(crate) clocks: Now,
}

impl Node {
    /// A node with these settings, listening on what the shell has bound, all its randomness from `seed`.
    pub fn new(settings: Arc<Settings>, listeners: Vec<Listener>, seed: [u8; 32], now: Now) -> Self {
        let mut rng = Rng::new(seed);
        let maps = Maps::new(rng.next_u64());
        let fork = |rng: &mut Rng| {
            let mut seed = [0; 32];
            seed.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&rng.next_u64().to_le_bytes()));
            Rng::new(seed)
        };
        let transactions = Transactions::new(maps, fork(&mut rng));
        let authenticator = Authenticator::new(maps, fork(&mut rng));
        let mut gruus = [0; 32];
        gruus.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&rng.next_u64().to_le_bytes()));
        let publications = Publications::new(maps, fork(&mut rng));
        let mut node = Self {
            facts: Facts {
                settings,
                resources: Resources::new(maps),
                devices: Devices::new(maps),
                publications,
                registrar: Registrar::new(maps, GruuKey(gruus)),
                mailboxes: Mailboxes::default(),
                calls: Calls::new(maps),
                feature_keys: FeatureKeys::default(),
                manual_statuses: ManualStatuses::default(),
                hard_states: HardStates::default(),
                rules: RuleTable::default(),
                waiting: Waiting::default(),
                presence_states: std::collections::BTreeMap::new(),
                remotes: std::collections::BTreeMap::new(),
            },
            subscriptions: Subscriptions::new(maps),
            transactions,
            authenticator,
            connections: Connections::default(),
            ways: Ways::default(),
            questions: Questions::default(),
            peer_hosts: PeerHosts::default(),
            qualifier: Qualifier::default(),
            gateways: Gateways::default(),
            proxy: Proxy::default(),
            unsolicited: Unsolicited::default(),
            tickets: Tickets::default(),
            timers: Timers::default(),
            listeners,
            rng,
            outputs: VecDeque::new(),
            dirty: Vec::new(),
            due: VecDeque::new(),
            draining: None,
            repeats: Repeats::new(maps),
            device_rows: Slots::default(),
            counters: Counters::default(),
            hits: Hits::default(),
            load: Load::default(),
            metrics: Box::default(),
            started: now.mono,
            rules_timer: None,
            hard_state_timer: None,
            clocks: now,
        };
        node.authenticator.configure(&node.facts.settings);
        node.facts.publications.configure(node.facts.settings.quotas.publishes_per_s);
        node.build_lamps(now);
        node.authorize_everything(now);
        node.schedule_qualify(now);
        node.outputs.clear();
        node.look_up_peers(now);
        node.configure_gateways(now);
        node
    }

    /// Puts one stored row back, before the first input; kinds in the order of [`Kind::ALL`], nothing expired.
    pub fn restore(&mut self, now: Now, key: Key, value: Value) {
        let Ok(slot) = u32::try_from(key.slot) else { return };
        let value = self.within_what_is_granted(now, value);
        self.put_row(now, key.kind, slot, Some(value), Put::Restart);
    }

    /// After the last [`Self::restore`]: lamps are computed, and watchers told what may have changed while we were gone.
    ///
    /// `clean`: the process before ended by itself, after [`crate::command::Command::Leave`], and all of its records are here.
    pub fn restored(&mut self, now: Now, clean: bool) {
        self.facts.registrar.restored();
        // Why: all streams closed with the process before.
        self.grant_grace(now, StreamId::GONE);
        self.facts.publications.restored();
        self.facts.mailboxes.restored();
        self.facts.feature_keys.restored();
        self.facts.manual_statuses.restored();
        self.facts.hard_states.restored();
        self.settle_hard_states(now);
        self.facts.rules.restored();
        self.device_rows.rebuild_free();
        self.calls_restored();
        self.subscriptions.restored();
        self.repeats.restored();
        self.timers.insert(now.mono + limits::REPEATS_LAST, Timer::RepeatsOver);
        self.build_lamps(now);
        self.lists_follow(now);
        self.unsolicited.restored();
        self.gateways_restored(now);
        self.outputs.retain(
            |output| !matches!(output, Output::Event(event) if !matches!(event, Event::Rules { .. })),
        );
        self.authorize_restored(now);
        self.notify_restored(now, clean);
        self.flush(now);
    }

    /// Takes one input. Drain [`Self::poll_output`] before the next.
    pub fn handle_input(&mut self, now: Now, input: Input) {
        self.follow_wall_clock(now);
        // Why: who was to be told before this input came is told with the next `Timeout`, in turn.
        let is_behind = !self.due.is_empty() && !matches!(input, Input::Timeout);
        match input {
            Input::Received { flow, message: Ok(message) } => self.on_message(now, flow, &message),
            Input::Received { flow, message: Err(error) } => self.on_malformed(now, flow, &error),
            Input::FlowOpened { id, transport, listener, remote } => {
                self.on_flow_opened(now, id, transport, listener, remote);
            }
            Input::FlowProved { id, names } => self.connections.prove(id, names),
            Input::FlowClosed { id } => self.on_flow_closed(now, id),
            Input::FlowBlocked { id } => self.on_flow_blocked(id),
            Input::FlowUnblocked { id } => self.on_flow_unblocked(now, id),
            Input::Resolved { query, answer } => self.on_resolved(now, query, answer),
            Input::Persisted(ticket, result) => self.on_persisted(now, ticket, result),
            Input::Load(load) => {
                self.load = load;
                return;
            }
            Input::Peer(..) => {} // Why: one node has no peers yet; the cluster brings them.
            Input::Timeout => {}
        }
        self.on_timers(now);
        self.flush_some(now, if is_behind { 0 } else { limits::NOTIFIES_PER_TURN });
    }

    /// Whether a flow's peer has shown who it is, or is configured where it is: a shell that cannot do everything does what
    /// comes from these first.
    pub fn knows(&self, flow: Flow) -> bool {
        self.authenticator.knows(&self.facts.settings, flow)
    }

    /// The next thing to do; `Output::Timeout` ends the drain.
    pub fn poll_output(&mut self, now: Now) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        if !self.due.is_empty() {
            return Output::Timeout(now.mono);
        }
        let next = [self.timers.next(), self.transactions.next_timeout()].into_iter().flatten().min();
        // Why: an hour is soon enough to look at the clock again when nothing is timed.
        Output::Timeout(next.unwrap_or(now.mono + std::time::Duration::from_secs(3600)))
    }

    fn on_message(&mut self, now: Now, flow: Flow, message: &Message) {
        let transport = self.connections.transport(flow);
        if message.is_request() {
            self.metrics.request_received(message.cseq().method, transport);
            self.on_request(now, flow, message);
        } else {
            self.on_response(now, flow, message);
        }
    }

    fn on_response(&mut self, now: Now, flow: Flow, message: &Message) {
        let Some(status) = message.status() else { return };
        self.metrics.response_received(status.0, self.connections.transport(flow));
        let via = message.top_via();
        let cseq = message.cseq();
        let parts = ResponseParts { branch: via.branch(), method: cseq.method.as_str(), status: status.0 };
        let waiting = self.transactions.waiting(&parts);
        if waiting.is_none() && message.vias().nth(1).is_some() {
            return self.on_stray(now, message, flow);
        }
        let passed_on = matches!(waiting, Some(Requester::Branch(_)));
        // RFC 3261 §8.1.3.3, §16.7 step 3: what we asked for ourselves has our Via alone, what we passed on has more.
        if passed_on != message.vias().nth(1).is_some() {
            return;
        }
        match self.transactions.on_response(now.mono, &parts, |invite| ack(invite, message)) {
            Answer::Provisional(Requester::Branch(id)) => self.on_branch_progress(now, id, message, flow),
            Answer::AnotherSuccess(Requester::Branch(id)) => self.on_branch_again(now, id, message, flow),
            Answer::Final(requester, ack) => {
                if let Some(ack) = ack {
                    self.transmit(ack);
                }
                if let Requester::Branch(id) = requester {
                    return self.on_branch_answer(now, id, message, flow);
                }
                if let Requester::Gateway { slot, cseq } = requester {
                    return self.on_gateway_answer(now, slot, cseq, message);
                }
                if let Requester::Notify { slot, cseq } = requester
                    && (200..300).contains(&status.0)
                {
                    self.set_pace_by_answer(now, (slot, cseq), message);
                }
                let retry_after = message.header(Name::RetryAfter).and_then(leading_number);
                self.on_answer(now, requester, status.0, retry_after);
            }
            Answer::Absorbed(Some(again)) => self.transmit(again),
            Answer::Provisional(_) | Answer::AnotherSuccess(_) | Answer::Absorbed(None) | Answer::Stray => {}
        }
    }

    fn on_answer(&mut self, now: Now, requester: Requester, status: u16, retry_after: Option<u32>) {
        match requester {
            Requester::Notify { slot, cseq } => self.on_notify_answer(now, slot, cseq, status, retry_after),
            Requester::Qualify(probe) => self.on_qualify_answer(now, probe, status),
            Requester::Unsolicited(flight) => self.on_unsolicited_answer(flight, status),
            Requester::Gateway { slot, cseq } => self.on_gateway_failed(now, slot, Some(cseq), status),
            Requester::Probe { dialog, side } => self.on_probe_answer(now, dialog, side, status),
            Requester::Branch(id) => self.on_branch_failed(now, id, status),
            Requester::Farewell | Requester::Nobody => {}
        }
    }

    fn on_timers(&mut self, now: Now) {
        let mut actions = Vec::new();
        self.transactions.on_timeout(now.mono, &mut actions);
        self.on_actions(now, actions);
        while let Some(timer) = self.timers.pop_due(now.mono) {
            match timer {
                Timer::SubscriptionExpires(slot) => self.on_subscription_expired(now, slot),
                Timer::NotifyAgain(slot) => self.on_notify_again(slot),
                Timer::Paced(slot) => self.on_paced(slot),
                Timer::NotifyUnchanged(slot) => self.on_unchanged(now, slot),
                Timer::PublicationExpires(slot) => self.on_publication_expired(now, slot),
                Timer::PublicationTurns(slot) => self.on_publication_turns(now, slot),
                Timer::BindingExpires(slot) => self.on_binding_expired(now, slot),
                Timer::EndedBindings => self.on_ended_bindings_due(now),
                Timer::ManualExpires(device) => self.on_manual_expired(now, device),
                Timer::PublicationStale(slot) => self.on_publication_stale(now, slot),
                Timer::StatusExpires(slot) => self.on_status_expired(slot),
                Timer::FlowLost(stream) => self.on_flow_lost(now, stream),
                Timer::Qualify(round) => self.on_qualify_due(now, round),
                Timer::NoAnswer(server) => self.on_no_answer(now, server),
                Timer::Branch(id) => self.on_branch_timer(now, id),
                Timer::DnsGivenUp(query) => self.on_dns_given_up(now, query),
                Timer::PeerHostDue(id) => self.on_peer_host_due(now, id),
                Timer::Call(call) => self.on_call_due(now, call),
                Timer::RulesDue => self.on_rules_due(now),
                Timer::HardStateTurns => self.on_hard_state_turns(now),
                Timer::WaitingEnds(id) => self.on_waiting_ends(id),
                Timer::Backlog => self.on_backlog_due(now),
                Timer::Drain => self.on_drain_due(now),
                Timer::RepeatsOver => self.repeats.forget(),
                Timer::Gateway(slot) => self.on_gateway_due(now, slot),
            }
        }
    }

    /// Does what the transaction layer asks for.
    pub(crate) fn on_actions(&mut self, now: Now, actions: Vec<Action<Requester>>) {
        for action in actions {
            match action {
                Action::Transmit(transmit) => self.transmit(transmit),
                // RFC 3261 §8.1.3.1: a time-out is a 408, a transport error a 503.
                Action::TimedOut(requester) => self.on_answer(now, requester, 408, None),
                Action::TransportFailed(requester) => self.on_transport_failed(now, requester),
                Action::Unacknowledged(_) => {}
            }
        }
    }

    fn on_transport_failed(&mut self, now: Now, requester: Requester) {
        match requester {
            Requester::Notify { slot, cseq } => self.on_notify_lost(now, slot, cseq),
            Requester::Probe { dialog, side } => self.on_probe_lost(now, dialog, side),
            other => self.on_answer(now, other, 503, None),
        }
    }

    /// Asks the shell to send.
    pub(crate) fn transmit(&mut self, transmit: Transmit) {
        let Transmit { flow, bytes, after } = transmit;
        self.send(flow, bytes, after);
    }

    /// Asks the shell to send bytes on a flow; bytes for a stream that is still connecting wait for it.
    pub(crate) fn send(&mut self, flow: Flow, bytes: Bytes, after: Option<Ticket>) {
        // RFC 3261 §26.2.2: the last word on `sips:`, whoever chose the flow.
        let target = bytes.iter().position(|b| *b == b' ').and_then(|at| bytes.get(at + 1..at + 6));
        let is_sips = target.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"));
        let transport = self.connections.transport(flow);
        if is_sips && !transport.is_secure() {
            return;
        }
        self.metrics.sent(&bytes, transport);
        self.outputs.push_back(Output::Transmit { flow, bytes, after });
    }

    /// Tells log and event streams.
    pub(crate) fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// A listener that can reach `flow`'s peer.
    pub(crate) fn listener_of(&self, flow: Flow) -> Option<&Listener> {
        match flow {
            Flow::Udp { listener, .. } => self.listener(listener),
            Flow::Stream { id, .. } => self.listener(self.connections.listener(id)?),
        }
    }

    /// A listener by id.
    pub(crate) fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.id == id)
    }

    /// A stored flow in this process: streams are gone, and a listener's number may mean another one since.
    pub(crate) fn restarted(&self, flow: Flow) -> Flow {
        if matches!(flow, Flow::Stream { id, .. } if self.connections.is_open(id)) {
            return flow; // Why: inherited from the process before.
        }
        let Flow::Udp { listener, remote } = flow.restarted() else { return flow.restarted() };
        let fits = |l: &Listener| l.transport == Transport::Udp && l.local.is_ipv6() == remote.is_ipv6();
        if self.listener(listener).is_some_and(fits) {
            return flow;
        }
        let other = self.listener_for(Transport::Udp, remote.is_ipv6());
        Flow::Udp { listener: other.map_or(listener, |other| other.id), remote }
    }

    /// The first listener of a transport whose address family reaches `v6` or not.
    pub(crate) fn listener_for(&self, transport: Transport, v6: bool) -> Option<&Listener> {
        let mut fitting = self.listeners.iter().filter(|listener| listener.transport == transport);
        fitting.clone().find(|listener| listener.local.is_ipv6() == v6).or_else(|| fitting.next())
    }

    /// An own bug that one transaction must not take the server down for: panics where tests run, counts elsewhere.
    pub(crate) fn never(&mut self, what: &str) {
        debug_assert!(false, "never: {what}");
        self.counters.bugs += 1;
    }
}

/// Why a row is put: at start, or to undo a change that could not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// The whole store is being read.
    Restart,
    /// One change is being undone.
    Undo,
}

impl Node {
    /// Makes one row of the journal true in memory: `None` removes it.
    pub(crate) fn put_row(&mut self, now: Now, kind: Kind, slot: u32, value: Option<Value>, put: Put) {
        match (kind, value) {
            (Kind::Subscription, Some(Value::Subscription(record))) => {
                self.put_subscription(now, slot, Some(*record), put);
            }
            (Kind::Subscription, None) => self.put_subscription(now, slot, None, put),
            (Kind::Publication, Some(Value::Publication(record))) => {
                self.put_publication(now, slot, Some(*record), put);
            }
            (Kind::Publication, None) => self.put_publication(now, slot, None, put),
            (Kind::Bindings, Some(Value::Bindings(record))) => {
                self.put_bindings(now, slot, Some(record), put)
            }
            (Kind::Bindings, None) => self.put_bindings(now, slot, None, put),
            (Kind::Device, Some(Value::Device(record))) => self.put_device(now, slot, Some(record), put),
            (Kind::Device, None) => self.put_device(now, slot, None, put),
            (Kind::Mailbox, Some(Value::Mailbox(record))) => {
                self.facts.mailboxes.restore(slot, record.mailbox.clone(), record.counts);
                match put {
                    Put::Restart => self.mailbox_changed(&record.mailbox),
                    Put::Undo => self.mailbox_changed_at(now, &record.mailbox),
                }
            }
            (Kind::Mailbox, None) => {
                if let Some(name) = self.facts.mailboxes.remove(slot) {
                    self.mailbox_changed_at(now, &name);
                }
            }
            (Kind::Call, Some(Value::Call(record))) => self.put_call(now, slot, *record),
            (Kind::Features, Some(Value::Features(record))) => self.put_features(slot, Some(record), put),
            (Kind::Features, None) => self.put_features(slot, None, put),
            (Kind::Status, Some(Value::Status(record))) => self.put_status(now, slot, Some(record), put),
            (Kind::Status, None) => self.put_status(now, slot, None, put),
            (Kind::Rules, Some(Value::Rules(record))) => self.put_rules(now, slot, Some(record), put),
            (Kind::Rules, None) => self.put_rules(now, slot, None, put),
            (Kind::Document, Some(Value::Document(record))) => {
                self.put_document(now, slot, Some(record), put);
            }
            (Kind::Document, None) => self.put_document(now, slot, None, put),
            (Kind::Gateway, Some(Value::Gateway(record))) => self.put_gateway(slot, *record),
            (Kind::Gateway, None) => {}
            (Kind::Resource, Some(Value::Resource(record))) => self.subscriptions.remember(slot, record),
            (Kind::Resource, None) => self.subscriptions.forget(slot),
            (Kind::Answer, Some(Value::Answer(record))) => self.repeats.knows_answer(slot, *record),
            // Why: an answer that could not be stored is one fewer; nothing stands on it.
            (Kind::Answer, None) => {}
            _ => self.never("a row of another kind"),
        }
    }

    /// A device's state as the CLI prints it.
    pub(crate) fn device_state_of(&self, name: &crate::device_state::DeviceName) -> DeviceState {
        let device = self.facts.devices.find(name).and_then(|id| self.facts.devices.get(id));
        device.map_or_else(|| crate::devices::unprovided(name), |device| device.state)
    }
}

/// The number a header value begins with, as in `Retry-After: 30 (maintenance)`.
pub(crate) fn leading_number(value: &str) -> Option<u32> {
    let digits = value.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixTime;

    #[test]
    fn a_stored_flow_leaves_by_a_listener_of_its_transport() {
        let listener = |id, transport, local: &str| {
            let local = local.parse().unwrap();
            Listener { id: ListenerId(id), transport, local, advertised: local, names: Vec::new() }
        };
        let listeners = vec![
            listener(0, Transport::Tcp, "192.0.2.1:5060"),
            listener(1, Transport::Udp, "[2001:db8::1]:5060"),
            listener(2, Transport::Udp, "192.0.2.1:5060"),
        ];
        let now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(0) };
        let node = Node::new(Arc::new(Settings::empty()), listeners, [0; 32], now);
        for (stored, remote, now) in [
            (0, "192.0.2.9:5060", 2),
            (1, "192.0.2.9:5060", 2),
            (2, "192.0.2.9:5060", 2),
            (7, "[2001:db8::9]:5060", 1),
        ] {
            let flow = |id| Flow::Udp { listener: ListenerId(id), remote: remote.parse().unwrap() };
            assert_eq!(node.restarted(flow(stored)), flow(now), "{stored} {remote}");
        }
    }
}
