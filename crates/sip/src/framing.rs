//! Cutting a byte stream into messages (RFC 3261 §7.5, §18.3; keep-alive RFC 5626 §3.5.1).
//!
//! In: chunks as they come. Out: frames; any chunking gives the same ones. Memory is bounded by the two limits plus
//! one chunk. After an error the stream cannot be understood any more: close it.

use bytes::{Buf, Bytes, BytesMut};

use crate::chars::{digits_saturating, is_lws, trim};
use crate::error::{ParseError, Reason};
use crate::message::Message;
use crate::name::Name;

/// One thing found on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The bytes of one message.
    Message(Bytes),
    /// CRLF CRLF, to be answered with one CRLF.
    Ping,
    /// A single CRLF.
    Pong,
}

/// Why a stream cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .reason.text())]
pub struct FrameError {
    /// What is wrong.
    pub reason: Reason,
    /// The head of the message, cut at the limit; empty where no head had begun.
    pub head: Bytes,
}

impl FrameError {
    /// The error as that of a message, so that the request can be answered before the stream is closed.
    pub fn into_parse_error(self) -> ParseError {
        Message::refused(self.head, self.reason)
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Between messages.
    Between,
    /// Between messages, one CRLF seen on an accepted flow.
    OneCrlf,
    /// In a head; that many of its bytes are known not to end it.
    Head { scanned: usize },
    /// In a body; the message has that many bytes.
    Body { total: usize },
    /// After an error.
    Dead,
}

/// A push decoder for one direction of one stream.
#[derive(Debug)]
pub struct Framer {
    head_bytes_max: usize,
    body_bytes_max: usize,
    opened: bool,
    state: State,
    buffer: BytesMut,
}

impl Framer {
    /// For a flow the peer opened: it pings (CRLF CRLF). A single CRLF is told apart from half a ping only by what
    /// follows it. Both limits are in bytes.
    pub fn new(head_bytes_max: usize, body_bytes_max: usize) -> Self {
        Framer {
            head_bytes_max: head_bytes_max.min(usize::from(u16::MAX)),
            body_bytes_max,
            opened: false,
            state: State::Between,
            buffer: BytesMut::new(),
        }
    }

    /// For a flow we opened: the peer does not ping but answers our pings, so each CRLF is a pong at once.
    pub fn for_opened_flow(head_bytes_max: usize, body_bytes_max: usize) -> Self {
        Framer { opened: true, ..Framer::new(head_bytes_max, body_bytes_max) }
    }

    /// Takes the next bytes of the stream; call [`Framer::next_frame`] until `None` afterwards.
    pub fn push(&mut self, chunk: &[u8]) {
        if !matches!(self.state, State::Dead) {
            self.buffer.extend_from_slice(chunk);
        }
    }

    /// Bytes held for a frame that is not complete.
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// What a framer of the same kind has to be pushed first to go on where this one stands.
    pub fn pending(&self) -> Vec<u8> {
        let crlf = if matches!(self.state, State::OneCrlf) { &b"\r\n"[..] } else { b"" };
        [crlf, &self.buffer].concat()
    }

    /// The next frame, if it is complete. After an error there is none any more.
    pub fn next_frame(&mut self) -> Option<Result<Frame, FrameError>> {
        loop {
            match self.state {
                State::Dead => return None,
                State::Between => match self.buffer.first()? {
                    b'\r' => {
                        if *self.buffer.get(1)? != b'\n' {
                            return Some(Err(self.die(Reason::LineEnd, 0)));
                        }
                        self.buffer.advance(2);
                        if self.opened {
                            return Some(Ok(Frame::Pong));
                        }
                        self.state = State::OneCrlf;
                    }
                    b'\n' => {
                        // Interop: a lone LF between messages is a line end too.
                        self.buffer.advance(1);
                    }
                    _ => self.state = State::Head { scanned: 0 },
                },
                State::OneCrlf => {
                    let first = *self.buffer.first()?;
                    if first == b'\r' {
                        if *self.buffer.get(1)? != b'\n' {
                            return Some(Err(self.die(Reason::LineEnd, 0)));
                        }
                        self.buffer.advance(2);
                        self.state = State::Between;
                        return Some(Ok(Frame::Ping));
                    }
                    self.state = State::Between;
                    return Some(Ok(Frame::Pong));
                }
                State::Head { scanned } => {
                    let found = self.buffer.get(scanned..).and_then(head_end);
                    match found {
                        Some(end) if scanned + end <= self.head_bytes_max => {
                            let head = scanned + end;
                            let length = match content_length(self.buffer.get(..head).unwrap_or_default()) {
                                Ok(length) => length,
                                Err(reason) => return Some(Err(self.die(reason, head))),
                            };
                            if length > self.body_bytes_max {
                                return Some(Err(self.die(Reason::BodySize, head)));
                            }
                            self.state = State::Body { total: head + length };
                        }
                        Some(_) => return Some(Err(self.die(Reason::HeadSize, self.head_bytes_max))),
                        None if self.buffer.len() > self.head_bytes_max => {
                            return Some(Err(self.die(Reason::HeadSize, self.head_bytes_max)));
                        }
                        None => {
                            self.state = State::Head { scanned: self.buffer.len().saturating_sub(3) };
                            return None;
                        }
                    }
                }
                State::Body { total } => {
                    if self.buffer.len() < total {
                        self.buffer.reserve(total - self.buffer.len());
                        return None;
                    }
                    self.state = State::Between;
                    return Some(Ok(Frame::Message(self.buffer.split_to(total).freeze())));
                }
            }
        }
    }

    /// Why: `head` bytes come from the stream alone, never from where a chunk ended.
    fn die(&mut self, reason: Reason, head: usize) -> FrameError {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.state = State::Dead;
        buffer.truncate(head);
        FrameError { reason, head: buffer.freeze() }
    }
}

/// Position behind the empty line.
fn head_end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The one Content-Length of a head; a value folded over several lines is joined (RFC 3261 §7.3.1).
fn content_length(head: &[u8]) -> Result<usize, Reason> {
    let mut found: Option<u32> = None;
    let mut lines = head.split(|&b| b == b'\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let name = line.get(..colon).unwrap_or_default().trim_ascii_end();
        if name.first().copied().is_some_and(is_lws) || Name::find(name) != Some(Name::ContentLength) {
            continue;
        }
        let mut value = digits(line.get(colon + 1..).unwrap_or_default())?;
        while let Some(folded) = lines.next_if(|next| next.first().copied().is_some_and(is_lws)) {
            value = match (value, digits(folded)?) {
                (Some(_), Some(_)) => return Err(Reason::ContentLength),
                (value, folded) => value.or(folded),
            };
        }
        let value = value.ok_or(Reason::ContentLength)?;
        if found.is_some_and(|other| other != value) {
            return Err(Reason::ContentLength);
        }
        found = Some(value);
    }
    let length = found.ok_or(Reason::NoContentLength)?;
    usize::try_from(length).map_err(|_| Reason::BodySize)
}

/// The number in one line of a value; `None` for white space alone.
fn digits(line: &[u8]) -> Result<Option<u32>, Reason> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line).map(trim) {
        Ok("") => Ok(None),
        Ok(text) => digits_saturating(text).map(Some).ok_or(Reason::ContentLength),
        Err(_) => Err(Reason::ContentLength),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(framer: &mut Framer, chunks: &[&[u8]]) -> Vec<Result<Frame, Reason>> {
        let mut out = Vec::new();
        for chunk in chunks {
            framer.push(chunk);
            while let Some(frame) = framer.next_frame() {
                out.push(frame.map_err(|error| error.reason));
            }
        }
        out
    }

    const ONE: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nl : 3\r\n\r\nabc";

    #[test]
    fn messages_and_keep_alives() {
        let message = || Ok(Frame::Message(Bytes::from_static(ONE)));
        let stream = [b"\r\n\r\n".as_slice(), ONE, ONE, b"\r\n", ONE].concat();
        let want = vec![Ok(Frame::Ping), message(), message(), Ok(Frame::Pong), message()];
        assert_eq!(frames(&mut Framer::new(1000, 1000), &[&stream]), want);
        for size in 1..stream.len() {
            let chunks: Vec<&[u8]> = stream.chunks(size).collect();
            assert_eq!(frames(&mut Framer::new(1000, 1000), &chunks), want, "chunks of {size}");
        }
        let mut opened = Framer::for_opened_flow(1000, 1000);
        assert_eq!(frames(&mut opened, &[b"\r\n"]), vec![Ok(Frame::Pong)]);
    }

    #[test]
    fn another_framer_goes_on_where_one_stands() {
        let stream =
            b"\r\n\r\nOPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nContent-Length: 4\r\n\r\nbody\r\n\r\n";
        let whole = frames(&mut Framer::new(1000, 1000), &[stream]);
        for cut in 0..=stream.len() {
            let mut first = Framer::new(1000, 1000);
            let mut found = frames(&mut first, &[&stream[..cut]]);
            let begun = first.pending();
            let mut second = Framer::new(1000, 1000);
            found.extend(frames(&mut second, &[&begun, &stream[cut..]]));
            assert_eq!(found, whole, "cut at {cut}");
        }
    }

    #[test]
    fn errors_end_the_stream_and_can_be_answered() {
        let head = "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n";
        for (rest, want) in [
            ("\r\n", Reason::NoContentLength),
            ("l: -1\r\n\r\n", Reason::ContentLength),
            ("Content-Length: 1\r\nl: 2\r\n\r\n", Reason::ContentLength),
            ("l: 101\r\n\r\n", Reason::BodySize),
            ("l: 99999999999999999999\r\n\r\n", Reason::BodySize),
            (&format!("X: {}", "y".repeat(200)), Reason::HeadSize),
        ] {
            let mut framer = Framer::new(200, 100);
            framer.push(head.as_bytes());
            framer.push(rest.as_bytes());
            let error = framer.next_frame().expect("frame").expect_err("error");
            assert_eq!(error.reason, want, "{rest}");
            let error = error.into_parse_error();
            assert_eq!(error.kind(), want);
            assert_eq!(error.reply_to().and_then(|m| m.method()), Some(crate::Method::Options), "{rest}");
            framer.push(ONE);
            assert_eq!((framer.next_frame(), framer.pending_bytes()), (None, 0));
        }
    }
}

#[cfg(test)]
mod chunking_tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n";
    const B: &str = "NOTIFY sip:a@b SIP/2.0\r\nl : 6\r\nX: y\r\n\r\n\r\n\r\nxy";

    /// What came out, as text: a message's bytes, `ping`, `pong`, or `!Reason` with the head.
    fn frames(framer: &mut Framer, chunks: &[&[u8]]) -> Vec<String> {
        let mut seen = Vec::new();
        for chunk in chunks {
            framer.push(chunk);
            while let Some(frame) = framer.next_frame() {
                seen.push(match frame {
                    Ok(Frame::Message(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
                    Ok(Frame::Ping) => "ping".to_owned(),
                    Ok(Frame::Pong) => "pong".to_owned(),
                    Err(error) => format!("!{:?} {}", error.reason, String::from_utf8_lossy(&error.head)),
                });
            }
        }
        seen
    }

    fn whole(text: &str) -> Vec<String> {
        frames(&mut Framer::new(200, 50), &[text.as_bytes()])
    }

    #[test]
    fn line_ends_between_messages() {
        for (text, accepted, opened) in [
            ("\r\n".to_owned(), vec![], vec!["pong"]),
            ("\r\n\r\n".to_owned(), vec!["ping"], vec!["pong", "pong"]),
            ("\r\n\r\n\r\n".to_owned(), vec!["ping"], vec!["pong", "pong", "pong"]),
            (format!("\r\n{A}"), vec!["pong", A], vec!["pong", A]),
            (format!("{A}\r\n\r\n{B}"), vec![A, "ping", B], vec![A, "pong", "pong", B]),
            (format!("\n{A}"), vec![A], vec![A]),
            ("\r".to_owned(), vec![], vec![]),
            ("\rX".to_owned(), vec!["!LineEnd "], vec!["!LineEnd "]),
        ] {
            assert_eq!(whole(&text), accepted, "{text:?} on an accepted flow");
            let mut framer = Framer::for_opened_flow(200, 50);
            assert_eq!(frames(&mut framer, &[text.as_bytes()]), opened, "{text:?} on an opened flow");
        }
    }

    #[test]
    fn content_lengths() {
        for (header, want) in [
            ("Content-Length: 2", Ok(2)),
            ("CONTENT-LENGTH:2", Ok(2)),
            ("L  :  2  ", Ok(2)),
            ("l:\r\n 2", Ok(2)),
            ("l: 2\r\n\t", Ok(2)),
            ("l: 2\r\nContent-Length: 02", Ok(2)),
            ("Subject: x\r\n Content-Length: 9\r\nl: 2", Ok(2)),
            ("l: 2\r\nl: 3", Err(Reason::ContentLength)),
            ("l: 1\r\n 2", Err(Reason::ContentLength)),
            ("l: 2, 2", Err(Reason::ContentLength)),
            ("l: -2", Err(Reason::ContentLength)),
            ("l: +2", Err(Reason::ContentLength)),
            ("l:", Err(Reason::ContentLength)),
            ("l: two", Err(Reason::ContentLength)),
            ("l: 51", Err(Reason::BodySize)),
            ("l: 4294967296", Err(Reason::BodySize)),
            ("l: 99999999999999999999999", Err(Reason::BodySize)),
            ("Subject: l: 2", Err(Reason::NoContentLength)),
        ] {
            let head = format!("BYE sip:a@b SIP/2.0\r\n{header}\r\n\r\n");
            let got = whole(&format!("{head}{}", "z".repeat(60)));
            let want = match want {
                Ok(length) => format!("{head}{}", "z".repeat(length)),
                Err(reason) => format!("!{reason:?} {head}"),
            };
            assert_eq!(got.first(), Some(&want), "{header:?}");
        }
    }

    #[test]
    fn limits_hold_and_an_error_is_the_last_frame() {
        let long = format!("BYE sip:a@b SIP/2.0\r\nX: {}\r\nl: 0\r\n\r\n", "x".repeat(300));
        let want = vec![format!("!HeadSize {}", &long[..200])];
        assert_eq!(whole(&long), want);
        let mut framer = Framer::new(200, 50);
        let bytes: Vec<&[u8]> = long.as_bytes().chunks(1).collect();
        assert_eq!(frames(&mut framer, &bytes), want);
        assert_eq!(frames(&mut framer, &[A.as_bytes()]), Vec::<String>::new());
        assert_eq!(framer.pending_bytes(), 0);
    }

    /// A stream of everything, so that each split falls somewhere different.
    fn stream() -> String {
        format!("\r\n{A}\r\n\r\n{B}{A}\r\n\r\n\r\n{B}\r\n\r\nBYE sip:a SIP/2.0\r\nl: x\r\n\r\n{A}")
    }

    #[test]
    fn every_split_in_two_or_three_gives_the_same_frames() {
        let stream = stream();
        let (want, bytes) = (whole(&stream), stream.as_bytes());
        assert_eq!(want.len(), 10, "{want:?}");
        for i in 0..=bytes.len() {
            for j in (i..=bytes.len()).step_by(3) {
                let chunks = [&bytes[..i], &bytes[i..j], &bytes[j..]];
                assert_eq!(frames(&mut Framer::new(200, 50), &chunks), want, "split at {i} and {j}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_frames(
            pieces in proptest::collection::vec(0..6_usize, 0..12),
            cuts in proptest::collection::vec(1..40_usize, 1..60),
        ) {
            let menu = ["\r\n", A, B, "\n", "l: 7\r\n", "\r"];
            let text: String = pieces.iter().map(|&p| menu[p]).collect();
            let mut rest = text.as_bytes();
            let mut chunks = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (chunk, left) = rest.split_at((*cut).min(rest.len()));
                chunks.push(chunk);
                rest = left;
            }
            prop_assert_eq!(frames(&mut Framer::new(200, 50), &chunks), whole(&text));
        }
    }
}
