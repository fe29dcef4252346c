//! Every limit a request can run into: what is at it passes, what is one over it gets its answer and is counted.
//!
//! A node alone, on virtual time: requests go in as bytes, answers come out, everything is durable at once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "this is a test")]

use lampyris_core::command::{Command, Reply};
use lampyris_core::device_state::DeviceName;
use lampyris_core::flow::{Flow, Listener, ListenerId, StreamId, Transport};
use lampyris_core::input::Input;
use lampyris_core::limits;
use lampyris_core::node::Node;
use lampyris_core::output::Output;
use lampyris_core::overload::Load;
use lampyris_core::settings::{Authentication, Peer, Settings};
use lampyris_core::time::{Instant, Now, UnixTime};
use lampyris_sip::Message;
use lampyris_sip::digest::Algorithm;
use std::sync::Arc;
use std::time::Duration;

const STREAM: StreamId = StreamId(7);

struct Stage {
    node: Node,
    now: Now,
    count: u32,
}

/// An answer: its status and its Retry-After.
type Answer = (u16, Option<u32>);

impl Stage {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::empty();
        settings.domains[0].name = "example.com".to_owned();
        for name in ["Alice", "Bob", "Carol"] {
            let peer = Peer::named(name, DeviceName::parse(&format!("SIP/{name}")).unwrap());
            let authentication = Authentication::Open;
            settings.peers.insert(name.to_owned(), Peer { authentication, ..peer });
        }
        change(&mut settings);
        let listener = |id, transport| {
            let local = "192.0.2.100:5060".parse().unwrap();
            Listener { id: ListenerId(id), transport, local, advertised: local, names: Vec::new() }
        };
        let listeners = vec![listener(0, Transport::Udp), listener(1, Transport::Tcp)];
        let now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(1_800_000_000_000) };
        Self { node: Node::new(Arc::new(settings), listeners, [1; 32], now), now, count: 0 }
    }

    /// What the node sends after an input; everything is durable at once.
    fn input(&mut self, input: Input) -> Vec<String> {
        let mut sent = Vec::new();
        self.node.handle_input(self.now, input);
        loop {
            match self.node.poll_output(self.now) {
                Output::Transmit { bytes, .. } => sent.push(String::from_utf8(bytes.to_vec()).unwrap()),
                Output::Persist(ticket, _) => {
                    self.node.handle_input(self.now, Input::Persisted(ticket, Ok(())))
                }
                Output::Timeout(_) => return sent,
                _ => {}
            }
        }
    }

    /// Sends a request of `user` from `ip`; `more` are header lines and the body.
    fn ask(&mut self, (method, uri): (&str, &str), (user, ip): (&str, &str), more: &str) -> Answer {
        let flow = Flow::Udp { listener: ListenerId(0), remote: format!("{ip}:5060").parse().unwrap() };
        self.ask_on(flow, (method, uri), user, more)
    }

    fn ask_on(&mut self, flow: Flow, (method, uri): (&str, &str), user: &str, more: &str) -> Answer {
        self.count += 1;
        let n = self.count;
        let (more, body) = more.split_once("\r\n\r\n").unwrap_or((more, ""));
        let line = |name: &str, value: String| {
            if more.to_ascii_lowercase().contains(&format!("{}:", name.to_ascii_lowercase())) {
                String::new()
            } else {
                format!("{name}: {value}\r\n")
            }
        };
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{n}\r\n{}{}{}CSeq: {n} {method}\r\n{more}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            line("From", format!("<sip:{user}@example.com>;tag=t{n}")),
            line(
                "To",
                format!(
                    "<{}>",
                    if method == "REGISTER" { format!("sip:{user}@example.com") } else { uri.to_owned() }
                )
            ),
            line("Call-ID", format!("c{n}")),
            body.len()
        );
        let message = Message::parse(text.into_bytes().into());
        let sent = self.input(Input::Received { flow, message });
        let answer = sent.iter().find(|text| text.starts_with("SIP/2.0 ")).expect("an answer");
        let status = answer[8..11].parse().unwrap();
        let after = answer.lines().find_map(|line| line.strip_prefix("Retry-After: "));
        (status, after.map(|seconds| seconds.parse().unwrap()))
    }

    fn subscribe(&mut self, who: (&str, &str), user: &str, more: &str) -> Answer {
        let uri = format!("sip:{user}@example.com");
        let contact = format!("Contact: <sip:{}@{}:5060;x={}>", who.0, who.1, self.count);
        let more = if more.contains("Contact:") { more.to_owned() } else { format!("{contact}\r\n{more}") };
        let event = if more.contains("Event:") { "" } else { "Event: presence\r\n" };
        self.ask(("SUBSCRIBE", &uri), who, format!("{event}Expires: 600\r\n{more}").trim_end())
    }

    fn publish(&mut self, who: (&str, &str), body: &str, more: &str) -> Answer {
        let uri = format!("sip:{}@example.com", who.0);
        let head = format!("Event: presence\r\nExpires: 600\r\nContent-Type: application/pidf+xml{more}");
        self.ask(("PUBLISH", &uri), who, &format!("{head}\r\n\r\n{body}"))
    }

    fn hits(&mut self, name: &str) -> u64 {
        let Reply::Limits(rows) = self.node.handle_command(self.now, Command::Limits) else { panic!() };
        rows.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no limit {name}")).hits
    }

    /// `at` passes the limit, whatever else it gets; `over` is answered so, and counted.
    fn holds(
        &mut self,
        name: &str,
        status: u16,
        at: impl FnOnce(&mut Self) -> Answer,
        over: impl FnOnce(&mut Self) -> Answer,
    ) {
        let passed = at(self);
        assert_eq!(self.hits(name), 0, "{name}: what is at it was refused: {passed:?}");
        let (got, after) = over(self);
        assert_eq!((got, self.hits(name)), (status, 1), "{name}");
        let is_spread = after.is_some_and(|s| {
            (limits::RETRY_AFTER_S..=limits::RETRY_AFTER_S + limits::RETRY_AFTER_SPREAD_S).contains(&s)
        });
        assert_eq!(is_spread, status == 503, "{name}: Retry-After {after:?}");
    }
}

const ALICE: (&str, &str) = ("Alice", "192.0.2.1");
const BOB: (&str, &str) = ("Bob", "192.0.2.2");

fn pidf(inside: &str) -> String {
    format!(
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:Alice@example.com\"><tuple id=\"t\"><status>\
         <basic>open</basic></status>{inside}</tuple></presence>"
    )
}

#[test]
fn heads_and_bodies() {
    let mut stage = Stage::new(|_| {});
    let uri = |len: usize| format!("sip:{}@example.com", "b".repeat(len - 16));
    let with =
        |method, uri: String, more: String| move |stage: &mut Stage| stage.ask((method, &uri), ALICE, &more);
    let options = |len| with("OPTIONS", uri(len), String::new());
    stage.holds("uri_bytes", 414, options(limits::URI_BYTES_MAX), options(limits::URI_BYTES_MAX + 1));
    let body = |len| with("PUBLISH", uri(40), format!("Content-Type: x/y\r\n\r\n{}", "x".repeat(len)));
    stage.holds("body_bytes", 413, body(limits::BODY_BYTES_MAX), body(limits::BODY_BYTES_MAX + 1));
    let call_id = |len| with("OPTIONS", uri(40), format!("Call-ID: {}", "c".repeat(len)));
    let most = limits::IDENTIFIER_BYTES_MAX;
    stage.holds("identifier_bytes", 400, call_id(most), call_id(most + 1));
    let from = |len: usize| {
        let value = format!("\"{}\" <sip:a@example.com>;tag=1", "n".repeat(len - 28));
        assert_eq!(value.len(), len);
        with("OPTIONS", uri(40), format!("From: {value}"))
    };
    let most = limits::ADDRESS_BYTES_MAX;
    stage.holds("address_bytes", 400, from(most), from(most + 1));
}

#[test]
fn headers_of_a_subscribe() {
    let mut stage = Stage::new(|_| {});
    let with = |more: String| move |stage: &mut Stage| stage.subscribe(ALICE, "Bob", &more);
    let contact = |len: usize| with(format!("Contact: <sip:{}@192.0.2.1>", "u".repeat(len - 14)));
    stage.holds("contact_bytes", 400, contact(limits::URI_BYTES_MAX), contact(limits::URI_BYTES_MAX + 1));
    let accept = |n: usize| with(format!("Accept: application/pidf+xml{}", ", a/b".repeat(n - 1)));
    stage.holds(
        "accept_ranges",
        400,
        accept(limits::ACCEPT_RANGES_MAX),
        accept(limits::ACCEPT_RANGES_MAX + 1),
    );
    let routes =
        |n: usize| with(format!("Record-Route: <sip:192.0.2.9;lr>{}", ", <sip:192.0.2.9;lr>".repeat(n - 1)));
    stage.holds("routes", 400, routes(limits::ROUTES_MAX), routes(limits::ROUTES_MAX + 1));
    let params = |n: usize| {
        let (id, tag) = ("c".repeat(500), "t".repeat(n));
        with(format!("Event: dialog;call-id=\"{id}\";from-tag={tag};to-tag={tag}"))
    };
    stage.holds("event_params_bytes", 400, params(200), params(400));
}

#[test]
fn what_a_publish_says() {
    let mut stage = Stage::new(|settings| settings.quotas.publishes_per_s = 0);
    let with = |body: String, more: String| move |stage: &mut Stage| stage.publish(ALICE, &body, &more);
    // presence and tuple are two levels.
    let nested = |depth: usize| {
        let inner = depth - 2;
        with(pidf(&format!("{}{}", "<x xmlns='urn:x'>".repeat(inner), "</x>".repeat(inner))), String::new())
    };
    stage.holds("xml_depth", 400, nested(limits::XML_DEPTH_MAX), nested(limits::XML_DEPTH_MAX + 1));
    let attributes = |count: usize| {
        let list: String = (1..count).map(|n| format!(" a{n}='1'")).collect();
        with(pidf(&format!("<x xmlns='urn:x'{list}/>")), String::new())
    };
    let most = limits::XML_ATTRIBUTES_PER_ELEMENT_MAX;
    stage.holds("xml_attributes", 400, attributes(most), attributes(most + 1));
    let tag = |len: usize| with(pidf(&format!("<x xmlns='urn:x' a='{}'/>", "x".repeat(len))), String::new());
    stage.holds("xml_size", 400, tag(limits::XML_TAG_BYTES_MAX - 100), tag(limits::XML_TAG_BYTES_MAX));
    let etag = |len: usize| with(pidf(""), format!("\r\nSIP-If-Match: {}", "e".repeat(len)));
    stage.holds("entity_tag_bytes", 412, etag(limits::ETAG_BYTES_MAX), etag(limits::ETAG_BYTES_MAX + 1));
}

#[test]
fn subscriptions() {
    let watch = |who, whom: &'static str| move |stage: &mut Stage| stage.subscribe(who, whom, "");
    let twice = |who, whom| {
        move |stage: &mut Stage| {
            assert_eq!(stage.subscribe(who, whom, "").0, 200);
            stage.subscribe(who, whom, "")
        }
    };
    let carol = ("Carol", "192.0.2.1");
    let mut stage = Stage::new(|settings| settings.quotas.subscriptions = 2);
    stage.holds("subscriptions", 503, twice(ALICE, "Bob"), watch(BOB, "Alice"));
    let mut stage = Stage::new(|settings| settings.quotas.subscriptions_per_watcher = 2);
    stage.holds("subscriptions_per_watcher", 403, twice(ALICE, "Bob"), watch(ALICE, "Carol"));
    assert_eq!(stage.subscribe(BOB, "Carol", "").0, 200, "somebody else may");
    let mut stage = Stage::new(|settings| settings.quotas.subscriptions_per_source = 2);
    stage.holds("subscriptions_per_source", 403, twice(ALICE, "Bob"), watch(carol, "Bob"));
    assert_eq!(stage.subscribe(BOB, "Carol", "").0, 200, "from elsewhere");
    let mut stage = Stage::new(|settings| settings.quotas.subscriptions_per_presentity = 2);
    stage.holds("subscriptions_per_presentity", 503, twice(ALICE, "Carol"), watch(BOB, "Carol"));
    assert_eq!(stage.subscribe(BOB, "Alice", "").0, 200, "somebody else can be watched");
}

#[test]
fn a_subscription_that_is_replaced_or_ended_takes_no_room() {
    let mut stage = Stage::new(|settings| {
        let quotas = &mut settings.quotas;
        (quotas.subscriptions_per_watcher, quotas.subscriptions_per_source) = (1, 1);
        quotas.subscriptions_per_presentity = 1;
    });
    let same = "Contact: <sip:Alice@192.0.2.1>";
    for _ in 0..5 {
        assert_eq!(stage.subscribe(ALICE, "Bob", same).0, 200);
    }
    assert_eq!(stage.subscribe(ALICE, "Carol", same).0, 403);
    stage.now.mono = stage.now.mono + Duration::from_secs(700);
    stage.now.wall = stage.now.wall + Duration::from_secs(700);
    stage.input(Input::Timeout);
    assert_eq!(stage.subscribe(ALICE, "Carol", same).0, 200, "the first has expired");
}

#[test]
fn publications() {
    // Of others' addresses, so that none replaces another.
    let from = |user: &'static str, n: u8| {
        move |stage: &mut Stage| {
            let ip = format!("192.0.2.{n}");
            stage.publish((user, &ip), &pidf("").replace("id=\"t\"", &format!("id=\"t{n}\"")), "")
        }
    };
    let twice = |user: &'static str| {
        move |stage: &mut Stage| {
            assert_eq!(from(user, 1)(stage).0, 200);
            from(user, 2)(stage)
        }
    };
    let mut stage = Stage::new(|settings| settings.quotas.publications = 2);
    stage.holds("publications", 503, twice("Alice"), from("Bob", 3));
    let mut stage = Stage::new(|settings| settings.quotas.publications_per_presentity = 2);
    stage.holds("publications_per_presentity", 403, twice("Alice"), from("Alice", 3));
    let mut stage = Stage::new(|settings| settings.quotas.publications_per_publisher = 2);
    stage.holds("publications_per_publisher", 403, twice("Alice"), from("Alice", 3));
    assert_eq!(from("Bob", 3)(&mut stage).0, 200, "somebody else may");
}

#[test]
fn a_publisher_that_is_too_fast_waits() {
    let mut stage = Stage::new(|settings| settings.quotas.publishes_per_s = 1);
    let burst = limits::PUBLISHES_BURST_S;
    let once = |stage: &mut Stage| stage.publish(ALICE, &pidf(""), "");
    let many = move |stage: &mut Stage| (0..burst).map(|_| once(stage)).last().unwrap();
    stage.holds("publishes_per_s", 503, many, once);
    assert_eq!(stage.publish(BOB, &pidf(""), "").0, 200, "somebody else is not");
    stage.now.mono = stage.now.mono + Duration::from_secs(1);
    assert_eq!((once(&mut stage).0, once(&mut stage).0), (200, 503), "one more in each second");
}

#[test]
fn bindings() {
    let contacts = |user: &'static str, from: usize, count: usize| {
        move |stage: &mut Stage| {
            let list: Vec<_> =
                (from..from + count).map(|n| format!("<sip:{user}@192.0.2.1:{}>", 6000 + n)).collect();
            let more = format!("Expires: 600\r\nContact: {}", list.join(", "));
            stage.ask(("REGISTER", "sip:example.com"), (user, "192.0.2.1"), &more)
        }
    };
    let mut stage = Stage::new(|settings| settings.quotas.bindings_per_aor = 2);
    stage.holds("bindings_per_aor", 403, contacts("Alice", 0, 2), contacts("Alice", 2, 1));
    let mut stage = Stage::new(|settings| settings.quotas.bindings = 2);
    stage.holds("bindings", 503, contacts("Alice", 0, 2), contacts("Bob", 0, 1));
    assert_eq!(contacts("Alice", 0, 2)(&mut stage).0, 200, "a refresh takes no room");
    let mut stage = Stage::new(|settings| settings.quotas.bindings_per_aor = 0);
    let most = limits::CONTACTS_PER_REQUEST_MAX;
    stage.holds("contacts_per_request", 400, contacts("Alice", 0, most), contacts("Alice", 0, most + 1));
}

#[test]
fn challenges_that_are_never_answered() {
    let mut stage = Stage::new(|settings| {
        settings.domains[0].algorithms = vec![Algorithm::Md5];
        for peer in settings.peers.values_mut() {
            peer.authentication = Authentication::Digest(Vec::new());
        }
    });
    let most = limits::CHALLENGES_BURST;
    let ask = |stage: &mut Stage| {
        stage.subscribe(ALICE, "Bob", "User-Agent: a phone with a long name, so that a challenge is not longer than what draws it, whatever it offers")
    };
    stage.holds("challenges_per_source", 503, |stage| (0..most).map(|_| ask(stage)).last().unwrap(), ask);
    assert_eq!(stage.subscribe(BOB, "Alice", "").0, 401, "from elsewhere it goes on");
}

#[test]
fn overload_and_memory() {
    let new = |stage: &mut Stage| stage.subscribe(ALICE, "Bob", "");
    let say = |stage: &mut Stage| stage.publish(ALICE, &pidf(""), "");
    let waited = |stage: &mut Stage, waited| {
        stage.input(Input::Load(Load { waited, memory_full: false }));
    };
    let mut stage = Stage::new(|_| {});
    waited(&mut stage, limits::OVERLOAD_SUBSCRIBE - Duration::from_millis(1));
    stage.holds("overload_subscribe", 503, new, |stage| {
        waited(stage, limits::OVERLOAD_SUBSCRIBE);
        new(stage)
    });
    stage.holds("overload_publish", 503, say, |stage| {
        waited(stage, limits::OVERLOAD_PUBLISH);
        say(stage)
    });
    waited(&mut stage, Duration::ZERO);
    assert_eq!((new(&mut stage).0, say(&mut stage).0), (200, 200), "at once when the wait is gone");
    stage.holds("memory", 503, new, |stage| {
        stage.input(Input::Load(Load { waited: Duration::ZERO, memory_full: true }));
        new(stage)
    });
}

#[test]
fn sub_contact_metadata_nothing_is_sent_where_nothing_may_go() {
    let mut stage = Stage::new(|_| {});
    stage.ask(("SUBSCRIBE", "sip:Bob@example.com"), ALICE, "Event: presence\r\nExpires: 600\r\nRecord-Route: <sip:169.254.169.254;lr>\r\nContact: <sip:a@192.0.2.1>");
    assert_eq!(stage.hits("egress"), 1);
    let Reply::Why(rows) = stage.node.handle_command(stage.now, Command::Why("Bob".to_owned())) else {
        panic!()
    };
    let said = rows[0].watchers[0].unsent.clone().unwrap();
    assert_eq!(said, "not sent to 169.254.169.254:5060: it is where a cloud keeps its metadata");
}

#[test]
fn a_slow_reader_is_told_the_newest_state_alone() {
    let mut stage = Stage::new(|_| {});
    let remote = "192.0.2.1:40000".parse().unwrap();
    stage.input(Input::FlowOpened { id: STREAM, transport: Transport::Tcp, listener: ListenerId(1), remote });
    let flow = Flow::Stream { id: STREAM, remote };
    let more = "Event: presence\r\nExpires: 600\r\nContact: <sip:Alice@192.0.2.1;transport=tcp>";
    stage.input(Input::FlowBlocked { id: STREAM });
    assert_eq!(stage.ask_on(flow, ("SUBSCRIBE", "sip:Bob@example.com"), "Alice", more).0, 200);
    let notifies =
        |sent: Vec<String>| sent.into_iter().filter(|text| text.starts_with("NOTIFY")).collect::<Vec<_>>();
    let say = |stage: &mut Stage, note: &str| {
        let body = pidf(&format!("<note>{note}</note>")).replace("Alice", "Bob");
        assert_eq!(stage.publish(BOB, &body, "").0, 200);
    };
    for note in ["one", "two", "three"] {
        say(&mut stage, note);
    }
    let sent = notifies(stage.input(Input::FlowUnblocked { id: STREAM }));
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].contains("three") && !sent[0].contains("one"), "{}", sent[0]);
    assert!(notifies(stage.input(Input::FlowUnblocked { id: STREAM })).is_empty());
}
