//! MIME multipart bodies (RFC 2046 §5.1), as lists (RFC 4662) and call control use them.
//!
//! In: a boundary and a body. Out: parts; or the other way round. Nested parts are parsed by calling again. LF alone
//! is tolerated as a line end on input; output uses CRLF.

use bytes::Bytes;

use crate::chars::trim;
use crate::headers::content_type::ContentType;

/// Why a body is not multipart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MultipartError {
    /// No usable `boundary` parameter.
    #[error("no boundary")]
    Boundary,
    /// The boundary never occurs in the body.
    #[error("no part")]
    NoPart,
    /// The closing boundary is missing.
    #[error("unterminated multipart body")]
    Unterminated,
    /// A part's head is not made of headers.
    #[error("malformed part header")]
    PartHead,
    /// More than [`PARTS_MAX`] parts.
    #[error("too many parts")]
    TooMany,
}

/// Parts read from one body.
pub const PARTS_MAX: usize = 4096;

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    head: Bytes,
    /// The content.
    pub body: Bytes,
}

impl Part {
    /// The value of a header of the part, by name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All headers of the part that are UTF-8 (folded lines are not joined).
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.split(|&b| b == b'\n').filter_map(|line| {
            let line = std::str::from_utf8(line).ok()?;
            let (name, value) = line.strip_suffix('\r').unwrap_or(line).split_once(':')?;
            Some((trim(name), trim(value)))
        })
    }

    /// Content-Type; `text/plain` where there is none (RFC 2046 §5.1).
    pub fn content_type(&self) -> &str {
        self.header("Content-Type").unwrap_or("text/plain")
    }

    /// Content-ID without its angle brackets.
    pub fn content_id(&self) -> Option<&str> {
        let value = self.header("Content-ID")?;
        Some(value.strip_prefix('<').and_then(|v| v.strip_suffix('>')).unwrap_or(value))
    }
}

/// Reads the parts of a body whose Content-Type is this one.
///
/// # Errors
/// [`MultipartError`]: a 400.
pub fn parse_as(content_type: &str, body: &Bytes) -> Result<Vec<Part>, MultipartError> {
    let content_type = ContentType::parse(content_type).map_err(|_| MultipartError::Boundary)?;
    parse(content_type.boundary().ok_or(MultipartError::Boundary)?, body)
}

/// Reads the parts of a body.
///
/// # Errors
/// [`MultipartError`]: a 400.
pub fn parse(boundary: &str, body: &Bytes) -> Result<Vec<Part>, MultipartError> {
    if boundary.is_empty() || boundary.len() > 70 {
        return Err(MultipartError::Boundary);
    }
    let mut parts = Vec::new();
    let mut part_start: Option<usize> = None;
    let mut at = 0;
    while at < body.len() {
        let rest = body.get(at..).unwrap_or_default();
        let next = memchr::memchr(b'\n', rest).map_or(body.len(), |step| at + step + 1);
        if let Some(closing) = delimiter(body.get(at..next).unwrap_or_default(), boundary) {
            if let Some(start) = part_start {
                if parts.len() == PARTS_MAX {
                    return Err(MultipartError::TooMany);
                }
                parts.push(part(body, start, at)?);
            }
            if closing {
                return if parts.is_empty() { Err(MultipartError::NoPart) } else { Ok(parts) };
            }
            part_start = Some(next);
        }
        at = next;
    }
    Err(if part_start.is_some() { MultipartError::Unterminated } else { MultipartError::NoPart })
}

/// `Some(false)` for a delimiter line, `Some(true)` for the closing one.
fn delimiter(line: &[u8], boundary: &str) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary.as_bytes())?;
    let (closing, rest) = match rest.strip_prefix(b"--") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    rest.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).then_some(closing)
}

/// The part between the line behind one delimiter and the start of the next; the line end before it is its own.
fn part(body: &Bytes, start: usize, end: usize) -> Result<Part, MultipartError> {
    let bytes = body.get(start..end).unwrap_or_default();
    let bytes = bytes.strip_suffix(b"\n").map_or(bytes, |b| b.strip_suffix(b"\r").unwrap_or(b));
    let end = start + bytes.len();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(step) = memchr::memchr(b'\n', rest) else {
            // A head without an empty line: all of it is headers, the content is empty.
            let head = body.slice(start..end);
            if !rest.is_empty() && !is_header_line(rest) {
                return Err(MultipartError::PartHead);
            }
            return Ok(Part { head, body: Bytes::new() });
        };
        let line = rest.get(..step).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(Part {
                head: body.slice(start..start + at),
                body: body.slice(start + at + step + 1..end),
            });
        }
        if !is_header_line(line) {
            return Err(MultipartError::PartHead);
        }
        at += step + 1;
    }
}

fn is_header_line(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t')) || memchr::memchr(b':', line).is_some_and(|at| at > 0)
}

/// Writes a multipart body part by part.
#[derive(Clone, Debug)]
pub struct Writer {
    boundary: String,
    out: Vec<u8>,
}

impl Writer {
    /// Starts a body; characters that would need quotes in the boundary become `-`. It must not occur in a part.
    pub fn new(boundary: &str) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+') { c } else { '-' };
        let mut boundary: String = boundary.chars().take(70).map(plain).collect();
        if boundary.is_empty() {
            boundary.push_str("boundary");
        }
        Writer { boundary, out: Vec::new() }
    }

    /// Adds a part with these headers; CR, LF and NUL in them become spaces.
    pub fn part(&mut self, headers: &[(&str, &str)], body: &[u8]) -> &mut Self {
        self.out.extend_from_slice(b"--");
        self.out.extend_from_slice(self.boundary.as_bytes());
        self.out.extend_from_slice(b"\r\n");
        let plain = |b: u8| if matches!(b, b'\r' | b'\n' | 0) { b' ' } else { b };
        for (name, value) in headers {
            self.out.extend(name.bytes().map(plain));
            self.out.extend_from_slice(b": ");
            self.out.extend(value.bytes().map(plain));
            self.out.extend_from_slice(b"\r\n");
        }
        self.out.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(body);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// The Content-Type: `subtype` such as `related;type="application/rlmi+xml"`, with the boundary last.
    pub fn content_type(&self, subtype: &str) -> String {
        // Interop: some phones read the boundary to the end of the line, quotes and spaces included.
        format!("multipart/{subtype};boundary={}", self.boundary)
    }

    /// The body.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(b"--");
        self.out.extend_from_slice(self.boundary.as_bytes());
        self.out.extend_from_slice(b"--\r\n");
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_parts_come_back() {
        let mut writer = Writer::new("b 1");
        writer.part(&[("Content-Type", "text/plain"), ("Content-ID", "<a@b>")], b"one\r\n\r\ntwo");
        writer.part(&[("Content-Type", "a/b\r\nX: y")], b"");
        let content_type = writer.content_type("related;type=\"a/b\"");
        assert_eq!(content_type, "multipart/related;type=\"a/b\";boundary=b-1");
        let body = Bytes::from(writer.finish());
        let parts = parse_as(&content_type, &body).expect("parts");
        assert_eq!(parts.len(), 2);
        assert_eq!(&parts[0].body[..], b"one\r\n\r\ntwo");
        assert_eq!(parts[0].content_id(), Some("a@b"));
        assert_eq!(parts[1].content_type(), "a/b  X: y");
        assert!(parts[1].body.is_empty());
    }

    #[test]
    fn odd_bodies() {
        for (body, want) in [
            (&b"--b\n\nx\n--b--\n"[..], Ok(1)),
            (
                b"preamble\r\n--b\r\nA: b\r\n\r\nx\r\n--b  \r\n\r\ny\r\n--b--epilogue",
                Err(MultipartError::Unterminated),
            ),
            (b"--b\r\nA: b\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--\r\nepilogue", Ok(2)),
            (b"--b\r\nA: b\r\n--b--", Ok(1)),
            (b"--b\r\nno header\r\n\r\nx\r\n--b--", Err(MultipartError::PartHead)),
            (b"--b--\r\n", Err(MultipartError::NoPart)),
            (b"", Err(MultipartError::NoPart)),
            (b"--b\r\n\r\nx", Err(MultipartError::Unterminated)),
            (b"--bb\r\n\r\nx\r\n--bb--", Err(MultipartError::NoPart)),
        ] {
            let got = parse("b", &Bytes::copy_from_slice(body)).map(|parts| parts.len());
            assert_eq!(got, want, "{}", String::from_utf8_lossy(body));
        }
        for content_type in ["multipart/mixed", "multipart/mixed;boundary=", "x"] {
            assert_eq!(
                parse_as(content_type, &Bytes::new()),
                Err(MultipartError::Boundary),
                "{content_type}"
            );
        }
    }
}
