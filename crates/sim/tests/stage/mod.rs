//! A node in virtual time, for tests that play both the phones and whoever wants to know.
//!
//! In: what a test says and what time brings. Out: effects, which the test carries to whom they are for ([`Town::carry`]).

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod picture;

use bytes::Bytes;
use lampyris_core::command::{Command, Reply};
use lampyris_core::flow::{Flow, Listener, ListenerId, Transport};
use lampyris_core::input::Input;
use lampyris_core::rng::Rng;
use lampyris_core::settings::Settings;
use lampyris_core::time::{Instant, Now, UnixTime};
use lampyris_sim::host::Host;
use lampyris_sim::store::Aftermath;
use lampyris_sip::Message;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The node, its clock, and chance.
pub(crate) struct Stage {
    pub(crate) host: Host,
    pub(crate) now: Now,
    pub(crate) rng: Rng,
    /// Requests sent so far.
    pub(crate) requests: u32,
}

impl Stage {
    /// A node at 192.0.2.100, by UDP at 5060 and by TLS at 5061.
    pub(crate) fn new(settings: Arc<Settings>, seed: u64) -> Self {
        let listeners = [(Transport::Udp, 5060), (Transport::Tls, 5061)].into_iter().zip(0_u16..);
        let listeners = listeners.map(|((transport, port), id)| {
            let local = SocketAddr::from(([192, 0, 2, 100], port));
            Listener { id: ListenerId(id), transport, local, advertised: local, names: Vec::new() }
        });
        let now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(1_795_252_533_000) };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let host = Host::new(settings, listeners.collect(), seed, now);
        Self { host, now, rng: Rng::new(bytes), requests: 0 }
    }

    pub(crate) fn pick(&mut self, of: usize) -> usize {
        usize::try_from(self.rng.next_u64() % u64::try_from(of).unwrap()).unwrap()
    }

    /// One time in so many; never where that is 0.
    pub(crate) fn one_in(&mut self, many: u64) -> bool {
        many > 0 && self.rng.next_u64().is_multiple_of(many)
    }

    /// A message reaches the node.
    pub(crate) fn receive(&mut self, flow: Flow, bytes: Bytes) {
        self.host.input(self.now, Input::Received { flow, message: Message::parse(bytes) });
    }

    /// The node sees its watch show this much more.
    fn wait(&mut self, step: Duration) {
        self.now = Now { mono: self.now.mono + step, wall: self.now.wall + step };
    }
}

/// By UDP, to or from this address.
pub(crate) const fn udp(remote: SocketAddr) -> Flow {
    Flow::Udp { listener: ListenerId(0), remote }
}

/// Who is around the node.
pub(crate) trait Town {
    fn stage(&mut self) -> &mut Stage;

    /// Brings what the node sends to whom it is for.
    fn carry(&mut self);

    /// A message reaches the node, and what that makes it send is carried.
    fn deliver(&mut self, flow: Flow, bytes: Bytes) {
        self.stage().receive(flow, bytes);
        self.carry();
    }

    fn pass(&mut self, time: Duration) {
        let until = self.stage().now.mono + time;
        while let Some(at) = self.stage().host.next().filter(|at| *at <= until) {
            let stage = self.stage();
            stage.wait(at.since(stage.now.mono));
            stage.host.advance(stage.now);
            self.carry();
        }
        let stage = self.stage();
        stage.wait(until.since(stage.now.mono));
    }

    fn command(&mut self, command: Command) {
        let stage = self.stage();
        let reply = stage.host.command(stage.now, command);
        assert!(matches!(reply, Some(Reply::Done { .. })), "{reply:?}");
        self.carry();
    }

    fn crash(&mut self, aftermath: Aftermath) {
        let stage = self.stage();
        stage.host.crash(aftermath, &mut stage.rng);
        stage.host.restart(stage.now);
        self.carry();
    }
}
