//! Subscription-State (RFC 6665 §8.2.3, reasons §4.1.3).

use crate::chars::{digits_saturating, is_token};
use crate::error::HeaderError;
use crate::params::{Params, split_value};

/// The state a NOTIFY reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionState<'a> {
    /// `active`, `pending`, `terminated` or an extension.
    pub state: &'a str,
    /// All parameters.
    pub params: Params<'a>,
}

impl<'a> SubscriptionState<'a> {
    /// Reads a value.
    ///
    /// # Errors
    /// 400.
    pub fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let (state, params) = split_value(value);
        if !is_token(state.as_bytes()) || !params.is_well_formed() {
            return Err(HeaderError("Subscription-State"));
        }
        Ok(SubscriptionState { state, params })
    }

    /// True for `terminated`.
    pub fn is_terminated(&self) -> bool {
        self.state.eq_ignore_ascii_case("terminated")
    }

    /// Why it was terminated.
    pub fn reason(&self) -> Option<&'a str> {
        self.params.get("reason")
    }

    /// Seconds left.
    pub fn expires(&self) -> Option<u32> {
        self.params.get("expires").and_then(digits_saturating)
    }

    /// Seconds to wait before subscribing again.
    pub fn retry_after(&self) -> Option<u32> {
        self.params.get("retry-after").and_then(digits_saturating)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let state = SubscriptionState::parse("terminated;reason=timeout;retry-after=5").expect("state");
        assert!(state.is_terminated());
        assert_eq!((state.reason(), state.retry_after(), state.expires()), (Some("timeout"), Some(5), None));
        assert!(SubscriptionState::parse(";x").is_err());
    }
}
