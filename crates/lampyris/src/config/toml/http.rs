//! What a TOML file says of HTTP: where the API is, and webhooks.

use super::Reader;
use super::values::Values;
use crate::config::options::Table;
use crate::config::raw::{Field, RawWebhook, Secret};
use crate::config::shell::{HTTP_PORT, socket_address};
use crate::config::source::Typed;
use ::toml::de::DeTable;
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
