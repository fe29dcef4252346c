//! The header names we know, with their compact forms (RFC 3261 §7.3.3 and the registry that extends it).
//!
//! In: the name bytes of a header line. Out: a [`Name`], found once at parse by a compile-time hash table. Unknown
//! names are reached by text ([`crate::Message::header_by_name`]).

use std::fmt;

use crate::block::{Block, WIDTH};

macro_rules! names {
    ($($variant:ident $text:literal $compact:literal,)*) => {
        /// A known header name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Name {
            $(#[doc = concat!("`", $text, "`.")] $variant,)*
        }

        const ALL: &[(Name, &str, u8)] = &[$((Name::$variant, $text, $compact),)*];

        impl Name {
            /// The canonical spelling.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Name::$variant => $text,)*
                }
            }

            /// The one-letter compact form, if there is one.
            pub fn compact(self) -> Option<char> {
                let compact = match self {
                    $(Name::$variant => $compact,)*
                };
                (compact != 0).then_some(char::from(compact))
            }
        }
    };
}

names! {
    Via "Via" b'v',
    From "From" b'f',
    To "To" b't',
    CallId "Call-ID" b'i',
    CSeq "CSeq" 0,
    Contact "Contact" b'm',
    MaxForwards "Max-Forwards" 0,
    Route "Route" 0,
    RecordRoute "Record-Route" 0,
    Path "Path" 0,
    ServiceRoute "Service-Route" 0,
    Event "Event" b'o',
    AllowEvents "Allow-Events" b'u',
    SubscriptionState "Subscription-State" 0,
    Expires "Expires" 0,
    MinExpires "Min-Expires" 0,
    Accept "Accept" 0,
    AcceptEncoding "Accept-Encoding" 0,
    AcceptLanguage "Accept-Language" 0,
    AcceptContact "Accept-Contact" b'a',
    RejectContact "Reject-Contact" b'j',
    RequestDisposition "Request-Disposition" b'd',
    Allow "Allow" 0,
    Supported "Supported" b'k',
    Require "Require" 0,
    ProxyRequire "Proxy-Require" 0,
    Unsupported "Unsupported" 0,
    SipETag "SIP-ETag" 0,
    SipIfMatch "SIP-If-Match" 0,
    SuppressIfMatch "Suppress-If-Match" 0,
    Authorization "Authorization" 0,
    WwwAuthenticate "WWW-Authenticate" 0,
    ProxyAuthorization "Proxy-Authorization" 0,
    ProxyAuthenticate "Proxy-Authenticate" 0,
    AuthenticationInfo "Authentication-Info" 0,
    ContentType "Content-Type" b'c',
    ContentLength "Content-Length" b'l',
    ContentEncoding "Content-Encoding" b'e',
    ContentDisposition "Content-Disposition" 0,
    ContentLanguage "Content-Language" 0,
    ContentId "Content-ID" 0,
    ContentTransferEncoding "Content-Transfer-Encoding" 0,
    RetryAfter "Retry-After" 0,
    Warning "Warning" 0,
    UserAgent "User-Agent" 0,
    Server "Server" 0,
    Reason "Reason" 0,
    PAssertedIdentity "P-Asserted-Identity" 0,
    PPreferredIdentity "P-Preferred-Identity" 0,
    PAssociatedUri "P-Associated-URI" 0,
    Privacy "Privacy" 0,
    Identity "Identity" b'y',
    Date "Date" 0,
    Timestamp "Timestamp" 0,
    CallInfo "Call-Info" 0,
    AlertInfo "Alert-Info" 0,
    ErrorInfo "Error-Info" 0,
    AnswerMode "Answer-Mode" 0,
    Replaces "Replaces" 0,
    ReferTo "Refer-To" b'r',
    ReferredBy "Referred-By" b'b',
    ReferSub "Refer-Sub" 0,
    SessionExpires "Session-Expires" b'x',
    MinSE "Min-SE" 0,
    MimeVersion "MIME-Version" 0,
    FlowTimer "Flow-Timer" 0,
    Join "Join" 0,
    Subject "Subject" b's',
    Organization "Organization" 0,
    Priority "Priority" 0,
    InReplyTo "In-Reply-To" 0,
    ReplyTo "Reply-To" 0,
    RSeq "RSeq" 0,
    RAck "RAck" 0,
    HistoryInfo "History-Info" 0,
    Diversion "Diversion" 0,
    TargetDialog "Target-Dialog" 0,
    MaxBreadth "Max-Breadth" 0,
}

const SLOTS: usize = 256;
const EMPTY: u8 = u8::MAX;

/// Why these factors: with them only Refer-To and Reply-To, which no such sum tells apart, share a slot.
const fn slot(len: usize, first: u8, last: u8) -> usize {
    // The letters are folded to lower case; other token characters merely move.
    (len.wrapping_mul(63) + (first | 0x20) as usize * 36 + (last | 0x20) as usize * 47) % SLOTS
}

const _: () = assert!(ALL.len() < EMPTY as usize);

#[allow(clippy::cast_possible_truncation)] // there are fewer names than EMPTY
const TABLE: [u8; SLOTS] = {
    let mut table = [EMPTY; SLOTS];
    let mut i = 0;
    while i < ALL.len() {
        let text = ALL[i].1.as_bytes();
        let mut at = slot(text.len(), text[0], text[text.len() - 1]);
        while table[at] != EMPTY {
            at = (at + 1) % SLOTS;
        }
        table[at] = i as u8;
        i += 1;
    }
    table
};

/// The slot of a line that starts with these four bytes and has its colon at `colon`. Why this factor: it was searched
/// for until only Replaces and Reply-To, which begin alike and are of one length, shared a slot.
const fn start_slot(first: [u8; 4], colon: usize) -> usize {
    #[allow(clippy::cast_possible_truncation)] // a colon within a block
    let word = u32::from_le_bytes(first).wrapping_add(colon as u32);
    (word.wrapping_mul(0xf9ef_954f) >> 24) as usize
}

/// What a header line starts with that has the name of this slot: the name, colon and space, filled up with zeros; only
/// zeros where there is no such name or it does not fit.
const STARTS: ([[u8; WIDTH]; SLOTS], [Name; SLOTS]) = {
    let (mut starts, mut names) = ([[0; WIDTH]; SLOTS], [ALL[0].0; SLOTS]);
    let mut i = 0;
    while i < ALL.len() {
        let (name, text, _) = ALL[i];
        let text = text.as_bytes();
        if text.len() + 2 <= WIDTH {
            let mut start = [0; WIDTH];
            let mut at = 0;
            while at < text.len() {
                start[at] = text[at];
                at += 1;
            }
            start[at] = b':';
            start[at + 1] = b' ';
            let slot = start_slot([start[0], start[1], start[2], start[3]], text.len());
            if starts[slot][0] == 0 {
                starts[slot] = start;
                names[slot] = name;
            }
        }
        i += 1;
    }
    (starts, names)
};

#[allow(clippy::cast_possible_truncation)] // there are fewer names than EMPTY
const COMPACT: [u8; 128] = {
    let mut table = [EMPTY; 128];
    let mut i = 0;
    while i < ALL.len() {
        if ALL[i].2 != 0 {
            table[ALL[i].2 as usize] = i as u8;
            table[ALL[i].2.to_ascii_uppercase() as usize] = i as u8;
        }
        i += 1;
    }
    table
};

impl Name {
    /// The known name these bytes spell, in full or compact form, in any case.
    #[inline]
    pub fn find(name: &[u8]) -> Option<Name> {
        let (first, last) = (*name.first()?, *name.last()?);
        if name.len() == 1 {
            let index = *COMPACT.get(usize::from(first))?;
            return ALL.get(usize::from(index)).map(|row| row.0);
        }
        let mut at = slot(name.len(), first, last);
        loop {
            // EMPTY is no index of ALL, which ends the probe.
            let (found, text, _) = ALL.get(usize::from(*TABLE.get(at)?))?;
            if text.len() == name.len()
                && (text.as_bytes() == name || text.as_bytes().eq_ignore_ascii_case(name))
            {
                return Some(*found);
            }
            at = (at + 1) % SLOTS;
        }
    }

    /// The known name that a header line starts with, and what is the length of it with its colon and space; `None`
    /// unless it is spelled as in its RFC, followed by them, short enough and the first of its slot. Most are: then one
    /// comparison does. What is found is what [`Name::find`] finds.
    #[inline(always)]
    pub(crate) fn at_front(line: &[u8; WIDTH]) -> Option<(Name, usize)> {
        let bytes = Block::new(*line);
        let colon = bytes.is(b':').mask().trailing_zeros() as usize;
        let slot = start_slot(*line.first_chunk()?, colon);
        // Bits that are shifted out are those of a name that is too long, and then its start is no other name's.
        let same = u64::from(bytes.same(Block::new(STARTS.0[slot])).mask()) | u64::MAX << 2 << colon;
        (same == u64::MAX).then_some((STARTS.1[slot], colon + 2))
    }

    /// How many names are known.
    pub(crate) const COUNT: usize = ALL.len();

    /// Every known name.
    pub fn all() -> impl Iterator<Item = Name> {
        ALL.iter().map(|row| row.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_every_spelling() {
        for name in Name::all() {
            let text = name.as_str();
            assert_eq!(Name::find(text.as_bytes()), Some(name));
            let line = format!("{text}: a value that fills the block");
            let found = line.as_bytes().first_chunk().and_then(Name::at_front);
            assert!(found.is_none_or(|found| found == (name, text.len() + 2)), "{line}");
            // Why: Replaces and Reply-To share a slot.
            assert_eq!(found.is_some(), text.len() + 2 <= WIDTH && text != "Reply-To", "{line}");
            for line in [
                &line[1..],
                &line[..text.len()],
                &format!("{text} : a longer value"),
                &format!("{text}s: value"),
            ] {
                assert_eq!(line.as_bytes().first_chunk().and_then(Name::at_front), None, "{line}");
            }
            assert_eq!(Name::find(text.to_ascii_lowercase().as_bytes()), Some(name));
            assert_eq!(Name::find(text.to_ascii_uppercase().as_bytes()), Some(name));
            if let Some(compact) = name.compact() {
                assert_eq!(Name::find(&[compact as u8]), Some(name));
                assert_eq!(Name::find(&[compact.to_ascii_uppercase() as u8]), Some(name));
            }
        }
    }

    #[test]
    fn unknown_names_are_none() {
        for text in ["", "z", "Vía", "Contacts", "C%6Fntact", "\u{ff}", "X-Foo"] {
            assert_eq!(Name::find(text.as_bytes()), None, "{text}");
        }
    }
}
