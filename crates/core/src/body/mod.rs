//! Stub: replaced by the branch `bodies`.

/// Shape of bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As the RFCs say.
    Rfc,
}
