//! The sockets of the simulated phones: many flows, one thread.
//!
//! In: messages to send, each on a flow. Out: what came, flow by flow. [`udp`] does it with the batches of the server's own
//! transport, [`stream`] over TCP, TLS and WebSocket.

pub(crate) mod stream;
pub(crate) mod udp;

use super::{BenchError, Target};
use bytes::Bytes;
use lampyris_core::flow::Transport;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::Duration;

/// All flows of the load.
pub(crate) trait Wire {
    /// How many there are; they are numbered from 0.
    fn flows(&self) -> usize;

    /// The address a flow has on this side.
    fn local(&self, flow: usize) -> SocketAddr;

    /// Takes a message to send on a flow; it leaves with the next `flush`.
    fn queue(&mut self, flow: usize, message: Bytes);

    /// Sends what was queued, as far as the system takes it.
    fn flush(&mut self) -> Result<(), BenchError>;

    /// Hands over what has come, a batch of each flow at most, waiting so long where there is nothing.
    fn receive(&mut self, wait: Duration, each: &mut dyn FnMut(usize, &[u8])) -> Result<(), BenchError>;
}

/// Opens so many flows to the server.
pub(crate) fn open(target: &Target, flows: usize) -> Result<Box<dyn Wire>, BenchError> {
    Ok(match target.server.transport {
        Transport::Udp => Box::new(udp::UdpWire::open(target.server.address, flows)?),
        _ => Box::new(stream::StreamWire::open(target, flows)?),
    })
}

/// The address of this machine from which the server is reached.
fn own_address(server: SocketAddr) -> io::Result<SocketAddr> {
    let any: SocketAddr = if server.is_ipv6() { ([0_u16; 8], 0).into() } else { ([0_u8; 4], 0).into() };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(server)?;
    let mut local = socket.local_addr()?;
    local.set_port(0);
    Ok(local)
}

/// Waits for the first event, to the microsecond.
///
/// Why: epoll counts in milliseconds, and at 100,000 NOTIFYs per second a millisecond is a burst of 100.
fn wait_for(poll: &mut mio::Poll, events: &mut mio::Events, wait: Duration) -> io::Result<()> {
    if !wait.is_zero() {
        wait_on(poll, wait)?;
    }
    match poll.poll(events, Some(Duration::ZERO)) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        other => other,
    }
}

#[allow(unsafe_code)]
fn wait_on(poll: &mio::Poll, wait: Duration) -> io::Result<()> {
    // SAFETY: the descriptor belongs to `poll`, which is borrowed for longer than this is used.
    let epoll = unsafe { BorrowedFd::borrow_raw(poll.as_raw_fd()) };
    let mut fds = [PollFd::new(epoll, PollFlags::POLLIN)];
    match ppoll(&mut fds, Some(TimeSpec::from_duration(wait)), None) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
