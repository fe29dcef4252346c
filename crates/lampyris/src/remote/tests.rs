//! Watching and publishing at a server of the test's own, written by hand: what Asterisk and others answer.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use super::document::Reader;
use super::publish::{self, Publish};
use super::reach::Towards;
use super::watch::{self, Told, Watch};
use lampyris_sip::{Message, Method, Name, ResponseWriter, StatusCode};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// A server that says what the test tells it to.
struct Server {
    socket: UdpSocket,
    client: Option<SocketAddr>,
}

impl Server {
    async fn new() -> Self {
        Self { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(), client: None }
    }

    fn towards(&self) -> Towards {
        Towards {
            uri: format!("sip:6001@{}", self.socket.local_addr().unwrap()),
            through: None,
            transport: None,
            from: None,
            user: None,
            password: None,
            roots: None,
        }
    }

    async fn next(&mut self) -> Message {
        let mut buffer = [0; 8192];
        let (length, from) =
            timeout(PATIENCE, self.socket.recv_from(&mut buffer)).await.expect("a message").unwrap();
        self.client = Some(from);
        Message::parse(buffer[..length].to_vec().into()).unwrap()
    }

    async fn expect(&mut self, method: Method<'_>) -> Message {
        let message = self.next().await;
        assert_eq!(message.method(), Some(method), "{}", String::from_utf8_lossy(message.raw()));
        message
    }

    async fn answer(&self, request: &Message, status: u16, more: &[(Name, &str)]) {
        let mut writer = ResponseWriter::reply_to(request, StatusCode(status), None, Some("there"));
        for (name, value) in more {
            writer.header(*name, value);
        }
        self.socket.send_to(&writer.finish(), self.client.unwrap()).await.unwrap();
    }

    /// A NOTIFY in the dialog of a SUBSCRIBE, as Asterisk sends it; its answer is taken.
    async fn notify(&mut self, subscribe: &Message, cseq: u32, state: &str, content_type: &str, body: &str) {
        let contact = subscribe.contacts().next().unwrap().addr().unwrap().uri().to_owned();
        let at = self.socket.local_addr().unwrap();
        let kind = if body.is_empty() { String::new() } else { format!("Content-Type: {content_type}\r\n") };
        let text = format!(
            "NOTIFY {contact} SIP/2.0\r\nVia: SIP/2.0/UDP {at};rport;branch=z9hG4bKn{cseq}{}\r\n\
             From: {};tag=there\r\nTo: {}\r\nContact: <sip:{at}>\r\nCall-ID: {}\r\nCSeq: {cseq} NOTIFY\r\nEvent: {}\r\n\
             Subscription-State: {state}\r\nMax-Forwards: 70\r\nUser-Agent: Asterisk PBX 20.6.0\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            subscribe.cseq().seq,
            subscribe.header(Name::To).unwrap().split(";tag").next().unwrap(),
            subscribe.header(Name::From).unwrap(),
            subscribe.call_id(),
            subscribe.header(Name::Event).unwrap(),
            body.len()
        );
        self.socket.send_to(text.as_bytes(), self.client.unwrap()).await.unwrap();
        let answer = self.next().await;
        assert_eq!(answer.status(), Some(StatusCode(200)));
    }
}

fn dialog(version: u32, state: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{version}\" \
         state=\"full\" entity=\"sip:6001@x\"><dialog id=\"6001\" direction=\"recipient\"><state>{state}</state></dialog>\
         </dialog-info>"
    )
}

/// What was told, a line each.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn note(&self, told: &Told<'_>) {
        let line = match told {
            Told::Subscribed { expires_s, .. } => format!("subscribed {expires_s}"),
            Told::Pending => "pending".to_owned(),
            Told::State { said, .. } => said.state.clone(),
            Told::Unreadable { why, .. } => why.clone(),
            Told::Trouble { why, .. } => format!("trouble: {why}"),
            Told::Unsubscribed => "unsubscribed".to_owned(),
        };
        self.0.lock().unwrap().push(line);
    }
}

fn watch_of(server: &Server, once: bool) -> Watch {
    Watch {
        towards: server.towards(),
        event: "dialog".into(),
        accept: "application/dialog-info+xml".into(),
        expires_s: 600,
        once,
    }
}

#[tokio::test]
async fn a_lamp_at_asterisk_is_followed_renewed_and_left() {
    let mut server = Server::new().await;
    let watch = watch_of(&server, false);
    let (enough, stop) = tokio::sync::oneshot::channel::<()>();
    let lines = Lines::default();
    let told = lines.clone();
    let watching = async move {
        watch::run(&watch, Box::pin(async { _ = stop.await }), &mut |t| {
            told.note(t);
            Ok(())
        })
        .await
    };
    let serving = async {
        let first = server.expect(Method::Subscribe).await;
        assert!(first.header(Name::Supported).unwrap().contains("eventlist"));
        server.answer(&first, 423, &[(Name::MinExpires, "1200")]).await;
        let second = server.expect(Method::Subscribe).await;
        assert_eq!(second.header(Name::Expires), Some("1200"), "RFC 6665 §4.1.2.1: what it insists on");
        // The NOTIFY overtakes the 2xx, and the life granted is so short that it is renewed at once.
        server
            .notify(&second, 1, "active;expires=2", "application/dialog-info+xml", &dialog(0, "terminated"))
            .await;
        let contact = format!("<sip:{}>", server.socket.local_addr().unwrap());
        let granted = [(Name::Expires, "2"), (Name::Contact, contact.as_str())];
        server.answer(&second, 200, &granted).await;
        server
            .notify(&second, 2, "active;expires=2", "application/dialog-info+xml", &dialog(1, "early"))
            .await;
        server
            .notify(&second, 3, "active;expires=2", "application/dialog-info+xml", &dialog(2, "early"))
            .await;
        let renewal = server.expect(Method::Subscribe).await;
        assert_eq!((renewal.to_tag(), renewal.call_id()), (Some("there"), second.call_id()));
        server.answer(&renewal, 200, &[(Name::Expires, "600")]).await;
        server
            .notify(&second, 4, "active;expires=600", "application/dialog-info+xml", &dialog(3, "confirmed"))
            .await;
        enough.send(()).unwrap();
        let end = server.expect(Method::Subscribe).await;
        assert_eq!(end.header(Name::Expires), Some("0"));
        server.answer(&end, 200, &[(Name::Expires, "0")]).await;
        server.notify(&second, 5, "terminated;reason=timeout", "", "").await;
    };
    let (outcome, ()) = tokio::join!(watching, serving);
    outcome.unwrap();
    let said = lines.0.lock().unwrap().clone();
    assert_eq!(said, ["subscribed 2", "idle", "ringing", "on the phone", "unsubscribed"]);
}

#[tokio::test]
async fn a_server_that_has_no_such_hint_ends_it() {
    let mut server = Server::new().await;
    let watch = watch_of(&server, false);
    let mut tell = |_: &Told<'_>| Ok(());
    let watching = watch::run(&watch, Box::pin(std::future::pending()), &mut tell);
    let serving = async {
        let first = server.expect(Method::Subscribe).await;
        server.answer(&first, 489, &[(Name::AllowEvents, "presence, message-summary")]).await;
    };
    let (outcome, ()) = tokio::join!(watching, serving);
    let why = outcome.unwrap_err().to_string();
    assert!(why.contains("489") && why.contains("only presence, message-summary"), "{why}");

    let watching = watch::run(&watch, Box::pin(std::future::pending()), &mut tell);
    let serving = async {
        let first = server.expect(Method::Subscribe).await;
        server.answer(&first, 200, &[(Name::Expires, "600")]).await;
        server.notify(&first, 1, "terminated;reason=noresource", "", "").await;
    };
    let (outcome, ()) = tokio::join!(watching, serving);
    let why = outcome.unwrap_err().to_string();
    assert!(why.ends_with("noresource"), "{why}");
}

#[tokio::test]
async fn what_expired_at_the_server_is_published_anew() {
    let mut server = Server::new().await;
    let document = publish::document("sip:6001@x", "1", true, Vec::new(), Some("Lunch"));
    let publish = Publish {
        towards: server.towards(),
        event: "presence".into(),
        document: Some(("application/pidf+xml".into(), document)),
        expires_s: 600,
        once: false,
        etag: None,
    };
    let (enough, stop) = tokio::sync::oneshot::channel::<()>();
    let mut count = 0;
    let mut tell = |_: &publish::Told<'_>| {
        count += 1;
        Ok(())
    };
    let publishing = publish::run(&publish, Box::pin(async { _ = stop.await }), &mut tell);
    let serving = async {
        let first = server.expect(Method::Publish).await;
        assert!(String::from_utf8_lossy(&first.body()).contains("<basic>open</basic>"));
        assert!(String::from_utf8_lossy(&first.body()).contains("Lunch"));
        server.answer(&first, 200, &[(Name::SipETag, "e1"), (Name::Expires, "2")]).await;
        let refresh = server.expect(Method::Publish).await;
        assert_eq!(
            (refresh.header(Name::SipIfMatch), refresh.body().len()),
            (Some("e1"), 0),
            "RFC 3903 §4.1"
        );
        server.answer(&refresh, 412, &[]).await;
        let anew = server.expect(Method::Publish).await;
        assert_eq!((anew.header(Name::SipIfMatch), anew.body().is_empty()), (None, false), "RFC 3903 §4.3");
        server.answer(&anew, 200, &[(Name::SipETag, "e2"), (Name::Expires, "600")]).await;
        enough.send(()).unwrap();
        let removal = server.expect(Method::Publish).await;
        assert_eq!(
            (removal.header(Name::SipIfMatch), removal.header(Name::Expires)),
            (Some("e2"), Some("0"))
        );
        server.answer(&removal, 200, &[(Name::SipETag, "e3"), (Name::Expires, "0")]).await;
    };
    let (outcome, ()) = tokio::join!(publishing, serving);
    outcome.unwrap();
    assert_eq!(count, 4, "published, trouble, published, removed");
}

#[test]
fn documents_are_said_in_words() {
    let pidf =
        |open: bool, activities: Vec<_>, note| publish::document("sip:a@x", "1", open, activities, note);
    use lampyris_core::body::rpid::Activity::{Away, OnThePhone};
    let rows = [
        ("application/pidf+xml", pidf(true, vec![], None), "available", None),
        (
            "application/pidf+xml;charset=utf-8",
            pidf(false, vec![], Some("Home")),
            "unavailable",
            Some("Home"),
        ),
        ("application/pidf+xml", pidf(true, vec![OnThePhone, Away], None), "away, on the phone", None),
        ("application/dialog-info+xml", dialog(0, "terminated"), "idle", None),
        ("application/dialog-info+xml", dialog(0, "early"), "ringing", None),
        (
            "application/simple-message-summary",
            "Messages-Waiting: yes\r\nVoice-Message: 2/8 (0/2)\r\n".to_owned(),
            "2 new, 8 old messages",
            None,
        ),
        ("text/plain", "hello".to_owned(), "5 bytes of text/plain", None),
    ];
    for (content_type, body, state, note) in rows {
        let said = Reader::default().read("sip:a@x", content_type, &body.clone().into()).unwrap();
        assert_eq!((said[0].state.as_str(), said[0].note.as_deref()), (state, note), "{body}");
    }
    assert!(Reader::default().read("sip:a@x", "application/pidf+xml", &"<presence".into()).is_err());
}

#[test]
fn a_partial_document_adds_to_what_came_before() {
    let partial = |state: &str| {
        dialog(1, state).replace("state=\"full\"", "state=\"partial\"").replace("id=\"6001\"", "id=\"b\"")
    };
    let mut reader = Reader::default();
    for (body, state) in [
        (dialog(0, "confirmed"), "on the phone"),
        (partial("early"), "on the phone, ringing"),
        (partial("terminated"), "on the phone"),
        (dialog(3, "terminated"), "idle"),
    ] {
        let said = reader.read("sip:a@x", "application/dialog-info+xml", &body.into()).unwrap();
        assert_eq!(said[0].state, state);
    }
}
