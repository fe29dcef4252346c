//! What goes over the admin socket (`DATA/lampyris.sock`): one JSON value per line, each way.
//!
//! The server and every CLI verb use these types. A connection may send any number of requests; each gets one
//! [`Response`] in order, except the two streaming ones ([`Request::SipDebug`], [`Request::Events`]), whose items
//! come in between until the connection ends or the stream is turned off. Nothing here does any I/O.
//!
//! ```text
//! client: {"command":"Hints"}                               server: {"reply":[{"extension":"6001",...}]}
//! client: {"command":{"Hint":"6001"}}                       server: {"reply":[...]}
//! client: {"sip_debug":{"on":true,"method":"NOTIFY"}}       server: {"done":{"text":""}}
//!                                                           server: {"message":{"direction":"sent",...}}   and so on
//! client: {"command":"Nonsense"}                            server: {"error":{"text":"..."}}
//! ```

use crate::http::tokens::{Listed, Made, Scope};
use crate::store::Health;
use crate::store::check::Findings;
use lampyris_core::command::Command;
use lampyris_core::flow::Transport;
use lampyris_core::view::Histogram;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The socket's name inside the data directory.
pub const SOCKET_NAME: &str = "lampyris.sock";

/// Longest line the server takes, in bytes, so that the largest document fits, escaped; a longer one ends the connection.
pub const REQUEST_BYTES_MAX: usize = 160 * 1024;

/// One line from the client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Ask the node; answered by [`Response::Reply`].
    Command(Command),
    /// Stream SIP messages as they are sent and received; a new one replaces this connection's old. Switched off, it ends
    /// the streams of all connections: each gets a last `Done`, and the answer is a reply that counts them.
    SipDebug(SipDebug),
    /// Stream the node's events (state changes, registrations, subscriptions), or stop doing so.
    Events {
        /// Start or stop.
        on: bool,
    },
    /// List the tokens of the HTTP API; answered by [`Response::Tokens`].
    Tokens,
    /// Make a token; answered by [`Response::Token`].
    CreateToken {
        /// For people.
        name: String,
        /// What it is good for, as in `board:read`.
        scopes: Vec<Scope>,
    },
    /// Forget a token; answered by `Done`.
    RevokeToken {
        /// As listed.
        id: String,
    },
    /// Make a one-time link that lets an administrator in; answered by `Done` with it.
    Link,
    /// Read the configuration again; answered by `Reloaded`, or by `Misconfigured` where it has errors.
    Reload,
    /// Stop gracefully; answered by `Done` before the server goes.
    Stop,
    /// Hand over to a new process; answered by `Upgraded` before the old one goes.
    Upgrade {
        /// Another program than the one the server was started from.
        program: Option<PathBuf>,
    },
    /// Who is there; answered by [`Response::Server`].
    Server,
    /// Make a backup of the store; answered by any number of `Progress`, then `BackedUp`.
    Backup {
        /// The client takes the file away at once: it is none of those that are kept.
        take_away: bool,
    },
    /// Look at all of the store as it is now; answered by any number of `Progress`, then `StoreChecked`.
    StoreCheck,
}

/// Which messages to stream; all given parts must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SipDebug {
    /// Start or stop.
    pub on: bool,
    /// An address (`10.0.0.7`, `10.0.0.7:5060`, `[::1]:5060`), or a peer's name as it stands in From, To, Contact or
    /// the digest username.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// A method, in any case; responses match by their CSeq.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// How the Call-ID begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// An extension, as a user part of the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
}

/// One line from the server. `R` is the reply's type: `lampyris_core::command::Reply` where it is written,
/// `serde_json::Value` or the view expected where it is read. `E` is likewise the event's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response<R, E = serde_json::Value> {
    /// The node's answer to a command.
    Reply(R),
    /// The request is done, with text for people (maybe empty).
    Done {
        /// Warnings, or nothing.
        text: String,
    },
    /// The request is not done.
    Error {
        /// The cause and the fix, maybe several lines.
        text: String,
    },
    /// The configuration was read again and holds now.
    Reloaded(Remarks),
    /// The configuration has errors; nothing was changed.
    Misconfigured(Remarks),
    /// Another process serves now.
    Upgraded(Upgraded),
    /// A SIP message went by.
    Message(SipMessage),
    /// Something happened in the node.
    Event(E),
    /// Who is there.
    Server(Box<Server>),
    /// All tokens.
    Tokens(Vec<Listed>),
    /// A token that was made.
    Token(Made),
    /// How far a long work is.
    Progress {
        /// How much is done: records, or KiB of a store that is checked.
        done: u64,
        /// Of how much.
        total: u64,
    },
    /// A backup was made.
    BackedUp(BackedUp),
    /// What is in the store.
    StoreChecked(Findings),
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUp {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its records.
    pub records: u64,
    /// Damaged records of the store, which it does not have.
    pub damaged: u64,
    /// When it was made, in milliseconds since the Unix epoch.
    pub made_ms: u64,
}

/// How a handover to a new process went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgraded {
    /// Version before.
    pub from: String,
    /// Version now.
    pub to: String,
    /// The new process.
    pub pid: u32,
    /// Records it took from the store.
    pub restored: u64,
    /// TCP connections it goes on with.
    pub connections: u64,
    /// For how long nothing was answered, in milliseconds.
    pub gap_ms: u64,
}

/// What is to be said of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Remarks {
    /// For people; maybe empty.
    pub text: String,
    /// Each for programs, with severity, file, line, column, text, cause and fix.
    pub diagnostics: Vec<serde_json::Value>,
}

/// A SIP message that went by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SipMessage {
    /// Which way.
    pub direction: Direction,
    /// Over what.
    #[schema(value_type = String)]
    pub transport: Transport,
    /// The other end.
    #[schema(value_type = String)]
    pub remote: SocketAddr,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The message; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Messages left out before this one because the client read too slowly.
    pub dropped: u64,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To us.
    Received,
    /// By us.
    Sent,
}

/// Who is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Server {
    /// The program's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Where it listens, as in `udp:127.0.0.1:5060`.
    pub listeners: Vec<String>,
    /// `power`, `process` or `memory`.
    pub durability: String,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// What the I/O side counted.
    pub counters: Counters,
    /// How the store is.
    #[serde(default)]
    pub store: Health,
}

/// What the I/O side counted since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Counters {
    /// Datagrams received.
    pub udp_received: u64,
    /// Datagrams sent.
    pub udp_sent: u64,
    /// Datagrams the kernel would not take.
    pub udp_send_failed: u64,
    /// Keep-alive datagrams (RFC 5626 §3.5.1 and its relatives) swallowed.
    pub udp_keepalives: u64,
    /// Streams opened, both ways.
    pub streams_opened: u64,
    /// Streams open now.
    pub streams_open: u64,
    /// Messages to streams that were gone, or whose write buffer was full.
    pub streams_send_failed: u64,
    /// Messages dropped because the record they waited for could not be stored.
    pub held_dropped: u64,
    /// Messages waiting for the store now.
    pub held: u64,
    /// Records stored.
    pub records_stored: u64,
    /// Records that could not be stored.
    pub records_failed: u64,
    /// Commits.
    pub commits: u64,
    /// From the first record of a commit to its being durable.
    #[serde(default)]
    pub store_latency: Histogram,
    /// Datagrams read that nobody has looked at.
    #[serde(default)]
    pub datagrams_waiting: u64,
    /// Things that other threads told the node and it has not looked at.
    #[serde(default)]
    pub inbox_waiting: u64,
    /// Debug messages dropped because a reader was slow.
    pub debug_dropped: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use lampyris_core::command::{Reply, Selector};

    #[test]
    fn requests_read_as_documented() {
        for (line, request) in [
            (r#"{"command":"Hints"}"#, Request::Command(Command::Hints)),
            (r#"{"command":{"Hint":"6001"}}"#, Request::Command(Command::Hint("6001".into()))),
            (
                r#"{"command":{"Nudge":{"resource":"6001","watcher":null,"call_id":null}}}"#,
                Request::Command(Command::Nudge(Selector {
                    resource: Some("6001".into()),
                    ..Selector::default()
                })),
            ),
            (
                r#"{"sip_debug":{"on":true,"method":"NOTIFY"}}"#,
                Request::SipDebug(SipDebug {
                    on: true,
                    method: Some("NOTIFY".into()),
                    ..SipDebug::default()
                }),
            ),
            (r#"{"events":{"on":true}}"#, Request::Events { on: true }),
            (r#""reload""#, Request::Reload),
            (r#""stop""#, Request::Stop),
            (r#"{"upgrade":{"program":null}}"#, Request::Upgrade { program: None }),
            (r#""server""#, Request::Server),
            (r#"{"backup":{"take_away":true}}"#, Request::Backup { take_away: true }),
            (r#""store_check""#, Request::StoreCheck),
        ] {
            assert_eq!(serde_json::from_str::<Request>(line).expect(line), request);
            assert_eq!(serde_json::to_string(&request).expect(line), line);
        }
    }

    #[test]
    fn a_reply_written_by_the_server_is_read_by_a_client() {
        let written =
            serde_json::to_string(&Response::<_, ()>::Reply(Reply::Done { count: 3 })).expect("json");
        assert_eq!(written, r#"{"reply":{"count":3}}"#);
        let read: Response<serde_json::Value> = serde_json::from_str(&written).expect("json");
        assert_eq!(read, Response::Reply(serde_json::json!({ "count": 3 })));
    }
}
