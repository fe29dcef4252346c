//! Stub: replaced by the branch `bodies`.

/// A device name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceName(String);
