//! A small SIP user agent over real sockets: the demo's phones, and whoever else has to speak SIP to a server.
//!
//! It registers, publishes, subscribes, answers NOTIFY and OPTIONS, and answers digest challenges of the server it was
//! given (never of another realm's). It has no media and makes no calls.

mod account;
mod phone;
mod wire;

pub use account::Account;
pub use phone::{Notified, Phone, Published, UaError};
