//! P-Asserted-Identity, P-Preferred-Identity and Privacy (RFC 3325 §9, RFC 3323 §4.2).
//!
//! Who is trusted to assert is not decided here.

use crate::message::Message;
use crate::name::Name;
use crate::name_addr::NameAddr;

impl Message {
    /// The identities a trusted proxy asserts, at most one `sip:`/`sips:` and one `tel:`; unreadable ones are skipped.
    pub fn asserted_identities(&self) -> impl Iterator<Item = NameAddr<'_>> {
        self.values(Name::PAssertedIdentity).filter_map(|value| NameAddr::parse(value).ok())
    }

    /// True if Privacy asks for `id` (or `user`, `header`): the asserted identity must not be shown.
    pub fn wants_privacy(&self) -> bool {
        self.headers(Name::Privacy)
            .flat_map(|value| value.split([';', ',']))
            .any(|token| ["id", "user", "header"].iter().any(|p| p.eq_ignore_ascii_case(token.trim())))
    }
}
