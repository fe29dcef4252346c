//! The user agent's socket: one UDP socket or one TCP connection to the server.

use bytes::Bytes;
use lampyris_core::flow::Transport;
use lampyris_core::limits;
use lampyris_sip::{Frame, Framer};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Mutex;

/// The sending side; shared.
pub(super) enum Wire {
    Udp(UdpSocket),
    Tcp(Mutex<OwnedWriteHalf>),
}

/// The receiving side; one reader.
pub(super) struct Ear {
    tcp: Option<(OwnedReadHalf, Framer)>,
}

impl Wire {
    /// Opens a socket towards `server`; also where it is bound.
    pub(super) async fn open(
        transport: Transport,
        server: SocketAddr,
    ) -> io::Result<(Self, Ear, SocketAddr)> {
        match transport {
            Transport::Udp => {
                let any = if server.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
                let socket = UdpSocket::bind(any).await?;
                socket.connect(server).await?;
                let local = socket.local_addr()?;
                Ok((Self::Udp(socket), Ear { tcp: None }, local))
            }
            Transport::Tcp => {
                let stream = TcpStream::connect(server).await?;
                stream.set_nodelay(true)?;
                let local = stream.local_addr()?;
                let (read, write) = stream.into_split();
                let framer = Framer::for_opened_flow(limits::HEAD_BYTES_MAX, limits::BODY_BYTES_MAX);
                Ok((Self::Tcp(Mutex::new(write)), Ear { tcp: Some((read, framer)) }, local))
            }
            other => Err(io::Error::new(io::ErrorKind::Unsupported, format!("no phone here speaks {other}"))),
        }
    }

    /// Sends one message.
    pub(super) async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(bytes).await.map(|_| ()),
            Self::Tcp(write) => write.lock().await.write_all(bytes).await,
        }
    }

    /// Whether messages may get lost.
    pub(super) const fn is_reliable(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// The next message.
    pub(super) async fn receive(&self, ear: &mut Ear) -> io::Result<Bytes> {
        match (self, &mut ear.tcp) {
            (Self::Udp(socket), _) => {
                let mut buffer = vec![0; limits::MESSAGE_BYTES_MAX];
                let len = socket.recv(&mut buffer).await?;
                buffer.truncate(len);
                Ok(buffer.into())
            }
            (Self::Tcp(_), Some((read, framer))) => loop {
                match framer.next_frame() {
                    Some(Ok(Frame::Message(bytes))) => return Ok(bytes),
                    Some(Ok(Frame::Ping | Frame::Pong)) => continue,
                    Some(Err(_)) => return Err(io::ErrorKind::InvalidData.into()),
                    None => {}
                }
                let mut buffer = [0; 8192];
                match read.read(&mut buffer).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    len => framer.push(&buffer[..len]),
                }
            },
            (Self::Tcp(_), None) => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// 16 random hexadecimal digits.
pub(super) fn token() -> String {
    let mut bytes = [0; 8];
    // Why: without the system's randomness a tag is merely predictable, which a test phone survives.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
