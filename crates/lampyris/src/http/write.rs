//! What can be changed: states, mailboxes and features by hand, and subscriptions.

use super::Api;
use super::problem::Problem;
use axum::extract::State;
use lampyris_core::command::Command;
use std::sync::Arc;

/// `/readyz`: whether the node answers.
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Result<&'static str, Problem> {
    api.ask(Command::Status).await.map(|_| "ready\n")
}
