//! Everything a node can ask of the shell: one closed enum, drained until `Timeout`.

use crate::flow::{Flow, ListenerId, StreamId, Transport};
use crate::input::{DnsQuestion, NodeId, QueryId};
use crate::journal::Record;
use crate::time::Instant;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;

/// One thing to do. `Timeout` ends a drain: it is the instant by which the node wants `Input::Timeout`.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit {
        /// Where.
        flow: Flow,
        /// One whole SIP message (or a keep-alive).
        bytes: Bytes,
        /// Not before this ticket is durable; dropped if it fails. Order is kept per flow.
        after: Option<Ticket>,
    },
    /// Close a stream after what was sent on it.
    Close {
        /// The connection.
        id: StreamId,
    },
    /// Open a stream; answered by `FlowOpened` or `FlowClosed` with this id.
    Connect {
        /// The new connection's id, chosen by the node.
        id: StreamId,
        /// The transport.
        transport: Transport,
        /// Which of our listeners it belongs to (its address goes into Via).
        listener: ListenerId,
        /// The peer.
        remote: SocketAddr,
        /// Whom the peer's certificate must be for; empty without TLS.
        name: Arc<str>,
    },
    /// Ask DNS; answered by `Resolved`.
    Resolve {
        /// Comes back with the answer.
        query: QueryId,
        /// What to ask.
        question: DnsQuestion,
    },
    /// Make a record durable; answered by `Persisted` with the same ticket. Records are stored in the order given.
    Persist(Ticket, Record),
    /// Send to another node.
    SendPeer(NodeId, PeerMessage),
    /// Something worth telling people or programs.
    Event(Event),
    /// Nothing more now: call again with `Input::Timeout` at this instant, or sooner with anything else.
    Timeout(Instant),
}

/// Names one `Persist`; rises by one each time, so a ticket that is durable implies all before it were decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What nodes say to each other. Records replicate; the rest comes with the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerMessage {
    /// A record the sender has made durable.
    Replicate(Record),
}

impl Event {
    /// Its name, as in `extension`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Device { .. } => "device",
            Self::Extension { .. } => "extension",
            Self::Registration { .. } => "registration",
            Self::Subscription { .. } => "subscription",
            Self::Publication { .. } => "publication",
            Self::Status { .. } => "status",
            Self::Feature { .. } => "feature",
            Self::Rules { .. } => "rules",
            Self::Oversized { .. } => "oversized",
            Self::Unsent { .. } => "unsent",
            Self::NotifyIn { .. } => "notify_in",
            Self::PresenceIn { .. } => "presence_in",
            Self::Gateway { .. } => "gateway",
            Self::Rejected { .. } => "rejected",
        }
    }

    /// How many bytes its texts have.
    pub fn text_bytes(&self) -> usize {
        let texts: &[&String] = match self {
            Self::Device { device, .. } => &[device],
            Self::Extension { extension, .. } => &[extension],
            Self::Registration { aor, .. } => &[aor],
            Self::Subscription { resource, watcher, .. } => &[resource, watcher],
            Self::Publication { resource, .. } => &[resource],
            Self::Status { person, note, .. } => &[person, note],
            Self::Feature { user, value, by, .. } => &[user, value, by],
            Self::Rules { user, change, by } => &[user, change, by],
            Self::NotifyIn {
                package,
                pl_data,
                sip_content_type,
                profile_name,
                profile_uri,
                gateway_name,
                call_info,
                ..
            } => &[package, pl_data, sip_content_type, profile_name, profile_uri, gateway_name, call_info],
            Self::PresenceIn { login, from, status, .. } => &[login, from, status],
            Self::Gateway { gateway, what, why, .. } => &[gateway, what, why],
            Self::Rejected { why, .. } => &[why],
            Self::Oversized { resource, watcher, .. } => &[resource, watcher],
            Self::Unsent { .. } => &[],
        };
        texts.iter().map(|text| text.len()).sum()
    }

    /// What it is about: a device, a resource, an AOR; nothing for a refusal.
    pub fn subject(&self) -> &str {
        match self {
            Self::Device { device, .. } => device,
            Self::Extension { extension, .. } => extension,
            Self::Registration { aor, .. } => aor,
            Self::Subscription { resource, .. }
            | Self::Publication { resource, .. }
            | Self::Oversized { resource, .. } => resource,
            Self::Status { person, .. } => person,
            Self::Feature { user, .. } | Self::Rules { user, .. } => user,
            Self::PresenceIn { from, .. } => from,
            Self::NotifyIn { gateway_name: gateway, .. } | Self::Gateway { gateway, .. } => gateway,
            Self::Unsent { .. } | Self::Rejected { .. } => "",
        }
    }
}

/// What the node tells the log and event streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A device's state changed.
    Device {
        /// As typed in the configuration, as in `SIP/Bob-desk`.
        device: String,
        /// The new state's name, as in `INUSE`.
        state: &'static str,
    },
    /// An extension's state changed.
    Extension {
        /// As in `6001@default`.
        extension: String,
        /// The new state's word, as in `InUse`.
        state: &'static str,
        /// The state before.
        was: &'static str,
    },
    /// An AOR's bindings changed.
    Registration {
        /// The AOR.
        aor: String,
        /// Bindings now.
        bindings: usize,
    },
    /// A subscription began, or ended with this reason.
    Subscription {
        /// The watched URI as asked for.
        resource: String,
        /// The event package.
        package: &'static str,
        /// The watcher's URI.
        watcher: String,
        /// `active`, or why it ended (RFC 6665 §4.1.3).
        state: &'static str,
    },
    /// A publication was made, changed or removed.
    Publication {
        /// The presentity.
        resource: String,
        /// The event package.
        package: &'static str,
        /// `created`, `modified`, `refreshed`, `removed` or `expired`.
        change: &'static str,
    },
    /// A person's status was set by command, or is over.
    Status {
        /// The person's AOR.
        person: String,
        /// As in `away`; `none` where it is over.
        status: &'static str,
        /// In the person's own words.
        note: String,
    },
    /// A user's feature was set or cleared.
    Feature {
        /// The user's AOR.
        user: String,
        /// Which, as in `dnd`.
        feature: &'static str,
        /// `on`, `off`, or where calls go.
        value: String,
        /// Who set it, as in `phone at 192.0.2.2:5060`.
        by: String,
    },
    /// A user's presence rules changed, or cannot be used.
    Rules {
        /// The user's AOR.
        user: String,
        /// What changed, as in `allow sip:bob@example.com`.
        change: String,
        /// Who changed it, as in `command`.
        by: String,
    },
    /// A NOTIFY was too large for a datagram, and its watcher is told in another way than before.
    Oversized {
        /// The watched URI as asked for.
        resource: String,
        /// The event package.
        package: &'static str,
        /// The watcher's URI.
        watcher: String,
        /// The way, as in `by tcp: too large for a datagram`.
        how: &'static str,
    },
    /// A request of ours was not sent: where it would have gone, nothing may go (security row 50).
    Unsent {
        /// Where.
        #[cfg_attr(feature = "schema", schema(value_type = String))]
        to: SocketAddr,
        /// Why not, in a sentence without its end.
        why: &'static str,
    },
    /// A gateway's NOTIFY came in: FreeSWITCH's NOTIFY_IN, by its field names but for `event`, which is `package` here.
    NotifyIn {
        /// The event package.
        package: String,
        /// The body, or its beginning.
        pl_data: String,
        /// Its type.
        sip_content_type: String,
        /// The port it came in on.
        port: u16,
        /// Who tells.
        module_name: &'static str,
        /// The address it came in on.
        profile_name: String,
        /// Our URI there.
        profile_uri: String,
        /// The gateway.
        gateway_name: String,
        /// Call-Info; empty where there is none.
        #[serde(rename = "Call-Info")]
        call_info: String,
    },
    /// A gateway told the state of somebody: FreeSWITCH's PRESENCE_IN.
    PresenceIn {
        /// `sip`.
        proto: &'static str,
        /// The gateway.
        login: String,
        /// Who, as in `alice@example.com`.
        from: String,
        /// The first activity, else `unknown`.
        rpid: &'static str,
        /// In a few words.
        status: String,
        /// The event package.
        event_type: &'static str,
    },
    /// How far a registration, or a subscription, at a gateway is.
    Gateway {
        /// The gateway.
        gateway: String,
        /// The event package, or `register`.
        what: String,
        /// As in `SUBED`.
        state: &'static str,
        /// What went wrong; empty where nothing did.
        why: String,
    },
    /// Somebody was turned away for a reason an operator may want to see.
    Rejected {
        /// The peer's address.
        #[cfg_attr(feature = "schema", schema(value_type = String))]
        from: SocketAddr,
        /// The SIP status.
        status: u16,
        /// Why, in one line; never a secret.
        why: String,
    },
}
