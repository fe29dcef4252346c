//! What is served as it is: the front page and the example that colours dots.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// The example, for any page.
const PRESENCE_JS: &str = include_str!("../../../../examples/presence.js");

/// Until the web console is built: what is here.
const FRONT: &str = "<!doctype html><html lang=\"en\"><title>lampyris</title><h1>lampyris</h1>\
                     <p>The API is described in <a href=\"/openapi.json\">openapi.json</a>.</p></html>";

/// The front page.
pub(super) async fn front() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], FRONT).into_response()
}

/// `presence.js`; pages of other origins may load it.
pub(super) async fn presence_js() -> Response {
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/javascript; charset=utf-8"),
        ("cross-origin-resource-policy", "cross-origin"),
    ];
    (headers, PRESENCE_JS).into_response()
}
