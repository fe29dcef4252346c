//! `sip:` URIs as nearly all are written, read in one go wherever they stand.
//!
//! In: a field and where the URI starts in it. Out: where its parts are. Not read here, and left to the general way of
//! [`super::Uri`]: other schemes, passwords, headers, IPv6 addresses, a port without a user part, and any fault.

use super::{no_host, no_tail, no_user, port_at};
use crate::field::{Field, Piece};

/// Where the parts of a URI are that starts with `sip:`. What follows the port, or the host, are the parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain {
    /// Empty if there is no user part.
    pub(crate) user: Piece,
    pub(crate) host: Piece,
    pub(crate) port: Option<u16>,
    pub(crate) params: Piece,
}

impl Plain {
    /// The URI that starts at `at`; it goes as far as URIs can. What is found is what [`super::Uri::parse`] finds in
    /// the text that ends there.
    #[inline(always)]
    pub(crate) fn at(field: Field<'_>, at: usize) -> Option<Plain> {
        if !field.has(at, b"sip:") {
            return None;
        }
        let start = at + 4;
        let at = field.find(start, |b| no_user(b) | b.is(b':').mask());
        let (user, start) = match field.byte(at) {
            Some(b'@') if at > start => ((start, at), at + 1),
            Some(b':' | b'@') => return None,
            _ => ((start, start), start),
        };
        let end = field.find(start, no_host);
        let host = (start, end);
        if end == start {
            return None;
        }
        let mut next = field.byte(end);
        let (mut port, mut end) = (None, end);
        if next == Some(b':') {
            let (number, behind) = port_at(field.bytes(), end + 1)?;
            (port, end) = (Some(number), behind);
            next = field.byte(end);
        }
        let start = end;
        if next == Some(b';') {
            end = field.find(start, no_tail);
            next = field.byte(end);
        }
        (next != Some(b'?')).then_some(Plain { user, host, port, params: (start, end) })
    }

    /// Where the URI ends.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.params.1
    }
}
