//! Two servers, one of which watches the other by the gateway file that FreeSWITCH's documentation prints: the lamp here
//! follows the phone there, until the configuration no longer names the gateway. And one that publishes at the other.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

mod lab;

use lab::{Lab, PATIENCE};
use std::time::{Duration, Instant};

/// Asks until what is printed has all of these in it.
fn until(lab: &Lab, words: &[&str], wanted: &[&str]) {
    let began = Instant::now();
    loop {
        let answer = lab.ask(words);
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        if wanted.iter().all(|part| text.contains(part)) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{words:?}: {wanted:?} expected, {text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn freeswitchs_gateway_file_watches_another_lampyris() {
    // The file asks of `192.168.7.2`, as user 1000 there.
    let there = "[domains.\"192.168.7.2\"]\n[peers.1000]\nsecret = \"1234\"\n";
    let there = Lab::start("gateway-there", &["udp:127.0.0.1:0"], there);
    let here = Lab::start("gateway-here", &["udp:127.0.0.1:0"], "http = \"127.0.0.1:0\"\n");
    // As it is printed, only one of its three subscriptions is no comment.
    let file = include_str!("fixtures/freeswitch/fs2.xml");
    let file =
        file.replace("<!-- <subscription", "<subscription").replace("</subscription> -->", "</subscription>");
    std::fs::write(here.directory.join("fs2.xml"), file).unwrap();
    here.edit("[server]", "freeswitch_gateways = \"fs2.xml\"\n[server]");
    let gateway = format!(
        "[gateways.fs2]\nproxy = \"{}\"\nmap = [\"1000 = bob\", \"bob = alice\"]\n[hints]\n\"6001\" = \"SIP/bob\"\n",
        there.address("udp")
    );
    here.edit("[hints]\n", &gateway);
    assert!(here.ask(&["reload"]).status.success());
    let subscribed = || {
        let text = String::from_utf8_lossy(&here.ask(&["gateways"]).stdout).into_owned();
        text.lines().filter(|line| line.starts_with("fs2") && line.contains(" SUBED")).count()
    };
    let began = Instant::now();
    while subscribed() < 3 {
        assert!(began.elapsed() < PATIENCE, "{}", String::from_utf8_lossy(&here.ask(&["gateways"]).stdout));
        std::thread::sleep(Duration::from_millis(50));
    }

    let lamp = |state: &str| {
        assert!(there.ask(&["devstate", "set", "SIP/1000", state]).status.success());
    };
    for (state, shown) in [("INUSE", "InUse"), ("RINGING", "Ringing"), ("INUSE", "InUse")] {
        lamp(state);
        until(&here, &["show", "hint", "6001"], &[shown]);
    }
    let token = here.token(&["admin"]);
    let mut events = here.events("/api/v1/events?kinds=notify_in,presence_in", &token, None);
    assert_eq!(events.next().kind, "snapshot");
    lamp("RINGING");
    let [notify, presence] = ["notify_in", "presence_in"].map(|kind| {
        let of_calls =
            |data: &serde_json::Value| data["package"] == "dialog" || data["event_type"] == "dialog";
        std::iter::repeat_with(|| events.of(kind).data).find(of_calls).unwrap()
    });
    assert_eq!(notify["gateway_name"], "fs2", "{notify}");
    assert!(notify["pl_data"].as_str().unwrap().contains("early"), "{notify}");
    assert_eq!(
        (&presence["login"], &presence["event_type"]),
        (&"fs2".into(), &"dialog".into()),
        "{presence}"
    );
    let gateways = here.get("/api/v1/gateways", &token).json();
    assert_eq!((&gateways[0]["gateway"], &gateways[0]["state"]), (&"fs2".into(), &"SUBED".into()));
    // Presence of who the account is, and of somebody else in the list: everybody of that domain.
    for (user, name) in [("1000", "bob"), ("bob", "alice")] {
        let set = there.ask(&["presence", "set", user, "meeting", "--note", "until two"]);
        assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
        until(&here, &["why", name], &["gateway fs2", "until two"]);
    }

    lamp("INUSE");
    until(&here, &["why", "6001"], &["gateway fs2"]);
    until(&here, &["show", "publications"], &["gateway:fs2"]);

    // Without the gateway, nothing of it is left.
    here.edit("freeswitch_gateways = \"fs2.xml\"\n", "");
    assert!(here.ask(&["reload"]).status.success());
    until(&here, &["gateways"], &["no lines"]);
    until(&here, &["show", "hint", "6001"], &["Unavailable"]);
    until(&there, &["show", "subscriptions"], &["no subscriptions"]);
}

#[test]
fn a_lamp_is_published_at_another_lampyris() {
    let there = "[domains.\"there.example\"]\n[peers.office]\nsecret = \"1234\"\ntrusted_publisher = true\n";
    let there = Lab::start("publish-there", &["udp:127.0.0.1:0"], there);
    let mut here = Lab::start("publish-here", &["udp:127.0.0.1:0"], "");
    let gateway = format!(
        "[gateways.there]\nrealm = \"there.example\"\nusername = \"office\"\nsecret = \"1234\"\nproxy = \"{}\"\n\
         [publications.lamps]\ngateway = \"there\"\nevent = \"dialog\"\nwho = [\"7000\"]\n[hints]\n",
        there.address("udp")
    );
    here.edit("[hints]\n", &gateway);
    assert!(here.ask(&["reload"]).status.success());
    let lamp = |here: &Lab, state: &str| {
        assert!(here.ask(&["devstate", "set", "Custom:lamp", state]).status.success());
    };
    for (state, shown) in [("INUSE", "InUse"), ("RINGING", "Ringing")] {
        lamp(&here, state);
        until(&there, &["show", "hint", "7000"], &[shown]);
    }
    until(&here, &["gateways"], &["publish dialog", "sip:7000@there.example", " PUBED"]);
    until(&here, &["why", "7000"], &["Published at", "there", " PUBED"]);
    until(&there, &["show", "publications"], &["office"]);

    // A crash in between: no second publication beside the one that stands.
    here.kill_and_start();
    lamp(&here, "INUSE");
    until(&there, &["show", "hint", "7000"], &["InUse"]);
    until(&there, &["show", "publications"], &["1 publication\n"]);
    lamp(&here, "NOT_INUSE");
    until(&there, &["show", "publications"], &["no publications"]);
}
