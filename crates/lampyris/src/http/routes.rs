//! Every path there is.

use super::body::Json;
use super::problem::Problem;
use super::{Api, docs, events, link, metrics, openapi, page, phones, read, write};
use crate::tracer;
use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use std::sync::Arc;
use tracing::Instrument as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The paths that are described, and their description.
pub(super) fn described() -> (Router<Arc<Api>>, OpenApi) {
    OpenApiRouter::with_openapi(openapi::common())
        .routes(routes!(read::extensions))
        .routes(routes!(read::history))
        .routes(routes!(read::people))
        .routes(routes!(read::person))
        .routes(routes!(write::set_status, write::delete_status))
        .routes(routes!(read::statuses))
        .routes(routes!(read::watchers))
        .routes(routes!(write::set_rule, write::delete_rule))
        .routes(routes!(read::rules, write::delete_rules))
        .routes(routes!(read::pending))
        .routes(routes!(read::domains))
        .routes(routes!(read::domain))
        .routes(routes!(read::lists))
        .routes(routes!(read::list))
        .routes(routes!(read::hints))
        .routes(routes!(read::devices))
        .routes(routes!(read::mailboxes))
        .routes(routes!(read::features))
        .routes(routes!(read::sources))
        .routes(routes!(read::why))
        .routes(routes!(read::subscriptions))
        .routes(routes!(read::publications))
        .routes(routes!(read::registrations))
        .routes(routes!(read::calls))
        .routes(routes!(read::peers))
        .routes(routes!(read::gateways))
        .routes(routes!(read::profiles))
        .routes(routes!(read::limits))
        .routes(routes!(read::config))
        .routes(routes!(phones::makers))
        .routes(routes!(phones::provisioning))
        .routes(routes!(read::status))
        .routes(routes!(read::server))
        .routes(routes!(read::token))
        .routes(routes!(events::events))
        .routes(routes!(events::messages))
        .routes(routes!(write::set_source, write::delete_source))
        .routes(routes!(write::set_mailbox))
        .routes(routes!(write::set_feature, write::delete_feature))
        .routes(routes!(write::nudge))
        .routes(routes!(write::drop_subscriptions))
        .routes(routes!(write::reload))
        .routes(routes!(link::redeem))
        .split_for_parts()
}

/// The whole site.
pub(super) fn router(api: Arc<Api>) -> Router {
    let (router, description) = described();
    let description = openapi::complete(description);
    router
        .route("/openapi.json", get(move || async move { Json(description) }))
        .route("/", get(page::front))
        .route("/console.js", get(page::script))
        .route("/console.css", get(page::style))
        .route("/presence.js", get(page::presence_js))
        .route("/docs", get(docs::index))
        .route("/docs/{name}", get(docs::document))
        .route("/docs.css", get(docs::style))
        .route("/healthz", get(async || "ok\n"))
        .route("/metrics", get(metrics::metrics))
        .route("/readyz", get(write::ready))
        .route_layer(middleware::from_fn(traced))
        .fallback(missing)
        .method_not_allowed_fallback(not_allowed)
        .with_state(api)
}

/// Its span, for a collector of traces.
async fn traced(route: MatchedPath, request: Request, next: Next) -> Response {
    let span = tracer::asked(request.method(), route.as_str());
    let response = next.run(request).instrument(span.clone()).await;
    tracer::answered(&span, response.status());
    response
}

async fn missing(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}; /openapi.json says what there is", uri.path()))
}

async fn not_allowed(method: Method) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} means nothing here; see Allow"))
}
