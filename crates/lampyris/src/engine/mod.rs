//! The engine: the one thread that owns the node, the UDP sockets and the order of everything.
//!
//! In: datagrams, and what the other threads put into the inbox (streams, DNS, store, administrators). Out: datagrams,
//! stream writes, records for the store, questions for DNS. It is one loop: wait, take what came, after every mutation
//! drain the node to `Timeout`, send what has gathered. It knows nothing of SIP beyond "one message".

pub(crate) mod clock;
pub(crate) mod hold;
pub(crate) mod inbox;
mod intake;
mod memory;
mod node;
mod refusals;
pub(crate) mod relief;
pub(crate) mod report;
pub(crate) mod tap;
mod turns;
pub(crate) mod wire;

use crate::admin::protocol::{Counters, Direction};
use crate::resolver::Resolver;
use crate::store::Journal;
use crate::systemd::{self, Notice};
use crate::tracer;
use crate::transport::mmsg::Buffers;
use crate::transport::streams::Streams;
use crate::transport::udp;
use clock::Clock;
use hold::Hold;
use inbox::{Happening, Inbox};
use intake::Intake;
use lampyris_core::command::{Command, Reply};
use lampyris_core::flow::{Flow, ListenerId, StreamId, Transport};
use lampyris_core::hits::{Hits, Limit};
use lampyris_core::input::{Input, StoreError};
use lampyris_core::journal::{Key, Value};
use lampyris_core::output::{Output, Ticket};
use lampyris_core::overload::Load;
use lampyris_core::quotas::Quotas;
use lampyris_core::time::{Instant, Now};
use lampyris_sip::Message;
use memory::Memory;
use mio::{Events, Poll, Token};
use relief::{Relief, StorePlace};
use report::Report;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use turns::Turns;
use wire::Wire;

/// The token of the inbox's waker; UDP listeners count from 0.
pub(crate) const WAKER: Token = Token(usize::MAX);
/// What a refusal begins with where the store is to blame.
pub(crate) const NOT_STORED: &str = "not stored: ";
/// Most things taken out of the inbox before the sockets are looked at again.
const INBOX_BATCH: usize = 256;
/// Most batches of datagrams read from one socket before some are handled.
const READ_BATCHES: usize = 128;
/// Most of them while [`CROWD`] wait already. Why: each batch costs a little, also where nothing of it is taken, and what stays
/// in the kernel's buffer, or finds no room there, costs nothing. Four to one leaves enough to choose from. Strangers are no such
/// crowd: they are read, so that those who are known are found among them.
const READ_BATCHES_CROWDED: usize = 4;
/// So many datagrams waiting of those the node knows are a crowd.
const CROWD: usize = 512;
/// Most datagrams handled before the sockets are looked at again: few, since what the kernel drops meanwhile it does not
/// choose.
const DATAGRAMS_BATCH: usize = 32;
/// How long a graceful stop waits for the store and what it holds back.
const STOP_WAIT: Duration = Duration::from_secs(5);
/// How long it waits for answers to NOTIFYs: those still due after this were lost, and are the restart's business.
const STOP_ANSWERS_WAIT: Duration = Duration::from_secs(1);

/// How an engine came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was asked to.
    Stopped,
    /// Another process goes on with its sockets.
    HandedOver,
}

/// What the engine drives: `lampyris_core::node::Node`, or a double in tests. The methods are the node's.
pub trait Core: Send {
    /// Takes back a stored record, before the first input.
    fn restore(&mut self, now: Now, key: Key, value: Value);
    /// A stream of the process before is ours now, and open; before any record.
    fn inherit(
        &mut self,
        now: Now,
        id: StreamId,
        transport: Transport,
        listener: ListenerId,
        remote: SocketAddr,
    );
    /// Says that all records were given back, and whether the process before ended by itself.
    fn restored(&mut self, now: Now, clean: bool);
    /// Something happened.
    fn handle_input(&mut self, now: Now, input: Input);
    /// An administrator asks.
    fn handle_command(&mut self, now: Now, command: Command) -> Reply;
    /// Whether the peer of a flow has shown who it is, and comes first where not everything can be done.
    fn knows(&self, flow: Flow) -> bool;
    /// What to do next; `Output::Timeout` ends a drain.
    fn poll_output(&mut self, now: Now) -> Output;
}

/// Everything an engine is made of; the node has taken back its records.
pub(crate) struct Engine<C> {
    pub(crate) core: C,
    pub(crate) clock: Clock,
    pub(crate) poll: Poll,
    pub(crate) inbox: Inbox,
    pub(crate) journal: Box<dyn Journal>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) resolver: Resolver,
    pub(crate) wire: Wire,
    /// Where the store is; without one, nobody can take over.
    pub(crate) place: Option<StorePlace>,
    pub(crate) state: State,
}

/// What changes while it runs, beside the node.
#[derive(Default)]
pub(crate) struct State {
    hold: Hold,
    report: Report,
    buffers: Buffers,
    deadline: Instant,
    turns: Turns,
    /// Inputs that came of carrying out outputs; they are handled when the drain is over.
    consequences: VecDeque<Input>,
    /// Streams to let go of once nothing of theirs waits for the store, and whether the peer has let go already.
    closing: BTreeMap<Flow, bool>,
    undecided: u64,
    /// The newest ticket given to the store.
    submitted: Option<Ticket>,
    /// Answers to commands that wait for what they changed to be durable.
    replies: VecDeque<(Ticket, Reply, oneshot::Sender<Reply>)>,
    inbox_left: bool,
    keepalives: u64,
    received: u64,
    stop_by: Option<std::time::Instant>,
    intake: Intake,
    memory: Memory,
    /// What the node was told last of how much there is to do.
    load: Load,
    hits: Arc<Hits>,
    /// The handover that is asked for.
    relief: Option<Relief>,
    /// What came while it was not known who has the store.
    deferred: VecDeque<Happening>,
}

impl State {
    /// The state at the start, with the shell's own limits.
    pub(crate) fn new(quotas: &Quotas, hits: Arc<Hits>) -> Self {
        let memory = Memory::new(quotas.memory_mib);
        Self { hold: Hold::new(hits.clone()), memory, hits, ..Self::default() }
    }
}

impl<C: Core> Engine<C> {
    /// Runs until a graceful stop is over, and closes the store; or until another process has taken over.
    ///
    /// # Errors
    /// Waiting for events failed, or the store could not be synced at the end.
    pub(crate) fn run(mut self) -> anyhow::Result<End> {
        let mut events = Events::with_capacity(64);
        self.drain(self.clock.now());
        loop {
            self.wire.flush();
            self.journal.flush();
            if self.is_stopped() {
                break;
            }
            if let Some(relief) = self.state.relief.take()
                && self.be_relieved(relief)?
            {
                // Why: closing would tell the peers, and the connections go on elsewhere. The process is about to end.
                std::mem::forget(self);
                return Ok(End::HandedOver);
            }
            let wait = self.wait();
            if !wait.is_zero() {
                self.state.turns.end();
            }
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            self.state.turns.begin();
            self.note(&events);
            self.receive_datagrams();
            self.take_datagrams();
            self.take_inbox();
            if self.clock.now().mono >= self.state.deadline {
                self.input(Input::Timeout);
            }
        }
        // Why: it tells whoever was to be told in a turn to come.
        self.command(Command::Leave);
        self.wire.flush();
        self.journal.close()?;
        Ok(End::Stopped)
    }

    /// Takes note of what epoll says; it says each thing once.
    fn note(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                WAKER => self.state.inbox_left = true,
                Token(at) => self.wire.on_udp_event(at, event),
            }
        }
    }

    fn wait(&self) -> Duration {
        if self.state.inbox_left || !self.state.intake.is_empty() || self.wire.is_busy() {
            return Duration::ZERO;
        }
        let wait = self.clock.until(self.state.deadline);
        // Why: while stopping, the node may have nothing planned, but the end of patience must be noticed.
        if self.state.stop_by.is_some() { wait.min(Duration::from_millis(20)) } else { wait }
    }

    /// Reads what has come into the intake, where it is chosen what is handled first.
    fn receive_datagrams(&mut self) {
        let now = self.clock.now().mono;
        let others = self.inbox.waiting();
        let State { intake, received, keepalives, buffers, hits, .. } = &mut self.state;
        for listener in &mut self.wire.udp {
            let id = listener.id();
            for batch in 0..READ_BATCHES {
                if batch >= READ_BATCHES_CROWDED && intake.known_waiting() >= CROWD {
                    break;
                }
                listener.receive(buffers, |remote, bytes| {
                    *received += 1;
                    if udp::is_keepalive(bytes) {
                        *keepalives += 1;
                    } else {
                        let flow = Flow::Udp { listener: id, remote };
                        intake.put(flow, bytes, self.core.knows(flow), now, others);
                    }
                });
                if !listener.is_readable() {
                    break;
                }
            }
        }
        (0..intake.take_dropped()).for_each(|_| hits.add(Limit::Queue));
    }

    fn take_datagrams(&mut self) {
        for _ in 0..DATAGRAMS_BATCH {
            let now = self.clock.now();
            let taken = self.state.intake.take(now.mono);
            (0..self.state.intake.take_dropped()).for_each(|_| self.state.hits.add(Limit::Queue));
            let Some((flow, bytes, waited)) = taken else { return };
            self.state.turns.found();
            self.wire.tap(Direction::Received, flow, &bytes);
            self.tell_load(now, waited);
            let message = Message::parse(bytes);
            let span = tracer::received(flow, &message);
            span.in_scope(|| self.input_at(now, Input::Received { flow, message }));
        }
    }

    /// Tells the node how long what comes next has waited, where that is news.
    fn tell_load(&mut self, now: Now, waited: Duration) {
        let load = Load { waited, memory_full: self.state.memory.is_full(now.mono) };
        if load != self.state.load {
            self.state.load = load;
            self.core.handle_input(now, Input::Load(load));
        }
    }

    fn take_inbox(&mut self) {
        if !self.state.inbox_left {
            return;
        }
        self.inbox.hush();
        for _ in 0..INBOX_BATCH {
            match self.inbox.take() {
                Some(happening) => {
                    self.state.turns.found();
                    self.on_happening(happening);
                }
                None => {
                    self.state.inbox_left = false;
                    return;
                }
            }
        }
    }

    fn on_happening(&mut self, happening: Happening) {
        match happening {
            Happening::Opened { id, transport, listener, remote, writer } => {
                if let Some(writer) = writer {
                    self.wire.add_stream(id, transport, remote, writer);
                }
                self.input(Input::FlowOpened { id, transport, listener, remote });
            }
            Happening::Proved { id, names } => self.input(Input::FlowProved { id, names }),
            Happening::Received { id, remote, bytes, message, at, permit } => {
                let flow = Flow::Stream { id, remote };
                self.wire.tap(Direction::Received, flow, &bytes);
                let now = self.clock.now();
                let behind = self.state.intake.waiting() + self.inbox.waiting();
                self.tell_load(now, intake::noted(at.elapsed(), behind));
                let span = tracer::received(flow, &message);
                span.in_scope(|| self.input_at(now, Input::Received { flow, message: *message }));
                drop(permit);
            }
            Happening::Closed { id } => {
                // Why: a peer that only ends its own side still wants the answers that wait for the store.
                match self.wire.flow_of(id) {
                    Some(flow) if !self.state.hold.is_free(flow) => {
                        self.state.closing.insert(flow, true);
                    }
                    _ => self.wire.remove_stream(id),
                }
                self.input(Input::FlowClosed { id });
            }
            Happening::Unblocked { id } => self.input(Input::FlowUnblocked { id }),
            Happening::Resolved { query, answer } => self.input(Input::Resolved { query, answer }),
            Happening::Decided(decisions) => {
                let now = self.clock.now();
                for (ticket, result) in decisions {
                    self.state.undecided = self.state.undecided.saturating_sub(1);
                    let wire = &mut self.wire;
                    self.state.hold.decide(ticket, result.is_ok(), &mut |flow, bytes| wire.send(flow, bytes));
                    self.reply_after(ticket, result.as_ref().err());
                    self.input_at(now, Input::Persisted(ticket, result));
                }
                let hold = &self.state.hold;
                let wire = &mut self.wire;
                self.state.closing.retain(|flow, gone| {
                    let wait = !hold.is_free(*flow);
                    match (flow, wait, &gone) {
                        (Flow::Stream { id, .. }, false, true) => wire.remove_stream(*id),
                        (_, false, false) => wire.close(*flow),
                        _ => {}
                    }
                    wait
                });
            }
            Happening::Command(command, answer) => {
                let before = self.state.submitted;
                let mut reply = self.command(command);
                match &mut reply {
                    Reply::Limits(rows) => self.state.hits.add_to(rows),
                    Reply::Metrics(metrics) => self.state.hits.add_to_samples(&mut metrics.limits),
                    _ => {}
                }
                if let Some(ticket) = self.state.submitted.filter(|_| self.state.submitted != before) {
                    // Why: what an administrator was told is done is still done after a power failure.
                    self.state.replies.push_back((ticket, reply, answer));
                } else {
                    // The administrator may be gone; the command is carried out all the same.
                    let _ = answer.send(reply);
                }
            }
            Happening::Snapshot(command, answer) => {
                let reply = self.command(command);
                let _ = answer.send((self.wire.taps.told(), reply));
            }
            Happening::Tap(tap) => self.wire.taps.add(tap),
            Happening::Feed(feed) => self.wire.taps.feed(feed),
            Happening::DebugOff(answer) => {
                let _ = answer.send(self.wire.taps.end_messages());
            }
            Happening::Counters(answer) => {
                let _ = answer.send(self.counters());
            }
            Happening::Relieve(relief) => self.state.relief = Some(relief),
            Happening::Stop => {
                if self.state.stop_by.is_none() {
                    self.state.stop_by = Some(std::time::Instant::now() + STOP_WAIT);
                    tracing::info!("stopping");
                    systemd::notify(Notice::Stopping);
                    self.command(Command::Stop);
                }
            }
        }
        self.handle_consequences();
    }

    /// Answers the administrators whose commands are decided up to this ticket.
    fn reply_after(&mut self, ticket: Ticket, error: Option<&StoreError>) {
        while let Some((_, reply, answer)) = self.state.replies.pop_front_if(|(last, ..)| *last <= ticket) {
            let refused =
                error.map(|error| Reply::Refused { reason: format!("{NOT_STORED}{}", error.reason) });
            let _ = answer.send(refused.unwrap_or(reply));
        }
    }

    fn command(&mut self, command: Command) -> Reply {
        let now = self.clock.now();
        let reply = self.core.handle_command(now, command);
        self.drain(now);
        reply
    }

    fn input(&mut self, input: Input) {
        self.input_at(self.clock.now(), input);
    }

    /// One mutation and the drain after it.
    fn input_at(&mut self, now: Now, input: Input) {
        self.core.handle_input(now, input);
        self.drain(now);
        self.handle_consequences();
    }

    fn handle_consequences(&mut self) {
        while let Some(input) = self.state.consequences.pop_front() {
            let now = self.clock.now();
            self.core.handle_input(now, input);
            self.drain(now);
        }
    }

    fn drain(&mut self, now: Now) {
        let state = &mut self.state;
        loop {
            match self.core.poll_output(now) {
                Output::Transmit { flow, bytes, after } => {
                    // Why: a stream of an earlier process, or one closed meanwhile; the node learns it and goes elsewhere.
                    if let Flow::Stream { id, .. } = flow
                        && !self.wire.has_stream(id)
                    {
                        self.wire.stream_failed();
                        state.consequences.push_back(Input::FlowClosed { id });
                        continue;
                    }
                    tracer::sent(&bytes);
                    let wire = &mut self.wire;
                    state.hold.offer(flow, bytes, after, &mut |flow, bytes| wire.send(flow, bytes));
                }
                Output::Close { id } => {
                    if let Some(flow) = self.wire.flow_of(id) {
                        if state.hold.is_free(flow) {
                            self.wire.close(flow);
                        } else {
                            state.closing.entry(flow).or_insert(false);
                        }
                    }
                }
                Output::Connect { id, transport, listener, remote, name } => {
                    let writer = self.streams.connect(id, transport, listener, remote, &name);
                    self.wire.add_stream(id, transport, remote, writer);
                }
                Output::Resolve { query, question } => self.resolver.ask(query, question),
                Output::Persist(ticket, record) => {
                    state.undecided += 1;
                    state.submitted = Some(ticket);
                    self.journal.submit(ticket, record);
                }
                // There is no bus yet: a node alone has nobody to tell.
                Output::SendPeer(..) => {}
                Output::Event(event) => {
                    state.report.event(&event);
                    self.wire.taps.event(now.wall.as_millis(), event);
                }
                Output::Timeout(at) => {
                    state.deadline = at;
                    let blocked = self.wire.blocked.drain(..);
                    state.consequences.extend(blocked.map(|id| Input::FlowBlocked { id }));
                    return;
                }
            }
        }
    }

    /// Whether a stop was asked for and is over: all has left and is stored, or patience has ended.
    fn is_stopped(&mut self) -> bool {
        let Some(stop_by) = self.state.stop_by else { return false };
        let now = std::time::Instant::now();
        let quiet = self.state.undecided == 0 && self.state.hold.messages() == 0 && self.wire.is_drained();
        if quiet && (now + STOP_WAIT >= stop_by + STOP_ANSWERS_WAIT || self.unanswered() == 0) {
            return true;
        }
        let late = now >= stop_by;
        if late {
            tracing::warn!(
                undecided = self.state.undecided,
                held = self.state.hold.messages(),
                "stopping although not everything is stored"
            );
        }
        late
    }

    /// NOTIFYs that were sent and not answered yet.
    fn unanswered(&mut self) -> u64 {
        match self.core.handle_command(self.clock.now(), Command::Status) {
            // Why: server transactions linger to absorb retransmissions (RFC 3261 §17.2.2); nobody waits for those.
            Reply::Status(status) if status.transactions > 0 => {
                status.notifies.saturating_sub(status.notifies_ok + status.notifies_failed)
            }
            _ => 0,
        }
    }

    fn counters(&self) -> Counters {
        let written = self.journal.written();
        Counters {
            udp_received: self.state.received,
            udp_keepalives: self.state.keepalives,
            held_dropped: self.state.hold.dropped(),
            held: self.state.hold.messages(),
            records_stored: written.records,
            records_failed: written.failed,
            commits: written.commits,
            store_latency: written.latency,
            datagrams_waiting: self.state.intake.waiting() as u64,
            inbox_waiting: self.inbox.waiting() as u64,
            ..self.wire.counters()
        }
    }
}
