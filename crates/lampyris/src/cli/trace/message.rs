//! What a ladder shows of a SIP message: what it is, its dialog, what it is about.

use crate::admin::protocol::{Direction, SipMessage};
use crate::cli::screen::paint::Tone;
use crate::cli::text;
use crate::redact;

/// A message without credentials, and what is shown of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) message: SipMessage,
    /// As in `NOTIFY` or `200 OK`.
    pub(crate) what: String,
    pub(crate) call_id: String,
    /// As in `7 NOTIFY`.
    pub(crate) cseq: String,
    /// Who, and the event: as in `6001 dialog active`.
    pub(crate) about: String,
    /// What a search looks in, in small letters.
    haystack: String,
}

/// Names of headers and their short forms (RFC 3261 §7.3.3, RFC 6665 §8.2.1).
const SHORT: [(&str, &str); 3] = [("call-id", "i"), ("event", "o"), ("from", "f")];

impl Seen {
    pub(crate) fn of(mut message: SipMessage) -> Self {
        message.text = redact::credentials(&message.text);
        let text = &message.text;
        let first = text.lines().next().unwrap_or_default();
        let status = first.strip_prefix("SIP/2.0 ");
        let what = status.unwrap_or_else(|| first.split(' ').next().unwrap_or_default());
        let token = |name: &str| {
            let value = header(text, name).unwrap_or_default();
            value.split(';').next().unwrap_or_default().trim()
        };
        let target = user_of(first.split(' ').nth(1).unwrap_or_default());
        // A NOTIFY is about whom it comes from; it goes to a watcher.
        let user = match (status, what) {
            (Some(_), _) => "",
            (None, "NOTIFY") => from_user(text).unwrap_or(target),
            (None, _) => target,
        };
        let about = [user, token("event"), token("subscription-state")];
        let about: Vec<&str> = about.into_iter().filter(|part| !part.is_empty()).collect();
        let field = |name: &str| text::line(header(text, name).unwrap_or_default());
        let (what, about) = (text::line(what), text::line(&about.join(" ")));
        let (call_id, cseq) = (field("call-id"), field("cseq"));
        let haystack = format!("{call_id} {} {what} {cseq} {about}", message.remote).to_lowercase();
        Self { what, call_id, cseq, about, haystack, message }
    }

    /// Whether all these words are in it.
    pub(crate) fn has(&self, words: &[String]) -> bool {
        words.iter().all(|word| self.haystack.contains(word.as_str()))
    }

    /// Whether it only asks if somebody is there, or answers that.
    pub(crate) fn is_ping(&self) -> bool {
        self.cseq.ends_with(" OPTIONS")
    }

    /// How it looks. A challenge is on the way to an answer and no failure.
    pub(crate) fn tone(&self) -> Tone {
        match self.what.get(..3).and_then(|code| code.parse::<u16>().ok()) {
            None => Tone::Request,
            Some(100..=199 | 401 | 407) => Tone::Early,
            Some(200..=299) => Tone::Good,
            Some(_) => Tone::Bad,
        }
    }

    /// One line: a response says what it answers.
    pub(crate) fn label(&self) -> String {
        let method = self.cseq.split(' ').nth(1).unwrap_or_default();
        match (self.tone(), self.about.is_empty()) {
            (Tone::Request, true) => self.what.clone(),
            (Tone::Request, false) => format!("{} {}", self.what, self.about),
            _ => format!("{} ({method})", self.what),
        }
    }

    pub(crate) fn is_received(&self) -> bool {
        self.message.direction == Direction::Received
    }
}

/// A header's value, by its long name in small letters.
fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let short = SHORT.iter().find(|(long, _)| *long == name).map_or(name, |(_, short)| short);
    let lines = text.lines().skip(1).take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_once(':')).find_map(|(found, value)| {
        let found = found.trim();
        (found.eq_ignore_ascii_case(name) || found.eq_ignore_ascii_case(short)).then(|| value.trim())
    })
}

fn from_user(text: &str) -> Option<&str> {
    let value = header(text, "from")?;
    let uri = value.split_once('<').map_or(value, |(_, uri)| uri);
    Some(user_of(uri)).filter(|user| !user.is_empty())
}

/// The user part of a URI; its host where it has none.
fn user_of(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split(['@', ';', '>']).next().unwrap_or_default()
}

/// Time of day in UTC, as in `09:51:02.123`.
pub(crate) fn time_of_day(at_ms: u64) -> String {
    let ms = at_ms % 86_400_000;
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::packet::tests::message;
    use super::*;
    use lampyris_core::flow::Transport;

    pub(in super::super) fn seen(direction: Direction, remote: &str, text: &str) -> Seen {
        Seen::of(message(direction, Transport::Udp, remote, &text.replace('\n', "\r\n")))
    }

    const NOTIFY: &str = "NOTIFY sip:alice@192.0.2.9 SIP/2.0\ni: abc@x\nCSeq: 7  NOTIFY\no: dialog;id=1\n\
                          f: \"Bob\" <sip:6001@x>;tag=1\nSubscription-State: active;expires=9\n\nCall-ID: no";

    #[test]
    fn a_request_says_what_it_is_about() {
        let notify = seen(Direction::Sent, "192.0.2.9:5060", NOTIFY);
        assert_eq!((notify.what.as_str(), notify.call_id.as_str()), ("NOTIFY", "abc@x"));
        assert_eq!(notify.label(), "NOTIFY 6001 dialog active");
        assert_eq!(notify.tone(), Tone::Request);
        for (word, found) in
            [("abc@x", true), ("192.0.2.9", true), ("notify", true), ("6001", true), ("no@", false)]
        {
            assert_eq!(notify.has(&[word.to_owned()]), found, "{word}");
        }
    }

    #[test]
    fn a_response_says_what_it_answers() {
        for (line, tone, label) in [
            ("SIP/2.0 200 OK", Tone::Good, "200 OK (SUBSCRIBE)"),
            ("SIP/2.0 100 Trying", Tone::Early, "100 Trying (SUBSCRIBE)"),
            ("SIP/2.0 401 Unauthorized", Tone::Early, "401 Unauthorized (SUBSCRIBE)"),
            ("SIP/2.0 489 Bad Event", Tone::Bad, "489 Bad Event (SUBSCRIBE)"),
        ] {
            let response =
                seen(Direction::Received, "192.0.2.9:5060", &format!("{line}\nCSeq: 1 SUBSCRIBE\n\n"));
            assert_eq!((response.tone(), response.label()), (tone, label.to_owned()));
        }
    }

    #[test]
    fn nonsense_is_shown_as_far_as_it_goes() {
        for text in ["", "\r\n\r\n", "SIP/2.0 ", "\u{1b}[2J", "INVITE", ":\n:\n"] {
            let shown = seen(Direction::Received, "192.0.2.9:5060", text);
            assert!(!shown.label().contains('\u{1b}'), "{shown:?}");
        }
        let registers =
            "REGISTER sip:example.com SIP/2.0\nAuthorization: Digest response=\"abc\"\nCSeq: 1 OPTIONS\n\n";
        let shown = seen(Direction::Received, "192.0.2.9:5060", registers);
        assert!(!shown.message.text.contains("abc") && shown.is_ping());
        assert_eq!(shown.about, "example.com");
    }
}
