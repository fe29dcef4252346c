//! The transaction layer as a whole, on virtual time.

use super::key::tests::PARTS;
use super::*;
use crate::flow::ListenerId;
use crate::rng::Rng;
use proptest::prelude::*;
use std::net::SocketAddr;

type Layer = Transactions<u32>;

fn layer() -> Layer {
    Transactions::new(Maps::new(7), Rng::new([7; 32]))
}

fn at(ms: u64) -> Instant {
    Instant::from_micros(ms * 1000)
}

fn remote(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn udp() -> Flow {
    Flow::Udp { listener: ListenerId(0), remote: remote(5060) }
}

fn stream(id: u64) -> Flow {
    Flow::Stream { id: StreamId(id), remote: remote(5060) }
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn send(flow: Flow, text: &'static str) -> Transmit {
    Transmit { flow, bytes: bytes(text), after: None }
}

/// Runs timers up to `ms`, as the shell would.
fn run_to(layer: &mut Layer, ms: u64) -> Vec<Action<u32>> {
    let mut out = Vec::new();
    while let Some(due) = layer.next_timeout().filter(|due| *due <= at(ms)) {
        layer.on_timeout(due, &mut out);
    }
    out
}

/// Starts a request, gives its id and branch.
fn start(layer: &mut Layer, ms: u64, flow: Flow, method: &str, user: u32) -> (ClientId, String) {
    let mut text = String::new();
    let (id, transmit) = layer.start(at(ms), flow, method, user, |branch| {
        text = branch.as_str().to_owned();
        bytes("request")
    });
    assert_eq!(transmit, send(flow, "request"));
    (id, text)
}

fn respond(layer: &mut Layer, ms: u64, branch: &str, method: &str, status: u16) -> Answer<u32> {
    let parts = ResponseParts { branch: Some(branch), method, status };
    layer.on_response(at(ms), &parts, |request| {
        assert_eq!(request, &bytes("request"));
        Some(bytes("ack"))
    })
}

#[test]
fn a_request_is_opened_answered_and_absorbed_over_udp() {
    let mut layer = layer();
    assert_eq!(layer.lookup(at(0), udp(), &PARTS), Seen::New);
    assert!(layer.is_empty(), "lookup keeps nothing");
    let id = layer.open(at(0), udp(), &PARTS).unwrap();
    assert_eq!(layer.lookup(at(1), udp(), &PARTS), Seen::Retransmission(None));
    let ticket = Some(Ticket(4));
    let want = Transmit { flow: udp(), bytes: bytes("200"), after: ticket };
    assert_eq!(layer.respond(at(2), id, 200, bytes("200"), ticket), Some(want.clone()));
    assert_eq!(layer.lookup(at(500), udp(), &PARTS), Seen::Retransmission(Some(want.clone())));
    assert_eq!(layer.respond(at(501), id, 500, bytes("500"), None), None, "one final answer");
    let moved = Flow::Udp { listener: ListenerId(0), remote: remote(40_000) };
    let want = Transmit { flow: moved, ..want };
    assert_eq!(layer.lookup(at(600), moved, &PARTS), Seen::Retransmission(Some(want)));
    assert_eq!(run_to(&mut layer, 32_001), []);
    assert_eq!(layer.len(), 1);
    assert_eq!(run_to(&mut layer, 32_002), []);
    assert!(layer.is_empty());
    assert_eq!(layer.lookup(at(32_003), udp(), &PARTS), Seen::New);
    assert_eq!(layer.respond(at(32_004), id, 200, bytes("late"), None), None, "an old id is not found");
}

#[test]
fn a_stream_keeps_nothing_after_the_answer() {
    let mut layer = layer();
    let id = layer.open(at(0), stream(1), &PARTS).unwrap();
    assert_eq!(layer.respond(at(2), id, 200, bytes("200"), None), Some(send(stream(1), "200")));
    assert!(layer.is_empty() && layer.next_timeout().is_none());
}

#[test]
fn rfc3261_8_2_2_2_a_merged_request_is_told_from_a_new_one() {
    let other = Parts { branch: Some("z9hG4bKother"), ..PARTS };
    for (name, parts, want) in [
        ("other path", other, Seen::Merged),
        ("other call", Parts { call_id: "c2", ..other }, Seen::New),
        ("other CSeq", Parts { cseq: 2, ..other }, Seen::New),
        ("other From tag", Parts { from_tag: Some("f2"), ..other }, Seen::New),
        ("other method", Parts { method: "OPTIONS", ..other }, Seen::New),
        ("in a dialog", Parts { to_tag: Some("t"), ..other }, Seen::New),
    ] {
        let mut layer = layer();
        let id = layer.open(at(0), udp(), &PARTS).unwrap();
        assert_eq!(layer.lookup(at(1), udp(), &parts), want, "{name}");
        layer.forget(id);
        assert_eq!(layer.lookup(at(2), udp(), &parts), Seen::New, "{name}, afterwards");
        assert!(layer.is_empty());
    }
}

#[test]
fn cancel_finds_its_invite_until_that_is_answered() {
    for branch in [Some("z9hG4bKi"), Some("old"), None] {
        let mut layer = layer();
        let invite = Parts { method: "INVITE", branch, ..PARTS };
        let cancel = Parts { method: "CANCEL", ..invite };
        assert_eq!(layer.lookup(at(0), udp(), &cancel), Seen::Cancel { of: None });
        let id = layer.open(at(0), udp(), &invite).unwrap();
        assert_eq!(layer.lookup(at(1), udp(), &cancel), Seen::Cancel { of: Some(id) });
        let cancel_id = layer.open(at(1), udp(), &cancel).unwrap();
        assert!(layer.respond(at(1), cancel_id, 200, bytes("200"), None).is_some());
        assert!(layer.respond(at(1), id, 487, bytes("487"), None).is_some());
        let again = Seen::Retransmission(Some(send(udp(), "200")));
        assert_eq!(layer.lookup(at(2), udp(), &cancel), again);
        let ack = Parts { method: "ACK", to_tag: Some("ours"), ..invite };
        assert_eq!(layer.lookup(at(3), udp(), &ack), Seen::Acknowledged);
        assert_eq!(layer.lookup(at(4), udp(), &ack), Seen::Acknowledged);
        let late = Parts { branch: Some("z9hG4bKlate"), ..cancel };
        assert_eq!(layer.lookup(at(5), udp(), &late), Seen::Cancel { of: None });
        assert_eq!(run_to(&mut layer, 100_000), []);
        assert!(layer.is_empty());
    }
}

#[test]
fn an_ack_without_a_transaction_or_to_a_2xx_is_the_dialogs() {
    let mut layer = layer();
    let invite = Parts { method: "INVITE", ..PARTS };
    let ack = Parts { method: "ACK", ..invite };
    assert_eq!(layer.lookup(at(0), udp(), &ack), Seen::Ack);
    assert_eq!(layer.open(at(0), udp(), &ack), None, "an ACK is never answered");
    let id = layer.open(at(0), udp(), &invite).unwrap();
    assert!(layer.respond(at(0), id, 200, bytes("200"), None).is_some());
    assert_eq!(layer.lookup(at(1), udp(), &ack), Seen::Ack);
    assert_eq!(layer.lookup(at(1), udp(), &invite), Seen::Retransmission(None));
    assert_eq!(layer.respond(at(500), id, 200, bytes("200"), None), Some(send(udp(), "200")));
}

#[test]
fn an_unanswered_invite_gets_its_100() {
    let mut layer = layer();
    let id = layer.open(at(0), udp(), &Parts { method: "INVITE", ..PARTS }).unwrap();
    layer.trying_with(id, bytes("100"));
    assert_eq!(run_to(&mut layer, 199), []);
    assert_eq!(run_to(&mut layer, 200), [Action::Transmit(send(udp(), "100"))]);
    assert!(layer.respond(at(300), id, 404, bytes("404"), None).is_some());
    let out = run_to(&mut layer, 32_300);
    assert_eq!(out.len(), 11);
    assert!(out[..10].iter().all(|action| *action == Action::Transmit(send(udp(), "404"))));
    assert_eq!(out[10], Action::Unacknowledged(id));
    assert!(layer.is_empty());
}

#[test]
fn a_refused_store_replaces_the_response() {
    let mut layer = layer();
    let id = layer.open(at(0), udp(), &PARTS).unwrap();
    assert!(layer.respond(at(0), id, 200, bytes("200"), Some(Ticket(1))).is_some());
    assert_eq!(layer.replace(id, bytes("503")), Some(send(udp(), "503")));
    assert_eq!(layer.lookup(at(9), udp(), &PARTS), Seen::Retransmission(Some(send(udp(), "503"))));
}

#[test]
fn too_many_are_refused() {
    let mut layer = layer();
    layer.servers_max = 1;
    assert!(layer.open(at(0), udp(), &PARTS).is_some());
    assert_eq!(layer.open(at(0), udp(), &Parts { branch: Some("z9hG4bK2"), ..PARTS }), None);
}

#[test]
fn a_request_is_retransmitted_answered_once_and_freed() {
    let mut layer = layer();
    let (_, branch) = start(&mut layer, 0, udp(), "NOTIFY", 5);
    assert_eq!(run_to(&mut layer, 1499), [Action::Transmit(send(udp(), "request"))]);
    assert_eq!(respond(&mut layer, 1600, &branch, "NOTIFY", 100), Answer::Provisional(5));
    assert_eq!(respond(&mut layer, 1700, &branch, "NOTIFY", 200), Answer::Final(5, None));
    assert!(layer.clients.get(0).unwrap().bytes.is_empty(), "no bytes are kept");
    assert_eq!(respond(&mut layer, 1800, &branch, "NOTIFY", 481), Answer::Absorbed(None));
    assert_eq!(run_to(&mut layer, 6700), []);
    assert!(layer.is_empty());
    assert_eq!(respond(&mut layer, 6800, &branch, "NOTIFY", 200), Answer::Stray);
}

#[test]
fn a_silent_peer_times_out_once() {
    let mut layer = layer();
    start(&mut layer, 0, udp(), "NOTIFY", 5);
    let out = run_to(&mut layer, 32_000);
    assert_eq!((out.len(), out.last()), (11, Some(&Action::TimedOut(5))));
    assert!(layer.is_empty());
    start(&mut layer, 0, stream(1), "NOTIFY", 6);
    assert_eq!(run_to(&mut layer, 32_000), [Action::TimedOut(6)]);
    assert!(layer.is_empty() && layer.on_streams.is_empty());
}

#[test]
fn only_our_branch_with_our_method_matches() {
    let mut layer = layer();
    let (_, branch) = start(&mut layer, 0, udp(), "NOTIFY", 5);
    let mut guess = branch.clone();
    let last = if guess.pop() == Some('0') { '1' } else { '0' };
    guess.push(last);
    for (branch, method) in
        [("z9hG4bK", "NOTIFY"), (guess.as_str(), "NOTIFY"), (branch.as_str(), "INVITE"), ("", "NOTIFY")]
    {
        assert_eq!(respond(&mut layer, 1, branch, method, 200), Answer::Stray, "{branch} {method}");
    }
    let nothing = ResponseParts { branch: None, method: "NOTIFY", status: 200 };
    assert_eq!(layer.on_response(at(1), &nothing, |_| None), Answer::Stray);
}

#[test]
fn an_invite_is_acknowledged_and_its_cancel_answered_apart() {
    for flow in [udp(), stream(3)] {
        let mut layer = layer();
        let (id, branch) = start(&mut layer, 0, flow, "INVITE", 1);
        let (_, transmit) = layer
            .cancel(at(10), id, 2, |cancel| {
                assert_eq!(cancel.as_str(), branch);
                bytes("request")
            })
            .unwrap();
        assert_eq!(transmit, send(flow, "request"));
        let ack = send(flow, "ack");
        assert_eq!(respond(&mut layer, 20, &branch, "INVITE", 487), Answer::Final(1, Some(ack.clone())));
        assert_eq!(respond(&mut layer, 30, &branch, "CANCEL", 200), Answer::Final(2, None));
        let again = if flow.is_reliable() { Answer::Stray } else { Answer::Absorbed(Some(ack)) };
        assert_eq!(respond(&mut layer, 40, &branch, "INVITE", 487), again);
        assert_eq!(layer.cancel(at(50), id, 3, |_| bytes("request")), None);
        assert_eq!(run_to(&mut layer, 40_000), []);
        assert!(layer.is_empty() && layer.cancels.is_empty());
    }
}

#[test]
fn a_closed_stream_fails_those_who_wait_on_it() {
    let mut layer = layer();
    start(&mut layer, 0, stream(1), "NOTIFY", 1);
    let (_, done) = start(&mut layer, 0, stream(1), "INVITE", 2);
    start(&mut layer, 0, stream(2), "NOTIFY", 3);
    assert_eq!(respond(&mut layer, 1, &done, "INVITE", 200), Answer::Final(2, None));
    let mut out = Vec::new();
    layer.on_stream_closed(StreamId(1), &mut out);
    assert_eq!(out, [Action::TransportFailed(1)]);
    assert_eq!(layer.len(), 1);
}

#[test]
fn an_abandoned_request_is_gone() {
    let mut layer = layer();
    let (id, branch) = start(&mut layer, 0, udp(), "NOTIFY", 1);
    layer.abandon(id);
    layer.abandon(id);
    assert!(layer.is_empty() && layer.next_timeout().is_none());
    let (_, newer) = start(&mut layer, 0, udp(), "NOTIFY", 2);
    assert_eq!(respond(&mut layer, 1, &branch, "NOTIFY", 200), Answer::Stray);
    assert_eq!(respond(&mut layer, 1, &newer, "NOTIFY", 200), Answer::Final(2, None));
}

#[derive(Clone, Debug)]
enum Step {
    Start { invite: bool, stream: Option<u64> },
    Respond { which: usize, status: u16 },
    Open { branch: usize, method: usize, stream: bool },
    Answer { which: usize, status: u16 },
    Close(u64),
    Cancel { which: usize },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop::sample::select(vec![100u16, 180, 200, 202, 302, 404, 481, 503, 603]);
    prop_oneof![
        (any::<bool>(), prop::option::of(0..3u64))
            .prop_map(|(invite, stream)| Step::Start { invite, stream }),
        (0..40usize, status.clone()).prop_map(|(which, status)| Step::Respond { which, status }),
        (0..6usize, 0..4usize, any::<bool>()).prop_map(|(branch, method, stream)| Step::Open {
            branch,
            method,
            stream
        }),
        (0..40usize, status).prop_map(|(which, status)| Step::Answer { which, status }),
        (0..3u64).prop_map(Step::Close),
        (0..40usize).prop_map(|which| Step::Cancel { which }),
        (1..20_000u64).prop_map(Step::Wait),
    ]
}

/// Counts the final word each user was given.
fn tally(finals: &mut [u32], out: &[Action<u32>]) {
    for action in out {
        if let Action::TimedOut(user) | Action::TransportFailed(user) = action {
            finals[*user as usize] += 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn one_final_answer_each_and_nothing_left(steps in prop::collection::vec(step(), 1..80)) {
        let mut layer = layer();
        let mut now = 0;
        let mut sent: Vec<(ClientId, String, &str)> = Vec::new();
        let mut opened: Vec<ServerId> = Vec::new();
        let mut answered: Vec<u32> = Vec::new();
        let mut finals: Vec<u32> = Vec::new();
        for step in steps {
            match step {
                Step::Start { invite, stream: on } => {
                    let method = if invite { "INVITE" } else { "NOTIFY" };
                    let user = u32::try_from(finals.len()).unwrap();
                    let (id, branch) = start(&mut layer, now, on.map_or(udp(), stream), method, user);
                    sent.push((id, branch, method));
                    finals.push(0);
                }
                Step::Respond { which, status } if which < sent.len() => {
                    let (_, branch, method) = sent[which].clone();
                    if let Answer::Final(user, _) = respond(&mut layer, now, &branch, method, status) {
                        finals[user as usize] += 1;
                    }
                }
                Step::Cancel { which } if which < sent.len() && sent[which].2 == "INVITE" => {
                    let (id, branch, _) = sent[which].clone();
                    let user = u32::try_from(finals.len()).unwrap();
                    if let Some((id, _)) = layer.cancel(at(now), id, user, |_| bytes("request")) {
                        sent.push((id, branch, "CANCEL"));
                        finals.push(0);
                    }
                }
                Step::Open { branch, method, stream: on } => {
                    let branch = ["z9hG4bKa", "z9hG4bKb", "z9hG4bKc", "z9hG4bK", "old", ""][branch];
                    let method = ["SUBSCRIBE", "INVITE", "ACK", "CANCEL"][method];
                    let parts = Parts { branch: Some(branch), method, ..PARTS };
                    let flow = if on { stream(9) } else { udp() };
                    if matches!(layer.lookup(at(now), flow, &parts), Seen::New | Seen::Cancel { .. })
                        && let Some(id) = layer.open(at(now), flow, &parts)
                    {
                        opened.push(id);
                        answered.push(0);
                    }
                }
                Step::Answer { which, status } if which < opened.len() => {
                    let sent = layer.respond(at(now), opened[which], status, bytes("response"), None);
                    // A user may send its 2xx to INVITE again (RFC 6026); any other final response goes out once.
                    if sent.is_some() && status >= 300 {
                        answered[which] += 1;
                    }
                }
                Step::Close(id) => {
                    let mut out = Vec::new();
                    layer.on_stream_closed(StreamId(id), &mut out);
                    tally(&mut finals, &out);
                }
                Step::Wait(ms) => {
                    now += ms;
                    tally(&mut finals, &run_to(&mut layer, now));
                }
                _ => {}
            }
        }
        // The users do what they must: callers give up, servers answer.
        for (id, _, method) in &sent {
            if *method == "INVITE" {
                layer.abandon(*id);
            }
        }
        for id in opened {
            layer.respond(at(now), id, 500, bytes("500"), None);
        }
        tally(&mut finals, &run_to(&mut layer, now + 70_000));
        prop_assert!(answered.iter().all(|n| *n <= 1), "{answered:?}");
        for ((_, _, method), n) in sent.iter().zip(&finals) {
            prop_assert!(*n == 1 || (*method == "INVITE" && *n == 0), "{finals:?}");
        }
        prop_assert_eq!(layer.len(), 0);
        prop_assert!(layer.timers.is_empty() && layer.by_key.is_empty() && layer.by_merge.is_empty());
        prop_assert!(layer.cancels.is_empty() && layer.on_streams.is_empty());
    }
}
