//! The built-in phone profiles: `profiles.toml`, compiled in.
//!
//! Out: [`Raw::profiles`], which the files read later may change and add to.

use super::diagnostic::Report;
use super::raw::Raw;
use super::source::{FileId, Sources, Span};
use super::toml;
use std::path::Path;

const BUILT_IN: &str = include_str!("profiles.toml");

/// Reads the built-in profiles; they are the first source.
pub(crate) fn read(report: &mut Report, raw: &mut Raw) {
    let file = report.sources.add(Path::new("built-in profiles.toml"), BUILT_IN.to_owned());
    toml::read_file(report, raw, file, &mut Vec::new());
}

/// Whether a profile stands in the built-in file.
pub(crate) fn is_built_in(span: Span) -> bool {
    Sources::file_of(span) == FileId::FIRST
}
