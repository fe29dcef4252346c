//! One simulated world: a server with its store, phones, the network between them, and the clock they share.
//!
//! ```text
//! chaos  faults, quirks, deeds, crashes
//! calm   nothing goes wrong any more; phones refresh and subscribe again
//! check  each subscription's last document equals a fresh fetch; then once more after a crash
//! end    phones are switched off; when everything has expired nothing is left
//! ```

use crate::calls::agent::{Agent, Tally};
use crate::check::{Checks, comparable};
use crate::faults::{Fault, flood};
use crate::host::{Effect, Host};
use crate::network::{Arrival, Network, Weather};
use crate::phone::{Phone, Quirk};
use crate::store::Aftermath;
use crate::topology::{Crash, Deed, Topology, Wanted};
use bytes::Bytes;
use lampyris_core::command::{Command, Reply, Selector};
use lampyris_core::flow::{Flow, Listener, ListenerId, StreamId, Transport};
use lampyris_core::input::{DnsAnswer, Input};
use lampyris_core::journal::Kind;
use lampyris_core::rng::Rng;
use lampyris_core::time::{Instant, Now, UnixTime};
use lampyris_sip::Message;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

mod calls;

const START_MS: u64 = 1_795_252_533_000;
const UDP: ListenerId = ListenerId(0);
const TCP: ListenerId = ListenerId(1);
/// Where a life's number stands in the network's name of a stream that the server opened.
const LIFE: u32 = 40;
/// Long enough after the last fault for every phone to have refreshed or subscribed again, and for the server's longest
/// back-off (300 s) to be over.
const CALM: Duration = Duration::from_secs(800);
/// Long enough for everything granted (300 s) and every transaction to end.
const OVER: Duration = Duration::from_secs(800);
/// Changes of a lamp that flickers.
const FLICKERS: usize = 30;

/// What a world did, when nothing was wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages the server sent.
    pub sent: u64,
    /// NOTIFYs, without retransmissions.
    pub notifies: u64,
    /// Subscriptions compared with a fresh fetch.
    pub compared: usize,
    /// Crashes.
    pub crashes: usize,
    /// Steps until it was calm.
    pub steps: u64,
    /// What phones did about calls.
    pub calls: Tally,
}

/// A world.
pub struct World {
    now: Now,
    host: Host,
    network: Network,
    phones: Vec<Phone>,
    connections: Vec<Option<StreamId>>,
    checks: Checks,
    deeds: VecDeque<(Instant, Deed)>,
    crashes: Vec<(Crash, Duration)>,
    restart_at: Option<Instant>,
    crashed: usize,
    /// Steps so far, until it is calm.
    steps: u64,
    /// Nothing but crashes goes wrong, so a dialog that was there stays.
    keeps_dialogs: bool,
    /// Call-IDs of the dialogs that were there at a crash.
    dialogs: Vec<String>,
    /// It has calls.
    has_calls: bool,
    /// The last time that something broke.
    disturbed: Instant,
    /// Milliseconds that the wall clock is ahead of the right time.
    wall_ahead_ms: i64,
    /// The clock was set since the server started.
    clock_was_set: bool,
    /// Crashes do more than lose what was not durable.
    rough_crashes: bool,
    /// Timers that a server has of which nobody wants anything.
    timers_at_start: usize,
    rng: Rng,
    trace: bool,
}

/// Runs the world of a seed to its end.
///
/// # Errors
/// What was wrong, one line each.
pub fn run(seed: u64, wanted: Wanted, trace: bool) -> Result<Report, Vec<String>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = Rng::new(bytes);
    let topology = Topology::of(&mut rng, wanted);
    let mut world = World::new(topology, rng, trace);
    world.has_calls = wanted.calls > 0;
    world.report()
}

/// Runs a world where Alice watches Bob and the server is killed after `step` steps: her dialog goes on.
///
/// # Errors
/// What was wrong, one line each.
pub fn run_alice_and_bob(step: u64, trace: bool) -> Result<Report, Vec<String>> {
    let mut world = World::new(Topology::of_alice_and_bob(step), Rng::new([7; 32]), trace);
    world.keeps_dialogs = true;
    world.report()
}

fn fork(rng: &mut Rng) -> Rng {
    let mut seed = [0; 32];
    seed.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&rng.next_u64().to_le_bytes()));
    Rng::new(seed)
}

impl World {
    fn new(topology: Topology, mut rng: Rng, trace: bool) -> Self {
        let now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(START_MS) };
        let server = SocketAddr::from(([192, 0, 2, 100], 5060));
        let listener =
            |id, transport| Listener { id, transport, local: server, advertised: server, names: Vec::new() };
        let listeners = vec![listener(UDP, Transport::Udp), listener(TCP, Transport::Tcp)];
        let notify_max_rate = topology.settings.notify_max_rate.any;
        let mut host = Host::new(Arc::new(topology.settings), listeners, rng.next_u64(), now);
        host.store.commit_takes = topology.commit_takes;
        host.store.errors_at = topology.store_errors;
        let office = topology.phones.len() as u64;
        let phones: Vec<_> = topology
            .phones
            .into_iter()
            .map(|(account, quirk)| {
                let calls = Agent::new(account.clone(), office, fork(&mut rng));
                Phone::new(account, quirk, topology.expires_s, fork(&mut rng), calls)
            })
            .collect();
        let mut deeds: VecDeque<_> =
            topology.deeds.into_iter().map(|(at, deed)| (now.mono + at, deed)).collect();
        // The end of chaos is the last deed: see `live`.
        deeds.push_back((now.mono + topology.chaos, Deed::Nudge));
        let mut network = Network::new(topology.weather, fork(&mut rng));
        let connections = vec![None; phones.len()];
        let (mut checks, crashes) = (Checks::new(notify_max_rate), topology.crashes);
        for phone in &phones {
            if let Quirk::SlowReader(time) = phone.quirk {
                network.slow.insert(phone.account.address, time);
            }
            if phone.account.is_stranger {
                checks.promises.strangers.insert(phone.account.address);
            }
        }
        let mut world = Self {
            now,
            host,
            network,
            phones,
            connections,
            checks,
            deeds,
            crashes,
            restart_at: None,
            crashed: 0,
            steps: 0,
            keeps_dialogs: false,
            dialogs: Vec::new(),
            has_calls: false,
            disturbed: now.mono,
            wall_ahead_ms: 0,
            clock_was_set: false,
            rough_crashes: topology.rough_crashes,
            timers_at_start: 0,
            rng: fork(&mut rng),
            trace,
        };
        if let Some(Reply::Status(status)) = world.host.command(now, Command::Status) {
            world.timers_at_start = status.timers;
        }
        if trace {
            let quirks: Vec<_> =
                world.phones.iter().map(|phone| (&phone.account.name, phone.quirk)).collect();
            let weather = world.network.weather;
            let crashes = world.crashes.clone();
            world.note(&format!("{quirks:?}\n{weather:?}\n{crashes:?}"));
        }
        world
    }

    fn report(mut self) -> Result<Report, Vec<String>> {
        let compared = if self.has_calls { self.live_with_calls() } else { self.live() };
        if !self.checks.violations.is_empty() {
            return Err(self.checks.violations);
        }
        let Checks { sent, notifies, .. } = self.checks;
        let mut calls = Tally::default();
        for phone in &self.phones {
            calls.add(phone.calls.tally);
        }
        Ok(Report { sent, notifies, compared, crashes: self.crashed, steps: self.steps, calls })
    }

    #[allow(clippy::print_stdout, reason = "a trace is for reading")]
    fn note(&mut self, what: &str) {
        if self.trace {
            let us = self.now.mono.as_micros();
            println!("{:>6}.{:03} {what}", us / 1_000_000, us / 1000 % 1000);
        }
    }

    fn live(&mut self) -> usize {
        let chaos = self.deeds.back().map_or(self.now.mono, |(at, _)| *at);
        self.play(chaos);
        self.note("---- calm");
        self.network.weather = Weather::FAIR;
        self.network.slow.clear();
        self.crashes.clear();
        self.rough_crashes = false;
        for phone in &mut self.phones {
            phone.quirk = Quirk::None;
        }
        self.play(self.now.mono + CALM);
        self.checks.all_answered(self.now.mono);
        let compared = self.compare("when quiet");
        self.note("---- flicker");
        self.flicker();
        self.compare("after a flicker");
        self.note("---- crash and restart");
        self.crash(Duration::ZERO);
        self.stay_away();
        self.play(self.now.mono + Duration::from_secs(90));
        self.compare("after a restart");
        self.nothing_is_doubled();
        self.note("---- end");
        for phone in &mut self.phones {
            phone.is_off = true;
        }
        self.play(self.now.mono + OVER);
        self.nothing_is_left();
        compared
    }

    /// A lamp that changes faster than anybody may be told: the newest state is told all the same, and soon.
    fn flicker(&mut self) {
        for state in ["INUSE", "RINGING", "ONHOLD"].into_iter().cycle().take(FLICKERS) {
            self.act(Deed::Device("Custom:lamp0".to_owned(), state));
            self.play(self.now.mono + Duration::from_millis(30));
        }
        self.play(self.now.mono + Duration::from_secs(2));
    }

    /// Parking: phones whose streams broke stay away, and lose no subscription by it.
    fn stay_away(&mut self) {
        self.phones.iter_mut().for_each(|phone| phone.is_away = phone.account.is_stream);
        self.play(self.now.mono + Duration::from_secs(5));
        self.act(Deed::Device("Custom:lamp0".to_owned(), "NOT_INUSE"));
        self.play(self.now.mono + Duration::from_secs(5));
        let away = self.phones.iter().filter(|phone| phone.is_away).flat_map(|phone| &phone.watches);
        let away = away.filter(|watch| watch.active).count();
        if let Some(Reply::Status(status)) = self.host.command(self.now, Command::Status)
            && status.parked != away
        {
            let parked = status.parked;
            let what = format!("{parked} subscriptions wait for their phones, and {away} of phones are away");
            self.checks.violations.push(what);
        }
        for phone in self.phones.iter_mut().filter(|phone| phone.is_away) {
            phone.is_away = false;
            phone.reconnect(self.now.mono);
        }
    }

    /// Convergence: what every watcher was told last is what a fetch gives now.
    fn compare(&mut self, when: &str) -> usize {
        for index in 0..self.phones.len() {
            self.phones[index].ask_bindings(self.now.mono);
            for watch in 0..self.phones[index].watches.len() {
                self.phones[index].fetch(self.now.mono, watch);
            }
        }
        self.play(self.now.mono + Duration::from_secs(5));
        let mut compared = 0;
        let mut wrong = Vec::new();
        for phone in self.phones.iter().filter(|phone| !phone.account.is_stranger) {
            let is_bound = phone.registered_until.is_some_and(|until| until > self.now.mono);
            let address = phone.account.address.to_string();
            if is_bound && !phone.bindings.as_ref().is_some_and(|bindings| bindings.contains(&address)) {
                let bindings = &phone.bindings;
                wrong.push(format!("{} {when}: acknowledged, but bound is {bindings:?}", phone.account.name));
            }
            for watch in phone.watches.iter().filter(|watch| watch.wanted) {
                if watch.event == "message-summary" && watch.user != phone.account.name {
                    continue; // It is another's, and refused.
                }
                let what = format!("{} watching {} ({}) {when}", phone.account.name, watch.user, watch.event);
                let Some(fetched) = &watch.fetched else {
                    wrong.push(format!("{what}: no answer to a fetch"));
                    continue;
                };
                let Some(told) = watch.told.as_ref().filter(|_| watch.active) else {
                    wrong.push(format!("{what}: it has no subscription"));
                    continue;
                };
                compared += 1;
                if comparable(told, &watch.call_id) != comparable(fetched, "") {
                    wrong.push(format!("{what}: told\n{told}\nbut it is\n{fetched}"));
                }
                let published = self.phones.iter().find(|other| other.account.name == watch.user);
                let note = published.and_then(|other| other.acknowledged.as_deref()).and_then(note_of);
                if let Some(note) = note.filter(|_| watch.accept == "application/pidf+xml")
                    && !told.contains(note)
                {
                    wrong.push(format!("{what}: {note} was acknowledged, but is not in\n{told}"));
                }
            }
        }
        if self.keeps_dialogs {
            let now_there = || self.phones.iter().flat_map(|phone| &phone.watches);
            let gone = self.dialogs.iter().filter(|old| !now_there().any(|watch| watch.call_id == **old));
            wrong.extend(gone.map(|old| format!("{when}: the dialog {old} did not survive a crash")));
        }
        self.checks.violations.extend(wrong);
        compared
    }

    /// A restart makes no second subscription of one: there are as many as phones know of, and nobody is owed anything.
    fn nothing_is_doubled(&mut self) {
        let Some(Reply::Status(status)) = self.host.command(self.now, Command::Status) else { return };
        let watches = self.phones.iter().flat_map(|phone| &phone.watches);
        let known = watches.filter(|watch| watch.active).count();
        if status.subscriptions > known {
            let held = status.subscriptions;
            self.checks
                .violations
                .push(format!("{held} subscriptions after a restart, phones know of {known}"));
        }
        if status.owed > 0 {
            self.checks.violations.push(format!("{} are still owed a NOTIFY after a restart", status.owed));
        }
    }

    /// Leaks: nothing is left of what has expired, in memory or in the store.
    fn nothing_is_left(&mut self) {
        let Some(Reply::Status(status)) = self.host.command(self.now, Command::Status) else {
            return self.checks.violations.push("no status at the end".to_owned());
        };
        let counts = [
            ("subscriptions", status.subscriptions),
            ("publications", status.publications),
            ("bindings", status.bindings),
            ("transactions", status.transactions),
            ("timers", status.timers.saturating_sub(self.timers_at_start)),
            ("calls", status.calls),
            ("requests on their way", status.passing),
            ("unpersisted", status.unpersisted),
            ("parked", status.parked),
            ("owed", status.owed),
        ];
        for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            self.checks.violations.push(format!("{count} {what} are left at the end"));
        }
        let timed = [Kind::Subscription, Kind::Publication, Kind::Bindings, Kind::Call];
        let rows = self.host.store.rows().filter(|(key, _)| timed.contains(&key.kind)).count();
        if rows > 0 {
            self.checks.violations.push(format!("{rows} rows are left in the store"));
        }
    }

    /// Lets everything happen until `until`.
    fn play(&mut self, until: Instant) {
        loop {
            self.carry();
            let phones = self.phones.iter().filter_map(Phone::next);
            let crash = self.crashes.iter().filter_map(|(crash, _)| match crash {
                Crash::At(at) => Some(Instant::from_micros(0) + *at),
                Crash::AtRecord(_) | Crash::AtStep(_) => None,
            });
            let deed = self.deeds.front().map(|(at, _)| *at);
            let mine = [self.host.next(), self.network.next(), self.restart_at, deed].into_iter().flatten();
            let next = mine.chain(phones).chain(crash).min().unwrap_or(until).max(self.now.mono);
            if next > until {
                return self.set_clock(until);
            }
            self.set_clock(next);
            self.step();
        }
    }

    fn set_clock(&mut self, at: Instant) {
        // Why: both clocks tick alike here; whole milliseconds would lose microseconds at each step.
        let start = UnixTime::from_millis(START_MS.saturating_add_signed(self.wall_ahead_ms));
        let wall = start + at.since(Instant::from_micros(0));
        self.now = Now { mono: at, wall };
    }

    fn step(&mut self) {
        let now = self.now.mono;
        self.steps += u64::from(!self.deeds.is_empty());
        let steps = self.steps;
        let is_due = |crash: &Crash, records: u64| match crash {
            Crash::At(at) => Instant::from_micros(0) + *at <= now,
            Crash::AtRecord(count) => *count <= records,
            Crash::AtStep(step) => *step < steps,
        };
        let records = self.host.persists;
        if let Some(at) = self.crashes.iter().position(|(crash, _)| is_due(crash, records)) {
            let (_, down) = self.crashes.remove(at);
            self.crash(down);
        }
        if self.restart_at.take_if(|at| *at <= now).is_some() {
            self.note("restart");
            self.disturbed = now;
            self.checks.server_crashes(now);
            if std::mem::take(&mut self.clock_was_set) {
                // Why: what is stored ends by the wall clock, the only one that goes on while the server is down.
                self.checks.promises_broken(false);
            }
            self.host.restart(self.now);
        }
        self.host.advance(self.now);
        self.carry();
        while let Some(arrival) = self.network.poll(now) {
            self.arrive(arrival);
            self.carry();
        }
        for index in 0..self.phones.len() {
            if self.phones[index].next().is_some_and(|at| at <= now) {
                self.phones[index].tick(now);
            }
        }
        if self.deeds.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, deed)) = self.deeds.pop_front()
        {
            self.act(deed);
        }
        self.all_acknowledged();
    }

    fn crash(&mut self, down: Duration) {
        if !self.host.is_up() {
            return;
        }
        self.note(&format!("crash, down for {down:?}"));
        self.crashed += 1;
        self.disturbed = self.now.mono;
        let active = self.phones.iter().flat_map(|phone| &phone.watches).filter(|watch| watch.active);
        self.dialogs.extend(active.map(|watch| watch.call_id.clone()));
        use Aftermath::{Clean, Damaged, Torn, Unsynced};
        let ways = [Clean, Torn, Torn, Unsynced, Damaged];
        let drawn = self.rng.below(5);
        let way = if self.rough_crashes {
            usize::try_from(drawn).ok().and_then(|at| ways.get(at).copied()).unwrap_or(Clean)
        } else {
            Clean
        };
        self.note(&format!("{way:?}"));
        let mut rng = fork(&mut self.rng);
        self.host.crash(way, &mut rng);
        self.checks.server_crashes(self.now.mono);
        if way.breaks_promises() {
            self.checks.promises_broken(true);
        }
        self.network.close_all(self.now.mono);
        self.restart_at = Some(self.now.mono + down);
    }

    fn act(&mut self, deed: Deed) {
        let now = self.now.mono;
        self.note(&format!("{deed:?}"));
        match deed {
            Deed::Watch(who, user, event, accept) => self.phones[who].watch(now, &user, event, accept),
            Deed::Unwatch(who, which) => {
                let count = self.phones[who].watches.len() as u64;
                let which = which.checked_rem(count).and_then(|which| usize::try_from(which).ok());
                if let Some(which) = which {
                    self.phones[who].unwatch(now, which);
                }
            }
            Deed::Register(who, on) => self.phones[who].register(now, on),
            Deed::Publish(who, note) => self.phones[who].publish(now, note),
            Deed::Device(device, state) => {
                let state = state.to_owned();
                self.host.command(self.now, Command::SetDevice { device, state, for_s: None });
            }
            Deed::Break(who) => {
                if let Some(id) = self.connections[who] {
                    self.disturbed = now;
                    self.network.close(now, id);
                }
            }
            Deed::Nudge => {
                self.checks.pacing.all_are_told();
                self.host.command(self.now, Command::Nudge(Selector::default()));
            }
            Deed::Call(who, dialled) => self.place(who, &dialled),
            Deed::Die(who) => self.die(who),
            Deed::Start(who) => self.start(who),
            Deed::Fault(fault) => self.fail(fault),
            Deed::StoreFails => self.host.store.commits_to_fail = 1,
            Deed::Ack(who) => {
                let remote = self.phones[who].account.address;
                let bytes = format!(
                    "ACK sip:P0@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {remote};branch=z9hG4bKack{}\r\nFrom: \
                     <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>;tag=2\r\nCall-ID: ack\r\nCSeq: 1 \
                     ACK\r\nContent-Length: 0\r\n\r\n",
                    now.as_micros()
                );
                self.network.datagram(now, Arrival::DatagramToServer(remote, bytes.into()));
            }
        }
    }

    fn fail(&mut self, fault: Fault) {
        let now = self.now.mono;
        match fault {
            Fault::DiskFull(time) => self.host.store.full_until = Some(now + time),
            Fault::DiskSlow(time, slower) => self.host.store.slow_until = Some((now + time, slower)),
            Fault::Clock(clock) => {
                let right = START_MS + now.as_micros() / 1000;
                self.wall_ahead_ms = clock.ahead_ms(right);
                self.clock_was_set = true;
                self.set_clock(now);
            }
            Fault::Burst(publications) => {
                for phone in &mut self.phones {
                    phone.refresh(now);
                    for number in 0..publications {
                        phone.publish(now, Some(format!("burst-{number}-{}", now.as_micros())));
                    }
                }
            }
            Fault::Flood(count) => {
                for arrival in flood(&mut self.rng, count) {
                    self.network.datagram(now, arrival);
                }
            }
        }
    }

    /// Brings what everybody sends onto the network.
    fn carry(&mut self) {
        let now = self.now.mono;
        while let Some(effect) = self.host.poll() {
            match effect {
                Effect::Send { flow, bytes } => {
                    self.checks.server_sends(now, flow.remote(), &bytes);
                    if self.trace {
                        self.note(&format!(
                            "server -> {}\n{}",
                            flow.remote(),
                            String::from_utf8_lossy(&bytes)
                        ));
                    }
                    match flow {
                        Flow::Udp { remote, .. } => {
                            self.network.datagram(now, Arrival::DatagramToPhone(remote, bytes));
                        }
                        Flow::Stream { id, .. } => {
                            self.network.stream(now, self.on_network(id), bytes, false)
                        }
                    }
                }
                Effect::Close(id) => self.network.close(now, self.on_network(id)),
                Effect::Connect { id, remote, .. } => self.connect(id, remote),
                Effect::Resolve(query, _) => {
                    self.host.input(self.now, Input::Resolved { query, answer: DnsAnswer::Failed });
                }
                Effect::Told(event) => {
                    if self.trace {
                        self.note(&format!("{event:?}"));
                    }
                }
            }
        }
        for index in 0..self.phones.len() {
            while let Some(bytes) = self.phones[index].poll() {
                if !self.phones[index].account.is_stream {
                    self.checks.phone_sends(now, &bytes);
                }
                self.phone_sends(index, bytes);
            }
        }
    }

    fn phone_sends(&mut self, index: usize, bytes: Bytes) {
        let now = self.now.mono;
        let (remote, is_stream) = (self.phones[index].account.address, self.phones[index].account.is_stream);
        if self.trace {
            self.note(&format!(
                "{} -> server\n{}",
                self.phones[index].account.name,
                String::from_utf8_lossy(&bytes)
            ));
        }
        if !is_stream {
            return self.network.datagram(now, Arrival::DatagramToServer(remote, bytes));
        }
        let up = self.connections[index].filter(|id| self.network.connection(*id).is_some());
        let id = up.unwrap_or_else(|| self.network.open(now, remote));
        self.connections[index] = Some(id);
        self.network.stream(now, id, bytes, true);
    }

    /// The network's name of a stream: the server numbers those it opens anew in each life.
    fn on_network(&self, id: StreamId) -> StreamId {
        if id.0 >> 63 == 0 { id } else { StreamId(id.0 | (self.crashed as u64) << LIFE) }
    }

    /// The server's name of a stream, `None` for one of an earlier life.
    fn at_server(&self, id: StreamId) -> Option<StreamId> {
        if id.0 >> 63 == 0 {
            return Some(id);
        }
        let life = id.0 << 1 >> (LIFE + 1);
        (life == self.crashed as u64).then_some(StreamId(id.0 & !(life << LIFE)))
    }

    /// The server opens a stream to a phone: half of them stand behind a NAT and cannot be reached.
    fn connect(&mut self, id: StreamId, remote: SocketAddr) {
        let reachable = remote.ip().to_string().ends_with(['0', '2', '4', '6', '8']);
        let index =
            self.phones.iter().position(|phone| phone.account.address == remote && phone.account.is_stream);
        match index.filter(|index| reachable && !self.phones[*index].is_off && !self.phones[*index].is_away) {
            Some(index) => {
                let id = self.on_network(id);
                self.network.connect(self.now.mono, id, remote);
                let old = self.connections[index].replace(id);
                // Why: its own connection has just broken, and it will notice.
                if old.is_some_and(|old| self.network.connection(old).is_none()) {
                    self.phones[index].reconnect(self.now.mono);
                }
            }
            None => self.host.input(self.now, Input::FlowClosed { id }),
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::DatagramToServer(remote, bytes) => {
                let flow = Flow::Udp { listener: UDP, remote };
                if self.host.is_up() {
                    self.checks.server_hears(self.now.mono, &bytes);
                }
                self.host.input(self.now, Input::Received { flow, message: Message::parse(bytes) });
            }
            Arrival::DatagramToPhone(remote, bytes) => {
                if let Some(phone) = self.phones.iter_mut().find(|phone| phone.account.address == remote) {
                    phone.receive(self.now.mono, bytes);
                }
            }
            Arrival::Opened(id) => {
                let Some(remote) = self.network.connection(id).map(|connection| connection.remote) else {
                    return;
                };
                if !self.host.is_up() {
                    return self.network.close(self.now.mono, id);
                }
                let Some(id) = self.at_server(id) else { return };
                self.host.input(
                    self.now,
                    Input::FlowOpened { id, transport: Transport::Tcp, listener: TCP, remote },
                );
            }
            Arrival::StreamToServer(id, bytes) => {
                let Some(remote) = self.network.connection(id).map(|connection| connection.remote) else {
                    return;
                };
                let Some(id) = self.at_server(id) else { return };
                let flow = Flow::Stream { id, remote };
                if self.host.is_up() {
                    self.checks.server_hears(self.now.mono, &bytes);
                }
                self.host.input(self.now, Input::Received { flow, message: Message::parse(bytes) });
            }
            Arrival::StreamToPhone(id, bytes) => {
                let Some(remote) = self.network.connection(id).map(|connection| connection.remote) else {
                    return;
                };
                if let Some(phone) = self.phones.iter_mut().find(|phone| phone.account.address == remote) {
                    phone.receive(self.now.mono, bytes);
                }
            }
            Arrival::ClosedAtServer(id) => {
                if let Some(id) = self.at_server(id) {
                    self.checks.pacing.all_are_told();
                    self.host.input(self.now, Input::FlowClosed { id });
                }
            }
            Arrival::ClosedAtPhone(id) => {
                if let Some(index) = self.connections.iter().position(|known| *known == Some(id)) {
                    self.connections[index] = None;
                    self.phones[index].reconnect(self.now.mono);
                }
            }
        }
    }
}

fn note_of(document: &str) -> Option<&str> {
    document.split_once("<note>")?.1.split_once("</note>").map(|(note, _)| note)
}
