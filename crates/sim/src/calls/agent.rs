//! The call-making half of a phone: its legs, and what its user does with them, at random from its seed.
//!
//! In: wishes of a deed, messages (`incoming`, `answers`), the time. Out: messages to send. Every leg ends by itself: who
//! calls gives up at last, who rings stops ringing, and who talks hangs up.

use super::requests::{Client, Server};
use crate::phone::Account;
use bytes::Bytes;
use lampyris_core::rng::Rng;
use lampyris_core::time::Instant;
use lampyris_sip::Message;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How long a ringing phone rings when nobody cares.
const RINGS_MAX: Duration = Duration::from_secs(240);
/// How long what is over is remembered, for what comes late: 64*T1 and a little.
const REMEMBERED: Duration = Duration::from_secs(40);
/// RFC 3261 §14.1, §15: who answered asks for nothing before the ACK; it looks again so much later.
const ACK_LATER: Duration = Duration::from_millis(200);
/// Most legs that a phone has at once; it is busy for one more.
pub(super) const LEGS_MAX: usize = 3;

/// How far a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Its INVITE is out, or has come and does not ring yet.
    Inviting,
    /// It rings.
    Ringing,
    /// It is answered.
    Up,
    /// It is over, and remembered for what comes late.
    Over,
}

/// Whether a caller has called its INVITE off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    No,
    Wanted,
    Sent,
}

/// One dialog of a phone, or what may become one.
pub(crate) struct Leg {
    pub(crate) call_id: String,
    pub(crate) state: State,
    pub(crate) is_caller: bool,
    /// Whether this phone holds the call.
    pub(crate) holds: bool,
    pub(super) local_tag: String,
    pub(super) remote_tag: String,
    pub(super) remote: String,
    pub(super) target: String,
    pub(super) routes: Vec<String>,
    pub(super) cseq: u32,
    pub(super) remote_cseq: u32,
    /// The branch of the INVITE that began it.
    pub(super) invite: String,
    pub(super) cancel: Cancel,
    pub(super) acks: BTreeMap<u32, Bytes>,
    /// The leg whose other side asked for this one (REFER).
    pub(super) referred_by: Option<u64>,
    /// Header lines of its INVITE.
    pub(super) added: Vec<(&'static str, String)>,
    pub(super) challenges: u32,
    /// The direction of the offer under way.
    pub(super) offers: Option<bool>,
}

/// What a user does, or a phone by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Ring,
    Answer,
    Refuse(u16),
    Cancel,
    HangUp,
    Hold(bool),
    Transfer,
    Forget,
}

/// What phones have done, for reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// INVITEs that began a call.
    pub placed: u64,
    /// Calls that a caller saw answered.
    pub answered: u64,
    /// Calls called off.
    pub cancelled: u64,
    /// Re-INVITEs that were answered.
    pub holds: u64,
    /// REFERs that were accepted.
    pub transfers: u64,
    /// INVITEs with Replaces that were taken.
    pub replaced: u64,
}

impl Tally {
    /// Adds another's.
    pub fn add(&mut self, other: Self) {
        self.placed += other.placed;
        self.answered += other.answered;
        self.cancelled += other.cancelled;
        self.holds += other.holds;
        self.transfers += other.transfers;
        self.replaced += other.replaced;
    }
}

/// A phone as it makes calls.
pub(crate) struct Agent {
    pub(super) account: Account,
    pub(super) office: u64,
    /// It says that it knows Replaces.
    pub(super) takes_over: bool,
    pub(crate) legs: BTreeMap<u64, Leg>,
    pub(super) clients: BTreeMap<(String, &'static str), Client>,
    pub(super) servers: BTreeMap<(String, String), Server>,
    acts: BTreeMap<(Instant, u64), (u64, Act)>,
    pub(super) challenge: Option<(Message, u32)>,
    pub(super) out: VecDeque<Bytes>,
    /// Calls whose 2xx nobody acknowledged.
    pub(crate) unacknowledged: Vec<String>,
    /// Calls stay up until they are ended from outside.
    pub(crate) talks_on: bool,
    pub(crate) tally: Tally,
    pub(super) rng: Rng,
    serial: u64,
}

impl Agent {
    /// A phone of an office with so many extensions.
    pub(crate) fn new(account: Account, office: u64, mut rng: Rng) -> Self {
        let takes_over = rng.below(2) == 0;
        Self {
            account,
            office,
            takes_over,
            legs: BTreeMap::new(),
            clients: BTreeMap::new(),
            servers: BTreeMap::new(),
            acts: BTreeMap::new(),
            challenge: None,
            out: VecDeque::new(),
            unacknowledged: Vec::new(),
            talks_on: false,
            tally: Tally::default(),
            rng,
            serial: 0,
        }
    }

    /// Without power nothing is sent.
    pub(crate) fn out_of_power(&mut self) {
        self.out.clear();
    }

    /// The phone lost its power: it knows of no call.
    pub(crate) fn forget(&mut self) {
        self.legs.clear();
        self.clients.clear();
        self.servers.clear();
        self.acts.clear();
        self.out.clear();
    }

    pub(super) fn token(&mut self, what: &str) -> String {
        self.serial += 1;
        format!("{what}-{}-{}", self.account.name, self.serial)
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.rng.below(100) < percent
    }

    pub(super) fn between(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_millis(from_ms + self.rng.below(to_ms - from_ms))
    }

    pub(super) fn plan(&mut self, at: Instant, leg: u64, act: Act) {
        self.serial += 1;
        self.acts.insert((at, self.serial), (leg, act));
    }

    pub(super) fn insert(&mut self, leg: Leg) -> u64 {
        self.serial += 1;
        self.legs.insert(self.serial, leg);
        self.serial
    }

    /// Legs that are not over.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Leg> {
        self.legs.values().filter(|leg| leg.state != State::Over)
    }

    /// Calls what was dialled.
    pub(crate) fn place(&mut self, now: Instant, dialled: &str) {
        self.call(now, dialled, Vec::new(), None);
    }

    /// Whether it has as many legs as it can have.
    pub(crate) fn is_full(&self) -> bool {
        self.live().count() >= LEGS_MAX
    }

    pub(super) fn call(
        &mut self,
        now: Instant,
        dialled: &str,
        added: Vec<(&'static str, String)>,
        referred_by: Option<u64>,
    ) {
        let uri = format!("sip:{dialled}@example.com");
        let leg = Leg {
            call_id: self.token("talk"),
            state: State::Inviting,
            is_caller: true,
            holds: false,
            local_tag: self.token("a"),
            remote_tag: String::new(),
            remote: uri.clone(),
            target: uri,
            routes: Vec::new(),
            cseq: 0,
            remote_cseq: 0,
            invite: String::new(),
            cancel: Cancel::No,
            acks: BTreeMap::new(),
            referred_by,
            added,
            challenges: 0,
            offers: None,
        };
        self.tally.placed += 1;
        let leg = self.insert(leg);
        self.invite(now, leg);
        let patience = match self.rng.below(100) {
            0..15 => self.between(50, 3_000),
            15..97 => self.between(15_000, 60_000),
            _ => Duration::from_secs(400),
        };
        self.plan(now + patience, leg, Act::Cancel);
    }

    /// A leg was answered: what its user will do with it.
    pub(super) fn is_up(&mut self, now: Instant, leg: u64) {
        let talk = if self.chance(3) { self.between(60_000, 600_000) } else { self.between(500, 40_000) };
        if self.chance(25) {
            let hold = self.between(300, 8_000);
            let resume = hold + self.between(200, 8_000);
            self.plan(now + hold, leg, Act::Hold(true));
            if self.chance(70) {
                self.plan(now + resume, leg, Act::Hold(false));
            }
        }
        if self.chance(8) {
            let wait = self.between(500, 9_000);
            self.plan(now + wait, leg, Act::Transfer);
        }
        if !self.talks_on {
            self.plan(now + talk, leg, Act::HangUp);
        }
    }

    /// A leg is over.
    pub(super) fn is_over(&mut self, now: Instant, id: u64) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.state != State::Over) else { return };
        leg.state = State::Over;
        self.plan(now + REMEMBERED, id, Act::Forget);
    }

    /// Everybody hangs up.
    pub(crate) fn hang_up_all(&mut self, now: Instant) {
        let all: Vec<_> = self.legs.keys().copied().collect();
        for leg in all {
            self.act(now, leg, Act::HangUp);
        }
    }

    fn act(&mut self, now: Instant, id: u64, act: Act) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let (state, is_caller) = (leg.state, leg.is_caller);
        let asks = matches!(act, Act::HangUp | Act::Hold(_) | Act::Transfer);
        if asks && state == State::Up && self.awaits_ack(id) {
            return self.plan(now + ACK_LATER, id, act);
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        match (act, state) {
            (Act::Forget, _) => _ = self.legs.remove(&id),
            (_, State::Over) => {}
            (Act::Ring, State::Inviting) if !is_caller => {
                leg.state = State::Ringing;
                self.answer_invite(now, id, 180);
                self.plan(now + RINGS_MAX, id, Act::Refuse(480));
            }
            (Act::Answer, State::Inviting | State::Ringing) if !is_caller => {
                leg.state = State::Up;
                self.answer_invite(now, id, 200);
                self.is_up(now, id);
            }
            (Act::Refuse(status), State::Inviting | State::Ringing) if !is_caller => {
                self.answer_invite(now, id, status);
                self.is_over(now, id);
            }
            (Act::HangUp, State::Inviting | State::Ringing) if !is_caller => {
                self.answer_invite(now, id, 486);
                self.is_over(now, id);
            }
            (Act::Cancel | Act::HangUp, State::Inviting | State::Ringing) if is_caller => {
                self.cancel(now, id);
            }
            (Act::HangUp, State::Up) => self.hang_up(now, id),
            (Act::Hold(on), State::Up) => {
                let busy = leg.offers.is_some();
                if !busy && leg.holds != on {
                    leg.offers = Some(on);
                    self.reinvite(now, id);
                }
            }
            (Act::Transfer, State::Up) => self.transfer(now, id),
            _ => {}
        }
    }

    /// Sends the other side of a leg on: to the other side of another leg where there is one, else to an extension.
    fn transfer(&mut self, now: Instant, id: u64) {
        let other = self.legs.iter().find(|(key, leg)| **key != id && leg.state == State::Up);
        let to = match other.filter(|(_, leg)| leg.remote.contains("@example.com")) {
            // RFC 5589 §7.3: Replaces names the dialog as the transfer target sees it.
            Some((_, leg)) => format!(
                "<{}?Replaces={}%3Bto-tag%3D{}%3Bfrom-tag%3D{}>",
                leg.remote, leg.call_id, leg.remote_tag, leg.local_tag
            ),
            None => format!("<sip:50{:02}@example.com>", self.rng.below(self.office)),
        };
        self.refer(now, id, &to);
    }

    /// When [`Self::tick`] has something to do.
    pub(crate) fn next(&self) -> Option<Instant> {
        let clients = self.clients.values().filter_map(|client| client.due);
        let servers = self.servers.values().filter_map(|server| server.due);
        let act = self.acts.first_key_value().map(|((at, _), _)| *at);
        clients.chain(servers).chain(act).min()
    }

    /// The next message to send.
    pub(crate) fn poll(&mut self) -> Option<Bytes> {
        self.out.pop_front()
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.tick_clients(now);
        self.tick_servers(now);
        while let Some(first) = self.acts.first_entry().filter(|first| first.key().0 <= now) {
            let (leg, act) = first.remove();
            self.act(now, leg, act);
        }
    }
}
