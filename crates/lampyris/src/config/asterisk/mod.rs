//! A directory in Asterisk's dialect: sip.conf and extensions.conf, as chan_sip and pbx_config read them.
//!
//! In: the directory. Out: [`Raw`] fields and the ignored keys by name. Keys without a meaning for a presence server
//! are listed in `keys`; unknown ones are errors.

mod extensions_conf;
mod glob;
mod ini;
pub(crate) mod keys;
mod sip_conf;
mod value;

pub(crate) use sip_conf::is_harmless;
pub(crate) use value::network;

use super::diagnostic::Report;
use super::raw::Raw;
use std::path::Path;

/// Reads `sip.conf` and `extensions.conf` of a directory.
pub(crate) fn read(report: &mut Report, raw: &mut Raw, directory: &Path) {
    raw.from_sip_conf = true;
    let sections = ini::read(report, &directory.join("sip.conf"), directory);
    sip_conf::read(report, raw, &sections);
    let sections = ini::read(report, &directory.join("extensions.conf"), directory);
    extensions_conf::read(report, raw, &sections);
}
