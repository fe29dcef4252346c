//! The HTTP API (`docs/api.md`): what the command line can ask, for browsers and programs.
//!
//! ```text
//! connection   server.rs    accepts, TLS, how many, how fast, how slow
//! request      guard.rs     Host, Origin, size of the body; headers of every answer
//! caller       grant.rs     a bearer token and its scopes (tokens.rs)
//! handler      read.rs, write.rs, events.rs ...   one command to the node each, its view as the answer
//! ```
//!
//! Nothing here knows SIP or keeps state of its own but tokens: every request is a [`lampyris_core::command::Command`], as
//! on the admin socket, and an answer is the same JSON that `--json` prints. What a caller got wrong is 4xx with problem
//! details (RFC 9457).

mod body;
pub(crate) mod client;
mod docs;
pub(crate) mod events;
pub mod fuzzing;
mod grant;
mod guard;
pub(crate) mod limits;
mod link;
pub(crate) mod metrics;
mod openapi;
mod page;
mod phones;
mod problem;
mod read;
mod resolved;
mod routes;
pub(crate) mod server;
mod stall;
pub mod tokens;
mod write;

pub use metrics::document as metrics_document;
pub use openapi::document as openapi_document;

use crate::admin::protocol::{Counters, Server};
use crate::config::ShellSettings;
use crate::engine::inbox::{Happening, Mailbox};
use crate::events::Hub;
use crate::events::webhooks::Webhooks;
use crate::server::reload::Reloader;
use lampyris_core::command::{Command, Reply};
use lampyris_core::settings::Settings;
use problem::Problem;
use std::sync::Arc;
use tokens::Tokens;
use tokio::sync::oneshot;

/// What requests are answered from.
pub(crate) struct Api {
    pub(crate) mailbox: Mailbox,
    pub(crate) reloader: Reloader,
    /// `counters` are filled in per request.
    pub(crate) server: Server,
    pub(crate) hub: Arc<Hub>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) webhooks: Arc<Webhooks>,
    pub(crate) shell: ShellSettings,
}

impl Api {
    /// Asks the node; what it refuses is the caller's fault.
    async fn ask(&self, command: Command) -> Result<Reply, Problem> {
        let (answer, reply) = oneshot::channel();
        self.mailbox.put(Happening::Command(command, answer));
        match reply.await {
            Ok(Reply::Refused { reason }) => Err(Problem::refused(reason)),
            Ok(reply) => Ok(reply),
            Err(_) => Err(Problem::stopping()),
        }
    }

    /// The settings in force.
    async fn config(&self) -> Result<Arc<Settings>, Problem> {
        match self.ask(Command::Settings).await? {
            Reply::Settings(settings) => Ok(settings),
            other => Err(read::unexpected(&other)),
        }
    }

    /// The name of a domain of ours that is called this.
    async fn domain_called(&self, called: &str) -> Result<String, Problem> {
        let settings = self.config().await?;
        let is_called = |name: &String| name.eq_ignore_ascii_case(called);
        let found = settings.domains.iter().find(|d| is_called(&d.name) || d.aliases.iter().any(is_called));
        let found = found.map(|domain| domain.name.clone());
        found.ok_or_else(|| Problem::not_found(format!("{called:?} is no domain of ours")))
    }

    /// What the I/O side counted.
    async fn counters(&self) -> Result<Counters, Problem> {
        let (answer, counters) = oneshot::channel();
        self.mailbox.put(Happening::Counters(answer));
        counters.await.map_err(|_| Problem::stopping())
    }
}
