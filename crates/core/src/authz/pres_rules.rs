//! Presence rules (RFC 5025): what becomes of a subscription, and how much of a presence its watcher is shown.
//!
//! In: a presentity's document. Out: [`PresRules`], whose [`PresRules::decide`] combines every rule that applies (RFC 4745
//! §10): of handlings the highest, of what is shown everything. A rule only ever adds, so that taking one away shows nobody
//! more. It does not know subscriptions or the configuration; what the default is for a watcher is said to it.

use super::common_policy::{
    self, Circumstances, Condition, NAMESPACE as COMMON_NAMESPACE, Rule, Who, write_conditions,
};
use super::provided::{Attribute, Identifier, Parts, Provided, UserInputShown};
use crate::body::BodyError;
use crate::body::encoded::HoleValues;
use crate::body::xml::{Document, Element};
use crate::body::xml_writer::XmlWriter;
use crate::limits;
use crate::time::UnixTime;
use std::sync::Arc;

/// The namespace of RFC 5025.
pub(crate) const NAMESPACE: &str = "urn:ietf:params:xml:ns:pres-rules";

/// What becomes of a subscription (RFC 5025 §3.2.1), the least first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Handling {
    /// It is refused.
    #[default]
    Block,
    /// It waits until the presentity decides.
    Confirm,
    /// It is shown somebody who is not there.
    PoliteBlock,
    /// It is shown what the transformations let through.
    Allow,
}

impl Handling {
    /// All.
    pub const ALL: [Self; 4] = [Self::Block, Self::Confirm, Self::PoliteBlock, Self::Allow];

    /// As documents and commands call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Confirm => "confirm",
            Self::PoliteBlock => "polite-block",
            Self::Allow => "allow",
        }
    }
}

/// What one rule grants.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Grant {
    /// `sub-handling`.
    pub(crate) handling: Option<Handling>,
    /// The transformations.
    pub(crate) shows: Arc<Provided>,
}

/// What the rules that apply come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// What becomes of the subscription.
    pub(crate) handling: Handling,
    /// What is shown where it is allowed.
    pub(crate) shows: Arc<Provided>,
    /// The ids of the rules that apply.
    pub(crate) rules: Vec<String>,
}

/// A presentity's document.
#[derive(Clone, Debug, PartialEq)]
pub struct PresRules {
    pub(crate) rules: Vec<Rule<Grant>>,
    /// As it came.
    text: String,
    /// Nothing in it is of a namespace we do not know.
    is_plain: bool,
}

impl PresRules {
    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong with it, and where. Such a document must not take the place of another.
    pub fn read(text: &str) -> Result<Self, BodyError> {
        let mut is_plain = true;
        let rules = common_policy::read(text.as_bytes(), |document, actions, transformations| {
            let (mut grant, mut shows) = (Grant::default(), Provided::default());
            for action in actions.into_iter().flat_map(Element::children) {
                is_plain &= action.namespace() == NAMESPACE;
                read_action(document, action, &mut grant)?;
            }
            for transformation in transformations.into_iter().flat_map(Element::children) {
                is_plain &= read_transformation(document, transformation, &mut shows)?;
            }
            grant.shows = Arc::new(shows);
            Ok(grant)
        })?;
        let unknown = |condition: &Condition| match condition {
            Condition::Unknown => true,
            Condition::Identity(who) => who.contains(&Who::Unknown),
            Condition::Sphere(_) | Condition::Validity(_) => false,
        };
        is_plain &= !rules.iter().flat_map(|rule| &rule.conditions).any(unknown);
        Ok(Self { rules, text: text.to_owned(), is_plain })
    }

    /// The document with these rules.
    pub(crate) fn of(rules: Vec<Rule<Grant>>) -> Self {
        let mut w = XmlWriter::pretty();
        w.open("ruleset").attr("xmlns", COMMON_NAMESPACE).attr("xmlns:pr", NAMESPACE);
        for rule in &rules {
            w.open("rule").attr("id", rule.id.as_str());
            write_conditions(&mut w, &rule.conditions);
            w.open("actions");
            if let Some(handling) = rule.grant.handling {
                w.leaf("pr:sub-handling", handling.name());
            }
            w.close().open("transformations");
            rule.grant.shows.write(&mut w);
            w.close().close();
        }
        let text = String::from_utf8_lossy(&w.finish().fill(&HoleValues::default())).into_owned();
        Self { rules, text, is_plain: true }
    }

    /// The document as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it can be written again without losing anything.
    pub(crate) const fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// What it says of a watcher, of whom the configured default says `configured`.
    pub(crate) fn decide(&self, at: &Circumstances<'_>, configured: Handling) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in self.rules.iter().filter(|rule| rule.applies(at)) {
            let by_default = rule.is_configured_for(at.watcher);
            let (handling, shows) = match (by_default, configured) {
                (true, Handling::Allow) => (Handling::Allow, Provided::everything()),
                (true, Handling::Block) => continue,
                (true, configured) => (configured, Arc::default()),
                (false, _) => (rule.grant.handling.unwrap_or_default(), rule.grant.shows.clone()),
            };
            verdict.handling = verdict.handling.max(handling);
            // Why: one rule is the usual case, and all whom it lets in then share what they are shown.
            verdict.shows = match verdict.rules.is_empty() {
                true => shows,
                false => Provided::union(&verdict.shows, &shows),
            };
            verdict.rules.push(rule.id.clone());
        }
        verdict
    }

    /// The next moment after `now` at which it may say something else.
    pub(crate) fn next_change(&self, now: UnixTime) -> Option<UnixTime> {
        self.rules.iter().filter_map(|rule| rule.next_change(now)).min()
    }

    /// Whether the presentity's sphere makes a difference to it.
    pub(crate) fn asks_for_sphere(&self) -> bool {
        self.rules.iter().any(Rule::asks_for_sphere)
    }

    /// Whether the time makes a difference to it.
    pub(crate) fn asks_for_time(&self) -> bool {
        self.next_change(UnixTime::default()).is_some()
    }
}

fn read_action(document: &Document<'_>, action: Element<'_>, grant: &mut Grant) -> Result<(), BodyError> {
    if action.namespace() != NAMESPACE {
        return Ok(()); // Why: what is not known grants nothing.
    }
    let text = action.trimmed();
    let handling = Handling::ALL.into_iter().find(|handling| handling.name() == text);
    match (action.name(), handling, grant.handling) {
        ("sub-handling", Some(handling), None) => grant.handling = Some(handling),
        ("sub-handling", None, _) => {
            return Err(document.error(action, "sub-handling is block, confirm, polite-block or allow"));
        }
        ("sub-handling", ..) => return Err(document.error(action, "sub-handling twice")),
        _ => return Err(document.error(action, "not an action of presence rules")),
    }
    Ok(())
}

/// Takes in a transformation; `false` where something in it is not known.
fn read_transformation(
    document: &Document<'_>,
    element: Element<'_>,
    shows: &mut Provided,
) -> Result<bool, BodyError> {
    if element.namespace() != NAMESPACE {
        return Ok(false);
    }
    let boolean = || match &*element.trimmed() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(document.error(element, "this is true or false")),
    };
    match element.name() {
        "provide-persons" => return read_parts(document, element, "all-persons", &mut shows.persons),
        "provide-services" => return read_parts(document, element, "all-services", &mut shows.services),
        "provide-devices" => return read_parts(document, element, "all-devices", &mut shows.devices),
        "provide-all-attributes" => shows.all_attributes = true,
        "provide-user-input" => {
            let shown = UserInputShown::parse(&element.trimmed());
            let wrong = || document.error(element, "provide-user-input is false, bare, thresholds or full");
            shows.user_input = shows.user_input.max(shown.ok_or_else(wrong)?);
        }
        "provide-unknown-attribute" => {
            let (Some(name), Some(namespace)) = (element.attr("name"), element.attr("ns")) else {
                return Err(document.error(element, "an unknown attribute is called by name and ns"));
            };
            if boolean()? {
                shows.unknown.insert((namespace.to_owned(), name.to_owned()));
            }
            if shows.unknown.len() > limits::GRANTED_MAX {
                return Err(document.error(element, "too many unknown attributes in one rule"));
            }
        }
        name => match Attribute::called(name) {
            Some(attribute) if boolean()? => shows.attributes.insert(attribute),
            Some(_) => {}
            None => return Err(document.error(element, "not a transformation of presence rules")),
        },
    }
    Ok(true)
}

fn read_parts(
    document: &Document<'_>,
    element: Element<'_>,
    all: &str,
    parts: &mut Parts,
) -> Result<bool, BodyError> {
    let mut is_known = true;
    for child in element.children() {
        if child.namespace() != NAMESPACE {
            is_known = false;
            continue;
        }
        if child.name() == all {
            *parts = Parts::All;
            continue;
        }
        let value = child.trimmed().into_owned();
        let identifier = match (child.name(), element.name()) {
            ("class", _) => Identifier::Class(value),
            ("occurrence-id", _) => Identifier::Occurrence(value),
            ("deviceID", "provide-devices") => Identifier::Device(value),
            ("service-uri", "provide-services") => Identifier::Uri(value),
            ("service-uri-scheme", "provide-services") => Identifier::Scheme(value),
            _ => return Err(document.error(child, "nothing is identified by this")),
        };
        if !parts.insert(identifier) {
            return Err(document.error(child, "too many identifiers in one rule"));
        }
    }
    Ok(is_known)
}
