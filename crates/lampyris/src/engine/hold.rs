//! Messages that wait for the store: each leaves when its ticket is durable, in order per flow.
//!
//! In: messages with or without a ticket, and decisions. Out: what may leave now. A message without a ticket waits too
//! where one before it on the same flow does, so that a NOTIFY never overtakes the 200 it follows; other flows do not
//! wait. A message whose ticket failed is dropped: the node answers its request otherwise.

use bytes::Bytes;
use lampyris_core::flow::Flow;
use lampyris_core::hits::{Hits, Limit};
use lampyris_core::map::{Map, Maps};
use lampyris_core::output::Ticket;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

/// Most bytes held; beyond, a message is dropped as if the network had lost it.
const HELD_BYTES_MAX: usize = 256 << 20;
/// How many tickets back a failure is remembered, for messages that name it late.
const FAILED_REMEMBERED: u64 = 65_536;

/// The messages held.
pub(crate) struct Hold {
    flows: Map<Flow, VecDeque<Held>>,
    /// The flows whose first message waits for a ticket.
    waiting: BTreeMap<Ticket, Vec<Flow>>,
    /// All tickets up to this one are decided.
    decided: Option<Ticket>,
    failed: BTreeSet<Ticket>,
    bytes: usize,
    messages: u64,
    dropped: u64,
    hits: Arc<Hits>,
}

impl Default for Hold {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

struct Held {
    bytes: Bytes,
    after: Option<Ticket>,
}

enum Fate {
    Leave,
    Wait(Ticket),
    Drop,
}

impl Hold {
    /// Nothing held; what there is no room for is counted in `hits`.
    pub(crate) fn new(hits: Arc<Hits>) -> Self {
        // Why: the seed is random and each process has its own, so that nobody can choose addresses that collide.
        let maps = Maps::new(RandomState::new().hash_one(0));
        Self {
            flows: maps.map(),
            waiting: BTreeMap::new(),
            decided: None,
            failed: BTreeSet::new(),
            bytes: 0,
            messages: 0,
            dropped: 0,
            hits,
        }
    }

    /// Sends the message through `leave` now, or keeps it until its turn.
    pub(crate) fn offer(
        &mut self,
        flow: Flow,
        bytes: Bytes,
        after: Option<Ticket>,
        leave: &mut impl FnMut(Flow, Bytes),
    ) {
        // Why: almost nothing waits almost always, so the common way is one look at an empty map.
        let queued = !self.flows.is_empty() && self.flows.contains_key(&flow);
        let fate = self.fate(after);
        match fate {
            Fate::Drop => self.dropped += 1,
            Fate::Leave if !queued => leave(flow, bytes),
            Fate::Leave | Fate::Wait(_) => {
                if self.bytes + bytes.len() > HELD_BYTES_MAX {
                    self.dropped += 1;
                    self.hits.add(Limit::Held);
                    return;
                }
                self.bytes += bytes.len();
                self.messages += 1;
                self.flows.entry(flow).or_default().push_back(Held { bytes, after });
                if let (false, Fate::Wait(ticket)) = (queued, fate) {
                    self.waiting.entry(ticket).or_default().push(flow);
                }
            }
        }
    }

    /// Takes note of a decision and sends what may leave now. Decisions come in ticket order.
    pub(crate) fn decide(&mut self, ticket: Ticket, stored: bool, leave: &mut impl FnMut(Flow, Bytes)) {
        self.decided = self.decided.max(Some(ticket));
        if !stored {
            self.failed.insert(ticket);
        }
        while self.failed.first().is_some_and(|first| first.0 + FAILED_REMEMBERED < ticket.0) {
            self.failed.pop_first();
        }
        while let Some(entry) = self.waiting.first_entry().filter(|entry| *entry.key() <= ticket) {
            for flow in entry.remove() {
                self.release(flow, leave);
            }
        }
    }

    /// Whether nothing on this flow waits.
    pub(crate) fn is_free(&self, flow: Flow) -> bool {
        self.flows.is_empty() || !self.flows.contains_key(&flow)
    }

    /// Messages waiting.
    pub(crate) const fn messages(&self) -> u64 {
        self.messages
    }

    /// Messages dropped: their ticket failed, or there was no room.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn release(&mut self, flow: Flow, leave: &mut impl FnMut(Flow, Bytes)) {
        let Some(mut queue) = self.flows.remove(&flow) else { return };
        while let Some(held) = queue.pop_front() {
            match self.fate(held.after) {
                Fate::Wait(ticket) => {
                    queue.push_front(held);
                    self.waiting.entry(ticket).or_default().push(flow);
                    self.flows.insert(flow, queue);
                    return;
                }
                fate => {
                    self.bytes -= held.bytes.len();
                    self.messages -= 1;
                    if matches!(fate, Fate::Leave) {
                        leave(flow, held.bytes);
                    } else {
                        self.dropped += 1;
                    }
                }
            }
        }
    }

    fn fate(&self, after: Option<Ticket>) -> Fate {
        match after {
            None => Fate::Leave,
            Some(ticket) if Some(ticket) > self.decided => Fate::Wait(ticket),
            Some(ticket) if self.failed.contains(&ticket) => Fate::Drop,
            Some(_) => Fate::Leave,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lampyris_core::flow::ListenerId;

    fn flow(port: u16) -> Flow {
        Flow::Udp { listener: ListenerId(0), remote: ([127, 0, 0, 1], port).into() }
    }

    /// Steps: `(port, text, after)` offers, `(0, "ok"|"failed", Some(ticket))` decides. Result: what left, in order.
    fn run(steps: &[(u16, &'static str, Option<u64>)]) -> (String, u64) {
        let (mut hold, mut left) = (Hold::default(), Vec::new());
        for (port, text, ticket) in steps {
            let mut leave = |flow: Flow, bytes: Bytes| {
                left.push(format!("{}:{}", flow.remote().port(), String::from_utf8_lossy(&bytes)));
            };
            match (port, ticket) {
                (0, Some(ticket)) => hold.decide(Ticket(*ticket), *text == "ok", &mut leave),
                _ => hold.offer(
                    flow(*port),
                    Bytes::from_static(text.as_bytes()),
                    ticket.map(Ticket),
                    &mut leave,
                ),
            }
        }
        assert_eq!(hold.bytes == 0, hold.messages == 0, "the counts agree");
        assert_eq!(hold.flows.is_empty(), hold.messages == 0, "no empty queue stays");
        (left.join(" "), hold.messages)
    }

    #[test]
    fn a_message_leaves_when_its_ticket_is_durable_and_in_order_of_its_flow() {
        for (steps, left, held) in [
            (&[(1, "a", None)][..], "1:a", 0),
            (&[(1, "a", Some(1))], "", 1),
            (&[(1, "a", Some(1)), (0, "ok", Some(1))], "1:a", 0),
            (&[(0, "ok", Some(1)), (1, "a", Some(1))], "1:a", 0),
            // What follows on the flow waits; another flow does not.
            (&[(1, "a", Some(1)), (1, "b", None), (2, "c", None), (0, "ok", Some(1))], "2:c 1:a 1:b", 0),
            // A second ticket behind the first holds what is behind it.
            (&[(1, "a", Some(1)), (1, "b", Some(2)), (1, "c", None), (0, "ok", Some(1))], "1:a", 2),
            (
                &[
                    (1, "a", Some(1)),
                    (1, "b", Some(2)),
                    (1, "c", None),
                    (0, "ok", Some(1)),
                    (0, "ok", Some(2)),
                ],
                "1:a 1:b 1:c",
                0,
            ),
            // An older ticket behind a newer one leaves with it.
            (&[(1, "a", Some(2)), (1, "b", Some(1)), (0, "ok", Some(1)), (0, "ok", Some(2))], "1:a 1:b", 0),
            // A failed ticket takes its own message only.
            (&[(1, "a", Some(1)), (1, "b", None), (0, "failed", Some(1))], "1:b", 0),
            (&[(1, "a", Some(2)), (1, "b", Some(1)), (0, "failed", Some(1)), (0, "ok", Some(2))], "1:a", 0),
            (&[(0, "failed", Some(1)), (1, "a", Some(1)), (1, "b", None)], "1:b", 0),
            // Two flows behind one ticket.
            (&[(1, "a", Some(3)), (2, "b", Some(3)), (0, "ok", Some(3))], "1:a 2:b", 0),
        ] {
            assert_eq!(run(steps), (left.to_owned(), held), "{steps:?}");
        }
    }
}
