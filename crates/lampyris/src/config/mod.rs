//! Configuration: files in either dialect -> what was typed -> settings of the core and the shell.
//!
//! In: a TOML file, or a directory in Asterisk's dialect with maybe a TOML file beside it. Out: [`Loaded`], or every
//! error at once. It reads files and nothing else; it opens no socket and looks up no name.

pub(crate) mod asterisk;
mod composition;
mod diagnostic;
mod document;
mod federation;
pub(crate) mod freeswitch;
mod gateways;
mod ha1;
mod http;
mod lint;
mod lists;
pub(crate) mod options;
mod peers;
mod people;
mod profiles;
mod raw;
mod resolve;
mod shell;
mod source;
pub(crate) mod toml;
mod user_files;

pub(crate) use diagnostic::did_you_mean;
pub use diagnostic::{Diagnostic, Severity};
pub use document::document;
pub use raw::Ignored;
pub use shell::{Advertised, Door, Durability, HttpSettings, Listen, LogFormat, ShellSettings, Webhook};

#[cfg(test)]
mod tests;

use diagnostic::Report;
use lampyris_core::settings::{Profile, Settings};
use lampyris_sip::digest::Algorithm;
use raw::Raw;
use std::path::{Path, PathBuf};

/// A configuration without errors.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// For the core.
    pub settings: Settings,
    /// For the shell.
    pub shell: ShellSettings,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// Keys without a meaning here, once each, by name.
    pub ignored: Vec<Ignored>,
}

/// Loads a configuration: `path` is a TOML file or a directory in Asterisk's dialect, `beside` a TOML file that adds to
/// it and wins over it.
///
/// # Errors
/// Every error there is, then the warnings, each in the order of the files; then nothing is loaded.
pub fn load(path: &Path, beside: Option<&Path>) -> Result<Loaded, Vec<Diagnostic>> {
    let (mut report, mut raw) = read(path, beside);
    let ignored = std::mem::take(&mut raw.ignored);
    let (settings, shell) = resolve::resolve(&mut report, raw);
    let (mut errors, warnings) = report.finish();
    if errors.is_empty() {
        return Ok(Loaded { settings, shell, warnings, ignored });
    }
    errors.extend(warnings);
    Err(errors)
}

/// What was typed, in all files.
fn read(path: &Path, beside: Option<&Path>) -> (Report, Raw) {
    let mut report = Report::default();
    let mut raw = Raw::default();
    profiles::read(&mut report, &mut raw);
    if path.is_dir() {
        asterisk::read(&mut report, &mut raw, path);
    } else {
        toml::read(&mut report, &mut raw, path);
    }
    if let Some(beside) = beside {
        toml::read(&mut report, &mut raw, beside);
    }
    (report, raw)
}

/// Every file that a configuration was read from, those that it includes too, each once; those that can be read.
pub(crate) fn files(path: &Path, beside: Option<&Path>) -> Vec<(PathBuf, String)> {
    read(path, beside).0.sources.into_files()
}

/// The phone profiles of a configuration that changes none.
pub(crate) fn built_in_profiles() -> Vec<Profile> {
    let (mut report, mut raw) = (Report::default(), Raw::default());
    profiles::read(&mut report, &mut raw);
    resolve::profile_list(raw.profiles)
}

/// The digest algorithm of this name (RFC 8760 §2.1), in any case.
pub(crate) fn algorithm_named(name: &str) -> Option<Algorithm> {
    let names =
        [("MD5", Algorithm::Md5), ("SHA-256", Algorithm::Sha256), ("SHA-512-256", Algorithm::Sha512_256)];
    names.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, algorithm)| *algorithm)
}
