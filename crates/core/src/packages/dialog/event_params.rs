//! The parameters of `Event: dialog` (RFC 4235 §3.2): which dialog, and whether session descriptions are wanted.
//!
//! In: the parameters as they came. Out: the text that is kept with the subscription, and what it means. Whether a watcher
//! may ask for that is decided elsewhere.

use crate::body::dialog_info::shown::Only;
use lampyris_sip::Params;
use lampyris_sip::params::{escape_quoted, unescape_quoted};
use std::fmt::Write as _;

const CALL_ID: &str = "call-id";
const TO_TAG: &str = "to-tag";
const FROM_TAG: &str = "from-tag";
const SESSIONS: &str = "include-session-description";

/// What a subscription asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// One dialog, or the dialogs of one INVITE.
    pub(super) only: Option<Only>,
    /// Session descriptions too.
    pub(super) sessions: bool,
}

/// The part of the parameters that is kept, written in one way; why it is refused if it means nothing.
pub(super) fn kept(params: Params<'_>) -> Result<String, &'static str> {
    let mut text = String::new();
    let value = |name| params.get(name).filter(|value| !value.is_empty());
    match (value(CALL_ID), value(TO_TAG), value(FROM_TAG)) {
        (None, None, None) => {}
        // RFC 4235 §3.2: one dialog needs all three, the dialogs of one INVITE the first two.
        (Some(call_id), Some(to), from) => {
            let call_id = unescape_quoted(call_id);
            let _ = write!(text, ";{CALL_ID}=\"{}\";{TO_TAG}={to}", escape_quoted(&call_id));
            if let Some(from) = from {
                let _ = write!(text, ";{FROM_TAG}={from}");
            }
        }
        _ => return Err("a dialog is named by call-id and to-tag, and from-tag"),
    }
    if params.has(SESSIONS) {
        let _ = write!(text, ";{SESSIONS}");
    }
    Ok(text)
}

/// What kept parameters mean.
pub(super) fn read(kept: &str) -> Asked {
    let params = Params::new(kept);
    let only = params.get(CALL_ID).zip(params.get(TO_TAG)).map(|(call_id, to)| Only {
        call_id: unescape_quoted(call_id).into_owned(),
        local_tag: to.to_owned(),
        remote_tag: params.get(FROM_TAG).map(str::to_owned),
    });
    Asked { only, sessions: params.has(SESSIONS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4235_3_2_two_or_three_parameters_name_a_dialog() {
        for (params, call_id, to, from, sessions) in [
            (";id=7;call-id=a84b;to-tag=l1;from-tag=r1", "a84b", "l1", Some("r1"), false),
            (";to-tag=l1 ; call-id = \"a\\\"b@[::1]\"", "a\"b@[::1]", "l1", None, false),
            (";Call-ID=x;TO-TAG=y;include-session-description", "x", "y", None, true),
        ] {
            let kept = kept(Params::new(params)).unwrap();
            let only =
                Only { call_id: call_id.into(), local_tag: to.into(), remote_tag: from.map(str::to_owned) };
            assert_eq!(read(&kept), Asked { only: Some(only), sessions }, "{params}");
        }
        for (params, text) in [
            ("", ""),
            (";id=7;other", ""),
            (";include-session-description", ";include-session-description"),
            (";call-id=;to-tag=", ""),
        ] {
            assert_eq!(kept(Params::new(params)).as_deref(), Ok(text), "{params}");
            assert_eq!(read(text).only, None);
        }
        for params in [";call-id=a", ";to-tag=a", ";from-tag=a;to-tag=b", ";call-id=a;from-tag=b"] {
            assert!(kept(Params::new(params)).is_err(), "{params}");
        }
    }
}
