//! What a user has told the server to do with calls: do not disturb, and forwarding.
//!
//! In: one [`FeatureChange`] at a time, by a phone or a command. Out: the [`Features`] that hold afterwards, with who set
//! each and when. This is the values and their table; `feature_keys` stores and tells them, a proxy acts on them.

use crate::journal::FeaturesRecord;
use crate::limits;
use crate::slots::Slots;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Feature {
    /// No calls now.
    #[serde(rename = "dnd")]
    DoNotDisturb,
    /// All calls go elsewhere.
    #[serde(rename = "forward-always")]
    ForwardAlways,
    /// Calls go elsewhere while the user is in one.
    #[serde(rename = "forward-busy")]
    ForwardBusy,
    /// Calls go elsewhere when nobody answers.
    #[serde(rename = "forward-no-answer")]
    ForwardNoAnswer,
}

impl Feature {
    /// All.
    pub const ALL: [Self; 4] =
        [Self::DoNotDisturb, Self::ForwardAlways, Self::ForwardBusy, Self::ForwardNoAnswer];

    /// As it is typed on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DoNotDisturb => "dnd",
            Self::ForwardAlways => "forward-always",
            Self::ForwardBusy => "forward-busy",
            Self::ForwardNoAnswer => "forward-no-answer",
        }
    }

    /// The feature with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.name() == name)
    }
}

/// What a user's features are set to; a feature that is off keeps nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// No calls now.
    pub dnd: bool,
    /// Where all calls go: a number or a URI.
    pub forward_always: Option<String>,
    /// Where calls go while the user is in one.
    pub forward_busy: Option<String>,
    /// Where calls go when nobody answers.
    pub forward_no_answer: Option<String>,
    /// After so many seconds nobody has answered, where the user said so.
    pub no_answer_s: Option<u32>,
}

impl Features {
    /// What a feature is set to, as in `on` or `1234`; `None` where it is off.
    pub fn value(&self, feature: Feature) -> Option<&str> {
        match feature {
            Feature::DoNotDisturb => self.dnd.then_some("on"),
            Feature::ForwardAlways => self.forward_always.as_deref(),
            Feature::ForwardBusy => self.forward_busy.as_deref(),
            Feature::ForwardNoAnswer => self.forward_no_answer.as_deref(),
        }
    }

    /// These with one changed.
    ///
    /// # Errors
    /// What is wrong, in a few words: forwarding to nowhere, or to what no call can be sent to.
    pub fn with(&self, change: &FeatureChange) -> Result<Self, &'static str> {
        let mut features = self.clone();
        let target = match (&change.target, self.value(change.feature)) {
            _ if !change.on || change.feature == Feature::DoNotDisturb => None,
            (Some(target), _) => Some(checked_target(target)?),
            // Why: a phone that only switches its key on means the target it has given before.
            (None, Some(before)) => Some(before.to_owned()),
            (None, None) => return Err("forwarding to nowhere: a target is missing"),
        };
        match change.feature {
            Feature::DoNotDisturb => features.dnd = change.on,
            Feature::ForwardAlways => features.forward_always = target,
            Feature::ForwardBusy => features.forward_busy = target,
            Feature::ForwardNoAnswer => {
                features.no_answer_s = target.as_ref().and(change.no_answer_s.or(self.no_answer_s));
                features.forward_no_answer = target;
            }
        }
        Ok(features)
    }
}

/// A number or URI without white space, which people type between digits; nothing that could end a header or a URI in it.
fn checked_target(target: &str) -> Result<String, &'static str> {
    let target: String = target.chars().filter(|c| !c.is_whitespace()).collect();
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | ',');
    match target.len() {
        0 => Err("forwarding to nowhere: a target is missing"),
        1..=limits::FORWARD_TARGET_BYTES_MAX if target.chars().all(is_plain) => Ok(target),
        _ => Err("not a number or URI that calls can be forwarded to"),
    }
}

/// One feature to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureChange {
    /// Which.
    pub feature: Feature,
    /// On, or off.
    pub on: bool,
    /// Where calls go; the target given before where `None`.
    pub target: Option<String>,
    /// After how many seconds nobody has answered; as before where `None`.
    pub no_answer_s: Option<u32>,
}

/// The features of all users who have any set, by the printed key of their resource.
#[derive(Default)]
pub(crate) struct FeatureKeys {
    slots: Slots<FeaturesRecord>,
    by_user: BTreeMap<String, u32>,
}

impl FeatureKeys {
    /// What a user has set.
    pub(crate) fn find(&self, user: &str) -> Option<&FeaturesRecord> {
        self.slots.get(*self.by_user.get(user)?)
    }

    /// Sets a user's features; the slot.
    pub(crate) fn set(&mut self, record: FeaturesRecord) -> u32 {
        if let Some(slot) = self.by_user.get(&record.user) {
            self.slots.put(*slot, record);
            return *slot;
        }
        let user = record.user.clone();
        let slot = self.slots.insert(record);
        self.by_user.insert(user, slot);
        slot
    }

    /// Takes a user out who has nothing set any more; the slot.
    pub(crate) fn clear(&mut self, user: &str) -> Option<u32> {
        let slot = self.by_user.remove(user)?;
        self.slots.remove(slot);
        Some(slot)
    }

    /// Puts a row back as it was before a change that could not be stored; the users it was about.
    pub(crate) fn revert(&mut self, slot: u32, record: Option<FeaturesRecord>) -> Vec<String> {
        let mut users = Vec::new();
        if let Some(old) = self.slots.remove(slot) {
            self.by_user.remove(&old.user);
            users.push(old.user);
        }
        if let Some(record) = record {
            users.push(record.user.clone());
            self.by_user.insert(record.user.clone(), slot);
            self.slots.put(slot, record);
        }
        users
    }

    /// Puts a row back at a restart.
    pub(crate) fn restore(&mut self, slot: u32, record: FeaturesRecord) {
        self.by_user.insert(record.user.clone(), slot);
        self.slots.restore(slot, record);
    }

    /// After the last [`Self::restore`].
    pub(crate) fn restored(&mut self) {
        self.slots.rebuild_free();
    }

    /// All, by user.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &FeaturesRecord> {
        self.by_user.values().filter_map(|slot| self.slots.get(*slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_add_up_and_what_is_off_keeps_nothing() {
        let change = |feature, on, target: &str, no_answer_s| FeatureChange {
            feature,
            on,
            target: (!target.is_empty()).then(|| target.to_owned()),
            no_answer_s,
        };
        use Feature as F;
        let long = "1".repeat(limits::FORWARD_TARGET_BYTES_MAX + 1);
        let mut features = Features::default();
        let steps: Vec<(FeatureChange, Result<&str, ()>)> = vec![
            (change(F::DoNotDisturb, true, "", None), Ok("on")),
            (change(F::ForwardAlways, true, "", None), Err(())),
            (change(F::ForwardAlways, true, "+49 30 1234", None), Ok("+49301234")),
            (change(F::ForwardAlways, true, "", None), Ok("+49301234")),
            (change(F::ForwardNoAnswer, true, "sip:x@example.com", Some(20)), Ok("sip:x@example.com")),
            (change(F::ForwardNoAnswer, true, "77", None), Ok("77")),
            (change(F::ForwardBusy, true, "<sip:x>", None), Err(())),
            (change(F::ForwardBusy, true, "1\r\nX: y\u{0}", None), Err(())),
            (change(F::ForwardBusy, true, &long, None), Err(())),
            (change(F::DoNotDisturb, false, "", None), Ok("")),
        ];
        for (change, value) in steps {
            match (features.with(&change), value) {
                (Ok(new), Ok(value)) => {
                    assert_eq!(new.value(change.feature).unwrap_or(""), value);
                    features = new;
                }
                (Err(_), Err(())) => {}
                (got, _) => panic!("{change:?}: {got:?}"),
            }
        }
        assert_eq!(features.no_answer_s, Some(20));
        for feature in F::ALL {
            assert_eq!(F::parse(feature.name()), Some(feature));
            features = features.with(&change(feature, false, "9", Some(5))).unwrap();
        }
        assert_eq!(features, Features::default());
    }
}
