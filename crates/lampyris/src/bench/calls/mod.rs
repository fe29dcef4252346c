//! Calls as load: INVITE, 180, 200, ACK, BYE, 200 through a proxy, both ends simulated here.
//!
//! In: how many calls. Out: messages, and a [`Tally`]; an operation is a call, its latency that from INVITE to 200. The
//! callees register first, each on its flow. Checked are that every call reaches its callee once, is acknowledged and ends
//! once (RFC 3261 §13, §15). There is no media: the session descriptions are the least that RFC 8866 allows.

mod callee;
mod caller;

use super::account::Account;
use super::driver::Load;
use super::limits::{GIVEN_UP_AFTER, T1};
use super::requests::Requests;
use super::scan::Heard;
use super::tally::Tally;
use super::wire::Wire;
use super::write::Pen;
use super::{BenchError, Target};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Every callee registers.
    Register,
    /// Every callee ends its registration.
    Unregister,
    /// Calls, each to the next callee.
    Call,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Register(usize),
    Invite(u32),
    Bye(u32),
}

/// A request's purpose, and how often it was challenged.
#[derive(Clone, Copy, Debug)]
struct Purpose {
    what: What,
    challenged: u8,
}

/// One call, as both of its ends see it.
struct Call {
    flow: usize,
    callee: usize,
    /// The caller's CSeq.
    cseq: u32,
    intended: Instant,
    began: Instant,
    /// From the 200: where ACK and BYE go, and by which routes.
    target: Vec<u8>,
    routes: Vec<u8>,
    tag: Vec<u8>,
    /// Whether the caller has its 200.
    up: bool,
    /// The caller's INVITE that was answered, for ACKs that repeat.
    acknowledged: Option<Bytes>,
    /// What the callee answered, and when it says so again.
    answer: Option<(usize, Bytes, Instant)>,
    /// The callee's INVITE, by the proxy's branch.
    branch: Vec<u8>,
    /// Whether the callee has its ACK, and its BYE.
    confirmed: bool,
    bye_branch: Vec<u8>,
    /// Whether the caller's BYE was answered.
    ended: bool,
}

/// The world of callers and callees.
pub(crate) struct Calls {
    pen: Pen,
    account: Option<Account>,
    presentity: String,
    callees: usize,
    hold: Duration,
    locals: Vec<SocketAddr>,
    open: BTreeMap<u32, Call>,
    /// Calls that are up, by when they end.
    held: VecDeque<(Instant, u32)>,
    next: u32,
    registered: usize,
    requests: Requests<Purpose>,
    outbox: Vec<(usize, Bytes)>,
    repeats: bool,
    part: Part,
    tally: Tally,
    /// Answers the callees sent again.
    again: u64,
}

impl Calls {
    /// No calls yet.
    pub(crate) fn new(
        target: &Target,
        wire: &dyn Wire,
        account: Option<Account>,
        (presentity, callees): (&str, usize),
        hold: Duration,
        run: u32,
    ) -> Result<Self, BenchError> {
        let transport = target.server.transport;
        let repeats = transport == lampyris_core::flow::Transport::Udp;
        Ok(Self {
            pen: Pen::new(run, &target.domain, transport.via(), transport.param()),
            account,
            presentity: presentity.to_owned(),
            callees: callees.max(1),
            hold,
            locals: (0..wire.flows()).map(|flow| wire.local(flow)).collect(),
            open: BTreeMap::new(),
            held: VecDeque::new(),
            next: 0,
            registered: 0,
            requests: Requests::new(repeats),
            outbox: Vec::new(),
            repeats,
            part: Part::Register,
            tally: Tally::new()?,
            again: 0,
        })
    }

    /// Begins a part, with its own counts.
    pub(crate) fn begin(&mut self, part: Part) -> Result<(), BenchError> {
        (self.part, self.registered) = (part, 0);
        self.tally = Tally::new()?;
        (self.requests.again, self.again) = (0, 0);
        Ok(())
    }

    /// The counts of the part, and how many messages were sent again.
    pub(crate) fn counts(&self) -> (Tally, u64) {
        (self.tally.clone(), self.requests.again + self.again)
    }

    /// Forgets a call that has come to its end at both sides.
    fn close(&mut self, number: u32) {
        if self.open.get(&number).is_some_and(|call| call.ended && call.confirmed) {
            self.open.remove(&number);
        }
    }

    fn local(&self, flow: usize) -> SocketAddr {
        self.locals.get(flow).copied().unwrap_or_else(|| ([127, 0, 0, 1], 0).into())
    }
}

impl Load for Calls {
    fn start(&mut self, intended: Instant, now: Instant) -> bool {
        match self.part {
            Part::Register | Part::Unregister => {
                let what = What::Register(self.registered);
                self.registered += 1;
                self.send(Purpose { what, challenged: 0 }, "", (intended, now));
            }
            Part::Call => self.call(intended, now),
        }
        true
    }

    fn on_message(&mut self, flow: usize, bytes: &[u8], now: Instant) {
        let Some(heard) = Heard::read(bytes) else {
            self.tally.faults.unreadable += u64::from(!bytes.trim_ascii().is_empty());
            return;
        };
        match heard.status {
            Some(status) => self.on_answer(status, &heard, bytes, now),
            None => self.on_request(flow, &heard, now),
        }
    }

    fn on_tick(&mut self, now: Instant) {
        for number in self.requests.tick(now, &mut self.outbox) {
            self.failed(number, "timeout");
        }
        while let Some((_, number)) = self.held.pop_front_if(|(until, _)| *until <= now) {
            self.hang_up(number, now);
        }
        let mut lost = Vec::new();
        for (number, call) in &mut self.open {
            if now.saturating_duration_since(call.began) > self.hold + 2 * GIVEN_UP_AFTER {
                lost.push(*number);
            } else if let (true, false, Some((flow, answer, again_at))) =
                (self.repeats, call.confirmed, &mut call.answer)
                && now >= *again_at
            {
                // RFC 3261 §13.3.1.4: a 2xx goes again until its ACK comes.
                *again_at = now + T1;
                self.again += 1;
                self.outbox.push((*flow, answer.clone()));
            }
        }
        for number in lost {
            self.open.remove(&number);
            self.tally.faults.missing += 1;
        }
    }

    fn open(&self) -> usize {
        match self.part {
            Part::Register | Part::Unregister => self.requests.open(),
            Part::Call => self.open.len(),
        }
    }

    fn finished(&self) -> u64 {
        self.tally.operations.count() + self.tally.failures()
    }

    fn outbox(&mut self) -> &mut Vec<(usize, Bytes)> {
        &mut self.outbox
    }
}
