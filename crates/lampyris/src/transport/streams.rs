//! Streams: accepted and connected, over TCP, TLS and WebSocket.
//!
//! In: connections, messages from the engine. Out: `Opened` once a connection's handshakes are done, and `Closed` after the
//! last message of it; between them [`super::framed`] and [`super::ws`] put parsed messages into the engine's inbox.
//! Reading stops while the engine is behind. Who sends nothing, or half a message, or does not read what we write, is
//! closed after the times in [`Limits`] (security row 36); a peer that is served may be silent, and TCP keep-alive or
//! pings find out when it is gone. What a message means is not known here.

use super::admission::{Admission, Seat};
use super::framed;
use super::limits::{
    ACCEPT_BACK_OFF_MAX, ACCEPT_BACK_OFF_MIN, Limits, TCP_KEEPALIVE_EVERY, TCP_KEEPALIVE_IDLE,
};
use super::still::{OfStream, Portable, Stillness};
use super::tls::{KeyFiles, Keys, proved_names};
use super::ws;
use crate::engine::inbox::{Happening, Mailbox};
use crate::handover::GivenStream;
use bytes::Bytes;
use lampyris_core::flow::{ListenerId, StreamId, Transport};
use lampyris_core::hits::{Hits, Limit};
use lampyris_sip::{Message, ParseError};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::server::TlsStream;

/// What a reload can change for the connections that come after it.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// Where certificates are.
    pub(crate) files: KeyFiles,
    /// What was read of them; without it there is no TLS.
    pub(crate) keys: Option<Keys>,
    /// Origins whose pages may open WebSockets; where there is none, those of the host that is asked for.
    pub(crate) ws_origins: Arc<[String]>,
    /// Names that certificates of federated domains may prove.
    pub(crate) federated: Arc<[String]>,
}

impl PartialEq for Door {
    /// Configured alike; what was read may be of different times.
    fn eq(&self, other: &Self) -> bool {
        (&self.files, &self.ws_origins, &self.federated)
            == (&other.files, &other.ws_origins, &other.federated)
    }
}

/// What the engine and the tasks of one stream share.
#[derive(Default)]
pub(crate) struct Control {
    kill: Notify,
    killed: AtomicBool,
    established: AtomicBool,
    queued_bytes: AtomicUsize,
    /// The node was told that the peer reads slowly.
    blocked: AtomicBool,
    seat: OnceLock<Seat>,
}

impl Control {
    /// Ends the stream now, whatever waits.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.kill.notify_one();
    }

    /// Waits for [`Self::kill`]; for one waiter.
    pub(super) async fn killed(&self) {
        self.kill.notified().await;
    }

    /// The stream's seat, which is given back when nobody knows of the stream any more.
    pub(super) fn sit(&self, seat: Seat) {
        let _ = self.seat.set(seat);
    }

    /// Bytes that were written and have not left yet.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(Ordering::Acquire)
    }

    /// Whether the peer is served.
    pub(super) fn is_established(&self) -> bool {
        self.established.load(Ordering::Acquire)
    }

    #[cfg(test)]
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }
}

/// The engine's end of a stream. Dropping it closes the stream after what was written.
pub(crate) struct StreamWriter {
    queue: mpsc::UnboundedSender<Bytes>,
    control: Arc<Control>,
    bytes_max: usize,
    blocked_bytes: usize,
}

/// What one more message does to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// The peer keeps up.
    Free,
    /// From now on what need not be said waits, until the stream says [`Happening::Unblocked`].
    Blocked,
}

/// Why a message cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteFault {
    /// The stream has ended.
    Gone,
    /// The peer does not read.
    Full,
}

impl StreamWriter {
    /// Queues one message, behind all before it.
    pub(crate) fn write(&self, bytes: Bytes) -> Result<Pace, WriteFault> {
        let len = bytes.len();
        if self.control.queued_bytes.load(Ordering::Acquire).saturating_add(len) > self.bytes_max {
            return Err(WriteFault::Full);
        }
        let queued = self.control.queued_bytes.fetch_add(len, Ordering::AcqRel) + len;
        self.queue.send(bytes).map_err(|_| WriteFault::Gone)?;
        if queued <= self.blocked_bytes || self.control.blocked.swap(true, Ordering::AcqRel) {
            return Ok(Pace::Free);
        }
        // Why: all may have been written meanwhile, and then nobody would say that it was.
        let is_read = self.control.queued_bytes.load(Ordering::Acquire) <= self.blocked_bytes / 2;
        let is_free = is_read && self.control.blocked.swap(false, Ordering::AcqRel);
        Ok(if is_free { Pace::Free } else { Pace::Blocked })
    }

    /// The peer is served: it may be silent from now on, and is not shed.
    pub(crate) fn establish(&self) {
        if !self.control.established.swap(true, Ordering::AcqRel)
            && let Some(seat) = self.control.seat.get()
        {
            seat.establish();
        }
    }

    /// Ends the stream now.
    pub(crate) fn kill(&self) {
        self.control.kill();
    }
}

/// All streams: makes them and gives them their numbers.
pub(crate) struct Streams {
    runtime: Handle,
    mailbox: Mailbox,
    limits: Limits,
    hits: Arc<Hits>,
    admission: Arc<Admission>,
    unhandled: Arc<Semaphore>,
    next: AtomicU64,
    door: RwLock<Door>,
    pub(crate) stillness: Stillness,
}

impl Streams {
    /// No streams yet. `started_ms`, the wall time, keeps the ids apart from those of earlier processes, which stored
    /// records may name.
    pub(crate) fn new(
        runtime: Handle,
        mailbox: Mailbox,
        (limits, hits): (Limits, Arc<Hits>),
        started_ms: u64,
        door: Door,
    ) -> Arc<Self> {
        // Invariant: ids given out here lack the highest bit, those the node chooses for `Connect` have it.
        let first = (started_ms & ((1 << 43) - 1)) << 20;
        Arc::new(Self {
            runtime,
            mailbox,
            admission: Admission::new(limits.seats, hits.clone()),
            hits,
            unhandled: Arc::new(Semaphore::new(limits.unhandled)),
            limits,
            next: AtomicU64::new(first),
            door: RwLock::new(door),
            stillness: Stillness::default(),
        })
    }

    /// What holds for connections from now on; those that are open stay as they are.
    pub(crate) fn set_door(&self, door: Door) {
        *self.door.write().unwrap_or_else(PoisonError::into_inner) = door;
    }

    /// What holds for connections now.
    pub(crate) fn door(&self) -> Door {
        self.door.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Accepts on a bound socket until the runtime ends.
    pub(crate) fn listen(
        self: &Arc<Self>,
        listener: ListenerId,
        transport: Transport,
        socket: std::net::TcpListener,
    ) -> std::io::Result<()> {
        let _in_runtime = self.runtime.enter();
        let socket = TcpListener::from_std(socket)?;
        let streams = self.clone();
        self.runtime.spawn(async move {
            let mut back_off = ACCEPT_BACK_OFF_MIN;
            loop {
                let accepted = tokio::select! {
                    accepted = socket.accept() => accepted,
                    () = streams.stillness.pass() => continue,
                };
                match accepted {
                    Ok((stream, remote)) => {
                        back_off = ACCEPT_BACK_OFF_MIN;
                        streams.accepted(listener, transport, stream, remote);
                    }
                    Err(error) => {
                        if back_off == ACCEPT_BACK_OFF_MIN {
                            tracing::warn!(%error, "streams cannot be accepted");
                        }
                        if is_out_of_descriptors(&error) {
                            streams.hits.add(Limit::Descriptors);
                            streams.admission.make_room();
                        }
                        // Why: the socket stays readable, so without a pause this would be a busy loop.
                        tokio::time::sleep(back_off).await;
                        back_off = (back_off * 2).min(ACCEPT_BACK_OFF_MAX);
                    }
                }
            }
        });
        Ok(())
    }

    fn accepted(
        self: &Arc<Self>,
        listener: ListenerId,
        transport: Transport,
        stream: TcpStream,
        remote: SocketAddr,
    ) {
        let control = Arc::new(Control::default());
        let Some(seat) = self.admission.admit(remote.ip(), &control) else {
            tracing::debug!(%remote, "a stream is refused: too many");
            return;
        };
        control.sit(seat);
        let id = StreamId(self.next.fetch_add(1, Ordering::Relaxed));
        let streams = self.clone();
        let begun = Vec::new();
        let connection =
            Connection { id, transport, listener, remote, control, accepted: true, begun, streams };
        self.runtime.spawn(connection.welcome(stream));
    }

    /// Opens a stream under the node's id; what is written meanwhile waits. Over TLS the peer must prove to be `name`.
    pub(crate) fn connect(
        self: &Arc<Self>,
        id: StreamId,
        transport: Transport,
        listener: ListenerId,
        remote: SocketAddr,
        name: &str,
    ) -> StreamWriter {
        let control = Arc::new(Control::default());
        // Why: we chose this peer, so it is no stranger.
        control.established.store(true, Ordering::Release);
        let streams = self.clone();
        let begun = Vec::new();
        let connection =
            Connection { id, transport, listener, remote, control, accepted: false, begun, streams };
        let (writer, written) = connection.writer();
        self.runtime.spawn(connection.reach(name.to_owned(), written));
        writer
    }
}

impl Streams {
    /// Goes on with a stream of the process before, known by the same id; the way to write to it.
    pub(crate) fn go_on_with(
        self: &Arc<Self>,
        listener: ListenerId,
        given: GivenStream,
    ) -> io::Result<StreamWriter> {
        let GivenStream { id, transport, remote, accepted, established, begun, socket, .. } = given;
        if accepted {
            // Why: ids are counted on from where the process before was, even if the clock was set back since.
            self.next.fetch_max(id.0.saturating_add(1), Ordering::Relaxed);
        }
        let socket = std::net::TcpStream::from(socket);
        socket.set_nonblocking(true)?;
        let stream = TcpStream::from_std(socket)?;
        let control = Arc::new(Control::default());
        if accepted && let Some(seat) = self.admission.admit(remote.ip(), &control) {
            control.sit(seat);
        }
        let streams = self.clone();
        let connection = Connection { id, transport, listener, remote, control, accepted, begun, streams };
        let (writer, written) = connection.writer();
        if established {
            writer.establish();
        }
        self.runtime.spawn(async move {
            let (read, write) = stream.into_split();
            framed::serve(&connection, read, write, written).await;
        });
        Ok(writer)
    }
}

/// One stream.
pub(super) struct Connection {
    id: StreamId,
    transport: Transport,
    listener: ListenerId,
    pub(super) remote: SocketAddr,
    pub(super) control: Arc<Control>,
    /// The peer opened it.
    pub(super) accepted: bool,
    /// The beginning of a message that the process before has read.
    pub(super) begun: Vec<u8>,
    streams: Arc<Streams>,
}

/// Why a stream ended.
pub(super) enum End {
    /// The peer closed it; what is queued for it may still be wanted.
    ByPeer,
    /// We closed it, or it is broken.
    Broken(&'static str),
}

impl Connection {
    /// Serves a stream that the peer opened.
    async fn welcome(self, stream: TcpStream) {
        prepare(&stream);
        match self.transport {
            // A datagram is no stream; nothing listens for one here.
            Transport::Udp => {}
            Transport::Tcp => {
                let Some(written) = self.open() else { return };
                let (read, write) = stream.into_split();
                framed::serve(&self, read, write, written).await;
            }
            Transport::Tls => {
                let Some(stream) = self.secured(stream).await else { return };
                let chain = stream.get_ref().1.peer_certificates();
                let names = proved_names(chain, &self.streams.door().federated);
                let Some(written) = self.open() else { return };
                if !names.is_empty() {
                    self.streams.mailbox.put(Happening::Proved { id: self.id, names });
                }
                let (read, write) = tokio::io::split(stream);
                framed::serve(&self, read, write, written).await;
            }
            Transport::Ws => ws::serve(&self, stream).await,
            Transport::Wss => {
                let Some(stream) = self.secured(stream).await else { return };
                ws::serve(&self, stream).await;
            }
        }
    }

    /// The peer's side of TLS, done.
    async fn secured(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let keys = self.streams.door().keys?;
        self.in_time(self.limits().tls_handshake, keys.accept(stream)).await
    }

    /// Connects to the peer and serves the stream.
    async fn reach(self, name: String, written: mpsc::UnboundedReceiver<Bytes>) {
        let limits = *self.limits();
        let Some(stream) = self.in_time(limits.connect, TcpStream::connect(self.remote)).await else {
            self.streams.mailbox.put(Happening::Closed { id: self.id });
            return;
        };
        prepare(&stream);
        if self.transport == Transport::Tcp {
            self.tell_opened(None);
            let (read, write) = stream.into_split();
            return framed::serve(&self, read, write, written).await;
        }
        let secured = match self.streams.door().keys {
            Some(keys) => self.in_time(limits.tls_handshake, keys.connect(&name, stream)).await,
            None => None,
        };
        let Some(stream) = secured else {
            self.streams.mailbox.put(Happening::Closed { id: self.id });
            return;
        };
        self.tell_opened(None);
        let (read, write) = tokio::io::split(stream);
        framed::serve(&self, read, write, written).await;
    }

    /// A step on the way to an open stream: `None` where it fails, takes too long, or the stream is killed meanwhile.
    pub(super) async fn in_time<T>(
        &self,
        patience: Duration,
        step: impl Future<Output = io::Result<T>>,
    ) -> Option<T> {
        let (remote, transport) = (self.remote, self.transport);
        tokio::select! {
            done = timeout(patience, step) => match done {
                Ok(Ok(done)) => Some(done),
                Ok(Err(error)) => {
                    tracing::debug!(%remote, %transport, %error, "no connection");
                    None
                }
                Err(_) => {
                    if self.accepted {
                        self.hit(Limit::Deadlines);
                    }
                    tracing::debug!(%remote, %transport, "no connection in time");
                    None
                }
            },
            () = self.control.killed() => None,
        }
    }

    /// Its part in holding still.
    pub(super) fn stillness(&self, read: &impl Portable) -> OfStream {
        self.streams.stillness.of_stream(read)
    }

    /// What another process needs of it, with its socket; the listener's address is the caller's to say.
    pub(super) fn given(&self, begun: Vec<u8>, socket: OwnedFd) -> GivenStream {
        let Self { id, transport, listener, remote, accepted, .. } = *self;
        let established = self.control.is_established();
        GivenStream { id, transport, listener, remote, accepted, established, begun, socket }
    }

    fn writer(&self) -> (StreamWriter, mpsc::UnboundedReceiver<Bytes>) {
        let (queue, written) = mpsc::unbounded_channel();
        let Limits { write_buffer_bytes: bytes_max, write_blocked_bytes: blocked_bytes, .. } = *self.limits();
        (StreamWriter { queue, control: self.control.clone(), bytes_max, blocked_bytes }, written)
    }

    /// Tells the engine of a stream that the peer opened; what it writes. `None` where the engine is gone.
    pub(super) fn open(&self) -> Option<mpsc::UnboundedReceiver<Bytes>> {
        let (writer, written) = self.writer();
        self.tell_opened(Some(writer)).then_some(written)
    }

    fn tell_opened(&self, writer: Option<StreamWriter>) -> bool {
        let Self { id, transport, listener, remote, .. } = *self;
        self.streams.mailbox.put(Happening::Opened { id, transport, listener, remote, writer })
    }

    /// Counts what the stream writes.
    pub(super) fn meter(&self) -> Meter {
        let (id, control, mailbox) = (self.id, self.control.clone(), self.streams.mailbox.clone());
        let hits = self.streams.hits.clone();
        Meter { id, control, mailbox, hits, free_bytes: self.limits().write_blocked_bytes / 2 }
    }

    /// A limit of the stream was hit.
    pub(super) fn hit(&self, limit: Limit) {
        self.streams.hits.add(limit);
    }

    /// Tells the engine that the stream has ended.
    pub(super) fn close(&self, end: &End) {
        self.streams.mailbox.put(Happening::Closed { id: self.id });
        if let End::Broken(why) = end {
            tracing::debug!(remote = %self.remote, why, "a stream ends");
        }
    }

    /// Whose pages may open WebSockets now.
    pub(super) fn ws_origins(&self) -> Arc<[String]> {
        self.streams.door().ws_origins
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.streams.limits
    }

    /// By when a peer between two messages must say something, and what it is called that does not.
    pub(super) fn idle_deadline(
        &self,
        opened: Instant,
        last_message: Option<Instant>,
    ) -> Option<(Instant, &'static str)> {
        if self.control.is_established() {
            return None;
        }
        match last_message {
            Some(last) => Some((last + self.limits().stranger_idle, "a silent stranger")),
            None => self.accepted.then(|| (opened + self.limits().first, "nothing said")),
        }
    }

    /// Gives a message to the engine, when it is not behind; `false` where it is gone.
    pub(super) async fn hand_over(&self, bytes: Bytes, message: Result<Message, ParseError>) -> bool {
        let (message, at) = (Box::new(message), std::time::Instant::now());
        let Ok(permit) = self.streams.unhandled.clone().acquire_owned().await else { return false };
        let Self { id, remote, .. } = *self;
        self.streams.mailbox.put(Happening::Received { id, remote, bytes, message, at, permit })
    }
}

/// Counts what one stream has written, and tells the engine when a slow peer has caught up.
pub(super) struct Meter {
    id: StreamId,
    control: Arc<Control>,
    mailbox: Mailbox,
    hits: Arc<Hits>,
    free_bytes: usize,
}

impl Meter {
    /// So many bytes were written.
    pub(super) fn wrote(&self, bytes: usize) {
        let queued = self.control.queued_bytes.fetch_sub(bytes, Ordering::AcqRel).saturating_sub(bytes);
        if queued <= self.free_bytes && self.control.blocked.swap(false, Ordering::AcqRel) {
            self.mailbox.put(Happening::Unblocked { id: self.id });
        }
    }

    /// The peer did not read for too long.
    pub(super) fn stalled(&self) {
        self.hits.add(Limit::WriteBuffer);
    }

    /// Ends the stream now.
    pub(super) fn kill(&self) {
        self.control.kill();
    }
}

/// Whether an error says that there are no descriptors left.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    [nix::libc::EMFILE, nix::libc::ENFILE].into_iter().any(|code| error.raw_os_error() == Some(code))
}

/// Sets what every connection has.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(TCP_KEEPALIVE_IDLE).with_interval(TCP_KEEPALIVE_EVERY);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// Waits for the deadline, for ever where there is none, and returns what has lapsed.
pub(super) async fn lapse(deadline: Option<(Instant, &'static str)>) -> &'static str {
    match deadline {
        Some((at, why)) => {
            sleep_until(at).await;
            why
        }
        None => std::future::pending().await,
    }
}
