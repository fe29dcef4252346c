//! The one-time link: its code stands in the fragment, which browsers send to nobody, and is exchanged here for a token.

use super::Api;
use super::body::Json;
use super::problem::Problem;
use super::tokens::{Made, Scope};
use crate::engine::clock;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;

/// What a link holds.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    /// What stands behind `#link=`.
    code: String,
}

/// Exchanges the code of a one-time link for a token with the scope `admin`. It works once.
#[utoipa::path(post, path = "/api/v1/link", tag = "tokens", request_body = Code, security(()),
    responses((status = 200, description = "The token.", body = Made),
              (status = 403, description = "The code was used, or is too old.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn redeem(
    State(api): State<Arc<Api>>,
    Json(Code { code }): Json<Code>,
) -> Result<Json<Made>, Problem> {
    if !api.tokens.redeem(&code) {
        let detail = "this link was used already, or is too old; `lampyris token link` makes another";
        return Err(Problem::forbidden(detail));
    }
    let made = api.tokens.create("one-time link", vec![Scope::Admin], clock::wall().as_millis());
    made.map(Json).map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error))
}
