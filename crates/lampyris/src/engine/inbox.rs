//! What the other threads tell the engine: one channel, and a waker that is rung once however much was put in.

use crate::admin::protocol::Counters;
use crate::engine::relief::Relief;
use crate::engine::tap::{Tap, Told};
use crate::store::Decision;
use crate::transport::streams::StreamWriter;
use bytes::Bytes;
use lampyris_core::command::{Command, Reply};
use lampyris_core::flow::{ListenerId, StreamId, Transport};
use lampyris_core::input::{DnsAnswer, QueryId};
use lampyris_sip::{Message, ParseError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Something for the engine.
pub(crate) enum Happening {
    /// A stream was accepted, with the way to write to it; or, with none, one the engine asked for is connected.
    Opened {
        id: StreamId,
        transport: Transport,
        listener: ListenerId,
        remote: SocketAddr,
        writer: Option<StreamWriter>,
    },
    /// The certificate of who opened a stream is for these of the configured names.
    Proved { id: StreamId, names: Vec<String> },
    /// A message came in on a stream. The permit is given back once it is handled, and lets the next one be read.
    Received {
        id: StreamId,
        remote: SocketAddr,
        bytes: Bytes,
        message: Box<Result<Message, ParseError>>,
        /// When it was read.
        at: std::time::Instant,
        permit: OwnedSemaphorePermit,
    },
    /// A stream is gone, or could not be connected. The last thing said of it.
    Closed { id: StreamId },
    /// A peer that read slowly has caught up.
    Unblocked { id: StreamId },
    /// DNS answered.
    Resolved { query: QueryId, answer: DnsAnswer },
    /// The store decided.
    Decided(Vec<Decision>),
    /// An administrator asks.
    Command(Command, oneshot::Sender<Reply>),
    /// As a command that changes nothing; with the answer comes the number of the last event it includes.
    Snapshot(Command, oneshot::Sender<(u64, Reply)>),
    /// An administrator wants to see messages.
    Tap(Tap),
    /// Where events go from now on.
    Feed(tokio::sync::mpsc::Sender<Told>),
    /// An administrator wants nobody to see messages any more; how many did?
    DebugOff(oneshot::Sender<usize>),
    /// What was counted?
    Counters(oneshot::Sender<Counters>),
    /// Stop gracefully.
    Stop,
    /// Close the store for another process.
    Relieve(Relief),
}

/// The sending end; any thread may have one.
#[derive(Clone)]
pub(crate) struct Mailbox {
    sender: Sender<Happening>,
    ring: Arc<Ring>,
}

/// The receiving end, the engine's.
pub(crate) struct Inbox {
    receiver: Receiver<Happening>,
    ring: Arc<Ring>,
}

struct Ring {
    rung: AtomicBool,
    waiting: AtomicUsize,
    waker: mio::Waker,
}

/// Both ends.
pub(crate) fn inbox(waker: mio::Waker) -> (Mailbox, Inbox) {
    let (sender, receiver) = mpsc::channel();
    let ring = Arc::new(Ring { rung: AtomicBool::new(false), waiting: AtomicUsize::new(0), waker });
    (Mailbox { sender, ring: ring.clone() }, Inbox { receiver, ring })
}

impl Mailbox {
    /// Puts something in; returns `false` when the engine is gone.
    pub(crate) fn put(&self, happening: Happening) -> bool {
        self.ring.waiting.fetch_add(1, Ordering::Relaxed);
        let put = self.sender.send(happening).is_ok();
        // Why: waking is a system call, and one wakes the engine for everything that is in by then.
        if put && !self.ring.rung.swap(true, Ordering::AcqRel) {
            let _ = self.ring.waker.wake();
        }
        put
    }
}

impl Inbox {
    /// To be called before taking: what is put in afterwards rings again.
    pub(crate) fn hush(&self) {
        self.ring.rung.store(false, Ordering::Release);
    }

    /// The next thing, if there is one.
    pub(crate) fn take(&self) -> Option<Happening> {
        let taken = self.receiver.try_recv().ok();
        if taken.is_some() {
            self.ring.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }

    /// How many things wait.
    pub(crate) fn waiting(&self) -> usize {
        self.ring.waiting.load(Ordering::Relaxed)
    }
}
