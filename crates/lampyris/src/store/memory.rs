//! `durability = "memory"`: nothing is kept, so every record is as durable as it will ever be when it is flushed.

use super::{Decision, Deliver, Journal, Loaded, StoreFault, Written};
use lampyris_core::journal::{Key, Kind, Record, Value};
use lampyris_core::output::Ticket;
use lampyris_core::time::UnixTime;

/// A journal without a store.
pub(crate) struct Memory {
    deliver: Deliver,
    waiting: Vec<Decision>,
    written: Written,
}

impl Memory {
    /// One that tells `deliver` its decisions.
    pub(crate) fn new(deliver: Deliver) -> Self {
        Self { deliver, waiting: Vec::new(), written: Written::default() }
    }
}

impl Journal for Memory {
    fn load(&mut self, _: Kind, _: UnixTime, _: &mut dyn FnMut(Key, Value)) -> Result<Loaded, StoreFault> {
        Ok(Loaded::default())
    }

    fn submit(&mut self, ticket: Ticket, _: Record) {
        self.waiting.push((ticket, Ok(())));
    }

    fn flush(&mut self) {
        if !self.waiting.is_empty() {
            self.written.records += u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
            self.written.commits += 1;
            (self.deliver)(std::mem::take(&mut self.waiting));
        }
    }

    fn written(&self) -> Written {
        self.written.clone()
    }

    fn close(mut self: Box<Self>) -> Result<(), StoreFault> {
        self.flush();
        Ok(())
    }
}
