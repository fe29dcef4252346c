//! What can be changed: states, mailboxes and features by hand, and subscriptions.

use super::Api;
use super::body::{Json, Path};
use super::grant::{Admin, Grant};
use super::problem::Problem;
use super::read::unexpected;
use crate::admin::protocol::Remarks;
use crate::server::reload::NotReloaded;
use axum::extract::State;
use axum::http::StatusCode;
use lampyris_core::authz::Handling;
use lampyris_core::command::{Command, Reply, Selector};
use lampyris_core::features::Feature;
use lampyris_core::journal::Counts;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Longest time that a state can be set for: ten years.
const FOR_S_MAX: u64 = 315_576_000;

/// What was done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Done {
    /// Things touched.
    count: usize,
}

/// A state that is set by hand.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ManualState {
    /// A device state (`NOT_INUSE`, `INUSE`, `BUSY`, `INVALID`, `UNAVAILABLE`, `RINGING`, `RINGINUSE`, `ONHOLD`,
    /// `UNKNOWN`); of `CustomPresence:` a presence (`available`, `away`, `xa`, `chat`, `dnd`, `unavailable`, `not_set`).
    state: String,
    /// A few words that go with a presence.
    note: Option<String>,
    /// How many seconds it holds; for ever where it is missing. Not for `CustomPresence:`.
    #[schema(minimum = 1, maximum = 315_576_000)]
    for_s: Option<u64>,
}

/// The name in a device, as in `alice` of `SIP/alice` and `Custom:alice`.
fn name_of(device: &str) -> &str {
    device.split_once(['/', ':']).map_or(device, |(_, name)| name)
}

fn may_set(grant: &Grant, name: &str) -> Result<(), Problem> {
    if grant.sets_state_of(name) {
        return Ok(());
    }
    Err(Problem::forbidden(format!("this takes the scope state:write:{name}")))
}

/// The user in a name, as in `alice` of `alice@example.com` and `sip:alice@example.com`.
fn user_of(name: &str) -> &str {
    name.strip_prefix("sip:").unwrap_or(name).split('@').next().unwrap_or_default()
}

fn lasting(for_s: Option<u64>) -> Result<Option<u64>, Problem> {
    match for_s {
        Some(for_s) if !(1..=FOR_S_MAX).contains(&for_s) => {
            Err(Problem::bad(format!("`for_s` is between 1 and {FOR_S_MAX}")))
        }
        for_s => Ok(for_s),
    }
}

async fn done(api: &Api, command: Command) -> Result<Json<Done>, Problem> {
    match api.ask(command).await? {
        Reply::Done { count } => Ok(Json(Done { count })),
        other => Err(unexpected(&other)),
    }
}

/// Sets a device's or person's state by hand, as `lampyris devstate set`. What the device itself says counts again after
/// `for_s` seconds, or when this is deleted.
#[utoipa::path(put, path = "/api/v1/sources/{device}", tag = "state", request_body = ManualState,
    params(("device" = String, Path, description = "As `Custom:night`, `SIP%2Fbob` or `CustomPresence:alice`.")),
    responses((status = 200, description = "It is set, and stored.", body = Done),
              (status = 422, description = "No such state, or no name of a device.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_source(
    State(api): State<Arc<Api>>,
    grant: Grant,
    Path(device): Path<String>,
    Json(typed): Json<ManualState>,
) -> Result<Json<Done>, Problem> {
    may_set(&grant, name_of(&device))?;
    let for_s = lasting(typed.for_s)?;
    let is_presence =
        device.split_once(['/', ':']).is_some_and(|(tech, _)| tech.eq_ignore_ascii_case("CustomPresence"));
    let state = match typed.note {
        None => typed.state,
        Some(note) if is_presence => format!("{},,{note}", typed.state),
        Some(_) => return Err(Problem::bad("a note goes with a presence (CustomPresence:) only")),
    };
    done(&api, Command::SetDevice { device, state, for_s }).await
}

/// Removes what was set by hand, as `lampyris devstate clear`.
#[utoipa::path(delete, path = "/api/v1/sources/{device}", tag = "state",
    params(("device" = String, Path, description = "As `Custom:night`, `SIP%2Fbob` or `CustomPresence:alice`.")),
    responses((status = 200, description = "It is removed.", body = Done),
              (status = 404, description = "Nothing was set by hand.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete_source(
    State(api): State<Arc<Api>>,
    grant: Grant,
    Path(device): Path<String>,
) -> Result<Json<Done>, Problem> {
    may_set(&grant, name_of(&device))?;
    done(&api, Command::ClearDevice { device }).await.map_err(Problem::or_not_found)
}

/// What a person says of themselves.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidStatus {
    /// `available`, `dnd`, `offline`, or an activity of RFC 4480 as `away`, `meeting`, `vacation`.
    status: String,
    /// A few words that go with it.
    #[serde(default)]
    note: String,
    /// How many seconds it holds; until it is deleted where it is missing.
    #[schema(minimum = 1, maximum = 315_576_000)]
    for_s: Option<u64>,
}

/// Sets what a person says of themselves, for all of their names at once, as `lampyris presence set`.
#[utoipa::path(put, path = "/api/v1/people/{person}/status", tag = "state", request_body = SaidStatus,
    params(("person" = String, Path, description = "Any name of theirs, as `alice` or `alice@example.com`.")),
    responses((status = 200, description = "It is set, and stored.", body = Done),
              (status = 422, description = "No such person, or no such status.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_status(
    State(api): State<Arc<Api>>,
    grant: Grant,
    Path(person): Path<String>,
    Json(SaidStatus { status, note, for_s }): Json<SaidStatus>,
) -> Result<Json<Done>, Problem> {
    may_set(&grant, user_of(&person))?;
    done(&api, Command::SetStatus { person, status, note, for_s: lasting(for_s)? }).await
}

/// Forgets what a person said of themselves, as `lampyris presence clear`.
#[utoipa::path(delete, path = "/api/v1/people/{person}/status", tag = "state",
    params(("person" = String, Path, description = "Any name of theirs, as `alice` or `alice@example.com`.")),
    responses((status = 200, description = "How many there were, maybe none.", body = Done),
              (status = 404, description = "Nobody is called that.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete_status(
    State(api): State<Arc<Api>>,
    grant: Grant,
    Path(person): Path<String>,
) -> Result<Json<Done>, Problem> {
    may_set(&grant, user_of(&person))?;
    done(&api, Command::ClearStatus { person }).await.map_err(Problem::or_not_found)
}

/// What a watcher is to get.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ruling {
    /// Which.
    handling: Handling,
}

/// The path of a watcher.
#[derive(Debug, Deserialize)]
pub(super) struct WatcherPath {
    person: String,
    watcher: String,
}

/// Says what a watcher gets from now on, as `lampyris allow`, `block`, `polite-block` and `confirm`.
#[utoipa::path(put, path = "/api/v1/people/{person}/watchers/{watcher}", tag = "watchers", request_body = Ruling,
    params(("person" = String, Path, description = "Who is watched, as `alice`."),
           ("watcher" = String, Path, description = "Who watches, as `bob` or `bob@elsewhere.example`.")),
    responses((status = 200, description = "It holds, for live subscriptions too; 0 where it did already.", body = Done),
              (status = 422, description = "No such user, or the rules stand in a file.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_rule(
    State(api): State<Arc<Api>>,
    _: Admin,
    Path(WatcherPath { person: user, watcher }): Path<WatcherPath>,
    Json(Ruling { handling }): Json<Ruling>,
) -> Result<Json<Done>, Problem> {
    done(&api, Command::Rule { user, watcher, handling: Some(handling) }).await
}

/// Forgets what was said of a watcher, as `lampyris forget`.
#[utoipa::path(delete, path = "/api/v1/people/{person}/watchers/{watcher}", tag = "watchers",
    params(("person" = String, Path, description = "Who is watched, as `alice`."),
           ("watcher" = String, Path, description = "Who watches, as `bob` or `bob@elsewhere.example`.")),
    responses((status = 200, description = "Of this watcher holds what holds of everybody; 0 where it did already.", body = Done),
              (status = 422, description = "No such user, or the rules stand in a file.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete_rule(
    State(api): State<Arc<Api>>,
    _: Admin,
    Path(WatcherPath { person: user, watcher }): Path<WatcherPath>,
) -> Result<Json<Done>, Problem> {
    done(&api, Command::Rule { user, watcher, handling: None }).await
}

/// Removes all rules of a user, as `lampyris rules clear`: the configured default decides again.
#[utoipa::path(delete, path = "/api/v1/people/{person}/rules", tag = "watchers",
    params(("person" = String, Path, description = "As `alice`.")),
    responses((status = 200, description = "0 where there were none.", body = Done),
              (status = 422, description = "No such user, or the rules stand in a file.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete_rules(
    State(api): State<Arc<Api>>,
    _: Admin,
    Path(person): Path<String>,
) -> Result<Json<Done>, Problem> {
    done(&api, Command::ClearRules(person)).await
}

/// Sets a mailbox's message counts, as `lampyris mailbox set`.
#[utoipa::path(put, path = "/api/v1/mailboxes/{mailbox}", tag = "state", request_body = Counts,
    params(("mailbox" = String, Path, description = "As `100@default`.")),
    responses((status = 200, description = "They are set, and stored.", body = Done),
              (status = 422, description = "No name of a mailbox.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_mailbox(
    State(api): State<Arc<Api>>,
    grant: Grant,
    Path(mailbox): Path<String>,
    Json(counts): Json<Counts>,
) -> Result<Json<Done>, Problem> {
    may_set(&grant, user_of(&mailbox))?;
    done(&api, Command::SetMailbox { mailbox, counts }).await
}

/// How a feature is set.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FeatureValue {
    /// Where calls go, for forwarding.
    target: Option<String>,
    /// After how many seconds nobody has answered.
    after_s: Option<u32>,
}

/// The path of a feature.
#[derive(Debug, Deserialize)]
pub(super) struct FeaturePath {
    user: String,
    feature: Feature,
}

/// Sets a feature of a user, as `lampyris feature set`.
#[utoipa::path(put, path = "/api/v1/features/{user}/{feature}", tag = "state", request_body = FeatureValue,
    params(("user" = String, Path, description = "A peer's name, or an AOR."), ("feature" = Feature, Path, description = "Which.")),
    responses((status = 200, description = "It is set, and stored.", body = Done),
              (status = 422, description = "No such user, or a target is missing.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_feature(
    State(api): State<Arc<Api>>,
    grant: Grant,
    Path(FeaturePath { user, feature }): Path<FeaturePath>,
    Json(FeatureValue { target, after_s }): Json<FeatureValue>,
) -> Result<Json<Done>, Problem> {
    may_set(&grant, user_of(&user))?;
    done(&api, Command::SetFeature { user, feature, target, after_s }).await
}

/// Switches a feature of a user off, as `lampyris feature clear`.
#[utoipa::path(delete, path = "/api/v1/features/{user}/{feature}", tag = "state",
    params(("user" = String, Path, description = "A peer's name, or an AOR."), ("feature" = Feature, Path, description = "Which.")),
    responses((status = 200, description = "It is off.", body = Done),
              (status = 422, description = "No such user.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete_feature(
    State(api): State<Arc<Api>>,
    grant: Grant,
    Path(FeaturePath { user, feature }): Path<FeaturePath>,
) -> Result<Json<Done>, Problem> {
    may_set(&grant, user_of(&user))?;
    done(&api, Command::ClearFeature { user, feature }).await
}

/// Which subscriptions are meant: all given parts must match, and without any `all` must be true.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Selected {
    /// Resource (extension or user part), exactly.
    resource: Option<String>,
    /// Watcher (peer name), exactly.
    watcher: Option<String>,
    /// Call-ID, by its beginning.
    call_id: Option<String>,
    /// Every subscription.
    #[serde(default)]
    all: bool,
}

impl Selected {
    fn selector(self) -> Result<Selector, Problem> {
        let Self { resource, watcher, call_id, all } = self;
        let selector = Selector { resource, watcher, call_id };
        if all != (selector == Selector::default()) {
            return Err(Problem::bad(
                "name a `resource`, `watcher` or `call_id`, or say `\"all\": true` alone",
            ));
        }
        Ok(selector)
    }
}

/// Sends the current state again to the subscriptions that match, as `lampyris nudge`.
#[utoipa::path(post, path = "/api/v1/subscriptions/nudge", tag = "operate", request_body = Selected,
    responses((status = 200, description = "How many there were, maybe none.", body = Done)))]
pub(super) async fn nudge(
    State(api): State<Arc<Api>>,
    _: Admin,
    Json(selected): Json<Selected>,
) -> Result<Json<Done>, Problem> {
    done(&api, Command::Nudge(selected.selector()?)).await
}

/// Ends the subscriptions that match, as `lampyris drop`; their phones are told to subscribe again.
#[utoipa::path(post, path = "/api/v1/subscriptions/drop", tag = "operate", request_body = Selected,
    responses((status = 200, description = "How many there were, maybe none.", body = Done)))]
pub(super) async fn drop_subscriptions(
    State(api): State<Arc<Api>>,
    _: Admin,
    Json(selected): Json<Selected>,
) -> Result<Json<Done>, Problem> {
    done(&api, Command::Drop(selected.selector()?)).await
}

/// Reads the configuration again, as `lampyris reload`.
#[utoipa::path(post, path = "/api/v1/reload", tag = "operate",
    responses((status = 200, description = "The configuration holds now; warnings, maybe none.", body = Remarks),
              (status = 422, description = "The configuration has errors; nothing was changed.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn reload(State(api): State<Arc<Api>>, _: Admin) -> Result<Json<Remarks>, Problem> {
    match api.reloader.reload().await {
        Ok(warnings) => Ok(Json(warnings)),
        Err(NotReloaded::Misconfigured(Remarks { text, .. }) | NotReloaded::Refused(text)) => {
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text))
        }
    }
}

/// `/readyz`: whether the node answers.
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Result<&'static str, Problem> {
    api.ask(Command::Status).await.map(|_| "ready\n")
}
