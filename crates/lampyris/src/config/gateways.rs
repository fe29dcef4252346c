//! Gateways: from what was typed, in TOML or in FreeSWITCH's files, to what is asked of which server.
//!
//! In: [`Raw`] gateways, subscriptions and publications. Out: `Settings::gateways`, one subscription per watched URI, and errors where
//! something is missing, twice, or no URI.

use super::diagnostic::{Report, did_you_mean};
use super::raw::{Field, GatewayFields, Raw, RawGateway, RawPublication, RawSubscription};
use super::source::Typed;
use lampyris_core::lists::{Member, What};
use lampyris_core::settings::{
    Gateway, Mapping, Password, Registration, RemotePublication, RemoteSubscription,
};
use lampyris_sip::Uri;
use std::time::Duration;

/// Life asked for where none was typed, in seconds; FreeSWITCH's too.
const EXPIRES_S: u32 = 3600;
/// Wait after a failure where none was typed, in seconds; FreeSWITCH's too.
const RETRY_S: u32 = 30;

/// What this server reads of a package.
fn formats(event: &str) -> &'static str {
    match event {
        "presence" => "application/pidf+xml",
        "dialog" => "application/dialog-info+xml",
        "message-summary" => "application/simple-message-summary",
        _ => "",
    }
}

/// All gateways.
pub(super) fn resolve(report: &mut Report, raw: &Raw) -> Vec<Gateway> {
    let mut gateways: Vec<Gateway> = raw.gateways.iter().map(|typed| gateway(report, typed)).collect();
    for typed in &raw.subscriptions {
        let at = named(report, raw, &typed.name, &typed.fields.gateway);
        let Some((source, gateway)) = at.and_then(|at| Some((raw.gateways.get(at)?, gateways.get_mut(at)?)))
        else {
            continue;
        };
        let maps = maps(report, &source.fields.maps);
        for subscription in subscriptions(report, typed, &source.fields, gateway, &maps) {
            let same = |known: &RemoteSubscription| {
                (&known.package, known.list, &known.target, &known.watched)
                    == (&subscription.package, subscription.list, &subscription.target, &subscription.watched)
            };
            if gateway.subscriptions.iter().any(same) {
                let cause =
                    format!("`{}` is watched twice for {}", subscription.watched, subscription.package);
                report.error(typed.name.span, cause, "remove one");
                continue;
            }
            gateway.subscriptions.push(subscription);
        }
    }
    for typed in &raw.publications {
        let at = named(report, raw, &typed.name, &typed.fields.gateway);
        if let Some((source, gateway)) =
            at.and_then(|at| Some((raw.gateways.get(at)?, gateways.get_mut(at)?)))
        {
            gateway.publications.push(publication(report, typed, &source.fields, &gateway.realm));
        }
    }
    gateways
}

/// The gateway that a subscription or publication names, by its index.
fn named(report: &mut Report, raw: &Raw, what: &Typed<String>, gateway: &Field<String>) -> Option<usize> {
    let Some(name) = gateway else {
        report.error(what.span, format!("`{}` is at no gateway", what.value), "add `gateway = \"NAME\"`");
        return None;
    };
    let known = raw.gateways.iter().position(|gateway| gateway.name.value == name.value);
    if known.is_none() {
        let names = raw.gateways.iter().map(|gateway| gateway.name.value.as_str());
        let fix = match did_you_mean(&name.value, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add `[gateways.{}]`", name.value),
        };
        report.error(name.span, format!("there is no gateway `{}`", name.value), fix);
    }
    known
}

fn value<T: Clone>(field: &Field<T>, default: T) -> T {
    field.as_ref().map_or(default, |typed| typed.value.clone())
}

fn seconds(field: &Field<u32>, default: u32) -> Duration {
    Duration::from_secs(u64::from(value(field, default)))
}

fn gateway(report: &mut Report, typed: &RawGateway) -> Gateway {
    let name = typed.name.value.clone();
    let fields = &typed.fields;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        report.error(typed.name.span, "this is no name of a gateway", "write it without spaces");
    }
    let realm = value(&fields.realm, name.clone());
    let username = value(&fields.username, name.clone());
    let domain = value(&fields.domain, realm.clone());
    let identity = format!("sip:{}@{domain}", lampyris_sip::uri::escape_user(&username));
    let server = server(fields, &realm);
    for (field, uri) in [(&fields.domain, &identity), (&fields.proxy, &server)] {
        check(report, field.as_ref().unwrap_or(&typed.name), uri);
    }
    let proxy = fields.outbound_proxy.as_ref().map(|typed| {
        let uri = uri_of(&typed.value);
        check(report, typed, &uri);
        uri
    });
    let registration = value(&fields.register, false).then(|| Registration {
        registrar: server.clone(),
        expires_s: value(&fields.register_expires_s, EXPIRES_S),
        retry: seconds(&fields.retry_s, RETRY_S),
    });
    let password = Password(fields.secret.as_ref().map(|secret| secret.value.0.clone()).unwrap_or_default());
    let peer = value(&fields.peer, String::new());
    let watches = fields.watches.iter().flat_map(|list| &list.value);
    let watches = watches.map(|typed| typed.value.to_ascii_lowercase()).collect();
    let (subscriptions, publications) = (Vec::new(), Vec::new());
    Gateway {
        name,
        realm,
        username,
        password,
        identity,
        server,
        proxy,
        registration,
        subscriptions,
        publications,
        peer,
        watches,
    }
}

/// The URI of the server itself.
fn server(fields: &GatewayFields, realm: &str) -> String {
    uri_of(fields.proxy.as_ref().map_or(realm, |typed| typed.value.as_str()))
}

/// A host, maybe with port and parameters, as a URI; a URI as it is.
fn uri_of(text: &str) -> String {
    let is_uri = ["sip:", "sips:"].iter().any(|scheme| text.to_ascii_lowercase().starts_with(scheme));
    if is_uri { text.to_owned() } else { format!("sip:{text}") }
}

fn check(report: &mut Report, typed: &Typed<String>, uri: &str) {
    if !Uri::parse(uri).is_ok_and(|uri| !uri.host_str().is_empty()) {
        let cause = format!("`{uri}` is no SIP URI");
        report.error(
            typed.span,
            cause,
            "name a host, as in `sip.example.net`, or a URI, as in `sip:a@example.net`",
        );
    }
}

fn maps(report: &mut Report, typed: &Field<Vec<Typed<String>>>) -> Vec<Mapping> {
    let typed = typed.iter().flat_map(|list| &list.value);
    let mut maps = Vec::new();
    for rule in typed {
        let parts = rule.value.split_once('=').map(|(remote, local)| (remote.trim(), local.trim()));
        let Some((remote, local)) = parts.filter(|(remote, local)| {
            let stars = |text: &str| text.matches('*').count();
            !remote.is_empty() && !local.is_empty() && stars(remote) <= 1 && stars(local) <= stars(remote)
        }) else {
            let cause = format!("`{}` is no rule of who is who", rule.value);
            report.error(
                rule.span,
                cause,
                "write it as `1000 = bob`, or with one `*` on each side, as in `7* = 6*`",
            );
            continue;
        };
        maps.push(Mapping { from: remote.to_owned(), to: local.to_owned() });
    }
    maps
}

/// What one entry publishes.
fn publication(
    report: &mut Report,
    typed: &RawPublication,
    account: &GatewayFields,
    realm: &str,
) -> RemotePublication {
    let fields = &typed.fields;
    let mut maps = maps(report, &fields.maps);
    for mapping in &maps {
        // Why a letter for the star: what it will stand for is a user part.
        let uri = mapping.to.replace('*', "x");
        let span = fields.maps.as_ref().map_or(typed.name.span, |maps| maps.span);
        check(report, &Typed::new(String::new(), span), &uri);
    }
    if fields.maps.is_none() {
        let domain = value(&account.domain, realm.to_owned());
        maps.push(Mapping { from: "*".to_owned(), to: format!("sip:*@{domain}") });
    }
    let mut who = Vec::new();
    let everybody = [Typed::new("_.".to_owned(), typed.name.span)];
    for text in fields.who.as_ref().map_or(&everybody[..], |list| list.value.as_slice()) {
        match What::parse(&text.value) {
            Ok(what) => who.push(Member { what, display: String::new() }),
            Err(error) => report.error(
                text.span,
                format!("not a pattern: {error}"),
                "write names, `_60XX`, `group:NAME`, `context:NAME` or `list:NAME`",
            ),
        }
    }
    RemotePublication {
        package: value(&fields.event, "presence".to_owned()),
        who,
        maps,
        hop: account.proxy.as_ref().map(|typed| uri_of(&typed.value)),
        expires_s: value(&fields.expires_s, EXPIRES_S),
        retry: seconds(&fields.retry_s, RETRY_S),
    }
}

/// What one entry asks for: a subscription for each of its URIs.
fn subscriptions(
    report: &mut Report,
    typed: &RawSubscription,
    account: &GatewayFields,
    gateway: &Gateway,
    maps: &[Mapping],
) -> Vec<RemoteSubscription> {
    let fields = &typed.fields;
    let event = value(&fields.event, "presence".to_owned());
    // FreeSWITCH's word; RFC 4662 §4.1: a list is an option tag of a package's subscription, no package.
    let is_eventlist = event == "eventlist";
    let (package, list) = match is_eventlist {
        true => ("presence".to_owned(), true),
        false => (event, value(&fields.list, false)),
    };
    if package.is_empty() || !package.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        let span = fields.event.as_ref().map_or(typed.name.span, |event| event.span);
        report.error(span, format!("`{package}` is no event package"), "write it as `presence` or `dialog`");
    }
    let mut accept = match &fields.accept {
        Some(list) => list.value.clone(),
        None => vec![formats(&package).to_owned()],
    };
    accept.retain(|format| !format.is_empty());
    if list {
        // RFC 4662 §4.5: the list, and what is in it.
        let wanted = ["multipart/related", "application/rlmi+xml", formats(&package)];
        for format in wanted.into_iter().filter(|format| !format.is_empty()) {
            if !accept.iter().any(|known| known == format) {
                accept.push(format.to_owned());
            }
        }
    }
    let one = |target: String, watched: String| RemoteSubscription {
        package: package.clone(),
        list,
        accept: accept.join(", "),
        target,
        watched,
        expires_s: value(&fields.expires_s, EXPIRES_S),
        retry: seconds(&fields.retry_s, RETRY_S),
        maps: maps.to_vec(),
    };
    let uris = fields.uris.as_ref().map(|list| list.value.as_slice()).unwrap_or_default();
    for uri in uris {
        check(report, uri, &uri.value);
    }
    if !uris.is_empty() {
        return uris.iter().map(|uri| one(uri.value.clone(), uri.value.clone())).collect();
    }
    let server = server(account, &gateway.realm);
    let target = if value(&fields.username_in_request, true) {
        let user = lampyris_sip::uri::escape_user(&gateway.username);
        server.replacen(':', &format!(":{user}@"), 1)
    } else {
        server
    };
    vec![one(target, gateway.identity.clone())]
}
