//! Spans of requests, for an OpenTelemetry collector: one for each SIP message that comes in, one for each HTTP request.
//!
//! In: messages as they pass. Out: spans of `tracing`, which [`layer`] sends on (`otlp.rs`). What the node tells while it
//! handles a message (the log's lines: subscription, extension, rejected ...) are the span's events. All of it is there only
//! with the feature `otel`: without it these functions are empty.

#[cfg(feature = "otel")]
mod otlp;

use axum::http::{Method, StatusCode};
use lampyris_core::flow::Flow;
use lampyris_sip::{Message, ParseError};
use tracing::Span;

#[cfg(feature = "otel")]
pub(crate) use otlp::{Exporting, layer};

/// Nothing to wait for at the end.
#[cfg(not(feature = "otel"))]
pub(crate) struct Exporting;

/// No layer.
#[cfg(not(feature = "otel"))]
#[expect(clippy::unnecessary_wraps, reason = "the layer that there may be can fail")]
pub(crate) fn layer(
    _shell: &crate::config::ShellSettings,
) -> Result<(Option<tracing_subscriber::layer::Identity>, Exporting), String> {
    Ok((None, Exporting))
}

/// The span of a SIP message that came in; what leaves while it is handled belongs to it.
pub(crate) fn received(flow: Flow, message: &Result<Message, ParseError>) -> Span {
    if !cfg!(feature = "otel") {
        return Span::none();
    }
    let span = tracing::trace_span!(
        "sip",
        otel.name = tracing::field::Empty,
        otel.kind = "server",
        sip.method = tracing::field::Empty,
        sip.status = tracing::field::Empty,
        sip.call_id = tracing::field::Empty,
        network.peer.address = tracing::field::Empty,
    );
    if span.is_disabled() {
        return span;
    }
    span.record("network.peer.address", tracing::field::display(flow.remote()));
    if let Ok(message) = message {
        let method = message.cseq().method;
        span.record("sip.method", method.as_str());
        span.record("sip.call_id", message.call_id());
        match message.status() {
            Some(status) => {
                span.record("otel.name", format!("{} {method}", status.0));
                span.record("sip.status", status.0);
            }
            None => _ = span.record("otel.name", method.as_str()),
        }
    }
    span
}

/// What a message in hand is answered: the first response that leaves while it is handled.
pub(crate) fn sent(bytes: &[u8]) {
    if !cfg!(feature = "otel") {
        return;
    }
    let status = bytes.strip_prefix(b"SIP/2.0 ").and_then(|rest| rest.get(..3));
    if let Some(status) = status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok()) {
        Span::current().record("sip.status", status);
    }
}

/// The span of an HTTP request, by its route: paths name people.
pub(crate) fn asked(method: &Method, route: &str) -> Span {
    if !cfg!(feature = "otel") {
        return Span::none();
    }
    tracing::trace_span!(
        "http",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method.as_str(),
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    )
}

/// What it is answered.
pub(crate) fn answered(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
}
