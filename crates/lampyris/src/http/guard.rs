//! What holds for every request, whatever it asks: how often, from which pages, how large; and the headers of every answer.

use super::limits::{BODY_BYTES_MAX, BODY_WITHIN};
use super::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

/// Only what we serve ourselves runs, and nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                      connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers of every answer.
const ALWAYS: [(&str, &str); 6] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ("server", "lampyris"),
];

/// Whose page asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// No page of another origin, or no browser at all.
    Own,
    /// A page that the configuration allows.
    Allowed(HeaderValue),
}

/// Judges Origin (RFC 6454 §7): pages of this very host, and those that are configured.
pub(super) fn asker(headers: &HeaderMap, is_secure: bool, origins: &[String]) -> Result<Asker, Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(Asker::Own) };
    let text = origin.to_str().unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let scheme = if is_secure { "https" } else { "http" };
    // Why: a proxy before us may do TLS, so a secure page of the same host is ours too.
    let is_own = [scheme, "https"].iter().any(|scheme| {
        let rest = text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
        !host.is_empty() && rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host))
    });
    if is_own {
        return Ok(Asker::Own);
    }
    if origins.iter().any(|known| known == "*" || known.trim_end_matches('/').eq_ignore_ascii_case(text)) {
        return Ok(Asker::Allowed(origin.clone()));
    }
    Err(Problem::forbidden("pages of this origin may not ask; `http_origins` lists those that may"))
}

/// The answer to a preflight (Fetch §3.2.2), where the request is one.
pub(super) fn preflight(request: &Request<Incoming>, asker: &Asker) -> Option<Response<Body>> {
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() != Method::OPTIONS || !asks || *asker == Asker::Own {
        return None;
    }
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, last-event-id"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    Some((StatusCode::NO_CONTENT, allowed).into_response())
}

/// The request with its whole body, read within its bounds.
pub(super) async fn whole(request: Request<Incoming>) -> Result<Request<Body>, Problem> {
    let (parts, body) = request.into_parts();
    let read = timeout(BODY_WITHIN, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    let bytes: Bytes = match read {
        Err(_) => return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body came too slowly")),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let detail = format!("a body is at most {BODY_BYTES_MAX} bytes long");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        Ok(Err(_)) => return Err(Problem::bad("the body cannot be read")),
        Ok(Ok(body)) => body.to_bytes(),
    };
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// Adds what every answer has.
pub(super) fn finish(mut response: Response<Body>, asker: Option<Asker>) -> Response<Body> {
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let shared = HeaderName::from_static("cross-origin-resource-policy");
    headers.entry(shared).or_insert(HeaderValue::from_static("same-origin"));
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(Asker::Allowed(origin)) = asker {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_pages_may_ask() {
        let origins = ["https://intranet.example.com".to_owned()];
        let rows = [
            (None, "127.0.0.1:8470", false, Some(true)),
            (Some("http://127.0.0.1:8470"), "127.0.0.1:8470", false, Some(true)),
            (Some("https://lamps.example.com"), "lamps.example.com", false, Some(true)),
            (Some("http://lamps.example.com"), "lamps.example.com", true, None),
            (Some("http://127.0.0.1:9000"), "127.0.0.1:8470", false, None),
            (Some("https://intranet.example.com"), "127.0.0.1:8470", false, Some(false)),
            (Some("http://intranet.example.com"), "127.0.0.1:8470", false, None),
            (Some("https://evil.example"), "127.0.0.1:8470", false, None),
            (Some("null"), "127.0.0.1:8470", false, None),
            (Some("http://"), "", false, None),
        ];
        for (origin, host, is_secure, own) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            let found = asker(&headers, is_secure, &origins).ok().map(|asker| asker == Asker::Own);
            assert_eq!(found, own, "{origin:?} {host}");
        }
    }
}
