//! A directory with one document per user, `NAME.xml`: presence rules (RFC 5025), or what holds where nobody publishes
//! (RFC 4827).
//!
//! In: the directory, who there is, and how a document is read. Out: documents by the address of the person. All are read
//! or none is used, as with every other part of a configuration, so that a mistake changes nothing.

use super::diagnostic::{Report, did_you_mean};
use super::source::Typed;
use lampyris_core::people::Person;
use lampyris_core::settings::Settings;
use lampyris_core::time::UnixTime;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One kind of such documents.
pub(super) struct UserFiles<T> {
    /// The option that names the directory.
    pub(super) option: &'static str,
    /// What becomes of a configuration with a document that is wrong.
    pub(super) until_right: &'static str,
    /// Reads one that was last written at this time.
    pub(super) read: fn(&str, UnixTime) -> Result<T, String>,
}

impl<T> UserFiles<T> {
    /// Reads every document of the directory.
    pub(super) fn all(
        &self,
        report: &mut Report,
        settings: &Settings,
        directory: &Typed<PathBuf>,
    ) -> BTreeMap<String, Arc<T>> {
        let mut documents = BTreeMap::new();
        let span = directory.span;
        let entries = match std::fs::read_dir(&directory.value) {
            Ok(entries) => entries,
            Err(error) => {
                let cause = format!("cannot read the directory `{}`: {error}", directory.value.display());
                let fix = format!("create it, or take `{}` out; it is relative to this file", self.option);
                report.error(span, cause, fix);
                return documents;
            }
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
        paths.sort();
        for path in paths {
            let read = user_of(settings, &path).and_then(|user| Ok((user, self.one(&path)?)));
            match read {
                Ok((user, document)) => {
                    if documents.insert(user, Arc::new(document)).is_some() {
                        let cause = format!("`{}` is for a user who has another file", path.display());
                        report.error(span, cause, "keep one of them");
                    }
                }
                Err(cause) => {
                    report.error(span, format!("`{}`: {cause}", path.display()), self.until_right);
                }
            }
        }
        documents
    }

    fn one(&self, path: &Path) -> Result<T, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let written = std::fs::metadata(path).and_then(|file| file.modified()).ok();
        let since = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
        (self.read)(&text, UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Whose document a file is: that of a person, of a peer, or of `user@domain`.
fn user_of(settings: &Settings, path: &Path) -> Result<String, String> {
    let name = path.file_stem().and_then(|name| name.to_str()).ok_or("its name is not UTF-8")?;
    let domain = |index: usize| settings.domains.get(index).map_or("", |domain| domain.name.as_str());
    let own = |person: &Person| format!("sip:{}@{}", person.name, domain(person.domain));
    // Why: what one of a person's peers has is the person's.
    let of_person = settings.people.of_peer(name).or_else(|| match settings.peers.contains_key(name) {
        true => None,
        false => settings.people.named(name),
    });
    if let Some(person) = of_person {
        return Ok(own(person));
    }
    if let Some(peer) = settings.peers.get(name) {
        return Ok(format!("sip:{}@{}", peer.name, domain(peer.domain)));
    }
    let (user, host) = name.rsplit_once('@').unwrap_or((name, domain(0)));
    let known = settings.domains.iter().position(|known| known.name.eq_ignore_ascii_case(host));
    let peer = settings.peers.get(user).filter(|peer| Some(peer.domain) == known);
    let person = match (peer, known) {
        (Some(peer), _) => settings.people.of_peer(&peer.name),
        (None, Some(index)) => settings.people.called(index, user),
        (None, None) => None,
    };
    match known.and_then(|index| settings.domains.get(index)) {
        Some(_) if person.is_some() => Ok(person.map_or_else(String::new, own)),
        Some(domain) if domain.any_user || peer.is_some() => Ok(format!("sip:{user}@{}", domain.name)),
        _ => Err(match did_you_mean(name, settings.peers.keys().map(String::as_str)) {
            Some(near) => format!("there is no user `{name}`; did you mean `{near}`?"),
            None => format!("there is no user `{name}`"),
        }),
    }
}
