//! Stub: replaced by the branch `config`.

/// Contexts, extensions, hints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dialplan;
