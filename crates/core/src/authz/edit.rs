//! Changing a document of presence rules by command: what one watcher is to get, and nothing for the others.
//!
//! In: a document (or none yet) and a watcher's URI. Out: the document after it. A rule can only add (RFC 4745 §10.2), so
//! that somebody is shown less only where every rule that gives more makes an exception.

use super::common_policy::{Condition, Except, Rule, Watcher, Who};
use super::pres_rules::{Grant, Handling, PresRules};
use super::provided::Provided;
use crate::limits;
use crate::settings::Settings;
use std::sync::Arc;

/// The rule that stands for the configured default.
const CONFIGURED: &str = "configured";

/// The document in which this watcher gets this; `None` where nothing is left but the configured default.
///
/// # Errors
/// Why that cannot be done, in a few words.
pub(crate) fn with(
    old: Option<&PresRules>,
    watcher: &Watcher,
    handling: Option<Handling>,
) -> Result<Option<PresRules>, &'static str> {
    if old.is_some_and(|old| !old.is_plain()) {
        return Err("the document has elements of other namespaces, which would be lost; replace it whole");
    }
    let mut rules = old.map_or_else(|| vec![configured()], |old| old.rules.clone());
    forget(&mut rules, watcher);
    if let Some(handling) = handling {
        if handling < Handling::Allow {
            rules.iter_mut().for_each(|rule| except(rule, watcher));
        }
        add(&mut rules, &watcher.uri, handling);
    }
    if rules.len() > limits::RULES_MAX {
        return Err("too many rules");
    }
    let is_default = rules.iter().all(|rule| *rule == configured()) && !rules.is_empty();
    Ok((!is_default).then(|| PresRules::of(rules)))
}

/// [`with`] for a watcher called by a peer's name or a URI.
///
/// # Errors
/// Why that cannot be done, in a few words.
pub fn edited(
    settings: &Settings,
    old: Option<&PresRules>,
    watcher: &str,
    handling: Option<Handling>,
) -> Result<Option<PresRules>, &'static str> {
    with(old, &Watcher::called(settings, watcher), handling)
}

/// Whoever the configuration lets watch.
fn configured() -> Rule<Grant> {
    let conditions = vec![Condition::Identity(vec![Who::Configured(Vec::new())])];
    Rule { id: CONFIGURED.to_owned(), conditions, grant: Grant::default() }
}

/// Takes a watcher out of every rule that names it, and every exception for it.
fn forget(rules: &mut Vec<Rule<Grant>>, watcher: &Watcher) {
    let named = |who: &Who| matches!(who, Who::One(id) if watcher.is(id));
    let keep = |condition: &mut Condition| {
        let Condition::Identity(who) = condition else { return true };
        let before = who.len();
        who.retain(|who| !named(who));
        for who in &mut *who {
            if let Who::Many(_, excepted) | Who::Configured(excepted) = who {
                excepted.retain(|except| !matches!(except, Except::Id(id) if watcher.is(id)));
            }
        }
        before == who.len() || !who.is_empty()
    };
    // Why: a rule that was for this watcher alone must not become one for everybody.
    rules.retain_mut(|rule| rule.conditions.iter_mut().all(keep));
}

/// Makes a rule not apply to a watcher that it does not name.
fn except(rule: &mut Rule<Grant>, watcher: &Watcher) {
    let except = || Except::Id(watcher.uri.clone());
    let identities = rule.conditions.iter_mut().filter_map(|condition| match condition {
        Condition::Identity(who) => Some(who),
        _ => None,
    });
    let mut has_identity = false;
    for who in identities.flatten() {
        has_identity = true;
        if let Who::Many(_, excepted) | Who::Configured(excepted) = who {
            excepted.push(except());
        }
    }
    if !has_identity {
        // Every watcher is authenticated here, so many is as good as no condition (RFC 4745 §7.1.3).
        rule.conditions.insert(0, Condition::Identity(vec![Who::Many(None, vec![except()])]));
    }
}

/// Adds a watcher to the rule that gives just this, or such a rule.
fn add(rules: &mut Vec<Rule<Grant>>, uri: &str, handling: Handling) {
    let shows = match handling {
        Handling::Allow => Provided::everything(),
        _ => Arc::default(),
    };
    let grant = Grant { handling: Some(handling), shows };
    let same = rules.iter_mut().filter(|rule| rule.grant == grant);
    for rule in same {
        if let [Condition::Identity(who)] = rule.conditions.as_mut_slice()
            && who.iter().all(|who| matches!(who, Who::One(_)))
        {
            return who.push(Who::One(uri.to_owned()));
        }
    }
    let name = handling.name();
    let taken = |id: &str| rules.iter().any(|rule| rule.id == id);
    let mut id = name.to_owned();
    let mut count = 2_usize;
    while taken(&id) {
        id = format!("{name}-{count}");
        count += 1;
    }
    let conditions = vec![Condition::Identity(vec![Who::One(uri.to_owned())])];
    rules.push(Rule { id, conditions, grant });
}
