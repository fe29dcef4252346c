//! The directory of presence rules: one document (RFC 5025) per user, `NAME.xml`.
//!
//! In: the directory and who there is. Out: documents by the user's address. All are read or none is used, as with every
//! other part of a configuration, so that a mistake never lets anybody see more.

use super::diagnostic::{Report, did_you_mean};
use super::source::Typed;
use lampyris_core::authz::PresRules;
use lampyris_core::settings::Settings;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads every document of the directory.
pub(super) fn read(
    report: &mut Report,
    settings: &Settings,
    directory: &Typed<PathBuf>,
) -> BTreeMap<String, Arc<PresRules>> {
    let mut rules = BTreeMap::new();
    let span = directory.span;
    let entries = match std::fs::read_dir(&directory.value) {
        Ok(entries) => entries,
        Err(error) => {
            let cause = format!("cannot read the directory `{}`: {error}", directory.value.display());
            report.error(span, cause, "create it, or take `rules` out; it is relative to this file");
            return rules;
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
    paths.sort();
    for path in paths {
        let read = user_of(settings, &path)
            .and_then(|user| Ok((user, std::fs::read_to_string(&path).map_err(|error| error.to_string())?)));
        let read = read.and_then(|(user, text)| {
            let document = PresRules::read(&text).map_err(|error| error.to_string())?;
            Ok((user, document))
        });
        match read {
            Ok((user, document)) => {
                if rules.insert(user, Arc::new(document)).is_some() {
                    let cause = format!("`{}` is for a user who has another file", path.display());
                    report.error(span, cause, "keep one of them");
                }
            }
            Err(cause) => {
                let cause = format!("`{}`: {cause}", path.display());
                report.error(
                    span,
                    cause,
                    "put it right; until then no rule of the new configuration is used",
                );
            }
        }
    }
    rules
}

/// Whose rules a file has: a peer's, or those of `user@domain`.
fn user_of(settings: &Settings, path: &Path) -> Result<String, String> {
    let name = path.file_stem().and_then(|name| name.to_str()).ok_or("its name is not UTF-8")?;
    let domain = |index: usize| settings.domains.get(index).map_or("", |domain| domain.name.as_str());
    if let Some(peer) = settings.peers.get(name) {
        return Ok(format!("sip:{}@{}", peer.name, domain(peer.domain)));
    }
    let (user, host) = name.rsplit_once('@').unwrap_or((name, domain(0)));
    let known = settings.domains.iter().find(|domain| domain.name.eq_ignore_ascii_case(host));
    match known {
        Some(domain) if domain.any_user || settings.peers.contains_key(user) => {
            Ok(format!("sip:{user}@{}", domain.name))
        }
        _ => Err(match did_you_mean(name, settings.peers.keys().map(String::as_str)) {
            Some(near) => format!("there is no user `{name}`; did you mean `{near}`?"),
            None => format!("there is no user `{name}`"),
        }),
    }
}
