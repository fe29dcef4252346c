//! Stub: replaced by the branch `sip`.

pub mod digest;

/// A message.
#[derive(Clone, Debug)]
pub struct Message;

/// Why it is none.
#[derive(Clone, Debug)]
pub struct ParseError;
