//! The user agent's socket: one UDP socket, or one connection to the server over TCP or TLS.

use bytes::Bytes;
use lampyris_core::flow::Transport;
use lampyris_core::limits;
use lampyris_sip::{Frame, Framer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

/// Whom a TLS connection must reach, and who vouches for them.
#[derive(Clone)]
pub struct Trust {
    /// The domain or address of their certificate (RFC 5922 §4).
    pub name: String,
    /// Authorities, protocol versions, our own certificate.
    pub config: Arc<ClientConfig>,
}

type Sender = Box<dyn AsyncWrite + Send + Unpin>;
type Receiver = Box<dyn AsyncRead + Send + Unpin>;

/// The sending side; shared.
pub(super) enum Wire {
    Udp(UdpSocket),
    Stream(Mutex<Sender>),
}

/// The receiving side; one reader.
pub(super) struct Ear {
    stream: Option<(Receiver, Framer)>,
}

impl Wire {
    /// Opens a socket towards `server`; also where it is bound. TLS needs `trust`.
    pub(super) async fn open(
        transport: Transport,
        server: SocketAddr,
        trust: Option<&Trust>,
    ) -> io::Result<(Self, Ear, SocketAddr)> {
        let (receiver, sender, local): (Receiver, Sender, _) = match (transport, trust) {
            (Transport::Udp, _) => {
                let any = if server.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
                let socket = UdpSocket::bind(any).await?;
                socket.connect(server).await?;
                let local = socket.local_addr()?;
                return Ok((Self::Udp(socket), Ear { stream: None }, local));
            }
            (Transport::Tcp, _) => {
                let (stream, local) = connected(server).await?;
                let (receiver, sender) = stream.into_split();
                (Box::new(receiver), Box::new(sender), local)
            }
            (Transport::Tls, Some(trust)) => {
                let (stream, local) = connected(server).await?;
                let name = ServerName::try_from(trust.name.clone())
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
                let stream = TlsConnector::from(Arc::clone(&trust.config)).connect(name, stream).await?;
                let (receiver, sender) = tokio::io::split(stream);
                (Box::new(receiver), Box::new(sender), local)
            }
            (other, _) => {
                let why = format!("no phone here speaks {other}");
                return Err(io::Error::new(io::ErrorKind::Unsupported, why));
            }
        };
        let framer = Framer::for_opened_flow(limits::HEAD_BYTES_MAX, limits::BODY_BYTES_MAX);
        Ok((Self::Stream(Mutex::new(sender)), Ear { stream: Some((receiver, framer)) }, local))
    }

    /// Sends one message.
    pub(super) async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(bytes).await.map(|_| ()),
            Self::Stream(sender) => {
                let mut sender = sender.lock().await;
                sender.write_all(bytes).await?;
                sender.flush().await
            }
        }
    }

    /// Whether messages may get lost.
    pub(super) const fn is_reliable(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// The next message.
    pub(super) async fn receive(&self, ear: &mut Ear) -> io::Result<Bytes> {
        match (self, &mut ear.stream) {
            (Self::Udp(socket), _) => {
                let mut buffer = vec![0; limits::MESSAGE_BYTES_MAX];
                let len = socket.recv(&mut buffer).await?;
                buffer.truncate(len);
                Ok(buffer.into())
            }
            (Self::Stream(_), Some((read, framer))) => loop {
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
            (Self::Stream(_), None) => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

async fn connected(server: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    Ok((stream, local))
}

/// 16 random hexadecimal digits.
pub(super) fn token() -> String {
    let mut bytes = [0; 8];
    // Why: without the system's randomness a tag is merely predictable, which a test phone survives.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
