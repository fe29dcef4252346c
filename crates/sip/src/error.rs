//! Why bytes are not a SIP message, and what is needed to answer them all the same (RFC 3261 §8.2, §16.3).
//!
//! Every refusal is one [`Reason`]; a [`ParseError`] adds the leniently read message when the sender can be told.

use crate::{Message, StatusCode};

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing but line ends.
    Empty,
    /// Neither a request line nor a status line.
    StartLine,
    /// The Request-URI is no URI, or has headers or brackets.
    RequestUri,
    /// A SIP version other than 2.0.
    Version,
    /// A status code that is not three digits from 100 to 699.
    Status,
    /// The head does not end with an empty line.
    HeadEnd,
    /// The head is longer than 65,535 bytes, or than the framer allows.
    HeadSize,
    /// A line that is no header: no colon, or a bad name.
    HeaderLine,
    /// A line that does not end with CRLF.
    LineEnd,
    /// A control character outside a quoted pair.
    Control,
    /// No Via, From, To, Call-ID or CSeq.
    Missing(&'static str),
    /// A header that must be single comes twice.
    Repeated(&'static str),
    /// A header whose syntax is wrong.
    Header(&'static str),
    /// The CSeq number is not below 2^32.
    CSeqRange,
    /// The CSeq method is not the request's.
    CSeqMethod,
    /// As `CSeqMethod`, and the request's method is unknown as well.
    CSeqMethodUnknown,
    /// Content-Length is no number, or two of them differ.
    ContentLength,
    /// Content-Length is more than what came.
    Truncated,
    /// A stream message without Content-Length.
    NoContentLength,
    /// The body is longer than the framer allows.
    BodySize,
}

impl Reason {
    /// The status to answer with.
    pub fn status(self) -> StatusCode {
        match self {
            Reason::Version => StatusCode::VERSION_NOT_SUPPORTED,
            Reason::BodySize => StatusCode::REQUEST_ENTITY_TOO_LARGE,
            Reason::HeadSize => StatusCode::MESSAGE_TOO_LARGE,
            Reason::CSeqMethodUnknown => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// One short phrase, fit for a log line or a reason phrase.
    pub fn text(self) -> &'static str {
        match self {
            Reason::Empty => "Empty message",
            Reason::StartLine => "Malformed start line",
            Reason::RequestUri => "Malformed Request-URI",
            Reason::Version => "Version Not Supported",
            Reason::Status => "Malformed status code",
            Reason::HeadEnd => "Incomplete header section",
            Reason::HeadSize => "Message Too Large",
            Reason::HeaderLine => "Malformed header line",
            Reason::LineEnd => "Line not ended by CRLF",
            Reason::Control => "Control character in header section",
            Reason::Missing(name) => match name {
                "Via" => "Missing Via",
                "From" => "Missing From",
                "To" => "Missing To",
                "Call-ID" => "Missing Call-ID",
                "CSeq" => "Missing CSeq",
                _ => "Missing header",
            },
            Reason::Repeated(_) => "Repeated single-value header",
            Reason::Header(name) => match name {
                "Via" => "Malformed Via",
                "From" => "Malformed From",
                "To" => "Malformed To",
                "Call-ID" => "Malformed Call-ID",
                "CSeq" => "Malformed CSeq",
                "Contact" => "Malformed Contact",
                "Max-Forwards" => "Malformed Max-Forwards",
                _ => "Malformed header",
            },
            Reason::CSeqRange => "CSeq out of range",
            Reason::CSeqMethod => "CSeq method mismatch",
            Reason::CSeqMethodUnknown => "Not Implemented",
            Reason::ContentLength => "Malformed Content-Length",
            Reason::Truncated => "Content-Length exceeds message",
            Reason::NoContentLength => "Missing Content-Length",
            Reason::BodySize => "Request Entity Too Large",
        }
    }
}

/// A message that was refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", self.reason())]
pub struct ParseError {
    kind: Reason,
    reply_to: Option<Box<Message>>,
}

impl ParseError {
    pub(crate) fn new(kind: Reason, reply_to: Option<Box<Message>>) -> Self {
        ParseError { kind, reply_to }
    }

    /// What is wrong.
    pub fn kind(&self) -> Reason {
        self.kind
    }

    /// The request, read leniently, for [`crate::ResponseWriter::reply_to`]; `None` where no answer is due (a
    /// response, an ACK, no Via, no readable method).
    pub fn reply_to(&self) -> Option<&Message> {
        self.reply_to.as_deref()
    }

    /// The status to answer with: 400, 413, 501, 505 or 513.
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// One short phrase, fit for a log line or a reason phrase.
    pub fn reason(&self) -> &'static str {
        self.kind.text()
    }
}

/// Why a text is no URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// No `scheme:` at the front.
    #[error("no URI scheme")]
    Scheme,
    /// An empty or impossible user part.
    #[error("malformed user part")]
    User,
    /// An empty or impossible host.
    #[error("malformed host")]
    Host,
    /// A port that is no number up to 65,535.
    #[error("malformed port")]
    Port,
    /// White space, a control character, a bracket or a quote inside the URI.
    #[error("character not allowed in a URI")]
    Character,
    /// A URI parameter without a name.
    #[error("malformed URI parameter")]
    Param,
}

/// A header value that does not follow its grammar; the text names the header or the part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub struct HeaderError(pub &'static str);

impl From<UriError> for HeaderError {
    fn from(_: UriError) -> Self {
        HeaderError("URI")
    }
}
