//! The last events, within bounds of number and bytes; each is written in the form it is sent in when it is first read.

use super::limits::{ITEMS_BYTES_MAX, ITEMS_MAX};
use crate::engine::tap::Told;
use bytes::Bytes;
use lampyris_core::output::Event;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

/// An event as programs see it, on every way: server-sent events, webhooks, the admin socket.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Occurrence {
    /// Names the event; resumes a stream, and tells a repeated delivery.
    pub(crate) id: String,
    /// When, in milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub(crate) event: Event,
}

/// More than an event takes beside its texts.
const ITEM_BYTES: usize = 256;

/// An event that can be read.
#[derive(Debug)]
pub(crate) struct Item {
    /// Its number.
    pub(crate) number: u64,
    epoch: u64,
    at_ms: u64,
    event: Event,
    /// As a server-sent event, and the part of it that is JSON.
    ///
    /// Why so late: each SUBSCRIBE and PUBLISH is an event, and mostly nobody reads them.
    written: OnceLock<(Bytes, Bytes)>,
}

/// An event's id: the process, then the number.
pub(crate) fn id(epoch: u64, number: u64) -> String {
    format!("{epoch:x}-{number}")
}

/// A server-sent event (WHATWG HTML §9.2), and where its data are. JSON has no line ends in it.
pub(crate) fn frame(id: &str, kind: &str, data: &str) -> (Bytes, Bytes) {
    let parts = ["id: ", id, "\nevent: ", kind, "\ndata: "];
    let head: usize = parts.iter().map(|part| part.len()).sum();
    // Why: thousands of them are kept.
    let mut text = String::with_capacity(head + data.len() + 2);
    parts.into_iter().chain([data, "\n\n"]).for_each(|part| text.push_str(part));
    let frame = Bytes::from(text);
    let json = frame.slice(head..head + data.len());
    (frame, json)
}

impl Item {
    /// An event of the process that `epoch` tells from others.
    pub(crate) fn new(epoch: u64, told: Told) -> Arc<Self> {
        let Told { number, at_ms, event } = told;
        Arc::new(Self { number, epoch, at_ms, event, written: OnceLock::new() })
    }

    /// Its id.
    pub(crate) fn id(&self) -> String {
        id(self.epoch, self.number)
    }

    /// Its kind, as in `extension`.
    pub(crate) const fn kind(&self) -> &'static str {
        self.event.kind()
    }

    /// What it is about.
    pub(crate) fn subject(&self) -> &str {
        self.event.subject()
    }

    /// As a server-sent event.
    pub(crate) fn frame(&self) -> &Bytes {
        &self.written().0
    }

    /// As JSON: a part of the frame.
    pub(crate) fn json(&self) -> &Bytes {
        &self.written().1
    }

    /// About what it takes.
    fn bytes(&self) -> usize {
        ITEM_BYTES + self.event.text_bytes()
    }

    fn written(&self) -> &(Bytes, Bytes) {
        self.written.get_or_init(|| {
            let occurrence = Occurrence { id: self.id(), at_ms: self.at_ms, event: self.event.clone() };
            // Invariant: nothing in an event is a map with keys that are no text, which alone cannot be JSON.
            let data = serde_json::to_string(&occurrence).unwrap_or_default();
            frame(&occurrence.id, self.kind(), &data)
        })
    }
}

/// The last events in their order.
#[derive(Default)]
pub(crate) struct History {
    items: VecDeque<Arc<Item>>,
    bytes: usize,
    /// The number of the newest event, also where all are forgotten.
    last: u64,
}

impl History {
    /// One more. Where numbers are missing before it, what came earlier is forgotten: nobody can go on from there.
    pub(crate) fn push(&mut self, item: Arc<Item>) {
        if item.number != self.last + 1 {
            self.items.clear();
            self.bytes = 0;
        }
        self.last = item.number;
        self.bytes += item.bytes();
        self.items.push_back(item);
        while (self.items.len() > ITEMS_MAX || self.bytes > ITEMS_BYTES_MAX)
            && let Some(oldest) = self.items.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }

    /// The newest number.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// What came after this number; `None` where some of it is forgotten, or the number is none of ours.
    pub(crate) fn after(&self, number: u64) -> Option<impl Iterator<Item = &Arc<Item>>> {
        let first = self.items.front().map_or(self.last + 1, |item| item.number);
        // Why: a snapshot may be newer than what is written down yet.
        let skip = usize::try_from(number.checked_sub(first.checked_sub(1)?)?).ok()?;
        Some(self.items.iter().skip(skip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(number: u64) -> Arc<Item> {
        let event = Event::Extension { extension: "6001@default".into(), state: "InUse", was: "Idle" };
        Item::new(0xab, Told { number, at_ms: 7, event })
    }

    fn numbers(history: &History, after: u64) -> Option<Vec<u64>> {
        history.after(after).map(|items| items.map(|item| item.number).collect())
    }

    #[test]
    fn an_event_is_written_as_it_is_sent() {
        let item = item(3);
        let json = r#"{"id":"ab-3","at_ms":7,"event":"extension","extension":"6001@default","state":"InUse","was":"Idle"}"#;
        assert_eq!(item.json(), json);
        assert_eq!(item.frame(), &format!("id: ab-3\nevent: extension\ndata: {json}\n\n"));
        assert_eq!((item.kind(), item.subject()), ("extension", "6001@default"));
    }

    #[test]
    fn a_place_is_gone_once_what_follows_it_is() {
        let mut history = History::default();
        assert_eq!(numbers(&history, 0), Some(vec![]));
        (5..=8).for_each(|number| history.push(item(number)));
        let rows: [(u64, Option<Vec<u64>>); 5] = [
            (4, Some(vec![5, 6, 7, 8])),
            (6, Some(vec![7, 8])),
            (8, Some(vec![])),
            (9, Some(vec![])),
            (3, None),
        ];
        for (after, expected) in rows {
            assert_eq!(numbers(&history, after), expected, "{after}");
        }
        history.push(item(11));
        assert_eq!((numbers(&history, 8), numbers(&history, 10)), (None, Some(vec![11])));
    }

    #[test]
    fn it_is_bounded() {
        let mut history = History::default();
        let count = u64::try_from(ITEMS_MAX).expect("small") + 10;
        (1..=count).for_each(|number| history.push(item(number)));
        assert_eq!(history.items.len(), ITEMS_MAX);
        assert_eq!(history.bytes, history.items.iter().map(|item| item.bytes()).sum::<usize>());
        assert_eq!((numbers(&history, 9), numbers(&history, count - 1)), (None, Some(vec![count])));
    }
}
