//! Contact (RFC 3261 §20.10, `reg-id` and `+sip.instance` RFC 5626).

use crate::chars::digits_saturating;
use crate::error::HeaderError;
use crate::message::is_star;
use crate::name_addr::NameAddr;
use crate::params::Params;

/// One Contact value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact<'a> {
    /// `*`: all bindings.
    Star,
    /// An address.
    Addr(ContactAddr<'a>),
}

/// The address of a Contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContactAddr<'a> {
    addr: NameAddr<'a>,
}

impl<'a> Contact<'a> {
    /// Reads one value.
    ///
    /// # Errors
    /// 400.
    pub fn parse(value: &'a str) -> Result<Self, HeaderError> {
        if is_star(value) {
            return Ok(Contact::Star);
        }
        NameAddr::parse(value)
            .map(|addr| Contact::Addr(ContactAddr { addr }))
            .map_err(|_| HeaderError("Contact"))
    }

    /// As [`Contact::parse`] for a value whose URI was checked before.
    pub(crate) fn split(value: &'a str) -> Result<Self, HeaderError> {
        if is_star(value) {
            return Ok(Contact::Star);
        }
        NameAddr::split(value).map(|addr| Contact::Addr(ContactAddr { addr }))
    }

    /// The Contact of an address that was read before.
    pub(crate) fn of(addr: NameAddr<'a>) -> Self {
        Contact::Addr(ContactAddr { addr })
    }

    /// The address, unless this is `*`.
    pub fn addr(self) -> Option<ContactAddr<'a>> {
        match self {
            Contact::Star => None,
            Contact::Addr(addr) => Some(addr),
        }
    }
}

impl<'a> ContactAddr<'a> {
    /// Address with display name.
    pub fn name_addr(&self) -> NameAddr<'a> {
        self.addr
    }

    /// The URI's text.
    pub fn uri(&self) -> &'a str {
        self.addr.uri()
    }

    /// All header parameters.
    pub fn params(&self) -> Params<'a> {
        self.addr.params()
    }

    /// Preference in thousandths, 1000 if none or malformed.
    pub fn q(&self) -> u16 {
        self.params().get("q").and_then(parse_q).unwrap_or(1000)
    }

    /// Lifetime in seconds, cut to 2^32-1.
    pub fn expires(&self) -> Option<u32> {
        self.params().get("expires").and_then(digits_saturating)
    }

    /// The instance URN, without the angle brackets.
    pub fn instance(&self) -> Option<&'a str> {
        let value = self.params().get("+sip.instance")?;
        Some(value.strip_prefix('<').and_then(|v| v.strip_suffix('>')).unwrap_or(value))
    }

    /// `reg-id`, from 1.
    pub fn reg_id(&self) -> Option<u32> {
        self.params().get("reg-id").and_then(digits_saturating).filter(|&id| id > 0)
    }
}

/// A q-value (`0`, `0.5`, `1.000`) in thousandths.
pub(crate) fn parse_q(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut q: u16 = match whole {
        "0" | "" => 0,
        "1" => 1000,
        _ => return None,
    };
    let mut weight = 100;
    for digit in fraction.bytes() {
        q += u16::from(digit - b'0') * weight;
        weight /= 10;
    }
    (q <= 1000 && !text.is_empty()).then_some(q)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let value =
            "\"A\" <sip:a@b:5070;transport=tcp>;q=0.7;expires=120;reg-id=1;+sip.instance=\"<urn:uuid:0>\"";
        let contact = Contact::parse(value).expect("contact").addr().expect("addr");
        assert_eq!(contact.uri(), "sip:a@b:5070;transport=tcp");
        assert_eq!((contact.q(), contact.expires(), contact.reg_id()), (700, Some(120), Some(1)));
        assert_eq!(contact.instance(), Some("urn:uuid:0"));
        assert_eq!(Contact::parse(" * "), Ok(Contact::Star));
        assert!(Contact::parse("\"Joe\" <sip:joe@example.org>;;;;").is_err());
    }

    #[test]
    fn q_values() {
        for (text, want) in [
            ("1", Some(1000)),
            ("0.33", Some(330)),
            ("0.001", Some(1)),
            ("1.0", Some(1000)),
            ("1.1", None),
            ("0.1234", None),
            ("2", None),
            ("", None),
            ("0.x", None),
        ] {
            assert_eq!(parse_q(text), want, "{text}");
        }
    }
}
