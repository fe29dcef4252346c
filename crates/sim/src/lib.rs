//! A virtual world for lampyris: scenarios in raw SIP, and a simulator of networks, stores, phones and their faults.
//!
//! Everything here runs on virtual time and from one seed, so that a failure repeats exactly. None of it ships.

mod authorize;
mod calls;
pub mod check;
pub mod faults;
pub mod host;
pub mod network;
mod pacing;
pub mod phone;
mod promises;
pub mod scenario;
pub mod store;
pub mod topology;
pub mod world;

pub use calls::agent::Tally;
