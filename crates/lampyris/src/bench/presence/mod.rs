//! Watchers and presentities as load: SUBSCRIBE, refresh, PUBLISH, and the NOTIFYs that follow.
//!
//! In: which operations to make, and what the server sends. Out: messages, and a [`Tally`]. An operation is over when its
//! answer and every NOTIFY that it brings about have come. Each presentity has one publication and one change under way at
//! a time, since a change needs the entity-tag of the one before (RFC 3903 §4.1); so a server may join changes in one
//! NOTIFY, and no watcher may end up with an old one. Requests are in `ask`, what comes is judged in `hear`.

mod ask;
mod hear;
mod watcher;

use super::account::{Account, Nonce};
use super::driver::{Load, Shuffle};
use super::requests::Requests;
use super::tally::Tally;
use super::wire::Wire;
use super::write::Pen;
use super::{BenchError, Target};
use bytes::Bytes;
use memchr::memmem::Finder;
use std::net::SocketAddr;
use std::time::Instant;
use watcher::{Phase, Targets, Watcher};

/// What kind of operations come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// New subscriptions, spread evenly over so many presentities from `first` on.
    Subscribe { first: usize, presentities: usize },
    /// Refreshes of those there are: in the order they were made, or any.
    Refresh { random: bool },
    /// A first publication, or a change, of so many presentities from `first` on, in turn.
    Publish { first: usize, presentities: usize },
    /// Of ten operations five refreshes, three changes, one subscription that ends and one that begins.
    Mixed,
    /// The end of every subscription.
    End,
    /// Nothing: only what the server sends of itself is answered.
    Hold,
}

/// How the documents and subscriptions are to be.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Size of the published documents, in bytes, as far as their frame allows.
    pub(crate) body_bytes: usize,
    /// Seconds asked for.
    pub(crate) expires_s: u32,
    /// Presentities are called this and a number.
    pub(crate) presentity: String,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Subscribe(usize),
    Publish(usize),
}

/// A request's purpose, and how often it was challenged.
#[derive(Clone, Copy, Debug)]
struct Purpose {
    what: What,
    challenged: u8,
}

#[derive(Default)]
struct Presentity {
    watchers: Vec<u32>,
    etag: Vec<u8>,
    /// The change last sent, and that last accepted.
    version: u32,
    accepted: u32,
    /// The PUBLISH under way.
    request: Option<u64>,
    /// A document that was found right, and the change it tells of.
    right: (Vec<u8>, u32),
}

/// The world of watchers and presentities.
pub(crate) struct Presence {
    pen: Pen,
    shape: Shape,
    account: Option<Account>,
    /// One per flow: each phone counts under a nonce of its own.
    nonces: Vec<Option<Nonce>>,
    locals: Vec<SocketAddr>,
    watchers: Vec<Watcher>,
    presentities: Vec<Presentity>,
    targets: Targets,
    requests: Requests<Purpose>,
    outbox: Vec<(usize, Bytes)>,
    part: Part,
    cursor: usize,
    shuffle: Shuffle,
    /// What stands before the number of a change, and its finder.
    mark: Vec<u8>,
    finder: Finder<'static>,
    /// Bytes that fill a note up.
    fill_bytes: usize,
    lines: Vec<u8>,
    text: Vec<u8>,
    body: Vec<u8>,
    tally: Tally,
}

impl Presence {
    /// Nobody yet.
    pub(crate) fn new(
        target: &Target,
        wire: &dyn Wire,
        shape: Shape,
        account: Option<Account>,
        run: u32,
    ) -> Result<Self, BenchError> {
        let transport = target.server.transport;
        let pen = Pen::new(run, &target.domain, transport.via(), transport.param());
        let mut body = Vec::new();
        super::write::document(&mut body, &format!("{}0", shape.presentity), &target.domain, b"");
        Ok(Self {
            account,
            nonces: (0..wire.flows()).map(|_| None).collect(),
            locals: (0..wire.flows()).map(|flow| wire.local(flow)).collect(),
            watchers: Vec::new(),
            presentities: Vec::new(),
            targets: Targets::default(),
            requests: Requests::new(transport == lampyris_core::flow::Transport::Udp),
            outbox: Vec::new(),
            part: Part::Hold,
            cursor: 0,
            shuffle: Shuffle::default(),
            finder: Finder::new(&pen.mark()).into_owned(),
            mark: pen.mark(),
            pen,
            fill_bytes: shape.body_bytes.saturating_sub(body.len()),
            shape,
            lines: Vec::new(),
            text: Vec::new(),
            body,
            tally: Tally::new()?,
        })
    }

    /// Begins another part of the load, with its own counts.
    pub(crate) fn begin(&mut self, part: Part) -> Result<(), BenchError> {
        if let Part::Subscribe { first, presentities } | Part::Publish { first, presentities } = part {
            let last = first.saturating_add(presentities);
            while self.presentities.len() < last {
                self.presentities.push(Presentity::default());
            }
        }
        if part == Part::End {
            self.presentities.iter_mut().for_each(|presentity| presentity.watchers.clear());
        }
        (self.part, self.cursor) = (part, 0);
        self.tally = Tally::new()?;
        self.requests.again = 0;
        Ok(())
    }

    /// Subscriptions that are up.
    pub(crate) fn active(&self) -> usize {
        self.watchers.iter().filter(|watcher| watcher.phase == Phase::Active).count()
    }

    /// The counts of the part, and how many requests were sent again.
    pub(crate) fn counts(&self) -> (Tally, u64) {
        (self.tally.clone(), self.requests.again)
    }

    fn pick(&mut self) -> Option<What> {
        match self.part {
            Part::Subscribe { first, presentities } => {
                let presentity = first + self.step() % presentities.max(1);
                Some(What::Subscribe(self.newcomer(presentity)))
            }
            Part::Refresh { random } => self.idle_watcher(random).map(What::Subscribe),
            Part::Publish { first, presentities } => self.idle_presentity(first, presentities),
            Part::Mixed => match self.step() % 10 {
                0 => {
                    let presentity = self.shuffle.below(self.presentities.len());
                    Some(What::Subscribe(self.newcomer(presentity)))
                }
                5 => {
                    let watcher = self.idle_watcher(true)?;
                    self.leave(watcher);
                    Some(What::Subscribe(watcher))
                }
                2 | 4 | 7 => {
                    let first = self.shuffle.below(self.presentities.len());
                    self.idle_presentity(first, 1)
                }
                _ => self.idle_watcher(true).map(What::Subscribe),
            },
            Part::Hold => None,
            Part::End => {
                let watcher = self.idle_watcher(false)?;
                self.leave(watcher);
                Some(What::Subscribe(watcher))
            }
        }
    }

    fn step(&mut self) -> usize {
        let at = self.cursor;
        self.cursor = self.cursor.wrapping_add(1);
        at
    }

    fn newcomer(&mut self, presentity: usize) -> usize {
        let number = self.watchers.len();
        let flow = number % self.locals.len().max(1);
        self.watchers.push(Watcher {
            presentity: u32::try_from(presentity).unwrap_or(u32::MAX),
            flow: u32::try_from(flow).unwrap_or(u32::MAX),
            ..Watcher::default()
        });
        number
    }

    /// A watcher that is up and has nothing under way.
    fn idle_watcher(&mut self, random: bool) -> Option<usize> {
        let count = self.watchers.len();
        for _ in 0..count {
            let step = self.step();
            let at = if random { self.shuffle.below(count) } else { step % count };
            let idle = |watcher: &Watcher| watcher.phase == Phase::Active && watcher.request.is_none();
            if self.watchers.get(at).is_some_and(idle) {
                return Some(at);
            }
        }
        None
    }

    fn idle_presentity(&mut self, first: usize, count: usize) -> Option<What> {
        for _ in 0..count {
            let at = first + self.step() % count;
            if self.presentities.get(at).is_some_and(|presentity| presentity.request.is_none()) {
                return Some(What::Publish(at));
            }
        }
        None
    }

    /// Takes a watcher off its presentity's list: it is going.
    fn leave(&mut self, watcher: usize) {
        let Some(going) = self.watchers.get_mut(watcher) else { return };
        going.phase = Phase::Ending;
        let list = usize::try_from(going.presentity).ok().and_then(|at| self.presentities.get_mut(at));
        let Some(presentity) = list else { return };
        if let Some(at) = presentity.watchers.iter().position(|at| usize::try_from(*at) == Ok(watcher)) {
            presentity.watchers.swap_remove(at);
        }
        // Why: whether it is told of a change that is under way does not matter any more.
        if std::mem::take(&mut going.awaits) > 0 {
            going.credit = going.credit.saturating_add(1);
            let (request, now) = (presentity.request, Instant::now());
            self.told(request, now);
        }
    }
}

impl Load for Presence {
    fn start(&mut self, intended: Instant, now: Instant) -> bool {
        let Some(what) = self.pick() else { return false };
        self.send(Purpose { what, challenged: 0 }, "", (intended, now));
        true
    }

    fn on_message(&mut self, flow: usize, bytes: &[u8], now: Instant) {
        self.hear(flow, bytes, now);
    }

    fn on_tick(&mut self, now: Instant) {
        for number in self.requests.tick(now, &mut self.outbox) {
            self.failed(number, "timeout");
        }
    }

    fn open(&self) -> usize {
        self.requests.open()
    }

    fn finished(&self) -> u64 {
        self.tally.operations.count() + self.tally.failures()
    }

    fn outbox(&mut self) -> &mut Vec<(usize, Bytes)> {
        &mut self.outbox
    }
}
