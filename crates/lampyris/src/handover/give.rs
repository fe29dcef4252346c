//! The old process's side of a handover: starts the new one, stands still, gives, and ends; or goes on if that fails.
//!
//! It runs on a thread of its own, which may block; the engine is told by its inbox when to close the store, and waits for
//! the verdict. What each step may take is bounded, so that a new process that hangs costs seconds and not the service.

use super::GivenListener;
use super::wire::{DESCRIPTORS_MAX, FromNew, FromOld, Stream, receive, send};
use crate::admin::protocol::Upgraded;
use crate::engine::inbox::{Happening, Mailbox};
use crate::engine::relief::{Relief, Verdict};
use crate::systemd::{self, Notice};
use crate::transport::still::Held;
use crate::transport::streams::Streams;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How long the new process may take to read its configuration; meanwhile everything goes on.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long the engine may take to answer what it has read and to close the store.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);
/// How long the new process may take to restore.
const SERVING_WITHIN: Duration = Duration::from_secs(60);
/// How long what was written to a stream may take to leave; a stream that takes longer does not move.
const WRITTEN_WITHIN: Duration = Duration::from_millis(300);

/// The program that takes over, and what it is started with.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its path; that of the process itself may be another version since.
    pub path: PathBuf,
    /// Its arguments, `--take-over` not among them.
    pub args: Vec<OsString>,
}

/// Everything a handover needs.
pub(crate) struct Giver {
    pub(crate) program: Option<Program>,
    pub(crate) durable: bool,
    pub(crate) mailbox: Mailbox,
    pub(crate) streams: Arc<Streams>,
    pub(crate) runtime: Handle,
    pub(crate) listeners: Vec<GivenListener>,
    pub(crate) turn: Mutex<()>,
}

/// The new process serves; dropping this ends the old one.
#[derive(Debug)]
pub(crate) struct Leaving(Sender<Verdict>);

impl Drop for Leaving {
    fn drop(&mut self) {
        let _ = self.0.send(Verdict::Leave);
    }
}

/// The new process; killed unless it serves.
struct NewProcess(Option<Child>);

impl Drop for NewProcess {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // Why: it may hold the store, which is wanted back.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Giver {
    /// Hands over to `path`, or to the program that this process was started from.
    ///
    /// # Errors
    /// Why not, for people; everything goes on as before.
    pub(crate) fn hand_over(&self, path: Option<&Path>) -> Result<(Upgraded, Leaving), String> {
        let Ok(_turn) = self.turn.try_lock() else { return Err("an upgrade is under way already".into()) };
        let Some(program) = &self.program else {
            return Err("only a server started by `lampyris run` can be upgraded".into());
        };
        if !self.durable {
            return Err("with durability = \"memory\" nothing would be left; restart instead".into());
        }
        if std::process::id() == 1 {
            return Err(
                "process 1 of a container cannot be replaced by another; restart the container".into()
            );
        }
        let path = path.unwrap_or(&program.path);
        let cannot = |error: io::Error| format!("{} cannot be started: {error}", path.display());
        let (mut ours, theirs) = UnixStream::pair().map_err(cannot)?;
        let child = Command::new(path)
            .args(&program.args)
            .arg("--take-over")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .map_err(cannot)?;
        let mut new = NewProcess(Some(child));
        let said = hear(&mut ours, READY_WITHIN)?;
        let FromNew::Ready { version } = said else { return Err(failure(said)) };
        tracing::info!(version, "another process is ready to take over");

        let since = Instant::now();
        let held = self.runtime.block_on(self.streams.stillness.hold_all());
        let (closed, is_closed) = mpsc::channel();
        let (verdict, is_decided) = mpsc::channel();
        self.mailbox.put(Happening::Relieve(Relief { closed, verdict: is_decided }));
        let outcome = match is_closed.recv_timeout(CLOSED_WITHIN) {
            Ok(Ok(())) => self.give(&mut ours, held),
            Ok(Err(error)) => Err(format!("the store cannot be closed: {error:#}")),
            Err(_) => Err("the engine is too busy to stop".to_owned()),
        };
        match outcome {
            Ok((restored, kept)) => {
                let pid = new.0.take().map_or(0, |child| child.id());
                let gap_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(pid, version, restored, connections = kept, gap_ms, "handed over");
                systemd::notify(Notice::MainProcess(pid));
                let from = env!("CARGO_PKG_VERSION").to_owned();
                let upgraded = Upgraded { from, to: version, pid, restored, connections: kept, gap_ms };
                Ok((upgraded, Leaving(verdict)))
            }
            Err(reason) => {
                drop(new);
                let _ = verdict.send(Verdict::GoOn);
                self.streams.stillness.go_on();
                tracing::error!(reason, "not handed over; this process goes on");
                Err(format!("{reason}; the old process goes on"))
            }
        }
    }

    /// Gives everything; how many records the new process restored, and how many connections it has.
    fn give(&self, socket: &mut UnixStream, held: Vec<Held>) -> Result<(u64, u64), String> {
        let lost = |error: io::Error| format!("the new process cannot be given the sockets: {error}");
        let patience = Some(SERVING_WITHIN);
        socket.set_write_timeout(patience).map_err(lost)?;
        for GivenListener { id, configured, local, socket: listener } in &self.listeners {
            let (configured, local) = ((*configured).into(), *local);
            let said = FromOld::Listener { id: *id, configured, local };
            send(socket, &said, &[listener.as_raw_fd()]).map_err(lost)?;
        }
        let until = Instant::now() + WRITTEN_WITHIN;
        let moving: Vec<_> = held.iter().filter(|held| has_written(held, until)).collect();
        for batch in moving.chunks(DESCRIPTORS_MAX) {
            let descriptors: Vec<RawFd> = batch.iter().map(|held| held.given.socket.as_raw_fd()).collect();
            let streams = batch.iter().map(|held| stream_of(held)).collect();
            send(socket, &FromOld::Streams(streams), &descriptors).map_err(lost)?;
        }
        send(socket, &FromOld::Over, &[]).map_err(lost)?;
        match hear(socket, SERVING_WITHIN)? {
            FromNew::Serving { restored } => Ok((restored, moving.len() as u64)),
            other => Err(failure(other)),
        }
    }
}

/// Whether all that was written to a stream has left.
fn has_written(held: &Held, until: Instant) -> bool {
    while held.control.queued_bytes() > 0 {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

fn stream_of(held: &Held) -> Stream {
    let given = &held.given;
    Stream {
        id: given.id,
        transport: given.transport,
        listener: given.listener,
        remote: given.remote,
        accepted: given.accepted,
        established: given.established,
        begun: given.begun.clone(),
    }
}

/// The next word of the new process.
fn hear(socket: &mut UnixStream, within: Duration) -> Result<FromNew, String> {
    let heard = socket.set_read_timeout(Some(within)).and_then(|()| receive(socket));
    heard.map(|(said, _)| said).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "the new process ended before it served; its log says why".to_owned(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("the new process did not get ready within {} seconds", within.as_secs())
        }
        _ => format!("the new process is not understood: {error}"),
    })
}

/// What the new process said instead of what it should.
fn failure(said: FromNew) -> String {
    match said {
        FromNew::Failed { text } => format!("the new process failed: {text}"),
        other => format!("the new process said something else: {other:?}"),
    }
}
