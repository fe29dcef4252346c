//! Stub: replaced by the branch `sip`.

/// Digest algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5.
    Md5,
}

/// H(A1) with its algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ha1;
