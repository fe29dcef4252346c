//! The new process's side of a handover: says that it is ready, takes what it is given, and says how it went.

use super::wire::{DESCRIPTORS_MAX, FromNew, FromOld, receive, send};
use super::{GivenListener, GivenStream};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long the old process may take for its part.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the old process has given, and the way to tell it how it went.
#[derive(Debug)]
pub struct Taken {
    pub(crate) listeners: Vec<GivenListener>,
    pub(crate) streams: Vec<GivenStream>,
    socket: UnixStream,
}

/// Tells the old process, at the other end of standard input, to hand over, and takes what it gives.
///
/// # Errors
/// Nobody is there, or it changed its mind.
pub fn take() -> io::Result<Taken> {
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    take_from(socket)
}

pub(super) fn take_from(mut socket: UnixStream) -> io::Result<Taken> {
    socket.set_read_timeout(Some(PATIENCE))?;
    send(&mut socket, &FromNew::Ready { version: env!("CARGO_PKG_VERSION").to_owned() }, &[])?;
    let (mut listeners, mut streams) = (Vec::new(), Vec::new());
    loop {
        let (said, descriptors) = receive::<FromOld>(&mut socket)?;
        match said {
            FromOld::Listener { id, configured, local } => {
                let sockets = descriptors.into_iter().take(1);
                listeners.extend(sockets.map(|socket| GivenListener {
                    id,
                    configured: configured.into(),
                    local,
                    socket,
                }));
            }
            FromOld::Streams(given) => {
                debug_assert!(given.len() <= DESCRIPTORS_MAX, "one message has no room for more");
                streams.extend(given.into_iter().zip(descriptors).map(|(stream, socket)| GivenStream {
                    id: stream.id,
                    transport: stream.transport,
                    listener: stream.listener,
                    remote: stream.remote,
                    accepted: stream.accepted,
                    established: stream.established,
                    begun: stream.begun,
                    socket,
                }));
            }
            FromOld::Over => return Ok(Taken { listeners, streams, socket }),
        }
    }
}

/// The way to tell the old process how it went.
pub struct Verdict(UnixStream);

impl Taken {
    /// Splits off the way to tell the old process how it went.
    pub(crate) fn split(self) -> (Vec<GivenListener>, Vec<GivenStream>, Verdict) {
        (self.listeners, self.streams, Verdict(self.socket))
    }
}

impl Verdict {
    /// We serve: the old process ends.
    pub fn serving(mut self, restored: u64) {
        if let Err(error) = send(&mut self.0, &FromNew::Serving { restored }, &[]) {
            tracing::warn!(%error, "the old process cannot be told that it is relieved");
        }
    }

    /// We cannot: the old process goes on.
    pub fn failed(mut self, text: &str) {
        // Why: if it cannot be told, it sees the end of the connection.
        let _ = send(&mut self.0, &FromNew::Failed { text: text.to_owned() }, &[]);
    }
}
