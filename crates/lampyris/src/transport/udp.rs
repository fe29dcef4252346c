//! A UDP listener, owned by the engine's thread.
//!
//! In: datagrams from the socket in batches, and messages to send. Out: the same the other way round. What the kernel
//! will not take yet waits in order, up to a bound; what it refuses is counted and dropped, as UDP allows.

use super::mmsg::{self, Buffers, Unsent};
use bytes::Bytes;
use lampyris_core::flow::ListenerId;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};

/// Wanted receive and send buffer of the kernel, in bytes.
const KERNEL_BUFFER_BYTES: usize = 4 << 20;
/// Most datagrams waiting for the kernel's send buffer; beyond, the oldest go.
const WAITING_MAX: usize = 8192;

/// A bound socket.
pub(crate) struct UdpListener {
    id: ListenerId,
    socket: mio::net::UdpSocket,
    /// Whether the last look left something to read, or may have.
    readable: bool,
    writable: bool,
    /// What was queued since the last flush.
    gathered: Vec<(SocketAddr, Bytes)>,
    waiting: VecDeque<(SocketAddr, Bytes)>,
    /// Whether datagrams to one address may go together.
    joins: bool,
    /// Where it is watched, and what for.
    watch: Option<(Registry, Token, Interest)>,
}

/// What one listener sent and could not send.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    /// Taken by the kernel.
    pub(crate) sent: u64,
    /// Refused, or dropped for want of room.
    pub(crate) failed: u64,
}

impl UdpListener {
    /// Binds, with large kernel buffers where the system allows them.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn bind(id: ListenerId, address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        enlarge(&socket, address);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(Self::from_socket(id, socket.into()))
    }

    /// A socket that is bound already and does not block.
    pub(crate) fn from_socket(id: ListenerId, socket: std::net::UdpSocket) -> Self {
        let socket = mio::net::UdpSocket::from_std(socket);
        let (gathered, waiting) = (Vec::new(), VecDeque::new());
        Self { id, socket, readable: true, writable: true, gathered, waiting, joins: false, watch: None }
    }

    /// From now on datagrams of one length to one address go together, where the kernel takes them so.
    pub(crate) fn join_datagrams(&mut self) {
        self.joins = mmsg::can_join(self.socket.as_fd());
    }

    /// The same socket once more, for another process.
    pub(crate) fn duplicate(&self) -> io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
    }

    /// Its id in flows.
    pub(crate) const fn id(&self) -> ListenerId {
        self.id
    }

    /// The address bound.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Watches the socket for what comes.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)?;
        self.watch = Some((registry.try_clone()?, token, Interest::READABLE));
        Ok(())
    }

    /// Watches for room to send only while something waits for it.
    ///
    /// Why: on the same machine each datagram that is taken makes room, and each would wake us.
    fn watch_for_room(&mut self) {
        let wanted = if self.writable { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
        let Some((registry, token, watched)) = &mut self.watch else { return };
        if *watched == wanted {
            return;
        }
        match registry.reregister(&mut self.socket, *token, wanted) {
            Ok(()) => *watched = wanted,
            // Why: nobody would say when there is room, so it is tried again at once.
            Err(error) => {
                tracing::warn!(%error, listener = self.id.0, "a UDP socket cannot be watched for room");
                self.writable = true;
            }
        }
    }

    /// Takes note of what epoll says; it says each thing once, so it is remembered.
    pub(crate) fn on_event(&mut self, event: &mio::event::Event) {
        self.readable |= event.is_readable() || event.is_error();
        self.writable |= event.is_writable();
    }

    /// Whether there may be more to read without waiting.
    pub(crate) const fn is_readable(&self) -> bool {
        self.readable
    }

    /// Whether there may be more to read or to write without waiting.
    pub(crate) fn is_busy(&self) -> bool {
        self.readable || (self.writable && !self.is_drained())
    }

    /// Whether everything queued has left.
    pub(crate) fn is_drained(&self) -> bool {
        self.waiting.is_empty() && self.gathered.is_empty()
    }

    /// Hands over at most one batch of datagrams.
    pub(crate) fn receive(&mut self, buffers: &mut Buffers, each: impl FnMut(SocketAddr, &[u8])) {
        if !self.readable {
            return;
        }
        match mmsg::receive(self.socket.as_fd(), buffers, each) {
            // Why: a short batch means the queue was empty, and epoll speaks again when it is not.
            Ok(count) => self.readable = count == mmsg::BATCH,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Why: an ICMP error of an earlier datagram shows here once; the socket is fine.
            Err(error) => {
                tracing::debug!(%error, listener = self.id.0, "a UDP socket reports an error");
            }
        }
    }

    /// Queues a datagram; it leaves with the next `flush`.
    pub(crate) fn queue(&mut self, remote: SocketAddr, bytes: Bytes) {
        self.gathered.push((remote, bytes));
    }

    /// Sends what waits, in batches, as far as the kernel takes it.
    pub(crate) fn flush(&mut self) -> Sent {
        let mut outcome = Sent::default();
        if self.joins {
            // Why: what goes to one address goes together, and responses have one length more often than not. Requests to
            // an address keep their order, and so do responses.
            self.gathered.sort_by_key(|(remote, bytes)| (*remote, !bytes.starts_with(b"SIP/2.0 ")));
        }
        self.waiting.extend(self.gathered.drain(..));
        // So many go one by one, since the path to them does not take them together.
        let mut apart = 0;
        while self.writable && !self.waiting.is_empty() {
            let most = if apart > 0 { apart } else { self.waiting.len() };
            let batch = self.waiting.iter().take(most).map(|(remote, bytes)| (*remote, &bytes[..]));
            match mmsg::send(self.socket.as_fd(), batch, self.joins && apart == 0) {
                Ok(count) => {
                    self.waiting.drain(..count.min(self.waiting.len()));
                    apart = apart.saturating_sub(count);
                    outcome.sent += count as u64;
                }
                Err(Unsent { error, .. }) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.writable = false
                }
                Err(Unsent { error, .. }) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(Unsent { together, .. }) if together > 1 => apart = together,
                Err(Unsent { error, .. }) => {
                    if let Some((remote, _)) = self.waiting.pop_front() {
                        tracing::debug!(%error, %remote, "a datagram cannot be sent");
                    }
                    apart = apart.saturating_sub(1);
                    outcome.failed += 1;
                }
            }
        }
        while self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
            outcome.failed += 1;
        }
        self.watch_for_room();
        outcome
    }
}

fn enlarge(socket: &Socket, address: SocketAddr) {
    use nix::sys::socket::{setsockopt, sockopt};
    // Why: the *FORCE options pass net.core.rmem_max, but only root may.
    if setsockopt(socket, sockopt::RcvBufForce, &KERNEL_BUFFER_BYTES).is_err() {
        let _ = socket.set_recv_buffer_size(KERNEL_BUFFER_BYTES);
    }
    if setsockopt(socket, sockopt::SndBufForce, &KERNEL_BUFFER_BYTES).is_err() {
        let _ = socket.set_send_buffer_size(KERNEL_BUFFER_BYTES);
    }
    // The kernel reports twice what it grants.
    if let Ok(bytes) = socket.recv_buffer_size()
        && bytes < KERNEL_BUFFER_BYTES
    {
        tracing::warn!(
            listener = %address, granted_bytes = bytes / 2, wanted_bytes = KERNEL_BUFFER_BYTES,
            "the receive buffer is small and bursts may be lost: raise net.core.rmem_max"
        );
    }
}

/// Whether a datagram is a keep-alive: nothing but CR, LF, NUL and blanks (RFC 5626 §3.5.1 and older habits).
pub(crate) fn is_keepalive(datagram: &[u8]) -> bool {
    datagram.len() <= 8 && datagram.iter().all(|b| matches!(b, b'\r' | b'\n' | 0 | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn keepalives_are_told_from_messages() {
        for (datagram, expected) in [
            (&b""[..], true),
            (b"\r\n", true),
            (b"\r\n\r\n", true),
            (b"\0\0\0\0", true),
            (b"A", false),
            (b"\r\nOPTIONS", false),
        ] {
            assert_eq!(is_keepalive(datagram), expected, "{datagram:?}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_counted_and_does_not_block_the_rest() {
        let mut listener =
            UdpListener::bind(ListenerId(0), "127.0.0.1:0".parse().expect("address")).expect("binds");
        let peer = UdpSocket::bind("127.0.0.1:0").expect("binds");
        let remote = peer.local_addr().expect("bound");
        listener.queue(remote, Bytes::from_static(b"one"));
        listener.queue(remote, Bytes::from(vec![b'x'; 70_000]));
        listener.queue(remote, Bytes::from_static(b"two"));
        let Sent { sent, failed } = listener.flush();
        assert_eq!((sent, failed), (2, 1));
        assert!(listener.is_drained());
        let mut buffer = [0; 16];
        let mut got = || peer.recv(&mut buffer).map(|n| buffer[..n].to_vec()).expect("arrives");
        assert_eq!((got(), got()), (b"one".to_vec(), b"two".to_vec()));
    }
}
