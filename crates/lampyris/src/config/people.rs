//! People: from what was typed to who belongs together.
//!
//! In: [`Raw`] people, the peers, domains and hints. Out: `Settings::people`, and errors where a name means two people, or
//! nobody. A person's mailboxes become those of each of the person's peers, so that every phone lights for them.

use super::composition;
use super::diagnostic::{Report, did_you_mean};
use super::raw::{Person as RawPerson, Raw};
use super::source::Typed;
use lampyris_core::device_state::DeviceName;
use lampyris_core::people::{People, Person};
use lampyris_core::settings::Settings;
use std::collections::BTreeMap;

/// Fills `settings.people`; peers, domains and the dialplan of `raw` are known by now.
pub(crate) fn resolve(report: &mut Report, settings: &mut Settings, raw: &Raw) {
    let mut taken = Taken::default();
    let mut people = Vec::new();
    for typed in &raw.people {
        let person = person(report, settings, raw, typed, &mut taken);
        for name in &person.peers {
            let Some(peer) = settings.peers.get_mut(name) else { continue };
            peer.mailboxes.clone_from(&person.mailboxes);
            if peer.display.is_empty() {
                peer.display.clone_from(&person.display);
            }
        }
        people.push(person);
    }
    settings.people = People::new(people);
}

/// What already means somebody.
#[derive(Default)]
struct Taken {
    peers: BTreeMap<String, String>,
    users: BTreeMap<(usize, String), String>,
    extensions: BTreeMap<(String, String), String>,
    devices: BTreeMap<DeviceName, String>,
}

/// Notes that `key` means `person`; an error where it means somebody else already.
fn take<K: Ord>(
    report: &mut Report,
    taken: &mut BTreeMap<K, String>,
    key: K,
    name: &Typed<String>,
    person: &str,
) -> bool {
    let known = taken.get(&key).filter(|other| *other != person);
    if let Some(other) = known {
        let cause = format!("`{}` belongs to `{other}` already", name.value);
        report.error(name.span, cause, "it can belong to one person only; remove it here or there");
        return false;
    }
    taken.insert(key, person.to_owned());
    true
}

fn person(
    report: &mut Report,
    settings: &Settings,
    raw: &Raw,
    typed: &RawPerson,
    taken: &mut Taken,
) -> Person {
    let (name, fields) = (&typed.name, &typed.fields);
    let mut person = Person { name: name.value.clone(), ..Person::default() };
    person.display = fields.display.as_ref().map(|text| text.value.clone()).unwrap_or_default();
    for peer in fields.peers.iter().flat_map(|list| &list.value) {
        if !settings.peers.contains_key(&peer.value) {
            let near = did_you_mean(&peer.value, settings.peers.keys().map(String::as_str));
            unknown(report, peer, "peer", near, &format!("add `[peers.{}]`", peer.value));
        } else if take(report, &mut taken.peers, peer.value.clone(), peer, &person.name) {
            person.peers.push(peer.value.clone());
        }
    }
    let peers: Vec<_> = person.peers.iter().filter_map(|name| settings.peers.get(name)).collect();
    person.domain = peers.first().map_or(0, |peer| peer.domain);
    let users = std::iter::once(name).chain(fields.aliases.iter().flat_map(|list| &list.value));
    for (index, user) in users.enumerate() {
        let of = |peer: &&lampyris_core::settings::Peer| {
            peer.domain == person.domain && (peer.name == user.value || peer.aliases.contains(&user.value))
        };
        if let Some(peer) = settings.peers.values().find(of)
            && !person.peers.contains(&peer.name)
        {
            let cause = format!("`{}` means the peer `{}`, who is not this person's", user.value, peer.name);
            report.error(user.span, cause, format!("add `{}` to `peers`, or choose another name", peer.name));
            continue;
        }
        let key = (person.domain, user.value.clone());
        if take(report, &mut taken.users, key, user, &person.name) && index > 0 {
            person.aliases.push(user.value.clone());
        }
    }
    for text in fields.extensions.iter().flat_map(|list| &list.value) {
        let (extension, context) = text.value.split_once('@').unwrap_or((&text.value, "default"));
        let known = raw.dialplan.lookup(context, extension).is_some_and(|found| found.hint.is_some());
        if !known {
            let hints = raw.hints.keys().filter(|(known, _)| known == context);
            let near = did_you_mean(extension, hints.map(|(_, known)| known.as_str()));
            unknown(report, text, "hint for the extension", near, "add it to `[hints]`");
            continue;
        }
        let key = (context.to_owned(), extension.to_owned());
        if take(report, &mut taken.extensions, key.clone(), text, &person.name) {
            person.extensions.push(key);
        }
    }
    for text in fields.devices.iter().flat_map(|list| &list.value) {
        let Some(device) = DeviceName::parse(&text.value) else {
            let cause = format!("`{}` cannot name a device", text.value);
            report.error(text.span, cause, "write it as `SIP/bob` or `Custom:office`");
            continue;
        };
        let provided = settings.peers.values().any(|peer| peer.device == device);
        if !provided && ["SIP", "PJSIP", "IAX2"].iter().any(|tech| device.is_tech(tech)) {
            let known: Vec<_> =
                settings.peers.values().map(|peer| peer.device.as_typed().to_owned()).collect();
            let near = did_you_mean(&text.value, known.iter().map(String::as_str));
            unknown(report, text, "peer with the device", near, "add its peer, or take it out");
        } else if take(report, &mut taken.devices, device.clone(), text, &person.name) {
            person.devices.push(device);
        }
    }
    person.mailboxes = fields.mailboxes.as_ref().map(|list| list.value.clone()).unwrap_or_default();
    for mailbox in peers.iter().flat_map(|peer| &peer.mailboxes) {
        if !person.mailboxes.contains(mailbox) {
            person.mailboxes.push(mailbox.clone());
        }
    }
    let policy = fields.composition.as_ref();
    person.composition = policy.and_then(|name| composition::named(report, &settings.compositions, name));
    if person.peers.is_empty() && person.extensions.is_empty() && person.devices.is_empty() {
        let cause = format!("nothing belongs to `{}`", name.value);
        report.warning(name.span, cause, "name its `peers`, `extensions` or `devices`");
    }
    person
}

/// Says that there is no such thing, and which one was probably meant.
pub(super) fn unknown(
    report: &mut Report,
    name: &Typed<String>,
    what: &str,
    near: Option<&str>,
    otherwise: &str,
) {
    let fix = near.map_or_else(|| otherwise.to_owned(), |near| format!("did you mean `{near}`?"));
    report.error(name.span, format!("there is no {what} `{}`", name.value), fix);
}
