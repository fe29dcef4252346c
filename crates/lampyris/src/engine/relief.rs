//! The engine's part in a handover: to finish what it has read, close the store, and wait for the verdict.
//!
//! In: [`Relief`]. Nothing is read from sockets any more (streams hold still already); what is in the inbox is done, what
//! that asks the store for is stored, and what waits for the store leaves. Then the store is closed and the directory free
//! for the other process. If that one fails, the store is opened again and everything goes on: memory has all of it.

use super::inbox::Happening;
use super::{Core, Engine, Journal};
use crate::config::Durability;
use crate::server::keeper::Keeper;
use crate::store::{self, DataDirectory, Decision, Deliver, Walker, health::Shown, memory::Memory};
use lampyris_core::command::Command;
use mio::Events;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// How long what was read may take to be answered.
const FINISH_WITHIN: Duration = Duration::from_secs(5);
/// How long the store is tried to be opened again; the other process may still be dying.
const REOPEN_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks.
const STEP: Duration = Duration::from_millis(1);

/// A handover, as far as it concerns the engine.
pub(crate) struct Relief {
    /// Told when the store is closed, or why it is not.
    pub(crate) closed: Sender<anyhow::Result<()>>,
    /// What becomes of this process.
    pub(crate) verdict: Receiver<Verdict>,
}

/// What becomes of the old process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The other one serves.
    Leave,
    /// It failed.
    GoOn,
}

/// How the store was opened.
pub(crate) struct StorePlace {
    pub(crate) path: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) bytes_max: u64,
    pub(crate) walker: Option<Walker>,
    pub(crate) deliver: Deliver,
    pub(crate) health: Shown,
    /// Who makes its backups.
    pub(crate) keeper: Option<Arc<Keeper>>,
    /// The directory's lock, while it is ours.
    pub(crate) directory: Option<Arc<DataDirectory>>,
}

impl StorePlace {
    fn open(&mut self) -> anyhow::Result<Box<dyn Journal>> {
        let directory = Arc::new(DataDirectory::take(&self.path)?);
        let (walker, deliver, health) = (self.walker.as_ref(), self.deliver.clone(), self.health.clone());
        let opened = store::open(&directory, self.durability, self.bytes_max, walker, deliver, health)?;
        if let (Some(keeper), Some(shared)) = (&self.keeper, &opened.shared) {
            keeper.goes_on_with(shared);
        }
        self.directory = Some(directory);
        Ok(opened.journal)
    }
}

impl<C: Core> Engine<C> {
    /// Closes the store for the other process, and waits for how that goes; whether this one is to end.
    ///
    /// # Errors
    /// The other one failed, and the store cannot be opened again.
    pub(super) fn be_relieved(&mut self, Relief { closed, verdict }: Relief) -> anyhow::Result<bool> {
        self.finish();
        let outcome = self.close_store();
        let is_closed = outcome.is_ok();
        if let Err(error) = &outcome {
            tracing::error!(%error, "the store cannot be closed");
        }
        let _ = closed.send(outcome);
        // Why: until it is known who has the store nothing may be acknowledged, so the engine stands.
        let leaves = verdict.recv().is_ok_and(|verdict| verdict == Verdict::Leave) && is_closed;
        if leaves {
            return Ok(true);
        }
        let until = Instant::now() + REOPEN_WITHIN;
        let place = self.place.as_mut().ok_or_else(|| anyhow::anyhow!("there is no store"))?;
        self.journal = loop {
            match place.open() {
                Ok(journal) => break journal,
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        tracing::info!("the store is open again; everything goes on");
        while let Some(happening) = self.state.deferred.pop_front() {
            self.on_happening(happening);
        }
        self.state.inbox_left = true;
        Ok(false)
    }

    /// Does what was read, and waits until all of it is stored and has left.
    fn finish(&mut self) {
        let until = Instant::now() + FINISH_WITHIN;
        loop {
            self.inbox.hush();
            let mut is_idle = true;
            while let Some(happening) = self.inbox.take() {
                is_idle = false;
                self.on_happening(happening);
            }
            while !self.state.intake.is_empty() {
                is_idle = false;
                self.take_datagrams();
            }
            self.wire.flush();
            self.journal.flush();
            let is_quiet = self.state.undecided == 0 && self.state.hold.messages() == 0;
            if (is_idle && is_quiet && self.wire.is_drained()) || Instant::now() >= until {
                break;
            }
            // Why: a send buffer that was full has room again only by an event; and no event may be missed.
            let mut events = Events::with_capacity(64);
            if self.poll.poll(&mut events, Some(STEP)).is_ok() {
                self.note(&events);
            }
        }
        // Why: who has not answered yet is told again by the other process.
        self.command(Command::Leave);
    }

    fn close_store(&mut self) -> anyhow::Result<()> {
        let place = self.place.as_mut().ok_or_else(|| anyhow::anyhow!("there is no store"))?;
        let nothing: Box<dyn Journal> = Box::new(Memory::new(place.deliver.clone()));
        let closed = std::mem::replace(&mut self.journal, nothing).close();
        place.directory = None;
        // What the last commit decided leaves still; the node hears of it only if it goes on.
        self.inbox.hush();
        let mut deferred = VecDeque::new();
        while let Some(happening) = self.inbox.take() {
            if let Happening::Decided(decisions) = &happening {
                self.release(decisions);
            }
            deferred.push_back(happening);
        }
        self.state.deferred = deferred;
        self.wire.flush();
        Ok(closed?)
    }

    fn release(&mut self, decisions: &[Decision]) {
        for (ticket, result) in decisions {
            let wire = &mut self.wire;
            self.state.hold.decide(*ticket, result.is_ok(), &mut |flow, bytes| wire.send(flow, bytes));
        }
    }
}
