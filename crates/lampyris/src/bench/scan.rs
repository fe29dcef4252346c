//! What a load generator must know of a message, found in one pass over its lines.
//!
//! In: the bytes of a message. Out: [`Heard`], whose parts point into them. Why not the server's own parser: it checks
//! everything, which is right for a server and costs more than all the rest of what is done here for a NOTIFY. What looks
//! wrong to this scan is not understood, which the load counts as a fault of the server.

use memchr::{memchr, memmem};

/// Most Via or Record-Route lines of one message.
const LINES_MAX: usize = 16;

/// Lines of one name, as they stand, with their line ends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lines<'a> {
    lines: [&'a [u8]; LINES_MAX],
    count: usize,
}

impl<'a> Lines<'a> {
    fn push(&mut self, line: &'a [u8]) -> Option<()> {
        *self.lines.get_mut(self.count)? = line;
        self.count += 1;
        Some(())
    }

    /// In their order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.lines.into_iter().take(self.count)
    }
}

/// The parts of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard<'a> {
    /// Of a response.
    pub(crate) status: Option<u16>,
    /// Of a request.
    pub(crate) method: &'a [u8],
    /// With line ends.
    pub(crate) via: Lines<'a>,
    /// With line ends.
    pub(crate) record_route: Lines<'a>,
    /// With its line end.
    pub(crate) from: &'a [u8],
    /// With its line end.
    pub(crate) to: &'a [u8],
    /// With its line end.
    pub(crate) call_id_line: &'a [u8],
    /// With its line end.
    pub(crate) cseq_line: &'a [u8],
    /// The value.
    pub(crate) call_id: &'a [u8],
    /// The number.
    pub(crate) cseq: u32,
    /// The value.
    pub(crate) contact: &'a [u8],
    /// The value.
    pub(crate) subscription_state: &'a [u8],
    /// The value.
    pub(crate) etag: &'a [u8],
    /// After the empty line.
    pub(crate) body: &'a [u8],
}

impl<'a> Heard<'a> {
    /// Reads a message; `None` where it is none, or lacks what every message has.
    pub(crate) fn read(message: &'a [u8]) -> Option<Self> {
        let mut heard = Self::default();
        let end = memchr(b'\n', message)?;
        let start = message.get(..end)?;
        if start.starts_with(b"SIP/2.0 ") {
            heard.status = number(start.get(8..11)?).and_then(|status| u16::try_from(status).ok());
            heard.status?;
        } else {
            heard.method = start.get(..memchr(b' ', start)?)?;
        }
        let mut rest = message.get(end + 1..)?;
        loop {
            let end = memchr(b'\n', rest)?;
            let line = rest.get(..=end)?;
            rest = rest.get(end + 1..)?;
            match line {
                b"\r\n" | b"\n" => break,
                _ => heard.line(line)?,
            }
        }
        heard.body = rest;
        let whole = !heard.call_id.is_empty() && !heard.cseq_line.is_empty() && heard.via.count > 0;
        whole.then_some(heard)
    }

    fn line(&mut self, line: &'a [u8]) -> Option<()> {
        let colon = memchr(b':', line)?;
        let name = line.get(..colon)?.trim_ascii_end();
        let value = || line.get(colon + 1..).map(<[u8]>::trim_ascii);
        // Why: the first letter and the length rule out nearly every line before any name is compared.
        let first = name.first()?.to_ascii_lowercase();
        let named = |long: &[u8]| name.eq_ignore_ascii_case(long);
        match (first, name.len()) {
            (b'v', 1 | 3) if name.len() == 1 || named(b"via") => self.via.push(line)?,
            (b'r', 12) if named(b"record-route") => self.record_route.push(line)?,
            (b'f', 1 | 4) if name.len() == 1 || named(b"from") => self.from = line,
            (b't', 1 | 2) if name.len() == 1 || named(b"to") => self.to = line,
            (b'i', 1) => (self.call_id_line, self.call_id) = (line, value()?),
            (b'c', 7) if named(b"call-id") => (self.call_id_line, self.call_id) = (line, value()?),
            (b'c', 4) if named(b"cseq") => {
                let value = value()?;
                let digits = value.get(..memchr(b' ', value)?)?;
                (self.cseq_line, self.cseq) = (line, number(digits)?);
            }
            (b'm', 1) => self.contact = value()?,
            (b'c', 7) if named(b"contact") => self.contact = value()?,
            (b's', 18) if named(b"subscription-state") => self.subscription_state = value()?,
            (b's', 8) if named(b"sip-etag") => self.etag = value()?,
            _ => {}
        }
        Some(())
    }

    /// The branch of the first Via: everything behind `branch=` up to the next parameter.
    pub(crate) fn branch(&self) -> &'a [u8] {
        self.via.iter().next().and_then(|line| parameter(line, b"branch=")).unwrap_or_default()
    }

    /// The tag of the To header.
    pub(crate) fn remote_tag(&self) -> &'a [u8] {
        // Why: behind the last `>`, so that a display name or a URI with `tag=` in it is not taken for one.
        let at = memchr::memrchr(b'>', self.to).unwrap_or(0);
        self.to.get(at..).and_then(|rest| parameter(rest, b"tag=")).unwrap_or_default()
    }
}

/// The URI of a `name-addr` or `addr-spec`.
pub(crate) fn uri_of(value: &[u8]) -> &[u8] {
    let inner = |from: usize| {
        let rest = value.get(from + 1..)?;
        rest.get(..memchr(b'>', rest)?)
    };
    match memchr(b'<', value).and_then(inner) {
        Some(uri) => uri,
        None => value.get(..memchr(b';', value).unwrap_or(value.len())).unwrap_or(value),
    }
}

/// The value behind `;NAME=`, up to where a parameter ends.
fn parameter<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = memmem::find(line, name)? + name.len();
    let rest = line.get(at..)?;
    let end = rest.iter().position(|b| matches!(b, b';' | b',' | b' ' | b'\r' | b'\n' | b'>'));
    rest.get(..end.unwrap_or(rest.len()))
}

/// A decimal number of at most nine digits, or ten that fit.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |sum, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTIFY: &[u8] = b"NOTIFY sip:w1@127.0.0.1:4000 SIP/2.0\r\n\
        v: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bK7a\r\n\
        VIA : SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKother\r\n\
        Record-Route: <sip:10.0.0.9;lr>\r\n\
        f: \"x;tag=no\" <sip:p1@bench.example;tag=nor-this>;tag=from\r\n\
        To: <sip:w1@bench.example;tag=inner>;x=y;tag=mine\r\n\
        Call-ID:  00000001-ab@bench \r\n\
        CSeq: 4294967295 NOTIFY\r\n\
        Contact: <sip:p1@127.0.0.1:5060;transport=udp>;expires=3\r\n\
        Subscription-State: active;expires=60\r\n\
        Content-Length: 4\r\n\r\nbody";

    #[test]
    fn a_request_is_read_with_long_and_short_names() {
        let heard = Heard::read(NOTIFY).expect("a message");
        assert_eq!((heard.status, heard.method), (None, &b"NOTIFY"[..]));
        assert_eq!(heard.branch(), b"z9hG4bK7a");
        assert_eq!(heard.via.iter().count(), 2);
        assert_eq!(heard.record_route.iter().count(), 1);
        assert_eq!((heard.call_id, heard.cseq), (&b"00000001-ab@bench"[..], u32::MAX));
        assert_eq!(heard.remote_tag(), b"mine");
        assert_eq!(uri_of(heard.contact), b"sip:p1@127.0.0.1:5060;transport=udp");
        assert_eq!(heard.subscription_state, b"active;expires=60");
        assert_eq!(heard.body, b"body");
    }

    #[test]
    fn a_response_is_read() {
        let text =
            b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK-1\r\nFrom: a;tag=1\r\nTo: sip:b;tag=2\r\n\
            Call-ID: x\r\nCSeq: 1 PUBLISH\r\nSIP-ETag: e7\r\nm: sip:b@h;q=1\r\n\r\n";
        let heard = Heard::read(text).expect("a message");
        assert_eq!((heard.status, heard.etag, heard.remote_tag()), (Some(200), &b"e7"[..], &b"2"[..]));
        assert_eq!(uri_of(heard.contact), b"sip:b@h");
    }

    #[test]
    fn what_is_no_message_is_none() {
        let cut = NOTIFY.get(..NOTIFY.len() - 6).expect("shorter");
        for text in
            [&b""[..], b"\r\n", b"SIP/2.0 2x0 OK\r\n\r\n", b"NOTIFY\r\n\r\n", b"NOTIFY a b\r\n\r\n", cut]
        {
            assert!(Heard::read(text).is_none(), "{:?}", String::from_utf8_lossy(text));
        }
        let too_large = String::from_utf8_lossy(NOTIFY).replace("4294967295", "4294967296");
        assert!(Heard::read(too_large.as_bytes()).is_none(), "a CSeq beyond 32 bits");
    }
}
