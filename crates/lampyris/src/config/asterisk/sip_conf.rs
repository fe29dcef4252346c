//! sip.conf, as chan_sip reads it: `[general]`, then peers that start from its values.
//!
//! In: sections. Out: server fields, domains and peers of [`Raw`]. Deliberately different: a peer without `host=` is
//! dynamic, held calls show as held unless `notifyhold=no`, and a key nobody knows is an error.

use super::ini::{Entry, Section};
use super::{keys, value};
use crate::config::diagnostic::{Report, did_you_mean};
use crate::config::raw::{Field, Insecure, PeerFields, Raw, RawHa1, RawQualify, Secret};
use crate::config::shell::{Advertised, Listen, socket_address};
use crate::config::source::{Span, Typed};
use lampyris_core::flow::Transport;
use lampyris_core::settings::{AccessRule, Nat, NotifyCid, NotifyRinging, Role};
use lampyris_sip::digest::Algorithm;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Read in `[general]` only.
const GENERAL: &[&str] = &[
    "bindaddr",
    "udpbindaddr",
    "bindport",
    "tcpenable",
    "tcpbindaddr",
    "realm",
    "domain",
    "useragent",
    "externaddr",
    "externip",
    "externtcpport",
    "localnet",
    "notifyringing",
    "notifyhold",
    "notifycid",
    "minexpiry",
    "maxexpiry",
    "defaultexpiry",
    "subminexpiry",
    "submaxexpiry",
];
/// Read in peers only.
const PEER: &[&str] = &[
    "type",
    "secret",
    "md5secret",
    "host",
    "port",
    "call-limit",
    "incominglimit",
    "busylevel",
    "mailbox",
    "callgroup",
    "pickupgroup",
    "namedcallgroup",
    "namedpickupgroup",
    "permit",
    "deny",
    "callerid",
];
/// Read in both; a peer's own value replaces the general one.
const BOTH: &[&str] = &[
    "context",
    "subscribecontext",
    "allowsubscribe",
    "callcounter",
    "qualify",
    "qualifyfreq",
    "nat",
    "insecure",
    "buggymwi",
    "subscribemwi",
];
/// Keys of `PEER` whose values never leave the machine.
const SECRET: &[&str] = &["secret", "md5secret"];

/// Whether this key is read here, and its value is no secret.
pub(crate) fn is_harmless(key: &str) -> bool {
    let is_in = |keys: &[&str]| keys.iter().any(|known| known.eq_ignore_ascii_case(key));
    [GENERAL, PEER, BOTH].into_iter().any(is_in) && !is_in(SECRET)
}

/// chan_sip's `qualify=yes`, in milliseconds.
const QUALIFY_MS: u32 = 2000;
const SIP_PORT: u16 = 5060;

/// Reads the sections of sip.conf.
pub(crate) fn read(report: &mut Report, raw: &mut Raw, sections: &[Section]) {
    let mut general = General::default();
    for section in sections.iter().filter(|section| section.name.value.eq_ignore_ascii_case("general")) {
        for entry in &section.entries {
            general.entry(report, raw, entry);
        }
    }
    general.finish(report, raw);
    let mut any_allows = general.peers.allow_subscribe.as_ref().is_none_or(|allow| allow.value);
    let mut seen: Vec<&Typed<String>> = Vec::new();
    for section in sections {
        let name = &section.name;
        if ["general", "authentication"].iter().any(|known| name.value.eq_ignore_ascii_case(known)) {
            continue;
        }
        let mut fields = PeerFields::default();
        for entry in &section.entries {
            peer_entry(report, raw, &mut fields, entry);
        }
        if section.is_template {
            continue;
        }
        let repeated = seen.iter().any(|known| known.value == name.value);
        if repeated {
            let cause = format!(
                "the section `{}` is there a second time; its keys are added to the first",
                name.value
            );
            report.warning(
                name.span,
                cause,
                "make them one section, or write `(+)` behind the name if it is meant",
            );
        } else if fields.role.is_none() {
            let cause =
                format!("the section `{}` has no `type`, so chan_sip and this server ignore it", name.value);
            report.warning(name.span, cause, "add `type=friend`, or mark a template as `(!)`");
            continue;
        }
        seen.push(name);
        any_allows |= fields.allow_subscribe.as_ref().is_some_and(|allow| allow.value);
        let known = raw.peer(name.clone());
        if !repeated {
            *known = general.peers.clone();
        }
        // Why: `permit` and `deny` are one list in the order of the file.
        if let (Some(old), Some(new)) = (&known.access, &mut fields.access) {
            new.value.splice(0..0, old.value.iter().copied());
        }
        known.overlay(fields);
    }
    // Why: chan_sip bans SUBSCRIBE as a whole only while nobody may do it.
    raw.server.allow_subscribe = Some(Typed::new(any_allows, Span::default()));
}

/// What `[general]` says that needs more than one key.
#[derive(Default)]
struct General {
    peers: PeerFields,
    /// `bindaddr` and `udpbindaddr`, each as last said; the last of both is bound.
    bind_addresses: Vec<(String, Typed<String>)>,
    bind_port: Option<Typed<u16>>,
    tcp_address: Option<Typed<String>>,
    tcp_enabled: Option<Typed<bool>>,
    external: Option<Typed<Advertised>>,
}

impl General {
    fn entry(&mut self, report: &mut Report, raw: &mut Raw, entry: &Entry) {
        let bounds = &mut raw.bounds;
        let server = &mut raw.server;
        let seconds = 1..=i32::MAX.cast_unsigned();
        match entry.key.value.to_ascii_lowercase().as_str() {
            key @ ("bindaddr" | "udpbindaddr") => {
                self.bind_addresses.retain(|(known, _)| known != key);
                self.bind_addresses.extend(value::name(entry).map(|address| (key.to_owned(), address)));
            }
            "bindport" => self.bind_port = value::number(report, entry, 0..=u16::MAX),
            "tcpbindaddr" => self.tcp_address = value::name(entry),
            "tcpenable" => self.tcp_enabled = value::boolean(report, entry),
            "realm" => server.realm = value::name(entry),
            "useragent" => server.name = value::name(entry),
            "domain" => domain(report, raw, entry),
            "externaddr" | "externip" => match Advertised::parse(&entry.value.value) {
                Some(address) => self.external = Some(Typed::new(address, entry.value.span)),
                None => report.error(
                    entry.value.span,
                    format!("`{}` is no IP address", entry.value.value),
                    "write the address that phones reach this server at; names are not looked up here",
                ),
            },
            // Why: one port is advertised for each listener here; chan_sip has one per transport.
            "externtcpport" => {
                raw.ignore("externtcpport", "the port of `externaddr` stands for every transport")
            }
            "localnet" => {
                let found = value::networks(report, entry).into_iter().map(|(_, network)| network);
                let known =
                    server.local_networks.get_or_insert_with(|| Typed::new(Vec::new(), entry.value.span));
                known.value.extend(found);
            }
            "notifyringing" => {
                let words = [
                    ("yes", NotifyRinging::Yes),
                    ("no", NotifyRinging::No),
                    ("notinuse", NotifyRinging::NotInUse),
                    ("true", NotifyRinging::Yes),
                    ("false", NotifyRinging::No),
                    ("on", NotifyRinging::Yes),
                    ("off", NotifyRinging::No),
                    ("1", NotifyRinging::Yes),
                    ("0", NotifyRinging::No),
                ];
                server.notify_ringing = value::choice(report, entry, &words);
            }
            "notifyhold" => server.notify_hold = value::boolean(report, entry),
            "notifycid" => {
                let words = [
                    ("no", NotifyCid::No),
                    ("yes", NotifyCid::Yes),
                    ("ignore-context", NotifyCid::IgnoreContext),
                    ("true", NotifyCid::Yes),
                    ("false", NotifyCid::No),
                    ("on", NotifyCid::Yes),
                    ("off", NotifyCid::No),
                    ("1", NotifyCid::Yes),
                    ("0", NotifyCid::No),
                ];
                server.notify_cid = value::choice(report, entry, &words);
            }
            "minexpiry" => bounds.registration_min_s = value::number(report, entry, seconds),
            "maxexpiry" => bounds.registration_max_s = value::number(report, entry, seconds),
            "defaultexpiry" => bounds.registration_default_s = value::number(report, entry, seconds),
            "subminexpiry" => bounds.subscription_min_s = value::number(report, entry, seconds),
            "submaxexpiry" => bounds.subscription_max_s = value::number(report, entry, seconds),
            key if BOTH.contains(&key) => peer_entry(report, raw, &mut self.peers, entry),
            key => {
                other_key(report, raw, entry, key, PEER, "belongs to a peer", [GENERAL, BOTH, PEER].concat())
            }
        }
    }

    fn finish(&mut self, report: &mut Report, raw: &mut Raw) {
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let port = self
            .bind_port
            .as_ref()
            .map_or(SIP_PORT, |port| if port.value == 0 { SIP_PORT } else { port.value });
        let mut address = |typed: Option<&Typed<String>>, default: SocketAddr| -> Typed<SocketAddr> {
            let Some(typed) = typed else { return Typed::new(default, Span::default()) };
            let found = socket_address(&typed.value, default.port());
            if found.is_none() {
                let cause = format!("`{}` is no address to listen on", typed.value);
                report.error(typed.span, cause, "write an IP address, with `:PORT` if it is not 5060");
            }
            Typed::new(found.unwrap_or(default), typed.span)
        };
        let any = SocketAddr::new(any, port);
        let all = self.bind_addresses.iter().map(|(_, typed)| address(Some(typed), any)).collect::<Vec<_>>();
        let udp = all.into_iter().next_back().unwrap_or(Typed::new(any, Span::default()));
        let mut listen = vec![Typed::new(Listen { transport: Transport::Udp, address: udp.value }, udp.span)];
        if self.tcp_enabled.as_ref().is_some_and(|enabled| enabled.value) {
            let tcp = address(self.tcp_address.as_ref(), SocketAddr::new(udp.value.ip(), SIP_PORT));
            listen.push(Typed::new(Listen { transport: Transport::Tcp, address: tcp.value }, tcp.span));
        }
        raw.server.listen = Some(Typed::new(listen, udp.span));
        raw.server.advertised = self.external.take();
        raw.server.context = self.peers.context.clone();
        // chan_sip: 60, 3600 and 120 unless told; a subscription's bounds are a registration's unless told.
        let bounds = &mut raw.bounds;
        let or = |field: &mut Option<Typed<u32>>, other: Option<Typed<u32>>, default| {
            field.get_or_insert(other.unwrap_or(Typed::new(default, Span::default()))).value
        };
        let min = or(&mut bounds.registration_min_s, None, 60);
        let max = or(&mut bounds.registration_max_s, None, 3600);
        let default = or(&mut bounds.registration_default_s, None, 120.clamp(min, max.max(min)));
        let min = or(&mut bounds.subscription_min_s, bounds.registration_min_s.clone(), min);
        let max = or(&mut bounds.subscription_max_s, bounds.registration_max_s.clone(), max);
        or(&mut bounds.subscription_default_s, None, default.clamp(min, max.max(min)));
    }
}

/// `domain=example.com[,context]`: the first is the domain, the others are its other names.
fn domain(report: &mut Report, raw: &mut Raw, entry: &Entry) {
    let (name, context) = entry
        .value
        .value
        .split_once(',')
        .map_or((entry.value.value.as_str(), ""), |(n, c)| (n.trim(), c.trim()));
    if name.is_empty() {
        report.error(entry.value.span, "a domain without a name", "write `domain=example.com`");
        return;
    }
    if !context.is_empty() {
        let cause = format!("the context `{context}` of this domain is not used: peers have their own");
        report.warning(entry.value.span, cause, "set `context` in the peers");
    }
    let name = Typed::new(name.to_owned(), entry.value.span);
    match raw.domains.first_mut() {
        None => drop(raw.domain(name)),
        Some(first) if first.name.value.eq_ignore_ascii_case(&name.value) => {}
        Some(first) => {
            first.fields.aliases.get_or_insert_with(|| Typed::new(Vec::new(), name.span)).value.push(name);
        }
    }
}

/// One key of a peer, or of `[general]` as every peer's default.
fn peer_entry(report: &mut Report, raw: &mut Raw, fields: &mut PeerFields, entry: &Entry) {
    match entry.key.value.to_ascii_lowercase().as_str() {
        "type" => {
            let words = [("friend", Role::Friend), ("peer", Role::Peer), ("user", Role::User)];
            fields.role = value::choice(report, entry, &words);
        }
        "secret" => fields.secret = value::name(entry).map(|secret| secret.map(Secret)),
        "md5secret" => {
            fields.ha1 = value::name(entry).map(|hex| {
                let ha1 = hex.clone().map(|hex| RawHa1 { algorithm: Algorithm::Md5, hex: Secret(hex) });
                Typed::new(vec![ha1], hex.span)
            });
        }
        "host" => fields.host = value::name(entry),
        "port" => fields.port = value::number(report, entry, 1..=u16::MAX),
        "context" => {
            fields.context = value::name(entry);
            raw.context_uses.extend(value::name(entry));
        }
        "subscribecontext" => {
            fields.subscribe_context = value::name(entry);
            raw.context_uses.extend(value::name(entry));
        }
        "allowsubscribe" => fields.allow_subscribe = value::boolean(report, entry),
        "callcounter" => fields.call_counter = value::boolean(report, entry),
        "call-limit" | "incominglimit" => {
            fields.call_limit = value::number(report, entry, 0..=i32::MAX.cast_unsigned());
        }
        "busylevel" => fields.busy_level = value::number(report, entry, 0..=i32::MAX.cast_unsigned()),
        "mailbox" => mailboxes(fields, entry),
        "callgroup" => numbered_groups(report, &mut fields.call_groups, entry),
        "pickupgroup" => numbered_groups(report, &mut fields.pickup_groups, entry),
        "namedcallgroup" => groups(&mut fields.call_groups, entry, listed(&entry.value.value)),
        "namedpickupgroup" => groups(&mut fields.pickup_groups, entry, listed(&entry.value.value)),
        "qualify" => {
            let span = entry.value.span;
            fields.qualify = match value::truth(&entry.value.value) {
                // Why: `qualify=1` is a wait of one millisecond in chan_sip, never meant.
                Some(true) => Some(Typed::new(RawQualify::WaitMs(QUALIFY_MS), span)),
                Some(false) => Some(Typed::new(RawQualify::Off, span)),
                None => {
                    let wait = value::number(report, entry, 1..=600_000);
                    wait.map(|wait| wait.map(RawQualify::WaitMs))
                }
            };
        }
        "qualifyfreq" => fields.qualify_every_s = value::number(report, entry, 1..=86_400),
        "nat" => fields.nat = nat(report, entry),
        "insecure" => fields.insecure = insecure(report, entry),
        kind @ ("permit" | "deny") => {
            let found = value::networks(report, entry);
            let rules = found
                .into_iter()
                .map(|(plain, network)| AccessRule { permit: (kind == "permit") == plain, network });
            let access = fields.access.get_or_insert_with(|| Typed::new(Vec::new(), entry.value.span));
            access.value.extend(rules);
        }
        "callerid" => fields.display = Some(entry.value.clone().map(|text| value::caller_name(&text))),
        "subscribemwi" => {
            fields.mwi_unsolicited = value::boolean(report, entry).map(|asks| asks.map(|asks| !asks));
        }
        "buggymwi" => {
            // Interop: Cisco, its short MWI body; the profile `cisco` is exactly that.
            let buggy = value::boolean(report, entry).filter(|buggy| buggy.value);
            fields.profile = buggy.map(|buggy| buggy.map(|_| "cisco".to_owned()));
        }
        key => other_key(
            report,
            raw,
            entry,
            key,
            GENERAL,
            "belongs to `[general]`",
            [PEER, BOTH, GENERAL].concat(),
        ),
    }
}

/// A key that is not read where it stands.
fn other_key(
    report: &mut Report,
    raw: &mut Raw,
    entry: &Entry,
    key: &str,
    elsewhere: &[&str],
    where_it_belongs: &str,
    read: Vec<&'static str>,
) {
    let span = entry.key.span;
    if elsewhere.contains(&key) {
        report.error(span, format!("`{key}` {where_it_belongs}"), "move it there, or remove it");
    } else if let Some((_, instead)) = keys::NOT_ENFORCED.iter().find(|(known, _)| *known == key) {
        report.warning(span, format!("`{key}` is not enforced here"), *instead);
    } else if let Some(reason) = keys::ignored(key) {
        raw.ignore(key, reason);
    } else {
        let ignored = keys::all_ignored().flat_map(|(_, keys)| keys.iter().copied());
        // Why: a key that is read is meant more often than one that is ignored.
        let near = did_you_mean(key, read).or_else(|| did_you_mean(key, ignored));
        let fix = near.map_or("remove it; no version of chan_sip reads it".to_owned(), |near| {
            format!("did you mean `{near}`?")
        });
        report.error(span, format!("unknown key `{}`", entry.key.value), fix);
    }
}

/// The names of a list with commas.
fn listed(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Adds to a peer's groups; numbers and names are one list.
fn groups(field: &mut Field<Vec<String>>, entry: &Entry, found: Vec<String>) {
    field.get_or_insert_with(|| Typed::new(Vec::new(), entry.value.span)).value.extend(found);
}

/// `callgroup=1,3-5`: numbers from 0 to 63, as chan_sip has them.
fn numbered_groups(report: &mut Report, field: &mut Field<Vec<String>>, entry: &Entry) {
    let number = |text: &str| text.trim().parse::<u8>().ok().filter(|group| *group < 64);
    let mut found = Vec::new();
    for part in listed(&entry.value.value) {
        let (first, last) = part.split_once('-').unwrap_or((&part, &part));
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => {
                found.extend((first..=last).map(|group| group.to_string()));
            }
            _ => report.error(
                entry.value.span,
                format!("`{part}` is no group"),
                "groups are numbers from 0 to 63, as in `1,3-5`; names go into namedcallgroup and namedpickupgroup",
            ),
        }
    }
    groups(field, entry, found);
}

/// `mailbox=100@default,101`; without a context it is `default`; several lines add up.
fn mailboxes(fields: &mut PeerFields, entry: &Entry) {
    let names = entry.value.value.split(',').map(str::trim).filter(|name| !name.is_empty());
    let found =
        names.map(|name| if name.contains('@') { name.to_owned() } else { format!("{name}@default") });
    fields.mailboxes.get_or_insert_with(|| Typed::new(Vec::new(), entry.value.span)).value.extend(found);
}

/// `nat=`: only what it says of signalling counts.
fn nat(report: &mut Report, entry: &Entry) -> Option<Typed<Nat>> {
    let mut nat = Nat::Contact;
    for word in entry.value.value.split(',').map(str::trim) {
        match word.to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" | "1" | "y" | "t" | "force_rport" | "route" => nat = Nat::Source,
            "auto_force_rport" if nat == Nat::Contact => nat = Nat::Auto,
            "auto_force_rport" | "no" | "false" | "off" | "0" | "n" | "f" | "never" | "comedia"
            | "auto_comedia" => {}
            _ => {
                let fix =
                    "write a list of `force_rport`, `auto_force_rport`, `comedia`, `auto_comedia`, or `no`";
                report.error(entry.value.span, format!("`nat` cannot be `{word}`"), fix);
                return None;
            }
        }
    }
    Some(Typed::new(nat, entry.value.span))
}

/// `insecure=port,invite`; the old `very` is both and `yes` is `port`.
fn insecure(report: &mut Report, entry: &Entry) -> Option<Typed<Insecure>> {
    let mut insecure = Insecure::default();
    for word in entry.value.value.split(',').map(str::trim) {
        match word.to_ascii_lowercase().as_str() {
            "port" | "yes" => insecure.port = true,
            "invite" => insecure.invite = true,
            "very" => insecure = Insecure { port: true, invite: true },
            "no" | "" => {}
            _ => {
                let fix = "write `port`, `invite`, `port,invite` or `no`";
                report.error(entry.value.span, format!("`insecure` cannot be `{word}`"), fix);
                return None;
            }
        }
    }
    Some(Typed::new(insecure, entry.value.span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_both_read_and_ignored() {
        for key in [GENERAL, PEER, BOTH].concat() {
            assert_eq!(keys::ignored(key), None, "{key}");
            assert!(!keys::NOT_ENFORCED.iter().any(|(known, _)| *known == key), "{key}");
        }
    }
}
