//! What is served as it is: the web console and the example that colours dots.
//!
//! The console's sources are in `console/`; `scripts/console` builds them into `assets/`, which is committed, so that this
//! needs no Node.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// The example, for any page.
const PRESENCE_JS: &str = include_str!("../../../../examples/presence.js");

/// The console: three files, everything in them.
const FRONT: &str = include_str!("assets/index.html");
const SCRIPT: &str = include_str!("assets/console.js");
const STYLE: &str = include_str!("assets/console.css");

/// The front page.
pub(super) async fn front() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], FRONT).into_response()
}

/// The console's script.
pub(super) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}

/// The console's style sheet.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// `presence.js`; pages of other origins may load it.
pub(super) async fn presence_js() -> Response {
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/javascript; charset=utf-8"),
        ("cross-origin-resource-policy", "cross-origin"),
    ];
    (headers, PRESENCE_JS).into_response()
}
