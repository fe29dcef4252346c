//! What the server may never say about calls, whatever the network and the phones do.
//!
//! - a dialog's id never goes backwards in the NOTIFYs of one watcher, and what has ended does not come back;
//! - the version of a document rises by one from NOTIFY to NOTIFY;
//! - a request inside a dialog that was passed on and answered is answered (RFC 4320: one whose other side is silent is not).
//!
//! In: messages as the server sends and receives them. Out: violations, in words. A crash makes it forget states: what was
//! told a moment before may not have been on disk.

use lampyris_sip::{Message, Method};
use std::collections::{BTreeMap, BTreeSet};

/// A dialog in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) id: String,
    /// Absent where the dialog stands for a lamp.
    pub(crate) call_id: Option<String>,
    pub(crate) is_recipient: bool,
    pub(crate) state: String,
    /// Its user holds it.
    pub(crate) holds: bool,
}

/// The dialogs of a dialog-info document.
pub(crate) fn dialogs(document: &str) -> Vec<Shown> {
    let pieces = document.split("<dialog ").skip(1);
    let dialog = |piece: &str| {
        let (head, body) = piece.split_once('>')?;
        let attribute = |name: &str| {
            let (_, rest) = format!(" {head}")
                .split_once(&format!(" {name}=\""))?
                .1
                .split_once('"')
                .map(|(v, r)| (r.to_owned(), v.to_owned()))?;
            Some(rest)
        };
        let state = body.split_once("<state")?.1.split_once('>')?.1.split_once('<')?.0.to_owned();
        let local = body
            .split_once("<local>")
            .and_then(|(_, rest)| rest.split_once("</local>"))
            .map_or("", |(l, _)| l);
        let rendering = local
            .split_once("+sip.rendering")
            .is_some_and(|(_, rest)| rest.split_once('>').is_some_and(|(param, _)| param.contains("\"no\"")));
        Some(Shown {
            id: attribute("id")?,
            call_id: attribute("call-id").filter(|call_id| !call_id.starts_with("pickup-")),
            is_recipient: attribute("direction").is_none_or(|direction| direction == "recipient"),
            state,
            holds: rendering,
        })
    };
    pieces.filter_map(dialog).collect()
}

fn rank(state: &str) -> u8 {
    ["trying", "proceeding", "early", "confirmed", "terminated"]
        .iter()
        .position(|known| *known == state)
        .map_or(0, |at| u8::try_from(at).unwrap_or(0))
}

/// Call-ID, From tag and CSeq of a request, which stay the same from end to end.
type EndToEnd = (String, String, String);

/// What is known of the wire so far.
#[derive(Default)]
pub(crate) struct Wire {
    /// By subscription and dialog id.
    states: BTreeMap<(String, String, String), String>,
    versions: BTreeMap<(String, String), (u32, u64)>,
    /// Requests whose other side was heard to answer.
    heard: BTreeSet<EndToEnd>,
    /// Requests passed on.
    forwarded: BTreeSet<EndToEnd>,
    pub(crate) violations: Vec<String>,
}

pub(crate) fn end_to_end(message: &Message) -> EndToEnd {
    let cseq = message.cseq();
    let number = format!("{} {}", cseq.seq, cseq.method.as_str());
    (message.call_id().to_owned(), message.from_tag().unwrap_or_default().to_owned(), number)
}

impl Wire {
    /// The server sends a NOTIFY that it has not sent before.
    pub(crate) fn notify(&mut self, message: &Message, version: Option<u64>) {
        let watcher = (message.call_id().to_owned(), message.from_tag().unwrap_or_default().to_owned());
        let cseq = message.cseq().seq;
        if let Some(version) = version {
            let before = self.versions.insert(watcher.clone(), (cseq, version));
            if let Some((last, before)) = before
                && last + 1 == cseq
                && version != before + 1
            {
                self.violations.push(format!("the version of {watcher:?} went from {before} to {version}"));
            }
        }
        let body = message.body();
        for shown in dialogs(&String::from_utf8_lossy(&body)) {
            let Some(call_id) = &shown.call_id else { continue };
            let key = (watcher.0.clone(), watcher.1.clone(), shown.id.clone());
            let before = self.states.insert(key, shown.state.clone());
            if let Some(before) = before.filter(|before| rank(before) > rank(&shown.state)) {
                self.violations.push(format!(
                    "dialog {} of {call_id} went from {before} to {} for {watcher:?}",
                    shown.id, shown.state
                ));
            }
        }
    }

    /// The server passes a request on, or sends one of its own.
    pub(crate) fn passed_on(&mut self, message: &Message) {
        if message.method() != Some(Method::Notify) || message.vias().nth(1).is_some() {
            self.forwarded.insert(end_to_end(message));
        }
    }

    /// The server hears something.
    pub(crate) fn heard(&mut self, message: &Message) {
        if message.status().is_some_and(|status| status.0 >= 200) {
            self.heard.insert(end_to_end(message));
        }
    }

    /// Whether a request inside a dialog may stay unanswered: its other side never spoke (RFC 4320 §4.2).
    pub(crate) fn may_be_silent(&self, request: &EndToEnd) -> bool {
        self.forwarded.contains(request) && !self.heard.contains(request)
    }

    /// The server was killed.
    pub(crate) fn crashed(&mut self) {
        self.states.clear();
        self.versions.clear();
        self.heard.clear();
        self.forwarded.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notify(cseq: u32, version: u64, state: &str) -> (Message, Option<u64>) {
        let body = format!(
            "<dialog-info version=\"{version}\"><dialog id=\"1\" call-id=\"talk\" direction=\"recipient\"><state>{state}\
             </state><local><target uri=\"sip:a@x\"><param pname=\"+sip.rendering\" pval=\"no\"/></target></local>\
             </dialog></dialog-info>"
        );
        let text = format!(
            "NOTIFY sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{cseq}\r\nFrom: <sip:b@x>;tag=1\r\nTo: \
             <sip:a@x>;tag=2\r\nCall-ID: c\r\nCSeq: {cseq} NOTIFY\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        (Message::parse(text.into()).unwrap(), Some(version))
    }

    #[test]
    fn each_rule_is_noticed_when_it_is_broken() {
        for (told, violations) in [
            (&[(1, 0, "early"), (2, 1, "confirmed"), (3, 2, "terminated")][..], 0),
            (&[(1, 0, "confirmed"), (2, 1, "early")], 1),
            (&[(1, 0, "terminated"), (2, 1, "trying")], 1),
            (&[(1, 0, "early"), (2, 2, "early")], 1),
            (&[(1, 0, "early"), (70_000, 9, "early")], 0),
        ] {
            let mut wire = Wire::default();
            for (cseq, version, state) in told {
                let (message, version) = notify(*cseq, *version, state);
                wire.notify(&message, version);
            }
            assert_eq!(wire.violations.len(), violations, "{:?}", wire.violations);
        }
    }

    #[test]
    fn what_a_document_says_of_a_dialog() {
        let (message, _) = notify(1, 0, "early");
        let body = message.body();
        let expected = Shown {
            id: "1".to_owned(),
            call_id: Some("talk".to_owned()),
            is_recipient: true,
            state: "early".to_owned(),
            holds: true,
        };
        assert_eq!(dialogs(&String::from_utf8_lossy(&body)), [expected]);
        let lamp = "<dialog-info><dialog id=\"6001\"><state>terminated</state></dialog></dialog-info>";
        assert_eq!(dialogs(lamp)[0].call_id, None);
    }
}
