//! What is allowed and probably not meant: hints of devices nobody provides, contexts that are not there.
//!
//! In: the dialplan, the peers, the places. Out: warnings.

use super::diagnostic::{Report, did_you_mean};
use super::raw::Raw;
use lampyris_core::device_state::DeviceName;
use lampyris_core::settings::{Host, Settings};
use std::collections::BTreeMap;

/// Technologies whose states are set by command, or come from mailboxes, and need no peer.
const PROVIDED: [&str; 2] = ["Custom", "MWI"];

/// Looks at peers that may not be sent to.
pub(crate) fn egress(report: &mut Report, settings: &Settings, raw: &Raw) {
    let Some(deny) = &raw.server.egress_deny else { return };
    for peer in settings.peers.values() {
        let Host::Fixed { address, .. } = peer.host else { continue };
        if let Some(network) = deny.value.iter().find(|network| network.contains(&address.ip())) {
            let cause =
                format!("nothing is sent to `{}`, whose host {} is in {network}", peer.name, address.ip());
            report.warning(deny.span, cause, "take the network out of `egress_deny`, or the peer away");
        }
    }
}

/// Looks at hints, contexts and devices.
pub(crate) fn dialplan(report: &mut Report, settings: &Settings, raw: &Raw) {
    let devices = devices(report, settings, raw);
    // Why a map: ten thousand hints would be looked through ten thousand times.
    let hints: BTreeMap<_, _> =
        raw.dialplan.hints().map(|found| ((found.context, found.extension), found.hint)).collect();
    for ((context, extension), &span) in &raw.hints {
        let Some(hint) = hints.get(&(context.as_str(), extension.as_str())) else { continue };
        let at = format!("{extension}@{context}");
        if hint.devices.is_empty() && hint.presence.is_empty() {
            report.warning(span, format!("the hint of {at} names nothing"), "name its devices, as `SIP/bob`");
        }
        for name in hint.devices_text().split('&').map(str::trim).filter(|name| !name.is_empty()) {
            // Why: what a pattern or a variable makes of it is known only when somebody asks.
            if name.contains("${") {
                continue;
            }
            let Some(device) = DeviceName::parse(name) else {
                report.warning(
                    span,
                    format!("`{name}` cannot name a device; it is left out"),
                    "mend its name",
                );
                continue;
            };
            let is_provided = PROVIDED.iter().any(|tech| device.tech().eq_ignore_ascii_case(tech));
            if is_provided || devices.contains_key(&device) {
                continue;
            }
            let cause = format!("the hint of {at} names `{name}`, which no peer here provides");
            let known = devices.keys().map(DeviceName::as_typed);
            let fix = match did_you_mean(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "its state is what `lampyris devstate set` or a PUBLISH says, and unknown before"
                    .to_owned(),
            };
            report.warning(span, cause, fix);
        }
        for name in hint.presence.iter().filter(|name| !name.contains("${")) {
            if !name.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("CustomPresence:")) {
                let cause =
                    format!("the hint of {at} names the presence `{name}`, which nobody here provides");
                report.warning(span, cause, "write it as `CustomPresence:NAME`");
            }
        }
    }
    for used in &raw.context_uses {
        if raw.dialplan.has_context(&used.value) {
            continue;
        }
        let same = raw.dialplan.contexts().find(|known| known.eq_ignore_ascii_case(&used.value));
        let fix = match (same, did_you_mean(&used.value, raw.dialplan.contexts())) {
            (Some(same), _) => format!("it is written `{same}`; upper and lower case differ"),
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) => "add it to extensions.conf (in TOML `[contexts.NAME]`)".to_owned(),
        };
        report.warning(used.span, format!("there is no context `{}`", used.value), fix);
    }
}

/// The devices of all peers; two peers with one device are told.
fn devices(report: &mut Report, settings: &Settings, raw: &Raw) -> BTreeMap<DeviceName, String> {
    let mut devices: BTreeMap<DeviceName, String> = BTreeMap::new();
    for typed in &raw.peers {
        let Some(peer) = settings.peers.get(&typed.name.value) else { continue };
        if let Some(other) = devices.insert(peer.device.clone(), peer.name.clone()) {
            let cause = format!("`{}` and `{other}` are one device, `{}`", peer.name, peer.device.as_typed());
            let fix = "case does not count in device names; rename one, or give it another `device`";
            report.warning(typed.name.span, cause, fix);
        }
    }
    devices
}
