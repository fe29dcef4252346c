//! Webhooks of the real binary: signed, in order, tried again until they are taken.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is a test")]

mod lab;

use hmac::{Hmac, KeyInit as _, Mac as _};
use lab::{Lab, PATIENCE};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

/// A delivery: its head in small letters, and its body.
fn taken(listener: &TcpListener, answer: &str) -> (String, String) {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    read(stream, answer).unwrap()
}

/// The same of a connection; `None` where it ends before a request.
fn read(stream: impl Read + Write, answer: &str) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let mut body = vec![0; header(&head, "content-length").parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
    reader.get_mut().write_all(answer.as_bytes()).unwrap();
    reader.get_mut().flush().unwrap();
    Some((head, String::from_utf8(body).unwrap()))
}

fn header<'h>(head: &'h str, name: &str) -> &'h str {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

#[test]
fn events_are_delivered_signed_and_in_order_until_they_are_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = format!(
        "http = \"127.0.0.1:0\"\n[webhooks.wall]\nurl = \"http://127.0.0.1:{port}/lamps?a=b\"\nsecret = \"s3cret\"\n\
         subjects = [\"7000\"]\n"
    );
    let lab = Lab::start("webhooks", &["udp:127.0.0.1:0"], &options);
    lab.lamp("INUSE");
    let (head, body) = taken(&listener, "500 Internal Server Error");
    let (again, same) = taken(&listener, "200 OK");
    assert_eq!(body, same, "what was not taken comes again");
    assert!(head.starts_with("post /lamps?a=b http/1.1\r\n"), "{head}");
    for head in [&head, &again] {
        assert_eq!(header(head, "content-type"), "application/json");
        let signature = header(head, "lampyris-signature");
        let (time, value) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"s3cret").unwrap();
        mac.update(format!("{time}.{body}").as_bytes());
        let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(value, expected);
    }
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["gap"], false);
    assert_eq!(told["events"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(
        (&told["events"][0]["event"], &told["events"][0]["state"]),
        (&"extension".into(), &"InUse".into())
    );
    assert_eq!(told["events"][0]["id"], header(&head, "lampyris-delivery"));

    lab.lamp("RINGING");
    let (_, body) = taken(&listener, "204 No Content");
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["events"][0]["state"], "Ringing");

    // Who is gone is not asked again for these events.
    lab.lamp("BUSY");
    taken(&listener, "410 Gone");
    lab.lamp("NOT_INUSE");
    let (_, body) = taken(&listener, "200 OK");
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["events"][0]["state"], "Idle");
    let metrics = lab.get("/metrics", "").body;
    for line in [
        "webhook_delivered_total{webhook=\"wall\"} ",
        "webhook_retried_total{webhook=\"wall\"} 1",
        "webhook_dead_total{webhook=\"wall\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

/// Over TLS the receiver has to prove that it is the host of the address, by an authority that is trusted.
#[test]
fn a_webhook_over_tls_goes_to_whom_its_name_belongs_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = format!(
        "http = \"127.0.0.1:0\"\n[webhooks.wall]\nurl = \"https://127.0.0.1:{port}/lamps\"\nsecret = \"s3cret\"\n\
         subjects = [\"7000\"]\n"
    );
    let lab = Lab::start("webhooks-tls", &["udp:127.0.0.1:0"], &options);
    let receive = |names: &[&str]| {
        let (certificate, key) = lab.authority.sign(names);
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        read(StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), stream), "200 OK")
    };
    lab.lamp("INUSE");
    assert_eq!(receive(&["elsewhere.example"]), None, "whoever proves another name is told nothing");
    let (head, body) = receive(&["127.0.0.1"]).expect("a delivery");
    assert!(head.starts_with("post /lamps http/1.1\r\n"), "{head}");
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["events"][0]["state"], "InUse");
}

/// What a gateway tells goes out by its FreeSWITCH names, to whom it is configured for.
#[test]
fn what_gateways_tell_is_delivered() {
    let there = Lab::start("webhooks-there", &["udp:127.0.0.1:0"], "");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = format!(
        "http = \"127.0.0.1:0\"\n[webhooks.crm]\nurl = \"http://127.0.0.1:{port}/\"\nsecret = \"s3cret\"\n\
         events = [\"notify_in\", \"presence_in\"]\n[gateways.far]\nrealm = \"example.com\"\nusername = \"alice\"\n\
         secret = \"x\"\noutbound_proxy = \"{}\"\n[subscriptions.lamp]\ngateway = \"far\"\nevent = \"dialog\"\n\
         uris = [\"sip:7000@example.com\"]\n",
        there.address("udp")
    );
    let _here = Lab::start("webhooks-here", &["udp:127.0.0.1:0"], &options);
    let (mut told, mut rings) = (Vec::<Value>::new(), false);
    let has = |told: &[Value], kind: &str, part: &str| {
        told.iter().any(|event| event["event"] == kind && event.to_string().contains(part))
    };
    while !(has(&told, "notify_in", "early") && has(&told, "presence_in", "")) {
        let (_, body) = taken(&listener, "200 OK");
        let delivery: Value = serde_json::from_str(&body).unwrap();
        told.extend(delivery["events"].as_array().unwrap().clone());
        // It is subscribed to now, so that a change there is told here.
        if !std::mem::replace(&mut rings, true) {
            there.lamp("RINGING");
        }
    }
    let kinds = |event: &Value| ["notify_in", "presence_in"].iter().any(|kind| event["event"] == *kind);
    assert!(told.iter().all(kinds), "{told:?}");
    let notify = told.iter().find(|event| event["event"] == "notify_in").unwrap();
    assert_eq!((&notify["gateway_name"], &notify["package"]), (&"far".into(), &"dialog".into()), "{notify}");
    let presence = told.iter().find(|event| event["event"] == "presence_in").unwrap();
    assert_eq!(
        (&presence["login"], &presence["from"]),
        (&"far".into(), &"7000@example.com".into()),
        "{presence}"
    );
}
