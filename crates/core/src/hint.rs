//! The dialplan as far as lamps need it: contexts, extensions, patterns, includes and hints, with Asterisk's rules.
//!
//! In: what the configuration said, in its order, through the `add_*` methods. Out: [`Dialplan::lookup`] (which hint
//! answers for an extension asked for in a context) and [`Dialplan::hints`]. It keeps no device state and runs no
//! applications: a priority other than `hint` only makes its extension exist.

use crate::device_state::DeviceName;
pub use crate::pattern::PatternError;
use crate::pattern::{Pattern, is_pattern, substitute_exten};
use std::collections::BTreeMap;

/// Contexts, extensions, hints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dialplan {
    contexts: BTreeMap<String, Context>,
    /// Context names as they were first named.
    order: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Context {
    exact: BTreeMap<String, Extension>,
    /// Invariant: in best-match order (`Pattern`'s `Ord`).
    patterns: Vec<(Pattern, Extension)>,
    includes: Vec<String>,
    /// Names and patterns of extensions with a hint, as they came.
    hinted: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Extension {
    hint: Option<Hint>,
}

/// What an extension's lamp shows: devices, and people's presence beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// As configured, as in `SIP/Bob-mobile&SIP/Bob-desk,CustomPresence:bob`.
    pub text: String,
    /// The device part; may be empty, then the extension is Unavailable.
    pub devices: Vec<DeviceName>,
    /// The presence part, as in `CustomPresence:bob`.
    pub presence: Vec<String>,
}

impl Hint {
    /// Reads `dev&dev,presence&presence`; empty names are skipped, and names no device can have are left out.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let (devices, presence) = text.split_once(',').unwrap_or((text, ""));
        let names = |part: &str| -> Vec<String> {
            part.split('&').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        Self {
            text: text.to_owned(),
            devices: names(devices).iter().filter_map(|name| DeviceName::parse(name)).collect(),
            presence: names(presence),
        }
    }

    /// The device part as configured: `SIP/Bob-mobile&SIP/Bob-desk`.
    pub fn devices_text(&self) -> &str {
        self.text.split_once(',').map_or(self.text.as_str(), |(devices, _)| devices).trim()
    }

    /// The hint of a pattern, for one extension that matches it: `${EXTEN}` and `${EXTEN:n:m}` filled in.
    fn for_extension(&self, extension: &str) -> Self {
        if self.text.contains("${EXTEN") {
            Self::parse(&substitute_exten(&self.text, extension))
        } else {
            self.clone()
        }
    }
}

/// What [`Dialplan::lookup`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// Where it stands: the context asked for, or one it includes.
    pub context: &'a str,
    /// The extension as asked for.
    pub extension: String,
    /// Its hint, made for this extension where a pattern matched; `None` where it exists without one.
    pub hint: Option<Hint>,
    /// Whether the extension can be called (it has a priority or a hint).
    pub exists: bool,
}

/// One configured hint, as [`Dialplan::hints`] lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintEntry<'a> {
    /// As in `default`.
    pub context: &'a str,
    /// As configured: `6001`, or a pattern as in `_60XX`.
    pub extension: &'a str,
    /// The hint; where `is_pattern`, `${EXTEN}` still stands in it.
    pub hint: &'a Hint,
    /// Whether `extension` is a pattern.
    pub is_pattern: bool,
}

impl Dialplan {
    /// Makes a context exist.
    pub fn add_context(&mut self, context: &str) {
        self.context_mut(context);
    }

    /// Makes an extension (or pattern, `_1XX`) exist in a context.
    ///
    /// # Errors
    /// The pattern is none.
    pub fn add_extension(&mut self, context: &str, extension: &str) -> Result<(), PatternError> {
        self.context_mut(context).extension_mut(extension).map(|_| ())
    }

    /// Gives an extension (or pattern) a hint; a later hint replaces an earlier one.
    ///
    /// # Errors
    /// The pattern is none.
    pub fn add_hint(&mut self, context: &str, extension: &str, hint: Hint) -> Result<(), PatternError> {
        let context = self.context_mut(context);
        let entry = context.extension_mut(extension)?;
        if entry.hint.replace(hint).is_none() {
            context.hinted.push(extension.to_owned());
        }
        Ok(())
    }

    /// Makes `context` search `included` after its own extensions.
    pub fn add_include(&mut self, context: &str, included: &str) {
        let context = self.context_mut(context);
        if !context.includes.iter().any(|name| name == included) {
            context.includes.push(included.to_owned());
        }
    }

    fn context_mut(&mut self, name: &str) -> &mut Context {
        if !self.contexts.contains_key(name) {
            self.order.push(name.to_owned());
        }
        self.contexts.entry(name.to_owned()).or_default()
    }

    /// Whether a context of this name was configured; names are compared exactly, as Asterisk does.
    pub fn has_context(&self, context: &str) -> bool {
        self.contexts.contains_key(context)
    }

    /// The contexts in the order they were first named.
    pub fn contexts(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }

    /// The contexts that `context` includes, in order.
    pub fn includes(&self, context: &str) -> &[String] {
        self.contexts.get(context).map_or(&[], |context| &context.includes)
    }

    /// Every configured hint, in `core show hints` order: contexts and extensions as they were configured.
    pub fn hints(&self) -> impl Iterator<Item = HintEntry<'_>> {
        self.order.iter().filter_map(|name| self.contexts.get_key_value(name)).flat_map(|(name, context)| {
            context.hinted.iter().filter_map(move |extension| {
                let hint = context.get(extension)?.hint.as_ref()?;
                Some(HintEntry { context: name, extension, hint, is_pattern: is_pattern(extension) })
            })
        })
    }

    /// How many hints are configured, patterns counting one each.
    pub fn hint_count(&self) -> usize {
        self.contexts.values().map(|context| context.hinted.len()).sum()
    }

    /// What answers for `extension` in `context`: the best match with a hint among the context's own extensions, then
    /// among its includes in order and depth first; without any hint, the best match that merely exists.
    ///
    /// `None` where nothing matches. A context that includes itself, directly or not, is searched once.
    pub fn lookup(&self, context: &str, extension: &str) -> Option<Found<'_>> {
        let mut seen = Vec::new();
        let mut existing = None;
        let hinted = self.search(context, extension, &mut seen, &mut existing);
        let (context, hint) = match hinted {
            Some((context, hint)) => (context, Some(hint)),
            None => (existing?, None),
        };
        Some(Found { context, extension: extension.to_owned(), hint, exists: true })
    }

    fn search<'a>(
        &'a self,
        context: &str,
        extension: &str,
        seen: &mut Vec<&'a str>,
        existing: &mut Option<&'a str>,
    ) -> Option<(&'a str, Hint)> {
        let (name, context) = self.contexts.get_key_value(context)?;
        // Why: never taken off again, so that a context included twice costs one search and a cycle ends.
        if seen.contains(&name.as_str()) {
            return None;
        }
        seen.push(name);
        for found in context.matches(extension) {
            existing.get_or_insert(name);
            if let Some(hint) = &found.hint {
                return Some((name, hint.for_extension(extension)));
            }
        }
        context.includes.iter().find_map(|included| self.search(included, extension, seen, existing))
    }
}

impl Context {
    fn extension_mut(&mut self, extension: &str) -> Result<&mut Extension, PatternError> {
        if !is_pattern(extension) {
            return Ok(self.exact.entry(extension.to_owned()).or_default());
        }
        let pattern = Pattern::parse(extension)?;
        let at = match self.patterns.binary_search_by(|(known, _)| known.cmp(&pattern)) {
            Ok(at) => at,
            Err(at) => {
                self.patterns.insert(at, (pattern, Extension::default()));
                at
            }
        };
        Ok(&mut self.patterns[at].1)
    }

    fn get(&self, extension: &str) -> Option<&Extension> {
        if !is_pattern(extension) {
            return self.exact.get(extension);
        }
        self.patterns.iter().find(|(pattern, _)| pattern.as_typed() == extension).map(|(_, found)| found)
    }

    /// All that match, best first: the exact name, then patterns from specific to general.
    fn matches<'a>(&'a self, extension: &'a str) -> impl Iterator<Item = &'a Extension> {
        let patterns = self.patterns.iter().filter(move |(pattern, _)| pattern.matches(extension));
        self.exact.get(extension).into_iter().chain(patterns.map(|(_, found)| found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialplan(rows: &[(&str, &str, &str)]) -> Dialplan {
        let mut plan = Dialplan::default();
        for (context, extension, what) in rows {
            match *what {
                "" => plan.add_extension(context, extension).unwrap(),
                "include" => plan.add_include(context, extension),
                hint => plan.add_hint(context, extension, Hint::parse(hint)).unwrap(),
            }
        }
        plan
    }

    fn names(hint: &Hint) -> Vec<&str> {
        hint.devices.iter().map(DeviceName::as_typed).collect()
    }

    #[test]
    fn hints_are_read_with_their_presence_part_and_without_empty_names() {
        let rows: [(&str, &[&str], &[&str]); 7] = [
            ("SIP/a&SIP/b", &["SIP/a", "SIP/b"], &[]),
            (" SIP/a & SIP/b , CustomPresence:x ", &["SIP/a", "SIP/b"], &["CustomPresence:x"]),
            ("&SIP/a&&", &["SIP/a"], &[]),
            (",CustomPresence:x&CustomPresence:y", &[], &["CustomPresence:x", "CustomPresence:y"]),
            ("park:701@parkedcalls", &["park:701@parkedcalls"], &[]),
            ("Custom:a,", &["Custom:a"], &[]),
            ("", &[], &[]),
        ];
        for (text, devices, presence) in rows {
            let hint = Hint::parse(text);
            assert_eq!(
                (names(&hint), hint.presence.clone()),
                (devices.to_vec(), presence.iter().map(|p| (*p).into()).collect()),
                "{text}"
            );
        }
        assert_eq!(Hint::parse("SIP/a&SIP/b,CustomPresence:x").devices_text(), "SIP/a&SIP/b");
    }

    #[test]
    fn the_best_match_with_a_hint_answers() {
        let plan = dialplan(&[
            ("office", "_6XXX", "SIP/${EXTEN}"),
            ("office", "_60XX", "SIP/sixty-${EXTEN:2}"),
            ("office", "6001", "SIP/bob"),
            ("office", "6002", ""),
            ("office", "_60[5-7]X", ""),
            ("office", "_9.", ""),
            ("office", "shared", "include"),
            ("shared", "_.", "SIP/any&SIP/${EXTEN:-1}"),
        ]);
        let rows = [
            ("6001", "office", "SIP/bob"),
            ("6002", "office", "SIP/sixty-02"), // exists without a hint: the next match that has one answers
            ("6051", "office", "SIP/sixty-51"),
            ("6100", "office", "SIP/6100"),
            ("61", "shared", "SIP/any&SIP/1"),
            ("911", "shared", "SIP/any&SIP/1"),
        ];
        for (extension, context, text) in rows {
            let found = plan.lookup("office", extension).unwrap();
            let hint = found.hint.as_ref().map(|hint| hint.text.as_str());
            assert_eq!((found.context, found.extension.as_str(), hint), (context, extension, Some(text)));
        }
        assert_eq!(plan.lookup("Office", "6001"), None, "contexts are compared exactly");
        assert_eq!(plan.lookup("office", ""), None);
    }

    #[test]
    fn an_extension_may_exist_without_a_hint() {
        let plan = dialplan(&[("a", "100", ""), ("a", "b", "include"), ("b", "_2XX", "")]);
        for (extension, context) in [("100", "a"), ("234", "b")] {
            let found = plan.lookup("a", extension).unwrap();
            assert_eq!((found.context, &found.hint, found.exists), (context, &None, true));
        }
        assert_eq!(plan.lookup("a", "300"), None);
        assert_eq!(plan.lookup("b", "100"), None);
    }

    #[test]
    fn includes_are_searched_in_order_and_cycles_end() {
        let plan = dialplan(&[
            ("a", "b", "include"),
            ("a", "c", "include"),
            ("b", "a", "include"),
            ("b", "d", "include"),
            ("c", "1", "SIP/c"),
            ("d", "1", "SIP/d"),
            ("d", "nowhere", "include"),
        ]);
        assert_eq!(plan.lookup("a", "1").unwrap().context, "d", "depth first");
        assert_eq!(plan.lookup("c", "1").unwrap().context, "c");
        assert_eq!(plan.lookup("b", "2"), None);
    }

    #[test]
    fn hints_are_listed_as_they_were_configured() {
        let plan = dialplan(&[
            ("z", "2", "SIP/a"),
            ("a", "_1X", "SIP/${EXTEN}"),
            ("z", "1", "SIP/b"),
            ("z", "2", "SIP/c"),
            ("z", "3", ""),
        ]);
        let listed: Vec<_> =
            plan.hints().map(|h| (h.context, h.extension, h.hint.text.as_str(), h.is_pattern)).collect();
        assert_eq!(
            listed,
            [("z", "2", "SIP/c", false), ("z", "1", "SIP/b", false), ("a", "_1X", "SIP/${EXTEN}", true)]
        );
        assert_eq!(plan.hint_count(), 3);
    }
}
