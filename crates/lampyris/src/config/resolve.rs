//! From what was typed to complete settings: every default, and every rule between two options.
//!
//! In: [`Raw`]. Out: `Settings` and [`ShellSettings`], and errors where options contradict each other. `peers` and
//! `lint` are parts of it in files of their own.

use super::diagnostic::{Report, did_you_mean};
use super::raw::{self, Field, Raw};
use super::shell::{ClientAuth, ShellSettings};
use super::source::{Span, Typed};
use super::user_files::UserFiles;
use super::{composition, federation, gateways, http, lint, lists, peers, people, profiles};
use crate::privileges::Account;
use crate::transport::streams::Door;
use crate::transport::tls::{KeyFault, KeyFiles, Keys};
use lampyris_core::authz::PresRules;
use lampyris_core::hard_state::HardState;
use lampyris_core::settings::{Bounds, Domain, OnTimeout, Profile, Settings};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long an unanswered NOTIFY waits for its second try, where a profile says `retry` and no more (RFC 3261's 64*T1).
const RETRY_AFTER_S: u64 = 32;

const RULES: UserFiles<PresRules> = UserFiles {
    option: "rules",
    until_right: "put it right; until then no rule of the new configuration is used",
    read: |text, _| PresRules::read(text).map_err(|error| error.to_string()),
};

const DOCUMENTS: UserFiles<HardState> = UserFiles {
    option: "documents",
    until_right: "put it right; until then the documents before hold",
    read: |text, since| HardState::read(text, since).map_err(|error| error.to_string()),
};

/// Completes what was typed.
pub(crate) fn resolve(report: &mut Report, mut raw: Raw) -> (Settings, ShellSettings) {
    let mut settings = Settings::empty();
    let mut shell = shell(report, &raw.server);
    shell.door = door(report, &raw);
    http::resolve(report, &mut shell, &raw);
    // chan_sip's default: `notifyhold` has to be asked for.
    settings.notify_hold = !raw.from_sip_conf;
    server(&mut settings, &raw.server);
    quotas(&mut settings, &raw.quotas);
    shell.quotas = settings.quotas.clone();
    bounds(report, &mut settings, &raw.bounds);
    calls(&mut settings, &raw.calls);
    settings.profiles = profile_list(std::mem::take(&mut raw.profiles));
    settings.compositions = composition::resolve(report, &raw);
    settings.domains = domains(report, &raw, &shell);
    for typed in &raw.domains {
        let Some(name) = &typed.fields.composition else { continue };
        let lower = typed.name.value.to_ascii_lowercase();
        let index = composition::named(report, &settings.compositions, name).unwrap_or(0);
        if let Some(domain) = settings.domains.iter_mut().find(|domain| domain.name == lower) {
            domain.composition = index;
        }
    }
    peers::resolve(report, &mut settings, &raw);
    people::resolve(report, &mut settings, &raw);
    lint::egress(report, &settings, &raw);
    settings.gateways = gateways::resolve(report, &raw);
    settings.federation = federation::resolve(report, &settings, &raw);
    shell.door.federated = settings.federation.iter().flat_map(|known| known.names.clone()).collect();
    routing(report, &mut settings, &raw.calls);
    mailbox_watchers(report, &mut settings, &raw);
    lists::resolve(report, &mut settings, &raw);
    lint::dialplan(report, &settings, &raw);
    settings.dialplan = raw.dialplan;
    if let Some(directory) = &raw.server.rules {
        settings.rules = RULES.all(report, &settings, directory);
    }
    if let Some(directory) = &raw.server.documents {
        settings.documents = DOCUMENTS.all(report, &settings, directory);
    }
    (settings, shell)
}

/// Puts what was typed in the place of the default.
fn set<T: Clone>(target: &mut T, typed: &Field<T>) {
    if let Some(typed) = typed {
        target.clone_from(&typed.value);
    }
}

fn shell(report: &mut Report, typed: &raw::Server) -> ShellSettings {
    let mut shell = ShellSettings::defaults();
    if let Some(listen) = &typed.listen {
        shell.listen = listen.value.iter().map(|address| address.value).collect();
        if listen.value.is_empty() {
            report.error(
                listen.span,
                "nothing to listen on",
                "name at least one address, as `udp:0.0.0.0:5060`",
            );
        }
        for (at, address) in listen.value.iter().enumerate() {
            let earlier = listen.value.iter().take(at);
            if address.value.address.port() != 0
                && earlier.into_iter().any(|known| known.value == address.value)
            {
                report.error(address.span, format!("`{}` is there twice", address.value), "remove one");
            }
        }
    }
    shell.advertised = typed.advertised.as_ref().map(|address| address.value);
    set(&mut shell.local_networks, &typed.local_networks);
    shell.data = typed.data.as_ref().map(|path| path.value.clone());
    set(&mut shell.durability, &typed.durability);
    set(&mut shell.store_bytes_max, &typed.store_bytes_max);
    set(&mut shell.backup_every_s, &typed.backup_every_s);
    set(&mut shell.backups_kept, &typed.backups_kept);
    set(&mut shell.join_datagrams, &typed.join_datagrams);
    set(&mut shell.log, &typed.log);
    set(&mut shell.log_format, &typed.log_format);
    shell.otel = typed.otel.as_ref().map(|endpoint| endpoint.value.clone());
    let group = typed.group.as_ref();
    shell.account = typed
        .user
        .as_ref()
        .map(|user| Account { user: user.value.clone(), group: group.map(|group| group.value.clone()) });
    if let (None, Some(group)) = (&shell.account, group) {
        report.error(group.span, "`group` without `user` does nothing", "add `user`, or remove `group`");
    }
    shell
}

/// Whose pages may come in, and certificates, read from the files named; none where nothing is configured, or something is wrong with it.
fn door(report: &mut Report, raw: &Raw) -> Door {
    let typed = &raw.tls;
    let path = |typed: &Field<PathBuf>| typed.as_ref().map(|path| path.value.clone());
    let files = KeyFiles {
        certificate: path(&typed.certificate),
        key: path(&typed.key),
        client_ca: path(&typed.client_ca),
        client_auth: typed.client_auth.as_ref().map_or(ClientAuth::None, |typed| typed.value),
        roots: path(&typed.roots),
    };
    let listed = raw.server.ws_origins.as_ref();
    let ws_origins = listed.map_or_else(Arc::default, |listed| listed.value.clone().into());
    if files == KeyFiles::default() {
        let secure = raw.server.listen.iter().flat_map(|list| &list.value);
        for listen in secure.filter(|listen| listen.value.transport.is_secure()) {
            let cause = format!("`{}` needs a certificate", listen.value);
            report.error(listen.span, cause, "add `[tls]` with `certificate` and `key`");
        }
        return Door { files, ws_origins, keys: None, federated: Arc::default() };
    }
    if files.client_auth == ClientAuth::None
        && let Some(unused) = &typed.client_ca
    {
        let fix = "set `client_auth` to \"request\" or \"require\"";
        report.warning(unused.span, "nobody is asked for a certificate of these authorities", fix);
    }
    let at = |path: &Field<PathBuf>| path.as_ref().map(|path| path.span);
    let paths = [&typed.certificate, &typed.key, &typed.client_ca, &typed.roots].into_iter().filter_map(at);
    let first = paths.chain(typed.client_auth.as_ref().map(|auth| auth.span)).min().unwrap_or_default();
    const AUTHORITIES: &str = "name a file with certificates of authorities, in PEM";
    let (span, cause, fix) = match Keys::load(&files) {
        Ok(keys) => return Door { files, ws_origins, keys: Some(keys), federated: Arc::default() },
        Err(KeyFault::Certificate(cause)) => {
            (at(&typed.certificate), cause, "name a file with a certificate in PEM")
        }
        Err(KeyFault::Key(cause)) => {
            (at(&typed.key), cause, "name the key that the certificate was made for")
        }
        Err(KeyFault::ClientCa(cause)) => (at(&typed.client_ca), cause, AUTHORITIES),
        Err(KeyFault::Roots(cause)) => (at(&typed.roots), cause, AUTHORITIES),
    };
    report.error(span.unwrap_or(first), cause, fix);
    Door { files, ws_origins, keys: None, federated: Arc::default() }
}

fn server(settings: &mut Settings, typed: &raw::Server) {
    set(&mut settings.trusted, &typed.trusted);
    set(&mut settings.egress.allow, &typed.egress_allow);
    set(&mut settings.egress.deny, &typed.egress_deny);
    set(&mut settings.allow_subscribe, &typed.allow_subscribe);
    set(&mut settings.no_hint, &typed.no_hint);
    set(&mut settings.subscribe_response, &typed.subscribe_response);
    set(&mut settings.notify_ringing, &typed.notify_ringing);
    set(&mut settings.notify_hold, &typed.notify_hold);
    set(&mut settings.notify_cid, &typed.notify_cid);
    set(&mut settings.watch.dialog_reveal, &typed.dialog_reveal);
    set(&mut settings.watch.dialog_offline, &typed.dialog_offline);
    set(&mut settings.stop, &typed.stop);
    set(&mut settings.restart_notify_rate, &typed.restart_notify_rate);
    set(&mut settings.server_name, &typed.name);
    if let Some(grace) = &typed.flow_grace_s {
        settings.flow_grace = Duration::from_secs(grace.value);
    }
}

fn quotas(settings: &mut Settings, typed: &raw::RawQuotas) {
    let quotas = &mut settings.quotas;
    for (most, typed) in [
        (&mut quotas.subscriptions, &typed.subscriptions),
        (&mut quotas.subscriptions_per_watcher, &typed.subscriptions_per_watcher),
        (&mut quotas.subscriptions_per_presentity, &typed.subscriptions_per_presentity),
        (&mut quotas.subscriptions_per_source, &typed.subscriptions_per_source),
        (&mut quotas.publications, &typed.publications),
        (&mut quotas.publications_per_presentity, &typed.publications_per_presentity),
        (&mut quotas.publications_per_publisher, &typed.publications_per_publisher),
        (&mut quotas.publishes_per_s, &typed.publishes_per_s),
        (&mut quotas.bindings, &typed.bindings),
        (&mut quotas.bindings_per_aor, &typed.bindings_per_aor),
        (&mut quotas.memory_mib, &typed.memory_mib),
        (&mut quotas.streams, &typed.streams),
        (&mut quotas.streams_per_address, &typed.streams_per_address),
    ] {
        set(most, typed);
    }
}

fn calls(settings: &mut Settings, typed: &raw::RawCalls) {
    let calls = &mut settings.calls;
    set(&mut calls.hold_shows, &typed.hold_shows);
    if let Some(settle) = &typed.settle_ms {
        calls.settle = Duration::from_millis(settle.value);
    }
    for (time, typed) in
        [(&mut calls.probe_after, &typed.probe_after_s), (&mut calls.probe_every, &typed.probe_every_s)]
    {
        if let Some(seconds) = typed {
            *time = Duration::from_secs(seconds.value);
        }
    }
}

fn routing(report: &mut Report, settings: &mut Settings, typed: &raw::RawCalls) {
    let routing = &mut settings.routing;
    set(&mut routing.pickup_code, &typed.pickup_code);
    set(&mut routing.group_pickup_code, &typed.group_pickup_code);
    if let Some(peer) = &typed.default_route {
        if !settings.peers.contains_key(&peer.value) {
            let cause = format!("no peer is called `{}`", peer.value);
            report.error(peer.span, cause, "name the gateway that calls to other numbers go to");
        }
        routing.default_route = Some(peer.value.clone());
    }
}

fn bounds(report: &mut Report, settings: &mut Settings, typed: &raw::RawBounds) {
    set(&mut settings.notify_max_rate.any, &typed.notify_max_rate);
    settings.notify_max_rate.presence = typed.notify_max_rate_presence.as_ref().map(|rate| rate.value);
    settings.notify_max_rate.dialog = typed.notify_max_rate_dialog.as_ref().map(|rate| rate.value);
    set(&mut settings.list_datagram_bytes, &typed.list_datagram_bytes);
    set(&mut settings.notify_fragments, &typed.notify_fragments);
    let subscription = (&typed.subscription_min_s, &typed.subscription_default_s, &typed.subscription_max_s);
    let publication = (&typed.publication_min_s, &typed.publication_default_s, &typed.publication_max_s);
    let registration = (&typed.registration_min_s, &typed.registration_default_s, &typed.registration_max_s);
    for (bounds, (min, default, max)) in [
        (&mut settings.subscription_expires_s, subscription),
        (&mut settings.publication_expires_s, publication),
        (&mut settings.registration_expires_s, registration),
    ] {
        *bounds = one_bounds(report, *bounds, min, default, max);
    }
}

/// `min <= default <= max`; a default nobody typed gives way.
fn one_bounds(
    report: &mut Report,
    known: Bounds,
    min: &Field<u32>,
    default: &Field<u32>,
    max: &Field<u32>,
) -> Bounds {
    let value = |field: &Field<u32>, known| field.as_ref().map_or(known, |typed| typed.value);
    let (low, high) = (value(min, known.min), value(max, known.max));
    let place = |fields: [&Field<u32>; 2]| {
        let typed = fields.into_iter().flatten().map(|typed| typed.span);
        typed.max().unwrap_or_default()
    };
    if low > high {
        let cause = format!("the shortest life, {low} seconds, is longer than the longest, {high} seconds");
        report.error(place([min, max]), cause, "raise the maximum or lower the minimum");
        return known;
    }
    let middle = value(default, known.default);
    let was_typed = default.as_ref().is_some_and(|typed| typed.span != Span::default());
    if was_typed && !(low..=high).contains(&middle) {
        let cause = format!("the default life, {middle} seconds, is not between {low} and {high} seconds");
        report.error(place([default, &None]), cause, "move it between the minimum and the maximum");
    }
    Bounds { min: low, default: middle.clamp(low, high), max: high }
}

/// New profiles in their order, then the built-in ones, `default` last.
pub(super) fn profile_list(typed: Vec<raw::Profile>) -> Vec<Profile> {
    let (built_in, own): (Vec<_>, Vec<_>) =
        typed.into_iter().partition(|profile| profiles::is_built_in(profile.name.span));
    own.into_iter().chain(built_in).map(profile).collect()
}

fn profile(typed: raw::Profile) -> Profile {
    let raw::ProfileFields {
        user_agents,
        variant,
        prefer,
        on_timeout_retry,
        retry_after_s,
        buggy_mwi,
        notify_max_rate,
        retry_statuses,
        idle_dialog,
        single_dialog,
        partial_dialogs,
        digium,
        auto_answer,
        pickup,
        end_notify,
        list_event_capital,
        list_bare_ids,
        shorten,
        reason,
    } = typed.fields;
    let mut profile = Profile::rfc();
    profile.name = typed.name.value;
    // Why: a profile chosen by name only must not match every phone, which an empty list would.
    profile.user_agents = match user_agents.map(|list| list.value) {
        Some(list) if list.iter().any(String::is_empty) => Vec::new(),
        Some(list) if !list.is_empty() => list,
        _ => vec![Profile::BY_NAME_ONLY.to_owned()],
    };
    set(&mut profile.variant, &variant);
    set(&mut profile.prefer, &prefer);
    set(&mut profile.buggy_mwi, &buggy_mwi);
    profile.notify_max_rate = notify_max_rate.map(|rate| rate.value);
    set(&mut profile.retry_statuses, &retry_statuses);
    set(&mut profile.idle_dialog, &idle_dialog);
    set(&mut profile.single_dialog, &single_dialog);
    set(&mut profile.partial_dialogs, &partial_dialogs);
    set(&mut profile.digium, &digium);
    set(&mut profile.auto_answer, &auto_answer);
    set(&mut profile.pickup, &pickup);
    set(&mut profile.end_notify, &end_notify);
    set(&mut profile.list_event_capital, &list_event_capital);
    set(&mut profile.list_bare_ids, &list_bare_ids);
    set(&mut profile.shorten, &shorten);
    set(&mut profile.reason, &reason);
    if on_timeout_retry.is_some_and(|retry| retry.value) {
        let after = retry_after_s.map_or(RETRY_AFTER_S, |seconds| seconds.value);
        profile.on_timeout = OnTimeout::Retry(Duration::from_secs(after));
    }
    profile
}

fn domains(report: &mut Report, raw: &Raw, shell: &ShellSettings) -> Vec<Domain> {
    let mut domains: Vec<Domain> = Vec::new();
    let named = |name: &str, fields: &raw::DomainFields| {
        let mut domain = Domain::named(name);
        domain.aliases = fields
            .aliases
            .iter()
            .flat_map(|list| &list.value)
            .map(|alias| alias.value.to_ascii_lowercase())
            .collect();
        if raw.from_sip_conf {
            // chan_sip's default.
            "asterisk".clone_into(&mut domain.realm);
        }
        set(&mut domain.realm, &raw.server.realm);
        set(&mut domain.realm, &fields.realm);
        set(&mut domain.any_user, &fields.any_user);
        set(&mut domain.context, &raw.server.context);
        set(&mut domain.context, &fields.context);
        set(&mut domain.everybody, &fields.everybody);
        set(&mut domain.everybody_max, &fields.everybody_max);
        // Why: what is said of calls alone is never widened by what is said of all.
        for typed in [&raw.server.watch, &fields.watch] {
            set(&mut domain.watch.presence, typed);
            set(&mut domain.watch.calls, typed);
        }
        for typed in [&raw.server.watch_dialog, &fields.watch_dialog] {
            set(&mut domain.watch.calls, typed);
        }
        domain
    };
    for typed in &raw.domains {
        let aliases = typed.fields.aliases.iter().flat_map(|list| &list.value);
        for name in std::iter::once(&typed.name).chain(aliases) {
            let lower = name.value.to_ascii_lowercase();
            if domains.iter().any(|known| known.name == lower || known.aliases.contains(&lower)) {
                let cause = format!("`{}` already means another domain", name.value);
                report.error(name.span, cause, "a name can mean one domain only; remove it here or there");
            }
        }
        if typed.name.value.is_empty() || typed.name.value.contains(char::is_whitespace) {
            report.error(typed.name.span, "this is no domain name", "write it as `example.com`");
        }
        domains.push(named(&typed.name.value, &typed.fields));
    }
    if domains.is_empty() {
        let bound =
            shell.listen.iter().map(|listen| listen.address.ip()).find(|address| !address.is_unspecified());
        let address = shell.advertised.map(|advertised| advertised.address).or(bound);
        let name = address.map_or("localhost".to_owned(), |address| match address {
            std::net::IpAddr::V4(address) => address.to_string(),
            std::net::IpAddr::V6(address) => format!("[{address}]"),
        });
        domains.push(named(&name, &raw::DomainFields::default()));
    }
    domains
}

fn mailbox_watchers(report: &mut Report, settings: &mut Settings, raw: &Raw) {
    for (mailbox, watchers) in &raw.mailbox_watchers {
        for watcher in watchers {
            if !settings.peers.contains_key(&watcher.value) {
                unknown_peer(report, watcher, settings);
            }
        }
        let names: Vec<_> = watchers.iter().map(|watcher| watcher.value.clone()).collect();
        if !names.is_empty() {
            settings.watch.mailbox_watchers.insert(mailbox.clone(), names);
        }
    }
}

fn unknown_peer(report: &mut Report, name: &Typed<String>, settings: &Settings) {
    let fix = match did_you_mean(&name.value, settings.peers.keys().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add `[peers.{}]`", name.value),
    };
    report.error(name.span, format!("there is no peer `{}`", name.value), fix);
}
