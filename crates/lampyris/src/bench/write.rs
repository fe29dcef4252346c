//! The messages of the simulated phones: requests about as long as a desk phone's, and answers.
//!
//! In: what differs from one to the next. Out: bytes that share one piece of memory among many messages, so that a message
//! costs no allocation. Answers repeat the lines they must repeat (RFC 3261 §8.2.6) as they came.

use super::limits::ARENA_BYTES;
use super::scan::Heard;
use bytes::{BufMut as _, Bytes, BytesMut};
use memchr::memmem;
use std::fmt::{Arguments, Write as _};
use std::net::SocketAddr;

/// Where messages are written.
pub(crate) struct Pen {
    arena: BytesMut,
    /// What tells the messages of this run from those of an earlier one at the same server.
    run: String,
    /// The domain of all users.
    domain: String,
    /// The transport as Via has it.
    via: &'static str,
    /// The transport parameter of a Contact, with its semicolon; nothing for UDP.
    transport: String,
}

/// What each request has.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a [u8],
    /// Number of the transaction, which the branch carries.
    pub(crate) branch: u64,
    pub(crate) local: SocketAddr,
    /// User part of From.
    pub(crate) from: Arguments<'a>,
    pub(crate) from_tag: Arguments<'a>,
    /// User part of To.
    pub(crate) to: Arguments<'a>,
    /// Empty outside a dialog.
    pub(crate) to_tag: &'a [u8],
    /// Begins the Call-ID.
    pub(crate) call: u32,
    /// What kind of dialog it numbers, in one letter.
    pub(crate) kind: char,
    pub(crate) cseq: u32,
    /// Whole header lines.
    pub(crate) more: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Pen {
    /// For one run of the load.
    pub(crate) fn new(run: u32, domain: &str, via: &'static str, transport: &str) -> Self {
        let transport = if transport == "udp" { String::new() } else { format!(";transport={transport}") };
        let (arena, run) = (BytesMut::with_capacity(ARENA_BYTES), format!("{run:08x}"));
        Self { arena, run, domain: domain.to_owned(), via, transport }
    }

    /// The domain.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// What stands before the number in a note. Why with the run: a server may still show what an earlier one published.
    pub(crate) fn mark(&self) -> Vec<u8> {
        format!("change {}-", self.run).into_bytes()
    }

    /// A Contact line.
    pub(crate) fn contact(&self, user: Arguments<'_>, local: SocketAddr) -> String {
        format!("Contact: <sip:{user}@{local}{}>\r\n", self.transport)
    }

    /// A request.
    pub(crate) fn request(&mut self, head: &Head<'_>) -> Bytes {
        self.make_room(1024 + head.target.len() + head.more.len() + head.body.len());
        let Self { arena, run, domain, via, .. } = self;
        arena.put_slice(head.method.as_bytes());
        arena.put_u8(b' ');
        arena.put_slice(head.target);
        // Why: writing to a BytesMut cannot fail.
        let _ = write!(
            arena,
            " SIP/2.0\r\nVia: SIP/2.0/{via} {};branch=z9hG4bK{run}{:016x};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{}@{domain}>;tag={}{run}\r\nTo: <sip:{}@{domain}>",
            head.local, head.branch, head.from, head.from_tag, head.to
        );
        if !head.to_tag.is_empty() {
            arena.put_slice(b";tag=");
            arena.put_slice(head.to_tag);
        }
        let _ = write!(
            arena,
            "\r\nCall-ID: {:08x}{}{run}@{}\r\nCSeq: {} {}\r\n",
            head.call,
            head.kind,
            head.local.ip(),
            head.cseq,
            head.method
        );
        arena.put_slice(head.more);
        let _ = write!(arena, "Content-Length: {}\r\n\r\n", head.body.len());
        arena.put_slice(head.body);
        arena.split().freeze()
    }

    /// An answer to `request`, which came from the server; `to_tag` where it makes a dialog.
    pub(crate) fn answer(
        &mut self,
        status: &str,
        request: &Heard<'_>,
        to_tag: Option<Arguments<'_>>,
        more: &[u8],
        body: &[u8],
    ) -> Bytes {
        self.make_room(4096 + more.len() + body.len());
        let arena = &mut self.arena;
        arena.put_slice(b"SIP/2.0 ");
        arena.put_slice(status.as_bytes());
        arena.put_slice(b"\r\n");
        let lines = request.via.iter().chain(request.record_route.iter());
        for line in lines.chain([request.from]) {
            arena.put_slice(line);
        }
        match to_tag {
            None => arena.put_slice(request.to),
            Some(tag) => {
                arena.put_slice(request.to.trim_ascii_end());
                let _ = write!(arena, ";tag={tag}\r\n");
            }
        }
        arena.put_slice(request.call_id_line);
        arena.put_slice(request.cseq_line);
        arena.put_slice(more);
        if body.is_empty() {
            arena.put_slice(b"Content-Length: 0\r\n\r\n");
        } else {
            let _ = write!(arena, "Content-Length: {}\r\n\r\n", body.len());
            arena.put_slice(body);
        }
        arena.split().freeze()
    }

    /// The number of the transaction of ours that a branch belongs to.
    pub(crate) fn transaction(&self, branch: &[u8]) -> Option<u64> {
        let digits = branch.strip_prefix(b"z9hG4bK")?.strip_prefix(self.run.as_bytes())?;
        hex(digits)
    }

    /// The number and kind of the dialog of ours that a Call-ID belongs to.
    pub(crate) fn dialog(&self, call_id: &[u8]) -> Option<(u32, u8)> {
        let (digits, rest) = call_id.split_at_checked(8)?;
        let (kind, rest) = rest.split_first()?;
        rest.starts_with(self.run.as_bytes()).then_some(())?;
        Some((u32::try_from(hex(digits)?).ok()?, *kind))
    }

    fn make_room(&mut self, bytes: usize) {
        if self.arena.capacity() < bytes {
            // Why: a new piece instead of moving what is written; the old one goes when its last message has.
            self.arena = BytesMut::with_capacity(ARENA_BYTES.max(bytes));
        }
    }
}

fn hex(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits
        .iter()
        .try_fold(0, |sum: u64, digit| Some((sum << 4) | u64::from(char::from(*digit).to_digit(16)?)))
}

/// The header lines of a SUBSCRIBE for presence beside those of every request.
pub(crate) fn subscribe_lines(out: &mut Vec<u8>, contact: &str, expires_s: u32) {
    out.extend_from_slice(contact.as_bytes());
    let _ = std::io::Write::write_fmt(
        out,
        format_args!(
            "Event: presence\r\nAccept: application/pidf+xml\r\nExpires: {expires_s}\r\n\
             Allow: INVITE, ACK, CANCEL, BYE, REFER, OPTIONS, NOTIFY, SUBSCRIBE, PRACK, MESSAGE, INFO\r\n\
             Supported: timer, 100rel, replaces, from-change\r\nUser-Agent: Bench Phone 1.0\r\n"
        ),
    );
}

/// The note of a presentity's change: a mark, its number, and so much more that the document has its size.
pub(crate) fn note(out: &mut Vec<u8>, mark: &[u8], version: u32, fill_bytes: usize) {
    out.clear();
    out.extend_from_slice(mark);
    let _ = std::io::Write::write_fmt(out, format_args!("{version}."));
    let fill = fill_bytes.saturating_sub(out.len());
    out.extend(b"abcdefghijklmnopqrstuvwxyz".iter().copied().cycle().take(fill));
    out.push(b'.');
}

/// The number of the change that a document tells of, where it has a note of ours.
pub(crate) fn version_in(finder: &memmem::Finder<'_>, body: &[u8]) -> Option<(usize, u32)> {
    let at = finder.find(body)?;
    let digits = body.get(at + finder.needle().len()..)?;
    let digits = digits.get(..memchr::memchr(b'.', digits)?)?;
    let version = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((at, version))
}

/// A presence document (RFC 3863, RFC 4479, RFC 4480) with that note.
pub(crate) fn document(out: &mut Vec<u8>, presentity: &str, domain: &str, note: &[u8]) {
    out.clear();
    let _ = std::io::Write::write_fmt(
        out,
        format_args!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
             xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" \
             entity=\"sip:{presentity}@{domain}\"><tuple id=\"t1\"><status><basic>open</basic></status></tuple>\
             <dm:person id=\"p1\"><rpid:activities><rpid:busy/></rpid:activities><dm:note>"
        ),
    );
    out.extend_from_slice(note);
    out.extend_from_slice(b"</dm:note></dm:person></presence>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pen() -> Pen {
        Pen::new(0xab, "bench.example", "TCP", "tcp")
    }

    fn head(local: SocketAddr) -> Head<'static> {
        Head {
            method: "SUBSCRIBE",
            target: b"sip:p0@bench.example",
            branch: 77,
            local,
            from: format_args!("w1"),
            from_tag: format_args!("t1"),
            to: format_args!("p0"),
            to_tag: b"theirs",
            call: 9,
            kind: 's',
            cseq: 3,
            more: b"Event: presence\r\n",
            body: b"",
        }
    }

    #[test]
    fn a_request_is_one_that_the_servers_own_parser_takes() {
        let mut pen = pen();
        let bytes = pen.request(&head(([127, 0, 0, 1], 4000).into()));
        let message = lampyris_sip::Message::parse(bytes.clone()).expect("a message");
        assert_eq!((message.to_tag(), message.cseq().seq), (Some("theirs"), 3));
        let heard = Heard::read(&bytes).expect("a message");
        assert_eq!(pen.transaction(heard.branch()), Some(77));
        assert_eq!(pen.dialog(heard.call_id), Some((9, b's')));
        assert_eq!(Pen::new(0xac, "x", "UDP", "udp").transaction(heard.branch()), None, "another run's");
    }

    #[test]
    fn an_answer_repeats_what_it_must() {
        let mut pen = pen();
        let request = pen.request(&Head { to_tag: b"", ..head(([127, 0, 0, 1], 4000).into()) });
        let heard = Heard::read(&request).expect("a message");
        let answer = pen.answer("200 OK", &heard, Some(format_args!("mine")), b"X: y\r\n", b"body");
        let (asked, told) = (
            lampyris_sip::Message::parse(request.clone()).expect("a request"),
            lampyris_sip::Message::parse(answer).expect("an answer"),
        );
        assert_eq!(told.call_id(), asked.call_id());
        assert_eq!(told.top_via().branch(), asked.top_via().branch());
        assert_eq!((told.to_tag(), told.from_tag()), (Some("mine"), asked.from_tag()));
        assert_eq!(told.body_bytes(), b"body");
    }

    #[test]
    fn a_document_has_its_size_and_its_number() {
        let (mut text, mut body) = (Vec::new(), Vec::new());
        let mark = pen().mark();
        note(&mut text, &mark, 12, 200);
        assert_eq!(text.len(), 201);
        document(&mut body, "p3", "bench.example", &text);
        let finder = memmem::Finder::new(&mark);
        assert_eq!(version_in(&finder, &body).map(|(_, version)| version), Some(12));
        let earlier = String::from_utf8_lossy(&body).replace("change ", "change 1");
        assert_eq!(version_in(&finder, earlier.as_bytes()), None, "another run's");
    }
}
