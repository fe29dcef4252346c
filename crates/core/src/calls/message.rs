//! What call tracking reads of a message: who, on whose behalf, in whose place, for how long.
//!
//! In: a message that is being forwarded. Out: values to keep. What is malformed is as good as absent: the phones decide
//! about their call, this only watches.

use crate::body::dialog_info::{Identity, Replaces};
use crate::limits::{ROUTES_MAX, SDP_BYTES_MAX};
use lampyris_sip::headers::Contact;
use lampyris_sip::{Message, Name, NameAddr};
use std::time::Duration;

/// Who From, To or Referred-By names.
pub(super) fn identity(address: &NameAddr<'_>) -> Identity {
    let display_name = address.display_unquoted().map(std::borrow::Cow::into_owned);
    Identity { display_name: display_name.filter(|name| !name.is_empty()), uri: address.uri().to_owned() }
}

/// Referred-By (RFC 3892 §3).
pub(super) fn referred_by(message: &Message) -> Option<Identity> {
    Some(identity(&NameAddr::parse(message.header(Name::ReferredBy)?).ok()?))
}

/// Replaces (RFC 3891 §6.1): `local_tag` is the to-tag, that is of whoever the INVITE is for, `remote_tag` the from-tag.
pub(super) fn replaces(message: &Message) -> Option<Replaces> {
    let mut parts = message.header(Name::Replaces)?.split(';').map(str::trim);
    let call_id = parts.next().filter(|call_id| !call_id.is_empty())?.to_owned();
    let mut found = Replaces { call_id, ..Replaces::default() };
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name.trim() {
            name if name.eq_ignore_ascii_case("to-tag") => value.trim().clone_into(&mut found.local_tag),
            name if name.eq_ignore_ascii_case("from-tag") => value.trim().clone_into(&mut found.remote_tag),
            _ => {}
        }
    }
    Some(found)
}

/// Whether its sender asks that others do not learn who they are (RFC 3323 §4.2, RFC 3325 §9.3).
pub(super) fn is_private(message: &Message) -> bool {
    let values = message.headers(Name::Privacy).flat_map(|value| value.split([';', ',']));
    let hides = |value: &str| ["header", "user", "id"].iter().any(|word| value.eq_ignore_ascii_case(word));
    values.map(str::trim).any(hides)
}

/// The Contact URI.
pub(super) fn target(message: &Message) -> Option<&str> {
    message.contacts().find_map(Contact::addr).map(|contact| contact.uri())
}

/// Session-Expires (RFC 4028 §4).
pub(super) fn session(message: &Message) -> Option<Duration> {
    let seconds = crate::node::leading_number(message.header(Name::SessionExpires)?)?;
    Some(Duration::from_secs(seconds.into()))
}

/// The session description, where it is short enough to keep.
pub(super) fn sdp(message: &Message) -> Option<Box<[u8]>> {
    super::sdp::in_message(message).filter(|sdp| sdp.len() <= SDP_BYTES_MAX).map(Into::into)
}

/// The route set towards who answered, beyond ourselves: what stands in Record-Route before our own entry, in the order
/// of use; `None` where no entry is ours.
pub(super) fn routes_beyond(message: &Message, is_ours: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let mut beyond = Vec::new();
    for value in message.values(Name::RecordRoute).take(ROUTES_MAX) {
        if NameAddr::parse(value).is_ok_and(|address| is_ours(address.uri())) {
            beyond.reverse();
            return Some(beyond);
        }
        beyond.push(value.to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(headers: &str) -> Message {
        let text = format!(
            "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    #[test]
    fn replaces_names_a_dialog() {
        for (value, expected) in [
            ("98732@x;from-tag=r33th4x0r;to-tag=ff87ff", Some(("98732@x", "ff87ff", "r33th4x0r"))),
            ("12;To-Tag= 1 ; from-tag=2;early-only", Some(("12", "1", "2"))),
            ("12", Some(("12", "", ""))),
            (";to-tag=1", None),
        ] {
            let found = replaces(&with(&format!("Replaces: {value}\r\n")));
            let found = found.as_ref().map(|r| (&*r.call_id, &*r.local_tag, &*r.remote_tag));
            assert_eq!(found, expected, "{value}");
        }
        assert_eq!(replaces(&with("")), None);
    }

    #[test]
    fn privacy_is_asked_for_by_its_words() {
        for (value, expected) in
            [("id", true), ("header; critical", true), ("session", false), ("none", false), ("USER", true)]
        {
            assert_eq!(is_private(&with(&format!("Privacy: {value}\r\n"))), expected, "{value}");
        }
    }

    #[test]
    fn routes_beyond_us_end_at_our_own_entry() {
        for (values, expected) in [
            ("<sip:us;lr>, <sip:above;lr>", Some(vec![])),
            ("<sip:c;lr>, <sip:b;lr>, <sip:us;lr>, <sip:us;lr>", Some(vec!["<sip:b;lr>", "<sip:c;lr>"])),
            ("<sip:c;lr>", None),
        ] {
            let message = with(&format!("Record-Route: {values}\r\n"));
            let found = routes_beyond(&message, |uri| uri.contains("us"));
            let expected: Option<Vec<String>> =
                expected.map(|routes| routes.into_iter().map(str::to_owned).collect());
            assert_eq!(found, expected, "{values}");
        }
        assert_eq!(session(&with("Session-Expires: 90;refresher=uac\r\n")), Some(Duration::from_secs(90)));
        assert_eq!(session(&with("Session-Expires: soon\r\n")), None);
    }
}
