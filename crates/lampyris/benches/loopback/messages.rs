//! The requests of the load: as a desk phone writes them, SUBSCRIBE about 700 bytes.

use lampyris_sip::digest::{self, Ha1};
use lampyris_sip::headers::Challenge;
use lampyris_sip::{Message, Name};

/// Whose password answers challenges.
pub(crate) struct Account {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// A challenge that was met, and how often it was answered.
pub(crate) struct Nonce {
    ha1: Ha1,
    nonce: String,
    realm: String,
    count: u32,
}

impl Nonce {
    /// What a 401 asks for.
    pub(crate) fn of(refusal: &Message, account: &Account) -> Option<Self> {
        let challenge = Challenge::parse(refusal.header(Name::WwwAuthenticate)?).ok()?;
        let ha1 =
            digest::ha1(challenge.digest_algorithm()?, &account.user, challenge.realm, &account.password);
        Some(Self { ha1, nonce: challenge.nonce.to_owned(), realm: challenge.realm.to_owned(), count: 0 })
    }

    /// The next Authorization line.
    pub(crate) fn authorization(&mut self, account: &Account, method: &str, uri: &str) -> String {
        self.count += 1;
        let nc = format!("{:08x}", self.count);
        let qop = digest::Qop { nc: &nc, cnonce: "0a4f113b", qop: "auth" };
        let response = digest::response(&self.ha1, &self.nonce, Some(qop), method, uri, b"");
        format!(
            "Authorization: Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{}\", \
             algorithm={}, qop=auth, nc={nc}, cnonce=\"0a4f113b\"\r\n",
            account.user,
            self.realm,
            self.nonce,
            response.as_str(),
            self.ha1.algorithm().token()
        )
    }
}

/// Which SUBSCRIBE.
pub(crate) struct Subscribe<'a> {
    pub(crate) watcher: usize,
    pub(crate) port: u16,
    pub(crate) presentity: &'a str,
    pub(crate) cseq: u32,
    /// The server's tag; empty for a new one.
    pub(crate) to_tag: &'a str,
    pub(crate) branch: usize,
    pub(crate) authorization: &'a str,
}

pub(crate) fn subscribe(s: &Subscribe<'_>) -> Vec<u8> {
    let Subscribe { watcher, port, presentity, cseq, branch, authorization, .. } = s;
    let tag = if s.to_tag.is_empty() { String::new() } else { format!(";tag={}", s.to_tag) };
    let from = if authorization.is_empty() { format!("w{watcher}") } else { "watcher".to_owned() };
    format!(
        "SUBSCRIBE sip:{presentity}@bench.example SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-{branch};rport\r\n\
         Max-Forwards: 70\r\n\
         From: \"Watcher {watcher}\" <sip:{from}@bench.example>;tag=5f3a{watcher:x}\r\n\
         To: <sip:{presentity}@bench.example>{tag}\r\n\
         Call-ID: {watcher}-jh2b7tq83c26700a@127.0.0.1\r\n\
         CSeq: {cseq} SUBSCRIBE\r\n\
         Contact: <sip:{from}@127.0.0.1:{port};line={watcher:x}>\r\n\
         Event: presence\r\n\
         Accept: application/pidf+xml\r\n\
         Expires: 3600\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, REFER, OPTIONS, NOTIFY, SUBSCRIBE, PRACK, MESSAGE, INFO\r\n\
         Supported: timer, 100rel, replaces, from-change\r\n\
         User-Agent: Bench Phone 1.0\r\n{authorization}\
         Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// A PUBLISH whose note names the change.
pub(crate) fn publish(port: u16, presentity: &str, etag: &str, note: &str, branch: usize) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" \
         entity=\"sip:{presentity}@bench.example\"><tuple id=\"t1\"><status><basic>open</basic></status></tuple>\
         <dm:person id=\"p1\"><rpid:activities><rpid:busy/></rpid:activities><dm:note>{note}</dm:note></dm:person>\
         </presence>\n"
    );
    let condition = if etag.is_empty() { String::new() } else { format!("SIP-If-Match: {etag}\r\n") };
    format!(
        "PUBLISH sip:{presentity}@bench.example SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-{branch};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:{presentity}@bench.example>;tag=77a{branch:x}\r\n\
         To: <sip:{presentity}@bench.example>\r\n\
         Call-ID: p{branch}-77ab2390f2@127.0.0.1\r\n\
         CSeq: 1 PUBLISH\r\n\
         Event: presence\r\n\
         Expires: 3600\r\n{condition}\
         Content-Type: application/pidf+xml\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
