//! What can be asked: one view each, in the JSON of the command line's `--json`.

use super::Api;
use super::body::{Json, Path, Query};
use super::events::presentities;
use super::grant::{Admin, Board, Grant};
use super::problem::Problem;
use super::tokens::Scope;
use crate::admin::protocol::Server;
use axum::extract::State;
use lampyris_core::command::{Command, Reply};
use lampyris_core::view;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A node answered something else than was asked: an own bug.
pub(super) fn unexpected(reply: &Reply) -> Problem {
    tracing::error!(?reply, "the node's answer fits no question");
    Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "an own bug; see the log")
}

/// A handler that asks the node one thing and passes its answer on.
macro_rules! asks {
    ($(#[doc = $doc:literal] $name:ident: $path:literal, $tag:literal, $may:ident, $command:expr, $row:ty;)*) => {
        $(
            #[doc = $doc]
            #[utoipa::path(get, path = $path, tag = $tag,
                responses((status = 200, description = $doc, body = $row)))]
            pub(super) async fn $name(State(api): State<Arc<Api>>, _: $may) -> Result<Json<Reply>, Problem> {
                api.ask($command).await.map(Json)
            }
        )*
    };
}

asks! {
    #[doc = "All hints, as `lampyris show hints`."]
    hints: "/api/v1/hints", "board", Board, Command::Hints, Vec<view::Hint>;
    #[doc = "All devices, as `lampyris show devices`."]
    devices: "/api/v1/devices", "board", Board, Command::Devices, Vec<view::Device>;
    #[doc = "All mailboxes."]
    mailboxes: "/api/v1/mailboxes", "board", Board, Command::Mailboxes, Vec<view::Mailbox>;
    #[doc = "All features that users have set."]
    features: "/api/v1/features", "board", Board, Command::Features, Vec<view::Feature>;
    #[doc = "All publications."]
    publications: "/api/v1/publications", "operate", Admin, Command::Publications, Vec<view::Publication>;
    #[doc = "All AORs with bindings."]
    registrations: "/api/v1/registrations", "operate", Admin, Command::Registrations, Vec<view::Registration>;
    #[doc = "All calls that pass through."]
    calls: "/api/v1/calls", "operate", Admin, Command::Calls, Vec<view::Call>;
    #[doc = "All peers."]
    peers: "/api/v1/peers", "operate", Admin, Command::Peers, Vec<view::Peer>;
    #[doc = "All phone profiles, in the order they are tried."]
    profiles: "/api/v1/profiles", "operate", Admin, Command::Profiles, Vec<view::Profile>;
    #[doc = "How the node is, as `lampyris status`."]
    status: "/api/v1/status", "operate", Admin, Command::Status, view::Status;
}

/// Every extension that exists now, with what is shown of it.
#[utoipa::path(get, path = "/api/v1/extensions", tag = "board",
    responses((status = 200, description = "Extensions by context and name.", body = Vec<view::Presentity>)))]
pub(super) async fn extensions(
    State(api): State<Arc<Api>>,
    _: Board,
) -> Result<Json<Vec<view::Presentity>>, Problem> {
    presentities(&api, false).await.map(Json)
}

/// Every person who exists now, with what is shown of them.
// Why: `[people]`, watchers and pending approvals (allow, block) belong under this path.
#[utoipa::path(get, path = "/api/v1/people", tag = "board",
    responses((status = 200, description = "People by domain and name.", body = Vec<view::Presentity>)))]
pub(super) async fn people(
    State(api): State<Arc<Api>>,
    _: Board,
) -> Result<Json<Vec<view::Presentity>>, Problem> {
    presentities(&api, true).await.map(Json)
}

/// What was set by command: device and presence states, each until it is deleted or its time is over.
#[utoipa::path(get, path = "/api/v1/sources", tag = "board",
    responses((status = 200, description = "Devices whose state was set by command.", body = Vec<view::Device>)))]
pub(super) async fn sources(
    State(api): State<Arc<Api>>,
    _: Board,
) -> Result<Json<Vec<view::Device>>, Problem> {
    match api.ask(Command::Devices).await? {
        Reply::Devices(rows) => {
            Ok(Json(rows.into_iter().filter(|row| row.source == "command" || row.for_s.is_some()).collect()))
        }
        other => Err(unexpected(&other)),
    }
}

/// Which subscriptions.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SubscriptionsQuery {
    /// What is watched, as `6001`, `6001@default` or `sip:alice@example.com`.
    resource: Option<String>,
    /// The watcher, exactly.
    watcher: Option<String>,
    /// The event package, as in `dialog`.
    package: Option<String>,
    /// The transport, as in `udp`.
    transport: Option<String>,
    /// The first characters of the Call-ID.
    call_id: Option<String>,
    /// The state shown last, as in `Idle`.
    state: Option<String>,
}

impl SubscriptionsQuery {
    fn selects(&self, row: &view::Subscription) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(found))
        };
        let name = row.resource.split('@').next().unwrap_or_default();
        let resource = self.resource.as_deref().is_none_or(|wanted| {
            wanted == row.resource || wanted == name || name.strip_prefix("sip:") == Some(wanted)
        });
        resource
            && is(&self.watcher, &row.watcher)
            && is(&self.package, &row.package)
            && is(&self.transport, &row.transport)
            && is(&self.state, row.last_state.as_deref().unwrap_or_default())
            && self.call_id.as_deref().is_none_or(|prefix| row.call_id.starts_with(prefix))
    }
}

/// Subscriptions that match all that is asked for.
#[utoipa::path(get, path = "/api/v1/subscriptions", tag = "operate", params(SubscriptionsQuery),
    responses((status = 200, description = "Subscriptions.", body = Vec<view::Subscription>)))]
pub(super) async fn subscriptions(
    State(api): State<Arc<Api>>,
    _: Admin,
    Query(query): Query<SubscriptionsQuery>,
) -> Result<Json<Vec<view::Subscription>>, Problem> {
    match api.ask(Command::Subscriptions).await? {
        Reply::Subscriptions(rows) => Ok(Json(rows.into_iter().filter(|row| query.selects(row)).collect())),
        other => Err(unexpected(&other)),
    }
}

/// Why a lamp shows what it shows, as `lampyris why`.
#[utoipa::path(get, path = "/api/v1/why/{resource}", tag = "board",
    params(("resource" = String, Path, description = "As `6001`, `6001@default`, `alice` or `sip:alice@example.com`.")),
    responses((status = 200, description = "Each resource of that name.", body = Vec<view::Why>),
              (status = 404, description = "Nothing is called that.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn why(
    State(api): State<Arc<Api>>,
    _: Admin,
    Path(resource): Path<String>,
) -> Result<Json<Reply>, Problem> {
    match api.ask(Command::Why(resource)).await {
        Err(problem) if problem.status == 422 => Err(Problem::not_found(problem.detail)),
        other => other.map(Json),
    }
}

/// Who is there, as `lampyris status`.
#[utoipa::path(get, path = "/api/v1/server", tag = "operate",
    responses((status = 200, description = "Version, process, sockets and counters.", body = Server)))]
pub(super) async fn server(State(api): State<Arc<Api>>, _: Admin) -> Result<Json<Server>, Problem> {
    Ok(Json(Server { counters: api.counters().await?, ..api.server.clone() }))
}

/// What a token is good for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Scopes {
    /// As in `board:read`.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
}

/// What the token of this request is good for.
#[utoipa::path(get, path = "/api/v1/token", tag = "tokens",
    responses((status = 200, description = "Its scopes.", body = Scopes)))]
pub(super) async fn token(Grant(scopes): Grant) -> Json<Scopes> {
    Json(Scopes { scopes })
}
