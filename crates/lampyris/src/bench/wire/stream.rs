//! Phones over TCP, TLS and WebSocket: each flow a connection of its own, opened before the load begins.
//!
//! Connections are made one after the other and blocking; from then on nothing blocks. SIP on bytes is framed by
//! Content-Length (RFC 3261 §18.3), on a WebSocket by its messages (RFC 7118). A connection that ends ends the benchmark:
//! what a server does with broken flows is not what is measured here.

use super::{Wire, wait_for};
use crate::bench::limits::{CONNECT, HEAD_BYTES_MAX, STREAM_BODY_BYTES_MAX};
use crate::bench::{BenchError, Target};
use crate::transport::tls;
use bytes::Bytes;
use lampyris_core::flow::Transport;
use lampyris_sip::{Frame, Framer};
use mio::{Events, Interest, Poll, Token};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// Most bytes taken from one connection before the next has its turn.
const READ_BYTES: usize = 64 * 1024;

/// A byte stream, plain or inside TLS.
enum Io {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Io {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Io {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// How messages lie on it.
enum Link {
    Sip(Io, Framer),
    WebSocket(Box<WebSocket<Io>>),
}

struct Connection {
    link: Link,
    /// Watched by epoll; the same connection as the link's.
    watched: mio::net::TcpStream,
    local: SocketAddr,
    readable: bool,
    writable: bool,
    waiting: VecDeque<Bytes>,
    /// Bytes of the first message that have left.
    sent: usize,
}

/// The connections.
pub(crate) struct StreamWire {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

impl StreamWire {
    /// Opens that many connections, with their handshakes.
    pub(crate) fn open(target: &Target, flows: usize) -> Result<Self, BenchError> {
        let poll = Poll::new()?;
        let keys = match target.server.transport.is_secure() {
            true => Some(tls::client_alone(target.ca.as_deref()).map_err(BenchError::Tls)?),
            false => None,
        };
        let mut connections = Vec::new();
        for flow in 0..flows {
            let mut connection = Connection::open(target, keys.clone())?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut connection.watched, Token(flow), interest)?;
            connections.push(connection);
        }
        let events = Events::with_capacity(flows.max(1));
        Ok(Self { poll, events, connections, buffer: vec![0; READ_BYTES] })
    }
}

impl Wire for StreamWire {
    fn flows(&self) -> usize {
        self.connections.len()
    }

    fn local(&self, flow: usize) -> SocketAddr {
        self.connections.get(flow).map_or(([0, 0, 0, 0], 0).into(), |connection| connection.local)
    }

    fn queue(&mut self, flow: usize, message: Bytes) {
        if let Some(connection) = self.connections.get_mut(flow) {
            connection.waiting.push_back(message);
        }
    }

    fn flush(&mut self) -> Result<(), BenchError> {
        self.connections.iter_mut().try_for_each(Connection::flush)
    }

    fn receive(&mut self, wait: Duration, each: &mut dyn FnMut(usize, &[u8])) -> Result<(), BenchError> {
        let busy = |connection: &Connection| connection.readable;
        let wait = if self.connections.iter().any(busy) { Duration::ZERO } else { wait };
        wait_for(&mut self.poll, &mut self.events, wait)?;
        for event in &self.events {
            if let Some(connection) = self.connections.get_mut(event.token().0) {
                connection.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
                connection.writable |= event.is_writable();
            }
        }
        for (flow, connection) in self.connections.iter_mut().enumerate() {
            if connection.readable {
                connection.receive(&mut self.buffer, &mut |bytes| each(flow, bytes))?;
            }
        }
        Ok(())
    }
}

impl Connection {
    fn open(target: &Target, keys: Option<Arc<ClientConfig>>) -> Result<Self, BenchError> {
        let stream = TcpStream::connect_timeout(&target.server.address, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(CONNECT))?;
        stream.set_write_timeout(Some(CONNECT))?;
        let (local, twin) = (stream.local_addr()?, stream.try_clone()?);
        let io = match keys {
            None => Io::Plain(stream),
            Some(keys) => {
                let name = ServerName::try_from(target.tls_name())
                    .map_err(|error| BenchError::Tls(error.to_string()))?;
                let connection =
                    ClientConnection::new(keys, name).map_err(|error| BenchError::Tls(error.to_string()))?;
                let mut stream = StreamOwned::new(connection, stream);
                while stream.conn.is_handshaking() {
                    stream.conn.complete_io(&mut stream.sock)?;
                }
                Io::Tls(Box::new(stream))
            }
        };
        let link = match target.server.transport {
            Transport::Ws | Transport::Wss => Link::WebSocket(Box::new(upgrade(target, io)?)),
            _ => Link::Sip(io, Framer::for_opened_flow(HEAD_BYTES_MAX, STREAM_BODY_BYTES_MAX)),
        };
        twin.set_nonblocking(true)?;
        let watched = mio::net::TcpStream::from_std(twin);
        Ok(Self { link, watched, local, readable: true, writable: true, waiting: VecDeque::new(), sent: 0 })
    }

    fn flush(&mut self) -> Result<(), BenchError> {
        if !self.writable {
            return Ok(());
        }
        let outcome = match &mut self.link {
            Link::Sip(io, _) => write_all(io, &mut self.waiting, &mut self.sent),
            Link::WebSocket(socket) => write_frames(socket, &mut self.waiting),
        };
        match outcome {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.writable = false;
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Hands over what is there, until the connection is empty or has had its share.
    fn receive(&mut self, buffer: &mut [u8], each: &mut dyn FnMut(&[u8])) -> Result<(), BenchError> {
        match &mut self.link {
            Link::Sip(io, framer) => {
                match io.read(buffer) {
                    Ok(0) => return Err(BenchError::Closed),
                    Ok(len) => framer.push(buffer.get(..len).unwrap_or_default()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
                while let Some(frame) = framer.next_frame() {
                    match frame {
                        Ok(Frame::Message(message)) => each(&message),
                        Ok(Frame::Ping | Frame::Pong) => {}
                        Err(error) => return Err(BenchError::Unreadable(error.to_string())),
                    }
                }
            }
            Link::WebSocket(socket) => match socket.read() {
                Ok(Message::Text(text)) => each(text.as_bytes()),
                Ok(Message::Binary(bytes)) => each(&bytes),
                Ok(Message::Close(_)) => return Err(BenchError::Closed),
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                }
                Err(error) => return Err(BenchError::Unreadable(error.to_string())),
            },
        }
        Ok(())
    }
}

/// Many messages go in one write, as one buffer.
fn write_all(io: &mut Io, waiting: &mut VecDeque<Bytes>, sent: &mut usize) -> io::Result<()> {
    if waiting.len() > 1 {
        let mut joined = Vec::with_capacity(waiting.iter().map(Bytes::len).sum());
        for message in waiting.drain(..) {
            joined.extend_from_slice(message.get(std::mem::take(sent)..).unwrap_or_default());
        }
        waiting.push_back(joined.into());
    }
    while let Some(message) = waiting.front() {
        let rest = message.get(*sent..).unwrap_or_default();
        *sent += io.write(rest)?;
        if *sent >= message.len() {
            waiting.pop_front();
            *sent = 0;
        }
    }
    io.flush()
}

fn write_frames(socket: &mut WebSocket<Io>, waiting: &mut VecDeque<Bytes>) -> io::Result<()> {
    let plain = |error: tungstenite::Error| match error {
        tungstenite::Error::Io(error) => error,
        other => io::Error::other(other),
    };
    while let Some(bytes) = waiting.pop_front() {
        let message = match std::str::from_utf8(&bytes) {
            Ok(text) => Message::text(text),
            Err(_) => Message::Binary(bytes),
        };
        // Why: a frame the system will not take yet stays in the WebSocket's own buffer.
        socket.write(message).map_err(plain)?;
    }
    socket.flush().map_err(plain)
}

/// The upgrade request of RFC 7118 §4.1, and the server's answer.
fn upgrade(target: &Target, io: Io) -> Result<WebSocket<Io>, BenchError> {
    let refused = |error: String| BenchError::Unreadable(format!("the WebSocket was refused: {error}"));
    let scheme = target.server.transport.name();
    let mut request = format!("{scheme}://{}/", target.server.address)
        .into_client_request()
        .map_err(|error| refused(error.to_string()))?;
    let headers = request.headers_mut();
    let http = if target.server.transport.is_secure() { "https" } else { "http" };
    let origin = HeaderValue::try_from(format!("{http}://{}", target.server.address))
        .map_err(|error| refused(error.to_string()))?;
    headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_static("sip"));
    headers.insert("Origin", origin);
    let (socket, _) = tungstenite::client::client(request, io).map_err(|error| refused(error.to_string()))?;
    Ok(socket)
}
