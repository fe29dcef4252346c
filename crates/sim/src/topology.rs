//! What a seed means: an office, its phones with their quirks, the weather, the crashes, and who does what when.

use crate::faults::{Fault, account};
use crate::network::Weather;
use crate::phone::{Account, Quirk};
use lampyris_core::device_state::DeviceName;
use lampyris_core::hint::Hint;
use lampyris_core::rng::Rng;
use lampyris_core::settings::{Authentication, Bounds, Domain, OnTimeout, Peer, Settings};
use lampyris_sip::digest::{self, Algorithm};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// Device states that actions set.
pub(crate) const STATES: [&str; 7] =
    ["NOT_INUSE", "INUSE", "BUSY", "RINGING", "RINGINUSE", "ONHOLD", "UNAVAILABLE"];
/// Extensions whose hint is one `Custom:` device, and no more.
pub const LAMPS: u64 = 3;

/// Something somebody does.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A phone watches a user part by a package.
    Watch(usize, String, &'static str, &'static str),
    /// A phone ends one of its subscriptions.
    Unwatch(usize, u64),
    /// A phone registers, or takes it back.
    Register(usize, bool),
    /// A phone publishes a note, or takes it back.
    Publish(usize, Option<String>),
    /// An administrator sets a device.
    Device(String, &'static str),
    /// A phone's stream breaks.
    Break(usize),
    /// An administrator nudges everybody.
    Nudge,
    /// A stray ACK.
    Ack(usize),
    /// The store fails its next commit.
    StoreFails,
    /// A phone calls what was dialled.
    Call(usize, String),
    /// A phone loses its power.
    Die(usize),
    /// It has power again, and knows of nothing.
    Start(usize),
    /// Something breaks, or too much comes at once.
    Fault(Fault),
}

/// When the server is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// At this time.
    At(Duration),
    /// After this many steps of the world.
    AtStep(u64),
    /// When this many records have been handed to the store, in all lives: the last ones are not durable.
    AtRecord(u64),
}

/// Everything a seed decides.
pub struct Topology {
    /// The configuration.
    pub settings: Settings,
    /// Phones: who, and how they misbehave until it is calm.
    pub phones: Vec<(Account, Quirk)>,
    /// The weather until it is calm.
    pub weather: Weather,
    /// What happens, in order.
    pub deeds: Vec<(Duration, Deed)>,
    /// Crashes, and how long the server stays down after each.
    pub crashes: Vec<(Crash, Duration)>,
    /// How long it is not calm.
    pub chaos: Duration,
    /// Seconds asked for, of everything.
    pub expires_s: u32,
    /// How long a commit takes.
    pub commit_takes: Duration,
    /// Records, by number, whose commit meets an I/O error.
    pub store_errors: BTreeSet<u64>,
    /// Crashes tear commits, take them back or damage rows.
    pub rough_crashes: bool,
}

/// The faults wanted, over what the seed would choose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Exactly this weather.
    pub weather: Option<Weather>,
    /// So many calls, and nothing else; none for a world without.
    pub calls: u64,
}

impl Topology {
    /// The world of a seed.
    pub fn of(rng: &mut Rng, wanted: Wanted) -> Self {
        if wanted.calls > 0 {
            return Self::of_calls(rng, wanted);
        }
        let count = 3 + below(rng, 6);
        let weather = wanted.weather.unwrap_or(Weather {
            loss: [0, 5, 10, 20][below(rng, 4)],
            duplication: [0, 5, 10][below(rng, 3)],
            reordering: [0, 5, 10, 20][below(rng, 4)],
            delay_ms: [1, 20, 100][below(rng, 3)],
        });
        let phones: Vec<_> = (0..count).map(|index| phone(rng, index)).collect();
        // The stranger's name is a peer's, and its password is not.
        let mut peers = phones.clone();
        peers.push(phone(&mut Rng::new([0; 32]), count));
        let settings = settings(&peers, rng);
        let chaos = Duration::from_secs(300 + rng.below(600));
        let mut topology = Self {
            settings,
            phones,
            weather,
            deeds: Vec::new(),
            crashes: Vec::new(),
            chaos,
            expires_s: [60, 120, 300][below(rng, 3)],
            commit_takes: Duration::from_micros([0, 500, 20_000][below(rng, 3)]),
            store_errors: BTreeSet::new(),
            rough_crashes: false,
        };
        topology.plan(rng);
        topology.plan_faults(rng);
        topology.add_stranger(rng);
        topology
    }

    /// Alice watches the extension of Bob's phone, which registers and changes three times; nothing goes wrong but a crash
    /// after `step` steps.
    pub fn of_alice_and_bob(step: u64) -> Self {
        let account = |name: &str, host| {
            account(name.to_owned(), "secret".to_owned(), SocketAddr::from(([192, 0, 2, host], 5060)), false)
        };
        let phones = vec![(account("Alice", 1), Quirk::None), (account("Bob-desk", 2), Quirk::None)];
        let changes = ["INUSE", "ONHOLD", "NOT_INUSE"].into_iter().zip([10, 20, 30]);
        let changes = changes.map(|(state, at)| (at, Deed::Device("SIP/Bob-desk".to_owned(), state)));
        let watch = Deed::Watch(0, "6001".to_owned(), "presence", "application/pidf+xml");
        let deeds = [(0, watch), (5, Deed::Register(1, true))].into_iter().chain(changes);
        Self {
            settings: settings(&phones, &mut Rng::new([1; 32])),
            phones,
            weather: Weather::FAIR,
            deeds: deeds.map(|(at, deed)| (Duration::from_secs(at), deed)).collect(),
            crashes: vec![(Crash::AtStep(step), Duration::from_millis(200))],
            chaos: Duration::from_secs(60),
            expires_s: 300,
            commit_takes: Duration::from_micros(500),
            store_errors: BTreeSet::new(),
            rough_crashes: false,
        }
    }

    fn plan(&mut self, rng: &mut Rng) {
        let count = self.phones.len();
        let kinds: [(&'static str, &'static str); 4] = [
            ("presence", "application/pidf+xml"),
            ("presence", "application/xpidf+xml"),
            ("dialog", "application/dialog-info+xml"),
            ("message-summary", "application/simple-message-summary"),
        ];
        let span = self.chaos.as_secs() * 1000;
        for index in 0..count {
            for _ in 0..1 + rng.below(3) {
                let (event, accept) = kinds[below(rng, kinds.len())];
                let user = match (event, rng.below(3)) {
                    // Another's mailbox now and then, which is to be refused.
                    ("message-summary", 0) => format!("P{}", rng.below(count as u64)),
                    ("message-summary", _) => self.phones[index].0.name.clone(),
                    (_, 0) => format!("P{}", rng.below(count as u64)),
                    (_, 1) => format!("60{:02}", rng.below(count as u64)),
                    _ => format!("70{:02}", rng.below(LAMPS)),
                };
                let at = Duration::from_millis(rng.below(span / 3));
                self.deeds.push((at, Deed::Watch(index, user, event, accept)));
            }
            if rng.below(4) > 0 {
                self.deeds.push((Duration::from_millis(rng.below(span / 4)), Deed::Register(index, true)));
            }
        }
        for number in 0..20 + rng.below(60) {
            let who = below(rng, count);
            let deed = match rng.below(16) {
                0 => Deed::Unwatch(who, rng.next_u64()),
                1 | 2 => Deed::Register(who, rng.below(3) > 0),
                3..=6 => Deed::Publish(who, (rng.below(5) > 0).then(|| format!("note-{number}-of-{who}"))),
                7 => Deed::Break(who),
                8 => Deed::Nudge,
                9 => Deed::Ack(who),
                10 => Deed::Device(format!("SIP/P{who}"), STATES[below(rng, STATES.len())]),
                11 if rng.below(4) == 0 => Deed::StoreFails,
                _ => {
                    Deed::Device(format!("Custom:lamp{}", rng.below(LAMPS)), STATES[below(rng, STATES.len())])
                }
            };
            self.deeds.push((Duration::from_millis(rng.below(span)), deed));
        }
        self.deeds.sort_by_key(|(at, _)| *at);
        for _ in 0..rng.below(4) {
            let crash = if rng.below(2) == 0 {
                Crash::At(Duration::from_millis(rng.below(span)))
            } else {
                let records = [60, 400][below(rng, 2)];
                Crash::AtRecord(1 + rng.below(records))
            };
            let down = Duration::from_millis([0, 200, 5_000, 40_000][below(rng, 4)]);
            self.crashes.push((crash, down));
        }
    }
}

pub(crate) fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap_or(0)
}

pub(crate) fn phone(rng: &mut Rng, index: usize) -> (Account, Quirk) {
    let quirk = match rng.below(16) {
        0 => Quirk::Silent,
        1 => Quirk::Answers(481),
        2 => Quirk::Answers(450),
        3 => Quirk::Answers(500),
        4 => Quirk::RetryAfter(7),
        5 => Quirk::RefreshesTwice,
        6 => Quirk::Slow(Duration::from_millis(300 + rng.below(40_000))),
        7 => Quirk::CSeqJumps,
        8 => Quirk::SlowReader(Duration::from_secs(1 + rng.below(90))),
        _ => Quirk::None,
    };
    let host = 10 + u8::try_from(index).unwrap_or(0);
    let address = SocketAddr::from(([192, 0, 2, host], 5060));
    let is_stream = rng.below(3) == 0;
    (account(format!("P{index}"), format!("secret-{index}"), address, is_stream), quirk)
}

pub(crate) fn settings(phones: &[(Account, Quirk)], rng: &mut Rng) -> Settings {
    let mut settings = Settings::empty();
    let mut domain = Domain::named("example.com");
    domain.algorithms = vec![Algorithm::Sha256, Algorithm::Md5];
    settings.domains = vec![domain];
    let bounds = Bounds { min: 10, default: 120, max: 300 };
    settings.subscription_expires_s = bounds;
    settings.publication_expires_s = bounds;
    settings.registration_expires_s = bounds;
    settings.notify_max_rate.any = [1, 3, 10][below(rng, 3)];
    if rng.below(3) == 0 {
        settings.profiles[0].on_timeout = OnTimeout::Retry(Duration::from_secs(5));
    }
    for (index, (account, _)) in phones.iter().enumerate() {
        let device = format!("SIP/{}", account.name);
        let Some(device_name) = DeviceName::parse(&device) else { continue };
        let mut peer = Peer::named(&account.name, device_name);
        let ha1 = |algorithm| digest::ha1(algorithm, &account.name, "example.com", &account.password);
        peer.authentication = Authentication::Digest(vec![ha1(Algorithm::Sha256), ha1(Algorithm::Md5)]);
        peer.mailboxes = vec![format!("{index}@default")];
        peer.call_limit = Some(u32::MAX);
        settings.peers.insert(account.name.clone(), peer);
        let hint = Hint::parse(&format!("{device}&Custom:lamp0"));
        let added = settings.dialplan.add_hint("default", &format!("60{index:02}"), hint);
        debug_assert!(added.is_ok());
    }
    for lamp in 0..LAMPS {
        let hint = Hint::parse(&format!("Custom:lamp{lamp}"));
        let added = settings.dialplan.add_hint("default", &format!("70{lamp:02}"), hint);
        debug_assert!(added.is_ok());
    }
    settings
}
