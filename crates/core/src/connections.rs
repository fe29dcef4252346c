//! Streams: which are open, to whom, and who has to know when one closes.

use crate::flow::{Flow, ListenerId, StreamId, Transport, is_sips};
use crate::node::Node;
use crate::output::Output;
use crate::time::Now;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

struct Stream {
    transport: Transport,
    listener: ListenerId,
    remote: SocketAddr,
    /// Whom we opened it to; empty where the peer did.
    name: Arc<str>,
    open: bool,
    /// Names of federated domains that the peer's certificate proves.
    proved: Arc<[String]>,
    /// The peer reads slowly: those of the subscriptions whose NOTIFY waits until it has caught up.
    blocked: Option<BTreeSet<u32>>,
}

/// All streams.
#[derive(Default)]
pub(crate) struct Connections {
    streams: BTreeMap<StreamId, Stream>,
    /// Those we opened, by where they lead. A name counts over TLS alone, where it was proved (RFC 5923 §5.1).
    by_remote: BTreeMap<(Transport, SocketAddr, Arc<str>), StreamId>,
    opened: u64,
}

/// A stream to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// It is open.
    Open(Flow),
    /// It is being opened.
    Connecting(StreamId),
}

/// Ids of streams we open have this bit, so that they never meet those the shell accepts.
const OURS: u64 = 1 << 63;

impl Connections {
    /// The listener a stream belongs to.
    pub(crate) fn listener(&self, id: StreamId) -> Option<ListenerId> {
        self.streams.get(&id).map(|stream| stream.listener)
    }

    /// Whether bytes can be sent on a stream.
    pub(crate) fn is_open(&self, id: StreamId) -> bool {
        self.streams.get(&id).is_some_and(|stream| stream.open)
    }

    /// Whether a subscription's NOTIFY must wait because its peer has not read those before; it is remembered then.
    pub(crate) fn waits(&mut self, flow: Flow, slot: u32) -> bool {
        let Flow::Stream { id, .. } = flow else { return false };
        let blocked = self.streams.get_mut(&id).and_then(|stream| stream.blocked.as_mut());
        blocked.map(|waiting| waiting.insert(slot)).is_some()
    }

    /// The names that the other end of a flow has proved: those of its certificate, or the one we opened it to.
    pub(crate) fn proved(&self, flow: Flow) -> Vec<&str> {
        let Flow::Stream { id, .. } = flow else { return Vec::new() };
        let Some(stream) = self.streams.get(&id).filter(|stream| stream.transport.is_secure()) else {
            return Vec::new();
        };
        let opened = Some(&*stream.name).filter(|name| !name.is_empty());
        stream.proved.iter().map(String::as_str).chain(opened).collect()
    }

    /// The peer of a stream has shown a certificate.
    pub(crate) fn prove(&mut self, id: StreamId, names: Vec<String>) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.proved = names.into();
        }
    }

    /// The transport of a flow.
    pub(crate) fn transport(&self, flow: Flow) -> Transport {
        match flow {
            Flow::Udp { .. } => Transport::Udp,
            Flow::Stream { id, .. } => {
                self.streams.get(&id).map_or(Transport::Tcp, |stream| stream.transport)
            }
        }
    }
}

impl Node {
    /// Whether a request to `uri` may be sent on a flow: `sips:` wants TLS (RFC 3261 §26.2.2).
    pub(crate) fn is_secure_for(&self, uri: &str, flow: Flow) -> bool {
        !is_sips(uri) || self.connections.transport(flow).is_secure()
    }

    /// The stream of ours to an address, opened where there is none.
    pub(crate) fn stream_to(
        &mut self,
        transport: Transport,
        listener: ListenerId,
        remote: SocketAddr,
        name: Arc<str>,
    ) -> Opening {
        let name = if transport.is_secure() { name } else { Arc::from("") };
        let key = (transport, remote, name.clone());
        if let Some(id) = self.connections.by_remote.get(&key).copied() {
            return if self.connections.is_open(id) {
                Opening::Open(Flow::Stream { id, remote })
            } else {
                Opening::Connecting(id)
            };
        }
        self.connections.opened += 1;
        let id = StreamId(OURS | self.connections.opened);
        let stream = Stream {
            transport,
            listener,
            remote,
            name: name.clone(),
            open: false,
            proved: Arc::default(),
            blocked: None,
        };
        self.connections.streams.insert(id, stream);
        self.connections.by_remote.insert(key, id);
        self.outputs.push_back(Output::Connect { id, transport, listener, remote, name });
        Opening::Connecting(id)
    }

    /// A stream of the process before is ours now, and open. To be called before any record is restored.
    pub fn inherit(
        &mut self,
        now: Now,
        id: StreamId,
        transport: Transport,
        listener: ListenerId,
        remote: SocketAddr,
    ) {
        if id.0 & OURS != 0 {
            // Why: ids are counted on, and the next request to the same place finds it. A name was proved to the process
            // before; plain streams have none.
            self.connections.opened = self.connections.opened.max(id.0 & !OURS);
            self.connections.by_remote.insert((transport, remote, Arc::from("")), id);
        }
        self.on_flow_opened(now, id, transport, listener, remote);
    }

    /// A stream is open.
    pub(crate) fn on_flow_opened(
        &mut self,
        now: Now,
        id: StreamId,
        transport: Transport,
        listener: ListenerId,
        remote: SocketAddr,
    ) {
        let name = self.connections.streams.get(&id).map_or_else(|| Arc::from(""), |ours| ours.name.clone());
        let stream =
            Stream { transport, listener, remote, name, open: true, proved: Arc::default(), blocked: None };
        self.connections.streams.insert(id, stream);
        // Why: what a peer opened is used by what came in on it, not for anybody else.
        if id.0 & OURS != 0 {
            self.on_way_opened(now, id, Flow::Stream { id, remote });
        }
    }

    /// A peer reads slowly: until it has caught up its NOTIFYs wait, and then it is told the newest state alone.
    pub(crate) fn on_flow_blocked(&mut self, id: StreamId) {
        if let Some(stream) = self.connections.streams.get_mut(&id) {
            stream.blocked.get_or_insert_default();
        }
    }

    /// A peer has read what waited for it.
    pub(crate) fn on_flow_unblocked(&mut self, now: Now, id: StreamId) {
        let waiting = self.connections.streams.get_mut(&id).and_then(|stream| stream.blocked.take());
        for slot in waiting.into_iter().flatten() {
            self.resume(now, slot);
        }
    }

    /// A stream closed, or could not be opened.
    pub(crate) fn on_flow_closed(&mut self, now: Now, id: StreamId) {
        let mut waiting = None;
        if let Some(stream) = self.connections.streams.remove(&id) {
            waiting = stream.blocked;
            let key = (stream.transport, stream.remote, stream.name);
            if self.connections.by_remote.get(&key) == Some(&id) {
                self.connections.by_remote.remove(&key);
            }
        }
        self.on_way_closed(now, id);
        self.on_gateway_flow_closed(now, id);
        let mut actions = Vec::new();
        self.transactions.on_stream_closed(id, &mut actions);
        self.on_actions(now, actions);
        for slot in waiting.into_iter().flatten() {
            self.resume(now, slot);
        }
        self.grant_grace(now, id);
    }
}
