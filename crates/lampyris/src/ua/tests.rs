//! The user agent against a server of the test's own: one UDP socket, messages written by hand.

use super::{Account, Call, CallState, Heard, Phone};
use lampyris_core::flow::Transport;
use lampyris_sip::{Message, Method, Name, ResponseWriter, StatusCode};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

struct Lab {
    socket: UdpSocket,
    phone: Phone,
    heard: UnboundedReceiver<Heard>,
    at: SocketAddr,
}

impl Lab {
    async fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let domain = "x".to_owned();
        let account = Account {
            user: "Alice".into(),
            login: None,
            domain,
            password: Some("p".into()),
            display: String::new(),
        };
        let (phone, heard) =
            Phone::start(account, Transport::Udp, socket.local_addr().unwrap()).await.unwrap();
        let at = phone.line.local;
        Self { socket, phone, heard, at }
    }

    async fn next(&self) -> Message {
        let mut buffer = [0; 4096];
        let received = timeout(PATIENCE, self.socket.recv(&mut buffer)).await.expect("a message").unwrap();
        Message::parse(buffer[..received].to_vec().into()).unwrap()
    }

    async fn silence(&self) {
        let mut buffer = [0; 4096];
        let received = timeout(Duration::from_millis(100), self.socket.recv(&mut buffer)).await;
        assert!(received.is_err(), "{}", String::from_utf8_lossy(&buffer));
    }

    async fn expect(&self, method: Method<'_>) -> Message {
        let message = self.next().await;
        assert_eq!(message.method(), Some(method), "{}", String::from_utf8_lossy(message.raw()));
        message
    }

    async fn expect_status(&self, status: u16) -> Message {
        let message = self.next().await;
        assert_eq!(message.status(), Some(StatusCode(status)), "{}", String::from_utf8_lossy(message.raw()));
        message
    }

    async fn answer(&self, request: &Message, status: u16, more: &[(Name, &str)]) {
        let mut writer = ResponseWriter::reply_to(request, StatusCode(status), None, Some("b"));
        for (name, value) in more {
            writer.header(*name, value);
        }
        self.socket.send_to(&writer.finish(), self.at).await.unwrap();
    }

    async fn send(&self, method: &str, branch: &str, more: &str) {
        let to_tag = if more.starts_with(";tag") { more } else { "" };
        let more = more.strip_prefix(to_tag).unwrap_or(more);
        let text = format!(
            "{method} sip:Alice@{at} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{branch}\r\n\
             From: <sip:Bob@x>;tag=b\r\nTo: <sip:Alice@x>{to_tag}\r\nCall-ID: in\r\nCSeq: 7 {method}\r\n\
             Contact: <sip:Bob@127.0.0.2>\r\nRecord-Route: <sip:proxy;lr>\r\n{more}\r\n",
            at = self.at
        );
        self.socket.send_to(text.as_bytes(), self.at).await.unwrap();
    }

    async fn called(&mut self) -> Call {
        match timeout(PATIENCE, self.heard.recv()).await.expect("a call").unwrap() {
            Heard::Called(call) => call,
            Heard::Notified(_) => panic!("no call"),
        }
    }
}

#[tokio::test]
async fn rfc3261_13_2_a_call_with_digest_and_a_route_set() {
    let lab = Lab::new().await;
    let call = lab.phone.call("6001");
    let first = lab.expect(Method::Invite).await;
    lab.answer(&first, 407, &[(Name::ProxyAuthenticate, "Digest realm=\"r\", nonce=\"n\", qop=\"auth\"")])
        .await;
    let ack = lab.expect(Method::Ack).await;
    assert_eq!(ack.top_via().branch(), first.top_via().branch());
    let invite = lab.expect(Method::Invite).await;
    assert!(invite.header(Name::ProxyAuthorization).unwrap().contains("username=\"Alice\", realm=\"r\""));
    assert_eq!((invite.call_id(), invite.from_tag()), (first.call_id(), first.from_tag()));
    assert!(invite.cseq().seq > first.cseq().seq);
    lab.answer(&invite, 180, &[]).await;
    assert_eq!(call.reached(CallState::Ringing).await, CallState::Ringing);
    let route = [
        (Name::RecordRoute, "<sip:two;lr>"),
        (Name::RecordRoute, "<sip:one;lr>"),
        (Name::Contact, "<sip:Bob@127.0.0.2>"),
    ];
    lab.answer(&invite, 200, &route).await;
    let ack = lab.expect(Method::Ack).await;
    assert_eq!(ack.request_uri(), Some("sip:Bob@127.0.0.2"));
    assert_eq!(ack.values(Name::Route).collect::<Vec<_>>(), ["<sip:one;lr>", "<sip:two;lr>"]);
    assert_eq!((ack.to_tag(), ack.cseq().seq), (Some("b"), invite.cseq().seq));
    assert_ne!(ack.top_via().branch(), invite.top_via().branch());
    // RFC 3261 §13.2.2.4: the 2xx again, because the ACK was lost.
    lab.answer(&invite, 200, &route).await;
    assert_eq!(lab.expect(Method::Ack).await.raw(), ack.raw());
    assert_eq!(call.state(), CallState::Up);
    let (held, ()) = tokio::join!(call.hold(), async {
        let offer = lab.expect(Method::Invite).await;
        assert!(String::from_utf8_lossy(offer.body_bytes()).contains("a=sendonly"));
        assert_eq!((offer.request_uri(), offer.to_tag()), (Some("sip:Bob@127.0.0.2"), Some("b")));
        lab.answer(&offer, 200, &[]).await;
        lab.expect(Method::Ack).await;
    });
    held.unwrap();
    assert!(call.is_holding());
    tokio::join!(call.hang_up(), async { lab.answer(&lab.expect(Method::Bye).await, 200, &[]).await });
    assert_eq!((call.state(), lab.phone.calls().len()), (CallState::Ended(None), 0));
}

#[tokio::test]
async fn rfc3261_9_1_a_cancel_waits_for_a_provisional_answer() {
    let lab = Lab::new().await;
    let call = lab.phone.call("6001");
    let invite = lab.expect(Method::Invite).await;
    let lab = &lab;
    tokio::join!(call.hang_up(), async move {
        lab.silence().await;
        lab.answer(&invite, 100, &[]).await;
        let cancel = lab.expect(Method::Cancel).await;
        assert_eq!(cancel.top_via().branch(), invite.top_via().branch());
        assert_eq!((cancel.cseq().seq, cancel.to_tag()), (invite.cseq().seq, None));
        lab.answer(&cancel, 200, &[]).await;
        lab.answer(&invite, 487, &[]).await;
        lab.expect(Method::Ack).await;
        lab.answer(&invite, 487, &[]).await;
        lab.expect(Method::Ack).await;
    });
    assert_eq!(call.state(), CallState::Ended(Some(487)));
}

#[tokio::test]
async fn rfc3261_15_a_2xx_that_crosses_the_cancel_is_hung_up() {
    let lab = Lab::new().await;
    let call = lab.phone.call("6001");
    let invite = lab.expect(Method::Invite).await;
    lab.answer(&invite, 180, &[]).await;
    call.reached(CallState::Ringing).await;
    let lab = &lab;
    tokio::join!(call.hang_up(), async move {
        lab.expect(Method::Cancel).await;
        lab.answer(&invite, 200, &[(Name::Contact, "<sip:Bob@127.0.0.2>")]).await;
        lab.expect(Method::Ack).await;
        let bye = lab.expect(Method::Bye).await;
        assert_eq!((bye.request_uri(), bye.to_tag()), (Some("sip:Bob@127.0.0.2"), Some("b")));
        lab.answer(&bye, 200, &[]).await;
    });
    assert_eq!(call.state(), CallState::Ended(None));
}

#[tokio::test]
async fn rfc3261_13_3_a_call_that_comes_in() {
    let mut lab = Lab::new().await;
    lab.send("INVITE", "1", "").await;
    let ringing = lab.expect_status(180).await;
    let call = lab.called().await;
    assert_eq!((call.state(), call.other_side().as_str()), (CallState::Ringing, "Bob"));
    lab.send("INVITE", "1", "").await;
    assert_eq!(lab.expect_status(180).await.raw(), ringing.raw(), "a retransmission is no second call");
    call.answer().await;
    let ok = lab.expect_status(200).await;
    assert_eq!((ok.header(Name::RecordRoute), ok.to_tag()), (Some("<sip:proxy;lr>"), ringing.to_tag()));
    // §13.3.1.4: again after T1, and no more once the ACK is there.
    assert_eq!(lab.expect_status(200).await.raw(), ok.raw());
    let tag = format!(";tag={}", ok.to_tag().unwrap());
    lab.send("ACK", "2", &tag).await;
    lab.send("OPTIONS", "3", &tag).await;
    lab.expect_status(200).await;
    lab.send("BYE", "4", &tag).await;
    let bye = lab.expect_status(200).await;
    assert_eq!(call.state(), CallState::Ended(None));
    lab.send("BYE", "4", &tag).await;
    assert_eq!(lab.expect_status(200).await.raw(), bye.raw());
    lab.send("OPTIONS", "5", &tag).await;
    lab.expect_status(481).await;
}

#[tokio::test]
async fn rfc3261_9_2_a_cancel_stops_the_ringing() {
    let mut lab = Lab::new().await;
    lab.send("INVITE", "1", "").await;
    lab.expect_status(180).await;
    let call = lab.called().await;
    lab.send("CANCEL", "other", "").await;
    lab.expect_status(481).await;
    lab.send("CANCEL", "1", "").await;
    lab.expect_status(200).await;
    assert_eq!(lab.expect_status(487).await.cseq().method, Method::Invite);
    assert_eq!(call.state(), CallState::Ended(Some(487)));
}

#[tokio::test]
async fn rfc3891_3_what_an_invite_may_replace() {
    let mut lab = Lab::new().await;
    let call = lab.phone.call("6001");
    let invite = lab.expect(Method::Invite).await;
    lab.answer(&invite, 180, &[]).await;
    call.reached(CallState::Ringing).await;
    let (call_id, tag) = (invite.call_id().to_owned(), invite.from_tag().unwrap().to_owned());
    let replaces = |tags: &str| format!("Replaces: {call_id};{tags}\r\n");
    lab.send("INVITE", "1", &replaces("to-tag=nobody;from-tag=b")).await;
    lab.expect_status(481).await;
    lab.send("INVITE", "2", &replaces(&format!("to-tag={tag};from-tag=b;early-only"))).await;
    lab.expect_status(200).await;
    let cancel = lab.expect(Method::Cancel).await;
    assert_eq!(cancel.call_id(), invite.call_id());
    assert_eq!(lab.called().await.state(), CallState::Up);
    // One that is up is not early any more.
    let replaced = lab.phone.calls().into_iter().find(Call::is_incoming).unwrap();
    let own = replaced.leg.dialog.lock().unwrap().local_tag.clone();
    lab.send("INVITE", "3", &format!("Replaces: in;to-tag={own};from-tag=b;early-only\r\n")).await;
    lab.expect_status(486).await;
}
