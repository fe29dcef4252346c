//! Composition: from what was typed to the policies that domains and people name.
//!
//! In: [`Raw`] policies. Out: `Settings::compositions`, the four built-in ones first, and the index of one by its name.

use super::diagnostic::{Report, did_you_mean};
use super::people::unknown;
use super::raw::{Field, Raw};
use super::source::Typed;
use lampyris_core::composition::policy::{Base, Policy, SourceKind};
use std::time::Duration;

/// All policies. One of a built-in name changes that.
pub(crate) fn resolve(report: &mut Report, raw: &Raw) -> Vec<Policy> {
    let mut policies = Base::ALL.map(Policy::of).to_vec();
    for typed in &raw.compositions {
        let fields = &typed.fields;
        let named = policies.iter().position(|known| known.name == typed.name.value);
        let base = fields.base.as_ref().map(|base| base.value);
        let base = base.or(named.and_then(|index| policies.get(index)).map(|known| known.base));
        let mut policy = Policy::of(base.unwrap_or(Base::Union));
        policy.name.clone_from(&typed.name.value);
        if let Some(list) = &fields.sources {
            policy.sources = kinds(report, list);
            if policy.sources.is_empty() {
                report.error(list.span, "nobody is heard at all", "name at least one kind of source");
            }
        }
        if let Some(list) = &fields.overriding {
            policy.overriding = kinds(report, list);
        }
        policy.fresh = seconds(&fields.fresh_s);
        policy.lease = seconds(&fields.lease_s);
        let is = |field: &Field<bool>| field.as_ref().is_some_and(|typed| typed.value);
        policy.call_beats_away = is(&fields.call_beats_away);
        policy.dnd_beats_all = is(&fields.dnd_beats_all);
        policy.any_closed = is(&fields.any_closed);
        policy.active_first = is(&fields.active_first);
        match named.and_then(|index| policies.get_mut(index)) {
            Some(known) => *known = policy,
            None => policies.push(policy),
        }
    }
    policies
}

/// 0 is for ever, as nothing typed is.
fn seconds(typed: &Field<u64>) -> Option<Duration> {
    typed.as_ref().map(|seconds| Duration::from_secs(seconds.value)).filter(|time| !time.is_zero())
}

fn kinds(report: &mut Report, list: &Typed<Vec<Typed<String>>>) -> Vec<SourceKind> {
    let mut found = Vec::new();
    for name in &list.value {
        match SourceKind::parse(&name.value) {
            Some(kind) if found.contains(&kind) => {
                report.error(name.span, format!("`{}` is there twice", name.value), "remove one");
            }
            Some(kind) => found.push(kind),
            None => {
                let names = SourceKind::ALL.map(SourceKind::name);
                let otherwise = format!("there are {}", names.join(", "));
                unknown(report, name, "kind of source", did_you_mean(&name.value, names), &otherwise);
            }
        }
    }
    found
}

/// The policy that somebody names.
pub(crate) fn named(report: &mut Report, policies: &[Policy], name: &Typed<String>) -> Option<usize> {
    let found = policies.iter().position(|policy| policy.name == name.value);
    if found.is_none() {
        let near = did_you_mean(&name.value, policies.iter().map(|policy| policy.name.as_str()));
        unknown(report, name, "composition", near, &format!("add `[composition.{}]`", name.value));
    }
    found
}
