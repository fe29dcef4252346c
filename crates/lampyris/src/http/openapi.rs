//! The description of the API (OpenAPI 3.1), made from the handlers, and what all of them have in common.

use super::problem::{MEDIA_TYPE, Problem};
use super::routes;
use crate::events::history::Occurrence;
use serde_json::Value;
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};

/// What is said once.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "lampyris", description = "The HTTP API of the presence server lampyris. Every answer that is not 2xx \
        is a problem (RFC 9457)."),
    components(schemas(Problem, Occurrence, super::events::Snapshot, crate::admin::protocol::SipMessage)),
    tags((name = "board", description = "What a board shows."),
         (name = "state", description = "Setting states by hand."),
         (name = "watchers", description = "Who may watch whom."),
         (name = "events", description = "What happens, as it happens."),
         (name = "operate", description = "Looking after the server."),
         (name = "tokens", description = "Who may ask."))
)]
pub(super) struct Common;

/// Refusals that any operation may give.
const REFUSALS: [(&str, &str); 8] = [
    ("400", "The request is not understood."),
    ("401", "There is no token, or none of ours."),
    ("403", "The token is not good for this, or the page's origin is not allowed."),
    ("408", "The body came too slowly."),
    ("413", "The body is too long."),
    ("415", "The body is not JSON."),
    ("429", "Too many requests."),
    ("503", "The server is stopping, or the store failed."),
];

/// The description of the bare operations.
pub(super) fn common() -> OpenApi {
    Common::openapi()
}

/// Adds refusals and the token to every operation, and says how large numbers are.
pub(super) fn complete(mut api: OpenApi) -> Value {
    api.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = api.components.get_or_insert_default();
    components.security_schemes.insert("token".to_owned(), bearer);
    for item in api.paths.paths.values_mut() {
        for operation in operations(item) {
            if operation.security.is_none() {
                operation.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
            }
            for (status, description) in REFUSALS {
                let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
                let response = ResponseBuilder::new().description(description).content(MEDIA_TYPE, content);
                let responses = &mut operation.responses.responses;
                responses.entry(status.to_owned()).or_insert(RefOr::T(response.build()));
            }
        }
    }
    let mut document = serde_json::to_value(&api).unwrap_or_default();
    unsigned(&mut document);
    document
}

/// Numbers from 0 on have one bit more than the formats that OpenAPI has names for.
fn unsigned(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let is_unsigned = fields.get("minimum").is_some_and(|least| least.as_u64() == Some(0));
            match fields.get("format").and_then(Value::as_str) {
                Some("int32") if is_unsigned => {
                    fields.remove("format");
                    fields.insert("maximum".to_owned(), u32::MAX.into());
                }
                Some("int64") if is_unsigned => drop(fields.remove("format")),
                _ => {}
            }
            fields.values_mut().for_each(unsigned);
        }
        Value::Array(items) => items.iter_mut().for_each(unsigned),
        _ => {}
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().filter_map(Option::as_mut)
}

/// `docs/openapi.json`, as `/openapi.json` serves it.
pub fn document() -> String {
    format!("{:#}\n", complete(routes::described().1))
}
