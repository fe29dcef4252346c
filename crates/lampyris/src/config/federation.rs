//! Federation: from `[federation."DOMAIN"]` to whom we believe to be of another domain, and who may ask for whom.
//!
//! In: [`Raw`] federated domains. Out: `Settings::federation`, and errors where a rule is none or a domain is our own.

use super::diagnostic::Report;
use super::raw::{Field, Raw};
use super::shell::ClientAuth;
use super::source::Typed;
use lampyris_core::federation::{Federation, Rule};
use lampyris_core::settings::Settings;
use lampyris_sip::Uri;

/// All federated domains.
pub(super) fn resolve(report: &mut Report, settings: &Settings, raw: &Raw) -> Vec<Federation> {
    let mut all = Vec::new();
    for typed in &raw.federation {
        let domain = typed.name.value.to_ascii_lowercase();
        let own = settings.domains.iter().any(|own| own.name == domain || own.aliases.contains(&domain));
        if own {
            let cause = format!("`{domain}` is a domain of this server");
            report.error(typed.name.span, cause, "name a domain of another server");
        }
        if raw.tls.certificate.is_none() {
            let cause = "servers that federate show each other certificates, and there is none";
            report.error(typed.name.span, cause, "add `[tls]` with `certificate`, `key` and `client_ca`");
        }
        let fields = &typed.fields;
        let asks = raw.tls.client_auth.as_ref().is_some_and(|auth| auth.value != ClientAuth::None);
        if let Some(allow) = fields.allow.as_ref().filter(|allow| !allow.value.is_empty() && !asks) {
            let cause =
                format!("nobody from `{domain}` can prove it: who connects is not asked for a certificate");
            report.error(allow.span, cause, "add `client_auth = \"request\"` and `client_ca` to `[tls]`");
        }
        let mut hop = fields.proxy.as_ref().map_or_else(|| domain.clone(), |proxy| proxy.value.clone());
        if !hop.starts_with("sip:") && !hop.starts_with("sips:") {
            hop = format!("sip:{hop}");
        }
        if !hop.starts_with("sips:") && !hop.contains("transport=") {
            hop.push_str(";transport=tls");
        }
        let secure = hop.starts_with("sips:") || hop.to_ascii_lowercase().contains("transport=tls");
        if !secure || Uri::parse(&hop).is_err() {
            let span = fields.proxy.as_ref().map_or(typed.name.span, |proxy| proxy.span);
            let cause = format!("`{hop}` is no server that proves who it is");
            report.error(span, cause, "name a host, maybe with a port; it is connected to by TLS");
        }
        let names =
            fields.names.as_ref().map(|names| names.value.iter().map(|name| name.to_ascii_lowercase()));
        all.push(Federation {
            hop,
            names: names.map_or_else(|| vec![domain.clone()], Iterator::collect),
            ask: rules(report, &fields.ask).unwrap_or_else(|| Rule::parse("* = *").into_iter().collect()),
            allow: rules(report, &fields.allow).unwrap_or_default(),
            domain,
        });
    }
    all
}

fn rules(report: &mut Report, typed: &Field<Vec<Typed<String>>>) -> Option<Vec<Rule>> {
    let list = typed.as_ref()?;
    let mut rules = Vec::new();
    for text in &list.value {
        match Rule::parse(&text.value) {
            Some(rule) => rules.push(rule),
            None => {
                let cause = format!("`{}` does not say who may ask for whom", text.value);
                report.error(
                    text.span,
                    cause,
                    "write it as `alice = bob`, or with one `*` on a side, as in `* = 60*`",
                );
            }
        }
    }
    Some(rules)
}
