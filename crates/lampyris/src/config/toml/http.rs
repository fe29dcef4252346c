//! What a TOML file says of HTTP: where the API is, webhooks, and a collector of traces.

use super::Reader;
use super::values::Values;
use crate::config::options::Table;
use crate::config::raw::{Field, RawWebhook, Secret};
use crate::config::shell::{HTTP_PORT, socket_address};
use crate::config::source::Typed;
use ::toml::de::DeTable;
use axum::http::Uri;
use std::net::SocketAddr;

impl Reader<'_> {
    /// `http = "127.0.0.1:8470"`, or `"off"`.
    pub(super) fn http(&mut self, values: &Values) -> Field<Option<SocketAddr>> {
        let text = values.text("http")?;
        if text.value == "off" {
            return Some(Typed::new(None, text.span));
        }
        let address = socket_address(&text.value, HTTP_PORT);
        if address.is_none() {
            let cause = format!("`{}` is no IP address and port", text.value);
            self.report.error(text.span, cause, "write it as `127.0.0.1:8470` or `[::1]:8470`, or `off`");
        }
        address.map(|address| Typed::new(Some(address), text.span))
    }

    /// `otel = "http://127.0.0.1:4318"`.
    pub(super) fn otel(&mut self, values: &Values) -> Field<String> {
        let endpoint = values.text("otel")?;
        let is_address = ["http://", "https://"].iter().any(|scheme| endpoint.value.starts_with(scheme));
        if !cfg!(feature = "otel") {
            let cause = "this lampyris is built without OpenTelemetry";
            self.report.error(
                endpoint.span,
                cause,
                "build it with `--features otel`, or take the option out",
            );
        } else if !is_address || endpoint.value.parse::<Uri>().is_err() {
            let cause = format!("`{}` is no address of HTTP", endpoint.value);
            self.report.error(endpoint.span, cause, "write it as `http://127.0.0.1:4318`");
        }
        Some(endpoint)
    }

    /// `[webhooks.x]`.
    pub(super) fn webhook(&mut self, name: Typed<String>, table: &DeTable<'_>) {
        let values = self.values(Table::Webhook, table);
        let fields = RawWebhook {
            url: values.text("url"),
            secret: values.text("secret").map(|secret| secret.map(Secret)),
            events: values.texts("events"),
            subjects: values.plain_texts("subjects"),
        };
        match self.raw.webhooks.iter_mut().find(|(known, _)| known.value == name.value) {
            Some((_, known)) => known.overlay(fields),
            None => self.raw.webhooks.push((name, fields)),
        }
    }
}
