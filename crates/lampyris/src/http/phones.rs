//! What to write into a phone's provisioning, as `lampyris phone` prints it.

use super::body::{Json, Path, Query};
use super::grant::Admin;
use super::problem::Problem;
use crate::cli::failure::Failure;
use crate::cli::phone::{self, Maker, Provisioning};
use serde::Deserialize;

/// What the phone is to watch, and as whom.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PhoneQuery {
    /// Extensions to be watched, separated by commas.
    extensions: Option<String>,
    /// Domain or host the phone registers with.
    server: Option<String>,
    /// The phone's own name there; adds its account.
    user: Option<String>,
}

/// The makers of phones there are snippets for.
#[utoipa::path(get, path = "/api/v1/phones", tag = "operate",
    responses((status = 200, description = "Makers, in the order of the table.", body = Vec<Maker>)))]
pub(super) async fn makers(_: Admin) -> Result<Json<Vec<Maker>>, Problem> {
    phone::makers().map(Json).map_err(refused)
}

/// The lines that make a phone of this maker watch lamps.
#[utoipa::path(get, path = "/api/v1/phones/{maker}", tag = "operate",
    params(("maker" = String, Path, description = "As `yealink`."), PhoneQuery),
    responses((status = 200, description = "The lines, by file or page.", body = Provisioning),
              (status = 422, description = "The maker is unknown, or a value is none.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn provisioning(
    _: Admin,
    Path(maker): Path<String>,
    Query(query): Query<PhoneQuery>,
) -> Result<Json<Provisioning>, Problem> {
    let extensions = query.extensions.unwrap_or_default();
    let extensions = extensions.split(',').map(str::trim).filter(|part| !part.is_empty());
    let server = query.server.unwrap_or_else(|| "example.com".to_owned());
    let user = query.user.filter(|user| !user.is_empty());
    phone::provisioning(&maker, extensions.map(str::to_owned).collect(), server, user)
        .map(Json)
        .map_err(refused)
}

fn refused(failure: Failure) -> Problem {
    Problem::refused(failure.to_string())
}
