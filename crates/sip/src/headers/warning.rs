//! Warning (RFC 3261 §20.43): written, never acted upon.

use std::fmt;

use crate::params::escape_quoted;

/// One warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning<'a> {
    /// Three digits, 300 to 399.
    pub code: u16,
    /// Our host or a pseudonym.
    pub agent: &'a str,
    /// For people.
    pub text: &'a str,
}

impl fmt::Display for Warning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {} \"{}\"", self.code.min(999), self.agent, escape_quoted(self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_quoted() {
        let warning = Warning { code: 399, agent: "lampyris", text: "say \"no\"" };
        assert_eq!(warning.to_string(), "399 lampyris \"say \\\"no\\\"\"");
    }
}
