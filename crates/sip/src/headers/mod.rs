//! Typed headers, one per file: each reads one value borrowed from the message, on demand.
//!
//! In: the text of a value. Out: fields. None of them decides what a value means for the server.

pub mod accept;
pub mod auth;
pub mod contact;
pub mod content_disposition;
pub mod content_type;
pub mod cseq;
pub mod event;
pub mod expires;
pub mod identity;
pub mod option_tags;
pub mod retry_after;
pub mod route;
pub mod sip_etag;
pub mod subscription_state;
pub mod via;
pub mod warning;

pub use accept::{Accept, MediaRange};
pub use auth::{Challenge, Credentials};
pub use contact::Contact;
pub use content_disposition::ContentDisposition;
pub use content_type::ContentType;
pub use cseq::CSeq;
pub use event::Event;
pub use retry_after::RetryAfter;
pub use route::Route;
pub use subscription_state::SubscriptionState;
pub use via::Via;
pub use warning::Warning;
