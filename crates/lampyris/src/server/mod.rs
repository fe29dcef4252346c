//! A running server: binds, restores, starts the engine and everything around it, and stops it again.
//!
//! In: what the shell needs ([`ShellSettings`]), what the node needs (`Settings`), and [`Options`]. Out: [`Running`].
//! `run`, `demo` and the tests all start servers here.

pub(crate) mod keeper;
pub(crate) mod reload;
pub(crate) mod signals;
#[cfg(test)]
mod tests;

pub use crate::engine::Core;
pub use crate::handover::give::Program;
pub use crate::store::StoreFault;
pub use reload::{Reload, Reloaded};

use crate::admin::protocol::{Counters, SOCKET_NAME, Server};
use crate::admin::server::{Admin, SocketFile};
use crate::config::{Advertised, Durability, Listen, ShellSettings};
use crate::engine::clock::{self, Clock};
use crate::engine::inbox::{Happening, Mailbox, inbox};
use crate::engine::relief::StorePlace;
use crate::engine::wire::Wire;
use crate::engine::{End, Engine, State, WAKER};
use crate::events::Hub;
use crate::events::webhooks::Webhooks;
use crate::handover::give::Giver;
use crate::handover::take::Taken;
use crate::handover::{GivenListener, GivenStream};
use crate::http::Api;
use crate::http::tokens::Tokens;
use crate::privileges::{self, PrivilegeFault};
use crate::resolver::Resolver;
use crate::store::Health;
use crate::store::health::Shown;
use crate::store::{self, DataDirectory, Loaded, Opened, Walker};
use crate::systemd::{self, Notice};
use crate::transport::limits::{Limits, Seats};
use crate::transport::streams::Streams;
use crate::transport::udp::UdpListener;
use keeper::Keeper;
use lampyris_core::command::{Command, Reply};
use lampyris_core::flow::{Listener, ListenerId, Transport};
use lampyris_core::hits::Hits;
use lampyris_core::journal::Kind;
use lampyris_core::time::Now;
use mio::{Poll, Token};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// How a server is run.
#[derive(Clone, Default)]
pub struct Options {
    /// Starts the process that walks a store that was not closed; without it, this process does.
    pub walker: Option<Walker>,
    /// Reads the configuration again; without it reloads are refused.
    pub reload: Option<Reload>,
    /// Whether SIGTERM, SIGINT and SIGHUP are for this server.
    pub signals: bool,
    /// What an upgrade starts; without it upgrades are refused.
    pub program: Option<Program>,
}

/// Why a server does not start; each is for people and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing to listen on.
    #[error("nowhere to listen: give an address, as in --listen udp:0.0.0.0:5060")]
    Nowhere,
    /// An address cannot be bound.
    #[error("cannot listen on {listen}: {cause}")]
    Bind {
        /// The address.
        listen: Listen,
        /// The system's words.
        cause: io::Error,
    },
    /// TLS without a certificate.
    #[error("cannot listen on {listen} without a certificate: add `[tls]` with `certificate` and `key`")]
    NoCertificate {
        /// The address.
        listen: Listen,
    },
    /// The store or its directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// It cannot become the user it is to become.
    #[error(transparent)]
    Privileges(#[from] PrivilegeFault),
    /// The admin socket cannot be made.
    #[error("cannot make the admin socket {path}: {cause}")]
    Admin {
        /// Its path.
        path: PathBuf,
        /// The system's words.
        cause: io::Error,
    },
    /// The tokens of the HTTP API cannot be read.
    #[error("cannot read the tokens ({}) in the data directory: {cause}", crate::http::tokens::FILE_NAME)]
    Tokens {
        /// What is wrong.
        cause: io::Error,
    },
    /// The HTTP API cannot be where it is configured to be.
    #[error("cannot serve HTTP on {address}: {cause}")]
    Http {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        cause: io::Error,
    },
    /// The system refuses threads, events, signals or randomness.
    #[error("the system refuses {what}: {cause}")]
    System {
        /// What.
        what: &'static str,
        /// The system's words.
        cause: io::Error,
    },
}

/// A server that runs. Dropping it stops it, without waiting for more than a few seconds.
pub struct Running {
    mailbox: Mailbox,
    listeners: Vec<Listen>,
    restored: Loaded,
    site: Option<String>,
    admin_link: Option<String>,
    engine: Option<JoinHandle<anyhow::Result<End>>>,
    /// Declared last but one: its threads end after the engine's.
    runtime: Option<Runtime>,
    socket: Option<SocketFile>,
}

/// Binds, restores and starts a server around the core that `make` makes of the listeners, a secret seed and the time.
///
/// # Errors
/// Something it needs is not to be had; nothing is left running.
pub fn start_with<C: Core + 'static>(
    shell: &ShellSettings,
    options: &Options,
    make: impl FnOnce(Vec<Listener>, [u8; 32], Now) -> C,
) -> Result<Running, StartError> {
    start_limited(shell, options, limits_of(shell), Inherited::default(), make)
}

/// As [`start_with`], with the sockets of a process that hands over, which is told how it went.
///
/// # Errors
/// As [`start_with`]; the other process goes on.
pub fn take_over<C: Core + 'static>(
    shell: &ShellSettings,
    options: &Options,
    taken: Taken,
    make: impl FnOnce(Vec<Listener>, [u8; 32], Now) -> C,
) -> Result<Running, StartError> {
    let (listeners, streams, verdict) = taken.split();
    let inherited = Inherited { listeners, streams };
    match start_limited(shell, options, limits_of(shell), inherited, make) {
        Ok(running) => {
            verdict.serving(running.restored());
            Ok(running)
        }
        Err(error) => {
            verdict.failed(&error.to_string());
            Err(error)
        }
    }
}

fn limits_of(shell: &ShellSettings) -> Limits {
    Limits { seats: Seats::of(&shell.quotas), ..Limits::default() }
}

/// What there is of a process that hands over.
#[derive(Default)]
pub(crate) struct Inherited {
    listeners: Vec<GivenListener>,
    streams: Vec<GivenStream>,
}

/// As [`start_with`], with limits on streams other than the usual.
pub(crate) fn start_limited<C: Core + 'static>(
    shell: &ShellSettings,
    options: &Options,
    limits: Limits,
    mut inherited: Inherited,
    make: impl FnOnce(Vec<Listener>, [u8; 32], Now) -> C,
) -> Result<Running, StartError> {
    let system = |what| move |cause| StartError::System { what, cause };
    let started = clock::wall();
    raise_descriptor_limit();
    let given: Vec<_> = inherited.listeners.iter().map(|given| (given.id, given.configured)).collect();
    // First of all where that is possible, since it is what most likely stops a second server by mistake.
    let take = || shell.data.as_deref().map(DataDirectory::take).transpose();
    let (directory, Bound { listeners, mut udp, tcp, http }) = match &shell.account {
        None => (take()?, bind(shell, &mut inherited.listeners)?),
        Some(account) => {
            let bound = bind(shell, &mut inherited.listeners)?;
            privileges::drop_to(account, shell.data.as_deref())?;
            (take()?, bound)
        }
    };
    let directory = directory.map(Arc::new);
    let hits = Arc::new(Hits::default());
    let tokens = Tokens::open(directory.as_ref().map(|directory| directory.path()))
        .map_err(|cause| StartError::Tokens { cause })?;
    let tokens = Arc::new(tokens);

    let poll = Poll::new().map_err(system("epoll"))?;
    for (at, listener) in udp.iter_mut().enumerate() {
        listener.register(poll.registry(), Token(at)).map_err(system("epoll"))?;
    }
    let waker = mio::Waker::new(poll.registry(), WAKER).map_err(system("a waker"))?;
    let (mailbox, inbox) = inbox(waker);

    let deliver: store::Deliver = {
        let mailbox = mailbox.clone();
        Arc::new(move |decisions| {
            mailbox.put(Happening::Decided(decisions));
        })
    };
    let durability = if directory.is_some() { shell.durability } else { Durability::Memory };
    let health = Shown::default();
    let opened = match &directory {
        Some(directory) => {
            let (walker, bytes_max) = (options.walker.as_ref(), shell.store_bytes_max);
            store::open(directory, durability, bytes_max, walker, deliver.clone(), health.clone())?
        }
        None => store::nowhere(deliver.clone()),
    };
    let Opened { mut journal, previous, shared } = opened;

    let clock = Clock::start();
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| StartError::System { what: "randomness", cause: error.into() })?;
    let mut core = make(listeners.clone(), seed, clock.now());
    // A stream belongs to the listener of the same description; where that is gone, it cannot move.
    let number_of = |old: ListenerId| {
        let configured = given.iter().find(|(id, _)| *id == old)?.1;
        let at = shell.listen.iter().position(|listen| *listen == configured)?;
        listeners.get(at).map(|listener| listener.id)
    };
    let streams_given: Vec<_> =
        inherited.streams.into_iter().filter_map(|s| number_of(s.listener).map(|id| (id, s))).collect();
    for (listener, stream) in &streams_given {
        core.inherit(clock.now(), stream.id, stream.transport, *listener, stream.remote);
    }
    let mut restored = Loaded::default();
    for kind in Kind::ALL {
        let now = clock.now();
        let loaded = journal.load(kind, now.wall, &mut |key, value| core.restore(now, key, value))?;
        restored = restored.plus(loaded);
    }
    core.restored(clock.now(), previous.clean);
    tracing::info!(
        durability = durability.name(),
        live = restored.live,
        expired = restored.expired,
        clean = previous.clean,
        last_commit = previous.last_commit.map(|at| at.rfc3339()),
        "restored"
    );
    if restored.damaged > 0 {
        tracing::error!(records = restored.damaged, "damaged records were met in the store and are left out");
    }

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("streams")
        .enable_all()
        .build()
        .map_err(system("threads"))?;
    let _in_runtime = runtime.enter();
    let door = shell.door.clone();
    let streams = Streams::new(
        runtime.handle().clone(),
        mailbox.clone(),
        (limits, hits.clone()),
        started.as_millis(),
        door,
    );
    let given = give_away(shell, &listeners, &udp, &tcp, http.as_ref()).map_err(system("descriptors"))?;
    for (id, transport, socket) in tcp {
        streams.listen(id, transport, socket).map_err(system("a socket"))?;
    }
    let resolver = Resolver::new(runtime.handle().clone(), mailbox.clone());
    let bound: Vec<Listen> = listeners
        .iter()
        .map(|listener| Listen { transport: listener.transport, address: listener.local })
        .collect();
    let keeper = match (&shared, &directory) {
        (Some(shared), Some(directory)) => {
            let keeper = Keeper::new(shared, directory.path(), shell.backups_kept, health.clone());
            keeper.start(shell.backup_every_s);
            Some(keeper)
        }
        _ => None,
    };
    drop(shared);
    let giver = Arc::new(Giver {
        program: options.program.clone(),
        durable: durability != Durability::Memory,
        mailbox: mailbox.clone(),
        streams: streams.clone(),
        runtime: runtime.handle().clone(),
        listeners: given,
        turn: std::sync::Mutex::default(),
    });
    let reloader = reload::Reloader::new(mailbox.clone(), streams.clone(), options.reload.clone());
    let server = Server {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        listeners: bound.iter().map(ToString::to_string).collect(),
        durability: durability.name().into(),
        started_ms: started.as_millis(),
        counters: Counters::default(),
        store: Health::default(),
    };
    let hub = Hub::start(mailbox.clone(), started.as_millis());
    let webhooks = Webhooks::start(&shell.webhooks, &hub, &shell.door.files);
    let is_secure = shell.http.address.is_some_and(|at| !at.ip().is_loopback()) && shell.door.keys.is_some();
    let site =
        http.as_ref().map(|(_, address)| format!("{}://{address}", if is_secure { "https" } else { "http" }));
    if let Some((socket, _)) = http {
        let api = Arc::new(Api {
            mailbox: mailbox.clone(),
            reloader: reloader.clone(),
            server: server.clone(),
            hub: hub.clone(),
            tokens: tokens.clone(),
            webhooks,
            shell: shell.clone(),
        });
        crate::http::server::serve(socket, api, streams.clone(), is_secure, hits.clone())
            .map_err(system("a socket"))?;
    }
    // Why: only the first administrator has no other way to come by a token than the log or the terminal.
    let admin_link = site.as_ref().filter(|_| tokens.is_empty()).and_then(|site| {
        let code = tokens.link().ok()?;
        Some(format!("{site}/#link={code}"))
    });
    let socket = directory
        .as_ref()
        .map(|directory| {
            let path = directory.path().join(SOCKET_NAME);
            let admin = Arc::new(Admin {
                mailbox: mailbox.clone(),
                reloader: reloader.clone(),
                giver: giver.clone(),
                path: path.clone(),
                hub: hub.clone(),
                tokens: tokens.clone(),
                site: site.clone(),
                server,
                health: health.clone(),
                keeper: keeper.clone(),
            });
            crate::admin::server::listen(&path, admin).map_err(|cause| StartError::Admin { path, cause })
        })
        .transpose()?;
    if options.signals {
        signals::listen(mailbox.clone(), reloader).map_err(system("signals"))?;
    }

    let mut wire = Wire::new(udp, hits.clone());
    for (listener, stream) in streams_given {
        let (id, transport, remote) = (stream.id, stream.transport, stream.remote);
        match streams.go_on_with(listener, stream) {
            Ok(writer) => wire.add_stream(id, transport, remote, writer),
            Err(_) => {
                mailbox.put(Happening::Closed { id });
            }
        }
    }
    let place = directory.map(|directory| StorePlace {
        path: directory.path().to_owned(),
        durability,
        bytes_max: shell.store_bytes_max,
        walker: options.walker.clone(),
        deliver,
        health,
        keeper,
        directory: Some(directory),
    });
    let state = State::new(&shell.quotas, hits);
    let engine = Engine { core, clock, poll, inbox, journal, streams, resolver, wire, place, state };
    let engine = std::thread::Builder::new()
        .name("engine".into())
        // The directory's lock is the engine's: it is given back when the store is closed, not before.
        .spawn(move || engine.run())
        .map_err(system("threads"))?;
    for listen in &bound {
        tracing::info!(%listen, "listening");
    }
    systemd::notify(Notice::Ready);
    drop(_in_runtime);
    Ok(Running {
        mailbox,
        listeners: bound,
        restored,
        site,
        admin_link,
        engine: Some(engine),
        runtime: Some(runtime),
        socket,
    })
}

impl Running {
    /// Where it listens, with the ports the system chose; printed as `listening udp:127.0.0.1:5060`.
    pub fn listeners(&self) -> &[Listen] {
        &self.listeners
    }

    /// The first listener of a transport.
    pub fn address(&self, transport: Transport) -> Option<SocketAddr> {
        self.listeners.iter().find(|listen| listen.transport == transport).map(|listen| listen.address)
    }

    /// Where the HTTP API is, as in `http://127.0.0.1:8470`.
    pub fn site(&self) -> Option<&str> {
        self.site.as_deref()
    }

    /// A link that makes whoever opens it first an administrator of the HTTP API, where there is none yet. A secret.
    pub fn admin_link(&self) -> Option<&str> {
        self.admin_link.as_deref()
    }

    /// How many records were taken back at the start.
    pub fn restored(&self) -> u64 {
        self.restored.live
    }

    /// Asks the node; `None` when the server has stopped.
    pub fn command(&self, command: Command) -> Option<Reply> {
        let (answer, reply) = oneshot::channel();
        self.mailbox.put(Happening::Command(command, answer));
        reply.blocking_recv().ok()
    }

    /// What the I/O side counted; `None` when the server has stopped.
    pub fn counters(&self) -> Option<Counters> {
        let (answer, counters) = oneshot::channel();
        self.mailbox.put(Happening::Counters(answer));
        counters.blocking_recv().ok()
    }

    /// Whether it has stopped (by a signal or an administrator).
    pub fn is_stopped(&self) -> bool {
        self.engine.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops gracefully: lets transactions end, sends what waits, syncs the store.
    ///
    /// # Errors
    /// The engine or the last sync failed.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.mailbox.put(Happening::Stop);
        self.finish()
    }

    /// Waits until it is stopped by a signal or an administrator.
    ///
    /// # Errors
    /// The engine or the last sync failed.
    pub fn wait(mut self) -> anyhow::Result<()> {
        self.finish()
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let Some(engine) = self.engine.take() else { return Ok(()) };
        let outcome =
            engine.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the engine ended by a bug (panic)")));
        if matches!(outcome, Ok(End::HandedOver)) {
            // Why: connections and the admin socket are another process's now; this one ends without a word to them.
            std::mem::forget((self.runtime.take(), self.socket.take()));
        }
        if let Some(runtime) = self.runtime.take() {
            // Streams that were closed get this long to take what was written to them.
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
        outcome.map(|_| ())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.engine.is_some() {
            self.mailbox.put(Happening::Stop);
            if let Err(error) = self.finish() {
                tracing::error!(%error, "the server did not stop well");
            }
        }
    }
}

/// The sockets of a server.
struct Bound {
    listeners: Vec<Listener>,
    udp: Vec<UdpListener>,
    tcp: Vec<(ListenerId, Transport, std::net::TcpListener)>,
    http: Option<(std::net::TcpListener, SocketAddr)>,
}

/// The number of the listener that does not speak SIP.
const HTTP: ListenerId = ListenerId(u16::MAX);

/// Copies of all listening sockets, for a process that may take over.
fn give_away(
    shell: &ShellSettings,
    listeners: &[Listener],
    udp: &[UdpListener],
    tcp: &[(ListenerId, Transport, std::net::TcpListener)],
    http: Option<&(std::net::TcpListener, SocketAddr)>,
) -> io::Result<Vec<GivenListener>> {
    let given = listeners.iter().zip(&shell.listen).filter_map(|(listener, configured)| {
        let id = listener.id;
        let of_udp = udp.iter().find(|udp| udp.id() == id).map(UdpListener::duplicate);
        let of_tcp = || tcp.iter().find(|(tcp, ..)| *tcp == id).map(|(.., socket)| socket.as_fd());
        let socket = of_udp.or_else(|| of_tcp().map(|socket| socket.try_clone_to_owned()))?;
        let (configured, local) = (*configured, listener.local);
        Some(socket.map(|socket| GivenListener { id, configured, local, socket }))
    });
    let http = http.zip(shell.http.address).map(|((socket, local), address)| {
        let configured = Listen { transport: Transport::Tcp, address };
        let socket = socket.as_fd().try_clone_to_owned()?;
        Ok(GivenListener { id: HTTP, configured, local: *local, socket })
    });
    given.chain(http).collect()
}

/// Binds what is configured; what another process gives is taken as it is, each once.
fn bind(shell: &ShellSettings, given: &mut Vec<GivenListener>) -> Result<Bound, StartError> {
    if shell.listen.is_empty() {
        return Err(StartError::Nowhere);
    }
    let http = bind_http(shell, given)?;
    let mut bound = Bound { listeners: Vec::new(), udp: Vec::new(), tcp: Vec::new(), http };
    for (id, listen) in (0..).map(ListenerId).zip(&shell.listen) {
        let fault = |cause| StartError::Bind { listen: *listen, cause };
        let given =
            given.iter().position(|given| given.configured == *listen).map(|at| given.swap_remove(at));
        let given = given.map(|given| given.socket);
        let local = match listen.transport {
            Transport::Udp => {
                let mut listener = match given {
                    Some(socket) => UdpListener::from_socket(id, socket.into()),
                    None => UdpListener::bind(id, listen.address).map_err(fault)?,
                };
                if shell.join_datagrams {
                    listener.join_datagrams();
                }
                let local = listener.local_addr().map_err(fault)?;
                bound.udp.push(listener);
                local
            }
            transport if transport.is_secure() && shell.door.keys.is_none() => {
                return Err(StartError::NoCertificate { listen: *listen });
            }
            transport => {
                let socket = given.map_or_else(|| bind_tcp(listen.address), |socket| Ok(socket.into()));
                let socket = socket.map_err(fault)?;
                let local = socket.local_addr().map_err(fault)?;
                bound.tcp.push((id, transport, socket));
                local
            }
        };
        let advertised = match shell.advertised {
            Some(Advertised { address, port }) => SocketAddr::new(address, port.unwrap_or(local.port())),
            None => routed(local),
        };
        let names = own_names(local.ip());
        bound.listeners.push(Listener { id, transport: listen.transport, local, advertised, names });
    }
    Ok(bound)
}

/// The socket of the HTTP API. Where nobody asked for the address, not getting it is no error.
fn bind_http(
    shell: &ShellSettings,
    given: &mut Vec<GivenListener>,
) -> Result<Option<(std::net::TcpListener, SocketAddr)>, StartError> {
    let Some(address) = shell.http.address else { return Ok(None) };
    if !address.ip().is_loopback() && shell.door.keys.is_none() && !shell.http.plain {
        let cause = io::Error::other("it is beyond the loopback interface and there is no certificate");
        return Err(StartError::Http { address, cause });
    }
    let is_it = |given: &GivenListener| given.id == HTTP && given.configured.address == address;
    let given = given.iter().position(is_it).map(|at| given.swap_remove(at).socket.into());
    let socket = given.map_or_else(|| bind_tcp(address), Ok);
    match socket.and_then(|socket| socket.local_addr().map(|local| (socket, local))) {
        Ok(bound) => Ok(Some(bound)),
        Err(cause) if shell.http.is_asked_for => Err(StartError::Http { address, cause }),
        Err(cause) => {
            tracing::warn!(%address, %cause, "there is no HTTP API; `http` of `[server]` says where else, or `off`");
            Ok(None)
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Why: connections of the process before may still be closing; the port is ours all the same.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

/// What peers are told of a bound address: itself, or for the wildcard the address that leads to most peers.
fn routed(local: SocketAddr) -> SocketAddr {
    if !local.ip().is_unspecified() {
        return local;
    }
    // Why: connecting a datagram socket sends nothing; it only asks the routing table which address would be used.
    let (wildcard, far): (SocketAddr, IpAddr) = if local.is_ipv4() {
        ((Ipv4Addr::UNSPECIFIED, 0).into(), Ipv4Addr::new(198, 51, 100, 1).into())
    } else {
        (
            (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
            std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        )
    };
    let routed = UdpSocket::bind(wildcard)
        .and_then(|socket| socket.connect((far, 9)).and_then(|()| socket.local_addr()))
        .map(|address| address.ip());
    let loopback =
        if local.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(routed.unwrap_or(loopback), local.port())
}

/// What else means this machine: its host name, `localhost` on the loopback interface, and for the wildcard the
/// addresses of all its interfaces.
fn own_names(local: IpAddr) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(name) = nix::unistd::gethostname()
        && let Some(name) = name.to_str()
    {
        names.push(name.to_ascii_lowercase());
    }
    if local.is_loopback() || local.is_unspecified() {
        names.push("localhost".to_owned());
    }
    if local.is_unspecified()
        && let Ok(interfaces) = nix::ifaddrs::getifaddrs()
    {
        let addresses = interfaces.filter_map(|interface| interface.address);
        names.extend(addresses.filter_map(|address| {
            let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
            let ip = v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))?;
            Some(ip.to_string())
        }));
    }
    names
}

/// Streams are descriptors, and the usual soft limit is 1024.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
