//! `lampyris upgrade`, `drain`, `stop` and kill -9 of the real binary, with phones over UDP, TCP and TLS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is a test")]

mod lab;

use lab::{Lab, PATIENCE, Sip, answer, header, request};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LISTEN: [&str; 3] = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "tls:127.0.0.1:0"];

/// Stops whatever process serves the lab by now.
struct Serving(Lab);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.ask(&["stop"]);
    }
}

fn subscribe(contact: &str) -> String {
    format!("Contact: {contact}\r\nEvent: dialog\r\nAccept: application/dialog-info+xml\r\nExpires: 600\r\n")
}

/// A phone over UDP that answers what it is asked.
struct Phone(UdpSocket, SocketAddr);

impl Phone {
    fn new(lab: &Lab) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket, lab.address("udp"))
    }

    fn contact(&self) -> String {
        format!("<sip:alice@{}>", self.0.local_addr().unwrap())
    }

    fn send(&self, text: &str) {
        self.0.send_to(text.as_bytes(), self.1).unwrap();
    }

    fn read(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).expect("something comes");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    fn notified(&self) -> String {
        let notify = self.read();
        assert!(notify.starts_with("NOTIFY "), "{notify}");
        self.send(&answer(&notify));
        notify
    }
}

fn tcp(lab: &Lab) -> Sip<TcpStream> {
    let stream = TcpStream::connect(lab.address("tcp")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Sip::new(stream, "TCP")
}

fn own_end(phone: &Sip<TcpStream>) -> String {
    format!("<sip:alice@{};transport=tcp>", phone.stream.local_addr().unwrap())
}

fn status(lab: &Lab) -> Value {
    let output = lab.ask(&["status", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn pid(lab: &Lab) -> u64 {
    status(lab)["server"]["pid"].as_u64().unwrap()
}

fn log(lab: &Lab) -> String {
    std::fs::read_to_string(lab.directory.join("log")).unwrap()
}

#[test]
fn an_upgrade_keeps_subscriptions_and_tcp_connections() {
    let mut lab = Serving(Lab::start("upgrade", &LISTEN, ""));
    let lab = &mut lab.0;
    let (udp, mut stream, mut tls) = (Phone::new(lab), tcp(lab), lab.tls(None));
    udp.send(&request("SUBSCRIBE", "sip:7000@example.com", "UDP", 1, &subscribe(&udp.contact())));
    assert!(udp.read().starts_with("SIP/2.0 200 "));
    let first = udp.notified();
    let contact = own_end(&stream);
    stream.request("REGISTER", "sip:example.com", &format!("Contact: {contact}\r\n"));
    assert!(stream.read().unwrap().starts_with("SIP/2.0 200 "));
    stream.request("SUBSCRIBE", "sip:7000@example.com", &subscribe(&contact));
    assert!(stream.read().unwrap().starts_with("SIP/2.0 200 "));
    stream.notified();
    tls.request("OPTIONS", "sip:example.com", "");
    tls.read().unwrap();
    // Half a request is in the server when it is replaced.
    let half = request("OPTIONS", "sip:example.com", "TCP", 99, "");
    let (begun, rest) = half.split_at(60);
    stream.send(begun);
    let before = pid(lab);

    let output = lab.ask(&["upgrade", "--json"]);
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stderr), log(lab));
    let upgraded: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(upgraded["connections"], 1, "{upgraded}");
    assert!(upgraded["gap_ms"].as_u64().unwrap() < 5000, "{upgraded}");
    assert_eq!(upgraded["pid"].as_u64().unwrap(), pid(lab));
    assert_ne!(pid(lab), before);
    assert!(lab.child.wait().unwrap().success(), "the old process ends");
    assert_eq!(status(lab)["node"]["subscriptions"], 2);
    assert_eq!(status(lab)["node"]["bindings"], 1);

    stream.send(rest);
    let answered = stream.read().unwrap();
    assert!(answered.starts_with("SIP/2.0 200 ") && answered.contains("99 OPTIONS"), "{answered}");
    // Nobody is told what they know; what changes is told in the same dialogs, by the same connection.
    lab.lamp("INUSE");
    let second = udp.notified();
    assert!(second.contains("<state>confirmed</state>"), "{second}");
    assert_eq!(header(&second, "From"), header(&first, "From"));
    assert!(stream.notified().contains("<state>confirmed</state>"));
    // TLS is bound to the process: it closes, and is welcome again.
    let mut end = [0; 1];
    assert!(matches!(tls.stream.read(&mut end), Ok(0) | Err(_)));
    let mut again = lab.tls(None);
    again.request("OPTIONS", "sip:example.com", "");
    assert!(again.read().unwrap().starts_with("SIP/2.0 200 "));
    // And once more, since the new process was not started as the first one was.
    let output = lab.ask(&["upgrade"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    lab.lamp("NOT_INUSE");
    udp.notified();
    stream.notified();
}

#[test]
fn nothing_is_lost_while_requests_go_on() {
    let lab = Serving(Lab::start("upgrade-load", &LISTEN, ""));
    let lab = &lab.0;
    let (udp, over) = (lab.address("udp"), Arc::new(AtomicBool::new(false)));
    let registering = {
        let over = over.clone();
        std::thread::spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            // T1 (RFC 3261 §17.1.2.2).
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let (mut number, mut answered, mut repeated) = (0, 0_u32, 0_u32);
            let own = socket.local_addr().unwrap();
            while !over.load(Ordering::Acquire) {
                number += 1;
                let contact = format!("Contact: <sip:alice@{own}>;expires=600\r\n");
                let text = request("REGISTER", "sip:example.com", "UDP", number, &contact)
                    .replace(&format!("Call-ID: REGISTER-{number}"), "Call-ID: one");
                let since = Instant::now();
                loop {
                    assert!(since.elapsed() < Duration::from_secs(32), "never answered: {number}");
                    socket.send_to(text.as_bytes(), udp).unwrap();
                    let mut buffer = [0; 4096];
                    if let Ok(length) = socket.recv(&mut buffer) {
                        let text = String::from_utf8_lossy(&buffer[..length]);
                        assert!(text.starts_with("SIP/2.0 200 "), "{text}");
                        if text.contains(&format!("CSeq: {number} ")) {
                            break;
                        }
                    } else {
                        repeated += 1;
                    }
                }
                answered += 1;
            }
            (answered, repeated)
        })
    };
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(200));
        let output = lab.ask(&["upgrade"]);
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stderr), log(lab));
    }
    over.store(true, Ordering::Release);
    let (answered, repeated) = registering.join().expect("every request was answered");
    assert!(answered > 0, "nothing was asked; {repeated} repeated");
    assert_eq!(status(lab)["node"]["bindings"], 1);
}

#[test]
fn the_old_process_goes_on_where_the_new_one_fails() {
    let lab = Serving(Lab::start("upgrade-fails", &LISTEN, ""));
    let lab = &lab.0;
    let udp = Phone::new(lab);
    udp.send(&request("SUBSCRIBE", "sip:7000@example.com", "UDP", 11, &subscribe(&udp.contact())));
    assert!(udp.read().starts_with("SIP/2.0 200 "));
    udp.notified();
    let mut stream = tcp(lab);
    let contact = own_end(&stream);
    stream.request("SUBSCRIBE", "sip:7000@example.com", &subscribe(&contact));
    assert!(stream.read().unwrap().starts_with("SIP/2.0 200 "));
    stream.notified();
    let before = pid(lab);
    let fails = |words: &[&str], why: &str| {
        let output = lab.ask(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{said}\n{}", log(lab));
        assert_eq!(pid(lab), before);
    };
    fails(&["upgrade", "--program", "/nowhere/lampyris"], "cannot be started");
    fails(&["upgrade", "--program", "/bin/false"], "ended before it served");
    // The new process has taken everything, and the store is closed, when it cannot listen on one more address.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!("\"tcp:{}\", \"tls:127.0.0.1:0\"", taken.local_addr().unwrap());
    lab.edit("\"tls:127.0.0.1:0\"", &more);
    fails(&["upgrade"], "cannot listen on");
    for (state, shown) in [("INUSE", "confirmed"), ("NOT_INUSE", "terminated")] {
        lab.lamp(state);
        assert!(udp.notified().contains(shown));
        assert!(stream.notified().contains(shown));
    }
    // What is acknowledged now is stored: the next process has it.
    udp.send(&request(
        "SUBSCRIBE",
        "sip:7000@example.com",
        "UDP",
        12,
        &format!("{}X: 1\r\n", subscribe("<sip:alice@127.0.0.1:9>")),
    ));
    assert!(udp.read().starts_with("SIP/2.0 200 "));
    drop(taken);
    let output = lab.ask(&["upgrade"]);
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stderr), log(lab));
    assert_eq!(status(lab)["node"]["subscriptions"], 3);
}

#[test]
fn a_drained_server_tells_everybody_and_stops() {
    let lab = Serving(Lab::start("drain", &LISTEN, ""));
    let udp = Phone::new(&lab.0);
    udp.send(&request("SUBSCRIBE", "sip:7000@example.com", "UDP", 1, &subscribe(&udp.contact())));
    assert!(udp.read().starts_with("SIP/2.0 200 "));
    udp.notified();
    let output = lab.0.ask(&["drain", "--within", "1s", "--retry-after", "40s", "--stop"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said, "1 subscriptions ended; stopped\n");
    let last = udp.notified();
    let state = header(&last, "Subscription-State").unwrap();
    let seconds: u32 =
        state.strip_prefix("terminated;reason=probation;retry-after=").unwrap().parse().unwrap();
    assert!((40..=80).contains(&seconds), "{state}");
}

#[test]
fn a_tcp_phone_is_back_after_kill_9() {
    let mut lab = Lab::start("killed", &["udp:127.0.0.1:0", "tcp:127.0.0.1:0"], "");
    let mut stream = tcp(&lab);
    let old_end = own_end(&stream);
    stream.request("SUBSCRIBE", "sip:7000@example.com", &subscribe(&old_end));
    assert!(stream.read().unwrap().starts_with("SIP/2.0 200 "));
    let first = stream.notified();
    lab.kill_and_start();
    lab.lamp("INUSE");
    assert_eq!(status(&lab)["node"]["parked"], 1);
    // It comes back with a registration of the same Contact, over a connection of its own.
    let mut stream = tcp(&lab);
    stream.request("REGISTER", "sip:example.com", &format!("Contact: {old_end}\r\n"));
    assert!(stream.read().unwrap().starts_with("SIP/2.0 200 "));
    let told = stream.notified();
    assert!(told.contains("<state>confirmed</state>"), "{told}");
    assert_eq!(header(&told, "Call-ID"), header(&first, "Call-ID"));
    let cseq = |text: &str| header(text, "CSeq").unwrap().split(' ').next().unwrap().parse::<u32>().unwrap();
    assert!(cseq(&told) > cseq(&first));
    assert_eq!(status(&lab)["node"]["parked"], 0);
    stream.stream.flush().unwrap();
}
