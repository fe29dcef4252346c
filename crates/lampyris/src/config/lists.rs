//! Lists: `[lists.NAME]`, and the directory of documents (RFC 4826).
//!
//! In: what was typed, peers, people, domains and hints. Out: `Settings::lists`. All documents are read or none is used, as with
//! every other part of a configuration. `NAME.xml` with resource lists is a list of that name, or, where it is called after a
//! user (`alice@example.com.xml`), that user's own; one with services has the lists it names.

use super::diagnostic::{Report, did_you_mean};
use super::people::unknown;
use super::raw::{List as RawList, Raw};
use super::source::{Span, Typed};
use lampyris_core::lists::resource_lists::{self, ListDocument};
use lampyris_core::lists::{List, Lists, Member, What};
use lampyris_core::settings::{Peer, Settings};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Fills `settings.lists`; peers, people, domains and the dialplan of `raw` are known by now.
pub(crate) fn resolve(report: &mut Report, settings: &mut Settings, raw: &Raw) {
    let mut lists = Lists::default();
    for typed in &raw.lists {
        let Some(domain) = domain(report, settings, typed) else { continue };
        let list = list(report, settings, raw, typed);
        if let Some(owner) = &typed.fields.owner {
            if let Some(address) = address_of(settings, &owner.value) {
                lists.own.insert(address, list.clone());
            } else {
                let near = did_you_mean(&owner.value, settings.peers.keys().map(String::as_str));
                unknown(report, owner, "user", near, &format!("add `[peers.{}]`", owner.value));
            }
        }
        name_is_free(report, settings, &typed.name.value, domain, typed.name.span);
        lists.named.insert((domain, typed.name.value.clone()), list);
    }
    if let Some(directory) = &raw.server.resource_lists {
        documents(report, settings, directory, &mut lists);
    }
    settings.lists = lists;
}

fn domain(report: &mut Report, settings: &Settings, typed: &RawList) -> Option<usize> {
    if typed.name.value.contains(';') || typed.name.value.is_empty() {
        report.error(typed.name.span, "this cannot name a list", "use letters, digits, `-`, `_` and `.`");
        return None;
    }
    let Some(name) = &typed.fields.domain else { return Some(0) };
    let found = settings.domains.iter().position(|domain| domain.name.eq_ignore_ascii_case(&name.value));
    if found.is_none() {
        let near = did_you_mean(&name.value, settings.domains.iter().map(|domain| domain.name.as_str()));
        unknown(report, name, "domain", near, &format!("add `[domains.\"{}\"]`", name.value));
    }
    found
}

fn list(report: &mut Report, settings: &Settings, raw: &Raw, typed: &RawList) -> List {
    let fields = &typed.fields;
    let mut list = List::default();
    for text in fields.members.iter().flat_map(|list| &list.value) {
        match What::parse(&text.value) {
            Ok(what) => {
                member_exists(report, settings, raw, &what, text);
                list.members.push(Member { what, display: String::new() });
            }
            Err(error) => report.error(text.span, format!("not a pattern: {error}"), "write it as `_60XX`"),
        }
    }
    if list.members.is_empty() {
        report.warning(typed.name.span, format!("nobody is in `{}`", typed.name.value), "name its `members`");
    }
    list.display = fields.display.as_ref().map(|text| text.value.clone()).unwrap_or_default();
    list.packages = fields.packages.as_ref().map(|list| list.value.clone()).unwrap_or_default();
    for watcher in fields.watchers.iter().flat_map(|list| &list.value) {
        if let Some(address) = address_of(settings, &watcher.value) {
            list.watchers.push(address);
        } else {
            let near = did_you_mean(&watcher.value, settings.peers.keys().map(String::as_str));
            unknown(report, watcher, "user", near, &format!("add `[peers.{}]`", watcher.value));
        }
    }
    list.batch = Duration::from_millis(fields.batch_ms.as_ref().map_or(0, |typed| typed.value));
    list.full_state = fields.full_state.as_ref().is_some_and(|typed| typed.value);
    list
}

/// Says where a member is a slip of the pen; a name that no pattern of the dialplan knows either.
fn member_exists(report: &mut Report, settings: &Settings, raw: &Raw, what: &What, text: &Typed<String>) {
    match what {
        What::List(name) => {
            let mut known = raw.lists.iter().map(|list| list.name.value.as_str());
            if !known.clone().any(|known| known == name) && raw.server.resource_lists.is_none() {
                let near = known.find(|known| did_you_mean(name, [*known]).is_some());
                unknown(report, text, "list", near, &format!("add `[lists.{name}]`"));
            }
        }
        What::Context(name) if !raw.dialplan.has_context(name) => {
            unknown(
                report,
                text,
                "context",
                did_you_mean(name, raw.dialplan.contexts()),
                "add it, or take it out",
            );
        }
        What::Group(name) if !settings.peers.values().any(|peer| peer.call_groups.contains(name)) => {
            let cause = format!("no peer is in the group `{name}`");
            report.warning(text.span, cause, "name it in `call_groups` of its peers");
        }
        What::Name(name) => {
            let is_called = |peer: &Peer| peer.name == *name || peer.aliases.contains(name);
            let is_hinted =
                raw.dialplan.contexts().any(|context| raw.dialplan.lookup(context, name).is_some());
            let is_there = settings.peers.values().any(is_called)
                || settings.people.named(name).is_some()
                || settings.domains.iter().any(|domain| domain.any_user)
                || is_hinted;
            if !is_there {
                let near = did_you_mean(name, settings.peers.keys().map(String::as_str));
                unknown(
                    report,
                    text,
                    "user or extension",
                    near,
                    "add it, or write `list:`, `group:` or `context:` before it",
                );
            }
        }
        _ => {}
    }
}

/// A list that has somebody's name takes it: whoever subscribes gets the list.
fn name_is_free(report: &mut Report, settings: &Settings, name: &str, domain: usize, span: Span) {
    let is_peer = settings
        .peers
        .values()
        .any(|peer| peer.domain == domain && (peer.name == name || peer.aliases.iter().any(|a| a == name)));
    if is_peer || settings.people.named(name).is_some_and(|person| person.domain == domain) {
        let cause = format!("`{name}` is a user too, who could not be watched any more");
        report.error(span, cause, "choose another name for the list");
    }
}

/// The address of a peer, of a person, or of `user@domain`.
fn address_of(settings: &Settings, name: &str) -> Option<String> {
    let domain = |index: usize| settings.domains.get(index).map_or("", |domain| domain.name.as_str());
    let of_peer = |peer: &Peer| {
        let person = settings.people.of_peer(&peer.name);
        let user = person.map_or(&peer.name, |person| &person.name);
        format!("sip:{user}@{}", domain(person.map_or(peer.domain, |person| person.domain)))
    };
    if let Some(peer) = settings.peers.get(name) {
        return Some(of_peer(peer));
    }
    if let Some(person) = settings.people.named(name) {
        return Some(format!("sip:{}@{}", person.name, domain(person.domain)));
    }
    let (user, host) = name.rsplit_once('@')?;
    let index = settings.domains.iter().position(|domain| domain.name.eq_ignore_ascii_case(host))?;
    match settings.peers.get(user).filter(|peer| peer.domain == index) {
        Some(peer) => Some(of_peer(peer)),
        None if settings.domains.get(index)?.any_user => Some(format!("sip:{user}@{}", domain(index))),
        None => None,
    }
}

fn documents(report: &mut Report, settings: &Settings, directory: &Typed<PathBuf>, lists: &mut Lists) {
    let span = directory.span;
    let entries = match std::fs::read_dir(&directory.value) {
        Ok(entries) => entries,
        Err(error) => {
            let cause = format!("cannot read the directory `{}`: {error}", directory.value.display());
            report.error(span, cause, "create it, or take `resource_lists` out; it is relative to this file");
            return;
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
    paths.sort();
    for path in paths {
        if let Err(cause) = document(report, settings, (&path, span), lists) {
            let cause = format!("`{}`: {cause}", path.display());
            report.error(span, cause, "put it right; until then no list of the new configuration is used");
        }
    }
}

fn document(
    report: &mut Report,
    settings: &Settings,
    (path, span): (&Path, Span),
    lists: &mut Lists,
) -> Result<(), String> {
    let name = path.file_stem().and_then(|name| name.to_str()).ok_or("its name is not UTF-8")?;
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    match resource_lists::read(&text).map_err(|error| error.to_string())? {
        ListDocument::List(list) => match address_of(settings, name) {
            Some(address) => {
                if lists.own.insert(address, list).is_some() {
                    return Err("is for a user who has a list already".to_owned());
                }
            }
            None if name.contains([';', '@']) => {
                return Err("is called after no user, and cannot name a list".to_owned());
            }
            None => add(lists, (0, name.to_owned()), list)?,
        },
        ListDocument::Services(services) => {
            for (uri, list) in services {
                let parsed = lampyris_sip::Uri::parse(&uri).ok();
                let host = parsed.map(|uri| uri.host_str().to_owned()).unwrap_or_default();
                let user = parsed.and_then(|uri| uri.user_unescaped()).unwrap_or_default().into_owned();
                let domain = settings.domains.iter().position(|domain| {
                    domain.name.eq_ignore_ascii_case(&host)
                        || domain.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(&host))
                });
                let Some(domain) = domain.filter(|_| !user.is_empty() && !user.contains(';')) else {
                    return Err(format!("the service `{uri}` is at no domain of this server"));
                };
                name_is_free(report, settings, &user, domain, span);
                add(lists, (domain, user), list)?;
            }
        }
    }
    Ok(())
}

fn add(lists: &mut Lists, key: (usize, String), list: List) -> Result<(), String> {
    let name = key.1.clone();
    match lists.named.insert(key, list) {
        Some(_) => Err(format!("there is a list `{name}` already")),
        None => Ok(()),
    }
}
