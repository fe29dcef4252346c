//! Handing a running server over to a new process: its sockets, its plain TCP connections, its store.
//!
//! ```text
//! old process                                  new process
//!   | starts it, with one end of a socket pair    |
//!   |                                             |  reads its configuration
//!   |<------------------------------------- ready |
//!   |  stops reading; answers what it has read    |
//!   |  closes the store                           |
//!   | listeners, connections, over -------------->|
//!   |                                             |  opens the store, restores, serves
//!   |<----------------------------------- serving |
//!   |  ends                                       |
//! ```
//! Until `serving` the old process keeps every socket open and every answer in memory: where the new one fails, at whatever
//! step, it opens the store again and goes on. Datagrams and connections that come meanwhile wait in the kernel. TLS and
//! WebSocket connections are bound to keys and state of the process, so they close with it, and their phones come back.
//!
//! [`wire`] is what the two say to each other, [`give`] the old side, [`take`] the new one.

pub(crate) mod give;
pub mod take;
mod wire;

use crate::config::Listen;
use lampyris_core::flow::{ListenerId, StreamId, Transport};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// A socket that was listened on.
#[derive(Debug)]
pub(crate) struct GivenListener {
    /// The old process's number of it.
    pub(crate) id: ListenerId,
    /// As it was configured.
    pub(crate) configured: Listen,
    /// As it is bound.
    pub(crate) local: SocketAddr,
    pub(crate) socket: OwnedFd,
}

/// A plain TCP connection.
#[derive(Debug)]
pub(crate) struct GivenStream {
    pub(crate) id: StreamId,
    pub(crate) transport: Transport,
    /// The old process's number of the listener that it belongs to.
    pub(crate) listener: ListenerId,
    pub(crate) remote: SocketAddr,
    /// The peer opened it.
    pub(crate) accepted: bool,
    /// The peer is somebody we serve.
    pub(crate) established: bool,
    /// The beginning of a message whose rest has not come yet.
    pub(crate) begun: Vec<u8>,
    pub(crate) socket: OwnedFd,
}
