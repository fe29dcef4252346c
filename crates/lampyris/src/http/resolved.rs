//! The configuration as it was resolved: every setting in force, by the names of the configuration, without secrets.
//!
//! Structs are taken apart field by field, so that a new setting does not compile until somebody has decided how it is
//! shown; what is secret is never read.

use crate::config::{HttpSettings, ShellSettings};
use crate::transport::tls::KeyFiles;
use axum::http::Uri;
use lampyris_core::composition::policy::Policy;
use lampyris_core::federation::Federation;
use lampyris_core::lists::List;
use lampyris_core::people::Person;
use lampyris_core::quotas::Quotas;
use lampyris_core::settings::{
    Authentication, Bounds, CallSettings, Domain, Egress, Gateway, Host, Mapping, NotifyRates, Peer,
    RoutingSettings, Settings,
};
use serde_json::{Map, Value, json};
use std::fmt::{Debug, Display};
use std::time::Duration;

/// Stands for a secret.
const SECRET: &str = "***";

/// All of it.
pub(super) fn resolved(settings: &Settings, shell: &ShellSettings) -> Value {
    let Settings {
        domains,
        peers,
        people,
        compositions,
        dialplan,
        trusted,
        allow_subscribe,
        no_hint,
        subscribe_response,
        subscription_expires_s,
        publication_expires_s,
        registration_expires_s,
        notify_max_rate,
        notify_ringing,
        notify_cid,
        notify_hold,
        calls,
        routing,
        flow_grace,
        quotas,
        egress,
        stop,
        restart_notify_rate,
        server_name,
        watch,
        profiles,
        lists,
        list_datagram_bytes,
        notify_fragments,
        gateways,
        federation,
        rules,
        documents,
    } = settings;
    let domain = |index: &usize| domains.get(*index).map_or("", |domain| domain.name.as_str());
    let hints = dialplan.hints().map(|hint| {
        json!({ "extension": hint.extension, "context": hint.context, "hint": hint.hint.text, "pattern": hint.is_pattern })
    });
    let named = lists.named.iter().map(|((index, name), list)| (format!("{name}@{}", domain(index)), list));
    let all_lists = named.chain(lists.own.iter().map(|(of, list)| (of.clone(), list)));
    json!({
        "server": server(shell),
        "domains": by_name(domains, |it| (it.name.clone(), of_domain(it, compositions))),
        "peers": by_name(peers, |(name, peer)| (name.clone(), of_peer(peer, domain(&peer.domain)))),
        "people": by_name(people.iter(), |it| (it.name.clone(), of_person(it, domain(&it.domain), compositions))),
        "composition": by_name(compositions, |it| (it.name.clone(), of_policy(it))),
        "hints": hints.collect::<Vec<_>>(),
        "trusted": printed(trusted),
        "allow_subscribe": allow_subscribe,
        "no_hint": word(no_hint),
        "subscribe_response": subscribe_response,
        "subscription_expires_s": bounds(*subscription_expires_s),
        "publication_expires_s": bounds(*publication_expires_s),
        "registration_expires_s": bounds(*registration_expires_s),
        "notify_ringing": word(notify_ringing),
        "notify_cid": word(notify_cid),
        "notify_hold": notify_hold,
        "calls": of_calls(calls, routing),
        "flow_grace_s": flow_grace.as_secs_f64(),
        "limits": limits(quotas, *notify_max_rate, egress),
        "stop": word(stop),
        "restart_notify_rate": restart_notify_rate,
        "server_name": server_name,
        "dialog_reveal": word(&watch.dialog_reveal),
        "dialog_offline": word(&watch.dialog_offline),
        "mailbox_watchers": watch.mailbox_watchers,
        "profiles": profiles.iter().map(|profile| &profile.name).collect::<Vec<_>>(),
        "lists": by_name(all_lists, |(name, list)| (name, of_list(list))),
        "list_datagram_bytes": list_datagram_bytes,
        "notify_fragments": notify_fragments,
        "gateways": by_name(gateways, |it| (it.name.clone(), of_gateway(it))),
        "federation": by_name(federation, |it| (it.domain.clone(), of_federation(it))),
        "rules": rules.keys().collect::<Vec<_>>(),
        "documents": documents.keys().collect::<Vec<_>>(),
    })
}

fn by_name<T>(rows: impl IntoIterator<Item = T>, row: impl Fn(T) -> (String, Value)) -> Value {
    rows.into_iter().map(row).collect::<Map<_, _>>().into()
}

/// The name of a variant as files have it, as in `same-domain`.
fn word(variant: &impl Debug) -> String {
    let mut out = String::new();
    for c in format!("{variant:?}").chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn printed(values: &[impl Display]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

fn bounds(Bounds { min, default, max }: Bounds) -> Value {
    json!({ "min": min, "default": default, "max": max })
}

fn server(shell: &ShellSettings) -> Value {
    let ShellSettings {
        listen,
        door,
        advertised,
        local_networks,
        data,
        http: HttpSettings { address, is_asked_for: _, plain, origins },
        webhooks,
        durability,
        store_bytes_max,
        backup_every_s,
        backups_kept,
        join_datagrams,
        account,
        quotas: _,
        log,
        log_format,
        otel,
    } = shell;
    let KeyFiles { certificate, key, client_ca, client_auth, roots } = &door.files;
    let advertised = advertised.as_ref().map(|known| match known.port {
        Some(port) => format!("{}:{port}", known.address),
        None => known.address.to_string(),
    });
    let hooks = by_name(webhooks, |hook| {
        let (kinds, subjects) = (&hook.kinds, &hook.subjects);
        let url = without_secrets(&hook.url);
        (hook.name.clone(), json!({ "url": url, "secret": SECRET, "events": kinds, "subjects": subjects }))
    });
    json!({
        "listen": printed(listen),
        "tls": { "certificate": certificate, "key": key, "client_ca": client_ca, "client_auth": word(client_auth), "roots": roots },
        "ws_origins": &*door.ws_origins,
        "advertised": advertised,
        "local_networks": printed(local_networks),
        "data": data,
        "http": address.map(|address| address.to_string()),
        "http_plain": plain,
        "http_origins": origins,
        "webhooks": hooks,
        "durability": durability.name(),
        "store_bytes_max": store_bytes_max,
        "backup_every_s": backup_every_s,
        "backups_kept": backups_kept,
        "join_datagrams": join_datagrams,
        "user": account.as_ref().map(|account| &account.user),
        "group": account.as_ref().and_then(|account| account.group.as_ref()),
        "log": log,
        "log_format": word(log_format),
        "otel": otel.as_deref().map(without_secrets),
    })
}

/// An address as far as its path: names and queries may hold tokens.
fn without_secrets(url: &str) -> String {
    let Ok(uri) = url.parse::<Uri>() else { return SECRET.to_owned() };
    let host = uri.authority().map_or("", |at| at.as_str().rsplit('@').next().unwrap_or_default());
    let query = if uri.query().is_some() { "?***" } else { "" };
    format!("{}://{host}{}{query}", uri.scheme_str().unwrap_or_default(), uri.path())
}

fn of_domain(domain: &Domain, compositions: &[Policy]) -> Value {
    let Domain {
        name: _,
        aliases,
        realm,
        algorithms,
        any_user,
        composition,
        context,
        watch,
        everybody,
        everybody_max,
    } = domain;
    json!({
        "aliases": aliases,
        "realm": realm,
        "algorithms": algorithms.iter().map(word).collect::<Vec<_>>(),
        "users": if *any_user { "any" } else { "configured" },
        "composition": compositions.get(*composition).map(|policy| &policy.name),
        "context": context,
        "watch": word(&watch.presence),
        "watch_dialog": word(&watch.calls),
        "everybody": everybody,
        "everybody_max": everybody_max,
    })
}

fn of_peer(peer: &Peer, domain: &str) -> Value {
    let Peer {
        name: _,
        domain: _,
        role,
        authentication,
        aliases,
        context,
        subscribe_context,
        allow_subscribe,
        host,
        device,
        call_limit,
        busy_level,
        busy_at,
        qualify,
        mailboxes,
        call_groups,
        pickup_groups,
        mwi_unsolicited,
        nat,
        trusted_publisher,
        display,
        profile,
        dialog_reveal,
        access,
    } = peer;
    let host = match host {
        Host::Dynamic => "dynamic".to_owned(),
        Host::Fixed { address, any_port: false } => address.to_string(),
        Host::Fixed { address, any_port: true } => address.ip().to_string(),
        Host::Named(name, None) => name.clone(),
        Host::Named(name, Some(port)) => format!("{name}:{port}"),
    };
    let secret = matches!(authentication, Authentication::Digest(known) if !known.is_empty());
    let access =
        access.iter().map(|rule| format!("{} {}", if rule.permit { "permit" } else { "deny" }, rule.network));
    json!({
        "domain": domain,
        "type": word(role),
        "authentication": match authentication {
            Authentication::Digest(_) => "digest",
            Authentication::Address => "address",
            Authentication::Open => "open",
        },
        "secret": secret.then_some(SECRET),
        "aliases": aliases,
        "context": context,
        "subscribe_context": subscribe_context,
        "allow_subscribe": allow_subscribe,
        "host": host,
        "device": device.as_typed(),
        "call_limit": call_limit,
        "busy_level": busy_level,
        "device_state_busy_at": busy_at,
        "qualify_s": seconds(qualify.map(|qualify| qualify.every)),
        "qualify_wait_s": seconds(qualify.map(|qualify| qualify.wait)),
        "mailboxes": mailboxes,
        "call_groups": call_groups,
        "pickup_groups": pickup_groups,
        "mwi_unsolicited": mwi_unsolicited,
        "nat": word(nat),
        "trusted_publisher": trusted_publisher,
        "display": display,
        "profile": profile,
        "dialog_reveal": dialog_reveal.as_ref().map(word),
        "access": access.collect::<Vec<_>>(),
    })
}

fn of_person(person: &Person, domain: &str, compositions: &[Policy]) -> Value {
    let Person { name: _, domain: _, display, peers, aliases, extensions, devices, mailboxes, composition } =
        person;
    let extensions = extensions.iter().map(|(context, extension)| format!("{extension}@{context}"));
    json!({
        "domain": domain,
        "display": display,
        "peers": peers,
        "aliases": aliases,
        "extensions": extensions.collect::<Vec<_>>(),
        "devices": devices.iter().map(|device| device.as_typed()).collect::<Vec<_>>(),
        "mailboxes": mailboxes,
        "composition": composition.and_then(|index| compositions.get(index)).map(|policy| &policy.name),
    })
}

fn of_policy(policy: &Policy) -> Value {
    let Policy {
        name: _,
        base,
        sources,
        overriding,
        fresh,
        lease,
        call_beats_away,
        dnd_beats_all,
        any_closed,
        active_first,
    } = policy;
    let names = |kinds: &[lampyris_core::composition::policy::SourceKind]| -> Vec<&str> {
        kinds.iter().map(|kind| kind.name()).collect()
    };
    json!({
        "base": base.name(),
        "sources": names(sources),
        "overriding": names(overriding),
        "fresh_s": seconds(*fresh),
        "lease_s": seconds(*lease),
        "call_beats_away": call_beats_away,
        "dnd_beats_all": dnd_beats_all,
        "any_closed": any_closed,
        "active_first": active_first,
    })
}

fn of_calls(calls: &CallSettings, routing: &RoutingSettings) -> Value {
    let CallSettings { settle, hold_shows, probe_after, probe_every } = calls;
    let RoutingSettings { default_route, pickup_code, group_pickup_code } = routing;
    json!({
        "settle_s": settle.as_secs_f64(),
        "hold_shows": word(hold_shows),
        "probe_after_s": probe_after.as_secs(),
        "probe_every_s": probe_every.as_secs(),
        "default_route": default_route,
        "pickup_code": pickup_code,
        "group_pickup_code": group_pickup_code,
    })
}

/// 0 is without limit.
fn limits(quotas: &Quotas, rates: NotifyRates, egress: &Egress) -> Value {
    let Quotas {
        subscriptions,
        subscriptions_per_watcher,
        subscriptions_per_presentity,
        subscriptions_per_source,
        publications,
        publications_per_presentity,
        publications_per_publisher,
        publishes_per_s,
        bindings,
        bindings_per_aor,
        memory_mib,
        streams,
        streams_per_address,
    } = quotas;
    json!({
        "subscriptions": subscriptions,
        "subscriptions_per_watcher": subscriptions_per_watcher,
        "subscriptions_per_presentity": subscriptions_per_presentity,
        "subscriptions_per_source": subscriptions_per_source,
        "publications": publications,
        "publications_per_presentity": publications_per_presentity,
        "publications_per_publisher": publications_per_publisher,
        "publishes_per_s": publishes_per_s,
        "bindings": bindings,
        "bindings_per_aor": bindings_per_aor,
        "memory_mib": memory_mib,
        "streams": streams,
        "streams_per_address": streams_per_address,
        "notify_max_rate": rates.any,
        "notify_max_rate_presence": rates.presence.unwrap_or(rates.any),
        "notify_max_rate_dialog": rates.dialog.unwrap_or(rates.any),
        "egress_allow": printed(&egress.allow),
        "egress_deny": printed(&egress.deny),
    })
}

fn of_list(list: &List) -> Value {
    let List { display, members, packages, watchers, batch, full_state } = list;
    json!({
        "display": display,
        "members": members.len(),
        "packages": packages,
        "watchers": watchers,
        "batch_s": batch.as_secs_f64(),
        "full_state": full_state,
    })
}

fn of_gateway(gateway: &Gateway) -> Value {
    let Gateway {
        name: _,
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
    } = gateway;
    let registration = registration.as_ref().map(
        |it| json!({ "registrar": it.registrar, "expires_s": it.expires_s, "retry_s": it.retry.as_secs() }),
    );
    let rules = |maps: &[Mapping]| -> Vec<String> {
        maps.iter().map(|map| format!("{} = {}", map.from, map.to)).collect()
    };
    let subscriptions = subscriptions.iter().map(|it| {
        let maps = rules(&it.maps);
        json!({ "package": it.package, "list": it.list, "accept": it.accept, "target": it.target, "watched": it.watched,
            "expires_s": it.expires_s, "retry_s": it.retry.as_secs(), "map": maps })
    });
    let publications = publications.iter().map(|it| {
        let maps = rules(&it.maps);
        json!({ "package": it.package, "who": it.who.len(), "hop": it.hop, "expires_s": it.expires_s,
            "retry_s": it.retry.as_secs(), "map": maps })
    });
    json!({
        "realm": realm,
        "username": username,
        "password": (!password.0.is_empty()).then_some(SECRET),
        "identity": identity,
        "server": server,
        "proxy": proxy,
        "registration": registration,
        "subscriptions": subscriptions.collect::<Vec<_>>(),
        "publications": publications.collect::<Vec<_>>(),
        "as_peer": peer,
        "watches": watches,
    })
}

fn of_federation(federation: &Federation) -> Value {
    let Federation { domain: _, hop, names, ask, allow } = federation;
    json!({ "proxy": hop, "names": names, "ask": printed(ask), "allow": printed(allow) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        for (url, shown) in [
            ("https://hooks.example.com/lamps", "https://hooks.example.com/lamps"),
            ("http://127.0.0.1:8080/lamps?token=1234", "http://127.0.0.1:8080/lamps?***"),
            ("https://me:1234@hooks.example.com/", "https://hooks.example.com/"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn variants_are_words() {
        assert_eq!(word(&lampyris_core::settings::WatchScope::SameDomain), "same-domain");
    }
}
