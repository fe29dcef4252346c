//! Lists of tokens: Supported, Require, Unsupported, Allow, Allow-Events, Accept-Encoding and kin (RFC 3261 §20.32,
//! §20.37).

use crate::message::Message;
use crate::name::Name;

impl Message {
    /// The tokens of a list header across its lines, without their parameters.
    pub fn tokens(&self, name: Name) -> impl Iterator<Item = &str> {
        self.values(name).map(|value| value.split(';').next().unwrap_or(value).trim())
    }

    /// True if a list header has this token, in any case.
    pub fn has_token(&self, name: Name, token: &str) -> bool {
        self.tokens(name).any(|found| found.eq_ignore_ascii_case(token))
    }

    /// The option-tags of Require that are not in `known`, for Unsupported in a 420.
    pub fn unsupported<'a>(&'a self, known: &'a [&str]) -> impl Iterator<Item = &'a str> {
        self.tokens(Name::Require).filter(|tag| !known.iter().any(|k| k.eq_ignore_ascii_case(tag)))
    }
}
