//! Settings of the shell, which the core does not know: sockets, files, the log.
//!
//! In: parsed text. Out: plain values; [`Listen`] and [`Advertised`] say how they are written.

use super::raw::Secret;
use crate::privileges::Account;
pub use crate::transport::streams::Door;
pub(crate) use crate::transport::tls::ClientAuth;
use ipnet::IpNet;
use lampyris_core::flow::Transport;
use lampyris_core::quotas::Quotas;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// What the shell needs to start.
#[derive(Clone, Debug, PartialEq)]
pub struct ShellSettings {
    /// Sockets to open, in order; their index is the core's `ListenerId`.
    pub listen: Vec<Listen>,
    /// Certificates and whom they let in; read again by a reload.
    pub door: Door,
    /// What stands in Via and Contact instead of the bound address.
    pub advertised: Option<Advertised>,
    /// Peers in these networks see the bound address even where `advertised` is set (`localnet=`).
    pub local_networks: Vec<IpNet>,
    /// The store and the admin socket; `None` keeps nothing (the command line may still name one).
    pub data: Option<PathBuf>,
    /// Where the HTTP API is.
    pub http: HttpSettings,
    /// Who is told of events by HTTP requests.
    pub webhooks: Vec<Webhook>,
    /// When a record counts as durable.
    pub durability: Durability,
    /// Most bytes the store may grow to; address space that is reserved and not used.
    pub store_bytes_max: u64,
    /// Seconds between automatic backups; 0: there are none.
    pub backup_every_s: u64,
    /// Whether datagrams of one length to one address go through the kernel together.
    pub join_datagrams: bool,
    /// How many backups are kept in the data directory.
    pub backups_kept: usize,
    /// Whom to become once the sockets are bound.
    pub account: Option<Account>,
    /// Limits that the shell keeps: streams, memory.
    pub quotas: Quotas,
    /// A `tracing` filter, as in `info` or `lampyris=debug`.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The OpenTelemetry collector.
    pub otel: Option<String>,
}

impl ShellSettings {
    /// What is used where nothing is configured.
    pub fn defaults() -> Self {
        let any = SocketAddr::from(([0, 0, 0, 0], 5060));
        Self {
            listen: [Transport::Udp, Transport::Tcp]
                .map(|transport| Listen { transport, address: any })
                .into(),
            door: Door::default(),
            advertised: None,
            local_networks: Vec::new(),
            data: None,
            http: HttpSettings::default(),
            webhooks: Vec::new(),
            durability: Durability::Power,
            store_bytes_max: 64 << 30,
            backup_every_s: 3600,
            join_datagrams: false,
            backups_kept: 3,
            account: None,
            quotas: Quotas::default(),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            otel: None,
        }
    }
}

/// One socket to open: `udp:127.0.0.1:5060`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Before the first colon.
    pub transport: Transport,
    /// After it; port 0 lets the system choose.
    pub address: SocketAddr,
}

impl Listen {
    /// Reads `udp:127.0.0.1:5060`, `tls:[::1]:5061`; without a port it is the transport's own.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, address) = text.split_once(':').ok_or("it is not TRANSPORT:ADDRESS:PORT")?;
        let transport = Transport::parse(name).ok_or_else(|| format!("there is no transport `{name}`"))?;
        let address = socket_address(address, transport.port())
            .ok_or_else(|| format!("`{address}` is no IP address and port"))?;
        Ok(Self { transport, address })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport, self.address)
    }
}

/// Where the HTTP API is, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// The address; `None` for nowhere.
    pub address: Option<SocketAddr>,
    /// Somebody asked for this address, so that not getting it is an error and not a remark.
    pub is_asked_for: bool,
    /// It may be beyond the loopback interface without TLS.
    pub plain: bool,
    /// Origins whose pages may use it, beside its own.
    pub origins: Vec<String>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        let address = Some(SocketAddr::from(([127, 0, 0, 1], HTTP_PORT)));
        Self { address, is_asked_for: false, plain: false, origins: Vec::new() }
    }
}

/// The port of the HTTP API where none is named.
pub(crate) const HTTP_PORT: u16 = 8470;

/// A program that is told of events.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// As in the configuration.
    pub name: String,
    /// Where to.
    pub url: String,
    /// What signs. Never printed.
    pub(crate) secret: Secret,
    /// Kinds of events.
    pub kinds: Vec<String>,
    /// Only about these extensions and people; all where empty.
    pub subjects: Vec<String>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.name)
    }
}

/// An address peers see instead of the bound one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// The address.
    pub address: IpAddr,
    /// The port; that of each listener where `None`.
    pub port: Option<u16>,
}

impl Advertised {
    /// Reads `203.0.113.7` or `203.0.113.7:5060`.
    pub fn parse(text: &str) -> Option<Self> {
        let alone = text.trim_start_matches('[').trim_end_matches(']').parse();
        if let Ok(address) = alone {
            return Some(Self { address, port: None });
        }
        text.parse::<SocketAddr>()
            .ok()
            .map(|address| Self { address: address.ip(), port: Some(address.port()) })
    }
}

/// `ADDRESS`, `ADDRESS:PORT`, `[V6]:PORT`, or a bare IPv6 address.
pub(crate) fn socket_address(text: &str, default_port: u16) -> Option<SocketAddr> {
    let found = Advertised::parse(text)?;
    Some(SocketAddr::new(found.address, found.port.unwrap_or(default_port)))
}

/// When a record counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Survives a power failure (fsync).
    Power,
    /// Survives the end of the process.
    Process,
    /// Nothing is kept.
    Memory,
}

impl Durability {
    /// The word in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Power => "power",
            Self::Process => "process",
            Self::Memory => "memory",
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_are_read_and_printed() {
        let rows = [
            ("udp:127.0.0.1:5060", Ok("udp:127.0.0.1:5060")),
            ("TCP:[::1]:5061", Ok("tcp:[::1]:5061")),
            ("udp:0.0.0.0", Ok("udp:0.0.0.0:5060")),
            ("udp:::", Ok("udp:[::]:5060")),
            ("udp:[::]", Ok("udp:[::]:5060")),
            ("tls:[::1]", Ok("tls:[::1]:5061")),
            ("sctp:127.0.0.1:5061", Err("there is no transport `sctp`")),
            ("127.0.0.1:5060", Err("there is no transport `127.0.0.1`")),
            ("udp", Err("it is not TRANSPORT:ADDRESS:PORT")),
            ("udp:localhost:5060", Err("`localhost:5060` is no IP address and port")),
        ];
        for (text, expected) in rows {
            let found = Listen::parse(text).map(|listen| listen.to_string());
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }
}
