//! The server's end of the admin socket.
//!
//! In: requests, one JSON value per line. Out: responses, and the items of streams. Each connection is one task; the
//! node is asked through the engine's inbox. Who may connect is a matter of file permissions (0600).

use super::protocol::{BackedUp, REQUEST_BYTES_MAX, Request, Response, Server};
use crate::engine::clock;
use crate::engine::inbox::{Happening, Mailbox};
use crate::engine::tap::{Filter, Seen, Tap};
use crate::events::filter::Filter as EventFilter;
use crate::events::{Cursor, Found, Hub};
use crate::handover::give::{Giver, Leaving};
use crate::http::tokens::Tokens;
use crate::server::keeper::Keeper;
use crate::server::reload::{NotReloaded, Reloader};
use crate::store::health::Shown;
use bytes::{Buf as _, BytesMut};
use lampyris_core::command::Reply;
use serde::Serialize;
use serde_json::value::RawValue;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Said where there is no store to back up or check.
const NO_STORE: &str = "this server keeps nothing (durability = \"memory\"), so there is nothing to do; \
                        set `durability` to \"power\" to have a store";
/// How long a client may leave our output unread.
const WRITE_STALL: Duration = Duration::from_secs(30);

/// What requests are answered from.
pub(crate) struct Admin {
    pub(crate) mailbox: Mailbox,
    pub(crate) reloader: Reloader,
    pub(crate) giver: Arc<Giver>,
    /// The socket's.
    pub(crate) path: PathBuf,
    pub(crate) hub: Arc<Hub>,
    pub(crate) tokens: Arc<Tokens>,
    /// Where one-time links lead, where HTTP is on.
    pub(crate) site: Option<String>,
    /// `counters` and `store` are filled in per request.
    pub(crate) server: Server,
    pub(crate) health: Shown,
    /// `None` where nothing is stored.
    pub(crate) keeper: Option<Arc<Keeper>>,
}

/// The socket's file; removed when dropped.
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Listens at `path` until the runtime ends. The caller holds the directory's lock, so a file that is there is stale.
///
/// # Errors
/// As the system says; a path longer than about 100 bytes is one of them.
pub(crate) fn listen(path: &Path, admin: Arc<Admin>) -> io::Result<SocketFile> {
    // Why: bound under another name, so that nobody connects before the permissions are set.
    let unready = path.with_extension("new");
    for stale in [path, &unready] {
        match std::fs::remove_file(stale) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let listener = UnixListener::bind(&unready)?;
    std::fs::set_permissions(&unready, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&unready, path)?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = Connection {
                        admin: admin.clone(),
                        stream,
                        messages: None,
                        events: None,
                        leaving: None,
                    };
                    tokio::spawn(async move {
                        if let Err(error) = connection.serve().await {
                            tracing::debug!(%error, "an admin connection ends");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "an admin connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    });
    Ok(SocketFile(path.to_owned()))
}

impl Admin {
    /// After a handover that failed: the other process may have taken the socket's name already.
    async fn stand_at_the_door(self: &Arc<Self>) {
        if UnixStream::connect(&self.path).await.is_ok() {
            return;
        }
        match listen(&self.path, self.clone()) {
            // Why: the file is removed by who made it first.
            Ok(file) => std::mem::forget(file),
            Err(error) => tracing::error!(%error, "the admin socket cannot be made again"),
        }
    }
}

struct Connection {
    admin: Arc<Admin>,
    stream: UnixStream,
    messages: Option<mpsc::Receiver<Seen>>,
    /// How far the stream of events has come, where it is on.
    events: Option<Cursor>,
    /// Ends this process when the client knows.
    leaving: Option<Leaving>,
}

type Answer = Response<Reply, Box<RawValue>>;

impl Connection {
    async fn serve(mut self) -> io::Result<()> {
        let mut input = BytesMut::with_capacity(4096);
        loop {
            if let Some(end) = input.iter().position(|b| *b == b'\n') {
                let line = input.split_to(end);
                input.advance(1);
                if !line.trim_ascii().is_empty() {
                    let answer = match serde_json::from_slice(&line) {
                        Ok(request) => self.answer(request).await,
                        Err(error) => Answer::Error { text: format!("not understood: {error}") },
                    };
                    let written = self.write(&answer).await;
                    // Another process serves by now, whether or not this client has heard it.
                    drop(self.leaving.take());
                    written?;
                }
                continue;
            }
            if input.len() > REQUEST_BYTES_MAX {
                let text = format!("a request is at most {REQUEST_BYTES_MAX} bytes long");
                return self.write(&Answer::Error { text }).await;
            }
            tokio::select! {
                read = self.stream.read_buf(&mut input) => if read? == 0 { return Ok(()) },
                seen = next(&mut self.messages) => match seen {
                    Some(seen) => self.show(seen).await?,
                    // Why: the queue was too full to say that the stream is over, or the server stops.
                    None => return Ok(()),
                },
                found = happened(&self.admin.hub, self.events) => self.tell(found).await?,
            }
        }
    }

    async fn answer(&mut self, request: Request) -> Answer {
        let done = |text: &str| Answer::Done { text: text.to_owned() };
        match request {
            Request::Command(command) => {
                let (answer, reply) = oneshot::channel();
                self.admin.mailbox.put(Happening::Command(command, answer));
                match reply.await {
                    Ok(reply) => Answer::Reply(reply),
                    Err(_) => Answer::Error { text: "the server is stopping".into() },
                }
            }
            Request::SipDebug(debug) => {
                if debug.on {
                    let (tap, reader) = Tap::new(Filter::messages(&debug));
                    self.admin.mailbox.put(Happening::Tap(tap));
                    self.messages = Some(reader);
                    return done("");
                }
                let (answer, ended) = oneshot::channel();
                self.admin.mailbox.put(Happening::DebugOff(answer));
                let ended = ended.await;
                self.messages = None;
                match ended {
                    Ok(count) => Answer::Reply(Reply::Done { count }),
                    Err(_) => Answer::Error { text: "the server is stopping".into() },
                }
            }
            Request::Events { on } => {
                self.events = on.then(|| self.admin.hub.now());
                done("")
            }
            Request::Tokens => Answer::Tokens(self.admin.tokens.list()),
            Request::CreateToken { name, scopes } => {
                let made = self.admin.tokens.create(&name, scopes, clock::wall().as_millis());
                made.map_or_else(|text| Answer::Error { text }, Answer::Token)
            }
            Request::RevokeToken { id } => match self.admin.tokens.revoke(&id) {
                Ok(true) => done(""),
                Ok(false) => Answer::Error {
                    text: format!("there is no token {id:?}; `lampyris token list` shows those there are"),
                },
                Err(text) => Answer::Error { text },
            },
            Request::Link => match (&self.admin.site, self.admin.tokens.link()) {
                (Some(site), Ok(code)) => done(&format!("{site}/#link={code}")),
                (None, _) => Answer::Error { text: "HTTP is off (`http` of `[server]`)".to_owned() },
                (_, Err(text)) => Answer::Error { text },
            },
            Request::Reload => match self.admin.reloader.reload().await {
                Ok(warnings) => Answer::Reloaded(warnings),
                Err(NotReloaded::Misconfigured(errors)) => Answer::Misconfigured(errors),
                Err(NotReloaded::Refused(text)) => Answer::Error { text },
            },
            Request::Stop => {
                self.admin.mailbox.put(Happening::Stop);
                done("stopping")
            }
            Request::Upgrade { program } => {
                let giver = self.admin.giver.clone();
                let handed = tokio::task::spawn_blocking(move || giver.hand_over(program.as_deref())).await;
                match handed {
                    Ok(Ok((upgraded, leaving))) => {
                        self.leaving = Some(leaving);
                        Answer::Upgraded(upgraded)
                    }
                    Ok(Err(text)) => {
                        self.admin.stand_at_the_door().await;
                        Answer::Error { text }
                    }
                    Err(_) => Answer::Error { text: "the upgrade failed in an unforeseen way".to_owned() },
                }
            }
            Request::Server => {
                let (answer, counters) = oneshot::channel();
                self.admin.mailbox.put(Happening::Counters(answer));
                match counters.await {
                    Ok(counters) => {
                        let store = self.admin.health.get();
                        Answer::Server(Box::new(Server { counters, store, ..self.admin.server.clone() }))
                    }
                    Err(_) => Answer::Error { text: "the server is stopping".into() },
                }
            }
            Request::Backup { take_away } => self.backup(take_away).await,
            Request::StoreCheck => {
                let checked = self.lengthy(|keeper, progress| async move { keeper.check(progress).await });
                match checked.await {
                    Ok(findings) => Answer::StoreChecked(findings),
                    Err(text) => Answer::Error { text },
                }
            }
        }
    }

    async fn backup(&mut self, take_away: bool) -> Answer {
        let made =
            self.lengthy(move |keeper, progress| async move { keeper.backup(take_away, progress).await });
        match made.await {
            Ok(made) => Answer::BackedUp(BackedUp {
                path: made.path,
                bytes: made.bytes,
                records: made.rows,
                damaged: made.damaged,
                made_ms: made.made_at.as_millis(),
            }),
            Err(text) => Answer::Error { text },
        }
    }

    /// What the keeper does for long, while the client is told how far it is.
    async fn lengthy<T: Send + 'static, F: Future<Output = Result<T, String>> + Send + 'static>(
        &mut self,
        work: impl FnOnce(Arc<Keeper>, mpsc::Sender<(u64, u64)>) -> F,
    ) -> Result<T, String> {
        let keeper = self.admin.keeper.clone().ok_or_else(|| NO_STORE.to_owned())?;
        let (progress, mut steps) = mpsc::channel(1);
        let mut work = tokio::spawn(work(keeper, progress));
        loop {
            tokio::select! {
                done = &mut work => return done.unwrap_or_else(|_| Err("the server is stopping".to_owned())),
                // Why: a client that went away does not end the work of a backup that is kept.
                Some((done, total)) = steps.recv() => {
                    let _ = self.write(&Answer::Progress { done, total }).await;
                }
            }
        }
    }

    /// Passes on what happened, and remembers how far that was.
    async fn tell(&mut self, found: Found) -> io::Result<()> {
        match found {
            Found::Gap => {
                self.events = Some(self.admin.hub.now());
                self.write(&Answer::Event(raw("{\"event\":\"gap\"}")?)).await
            }
            Found::Items(items, after) => {
                self.events = Some(after);
                for item in items {
                    let json = std::str::from_utf8(item.json()).map_err(io::Error::other)?;
                    self.write(&Answer::Event(raw(json)?)).await?;
                }
                Ok(())
            }
        }
    }

    async fn show(&mut self, seen: Seen) -> io::Result<()> {
        let item = match seen {
            Seen::Message(message) => Answer::Message(message),
            Seen::Off => {
                self.messages = None;
                Answer::Done { text: "switched off".to_owned() }
            }
        };
        self.write(&item).await
    }

    async fn write(&mut self, response: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(response)?;
        line.push(b'\n');
        timeout(WRITE_STALL, self.stream.write_all(&line)).await?
    }
}

fn raw(json: &str) -> io::Result<Box<RawValue>> {
    RawValue::from_string(json.to_owned()).map_err(io::Error::other)
}

/// What happened after this place, once something has.
async fn happened(hub: &Hub, after: Option<Cursor>) -> Found {
    match after {
        Some(after) if hub.grown(after).await => hub.read(after, &EventFilter::everything()),
        _ => std::future::pending().await,
    }
}

/// The next item of a stream that may not be on.
async fn next(stream: &mut Option<mpsc::Receiver<Seen>>) -> Option<Seen> {
    match stream {
        Some(reader) => reader.recv().await,
        None => std::future::pending().await,
    }
}
