//! Reading the configuration again: off the engine's thread, and all or nothing.
//!
//! In: an administrator's request or SIGHUP. Out: `Command::Reload` for the node, or every diagnostic; a bad file changes
//! nothing. How files become settings is the caller's closure.

use crate::admin::protocol::Remarks;
use crate::config::Door;
use crate::engine::inbox::{Happening, Mailbox};
use crate::systemd::{self, Notice};
use crate::transport::streams::Streams;
use lampyris_core::command::{Command, Reply};
use lampyris_core::settings::Settings;
use std::sync::Arc;
use tokio::sync::{Mutex, oneshot};

/// A configuration read again.
pub struct Reloaded {
    /// The new settings, whole.
    pub settings: Arc<Settings>,
    /// Certificates and whom they let in.
    pub door: Door,
    /// What does not forbid it; maybe nothing.
    pub warnings: Remarks,
}

/// Reads the configuration again; `Err` is what is wrong with it.
pub type Reload = Arc<dyn Fn() -> Result<Reloaded, Remarks> + Send + Sync>;

/// Why a configuration is not used.
#[derive(Debug)]
pub(crate) enum NotReloaded {
    /// It has errors.
    Misconfigured(Remarks),
    /// Something else stands in the way.
    Refused(String),
}

/// Carries out reloads, one at a time.
#[derive(Clone)]
pub(crate) struct Reloader {
    mailbox: Mailbox,
    streams: Arc<Streams>,
    reload: Option<Reload>,
    turn: Arc<Mutex<()>>,
}

impl Reloader {
    /// A reloader; without a closure, every reload is refused.
    pub(crate) fn new(mailbox: Mailbox, streams: Arc<Streams>, reload: Option<Reload>) -> Self {
        Self { mailbox, streams, reload, turn: Arc::default() }
    }

    /// Reads and applies; returns the warnings, or why nothing changed.
    pub(crate) async fn reload(&self) -> Result<Remarks, NotReloaded> {
        let Some(reload) = self.reload.clone() else {
            let reason = "this server has no configuration file to read again".to_owned();
            return Err(NotReloaded::Refused(reason));
        };
        let _turn = self.turn.lock().await;
        systemd::notify(Notice::Reloading);
        let outcome = self.apply(reload).await;
        systemd::notify(Notice::Ready);
        match &outcome {
            Ok(warnings) if warnings.text.is_empty() => tracing::info!("the configuration is read again"),
            Ok(Remarks { text, .. }) => tracing::warn!(warnings = text, "the configuration is read again"),
            Err(NotReloaded::Misconfigured(Remarks { text, .. }) | NotReloaded::Refused(text)) => {
                tracing::error!(errors = text, "the configuration is not used; the old one stays");
            }
        }
        outcome
    }

    async fn apply(&self, reload: Reload) -> Result<Remarks, NotReloaded> {
        let unforeseen = "reading the configuration failed in an unforeseen way; the old one stays";
        let reloaded = tokio::task::spawn_blocking(move || reload())
            .await
            .map_err(|_| NotReloaded::Refused(unforeseen.to_owned()))?
            .map_err(NotReloaded::Misconfigured)?;
        let (answer, reply) = oneshot::channel();
        self.mailbox.put(Happening::Command(Command::Reload(reloaded.settings), answer));
        match reply.await {
            Ok(Reply::Refused { reason }) => Err(NotReloaded::Refused(reason)),
            Ok(_) => {
                self.streams.set_door(reloaded.door);
                Ok(reloaded.warnings)
            }
            Err(_) => Err(NotReloaded::Refused("the server is stopping".to_owned())),
        }
    }
}
