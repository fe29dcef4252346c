//! Rules about HTTP: where it may be without TLS, and what a webhook needs.

use super::diagnostic::{Report, did_you_mean};
use super::raw::{Raw, RawWebhook};
use super::shell::{HttpSettings, ShellSettings, Webhook};
use super::source::Typed;
use crate::events::filter::KINDS;

/// What a webhook is told of where nothing else is said.
const EVENTS_DEFAULT: [&str; 1] = ["extension"];

/// Completes what is about HTTP. The certificates are known by now.
pub(super) fn resolve(report: &mut Report, shell: &mut ShellSettings, raw: &Raw) {
    let typed = &raw.server;
    let http = &mut shell.http;
    if let Some(address) = &typed.http {
        *http = HttpSettings { address: address.value, is_asked_for: true, ..HttpSettings::default() };
    }
    http.plain = typed.http_plain.as_ref().is_some_and(|plain| plain.value);
    http.origins = typed.http_origins.as_ref().map(|origins| origins.value.clone()).unwrap_or_default();
    if let (Some(address), Some(typed)) = (http.address, &typed.http)
        && !address.ip().is_loopback()
        && shell.door.keys.is_none()
        && !http.plain
        && raw.tls.certificate.is_none()
    {
        let cause =
            format!("`{address}` is beyond the loopback interface, and tokens would go there in the clear");
        let fix = "add `[tls]` with `certificate` and `key`, or `http_plain = true` where a proxy does TLS";
        report.error(typed.span, cause, fix);
    }
    shell.webhooks = raw.webhooks.iter().filter_map(|(name, fields)| webhook(report, name, fields)).collect();
}

fn webhook(report: &mut Report, name: &Typed<String>, fields: &RawWebhook) -> Option<Webhook> {
    let missing = [("url", fields.url.is_none()), ("secret", fields.secret.is_none())];
    for (key, _) in missing.iter().filter(|(_, missing)| *missing) {
        let cause = format!("the webhook `{}` has no `{key}`", name.value);
        report.error(name.span, cause, format!("add `{key}` to `[webhooks.{}]`", name.value));
    }
    let (url, secret) = (fields.url.as_ref()?, fields.secret.as_ref()?);
    let scheme = url.value.split_once("://").filter(|(_, rest)| !rest.is_empty());
    if !scheme.is_some_and(|(scheme, _)| ["http", "https"].contains(&scheme))
        || url.value.contains(char::is_whitespace)
    {
        let cause = format!("`{}` is no address of a web server", url.value);
        report.error(url.span, cause, "write it as `https://hooks.example.com/lamps`");
    }
    if secret.value.0.is_empty() {
        report.error(secret.span, "the secret is empty", "make one up, as long as you like");
    }
    let names = || KINDS.iter().map(|(kind, _)| *kind);
    let kinds: Vec<String> = match &fields.events {
        None => EVENTS_DEFAULT.map(str::to_owned).into(),
        Some(events) => {
            for unknown in events.value.iter().filter(|kind| names().all(|known| known != kind.value)) {
                let cause = format!("there are no events called `{}`", unknown.value);
                let fix = match did_you_mean(&unknown.value, names()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
                };
                report.error(unknown.span, cause, fix);
            }
            events.value.iter().map(|kind| kind.value.clone()).collect()
        }
    };
    let subjects = fields.subjects.as_ref().map(|subjects| subjects.value.clone()).unwrap_or_default();
    Some(Webhook {
        name: name.value.clone(),
        url: url.value.clone(),
        secret: secret.value.clone(),
        kinds,
        subjects,
    })
}
