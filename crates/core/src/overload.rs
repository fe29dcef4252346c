//! Overload: which requests are refused while there is more to do than can be done (RFC 5390, RFC 3261 §21.5.4).
//!
//! The shell says how long what it hands over has waited, and whether the process is as large as it may be ([`Load`]). A wait
//! that fewer than [`limits::OVERLOAD_BACKLOG`] requests share counts as none: then it was the machine or the disk that kept
//! them, and they are done sooner than refused and sent again. The longer the wait, the more is refused, always in the same order, what is cheapest to lose first:
//!
//! ```text
//! wait from    refused too, with 503 and Retry-After
//!    50 ms     new SUBSCRIBEs, and whatever else begins something small
//!   100 ms     refreshes of subscriptions
//!   200 ms     PUBLISH, REGISTER, new calls
//!   400 ms     requests inside dialogs
//!   never      responses, retransmissions, ACK, CANCEL, BYE, and what ends something (Expires: 0)
//! ```
//!
//! A refusal costs far less than what it refuses, so the wait falls and the next request is taken again: the server stays
//! busy with what it took, and nobody it serves waits much longer than the first threshold. There is no clock here and nothing
//! to recover from: with the wait gone, everything is taken.

use crate::hits::Limit;
use crate::limits;
use crate::node::Node;
use crate::reject::Reject;
use lampyris_sip::headers::expires;
use lampyris_sip::{Message, Method, Name};
use std::time::Duration;

/// How much there is to do, as the shell sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// How long what is handed over next has waited for its turn, or those had waited behind whom it came.
    pub waited: Duration,
    /// The process is larger than it may be ([`crate::quotas::Quotas::memory_mib`]).
    pub memory_full: bool,
}

/// What a request is to somebody who cannot do everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Begins something small.
    Subscribe,
    /// Goes on with it.
    Refresh,
    /// Says something that others wait for.
    Publish,
    /// Belongs to a dialog.
    Dialog,
    /// Ends something.
    End,
}

impl Class {
    fn of(message: &Message) -> Self {
        let is_in_dialog = message.to_tag().is_some();
        let is_zero =
            message.header(Name::Expires).is_some_and(|value| expires::delta_seconds(value) == Ok(0));
        match message.method() {
            Some(Method::Ack | Method::Bye | Method::Cancel) => Self::End,
            // Why: a fetch asks for zero seconds too, and ends nothing.
            Some(Method::Subscribe) if is_in_dialog && is_zero => Self::End,
            Some(Method::Subscribe) if is_in_dialog => Self::Refresh,
            Some(Method::Publish | Method::Register) if is_zero => Self::End,
            _ if is_in_dialog => Self::Dialog,
            Some(Method::Publish | Method::Register | Method::Invite) => Self::Publish,
            _ => Self::Subscribe,
        }
    }

    /// From which wait on it is refused, and what for.
    const fn bound(self) -> Option<(Duration, Limit)> {
        match self {
            Self::Subscribe => Some((limits::OVERLOAD_SUBSCRIBE, Limit::OverloadSubscribe)),
            Self::Refresh => Some((limits::OVERLOAD_REFRESH, Limit::OverloadRefresh)),
            Self::Publish => Some((limits::OVERLOAD_PUBLISH, Limit::OverloadPublish)),
            Self::Dialog => Some((limits::OVERLOAD_DIALOG, Limit::OverloadDialog)),
            Self::End => None,
        }
    }

    /// Whether it may make us larger. A modified publication replaces what it says.
    fn grows(self, message: &Message) -> bool {
        match self {
            Self::Subscribe => true,
            Self::Publish => message.header(Name::SipIfMatch).is_none(),
            Self::Refresh | Self::Dialog | Self::End => false,
        }
    }
}

impl Node {
    /// Whether a new request is refused because there is too much to do, or no memory for more. Nothing has been asked yet
    /// about who sent it.
    pub(crate) fn refused_by_load(&self, message: &Message) -> Result<(), Reject> {
        if self.load == Load::default() {
            return Ok(());
        }
        let class = Class::of(message);
        if let Some((from, limit)) = class.bound()
            && self.load.waited >= from
        {
            return Err(limit.into());
        }
        if self.load.memory_full && class.grows(message) {
            return Err(Limit::Memory.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::time::{Instant, Now, UnixTime};
    use std::sync::Arc;

    fn request(method: &str, tag: &str, more: &str) -> Message {
        let text = format!(
            "{method} sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>{tag}\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.into_bytes().into()).expect("parses")
    }

    fn node() -> Node {
        let now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(0) };
        Node::new(Arc::new(Settings::empty()), Vec::new(), [0; 32], now)
    }

    #[test]
    fn what_is_refused_comes_in_a_fixed_order() {
        let (tag, zero) = (";tag=2", "Expires: 0\r\n");
        // Which waits, in ms, refuse it: new SUBSCRIBE before refresh before PUBLISH before in-dialog.
        let rows = [
            ("SUBSCRIBE", "", "", Some(50)),
            ("SUBSCRIBE", "", zero, Some(50)),
            ("OPTIONS", "", "", Some(50)),
            ("MESSAGE", "", "", Some(50)),
            ("SUBSCRIBE", tag, "", Some(100)),
            ("PUBLISH", "", "", Some(200)),
            ("REGISTER", "", "", Some(200)),
            ("INVITE", "", "", Some(200)),
            ("INVITE", tag, "", Some(400)),
            ("INFO", tag, "", Some(400)),
            ("SUBSCRIBE", tag, zero, None),
            ("PUBLISH", "", zero, None),
            ("REGISTER", "", zero, None),
            ("BYE", tag, "", None),
        ];
        let mut node = node();
        for (method, tag, more, refused_from) in rows {
            let message = request(method, tag, more);
            for waited_ms in [0, 49, 50, 99, 100, 199, 200, 399, 400, 10_000] {
                node.load.waited = Duration::from_millis(waited_ms);
                let is_refused = refused_from.is_some_and(|from| waited_ms >= from);
                let got = node.refused_by_load(&message);
                assert_eq!(got.is_err(), is_refused, "{method} {tag} {more} after {waited_ms} ms");
                assert!(got.is_ok() || got.is_err_and(|reject| reject.status() == 503));
            }
        }
    }

    #[test]
    fn without_memory_only_what_grows_is_refused() {
        let mut node = node();
        node.load.memory_full = true;
        for (method, tag, more, refused) in [
            ("SUBSCRIBE", "", "", true),
            ("SUBSCRIBE", ";tag=2", "", false),
            ("PUBLISH", "", "", true),
            ("PUBLISH", "", "SIP-If-Match: x\r\n", false),
            ("PUBLISH", "", "Expires: 0\r\n", false),
            ("REGISTER", "", "", true),
            ("INVITE", "", "", true),
            ("INFO", ";tag=2", "", false),
        ] {
            let got = node.refused_by_load(&request(method, tag, more));
            assert_eq!(got == Err(Limit::Memory.into()), refused, "{method} {more}");
        }
    }
}
