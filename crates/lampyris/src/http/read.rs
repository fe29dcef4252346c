//! What can be asked: one view each, in the JSON of the command line's `--json`.

use super::body::{Json, Path, Query};
use super::events::presentities;
use super::grant::{Admin, Board, Grant};
use super::problem::Problem;
use super::tokens::Scope;
use super::{Api, resolved};
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

/// Handlers that ask the node one thing and pass its answer on; those whose path names something answer 404 where the node
/// does not know it.
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
    (of $(#[doc = $doc:literal] $name:ident: $path:literal, $part:literal = $as:literal, $tag:literal, $may:ident, $command:expr, $row:ty;)*) => {
        $(
            #[doc = $doc]
            #[utoipa::path(get, path = $path, tag = $tag, params(($part = String, Path, description = $as)),
                responses((status = 200, description = $doc, body = $row),
                          (status = 404, description = "Nothing is called that.", body = Problem, content_type = "application/problem+json")))]
            pub(super) async fn $name(State(api): State<Arc<Api>>, _: $may, Path(what): Path<String>) -> Result<Json<Reply>, Problem> {
                api.ask(($command)(what)).await.map(Json).map_err(Problem::or_not_found)
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
    #[doc = "All who are configured as people or have said something of themselves, as `lampyris presence show`."]
    statuses: "/api/v1/statuses", "board", Board, Command::People(None), Vec<view::Person>;
    #[doc = "Who wants to watch and was not decided upon, as `lampyris pending`."]
    pending: "/api/v1/pending", "watchers", Admin, Command::Pending(None), Vec<view::Pending>;
    #[doc = "All lists, as `lampyris lists`."]
    lists: "/api/v1/lists", "operate", Admin, Command::Lists, Vec<view::List>;
    #[doc = "All publications."]
    publications: "/api/v1/publications", "operate", Admin, Command::Publications, Vec<view::Publication>;
    #[doc = "All AORs with bindings."]
    registrations: "/api/v1/registrations", "operate", Admin, Command::Registrations, Vec<view::Registration>;
    #[doc = "All calls that pass through."]
    calls: "/api/v1/calls", "operate", Admin, Command::Calls, Vec<view::Call>;
    #[doc = "All peers."]
    peers: "/api/v1/peers", "operate", Admin, Command::Peers, Vec<view::Peer>;
    #[doc = "What is watched at servers elsewhere, and where we register, as `lampyris gateways`."]
    gateways: "/api/v1/gateways", "operate", Admin, Command::Gateways, Vec<view::Gateway>;
    #[doc = "All phone profiles, in the order they are tried."]
    profiles: "/api/v1/profiles", "operate", Admin, Command::Profiles, Vec<view::Profile>;
    #[doc = "All limits, and how often each was hit, as `lampyris show limits`."]
    limits: "/api/v1/limits", "operate", Admin, Command::Limits, Vec<view::Limit>;
    #[doc = "How the node is, as `lampyris status`."]
    status: "/api/v1/status", "operate", Admin, Command::Status, view::Status;
}

asks! { of
    #[doc = "Why a lamp shows what it shows, as `lampyris why`: each resource of that name."]
    why: "/api/v1/why/{resource}", "resource" = "As `6001`, `6001@default`, `alice` or `sip:alice@example.com`.",
        "board", Admin, Command::Why, Vec<view::Why>;
    #[doc = "The presence rules of a user, as `lampyris rules show`; none where the configured default decides."]
    rules: "/api/v1/people/{person}/rules", "person" = "As `alice` or `alice@example.com`.",
        "watchers", Admin, Command::Rules, Vec<view::Rules>;
    #[doc = "One list: who is in it, and who watches it, as `lampyris show list`."]
    list: "/api/v1/lists/{list}", "list" = "As `board` or `list:board@example.com`.",
        "operate", Admin, Command::List, view::ListDetail;
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

/// Every person who exists now, with what is shown of them; whoever has several names is one row.
#[utoipa::path(get, path = "/api/v1/people", tag = "board",
    responses((status = 200, description = "People by domain and name.", body = Vec<view::Presentity>)))]
pub(super) async fn people(
    State(api): State<Arc<Api>>,
    _: Board,
) -> Result<Json<Vec<view::Presentity>>, Problem> {
    presentities(&api, true).await.map(Json)
}

/// The last day of a lamp.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct History {
    /// From when on all changes are known, in milliseconds since the Unix epoch: the server's start, or later.
    since_ms: u64,
    /// Changes, the oldest first.
    changes: Vec<Change>,
}

/// One change of a lamp.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Change {
    /// When, in milliseconds since the Unix epoch.
    at_ms: u64,
    /// The state before, as in `Idle`.
    was: &'static str,
    /// The state from then on.
    state: &'static str,
}

/// When an extension or a person changed within the last 24 hours; none where nothing is called that.
#[utoipa::path(get, path = "/api/v1/history/{resource}", tag = "board",
    params(("resource" = String, Path, description = "As `6001@default` or `sip:alice@example.com`.")),
    responses((status = 200, description = "Changes.", body = History)))]
pub(super) async fn history(
    State(api): State<Arc<Api>>,
    _: Board,
    Path(resource): Path<String>,
) -> Json<History> {
    let (since_ms, changes) = api.hub.day_of(&resource);
    let changes = changes.into_iter().map(|it| Change { at_ms: it.at_ms, was: it.was, state: it.state });
    Json(History { since_ms, changes: changes.collect() })
}

/// One person: every name, device and mailbox, and what they say of themselves.
#[utoipa::path(get, path = "/api/v1/people/{person}", tag = "board",
    params(("person" = String, Path, description = "Any name of theirs, as `alice` or `alice@example.com`.")),
    responses((status = 200, description = "The person.", body = view::Person),
              (status = 404, description = "Nobody is called that.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn person(
    State(api): State<Arc<Api>>,
    _: Board,
    Path(person): Path<String>,
) -> Result<Json<view::Person>, Problem> {
    match api.ask(Command::People(Some(person))).await.map_err(Problem::or_not_found)? {
        Reply::People(mut rows) => {
            rows.pop().map(Json).ok_or_else(|| Problem::not_found("nobody is called that"))
        }
        other => Err(unexpected(&other)),
    }
}

/// A domain of ours.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Domain {
    /// As in `example.com`.
    name: String,
    /// Other names and addresses that mean the same.
    aliases: Vec<String>,
    /// What is subscribed to for everybody in it; `None` where it is too large for that.
    everybody: Option<String>,
    /// People in it.
    people: usize,
}

/// Our domains.
#[utoipa::path(get, path = "/api/v1/domains", tag = "board",
    responses((status = 200, description = "Domains, the default one first.", body = Vec<Domain>)))]
pub(super) async fn domains(State(api): State<Arc<Api>>, _: Board) -> Result<Json<Vec<Domain>>, Problem> {
    let people = presentities(&api, true).await?;
    let settings = api.config().await?;
    let domains = settings.domains.iter().map(|domain| {
        let people = people.iter().filter(|row| row.group == domain.name).count();
        let everybody = (people <= domain.everybody_max).then(|| format!("sip:{}", domain.name));
        Domain { name: domain.name.clone(), aliases: domain.aliases.clone(), everybody, people }
    });
    Ok(Json(domains.collect()))
}

/// Everybody in a domain, as a subscription to `sip:DOMAIN` shows them to whom may see all.
#[utoipa::path(get, path = "/api/v1/domains/{domain}", tag = "board",
    params(("domain" = String, Path, description = "Its name or an alias.")),
    responses((status = 200, description = "People by name.", body = Vec<view::Presentity>),
              (status = 404, description = "It is no domain of ours.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn domain(
    State(api): State<Arc<Api>>,
    _: Board,
    Path(domain): Path<String>,
) -> Result<Json<Vec<view::Presentity>>, Problem> {
    let name = api.domain_called(&domain).await?;
    let people = presentities(&api, true).await?;
    Ok(Json(people.into_iter().filter(|row| row.group == name).collect()))
}

/// Who watches a person, and who waits to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Watchers {
    /// Every subscription, by whatever name of the person.
    watchers: Vec<view::Watcher>,
    /// The same by what they are shown.
    classes: Vec<view::WatcherClass>,
    /// Who was not decided upon.
    pending: Vec<view::Pending>,
}

/// Who watches a person, what they are shown and by which rule, and who waits for a decision.
#[utoipa::path(get, path = "/api/v1/people/{person}/watchers", tag = "watchers",
    params(("person" = String, Path, description = "As `alice` or `alice@example.com`.")),
    responses((status = 200, description = "Watchers.", body = Watchers),
              (status = 404, description = "Nobody is called that.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn watchers(
    State(api): State<Arc<Api>>,
    _: Admin,
    Path(person): Path<String>,
) -> Result<Json<Watchers>, Problem> {
    let pending =
        match api.ask(Command::Pending(Some(person.clone()))).await.map_err(Problem::or_not_found)? {
            Reply::Pending(rows) => rows,
            other => return Err(unexpected(&other)),
        };
    let Reply::Why(rows) = api.ask(Command::Why(person)).await.map_err(Problem::or_not_found)? else {
        return Err(unexpected(&Reply::Done { count: 0 }));
    };
    let (watchers, classes): (Vec<_>, Vec<_>) =
        rows.into_iter().map(|row| (row.watchers, row.classes)).unzip();
    Ok(Json(Watchers { watchers: watchers.concat(), classes: classes.concat(), pending }))
}

/// The configuration as it was resolved, without secrets.
#[utoipa::path(get, path = "/api/v1/config", tag = "operate",
    responses((status = 200, description = "Every setting in force, defaults included; secrets are `***`.", body = Object)))]
pub(super) async fn config(
    State(api): State<Arc<Api>>,
    _: Admin,
) -> Result<Json<serde_json::Value>, Problem> {
    Ok(Json(resolved::resolved(&*api.config().await?, &api.shell)))
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
