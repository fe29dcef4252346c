//! Holding streams still, so that another process can take them over, or they go on as if nothing had been.
//!
//! In: [`Stillness::hold_all`]. Out: for each plain TCP stream what the other process needs ([`Held`]); from then on nothing
//! is read from it and nobody is accepted, until [`Stillness::go_on`]. What was read before is in the engine's inbox, and
//! what was written still leaves. Streams inside TLS, and WebSockets, cannot move: they are left alone.

use super::streams::{Connection, Control};
use crate::handover::GivenStream;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadHalf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// How long is waited for the next stream to hold still; a busy one first finishes what it is at.
const HOLD_WAIT: Duration = Duration::from_millis(500);

/// A stream that holds still.
pub(crate) struct Held {
    /// What another process needs of it; the listener is by its number.
    pub(crate) given: GivenStream,
    pub(crate) control: Arc<Control>,
}

type Collector = mpsc::UnboundedSender<Held>;

/// Whether streams are to hold still, and how many there are that can.
pub(crate) struct Stillness {
    wanted: watch::Sender<Option<Collector>>,
    portable: Arc<AtomicUsize>,
}

impl Default for Stillness {
    fn default() -> Self {
        Self { wanted: watch::Sender::new(None), portable: Arc::default() }
    }
}

impl Stillness {
    /// Stops reading and accepting; what holds still by now.
    pub(crate) async fn hold_all(&self) -> Vec<Held> {
        let (collector, mut collected) = mpsc::unbounded_channel();
        self.wanted.send_replace(Some(collector));
        let mut held = Vec::new();
        while held.len() < self.portable.load(Ordering::Acquire) {
            match timeout(HOLD_WAIT, collected.recv()).await {
                Ok(Some(stream)) => held.push(stream),
                Ok(None) | Err(_) => break,
            }
        }
        held
    }

    /// Reads and accepts again.
    pub(crate) fn go_on(&self) {
        self.wanted.send_replace(None);
    }

    /// Waits until somebody wants stillness, and then until nobody does any more: for who accepts.
    pub(super) async fn pass(&self) {
        let mut wanted = self.wanted.subscribe();
        let is_still = wanted.wait_for(Option::is_some).await.is_ok();
        if is_still {
            let _ = wanted.wait_for(Option::is_none).await;
        }
    }

    pub(super) fn of_stream(&self, read: &impl Portable) -> OfStream {
        let portable = read.is_portable().then(|| {
            self.portable.fetch_add(1, Ordering::AcqRel);
            self.portable.clone()
        });
        OfStream { wanted: self.wanted.subscribe(), portable }
    }
}

/// One stream's part.
pub(super) struct OfStream {
    wanted: watch::Receiver<Option<Collector>>,
    portable: Option<Arc<AtomicUsize>>,
}

impl Drop for OfStream {
    fn drop(&mut self) {
        if let Some(portable) = &self.portable {
            portable.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl OfStream {
    /// Waits until the stream is to hold still; for ever where it cannot.
    pub(super) async fn wanted(&mut self) -> Collector {
        if self.portable.is_some()
            && let Ok(wanted) = self.wanted.wait_for(Option::is_some).await
            && let Some(collector) = wanted.clone()
        {
            return collector;
        }
        std::future::pending().await
    }

    /// Says what there is of the stream, and waits until it may go on.
    pub(super) async fn hold(
        &mut self,
        connection: &Connection,
        read: &impl Portable,
        begun: Vec<u8>,
        collector: Collector,
    ) {
        if let Some(socket) = read.duplicate() {
            let control = connection.control.clone();
            let _ = collector.send(Held { given: connection.given(begun, socket), control });
        }
        drop(collector);
        let _ = self.wanted.wait_for(Option::is_none).await;
    }
}

/// The reading half of a stream, which may be one that another process can read on.
pub(super) trait Portable {
    /// Whether there is nothing between the socket and what is read.
    fn is_portable(&self) -> bool;
    /// The socket once more, where it is and the system has a descriptor left.
    fn duplicate(&self) -> Option<OwnedFd>;
}

impl Portable for OwnedReadHalf {
    fn is_portable(&self) -> bool {
        true
    }

    fn duplicate(&self) -> Option<OwnedFd> {
        self.as_ref().as_fd().try_clone_to_owned().ok()
    }
}

impl<T: AsyncRead> Portable for ReadHalf<T> {
    fn is_portable(&self) -> bool {
        false
    }

    fn duplicate(&self) -> Option<OwnedFd> {
        None
    }
}
