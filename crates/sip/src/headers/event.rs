//! Event (RFC 6665 §8.2.1).

use crate::chars::is_token;
use crate::error::HeaderError;
use crate::params::{Params, split_value};

/// The event package of a subscription or publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Package with its templates, such as `presence.winfo`. Compared case-sensitively.
    pub package: &'a str,
    /// All parameters.
    pub params: Params<'a>,
}

impl<'a> Event<'a> {
    /// Reads a value.
    ///
    /// # Errors
    /// 400 (489 is for a package that nobody knows).
    pub fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let (package, params) = split_value(value);
        if !is_token(package.as_bytes()) || !params.is_well_formed() {
            return Err(HeaderError("Event"));
        }
        Ok(Event { package, params })
    }

    /// The `id`, which tells several subscriptions of one dialog apart.
    pub fn id(&self) -> Option<&'a str> {
        self.params.get("id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let event = Event::parse("presence.winfo ; id=7").expect("event");
        assert_eq!((event.package, event.id()), ("presence.winfo", Some("7")));
        for value in ["", ";id=1", "a b", "presence;"] {
            assert!(Event::parse(value).is_err(), "{value}");
        }
    }
}
