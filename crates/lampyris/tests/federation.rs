//! Two servers of two domains that prove by certificate who they are: a user of one watches a lamp of the other, as far as the
//! other's rules let them; whoever only says that they are of that domain is refused.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

mod lab;

use lab::{Lab, PATIENCE, Sip, request};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const WATCH: &str = "Contact: <sip:phone@127.0.0.1:9;transport=tcp>\r\nEvent: dialog\r\nExpires: 600\r\n";

/// Both trust both authorities, and show their certificates.
fn federate(lab: &Lab, names: &[&str], authorities: &str, domain: &str, table: &str) {
    lab.certify(names);
    std::fs::write(lab.directory.join("ca.pem"), authorities).unwrap();
    lab.edit(
        "roots = \"ca.pem\"\n",
        "roots = \"ca.pem\"\nclient_ca = \"ca.pem\"\nclient_auth = \"request\"\n",
    );
    lab.edit("[domains.\"example.com\"]", &format!("{table}\n[domains.\"{domain}\"]"));
    let reloaded = lab.ask(&["reload"]);
    assert!(reloaded.status.success(), "{}", String::from_utf8_lossy(&reloaded.stderr));
}

/// Asks until what is printed has all of these in it.
fn until(lab: &Lab, words: &[&str], wanted: &[&str]) {
    let began = Instant::now();
    loop {
        let text = String::from_utf8_lossy(&lab.ask(words).stdout).into_owned();
        if wanted.iter().all(|part| text.contains(part)) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{words:?}: {wanted:?} expected, {text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Takes NOTIFYs until one has all of these in it.
fn told<S: Read + Write>(phone: &mut Sip<S>, wanted: &[&str]) {
    for _ in 0..10 {
        let notify = phone.notified();
        if wanted.iter().all(|part| notify.contains(part)) {
            return;
        }
    }
    panic!("nobody tells {wanted:?}");
}

/// A phone of this user, and the status of its SUBSCRIBE.
fn subscribed(lab: &Lab, user: &str, uri: &str) -> (Sip<TcpStream>, String) {
    let stream = TcpStream::connect(lab.address("tcp")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut phone = Sip::new(stream, "TCP");
    let text = request("SUBSCRIBE", uri, "TCP", 1, WATCH);
    phone.send(&text.replace("sip:alice@", &format!("sip:{user}@")));
    let status = phone.read().unwrap();
    (phone, status)
}

#[test]
fn two_domains_watch_each_other_and_strangers_are_refused() {
    let here = Lab::start("federation-here", &["tls:127.0.0.1:0", "tcp:127.0.0.1:0"], "");
    let there = Lab::start("federation-there", &["tls:127.0.0.1:0", "tcp:127.0.0.1:0"], "");
    let authorities = format!("{}{}", here.authority.pem(), there.authority.pem());
    let at = |lab: &Lab| format!("{};maddr=127.0.0.1", lab.address("tls").port());
    let table = format!("[federation.\"b.example\"]\nproxy = \"b.example:{}\"\n", at(&there));
    federate(&here, &["example.com", "localhost"], &authorities, "example.com", &table);
    let table = format!(
        "[federation.\"example.com\"]\nproxy = \"example.com:{}\"\nallow = [\"alice = 70*\"]\n",
        at(&here)
    );
    federate(&there, &["b.example", "localhost"], &authorities, "b.example", &table);

    there.lamp("INUSE");
    let (mut phone, status) = subscribed(&here, "alice", "sip:7000@b.example");
    assert!(status.starts_with("SIP/2.0 200 "), "{status}");
    told(&mut phone, &["Subscription-State: active", "confirmed"]);
    there.lamp("RINGING");
    told(&mut phone, &["early"]);
    until(&here, &["gateways"], &["b.example", "sip:7000@b.example for alice", " SUBED"]);
    until(
        &here,
        &["why", "7000@b.example"],
        &["Ringing", "asked at b.example", "gateway b.example", "alice"],
    );
    until(&there, &["show", "subscriptions"], &["sip:alice@example.com"]);

    // Nothing that was learnt for alice reaches bob, whom no rule there names.
    let (mut other, status) = subscribed(&here, "bob", "sip:7000@b.example");
    assert!(status.starts_with("SIP/2.0 200 "), "{status}");
    let first = other.notified();
    assert!(first.contains("Subscription-State: pending") && !first.contains("early"), "{first}");
    told(&mut other, &["Subscription-State: terminated;reason=rejected"]);

    // Who says they are of the other domain and does not prove it.
    let stranger = there.authority.sign(&["c.example"]);
    for own in [None, Some(&stranger)] {
        let mut stranger = there.tls(own);
        stranger.request("SUBSCRIBE", "sip:7000@b.example", WATCH);
        let refused = stranger.read().unwrap();
        assert!(refused.starts_with("SIP/2.0 403 "), "{refused}");
    }
    // Who proves it, and asks for somebody whom no rule names; and for a third domain, which would be a chain of servers.
    let theirs = there.authority.sign(&["example.com"]);
    for (uri, status) in
        [("sip:bob@b.example", "403"), ("sip:carol@c.example", "404"), ("sip:bob@example.com", "404")]
    {
        let mut peer = there.tls(Some(&theirs));
        peer.request("SUBSCRIBE", uri, WATCH);
        let refused = peer.read().unwrap();
        assert!(refused.starts_with(&format!("SIP/2.0 {status} ")), "{uri}: {refused}");
    }
}
