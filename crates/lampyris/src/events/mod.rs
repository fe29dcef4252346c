//! Events for people and programs: kept once, read by any number of readers, each at its own speed.
//!
//! In: the engine's feed. Out: a bounded history ([`history`]) of items that all readers share, and [`Hub`], which
//! wakes them. A reader that falls behind the history gets a gap and starts over from a snapshot; it never costs memory.
//! The readers are server-sent events (`http::events`), the admin socket and webhooks.

pub(crate) mod day;
pub(crate) mod filter;
pub(crate) mod history;
mod limits;
pub(crate) mod webhooks;

use crate::engine::inbox::{Happening, Mailbox};
use crate::engine::tap::{FEED_MAX, Told};
use day::{Changed, Day};
use filter::Filter;
use history::{History, Item};
use lampyris_core::command::{Command, Reply};
use lampyris_core::output::Event;
use limits::{BATCH_MAX, GATHER, READ_MAX};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::sync::{mpsc, oneshot, watch};

/// The history and those who wait for it to grow.
pub(crate) struct Hub {
    mailbox: Mailbox,
    /// Tells this process's event ids from those of another.
    epoch: u64,
    history: Mutex<History>,
    day: Mutex<Day>,
    newest: watch::Sender<u64>,
}

/// A place in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor(pub(crate) u64);

/// What a reader finds.
pub(crate) enum Found {
    /// Items, and where to go on.
    Items(Vec<Arc<Item>>, Cursor),
    /// What came next is forgotten.
    Gap,
}

impl Hub {
    /// Starts writing down what the engine tells; must be called inside the runtime.
    pub(crate) fn start(mailbox: Mailbox, epoch: u64) -> Arc<Self> {
        let (feed, told) = mpsc::channel(FEED_MAX);
        mailbox.put(Happening::Feed(feed));
        let hub = Arc::new(Self {
            mailbox,
            epoch,
            history: Mutex::new(History::default()),
            day: Mutex::new(Day::new(now_ms())),
            newest: watch::Sender::new(0),
        });
        let writer = Arc::downgrade(&hub);
        tokio::spawn(async move {
            let mut told: mpsc::Receiver<Told> = told;
            let mut batch = Vec::new();
            while told.recv_many(&mut batch, BATCH_MAX).await > 0 {
                let Some(hub) = writer.upgrade() else { return };
                hub.write_down(&mut batch);
                drop(hub);
                tokio::time::sleep(GATHER).await;
            }
        });
        hub
    }

    fn write_down(&self, batch: &mut Vec<Told>) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let mut day = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        for told in batch.drain(..) {
            if told.number != history.last() + 1 {
                day.forget(told.at_ms);
            }
            if let Event::Extension { extension, state, was } = &told.event {
                day.push(extension, Changed { at_ms: told.at_ms, was, state });
            }
            history.push(Item::new(self.epoch, told));
        }
        drop(day);
        let last = history.last();
        drop(history);
        self.newest.send_replace(last);
    }

    /// The id of an event with this number.
    pub(crate) fn id(&self, at: Cursor) -> String {
        history::id(self.epoch, at.0)
    }

    /// The place an id of ours names; `None` where it is of another process, or nonsense.
    pub(crate) fn cursor(&self, id: &str) -> Option<Cursor> {
        let (epoch, number) = id.split_once('-')?;
        let is_ours = u64::from_str_radix(epoch, 16).ok()? == self.epoch;
        is_ours.then_some(())?;
        number.parse().ok().map(Cursor)
    }

    /// The state now, and the place from which on events change it; `None` when the server is stopping.
    pub(crate) async fn snapshot(&self, command: Command) -> Option<(Cursor, Reply)> {
        let (answer, reply) = oneshot::channel();
        self.mailbox.put(Happening::Snapshot(command, answer));
        reply.await.ok().map(|(number, reply)| (Cursor(number), reply))
    }

    /// The place behind the newest event.
    pub(crate) fn now(&self) -> Cursor {
        Cursor(self.history.lock().unwrap_or_else(PoisonError::into_inner).last())
    }

    /// The last day of a lamp: since when all of its changes are known, and those.
    pub(crate) fn day_of(&self, resource: &str) -> (u64, Vec<Changed>) {
        self.day.lock().unwrap_or_else(PoisonError::into_inner).of(resource)
    }

    /// Items after this place that pass, at most [`READ_MAX`], without waiting.
    pub(crate) fn read(&self, after: Cursor, filter: &Filter) -> Found {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        match history.after(after.0) {
            None => Found::Gap,
            Some(items) => {
                let (mut passing, mut last) = (Vec::new(), after.0);
                for item in items {
                    if passing.len() == READ_MAX {
                        break;
                    }
                    last = item.number;
                    if filter.passes(item) {
                        passing.push(item.clone());
                    }
                }
                Found::Items(passing, Cursor(last))
            }
        }
    }

    /// Waits until there may be something after this place; `false` when nothing will ever come.
    pub(crate) async fn grown(&self, after: Cursor) -> bool {
        self.newest.subscribe().wait_for(|newest| *newest > after.0).await.is_ok()
    }
}

/// The wall clock, in milliseconds since the Unix epoch.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
