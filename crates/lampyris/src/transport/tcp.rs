//! SIP over TCP: accepted and connected streams, each read by one task and written by another.
//!
//! In: bytes from peers, messages from the engine. Out: framed, parsed messages into the engine's inbox, in order;
//! `Opened` before the first and `Closed` after the last. Reading stops while the engine is behind. Who sends nothing,
//! or half a message, or does not read what we write, is closed after the times in [`Limits`] (security row 36); a peer
//! that is served may be silent, and TCP keep-alive finds out when it is gone. What a message means is not known here.

use super::admission::{Admission, Seat, Seats};
use crate::engine::inbox::{Happening, Mailbox};
use bytes::{Bytes, BytesMut};
use lampyris_core::flow::{ListenerId, StreamId, Transport};
use lampyris_core::limits;
use lampyris_sip::{Frame, Framer, Message, ParseError};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

/// Most messages written with one system call.
const WRITE_BATCH: usize = 32;

/// How long peers may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From accepting to the first byte.
    pub(crate) first: Duration,
    /// From a message's first byte to its last.
    pub(crate) whole: Duration,
    /// Between the messages of a stranger.
    pub(crate) stranger_idle: Duration,
    /// For a peer to read what is being written.
    pub(crate) write_stall: Duration,
    /// For a connection to come up.
    pub(crate) connect: Duration,
    /// Bytes that may wait for one peer to read them.
    pub(crate) write_buffer_bytes: usize,
    /// Messages read from all streams that the engine has not handled yet.
    pub(crate) unhandled: usize,
    /// How many streams.
    pub(crate) seats: Seats,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            whole: Duration::from_secs(10),
            stranger_idle: Duration::from_secs(30),
            write_stall: Duration::from_secs(10),
            connect: Duration::from_secs(10),
            write_buffer_bytes: 1 << 20,
            unhandled: 1024,
            seats: Seats::default(),
        }
    }
}

/// What the engine and the tasks of one stream share.
#[derive(Default)]
pub(crate) struct Control {
    kill: Notify,
    killed: AtomicBool,
    established: AtomicBool,
    queued_bytes: AtomicUsize,
    seat: OnceLock<Seat>,
}

impl Control {
    /// Ends the stream now, whatever waits.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.kill.notify_one();
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
    pub(crate) fn write(&self, bytes: Bytes) -> Result<(), WriteFault> {
        let len = bytes.len();
        if self.control.queued_bytes.load(Ordering::Acquire).saturating_add(len) > self.bytes_max {
            return Err(WriteFault::Full);
        }
        self.control.queued_bytes.fetch_add(len, Ordering::AcqRel);
        self.queue.send(bytes).map_err(|_| WriteFault::Gone)
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
    admission: Arc<Admission>,
    unhandled: Arc<Semaphore>,
    next: AtomicU64,
}

impl Streams {
    /// No streams yet. `started_ms`, the wall time, keeps the ids apart from those of earlier processes, which stored
    /// records may name.
    pub(crate) fn new(runtime: Handle, mailbox: Mailbox, limits: Limits, started_ms: u64) -> Arc<Self> {
        // Invariant: ids given out here lack the highest bit, those the node chooses for `Connect` have it.
        let first = (started_ms & ((1 << 43) - 1)) << 20;
        Arc::new(Self {
            runtime,
            mailbox,
            admission: Admission::new(limits.seats),
            unhandled: Arc::new(Semaphore::new(limits.unhandled)),
            limits,
            next: AtomicU64::new(first),
        })
    }

    /// Accepts on a bound socket until the runtime ends.
    pub(crate) fn listen(
        self: &Arc<Self>,
        listener: ListenerId,
        socket: std::net::TcpListener,
    ) -> std::io::Result<()> {
        let _in_runtime = self.runtime.enter();
        let socket = TcpListener::from_std(socket)?;
        let streams = self.clone();
        self.runtime.spawn(async move {
            loop {
                match socket.accept().await {
                    Ok((stream, remote)) => streams.accepted(listener, stream, remote),
                    Err(error) => {
                        // Why: without a pause, running out of descriptors would make this a busy loop.
                        tracing::warn!(%error, "a stream cannot be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        });
        Ok(())
    }

    fn accepted(self: &Arc<Self>, listener: ListenerId, stream: TcpStream, remote: SocketAddr) {
        let control = Arc::new(Control::default());
        let Some(seat) = self.admission.admit(remote.ip(), &control) else {
            tracing::debug!(%remote, "a stream is refused: too many");
            return;
        };
        let _ = control.seat.set(seat);
        let id = StreamId(self.next.fetch_add(1, Ordering::Relaxed));
        let (queue, written) = mpsc::unbounded_channel();
        let writer =
            StreamWriter { queue, control: control.clone(), bytes_max: self.limits.write_buffer_bytes };
        let opened =
            Happening::Opened { id, transport: Transport::Tcp, listener, remote, writer: Some(writer) };
        if self.mailbox.put(opened) {
            let connection = Connection { id, remote, control, accepted: true, streams: self.clone() };
            self.runtime.spawn(connection.serve(stream, written));
        }
    }

    /// Opens a stream under the node's id; what is written meanwhile waits.
    pub(crate) fn connect(
        self: &Arc<Self>,
        id: StreamId,
        listener: ListenerId,
        remote: SocketAddr,
    ) -> StreamWriter {
        let control = Arc::new(Control::default());
        // Why: we chose this peer, so it is no stranger.
        control.established.store(true, Ordering::Release);
        let (queue, written) = mpsc::unbounded_channel();
        let writer =
            StreamWriter { queue, control: control.clone(), bytes_max: self.limits.write_buffer_bytes };
        let connection = Connection { id, remote, control, accepted: false, streams: self.clone() };
        self.runtime.spawn(async move {
            let streams = connection.streams.clone();
            let connected = tokio::select! {
                connected = timeout(streams.limits.connect, TcpStream::connect(remote)) => connected,
                () = connection.control.kill.notified() => {
                    streams.mailbox.put(Happening::Closed { id });
                    return;
                }
            };
            match connected {
                Ok(Ok(stream)) => {
                    streams.mailbox.put(Happening::Opened {
                        id,
                        transport: Transport::Tcp,
                        listener,
                        remote,
                        writer: None,
                    });
                    connection.serve(stream, written).await;
                }
                Ok(Err(error)) => {
                    tracing::debug!(%remote, %error, "no connection");
                    streams.mailbox.put(Happening::Closed { id });
                }
                Err(_) => {
                    tracing::debug!(%remote, "no connection in time");
                    streams.mailbox.put(Happening::Closed { id });
                }
            }
        });
        writer
    }
}

/// One stream.
struct Connection {
    id: StreamId,
    remote: SocketAddr,
    control: Arc<Control>,
    accepted: bool,
    streams: Arc<Streams>,
}

/// Why a stream ended.
enum End {
    /// The peer closed it; what is queued for it may still be wanted.
    ByPeer,
    /// We closed it, or it is broken.
    Broken(&'static str),
}

impl Connection {
    async fn serve(self, stream: TcpStream, written: mpsc::UnboundedReceiver<Bytes>) {
        let _ = stream.set_nodelay(true);
        let keepalive =
            TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        let (read, write) = stream.into_split();
        // Pongs come from the reader and must not split a message, so they go through a queue too.
        let (pong, pongs) = mpsc::channel(4);
        let limits = self.streams.limits;
        let writer = tokio::spawn(write_all(write, written, pongs, self.control.clone(), limits.write_stall));
        let end = tokio::select! {
            end = self.read_all(read, pong) => end,
            () = self.control.kill.notified() => End::Broken("closed by us"),
        };
        self.streams.mailbox.put(Happening::Closed { id: self.id });
        if let End::Broken(why) = end {
            tracing::debug!(remote = %self.remote, why, "a stream ends");
            writer.abort();
        }
    }

    async fn read_all(&self, read: OwnedReadHalf, pong: mpsc::Sender<()>) -> End {
        let patience = &self.streams.limits;
        let (head_max, body_max) = (limits::MESSAGE_BYTES_MAX, limits::BODY_BYTES_MAX);
        let mut framer = if self.accepted {
            Framer::new(head_max, body_max)
        } else {
            Framer::for_opened_flow(head_max, body_max)
        };
        let mut last_message = None;
        let mut begun: Option<Instant> = None;
        let opened = Instant::now();
        loop {
            let deadline = match (begun, last_message) {
                (Some(begun), _) => Some((begun + patience.whole, "half a message")),
                _ if self.control.established.load(Ordering::Acquire) => None,
                (None, Some(last)) => Some((last + patience.stranger_idle, "a silent stranger")),
                (None, None) if self.accepted => Some((opened + patience.first, "nothing said")),
                (None, None) => None,
            };
            tokio::select! {
                ready = read.readable() => if ready.is_err() { return End::Broken("reset") },
                why = lapse(deadline) => {
                    // Why: served meanwhile, so the stranger's deadline no longer holds.
                    if begun.is_none() && self.control.established.load(Ordering::Acquire) {
                        continue;
                    }
                    return End::Broken(why);
                }
            }
            match take(&read, &mut framer) {
                Ok(0) => return End::ByPeer,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => return End::Broken("reset"),
            }
            while let Some(frame) = framer.next_frame() {
                match frame {
                    Ok(Frame::Ping) => {
                        // Why: a peer that pings without reading the pongs gets no more of them.
                        let _ = pong.try_send(());
                    }
                    Ok(Frame::Pong) => {}
                    Ok(Frame::Message(bytes)) => {
                        last_message = Some(Instant::now());
                        if !self.hand_over(bytes.clone(), Message::parse(bytes)).await {
                            return End::Broken("stopping");
                        }
                    }
                    Err(error) => {
                        tracing::debug!(remote = %self.remote, %error, "no SIP on a stream");
                        // The node may answer what can be answered; then the stream goes (RFC 3261 §18.3).
                        self.hand_over(error.head.clone(), Err(error.into_parse_error())).await;
                        return End::ByPeer;
                    }
                }
            }
            begun = if framer.pending_bytes() > 0 { begun.or_else(|| Some(Instant::now())) } else { None };
        }
    }

    async fn hand_over(&self, bytes: Bytes, message: Result<Message, ParseError>) -> bool {
        let message = Box::new(message);
        let Ok(permit) = self.streams.unhandled.clone().acquire_owned().await else { return false };
        self.streams.mailbox.put(Happening::Received {
            id: self.id,
            remote: self.remote,
            bytes,
            message,
            permit,
        })
    }
}

/// Takes what is there. The buffer is on the stack, so that a silent stream costs none.
fn take(read: &OwnedReadHalf, framer: &mut Framer) -> io::Result<usize> {
    let mut chunk = [0; 16 * 1024];
    let len = read.try_read(&mut chunk)?;
    framer.push(chunk.get(..len).unwrap_or_default());
    Ok(len)
}

/// Waits for the deadline, for ever where there is none, and returns what has lapsed.
async fn lapse(deadline: Option<(Instant, &'static str)>) -> &'static str {
    match deadline {
        Some((at, why)) => {
            sleep_until(at).await;
            why
        }
        None => std::future::pending().await,
    }
}

/// Writes what is queued, in order, until the engine lets go of the stream; then closes it.
async fn write_all(
    mut write: OwnedWriteHalf,
    mut messages: mpsc::UnboundedReceiver<Bytes>,
    mut pongs: mpsc::Receiver<()>,
    control: Arc<Control>,
    stall: Duration,
) {
    let (mut batch, mut together) = (Vec::with_capacity(WRITE_BATCH), BytesMut::new());
    loop {
        let pong = tokio::select! {
            biased;
            count = messages.recv_many(&mut batch, WRITE_BATCH) => if count == 0 { break } else { false },
            Some(()) = pongs.recv() => true,
        };
        let queued: usize = batch.iter().map(Bytes::len).sum();
        // Why: a system call and a packet for each of many small messages cost more than copying them together.
        let result = match &batch[..] {
            _ if pong => timeout(stall, write.write_all(b"\r\n")).await,
            [one] => timeout(stall, write.write_all(one)).await,
            many => {
                together.clear();
                many.iter().for_each(|bytes| together.extend_from_slice(bytes));
                timeout(stall, write.write_all(&together)).await
            }
        };
        batch.clear();
        control.queued_bytes.fetch_sub(queued, Ordering::AcqRel);
        if !matches!(result, Ok(Ok(()))) {
            break;
        }
    }
    let _ = timeout(stall, write.shutdown()).await;
    control.kill();
}
