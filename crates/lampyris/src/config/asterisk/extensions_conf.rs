//! extensions.conf, as pbx_config reads it: contexts with extensions, hints and includes.
//!
//! In: sections. Out: the dialplan of [`Raw`]. `${NAME}` of `[globals]` is filled in; applications are not run, their
//! priorities only make the extension exist.

use super::ini::{Entry, Section};
use super::keys;
use crate::config::diagnostic::{Report, did_you_mean};
use crate::config::raw::Raw;
use crate::config::source::Typed;
use std::collections::BTreeMap;

const KEYS: [&str; 6] = ["exten", "same", "include", "ignorepat", "switch", "hint"];

/// Reads the sections of extensions.conf.
pub(crate) fn read(report: &mut Report, raw: &mut Raw, sections: &[Section]) {
    let mut globals = BTreeMap::new();
    for section in sections {
        match section.name.value.to_ascii_lowercase().as_str() {
            "globals" => {
                for entry in &section.entries {
                    let value = fill_in(&entry.value.value, &globals);
                    globals.insert(entry.key.value.clone(), value);
                }
            }
            "general" => section.entries.iter().for_each(|entry| general(report, raw, entry)),
            _ => {}
        }
    }
    for section in sections {
        let is_context =
            !["general", "globals"].iter().any(|name| section.name.value.eq_ignore_ascii_case(name));
        if is_context && !section.is_template {
            context(report, raw, section, &globals);
        }
    }
}

fn general(report: &mut Report, raw: &mut Raw, entry: &Entry) {
    let key = entry.key.value.to_ascii_lowercase();
    if keys::DIALPLAN_GENERAL.contains(&key.as_str()) {
        raw.ignore(&key, "the dialplan is not run here");
        return;
    }
    let fix = match did_you_mean(&key, keys::DIALPLAN_GENERAL.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "remove it, or move it into a context".to_owned(),
    };
    report.error(entry.key.span, format!("unknown key `{}`", entry.key.value), fix);
}

fn context(report: &mut Report, raw: &mut Raw, section: &Section, globals: &BTreeMap<String, String>) {
    let context = &section.name.value;
    raw.dialplan.add_context(context);
    let mut last: Option<Typed<String>> = None;
    for entry in &section.entries {
        match entry.key.value.to_ascii_lowercase().as_str() {
            "exten" => {
                let Some((name, rest)) = entry.value.value.split_once(',') else {
                    let fix = "write `exten => 6001,hint,SIP/bob` or `exten => 6001,1,Application()`";
                    report.error(entry.value.span, "an extension without a priority", fix);
                    continue;
                };
                // Why: `6001/1234` is 6001 for one caller; nobody calls here.
                let name = fill_in(name.trim(), globals);
                let name = name.split_once('/').map_or(name.as_str(), |(name, _)| name).trim();
                if name.is_empty() {
                    report.error(
                        entry.value.span,
                        "an extension without a name",
                        "write `exten => 6001,...`",
                    );
                    continue;
                }
                let name = Typed::new(name.to_owned(), entry.value.span);
                priority(report, raw, context, &name, rest, entry, globals);
                last = Some(name);
            }
            "same" => match &last {
                Some(name) => priority(report, raw, context, name, &entry.value.value, entry, globals),
                None => report.error(
                    entry.key.span,
                    "`same` has no `exten` before it in this context",
                    "begin with `exten => NAME,...`",
                ),
            },
            "include" => {
                // Why: `include => ctx,9:00-17:00,...` is timed in Asterisk; lamps are looked up at any time.
                let value = fill_in(&entry.value.value, globals);
                let (name, timing) =
                    value.split_once([',', '|']).map_or((value.as_str(), ""), |(n, t)| (n, t));
                if !timing.is_empty() {
                    let cause = "this include holds at all times here";
                    report.warning(entry.value.span, cause, "leave the times off if that is meant");
                }
                raw.dialplan.add_include(context, name.trim());
                raw.context_uses.push(Typed::new(name.trim().to_owned(), entry.value.span));
            }
            "ignorepat" | "switch" | "lswitch" | "eswitch" => {
                raw.ignore(&entry.key.value, "the dialplan is not run here");
            }
            _ => {
                let fix = match did_you_mean(&entry.key.value, KEYS) {
                    Some("hint") => "write `exten => NAME,hint,DEVICES`".to_owned(),
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "a context has `exten`, `same` and `include` lines".to_owned(),
                };
                report.error(entry.key.span, format!("unknown key `{}`", entry.key.value), fix);
            }
        }
    }
}

fn priority(
    report: &mut Report,
    raw: &mut Raw,
    context: &str,
    extension: &Typed<String>,
    text: &str,
    entry: &Entry,
    globals: &BTreeMap<String, String>,
) {
    let (priority, rest) = text.split_once(',').map_or((text, ""), |(priority, rest)| (priority, rest));
    let priority = priority.trim();
    if priority.eq_ignore_ascii_case("hint") {
        let hint = fill_in(rest.trim(), globals);
        if let Some(at) =
            hint.find("${").filter(|at| !hint.get(*at..).is_some_and(|v| v.starts_with("${EXTEN")))
        {
            let shown = hint.get(at..).unwrap_or_default();
            let cause = format!("`{shown}` cannot be evaluated here; only `${{EXTEN}}` and `[globals]` are");
            report.warning(entry.value.span, cause, "write the device's name");
        }
        if raw.hints.contains_key(&(context.to_owned(), extension.value.clone())) {
            let cause = format!(
                "the hint of {}@{context} is there a second time; the first one holds",
                extension.value
            );
            report.warning(entry.value.span, cause, "remove one, or join their devices by `&`");
            return;
        }
        raw.hint(report, context, extension, Typed::new(&hint, entry.value.span));
        return;
    }
    // `n`, `s`, a number, each with `+N` and `(label)`.
    let number = priority.split(['(', '+']).next().unwrap_or_default().trim();
    let known = number.eq_ignore_ascii_case("n")
        || number.eq_ignore_ascii_case("s")
        || number.parse::<u32>().is_ok_and(|n| n > 0);
    if !known {
        let fix = match did_you_mean(number, ["hint"]) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "a priority is a number from 1, `n`, or `hint`".to_owned(),
        };
        report.error(entry.value.span, format!("`{priority}` is no priority"), fix);
        return;
    }
    raw.extension(report, context, extension);
}

/// `text` with the variables of `[globals]` filled in; others stay.
fn fill_in(text: &str, globals: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        match after.split_once('}').and_then(|(name, tail)| Some((globals.get(name)?, tail))) {
            Some((value, tail)) => {
                out.push_str(value);
                rest = tail;
            }
            None => {
                out.push_str("${");
                rest = after;
            }
        }
    }
    out + rest
}
