//! SIP over WebSocket, plain or inside TLS (RFC 7118).
//!
//! In: a connection, messages from the engine. Out: parsed messages into the engine's inbox, one for each WebSocket
//! message (RFC 7118 §5.1); text where it is UTF-8, binary where not. Keep-alives are pings of ours, pongs to the peer's,
//! and a CRLF to its double CRLF (RFC 5626 §4.4.1). Frames and messages that break RFC 6455 end the connection with its
//! status code. Only peers open these connections.

use super::limits::{WRITE_BATCH, WS_HEAD_BYTES_MAX};
use super::streams::{Connection, End, lapse};
use super::upgrade::{self, Refusal};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use lampyris_core::hits::Limit;
use lampyris_core::limits::MESSAGE_BYTES_MAX;
use lampyris_sip::Message as Sip;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// Room for what is read and written of one connection at a time.
const BUFFER_BYTES: usize = 4 * 1024;

/// Answers the upgrade request, and serves the connection until it ends.
pub(super) async fn serve(connection: &Connection, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let patience = connection.limits().ws_handshake;
    let Some(rest) = connection.in_time(patience, upgraded(connection, &mut stream)).await else { return };
    let Some(written) = connection.open() else { return };
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(connection.limits().write_buffer_bytes)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let mut socket = WebSocketStream::from_partially_read(stream, rest, Role::Server, Some(config)).await;
    let (end, code) = tokio::select! {
        ended = exchange(connection, &mut socket, written) => ended,
        () = connection.control.killed() => (End::Broken("closed by us"), None),
    };
    connection.close(&end);
    if let Some(code) = code {
        let farewell = socket.close(Some(CloseFrame { code, reason: Utf8Bytes::default() }));
        let _ = timeout(connection.limits().write_stall, farewell).await;
    }
}

/// Reads the request and answers it; what came behind it.
async fn upgraded(
    connection: &Connection,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let end = loop {
        // Why: looked at again are only the bytes that may begin the end, so that a slow head costs no more than a fast one.
        let seen = head.len().saturating_sub(3);
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let found = head.get(seen..).and_then(|new| new.windows(4).position(|four| four == b"\r\n\r\n"));
        let end = found.map(|at| seen + at + 4);
        match end {
            Some(end) if end <= WS_HEAD_BYTES_MAX => break end,
            None if head.len() <= WS_HEAD_BYTES_MAX => {}
            _ => return refuse(stream, upgrade::TOO_LONG).await,
        }
    };
    let rest = head.split_off(end);
    match upgrade::accept(&head, &connection.ws_origins()) {
        Ok(response) => {
            stream.write_all(response.as_bytes()).await?;
            stream.flush().await?;
            Ok(rest)
        }
        Err(refusal) => refuse(stream, refusal).await,
    }
}

async fn refuse<T>(stream: &mut (impl AsyncWrite + Unpin), refusal: Refusal) -> io::Result<T> {
    stream.write_all(refusal.response().as_bytes()).await?;
    stream.shutdown().await?;
    Err(io::Error::other(refusal.why()))
}

/// Carries messages both ways; why that ended, and what the peer is told of it.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    connection: &Connection,
    socket: &mut WebSocketStream<S>,
    mut written: mpsc::UnboundedReceiver<Bytes>,
) -> (End, Option<CloseCode>) {
    let patience = *connection.limits();
    let meter = connection.meter();
    let opened = Instant::now();
    let mut last_message = None;
    let mut heard = true;
    let mut pings = interval_at(opened + patience.ws_ping_every, patience.ws_ping_every);
    let mut batch = Vec::with_capacity(WRITE_BATCH);
    loop {
        let deadline = connection.idle_deadline(opened, last_message);
        tokio::select! {
            came = socket.next() => {
                heard = true;
                let bytes = match came {
                    None => return (End::ByPeer, None),
                    Some(Err(error)) => return broken(connection, &error),
                    Some(Ok(Message::Text(text))) => Bytes::from(text),
                    Some(Ok(Message::Binary(bytes))) => bytes,
                    // Pings are answered, and a Close too, by the next look at the socket.
                    Some(Ok(_)) => continue,
                };
                if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                    if bytes.len() >= 4 && !sent(socket, Message::text("\r\n"), patience.write_stall).await {
                        return (End::Broken("does not read"), None);
                    }
                    continue;
                }
                last_message = Some(Instant::now());
                if !connection.hand_over(bytes.clone(), Sip::parse(bytes)).await {
                    return (End::Broken("stopping"), Some(CloseCode::Away));
                }
            }
            count = written.recv_many(&mut batch, WRITE_BATCH) => {
                if count == 0 {
                    return (End::ByPeer, Some(CloseCode::Normal));
                }
                for bytes in batch.drain(..) {
                    let len = bytes.len();
                    let message = match Utf8Bytes::try_from(bytes.clone()) {
                        Ok(text) => Message::Text(text),
                        Err(_) => Message::Binary(bytes),
                    };
                    let done = sent(socket, message, patience.write_stall).await;
                    meter.wrote(len);
                    if !done {
                        meter.stalled();
                        return (End::Broken("does not read"), None);
                    }
                }
            }
            _ = pings.tick() => {
                if !std::mem::take(&mut heard) {
                    return (End::Broken("no pong"), None);
                }
                if !sent(socket, Message::Ping(Bytes::new()), patience.write_stall).await {
                    return (End::Broken("does not read"), None);
                }
            }
            why = lapse(deadline) => {
                // Why: served meanwhile, so the stranger's deadline no longer holds.
                if !connection.control.is_established() {
                    connection.hit(Limit::Deadlines);
                    return (End::Broken(why), Some(CloseCode::Policy));
                }
            }
        }
    }
}

/// Sends one message; `false` where that fails or takes too long.
async fn sent<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    message: Message,
    stall: std::time::Duration,
) -> bool {
    matches!(timeout(stall, socket.send(message)).await, Ok(Ok(())))
}

/// What a peer is told that broke the rules (RFC 6455 §7.4.1).
fn broken(connection: &Connection, error: &Error) -> (End, Option<CloseCode>) {
    tracing::debug!(remote = %connection.remote, %error, "a WebSocket breaks");
    match error {
        Error::Capacity(_) => (End::Broken("too long a message"), Some(CloseCode::Size)),
        Error::Utf8(_) => (End::Broken("no UTF-8"), Some(CloseCode::Invalid)),
        Error::Protocol(_) => (End::Broken("not RFC 6455"), Some(CloseCode::Protocol)),
        _ => (End::Broken("reset"), None),
    }
}
