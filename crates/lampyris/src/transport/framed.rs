//! SIP on a stream of bytes, TCP or TLS: read by one task and written by another.
//!
//! In: bytes from the peer, messages from the engine. Out: framed, parsed messages into the engine's inbox, in order.
//! What was accepted, by whom and when it must end is [`super::streams`]'s.

use super::limits::WRITE_BATCH;
use super::still::Portable;
use super::streams::{Connection, End, Meter};
use bytes::{Bytes, BytesMut};
use lampyris_core::hits::Limit;
use lampyris_core::limits;
use lampyris_sip::{Frame, Framer, Message};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// Serves a stream until it ends.
pub(super) async fn serve(
    connection: &Connection,
    read: impl AsyncRead + Unpin + Portable,
    write: impl AsyncWrite + Unpin + Send + 'static,
    written: mpsc::UnboundedReceiver<Bytes>,
) {
    // Pongs come from the reader and must not split a message, so they go through a queue too.
    let (pong, pongs) = mpsc::channel(4);
    let stall = connection.limits().write_stall;
    let writer = tokio::spawn(write_all(write, written, pongs, connection.meter(), stall));
    let end = tokio::select! {
        end = read_all(connection, read, pong) => end,
        () = connection.control.killed() => End::Broken("closed by us"),
    };
    connection.close(&end);
    if let End::Broken(_) = end {
        writer.abort();
    }
}

async fn read_all(
    connection: &Connection,
    mut read: impl AsyncRead + Unpin + Portable,
    pong: mpsc::Sender<()>,
) -> End {
    let mut still = connection.stillness(&read);
    let patience = connection.limits();
    let (head_max, body_max) = (limits::HEAD_BYTES_MAX, limits::BODY_BYTES_MAX);
    let mut framer = if connection.accepted {
        Framer::new(head_max, body_max)
    } else {
        Framer::for_opened_flow(head_max, body_max)
    };
    framer.push(&connection.begun);
    let mut last_message = None;
    let mut begun: Option<Instant> = None;
    let opened = Instant::now();
    loop {
        let deadline = match begun {
            Some(begun) => Some((begun + patience.whole, "half a message")),
            None => connection.idle_deadline(opened, last_message),
        };
        tokio::select! {
            taken = take(&mut read, &mut framer) => match taken {
                Ok(0) => return End::ByPeer,
                Ok(_) => {}
                // Why: TLS that ends without its close_notify; phones that lose power do so too.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return End::ByPeer,
                Err(_) => return End::Broken("reset"),
            },
            collector = still.wanted() => {
                still.hold(connection, &read, framer.pending(), collector).await;
                continue;
            }
            why = super::streams::lapse(deadline) => {
                // Why: served meanwhile, so the stranger's deadline no longer holds.
                if begun.is_none() && connection.control.is_established() {
                    continue;
                }
                connection.hit(Limit::Deadlines);
                return End::Broken(why);
            }
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
                    if !connection.hand_over(bytes.clone(), Message::parse(bytes)).await {
                        return End::Broken("stopping");
                    }
                }
                Err(error) => {
                    tracing::debug!(remote = %connection.remote, %error, "no SIP on a stream");
                    // The node may answer what can be answered; then the stream goes (RFC 3261 §18.3).
                    connection.hand_over(error.head.clone(), Err(error.into_parse_error())).await;
                    return End::ByPeer;
                }
            }
        }
        begun = if framer.pending_bytes() > 0 { begun.or_else(|| Some(Instant::now())) } else { None };
    }
}

/// Waits for bytes and takes what is there. The buffer is on the stack of one poll, so that a silent stream costs none.
async fn take(read: &mut (impl AsyncRead + Unpin), framer: &mut Framer) -> io::Result<usize> {
    poll_fn(|context| {
        let mut chunk = [0; 16 * 1024];
        let mut buffer = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut *read).poll_read(context, &mut buffer))?;
        framer.push(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}

/// Writes what is queued, in order, until the engine lets go of the stream; then closes it.
async fn write_all(
    mut write: impl AsyncWrite + Unpin,
    mut messages: mpsc::UnboundedReceiver<Bytes>,
    mut pongs: mpsc::Receiver<()>,
    meter: Meter,
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
            _ if pong => timeout(stall, flushed(&mut write, b"\r\n")).await,
            [one] => timeout(stall, flushed(&mut write, one)).await,
            many => {
                together.clear();
                many.iter().for_each(|bytes| together.extend_from_slice(bytes));
                timeout(stall, flushed(&mut write, &together)).await
            }
        };
        batch.clear();
        meter.wrote(queued);
        match result {
            Ok(Ok(())) => {}
            Ok(Err(_)) => break,
            Err(_) => {
                meter.stalled();
                break;
            }
        }
    }
    let _ = timeout(stall, write.shutdown()).await;
    meter.kill();
}

/// Writes bytes, and through what encrypts them.
async fn flushed(write: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    write.write_all(bytes).await?;
    write.flush().await
}
