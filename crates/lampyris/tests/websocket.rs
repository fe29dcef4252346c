//! WebSocket over real sockets (RFC 7118), by a client of its own: a watcher that can only be reached on its connection,
//! and everything that is no WebSocket or breaks one (security rows 39 to 42).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is a test")]

mod lab;

use lab::{Lab, PATIENCE, answer, header, request, secured};
use std::io::{Read, Write};
use std::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, WebSocket, client};

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// A browser's connection.
struct Browser(WebSocket<Box<dyn Stream>>, &'static str);

impl Browser {
    fn open(lab: &Lab, transport: &'static str) -> Self {
        let address = lab.address(transport);
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request =
            format!("{transport}://localhost:{}/ws", address.port()).into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", "sip".parse().unwrap());
        request.headers_mut().insert("Origin", "https://localhost".parse().unwrap());
        let (stream, via): (Box<dyn Stream>, _) = match transport {
            "wss" => (Box::new(secured(stream, "localhost", &lab.authority.root, None)), "WSS"),
            _ => (Box::new(stream), "WS"),
        };
        let (socket, response) = client::client(request, stream).map_err(|error| error.to_string()).unwrap();
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
        Self(socket, via)
    }

    /// The next text message.
    fn read(&mut self) -> String {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    fn request(&mut self, method: &str, uri: &str, number: u32, more: &str) -> String {
        let text = request(method, uri, self.1, number, more);
        self.send(&text);
        self.read()
    }

    fn notified(&mut self) -> String {
        let notify = self.read();
        assert!(notify.starts_with("NOTIFY "), "{notify}");
        self.send(&answer(&notify));
        notify
    }

    /// The code the connection is closed with.
    fn closed(mut self) -> Option<CloseCode> {
        loop {
            match self.0.read() {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}

const SUBSCRIBE: &str = "Contact: <sip:alice@x7.invalid;transport=ws>\r\nEvent: dialog\r\n\
                         Accept: application/dialog-info+xml\r\nExpires: 600\r\n";

#[test]
fn a_browser_watches_on_its_connection_and_on_the_next_one() {
    for (transport, listen) in [("ws", "ws:127.0.0.1:0"), ("wss", "wss:127.0.0.1:0"), ("ws", "ws:[::1]:0")] {
        let lab = Lab::start(&format!("browser-{}", listen.replace([':', '[', ']'], "-")), &[listen], "");
        let mut browser = Browser::open(&lab, transport);
        let registered = browser.request(
            "REGISTER",
            "sip:example.com",
            1,
            "Contact: <sip:alice@x7.invalid;transport=ws>\r\n",
        );
        assert!(registered.starts_with("SIP/2.0 200 "), "{registered}");
        browser.send("\r\n\r\n");
        assert_eq!(browser.read(), "\r\n");
        browser.send("");

        let accepted = browser.request("SUBSCRIBE", "sip:7000@example.com", 2, SUBSCRIBE);
        let own = format!("<sip:7000@{};transport=ws>", lab.address(transport));
        assert_eq!(header(&accepted, "Contact"), Some(own.as_str()), "{accepted}");
        let via = format!("Via: SIP/2.0/{} {};", transport.to_uppercase(), lab.address(transport));
        let notify = browser.notified();
        assert!(
            notify.starts_with("NOTIFY sip:alice@x7.invalid;transport=ws ") && notify.contains(&via),
            "{notify}"
        );
        lab.lamp("INUSE");
        assert!(browser.notified().contains("<state>confirmed</state>"));

        // The page is left: nobody can be told, and the subscription waits for its watcher.
        let _ = browser.0.close(None);
        browser.closed();
        lab.lamp("RINGING");
        lab.lamp("NOT_INUSE");
        let mut again = Browser::open(&lab, transport);
        let to = header(&accepted, "To").unwrap();
        let refresh = request("SUBSCRIBE", "sip:7000@example.com", via_of(transport), 2, SUBSCRIBE)
            .replace("To: <sip:7000@example.com>", &format!("To: {to}"))
            .replace("CSeq: 2 ", "CSeq: 3 ")
            .replace("z9hG4bK-SUBSCRIBE-2", "z9hG4bK-SUBSCRIBE-3");
        again.send(&refresh);
        assert!(again.read().starts_with("SIP/2.0 200 "));
        let now = again.notified();
        assert!(!now.contains("<state>confirmed") && !now.contains("<state>early"), "{now}");
        lab.lamp("INUSE");
        assert!(again.notified().contains("<state>confirmed</state>"));
        // Bytes that are no text come as they are, and a SIP message may come as binary too (RFC 7118 §5.1).
        let options = request("OPTIONS", "sip:example.com", via_of(transport), 9, "");
        again.0.send(Message::Binary(Bytes::from(options))).unwrap();
        assert!(again.read().starts_with("SIP/2.0 200 "));
    }
}

fn via_of(transport: &str) -> &'static str {
    if transport == "wss" { "WSS" } else { "WS" }
}

#[test]
fn what_breaks_rfc_6455_is_closed_with_its_code() {
    let lab = Lab::start("frames", &["ws:127.0.0.1:0"], "");
    // Masked with 0, so that the payload can be read here.
    let frame = |first: u8, payload: &[u8], mask: bool| {
        let mut bytes = vec![first];
        let bit = if mask { 0x80 } else { 0 };
        match u16::try_from(payload.len()) {
            Ok(len) if len < 126 => bytes.push(bit | u8::try_from(len).unwrap()),
            Ok(len) => {
                bytes.push(bit | 126);
                bytes.extend(len.to_be_bytes());
            }
            Err(_) => {
                bytes.push(bit | 127);
                bytes.extend(u64::try_from(payload.len()).unwrap().to_be_bytes());
            }
        }
        bytes.extend(if mask { &[0; 4][..] } else { &[] });
        bytes.extend(payload);
        bytes
    };
    for (name, bytes, code) in [
        ("unmasked", frame(0x81, b"x", false), CloseCode::Protocol),
        ("a long ping", frame(0x89, &[b'x'; 126], true), CloseCode::Protocol),
        ("a ping in pieces", frame(0x09, b"x", true), CloseCode::Protocol),
        ("reserved bits", frame(0xf1, b"x", true), CloseCode::Protocol),
        ("an unknown kind", frame(0x83, b"x", true), CloseCode::Protocol),
        ("a piece of nothing", frame(0x80, b"x", true), CloseCode::Protocol),
        ("no UTF-8", frame(0x81, b"\xff\xfe", true), CloseCode::Invalid),
        (
            "too long",
            frame(0x81, &vec![b'x'; lampyris_core::limits::MESSAGE_BYTES_MAX + 1], true),
            CloseCode::Size,
        ),
        (
            "too long in pieces",
            [frame(0x01, &[b'x'; 90_000], true), frame(0x80, &[b'x'; 60_000], true)].concat(),
            CloseCode::Size,
        ),
    ] {
        let mut browser = Browser::open(&lab, "ws");
        browser.0.get_mut().write_all(&bytes).unwrap();
        assert_eq!(browser.closed(), Some(code), "{name}");
    }
    // Empty frames, a thousand of them, are nothing; SIP in pieces is one message.
    let mut browser = Browser::open(&lab, "ws");
    browser.0.get_mut().write_all(&frame(0x81, b"", true).repeat(1000)).unwrap();
    let text = request("OPTIONS", "sip:example.com", "WS", 1, "");
    let (one, two) = text.as_bytes().split_at(50);
    let pieces = [frame(0x01, one, true), frame(0x89, b"?", true), frame(0x80, two, true)].concat();
    browser.0.get_mut().write_all(&pieces).unwrap();
    loop {
        match browser.0.read() {
            Ok(Message::Pong(payload)) => assert_eq!(&payload[..], b"?"),
            Ok(Message::Text(text)) => break assert!(text.starts_with("SIP/2.0 200 "), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    // What is no SIP is answered or dropped, and the connection goes on.
    browser.send("hello");
    browser.send(&request("OPTIONS", "sip:example.com", "WS", 2, ""));
    while !browser.read().contains("Call-ID: OPTIONS-2") {}
}

#[test]
fn who_is_no_websocket_for_sip_is_refused() {
    let lab = Lab::start("upgrade", &["ws:127.0.0.1:0"], "ws_origins = [\"https://phone.example.com\"]");
    let ask = |text: &str| {
        let mut stream = TcpStream::connect(lab.address("ws")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.write_all(text.as_bytes());
        let mut answer = Vec::new();
        let mut chunk = [0; 1024];
        while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
            match stream.read(&mut chunk) {
                Ok(count) if count > 0 => answer.extend_from_slice(&chunk[..count]),
                _ => break,
            }
        }
        String::from_utf8(answer).unwrap().lines().next().unwrap_or("closed").to_owned()
    };
    let good = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Protocol: sip\r\nOrigin: https://phone.example.com\r\n\r\n";
    assert_eq!(ask(good), "HTTP/1.1 101 Switching Protocols");
    let evil = good.replace("phone", "evil");
    assert_eq!(ask(&evil), "HTTP/1.1 403 Forbidden");
    assert_eq!(ask(&good.replace("sip\r\n", "xmpp\r\n")), "HTTP/1.1 400 Bad Request");
    let many = format!("Sec-WebSocket-Protocol: {}sip\r\n", "a, ".repeat(5000));
    assert_eq!(
        ask(&good.replace("Sec-WebSocket-Protocol: sip\r\n", &many)),
        "HTTP/1.1 101 Switching Protocols"
    );
    assert_eq!(
        ask(&good.replace("Host:", &format!("X: {}\r\nHost:", "y".repeat(16_384)))),
        "HTTP/1.1 431 Request Header Fields Too Large"
    );
    assert_eq!(
        ask(&good.replace("Host:", &format!("{}Host:", "X: y\r\n".repeat(64)))),
        "HTTP/1.1 431 Request Header Fields Too Large"
    );
    assert_eq!(ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "HTTP/1.1 426 Upgrade Required");
    // Who may come in is read again.
    lab.edit("phone.example.com", "evil.example.com");
    assert!(lab.ask(&["reload"]).status.success());
    assert_eq!(ask(&evil), "HTTP/1.1 101 Switching Protocols");
    assert_eq!(ask(good), "HTTP/1.1 403 Forbidden");
}

#[test]
fn a_close_is_answered() {
    let lab = Lab::start("close", &["ws:127.0.0.1:0"], "");
    let mut browser = Browser::open(&lab, "ws");
    browser.0.close(None).unwrap();
    let ended = loop {
        if let Err(error) = browser.0.read() {
            break error;
        }
    };
    assert!(matches!(ended, Error::ConnectionClosed), "{ended}");
}
