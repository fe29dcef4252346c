//! Every SIP error response we send, as a closed enum: status, reason phrase and the headers its RFC asks for.
//!
//! A refused request is `Err(Reject)`, and the `Reject` *is* the response. Challenges (401) are not here but in `authn`:
//! they are part of a handshake and stateless.

use crate::hits::{Answer, Limit};
use crate::limits;
use std::borrow::Cow;
use std::fmt::Write as _;

/// What `Warning: 399` names as its author (a pseudonym, RFC 3261 §20.43).
const WARN_AGENT: &str = "lampyris";

/// A list for a header: fixed, or made for this response.
pub(crate) type List = Cow<'static, str>;

/// An error response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reject {
    /// 302 with Contact: to be called there instead (RFC 3261 §21.3.3).
    MovedTemporarily {
        /// Where.
        contact: String,
    },
    /// 400: malformed in this way (RFC 3261 §21.4.1).
    BadRequest(List),
    /// 403: understood and refused; asking again will not help (RFC 3261 §21.4.4).
    Forbidden,
    /// 403: what would have to be told is too large for the way to the watcher, with the bound (RFC 4662 §5.2, RFC 3261
    /// §18.1.1).
    TooLargeToTell {
        /// Bytes it would have.
        bytes: usize,
        /// Bytes it may have over UDP.
        bound: usize,
    },
    /// 404: no such user or resource here (RFC 3261 §21.4.5).
    NotFound,
    /// 405 with Allow: not for this address (RFC 3261 §8.2.1, §21.4.6).
    MethodNotAllowed {
        /// What is.
        allow: List,
    },
    /// 406 with Accept: none of our body formats is accepted (RFC 3261 §21.4.7, RFC 6665 §4.2.1.1).
    NotAcceptable {
        /// What we could send.
        accept: List,
    },
    /// 412: the entity-tag is not, or no longer, known (RFC 3903 §6, §11.2.1).
    ConditionalRequestFailed,
    /// 415 with Accept: a body of a type the package does not know (RFC 3261 §8.2.3, RFC 3903 §6).
    UnsupportedMediaType {
        /// What it knows.
        accept: List,
    },
    /// 415 with Accept-Encoding: a compressed body (RFC 3261 §8.2.3).
    UnsupportedEncoding,
    /// 416: a scheme we do not route (RFC 3261 §8.2.2.1).
    UnsupportedUriScheme,
    /// 420 with Unsupported: Require names what we do not have (RFC 3261 §8.2.2.3).
    BadExtension {
        /// Those option-tags; see [`option_tags`].
        unsupported: List,
    },
    /// 421 with Require: the request needs an extension its sender did not offer (RFC 3261 §21.4.16).
    ExtensionRequired {
        /// Which.
        require: &'static str,
    },
    /// 423 with Min-Expires: asked for too short a time (RFC 3261 §10.3, RFC 3903 §6, RFC 6665 §4.2.1.1).
    IntervalTooBrief {
        /// The least we grant, in seconds.
        min_expires_s: u32,
    },
    /// 439: a phone wants its flow kept, and the proxy before us does not keep any (RFC 5626 §11.6).
    FirstHopLacksOutbound,
    /// 480: the user exists and cannot be reached now (RFC 3261 §21.4.18).
    TemporarilyUnavailable,
    /// 440: more forks asked for than the request may have (RFC 5393 §5.3.3).
    MaxBreadthExceeded,
    /// 481: no such dialog, subscription or transaction (RFC 3261 §12.2.2, §9.2, RFC 6665 §4.1.2.2).
    NoSuchDialog,
    /// 482: came in twice by different paths, or went in a circle (RFC 3261 §8.2.2.2, §16.3).
    LoopDetected,
    /// 483: Max-Forwards is used up (RFC 3261 §16.3).
    TooManyHops,
    /// 486: has as many calls as it takes (RFC 3261 §21.4.24).
    BusyHere,
    /// 488: a filter that is malformed or says what we cannot do (RFC 4660 §5.4).
    NotAcceptableHere(List),
    /// 489 with Allow-Events: a package we do not have (RFC 6665 §4.2.1.1, RFC 3903 §6).
    BadEvent {
        /// What we have.
        allow_events: List,
    },
    /// 500: a CSeq lower than one already seen in this dialog or for this AOR (RFC 3261 §12.2.2, §10.3).
    OutOfOrder,
    /// 500: our own fault (RFC 3261 §21.5.1).
    Internal,
    /// 501: a method we do not know at all (RFC 3261 §21.5.2).
    NotImplemented {
        /// What we know.
        allow: List,
    },
    /// 503 with Retry-After: too busy, or the store failed (RFC 3261 §21.5.4).
    ServiceUnavailable {
        /// Seconds to wait.
        retry_after_s: u32,
    },
    /// 505: not SIP/2.0 (RFC 3261 §21.5.6).
    VersionNotSupported,
    /// Over a limit: what [`Limit::answer`] says, 400 with why, 503 with Retry-After.
    Over {
        /// Which.
        limit: Limit,
        /// What is over it, for a 400.
        why: List,
    },
}

impl From<Limit> for Reject {
    fn from(limit: Limit) -> Self {
        Self::Over { limit, why: limit.why().into() }
    }
}

impl Reject {
    /// Its status code.
    pub(crate) const fn status(&self) -> u16 {
        self.line().0
    }

    /// Its reason phrase, the RFC's own.
    pub(crate) const fn reason(&self) -> &'static str {
        self.line().1
    }

    const fn line(&self) -> (u16, &'static str) {
        match self {
            Self::MovedTemporarily { .. } => (302, "Moved Temporarily"),
            Self::BadRequest(_) => (400, "Bad Request"),
            Self::Forbidden | Self::TooLargeToTell { .. } => (403, "Forbidden"),
            Self::NotFound => (404, "Not Found"),
            Self::MethodNotAllowed { .. } => (405, "Method Not Allowed"),
            Self::NotAcceptable { .. } => (406, "Not Acceptable"),
            Self::ConditionalRequestFailed => (412, "Conditional Request Failed"),
            Self::UnsupportedMediaType { .. } | Self::UnsupportedEncoding => (415, "Unsupported Media Type"),
            Self::UnsupportedUriScheme => (416, "Unsupported URI Scheme"),
            Self::BadExtension { .. } => (420, "Bad Extension"),
            Self::ExtensionRequired { .. } => (421, "Extension Required"),
            Self::IntervalTooBrief { .. } => (423, "Interval Too Brief"),
            Self::FirstHopLacksOutbound => (439, "First Hop Lacks Outbound Support"),
            Self::TemporarilyUnavailable => (480, "Temporarily Unavailable"),
            Self::NoSuchDialog => (481, "Call/Transaction Does Not Exist"),
            Self::LoopDetected => (482, "Loop Detected"),
            Self::TooManyHops => (483, "Too Many Hops"),
            Self::BusyHere => (486, "Busy Here"),
            Self::MaxBreadthExceeded => (440, "Max-Breadth Exceeded"),
            Self::NotAcceptableHere(_) => (488, "Not Acceptable Here"),
            Self::BadEvent { .. } => (489, "Bad Event"),
            Self::OutOfOrder | Self::Internal => (500, "Server Internal Error"),
            Self::NotImplemented { .. } => (501, "Not Implemented"),
            Self::ServiceUnavailable { .. } => (503, "Service Unavailable"),
            Self::VersionNotSupported => (505, "Version Not Supported"),
            Self::Over { limit, .. } => match limit.answer() {
                Answer::Status(400) => (400, "Bad Request"),
                Answer::Status(403) => (403, "Forbidden"),
                Answer::Status(412) => (412, "Conditional Request Failed"),
                Answer::Status(413) => (413, "Request Entity Too Large"),
                Answer::Status(414) => (414, "Request-URI Too Long"),
                Answer::Status(513) => (513, "Message Too Large"),
                Answer::Status(_) | Answer::Http(_) | Answer::None => (503, "Service Unavailable"),
            },
        }
    }

    /// Gives its own headers, name and value, to `write`, in the order they are to stand. `spread` differs from request to
    /// request, so that who was refused together does not come back together.
    pub(crate) fn headers(&self, spread: u32, write: &mut dyn FnMut(&'static str, &str)) {
        let mut text = String::new();
        match self {
            Self::MovedTemporarily { contact } => {
                let _ = write!(text, "<{contact}>");
                write("Contact", &text);
            }
            Self::BadRequest(why) | Self::NotAcceptableHere(why) => warn(why, write),
            Self::OutOfOrder => warn("CSeq out of order", write),
            Self::TooLargeToTell { bytes, bound } => {
                let why = format!(
                    "the names of the list have {bytes} bytes, over UDP {bound} are sent; subscribe over TCP or TLS"
                );
                warn(&why, write);
            }
            Self::MethodNotAllowed { allow } | Self::NotImplemented { allow } => write("Allow", allow),
            Self::NotAcceptable { accept } | Self::UnsupportedMediaType { accept } => write("Accept", accept),
            Self::UnsupportedEncoding => write("Accept-Encoding", "identity"),
            Self::BadExtension { unsupported } => write("Unsupported", unsupported),
            Self::ExtensionRequired { require } => write("Require", require),
            Self::IntervalTooBrief { min_expires_s: seconds } => {
                let _ = write!(text, "{seconds}");
                write("Min-Expires", &text);
            }
            Self::BadEvent { allow_events } => write("Allow-Events", allow_events),
            Self::ServiceUnavailable { retry_after_s: seconds } => {
                let _ = write!(text, "{seconds}");
                write("Retry-After", &text);
            }
            Self::Over { limit, why } => match limit.answer() {
                Answer::Status(400) => warn(why, write),
                Answer::Status(503) => {
                    let seconds = limits::RETRY_AFTER_S + spread % (limits::RETRY_AFTER_SPREAD_S + 1);
                    let _ = write!(text, "{seconds}");
                    write("Retry-After", &text);
                }
                Answer::Status(_) | Answer::Http(_) | Answer::None => {}
            },
            Self::Forbidden
            | Self::NotFound
            | Self::ConditionalRequestFailed
            | Self::UnsupportedUriScheme
            | Self::TemporarilyUnavailable
            | Self::NoSuchDialog
            | Self::LoopDetected
            | Self::TooManyHops
            | Self::BusyHere
            | Self::MaxBreadthExceeded
            | Self::Internal
            | Self::VersionNotSupported
            | Self::FirstHopLacksOutbound => {}
        }
    }
}

/// `Warning: 399 lampyris "why"`; `why` is ours and has no quotes in it.
fn warn(why: &str, write: &mut dyn FnMut(&'static str, &str)) {
    write("Warning", &format!("399 {WARN_AGENT} \"{why}\""));
}

/// Option-tags of a peer, fit to be sent back in Unsupported: only tokens, and not without end.
pub(crate) fn option_tags<'a>(tags: impl IntoIterator<Item = &'a str>) -> List {
    let mut list = String::new();
    for tag in tags {
        let is_token =
            !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b));
        if is_token && list.len() + tag.len() + 2 <= limits::ECHO_BYTES_MAX {
            if !list.is_empty() {
                list.push_str(", ");
            }
            list.push_str(tag);
        }
    }
    List::Owned(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &'static str) -> List {
        List::Borrowed(text)
    }

    #[test]
    fn each_has_its_status_and_the_headers_its_rfc_asks_for() {
        type Row = (Reject, u16, &'static [(&'static str, &'static str)]);
        let rows: Vec<Row> = vec![
            (Reject::BadRequest("no Contact".into()), 400, &[("Warning", "399 lampyris \"no Contact\"")]),
            (Reject::MovedTemporarily { contact: "sip:a@b".into() }, 302, &[("Contact", "<sip:a@b>")]),
            (Reject::Forbidden, 403, &[]),
            (
                Reject::TooLargeToTell { bytes: 2000, bound: 1300 },
                403,
                &[(
                    "Warning",
                    "399 lampyris \"the names of the list have 2000 bytes, over UDP 1300 are sent; subscribe over TCP or TLS\"",
                )],
            ),
            (Reject::NotFound, 404, &[]),
            (Reject::MethodNotAllowed { allow: list("A, B") }, 405, &[("Allow", "A, B")]),
            (Reject::NotAcceptable { accept: list("a/b") }, 406, &[("Accept", "a/b")]),
            (Reject::ConditionalRequestFailed, 412, &[]),
            (Limit::Body.into(), 413, &[]),
            (Limit::Uri.into(), 414, &[]),
            (Limit::Accept.into(), 400, &[("Warning", "399 lampyris \"too many media ranges in Accept\"")]),
            (Limit::BindingsPerAor.into(), 403, &[]),
            (Limit::EntityTag.into(), 412, &[]),
            (Limit::Subscriptions.into(), 503, &[("Retry-After", "8")]),
            (Reject::UnsupportedMediaType { accept: list("a/b") }, 415, &[("Accept", "a/b")]),
            (Reject::UnsupportedEncoding, 415, &[("Accept-Encoding", "identity")]),
            (Reject::UnsupportedUriScheme, 416, &[]),
            (Reject::BadExtension { unsupported: list("100rel") }, 420, &[("Unsupported", "100rel")]),
            (Reject::ExtensionRequired { require: "eventlist" }, 421, &[("Require", "eventlist")]),
            (Reject::IntervalTooBrief { min_expires_s: 60 }, 423, &[("Min-Expires", "60")]),
            (Reject::FirstHopLacksOutbound, 439, &[]),
            (Reject::TemporarilyUnavailable, 480, &[]),
            (Reject::NoSuchDialog, 481, &[]),
            (Reject::LoopDetected, 482, &[]),
            (Reject::TooManyHops, 483, &[]),
            (Reject::BusyHere, 486, &[]),
            (Reject::MaxBreadthExceeded, 440, &[]),
            (Reject::NotAcceptableHere(list("no")), 488, &[("Warning", "399 lampyris \"no\"")]),
            (Reject::BadEvent { allow_events: list("presence") }, 489, &[("Allow-Events", "presence")]),
            (Reject::OutOfOrder, 500, &[("Warning", "399 lampyris \"CSeq out of order\"")]),
            (Reject::Internal, 500, &[]),
            (Reject::NotImplemented { allow: list("A") }, 501, &[("Allow", "A")]),
            (Reject::ServiceUnavailable { retry_after_s: 5 }, 503, &[("Retry-After", "5")]),
            (Reject::VersionNotSupported, 505, &[]),
            (Limit::Message.into(), 513, &[]),
        ];
        for (reject, status, headers) in rows {
            let mut got = Vec::new();
            // A spread of 14 is 3 of 11.
            reject.headers(14, &mut |name, value| got.push((name, value.to_owned())));
            let want: Vec<_> = headers.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
            assert_eq!((reject.status(), got), (status, want), "{reject:?}");
            assert!(!reject.reason().is_empty() && reject.reason().is_ascii());
        }
    }

    #[test]
    fn every_answer_of_a_limit_is_one_we_can_write() {
        for limit in Limit::ALL {
            let status = Reject::from(*limit).status();
            let is_so = match limit.answer() {
                Answer::Status(answer) => answer == status,
                // Not a SIP request that is refused.
                Answer::Http(_) | Answer::None => true,
            };
            assert!(is_so, "{}: {status}", limit.name());
        }
    }

    #[test]
    fn only_tokens_are_echoed_and_not_without_end() {
        assert_eq!(option_tags(["100rel", "a b", "", "x\r\ny", "foo.bar"]), "100rel, foo.bar");
        assert!(option_tags(std::iter::repeat_n("abcdefgh", 10_000)).len() <= limits::ECHO_BYTES_MAX);
    }
}
