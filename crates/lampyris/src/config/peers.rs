//! Peers: from what was typed to who they are, where they are and how they prove it.
//!
//! In: [`Raw`] peers and the domains. Out: `Settings::peers` with HA1s for every algorithm their realm offers, and the
//! realms' algorithms. Plain passwords end here.

use super::diagnostic::{Report, did_you_mean};
use super::ha1;
use super::raw::{Peer as RawPeer, PeerFields, Raw, RawQualify};
use super::shell::Advertised;
use super::source::Typed;
use lampyris_core::device_state::DeviceName;
use lampyris_core::settings::{Authentication, Domain, Host, Peer, Qualify, Settings};
use lampyris_sip::digest::{Algorithm, Ha1};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const SIP_PORT: u16 = 5060;
/// Time between two OPTIONS where `qualify` says no more, in seconds (chan_sip's).
const QUALIFY_EVERY_S: u32 = 60;

/// Fills `settings.peers`, and the algorithms of `settings.domains`.
pub(crate) fn resolve(report: &mut Report, settings: &mut Settings, raw: &Raw) {
    let placed: Vec<(&RawPeer, usize)> =
        raw.peers.iter().map(|peer| (peer, domain(report, &settings.domains, &peer.fields))).collect();
    for (index, domain) in settings.domains.iter_mut().enumerate() {
        let members: Vec<_> = placed.iter().filter(|(_, at)| *at == index).map(|(peer, _)| *peer).collect();
        let typed = raw.domains.iter().find(|typed| typed.name.value.eq_ignore_ascii_case(&domain.name));
        let typed = typed.and_then(|typed| typed.fields.algorithms.as_ref()).map(|list| list.value.clone());
        domain.algorithms = typed.unwrap_or_else(|| usual_algorithms(&members, raw.from_sip_conf));
    }
    let mut user_parts: BTreeMap<(usize, String), String> = BTreeMap::new();
    for (typed, index) in placed {
        let Some(domain) = settings.domains.get(index) else { continue };
        if typed.name.value.starts_with("gateway:") {
            let cause = format!("`{}` would be taken for a gateway", typed.name.value);
            report.error(typed.name.span, cause, "give the peer a name that does not begin with `gateway:`");
        }
        let Some(peer) = peer(report, settings, raw, typed, (index, domain)) else { continue };
        let names = std::iter::once(typed.name.clone())
            .chain(typed.fields.aliases.iter().flat_map(|l| l.value.clone()));
        for name in names {
            if let Some(owner) = user_parts.insert((index, name.value.clone()), peer.name.clone()) {
                let cause = format!("`{}` already means the peer `{owner}`", name.value);
                report.error(name.span, cause, "a user part can mean one peer only; remove it here or there");
            }
        }
        settings.peers.insert(peer.name.clone(), peer);
    }
}

fn domain(report: &mut Report, domains: &[Domain], fields: &PeerFields) -> usize {
    let Some(name) = &fields.domain else { return 0 };
    let lower = name.value.to_ascii_lowercase();
    let found = domains.iter().position(|domain| domain.name == lower || domain.aliases.contains(&lower));
    found.unwrap_or_else(|| {
        let fix = match did_you_mean(&lower, domains.iter().map(|domain| domain.name.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add `[domains.\"{lower}\"]`"),
        };
        report.error(name.span, format!("there is no domain `{}`", name.value), fix);
        0
    })
}

/// Whether a peer can ever answer with this algorithm.
fn may_use(fields: &PeerFields, algorithm: Algorithm) -> bool {
    let allowed = fields.algorithms.as_ref().is_none_or(|list| list.value.contains(&algorithm));
    let has_hash = |list: &Typed<Vec<Typed<super::raw::RawHa1>>>| {
        list.value.iter().any(|h| h.value.algorithm == algorithm)
    };
    allowed && (fields.secret.is_some() || fields.ha1.as_ref().is_none_or(has_hash))
}

/// What a realm offers that was not told: SHA-256 where every user can answer it, MD5 where any user may use it.
fn usual_algorithms(members: &[&RawPeer], from_sip_conf: bool) -> Vec<Algorithm> {
    if from_sip_conf {
        return vec![Algorithm::Md5];
    }
    let mut offered = Vec::new();
    // Why: a phone that answers the SHA-256 challenge can do no more where only an MD5 hash of it is known.
    if members.iter().all(|peer| may_use(&peer.fields, Algorithm::Sha256)) {
        offered.push(Algorithm::Sha256);
    }
    if offered.is_empty()
        || members.is_empty()
        || members.iter().any(|peer| may_use(&peer.fields, Algorithm::Md5))
    {
        offered.push(Algorithm::Md5);
    }
    offered
}

fn peer(
    report: &mut Report,
    settings: &Settings,
    raw: &Raw,
    typed: &RawPeer,
    (index, domain): (usize, &Domain),
) -> Option<Peer> {
    let (name, fields) = (&typed.name, &typed.fields);
    if name.value.is_empty() || name.value.contains(|c: char| c.is_control() || "\"\\:".contains(c)) {
        report.error(name.span, "this cannot be a user name", "leave out quotes, backslashes and colons");
        return None;
    }
    let device =
        fields.device.as_ref().map_or_else(|| format!("SIP/{}", name.value), |device| device.value.clone());
    let Some(device) = DeviceName::parse(&device) else {
        let span = fields.device.as_ref().map_or(name.span, |device| device.span);
        report.error(span, format!("`{device}` cannot name a device"), "leave out `&` and `,`");
        return None;
    };
    let mut peer = Peer::named(&name.value, device);
    peer.domain = index;
    peer.host = host(report, fields);
    peer.authentication = authentication(report, settings, typed, domain, &peer.host);
    let or = |field: &super::raw::Field<String>| field.as_ref().map(|typed| typed.value.clone());
    peer.context = or(&fields.context).or_else(|| or(&raw.server.context)).unwrap_or(peer.context);
    peer.subscribe_context = or(&fields.subscribe_context);
    peer.aliases =
        fields.aliases.iter().flat_map(|list| &list.value).map(|alias| alias.value.clone()).collect();
    peer.mailboxes = fields.mailboxes.as_ref().map(|list| list.value.clone()).unwrap_or_default();
    peer.call_groups = fields.call_groups.as_ref().map(|list| list.value.clone()).unwrap_or_default();
    peer.pickup_groups = fields.pickup_groups.as_ref().map(|list| list.value.clone()).unwrap_or_default();
    peer.access = fields.access.as_ref().map(|list| list.value.clone()).unwrap_or_default();
    peer.display = or(&fields.display).unwrap_or_default();
    peer.dialog_reveal = fields.dialog_reveal.as_ref().map(|typed| typed.value);
    peer.role = fields.role.as_ref().map_or(peer.role, |role| role.value);
    peer.nat = fields.nat.as_ref().map_or(peer.nat, |nat| nat.value);
    let is = |field: &super::raw::Field<bool>, default| field.as_ref().map_or(default, |typed| typed.value);
    peer.allow_subscribe = is(&fields.allow_subscribe, true);
    // chan_sip tells whoever has a mailbox, unless `subscribemwi` wants them to ask.
    peer.mwi_unsolicited = is(&fields.mwi_unsolicited, raw.from_sip_conf);
    peer.trusted_publisher = is(&fields.trusted_publisher, false);
    peer.call_limit = match (&fields.call_limit, is(&fields.call_counter, !raw.from_sip_conf)) {
        (Some(limit), _) if limit.value > 0 => Some(limit.value),
        (Some(_), _) | (None, false) => None,
        (None, true) => Some(u32::MAX),
    };
    peer.busy_level = fields.busy_level.as_ref().map(|level| level.value).filter(|level| *level > 0);
    peer.busy_at = fields.busy_at.as_ref().map_or(0, |count| count.value);
    if let (Some(level), None) = (&fields.busy_level, peer.call_limit) {
        let cause = format!("`busylevel` does nothing for `{}`: its calls are not counted", name.value);
        report.warning(level.span, cause, "add `callcounter=yes` (in TOML `call_counter = true`)");
    }
    peer.qualify = match fields.qualify.as_ref().map(|qualify| qualify.value) {
        Some(RawQualify::WaitMs(wait)) => {
            let every = fields.qualify_every_s.as_ref().map_or(QUALIFY_EVERY_S, |seconds| seconds.value);
            let (every, wait) = (Duration::from_secs(every.into()), Duration::from_millis(wait.into()));
            Some(Qualify { every, wait })
        }
        Some(RawQualify::Off) | None => None,
    };
    if let Some(profile) = &fields.profile {
        let mut known = settings.profiles.iter().map(|profile| profile.name.as_str());
        if !known.clone().any(|name| name == profile.value) {
            let fix = match did_you_mean(&profile.value, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", known.by_ref().collect::<Vec<_>>().join(", ")),
            };
            report.error(profile.span, format!("there is no profile `{}`", profile.value), fix);
        }
        peer.profile = Some(profile.value.clone());
    }
    Some(peer)
}

/// `dynamic`, an address, or a name; each maybe with a port.
fn host(report: &mut Report, fields: &PeerFields) -> Host {
    let port = fields.port.as_ref().map(|port| port.value);
    let any_port = fields.any_port.as_ref().is_some_and(|any| any.value)
        || fields.insecure.as_ref().is_some_and(|insecure| insecure.value.port);
    let Some(host) = fields.host.as_ref().filter(|host| !host.value.eq_ignore_ascii_case("dynamic")) else {
        return Host::Dynamic;
    };
    if let Some(found) = Advertised::parse(&host.value) {
        let address = SocketAddr::new(found.address, found.port.or(port).unwrap_or(SIP_PORT));
        return Host::Fixed { address, any_port };
    }
    let (name, named_port) = match host.value.rsplit_once(':') {
        Some((name, text)) => (name, text.parse::<u16>().ok()),
        None => (host.value.as_str(), None),
    };
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if !is_name || (name != host.value && named_port.is_none()) {
        let cause = format!("`{}` is no host", host.value);
        report.error(host.span, cause, "write `dynamic`, an IP address or a name, maybe with `:PORT`");
        return Host::Dynamic;
    }
    Host::Named(name.to_owned(), named_port.or(port))
}

fn authentication(
    report: &mut Report,
    settings: &Settings,
    typed: &RawPeer,
    domain: &Domain,
    host: &Host,
) -> Authentication {
    let (name, fields) = (&typed.name, &typed.fields);
    let is_fixed = *host != Host::Dynamic;
    let has_secret = fields.secret.is_some() || fields.ha1.is_some();
    let invite = fields.insecure.as_ref().filter(|insecure| insecure.value.invite);
    if let Some(span) = fields.open.as_ref().filter(|open| open.value).map(|open| open.span) {
        let cause = format!("`{}` is open: whoever says to be it, is it", name.value);
        report.warning(span, cause, "give it a secret outside a laboratory");
        return Authentication::Open;
    }
    match invite {
        Some(_) if is_fixed => return Authentication::Address,
        Some(insecure) => {
            let cause = format!(
                "`{}` is not challenged wherever it comes from: whoever says to be it, is it",
                name.value
            );
            report.warning(insecure.span, cause, "give it a `host=`, or remove `invite` from `insecure`");
            return Authentication::Open;
        }
        None => {}
    }
    if has_secret {
        return Authentication::Digest(hashes(report, typed, domain));
    }
    if is_fixed {
        return Authentication::Address;
    }
    if settings.trusted.is_empty() {
        let cause = format!("the peer `{}` has no secret and no `host`: anybody could be it", name.value);
        let fix = format!(
            "add a `secret`, here or in a TOML file given beside it (`[peers.\"{}\"]` `secret = \"...\"`), or open it with \
             `insecure=invite` or `trusted`",
            name.value
        );
        report.error(name.span, cause, fix);
    } else {
        let cause =
            format!("the peer `{}` has no secret: it is heard from `trusted` networks only", name.value);
        report.warning(name.span, cause, "give it a secret if it comes from elsewhere too");
    }
    Authentication::Digest(Vec::new())
}

/// One HA1 for each algorithm that the realm offers and the peer may use.
fn hashes(report: &mut Report, typed: &RawPeer, domain: &Domain) -> Vec<Ha1> {
    let (name, fields) = (&typed.name, &typed.fields);
    let mut found = Vec::new();
    for hash in fields.ha1.iter().flat_map(|list| &list.value) {
        match ha1::of_hex(&hash.value) {
            Some(_) if !domain.algorithms.contains(&hash.value.algorithm) => {}
            Some(known) => found.push(known),
            None => {
                let cause = format!("this HA1 has not {} hex digits", ha1::digits(hash.value.algorithm));
                let fix = format!("it is the hash of `{}:{}:PASSWORD`", name.value, domain.realm);
                report.secret_error(hash.span, cause, fix);
                return found;
            }
        }
    }
    // Why: in chan_sip an md5secret wins over a secret.
    if found.is_empty()
        && let Some(secret) = &fields.secret
    {
        let usable = domain.algorithms.iter().filter(|algorithm| may_use(fields, **algorithm));
        found.extend(
            usable.map(|algorithm| ha1::of_secret(*algorithm, &name.value, &domain.realm, &secret.value)),
        );
    }
    if found.is_empty() {
        let cause = format!(
            "`{}` can use none of the algorithms that the realm `{}` offers",
            name.value, domain.realm
        );
        report.error(
            name.span,
            cause,
            "give it a `secret`, or change `algorithms` of the domain or the peer",
        );
    }
    found
}
