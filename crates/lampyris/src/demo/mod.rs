//! `lampyris demo`: the real server on embedded storage, an office of simulated phones on real SIP sockets, and their lamps.
//!
//! Everything the board shows came to Alice's phone in a NOTIFY. The phones register, ring, talk, hold, hang up and say
//! that their owners are away or busy (PUBLISH); nothing reaches into the server.

mod board;
mod documents;
mod office;

use crate::config;
use crate::server::{self, Options};
use crate::ua::{Account, Notified, Phone};
use anyhow::{Context, Result};
use board::Board;
use lampyris_core::flow::Transport;
use lampyris_core::node::Node;
use office::{Act, GUEST, PEOPLE, SCENES, WATCHES};
use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How the demo is run.
#[derive(Clone, Debug, Default)]
pub struct DemoOptions {
    /// Where the store and the admin socket go; a temporary directory, removed at the end, where there is none.
    pub data: Option<PathBuf>,
    /// End after this long instead of at Ctrl-C.
    pub seconds: Option<u64>,
}

/// Runs the demo until Ctrl-C.
///
/// # Errors
/// The server does not start, or a phone cannot reach it.
pub fn run(options: &DemoOptions) -> Result<()> {
    let temporary = std::env::temp_dir().join(format!("lampyris-demo-{}", std::process::id()));
    let data = options.data.clone().unwrap_or_else(|| temporary.clone());
    std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    let outcome = run_in(&data, options);
    if options.data.is_none() {
        std::fs::remove_dir_all(&temporary)
            .with_context(|| format!("cannot remove {}", temporary.display()))?;
    }
    outcome
}

fn run_in(data: &Path, options: &DemoOptions) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let file = data.join("office.toml");
    std::fs::write(&file, office::configuration(&address.to_string(), &address.to_string()))
        .with_context(|| format!("cannot write {}", file.display()))?;
    let mut loaded = config::load(&file, None).map_err(|errors| {
        anyhow::anyhow!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    loaded.shell.data = Some(data.to_owned());
    let settings = Arc::new(loaded.settings);
    let running = server::start_with(&loaded.shell, &Options::default(), |listeners, seed, now| {
        Node::new(settings, listeners, seed, now)
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(play(address, data, options));
    running.stop()?;
    say("stopped\n");
    outcome
}

/// Port 5060 where it is free for both transports, else any.
fn free_port() -> u16 {
    let free = |port| {
        let address = (Ipv4Addr::LOCALHOST, port);
        UdpSocket::bind(address).is_ok() && std::net::TcpListener::bind(address).is_ok()
    };
    if free(5060) {
        return 5060;
    }
    let any = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    any.map_or(5061, |address| address.port())
}

async fn play(server: SocketAddr, data: &Path, options: &DemoOptions) -> Result<()> {
    let live = std::io::stdout().is_terminal();
    say(&introduction(server, data));
    let (notify, mut told) = mpsc::unbounded_channel();
    let mut phones = HashMap::new();
    for (index, name) in PEOPLE.iter().flat_map(|person| person.phones).enumerate() {
        // Half of the phones speak TCP.
        let transport = if index % 2 == 0 { Transport::Udp } else { Transport::Tcp };
        let account = account(name, server);
        let (phone, received) = Phone::start(account, transport, server).await?;
        phone.register(600).await.with_context(|| format!("{name} cannot register"))?;
        forward(*name == "Alice", received, notify.clone());
        phones.insert(*name, Office { phone, etags: HashMap::new() });
    }
    subscribe_all(&phones).await?;
    let mut board = Board::new(live);
    if live {
        say(&board.draw());
    }
    let mut day = Day::new();
    let end = options.seconds.map(Duration::from_secs).unwrap_or(Duration::MAX);
    let deadline = tokio::time::sleep(end.min(Duration::from_secs(86_400 * 365)));
    let told_to_stop = stop_signal();
    tokio::pin!(deadline, told_to_stop);
    loop {
        tokio::select! {
            () = &mut deadline => break,
            () = &mut told_to_stop => break,
            Some(notified) = told.recv() => {
                let extension = user_of(&notified.resource);
                if let Some(text) = board.take(extension, &notified.content_type, &notified.body) {
                    say(&if live { text } else { text + "\n" });
                }
            }
            (name, act) = day.next() => act_out(&mut phones, name, act).await?,
        }
    }
    say("\nthe phones say good-bye ...\n");
    for office in phones.values() {
        // Why: the demo ends anyway; a phone that cannot unregister is forgotten with the store.
        let _ = office.phone.register(0).await;
    }
    Ok(())
}

/// Ctrl-C, a polite kill, or a terminal that was closed.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut hang_up)) =
        (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
}

/// A phone with the entity-tags of what it has published.
struct Office {
    phone: Phone,
    etags: HashMap<&'static str, String>,
}

fn account(name: &str, server: SocketAddr) -> Account {
    Account {
        user: name.to_owned(),
        domain: server.to_string(),
        password: Some(office::password(name)),
        display: name.to_owned(),
    }
}

/// Alice's NOTIFYs go to the board; the others' phones just light their lamps.
fn forward(
    to_board: bool,
    mut received: mpsc::UnboundedReceiver<Notified>,
    notify: mpsc::UnboundedSender<Notified>,
) {
    tokio::spawn(async move {
        while let Some(notified) = received.recv().await {
            if to_board && notify.send(notified).is_err() {
                return;
            }
        }
    });
}

async fn subscribe_all(phones: &HashMap<&'static str, Office>) -> Result<()> {
    let everybody: Vec<_> = PEOPLE.iter().map(|person| person.extension).collect();
    let alice = [("Alice", everybody.as_slice())];
    for (watcher, extensions) in alice.into_iter().chain(WATCHES.iter().copied()) {
        let Some(office) = phones.get(watcher) else { continue };
        for extension in extensions {
            office.phone.subscribe(extension, "dialog", "application/dialog-info+xml", 600).await?;
            office.phone.subscribe(extension, "presence", "application/pidf+xml", 600).await?;
        }
    }
    Ok(())
}

async fn act_out(phones: &mut HashMap<&'static str, Office>, name: &str, act: Act) -> Result<()> {
    let Some(office) = phones.get_mut(name) else { return Ok(()) };
    let aor = office.phone.account().aor();
    let (event, content_type, body) = documents::publication(&aor, act);
    let etag = office.etags.get(event).cloned();
    let published = office.phone.publish(event, Some((content_type, &body)), etag.as_deref(), 600).await?;
    office.etags.insert(event, published.etag);
    Ok(())
}

/// The office's day: scenes begin one after the other and overlap, each on a phone that has nothing to do.
struct Day {
    seed: u64,
    waiting: Vec<(tokio::time::Instant, &'static str, Act)>,
}

impl Day {
    fn new() -> Self {
        Self { seed: 0x9e37_79b9_7f4a_7c15, waiting: Vec::new() }
    }

    fn random(&mut self, below: usize) -> usize {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        usize::try_from(self.seed % below.max(1) as u64).unwrap_or(0)
    }

    /// Waits for the next act.
    async fn next(&mut self) -> (&'static str, Act) {
        let phones: Vec<&'static str> =
            PEOPLE.iter().flat_map(|person| person.phones.iter().copied()).collect();
        while self.waiting.iter().map(|(_, name, _)| *name).collect::<std::collections::HashSet<_>>().len()
            < 4
        {
            let index = self.random(phones.len());
            let Some(name) = phones.get(index).copied() else { continue };
            if self.waiting.iter().any(|(_, busy, _)| *busy == name) {
                continue;
            }
            let index = self.random(SCENES.len());
            let start = Duration::from_millis(400 + self.random(2500) as u64);
            let mut at = tokio::time::Instant::now() + start;
            for (pause, act) in SCENES.get(index).copied().unwrap_or(&[]) {
                at += *pause;
                self.waiting.push((at, name, *act));
            }
        }
        self.waiting.sort_by_key(|(at, ..)| *at);
        // Why: the act leaves the list only once it is due, so nothing is lost when another branch of select! wins.
        if let Some((at, ..)) = self.waiting.first() {
            tokio::time::sleep_until(*at).await;
        }
        let (_, name, act) = self.waiting.remove(0);
        (name, act)
    }
}

fn user_of(uri: &str) -> &str {
    uri.trim_start_matches("sip:").split('@').next().unwrap_or("")
}

fn introduction(server: SocketAddr, data: &Path) -> String {
    let lampyris = own_command();
    let data = data.display();
    let guest = office::password(GUEST);
    format!(
        "lampyris {version}: a presence server on {server} (UDP and TCP), its store and admin socket in {data}\n\n\
         Alice's phone has a lamp for everybody; 15 simulated phones register, ring, hold, hang up and go to lunch.\n\
         In another terminal:\n\
         \u{20}   {lampyris} --data {data} show hints\n\
         \u{20}   {lampyris} --data {data} why 6001\n\
         \u{20}   {lampyris} --data {data} sip set debug on\n\
         \u{20}   {lampyris} --data {data} devstate set SIP/Bob-desk BUSY --for 20s\n\
         A phone of your own: server {server}, user {GUEST}, password {guest}; watch (BLF, buddy) extension 6001.\n\
         A SUBSCRIBE of your own: to sip:6001@{server}, Event: dialog or presence, with that user's digest answer.\n\
         Ctrl-C ends it.\n\n",
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// How this program was started, for commands that can be copied.
fn own_command() -> String {
    let Ok(path) = std::env::current_exe() else { return "lampyris".to_owned() };
    let here = std::env::current_dir().ok();
    let short = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    short.unwrap_or(&path).display().to_string()
}

/// Prints; a terminal that is gone is no reason to stop.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
