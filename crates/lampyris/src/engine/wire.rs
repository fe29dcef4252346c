//! The engine's side of the transports: where a message to a flow really goes.
//!
//! In: messages for flows, as they are allowed to leave. Out: datagrams, stream writes, and copies for those who watch.

use crate::admin::protocol::{Counters, Direction};
use crate::engine::clock;
use crate::engine::tap::{self, Taps};
use crate::transport::streams::{Pace, StreamWriter, WriteFault};
use crate::transport::udp::UdpListener;
use bytes::Bytes;
use lampyris_core::flow::{Flow, StreamId, Transport};
use lampyris_core::hits::{Hits, Limit};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// All transports.
pub(crate) struct Wire {
    /// The UDP listeners; a listener's place is its epoll token.
    pub(crate) udp: Vec<UdpListener>,
    /// Who watches.
    pub(crate) taps: Taps,
    /// Streams whose peers have begun to read slowly; the engine tells the node.
    pub(crate) blocked: Vec<StreamId>,
    streams: HashMap<StreamId, Stream>,
    streams_opened: u64,
    streams_failed: u64,
    udp_sent: u64,
    udp_failed: u64,
    hits: Arc<Hits>,
}

struct Stream {
    transport: Transport,
    remote: SocketAddr,
    /// None once it is to be closed.
    writer: Option<StreamWriter>,
}

impl Wire {
    /// Transports over these listeners and no streams yet.
    pub(crate) fn new(udp: Vec<UdpListener>, hits: Arc<Hits>) -> Self {
        Self {
            udp,
            hits,
            blocked: Vec::new(),
            taps: Taps::default(),
            streams: HashMap::new(),
            streams_opened: 0,
            streams_failed: 0,
            udp_sent: 0,
            udp_failed: 0,
        }
    }

    /// Takes note of an epoll event of the listener at this place.
    pub(crate) fn on_udp_event(&mut self, at: usize, event: &mio::event::Event) {
        if let Some(listener) = self.udp.get_mut(at) {
            listener.on_event(event);
        }
    }

    /// Sends a message; what cannot be sent is counted.
    pub(crate) fn send(&mut self, flow: Flow, bytes: Bytes) {
        self.tap(Direction::Sent, flow, &bytes);
        match flow {
            Flow::Udp { listener, remote } => match self.udp.iter_mut().find(|udp| udp.id() == listener) {
                Some(udp) => udp.queue(remote, bytes),
                None => self.udp_failed += 1,
            },
            Flow::Stream { id, .. } => {
                let Some(Stream { writer: Some(writer), .. }) = self.streams.get(&id) else {
                    self.streams_failed += 1;
                    return;
                };
                if establishes(&bytes) {
                    writer.establish();
                }
                match writer.write(bytes) {
                    Ok(Pace::Free) => {}
                    Ok(Pace::Blocked) => {
                        self.hits.add(Limit::SlowReaders);
                        self.blocked.push(id);
                    }
                    Err(WriteFault::Gone) => self.streams_failed += 1,
                    Err(WriteFault::Full) => {
                        self.streams_failed += 1;
                        self.hits.add(Limit::WriteBuffer);
                        tracing::info!(remote = %flow.remote(), "a peer reads too slowly; its stream is closed");
                        writer.kill();
                    }
                }
            }
        }
    }

    /// Shows a message to those who watch.
    pub(crate) fn tap(&mut self, direction: Direction, flow: Flow, bytes: &[u8]) {
        if !self.taps.is_empty() {
            let transport = match flow {
                Flow::Udp { .. } => Transport::Udp,
                Flow::Stream { id, .. } => {
                    self.streams.get(&id).map_or(Transport::Tcp, |stream| stream.transport)
                }
            };
            self.taps.message(direction, (transport, flow.remote()), clock::wall().as_millis(), bytes);
        }
    }

    /// Sends the datagrams that have gathered.
    pub(crate) fn flush(&mut self) {
        for listener in &mut self.udp {
            let outcome = listener.flush();
            self.udp_sent += outcome.sent;
            self.udp_failed += outcome.failed;
        }
    }

    /// Whether a listener can go on without waiting.
    pub(crate) fn is_busy(&self) -> bool {
        self.udp.iter().any(UdpListener::is_busy)
    }

    /// Whether all datagrams have left.
    pub(crate) fn is_drained(&self) -> bool {
        self.udp.iter().all(UdpListener::is_drained)
    }

    /// A stream that can be written to, or will be.
    pub(crate) fn add_stream(
        &mut self,
        id: StreamId,
        transport: Transport,
        remote: SocketAddr,
        writer: StreamWriter,
    ) {
        self.streams_opened += 1;
        self.streams.insert(id, Stream { transport, remote, writer: Some(writer) });
    }

    /// Whether the stream is known: open, being opened, or being closed.
    pub(crate) fn has_stream(&self, id: StreamId) -> bool {
        self.streams.contains_key(&id)
    }

    /// Counts a message whose stream is gone.
    pub(crate) fn stream_failed(&mut self) {
        self.streams_failed += 1;
    }

    /// A stream as a flow.
    pub(crate) fn flow_of(&self, id: StreamId) -> Option<Flow> {
        self.streams.get(&id).map(|stream| Flow::Stream { id, remote: stream.remote })
    }

    /// Closes a stream after what was written to it.
    pub(crate) fn close(&mut self, flow: Flow) {
        if let Flow::Stream { id, .. } = flow
            && let Some(stream) = self.streams.get_mut(&id)
        {
            stream.writer = None;
        }
    }

    /// Forgets a stream that is gone.
    pub(crate) fn remove_stream(&mut self, id: StreamId) {
        self.streams.remove(&id);
    }

    /// What was counted here.
    pub(crate) fn counters(&self) -> Counters {
        Counters {
            udp_sent: self.udp_sent,
            udp_send_failed: self.udp_failed,
            streams_opened: self.streams_opened,
            streams_open: self.streams.len() as u64,
            streams_send_failed: self.streams_failed,
            debug_dropped: self.taps.dropped(),
            ..Counters::default()
        }
    }
}

/// Whether what we send shows that the peer is somebody we serve: a request of ours, or a 2xx to anything but OPTIONS
/// (which anybody gets). Until then a stream is on short limits.
fn establishes(message: &[u8]) -> bool {
    let Some(rest) = message.strip_prefix(b"SIP/2.0 ") else {
        return message.first().is_some_and(u8::is_ascii_uppercase);
    };
    rest.first() == Some(&b'2') && tap::method_of(&String::from_utf8_lossy(message)) != "OPTIONS"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_established_by_service_not_by_refusals() {
        for (message, expected) in [
            ("SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\n\r\n", true),
            ("SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\n\r\n", false),
            ("SIP/2.0 401 Unauthorized\r\nCSeq: 1 REGISTER\r\n\r\n", false),
            ("SIP/2.0 100 Trying\r\nCSeq: 1 SUBSCRIBE\r\n\r\n", false),
            ("NOTIFY sip:a@b SIP/2.0\r\n\r\n", true),
            ("\r\n", false),
            ("", false),
        ] {
            assert_eq!(establishes(message.as_bytes()), expected, "{message:?}");
        }
    }
}
