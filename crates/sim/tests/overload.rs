//! Five times more work than can be done, in virtual time: what is taken, who waits how long, and how it ends.
//!
//! The node is the real one; what work costs is assumed: a request that is served takes a millisecond, one that is refused
//! a thirtieth of one (it is parsed and answered, and that is all). The queue in front of it is first come, first served, the
//! worst case: the shell's own prefers those it knows.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

use lampyris_core::device_state::DeviceName;
use lampyris_core::flow::{Flow, Listener, ListenerId, Transport};
use lampyris_core::input::Input;
use lampyris_core::node::Node;
use lampyris_core::output::Output;
use lampyris_core::overload::Load;
use lampyris_core::settings::{Authentication, Peer, Settings};
use lampyris_core::time::{Instant, Now, UnixTime};
use lampyris_sip::Message;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

const SERVED_US: u64 = 1000;
const REFUSED_US: u64 = 33;
/// Requests a second that can be served.
const CAPACITY: u64 = 1_000_000 / SERVED_US;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Subscribe,
    Publish,
}

struct World {
    node: Node,
    us: u64,
    count: u64,
    /// Requests that wait, and since when.
    queue: VecDeque<(u64, Kind)>,
    told: Duration,
}

/// What became of the requests of one second.
#[derive(Clone, Debug, Default)]
struct Second {
    served: BTreeMap<Kind, u64>,
    refused: BTreeMap<Kind, u64>,
    longest_wait: Duration,
}

impl World {
    fn new() -> Self {
        let mut settings = Settings::empty();
        "example.com".clone_into(&mut settings.domains[0].name);
        settings.quotas.publishes_per_s = 0;
        for name in ["Alice", "Bob"] {
            let peer = Peer::named(name, DeviceName::parse(&format!("SIP/{name}")).unwrap());
            let authentication = Authentication::Open;
            settings.peers.insert(name.to_owned(), Peer { authentication, ..peer });
        }
        let local = "192.0.2.100:5060".parse().unwrap();
        let (id, transport, names) = (ListenerId(0), Transport::Udp, Vec::new());
        let listeners = vec![Listener { id, transport, local, advertised: local, names }];
        let node = Node::new(Arc::new(settings), listeners, [3; 32], at(0));
        Self { node, us: 0, count: 0, queue: VecDeque::new(), told: Duration::ZERO }
    }

    /// Serves one waiting request; its status.
    fn serve(&mut self, kind: Kind) -> u16 {
        self.count += 1;
        let n = self.count;
        let (method, more, body) = match kind {
            Kind::Subscribe => ("SUBSCRIBE", "Contact: <sip:Alice@192.0.2.1>\r\n", ""),
            Kind::Publish => (
                "PUBLISH",
                "Content-Type: application/pidf+xml\r\n",
                "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:Alice@example.com\"><tuple id=\"t\"><status>\
                 <basic>open</basic></status></tuple></presence>",
            ),
        };
        // A fetch, so that what is measured is the request and not what is sent because of it.
        let expires = if kind == Kind::Subscribe { 0 } else { 600 };
        let text = format!(
            "{method} sip:Alice@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{n}\r\nFrom: \
             <sip:Alice@example.com>;tag=t{n}\r\nTo: <sip:Alice@example.com>\r\nCall-ID: c{n}\r\nCSeq: 1 {method}\r\n\
             Event: presence\r\nExpires: {expires}\r\n{more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let flow = Flow::Udp { listener: ListenerId(0), remote: "192.0.2.1:5060".parse().unwrap() };
        let (now, message) = (at(self.us), Message::parse(text.into_bytes().into()));
        self.node.handle_input(now, Input::Received { flow, message });
        let mut status = 0;
        loop {
            match self.node.poll_output(now) {
                Output::Transmit { bytes, .. } if bytes.starts_with(b"SIP/2.0 ") => {
                    status = std::str::from_utf8(&bytes[8..11]).unwrap().parse().unwrap();
                }
                Output::Persist(ticket, _) => self.node.handle_input(now, Input::Persisted(ticket, Ok(()))),
                Output::Timeout(_) => return status,
                _ => {}
            }
        }
    }

    /// One second in which so many requests arrive, every tenth of them a PUBLISH.
    fn second(&mut self, arrivals: u64) -> Second {
        let (begin, mut arrived, mut second) = (self.us, 0, Second::default());
        let end = begin + 1_000_000;
        while self.us < end {
            while arrived < arrivals && begin + arrived * 1_000_000 / arrivals <= self.us {
                let kind = if arrived % 10 == 0 { Kind::Publish } else { Kind::Subscribe };
                self.queue.push_back((begin + arrived * 1_000_000 / arrivals, kind));
                arrived += 1;
            }
            let Some((since, kind)) = self.queue.pop_front() else {
                self.us = (begin + arrived * 1_000_000 / arrivals.max(1)).clamp(self.us + 1, end);
                continue;
            };
            let waited = Duration::from_micros(self.us - since);
            if waited != self.told {
                self.told = waited;
                self.node.handle_input(at(self.us), Input::Load(Load { waited, memory_full: false }));
            }
            second.longest_wait = second.longest_wait.max(waited);
            match self.serve(kind) {
                503 => {
                    *second.refused.entry(kind).or_default() += 1;
                    self.us += REFUSED_US;
                }
                200 => {
                    *second.served.entry(kind).or_default() += 1;
                    self.us += SERVED_US;
                }
                other => panic!("{kind:?}: {other}"),
            }
        }
        second
    }
}

fn at(us: u64) -> Now {
    let wall = UnixTime::from_millis(1_800_000_000_000 + us / 1000);
    Now { mono: Instant::from_micros(us), wall }
}

#[test]
fn at_five_times_the_load_four_fifths_are_served_and_ten_seconds_later_all() {
    let mut world = World::new();
    let calm = world.second(CAPACITY / 2);
    assert!(calm.refused.is_empty(), "{calm:?}");
    let mut busy = Vec::new();
    for _ in 0..10 {
        busy.push(world.second(CAPACITY * 5));
    }
    for second in &busy {
        let served: u64 = second.served.values().sum();
        println!("served {served} of {CAPACITY} a second, waited {:?}", second.longest_wait);
        assert_eq!(
            second.refused.get(&Kind::Publish),
            None,
            "what comes later in the order is served: {second:?}"
        );
        assert!(second.longest_wait < Duration::from_millis(100), "{second:?}");
    }
    let served: u64 = busy.iter().flat_map(|second| second.served.values()).sum();
    assert!(served * 100 >= CAPACITY * 10 * 80, "{served} in 10 s");
    let after: Vec<_> = (0..10).map(|_| world.second(CAPACITY / 2)).collect();
    assert!(after[1..].iter().all(|second| second.refused.is_empty()), "{after:?}");
}
