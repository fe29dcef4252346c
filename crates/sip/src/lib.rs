//! SIP messages: bytes to values and back (RFC 3261), without I/O.
//!
//! In: datagrams and stream chunks. Out: [`Message`] values whose header bytes stay verbatim, typed headers
//! borrowed from them on demand, and writers that produce wire bytes. Not here: transactions, dialogs, sockets,
//! clocks, and the meaning of any method or event package.
#![forbid(unsafe_code)]

pub mod digest;
pub mod error;
pub mod framing;
pub mod headers;
pub mod message;
pub mod method;
pub mod multipart;
pub mod name;
pub mod name_addr;
pub mod params;
pub mod status;
pub mod uri;
pub mod writer;

mod block;
mod chars;
mod field;

pub use error::{HeaderError, ParseError, Reason, UriError};
pub use framing::{Frame, FrameError, Framer};
pub use headers::{
    Accept, CSeq, Challenge, Contact, ContentDisposition, ContentType, Credentials, Event, MediaRange,
    RetryAfter, SubscriptionState, Via, Warning,
};
pub use message::Message;
pub use method::Method;
pub use name::Name;
pub use name_addr::NameAddr;
pub use params::Params;
pub use status::StatusCode;
pub use uri::{Host, Scheme, Uri};
pub use writer::{Forward, RequestWriter, ResponseWriter, ValueWriter};
