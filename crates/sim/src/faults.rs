//! What goes wrong in a world beside the weather: disks, clocks, bursts, strangers, and phones that push their luck.
//!
//! In: a planned [`Topology`] and its seed. Out: the same with faults among its deeds. Each world draws a few kinds, so
//! that every pair of kinds meets in some world.

use crate::network::Arrival;
use crate::phone::{Account, Quirk};
use crate::topology::{Deed, LAMPS, STATES, Topology, below, phone};
use bytes::Bytes;
use lampyris_core::rng::Rng;
use std::net::SocketAddr;
use std::time::Duration;

/// A fault, at its time.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The disk is full for so long.
    DiskFull(Duration),
    /// For so long a commit takes so much longer.
    DiskSlow(Duration, Duration),
    /// The wall clock is set.
    Clock(Clock),
    /// Everybody refreshes everything at once, and publishes so many times.
    Burst(u64),
    /// So many datagrams come at once, from as many addresses.
    Flood(u64),
}

/// Where the wall clock is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// An hour on.
    HourOn,
    /// A day back.
    DayBack,
    /// The beginning of 1970, as after the battery's end.
    Epoch,
    /// The right time.
    Right,
}

impl Clock {
    /// Milliseconds that the wall clock is ahead of the right time, which is now `right`, if it is set so.
    pub(crate) fn ahead_ms(self, right: u64) -> i64 {
        const HOUR: i64 = 3_600_000;
        match self {
            Self::HourOn => HOUR,
            Self::DayBack => -24 * HOUR,
            Self::Epoch => -i64::try_from(right).unwrap_or(0),
            Self::Right => 0,
        }
    }
}

impl Topology {
    /// Adds the faults of a seed, and one stranger.
    pub(crate) fn plan_faults(&mut self, rng: &mut Rng) {
        let span = self.chaos.as_secs() * 1000;
        let mut deeds = Vec::new();
        let mut at = |rng: &mut Rng, fault| {
            deeds.push((Duration::from_millis(rng.below(span)), Deed::Fault(fault)));
        };
        let seconds = |rng: &mut Rng, most: u64| Duration::from_millis(100 + rng.below(most * 1000));
        if rng.below(2) == 0 {
            for _ in 0..1 + rng.below(3) {
                let full = Fault::DiskFull(seconds(rng, 60));
                at(rng, full);
            }
            let slower = seconds(rng, 5);
            let slow = Fault::DiskSlow(seconds(rng, 60), slower);
            at(rng, slow);
            for _ in 0..rng.below(4) {
                self.store_errors.insert(rng.below(200));
            }
        }
        if rng.below(3) == 0 {
            const SET: [Clock; 4] = [Clock::HourOn, Clock::DayBack, Clock::Epoch, Clock::Right];
            for _ in 0..1 + rng.below(3) {
                let clock = Fault::Clock(SET[below(rng, SET.len())]);
                at(rng, clock);
            }
        }
        if rng.below(2) == 0 {
            let burst = Fault::Burst(1 + rng.below(5));
            at(rng, burst);
            let flood = Fault::Flood(1 + rng.below(500));
            at(rng, flood);
        }
        if rng.below(2) == 0 {
            // A lamp that changes faster than anybody may be told.
            let (from, device) = (rng.below(span), format!("Custom:lamp{}", rng.below(LAMPS)));
            for number in 0..10 + rng.below(50) {
                let deed = Deed::Device(device.clone(), STATES[below(rng, STATES.len())]);
                let ms = (from + number * (1 + rng.below(60))).min(span);
                deeds.push((Duration::from_millis(ms), deed));
            }
        }
        self.rough_crashes = rng.below(2) == 0;
        self.deeds.append(&mut deeds);
        self.deeds.sort_by_key(|(at, _)| *at);
    }

    /// Somebody who knows a peer's name and not its password, and wants everything that the others want.
    pub(crate) fn add_stranger(&mut self, rng: &mut Rng) {
        let index = self.phones.len();
        let (mut account, _) = phone(rng, index);
        account.password = "a guess".to_owned();
        account.is_stranger = true;
        self.phones.push((account, Quirk::None));
        let at = |rng: &mut Rng| Duration::from_millis(rng.below(60_000));
        for deed in [
            Deed::Watch(index, "P0".to_owned(), "presence", "application/pidf+xml"),
            Deed::Register(index, true),
            Deed::Publish(index, Some("i-was-here".to_owned())),
        ] {
            self.deeds.push((at(rng), deed));
        }
        self.deeds.sort_by_key(|(at, _)| *at);
    }
}

/// The datagrams of a flood: requests of many kinds without credentials, answers to nothing, and what is no SIP.
pub(crate) fn flood(rng: &mut Rng, count: u64) -> Vec<Arrival> {
    (0..count)
        .map(|number| {
            let octet = |shift: u32| u8::try_from(number >> shift & 0xff).unwrap_or(0);
            let from = SocketAddr::from(([198, 18, octet(8), octet(0)], 5060));
            let method = ["SUBSCRIBE", "PUBLISH", "REGISTER", "OPTIONS", "INVITE", "NOTIFY"][below(rng, 6)];
            let more = match method {
                "SUBSCRIBE" | "PUBLISH" | "NOTIFY" => "Event: presence\r\nExpires: 300\r\n",
                _ => "",
            };
            let start = match rng.below(8) {
                0 => "SIP/2.0 200 OK".to_owned(),
                _ => format!("{method} sip:P0@example.com SIP/2.0"),
            };
            let random = rng.next_u64();
            let text = format!(
                "{start}\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKflood{random:x}\r\nFrom: <sip:P1@example.com>;tag=f\r\n\
                 To: <sip:P0@example.com>\r\nCall-ID: flood-{random:x}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
                 Contact: <sip:f@{from}>\r\n{more}Content-Length: 0\r\n\r\n"
            );
            let mut bytes = text.into_bytes();
            match rng.below(8) {
                0 => bytes.truncate(below(rng, bytes.len())),
                1 => {
                    let at = below(rng, bytes.len());
                    bytes[at] = u8::try_from(rng.below(256)).unwrap_or(0);
                }
                _ => {}
            }
            Arrival::DatagramToServer(from, Bytes::from(bytes))
        })
        .collect()
}

/// A phone that is not a stranger.
pub(crate) fn account(name: String, password: String, address: SocketAddr, is_stream: bool) -> Account {
    Account { name, password, address, is_stream, is_stranger: false }
}
