//! `docs/config.md`, generated from `options`.

use super::asterisk::keys;
use super::options::{Kind, OPTIONS, Table};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Configuration

This file is generated from the table of options; a test compares them.

A configuration is a TOML file, a directory with `sip.conf` and `extensions.conf` in Asterisk's dialect, or both: what a
TOML file says wins over the directory. `lampyris check CONFIG` prints everything that is wrong with one, with file, line
and column. An unknown key is an error.

# TOML

";

/// The document.
pub fn document() -> String {
    let mut out = INTRODUCTION.to_owned();
    for table in Table::ALL {
        let title =
            if table == Table::Top { "Top of the file".to_owned() } else { format!("`{}`", table.head()) };
        let _ = writeln!(out, "## {title}\n\n{}\n", table.doc());
        for option in OPTIONS.iter().filter(|option| option.table == table) {
            let unit = if option.unit.is_empty() { String::new() } else { format!(" ({})", option.unit) };
            let _ = writeln!(
                out,
                "- **`{}`**{unit}: {} {}\n  Type: {}. Default: {}. Example: `{} = {}`.",
                option.name,
                option.doc,
                option.reason,
                kind(option.kind),
                quoted(option.default),
                option.name,
                option.example
            );
        }
        out.push('\n');
    }
    out.push_str(
        "# sip.conf and extensions.conf\n\nRead as chan_sip and pbx_config read them: sections, templates, `#include`, \
         `;` and `;-- --;` comments. Two things differ: a\npeer without `host=` is dynamic; one without a secret \
         is an error unless a TOML file beside the directory gives it one,\nor `insecure` or `trusted` opens it.\n\n\
         Keys that mean nothing to a presence server are accepted and listed once, by name:\n\n",
    );
    for (reason, keys) in keys::all_ignored() {
        let _ = writeln!(out, "- {reason}: {}", list(keys));
    }
    let _ = writeln!(
        out,
        "- the dialplan is not run here: {}, `ignorepat`, `switch`",
        list(keys::DIALPLAN_GENERAL)
    );
    out.push_str("\nKeys that close something and are not enforced here; each use is a warning:\n\n");
    for (key, instead) in keys::NOT_ENFORCED {
        let _ = writeln!(out, "- `{key}`: {instead}");
    }
    out
}

fn list(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

/// A default that is typed stands in code quotes, one in words does not.
fn quoted(default: &str) -> String {
    let typed = default.starts_with(['"', '[']) && default.ends_with(['"', ']'])
        || default.chars().all(|c| c.is_ascii_digit())
        || ["true", "false"].contains(&default);
    if typed { format!("`{default}`") } else { default.to_owned() }
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Boolean => "boolean".to_owned(),
        Kind::Integer(from, to) => format!("whole number, {from} to {to}"),
        Kind::Choice(words) => {
            words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" or ")
        }
        Kind::Text => "text".to_owned(),
        Kind::Texts => "list of text, or one text".to_owned(),
        Kind::Integers(from, to) => format!("list of whole numbers, {from} to {to}"),
        Kind::BooleanOrInteger(from, to) => format!("boolean, or whole number, {from} to {to}"),
    }
}
