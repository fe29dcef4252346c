//! `lampyris demo`: the real server on embedded storage, an office of simulated phones on real SIP sockets, and their lamps.
//!
//! Everything the board shows came to Alice's phone in a NOTIFY. The phones register, call each other through the server,
//! hold, pick up and hang up, and say that their owners are away or busy (PUBLISH). One status is set by command, as an
//! administrator would; nothing else reaches into the server.

mod board;
mod day;
mod desk;
mod documents;
mod office;
mod open;
mod scenes;
#[cfg(test)]
mod tests;

use crate::cli::client::Client;
use crate::config;
use crate::server::{self, Options, Running};
use anyhow::{Context, Result};
use board::Board;
use desk::{Pace, Told};
use lampyris_core::command::Command;
use lampyris_core::node::Node;
use office::GUEST;
use open::Office;
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How often the phones register and subscribe again; well before what they were granted is over.
const RENEWAL: Duration = Duration::from_secs(240);
/// How long the lamps may take to go out after the last phone has hung up.
const LAST_LAMPS: Duration = Duration::from_secs(5);

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
    let (address, running) = serve(data, free_port(5060))?;
    set_by_hand(data)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let link = running.admin_link().map(str::to_owned);
    let outcome = runtime.block_on(play(address, data, link.as_deref(), options));
    running.stop()?;
    say("stopped\n");
    outcome
}

/// The server, on this port of the loopback interface.
fn serve(data: &Path, port: u16) -> Result<(SocketAddr, Running)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let file = data.join("office.toml");
    std::fs::write(&file, office::configuration(&address.to_string(), &address.to_string()))
        .with_context(|| format!("cannot write {}", file.display()))?;
    let mut loaded = config::load(&file, None).map_err(|errors| {
        anyhow::anyhow!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    loaded.shell.data = Some(data.to_owned());
    // Why: the link is what a newcomer opens, so there is one even where the usual port is taken.
    if let Some(http) =
        loaded.shell.http.address.as_mut().filter(|http| std::net::TcpListener::bind(**http).is_err())
    {
        http.set_port(0);
    }
    let settings = Arc::new(loaded.settings);
    let running = server::start_with(&loaded.shell, &Options::default(), |listeners, seed, now| {
        Node::new(settings, listeners, seed, now)
    })?;
    Ok((address, running))
}

/// One status is set as an administrator sets it, so that there is a person of whom several sources say something.
fn set_by_hand(data: &Path) -> Result<()> {
    let status = Command::SetStatus {
        person: "bob".to_owned(),
        status: "meeting".to_owned(),
        note: "Interviews until four".to_owned(),
        for_s: Some(4 * 3600),
    };
    let set = Client::connect(data).and_then(|mut client| client.command(status));
    set.map(|_| ()).map_err(|failure| anyhow::anyhow!("{failure}"))
}

/// The wanted port where it is free for both transports, else any that is.
fn free_port(wanted: u16) -> u16 {
    let free = |port| {
        let address = (Ipv4Addr::LOCALHOST, port);
        port > 0 && UdpSocket::bind(address).is_ok() && std::net::TcpListener::bind(address).is_ok()
    };
    let any = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        socket.map_or(5061, |address| address.port())
    };
    std::iter::once(wanted)
        .chain(std::iter::repeat_with(any).take(9))
        .find(|port| free(*port))
        .unwrap_or_else(any)
}

async fn play(server: SocketAddr, data: &Path, link: Option<&str>, options: &DemoOptions) -> Result<()> {
    let live = std::io::stdout().is_terminal();
    say(&introduction(server, data, link));
    let pace = Pace(Duration::from_millis(100));
    let (mut office, mut told) = Office::open(server, pace).await?;
    let mut board = Board::new(live);
    if live {
        say(&board.draw());
    }
    let day = tokio::spawn(day::spend(office.colleagues.clone(), pace));
    let end = options.seconds.map_or(Duration::MAX, Duration::from_secs);
    let deadline = tokio::time::sleep(end.min(Duration::from_secs(86_400 * 365)));
    let mut renewal = tokio::time::interval_at(Instant::now() + RENEWAL, RENEWAL);
    let told_to_stop = stop_signal();
    tokio::pin!(deadline, told_to_stop);
    loop {
        tokio::select! {
            () = &mut deadline => break,
            () = &mut told_to_stop => break,
            Some(told) = told.recv() => show(&mut board, &told),
            _ = renewal.tick() => office.renew().await?,
        }
    }
    day.abort();
    show(&mut board, &Told::Happened("Everybody hangs up and goes home.".to_owned()));
    office.hang_up().await;
    let until = Instant::now() + LAST_LAMPS;
    while !board.lit().is_empty()
        && let Ok(Some(told)) = timeout_at(until, told.recv()).await
    {
        show(&mut board, &told);
    }
    say(&match board.lit() {
        lit if lit.is_empty() => "\nevery phone has hung up, every lamp is idle\n".to_owned(),
        lit => format!("\nstill lit, though every phone has hung up: {}\n", lit.join(", ")),
    });
    office.close().await;
    Ok(())
}

fn show(board: &mut Board, told: &Told) {
    match told {
        Told::Happened(what) => say(&board.happens(what)),
        Told::Notified(notified) => {
            let extension = user_of(&notified.resource);
            if let Some(text) = board.take(extension, &notified.content_type, &notified.body) {
                say(&text);
            }
        }
    }
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

fn user_of(uri: &str) -> &str {
    uri.trim_start_matches("sip:").split('@').next().unwrap_or("")
}

fn introduction(server: SocketAddr, data: &Path, link: Option<&str>) -> String {
    let lampyris = own_command();
    let data = data.display();
    let guest = office::password(GUEST);
    let browser = link.map(|link| format!("In a browser, once: {link}\n")).unwrap_or_default();
    format!(
        "lampyris {version}: a presence server on {server} (UDP and TCP)\n\n\
         The office's 15 phones call each other through the server, hold, pick up each\n\
         other's calls, and go to lunch. Below is what Alice's phone shows: a lamp\n\
         changes when the server has sent her phone a NOTIFY.\n\n\
         {browser}\
         In another terminal:\n\
         \u{20}   export LAMPYRIS_DATA={data}\n\
         \u{20}   {lampyris} board\n\
         \u{20}   {lampyris} why 6001\n\
         \u{20}   {lampyris} sip set debug on\n\
         \u{20}   {lampyris} devstate set SIP/Bob-desk BUSY --for 20s\n\
         A phone of your own: server {server}, user {guest_user}, password {guest};\n\
         \u{20}   watch 6001 (BLF, buddy), call it, or pick up what rings there with **6001\n\
         By hand, with that user's digest answer:\n\
         \u{20}   SUBSCRIBE sip:6001@{server} SIP/2.0\n\
         \u{20}   Event: dialog\n\
         Ctrl-C ends it.\n\n",
        guest_user = GUEST,
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
