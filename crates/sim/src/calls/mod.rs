//! Calls of simulated phones: what their users do, the SIP they speak for it, and what must be true of their lamps.
//!
//! ```text
//! office    the settings, phones, faults and deeds of a seed with calls
//! agent     the call-making half of a phone: its legs, and what its user does with them
//! requests, answers, incoming    the SIP it speaks (RFC 3261 §12 to §17), with Replaces (RFC 3891) and REFER (RFC 3515)
//! wire      what the server may never send about calls: dialogs that go backwards, versions that skip
//! truth     whether lamps show what the phones are doing
//! ```
//!
//! In: deeds, messages and the time. Out: messages, and violations. It has no media and no network.

pub(crate) mod agent;
mod answers;
mod incoming;
pub(crate) mod office;
mod requests;
pub(crate) mod truth;
pub(crate) mod wire;
