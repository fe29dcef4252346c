//! Reading the configuration again: off the engine's thread, and all or nothing.
//!
//! In: an administrator's request or SIGHUP. Out: `Command::Reload` for the node, or every diagnostic as text; a bad file
//! changes nothing. How files become settings is the caller's closure.

use crate::engine::inbox::{Happening, Mailbox};
use crate::systemd::{self, Notice};
use lampyris_core::command::{Command, Reply};
use lampyris_core::settings::Settings;
use std::sync::Arc;
use tokio::sync::{Mutex, oneshot};

/// A configuration read again.
pub struct Reloaded {
    /// The new settings, whole.
    pub settings: Arc<Settings>,
    /// Diagnostics that do not forbid it, for people; may be empty.
    pub warnings: String,
}

/// Reads the configuration again; `Err` is the rendered diagnostics.
pub type Reload = Arc<dyn Fn() -> Result<Reloaded, String> + Send + Sync>;

/// Carries out reloads, one at a time.
#[derive(Clone)]
pub(crate) struct Reloader {
    mailbox: Mailbox,
    reload: Option<Reload>,
    turn: Arc<Mutex<()>>,
}

impl Reloader {
    /// A reloader; without a closure, every reload is refused.
    pub(crate) fn new(mailbox: Mailbox, reload: Option<Reload>) -> Self {
        Self { mailbox, reload, turn: Arc::default() }
    }

    /// Reads and applies; returns the warnings, or why nothing changed.
    pub(crate) async fn reload(&self) -> Result<String, String> {
        let Some(reload) = self.reload.clone() else {
            return Err("this server has no configuration file to read again".into());
        };
        let _turn = self.turn.lock().await;
        systemd::notify(Notice::Reloading);
        let outcome = self.apply(reload).await;
        systemd::notify(Notice::Ready);
        match &outcome {
            Ok(warnings) if warnings.is_empty() => tracing::info!("the configuration is read again"),
            Ok(warnings) => tracing::warn!(warnings, "the configuration is read again"),
            Err(errors) => tracing::error!(errors, "the configuration is not used; the old one stays"),
        }
        outcome
    }

    async fn apply(&self, reload: Reload) -> Result<String, String> {
        let reloaded = tokio::task::spawn_blocking(move || reload()).await.map_err(|_| {
            "reading the configuration failed in an unforeseen way; the old one stays".to_owned()
        })??;
        let (answer, reply) = oneshot::channel();
        self.mailbox.put(Happening::Command(Command::Reload(reloaded.settings), answer));
        match reply.await {
            Ok(Reply::Refused { reason }) => Err(reason),
            Ok(_) => Ok(reloaded.warnings),
            Err(_) => Err("the server is stopping".into()),
        }
    }
}
