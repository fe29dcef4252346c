//! TLS over real sockets, by a client of its own: one-way, mutual, reloaded, and outwards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is a test")]

mod lab;

use lab::{Authority, Lab, PATIENCE, Sip, header, request};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SUBSCRIBE: &str = "Contact: <sip:alice@x7.invalid;transport=tls>\r\nEvent: dialog\r\n\
                         Accept: application/dialog-info+xml\r\nExpires: 600\r\n";

#[test]
fn a_phone_registers_subscribes_and_is_notified() {
    for (name, listen, host) in [("v4", "tls:127.0.0.1:0", "127.0.0.1"), ("v6", "tls:[::1]:0", "[::1]")] {
        let lab = Lab::start(&format!("notified-{name}"), &[listen], "");
        let at = format!("{host}:{}", lab.address("tls").port());
        let mut phone = lab.tls(None);
        phone.request("REGISTER", "sip:example.com", "Contact: <sip:alice@x7.invalid;transport=tls>\r\n");
        let answer = phone.read().unwrap();
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
        phone.send("\r\n\r\n");
        let mut pong = [0; 2];
        phone.stream.read_exact(&mut pong).unwrap();
        assert_eq!(&pong, b"\r\n");

        phone.request("SUBSCRIBE", "sip:7000@example.com", SUBSCRIBE);
        let answer = phone.read().unwrap();
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
        assert_eq!(header(&answer, "Contact"), Some(format!("<sip:7000@{at};transport=tls>").as_str()));
        let notify = phone.notified();
        assert!(notify.contains(&format!("Via: SIP/2.0/TLS {at};branch=")), "{notify}");
        lab.lamp("INUSE");
        assert!(phone.notified().contains("<state>confirmed</state>"));

        // RFC 3261 §12.1.1: what was asked for by sips: gets a sips: Contact.
        phone.request("SUBSCRIBE", "sips:7000@example.com", &SUBSCRIBE.replace("<sip:", "<sips:"));
        let answer = phone.read().unwrap();
        assert_eq!(header(&answer, "Contact"), Some(format!("<sips:7000@{at}>").as_str()), "{answer}");
        assert!(phone.notified().starts_with("NOTIFY sips:alice@x7.invalid"));
    }
}

#[test]
fn certificates_are_read_again_and_a_bad_one_changes_nothing() {
    let lab = Lab::start("reload", &["tls:127.0.0.1:0"], "");
    let shown = || {
        let mut phone = lab.tls(None);
        phone.request("OPTIONS", "sip:example.com", "");
        phone.read().unwrap();
        phone.stream.conn.peer_certificates().unwrap()[0].clone()
    };
    let on_disk = || CertificateDer::from_pem_file(lab.directory.join("server.pem")).unwrap();
    let (first, mut old) = (shown(), lab.tls(None));
    assert_eq!(first, on_disk());
    old.request("OPTIONS", "sip:example.com", "");
    old.read().unwrap();

    lab.certify(&["localhost"]);
    assert!(lab.ask(&["reload"]).status.success());
    let second = shown();
    assert_eq!(second, on_disk());
    assert_ne!(first, second);
    old.request("OPTIONS", "sip:example.com", "");
    assert!(old.read().unwrap().starts_with("SIP/2.0 200 "), "what is open stays open");

    // A certificate of another key, then none at all: said with its place, and nothing changes.
    let (stranger, key) = lab.authority.sign(&["localhost"]);
    std::fs::write(lab.directory.join("server.pem"), &stranger).unwrap();
    for (text, told) in
        [(stranger.as_str(), "is not the key of the certificate"), ("garbage", "no certificate")]
    {
        std::fs::write(lab.directory.join("server.pem"), text).unwrap();
        let refused = lab.ask(&["reload"]);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && said.contains(told), "{said}");
        assert!(said.contains("lampyris.toml:") && said.contains("fix:"), "{said}");
        assert_eq!(shown(), second);
    }

    // SIGHUP does the same as the command.
    std::fs::write(lab.directory.join("server.pem"), &stranger).unwrap();
    std::fs::write(lab.directory.join("server.key"), &key).unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(lab.child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    let until = Instant::now() + PATIENCE;
    while shown() != on_disk() {
        assert!(Instant::now() < until, "SIGHUP was not heard");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_must_show_a_certificate_does_not_get_in_without() {
    let lab = Lab::start("mutual", &["tls:127.0.0.1:0"], "");
    lab.edit("[tls]", "[tls]\nclient_ca = \"ca.pem\"\nclient_auth = \"require\"");
    assert!(lab.ask(&["reload"]).status.success());
    let own = lab.authority.sign(&["phone"]);
    let stranger = Authority::new().sign(&["phone"]);
    let enters = |own: Option<&(String, String)>| {
        let mut phone = lab.tls(own);
        let text = request("OPTIONS", "sip:example.com", "TLS", 1, "");
        phone.stream.write_all(text.as_bytes()).is_ok() && phone.read().is_ok()
    };
    assert_eq!([enters(None), enters(Some(&stranger)), enters(Some(&own))], [false, false, true]);
    lab.edit("\"require\"", "\"request\"");
    assert!(lab.ask(&["reload"]).status.success());
    assert_eq!([enters(None), enters(Some(&stranger)), enters(Some(&own))], [true, false, true]);
    // What is no TLS at all costs nobody else anything.
    let mut plain = TcpStream::connect(lab.address("tls")).unwrap();
    plain.write_all(request("OPTIONS", "sip:example.com", "TLS", 1, "").as_bytes()).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"SIP/2.0"));
    assert!(enters(Some(&own)));
}

/// A connection that takes one byte at a time.
struct Dribble(TcpStream);

impl std::io::Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl std::io::Write for Dribble {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes.get(..1).unwrap_or_default())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn a_handshake_in_single_bytes_is_taken_and_an_old_version_is_not() {
    let lab = Lab::start("dribble", &["tls:127.0.0.1:0"], "");
    let StreamOwned { conn, sock } = lab.tls(None).stream;
    sock.set_nodelay(true).unwrap();
    let mut phone = Sip::new(StreamOwned::new(conn, Dribble(sock)), "TLS");
    phone.request("OPTIONS", "sip:example.com", "");
    assert!(phone.read().unwrap().starts_with("SIP/2.0 200 "));

    // A hello of TLS 1.1 (RFC 4346 §7.4.1.2): version, random, no session, one suite, no compression. RFC 8996: refused.
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.append(&mut hello);
    let mut old = TcpStream::connect(lab.address("tls")).unwrap();
    old.set_read_timeout(Some(PATIENCE)).unwrap();
    old.write_all(&record).unwrap();
    let mut answer = Vec::new();
    let _ = old.read_to_end(&mut answer);
    assert!(answer.first().is_none_or(|kind| *kind == 21), "an alert, and the end: {answer:?}");
}

/// One TLS server for the first who connects; what it was sent, or why there was nothing.
fn first_message(listener: &TcpListener, (certificate, key): &(String, String)) -> std::io::Result<String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut sip = Sip::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), "TLS");
    sip.read()
}

#[test]
fn sips_leaves_by_tls_alone_and_to_nobody_else_than_named() {
    let lab = Lab::start("sips", &["udp:127.0.0.1:0", "tls:127.0.0.1:0"], "");
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.connect(lab.address("udp")).unwrap();
    let good = lab.authority.sign(&["127.0.0.1"]);
    let (wrong_name, untrusted) = (lab.authority.sign(&["192.0.2.1"]), Authority::new().sign(&["127.0.0.1"]));
    for (number, (own, arrives)) in
        [(&good, true), (&wrong_name, false), (&untrusted, false)].into_iter().enumerate()
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Watched by UDP, with a Contact that wants TLS.
        let contact = format!("Contact: <sips:alice@{}>\r\n", listener.local_addr().unwrap());
        let rest = SUBSCRIBE.split_once("\r\n").unwrap().1;
        let number = u32::try_from(number).unwrap() + 1;
        let text = request("SUBSCRIBE", "sip:7000@example.com", "UDP", number, &(contact + rest));
        phone.send(text.as_bytes()).unwrap();
        let came = first_message(&listener, own);
        assert_eq!(came.is_ok(), arrives, "{came:?}");
        assert!(came.is_err() || came.unwrap().starts_with("NOTIFY sips:alice@127.0.0.1"));
        let mut buffer = [0; 4096];
        phone.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut answers = 0;
        loop {
            match phone.recv(&mut buffer) {
                Ok(count) => {
                    assert!(buffer[..count].starts_with(b"SIP/2.0 200 "), "nothing of sips: comes by UDP");
                    answers += 1;
                }
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
                    break;
                }
            }
        }
        assert_eq!(answers, 1);
    }
}
