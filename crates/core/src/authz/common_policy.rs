//! Common policy (RFC 4745): rule sets, and when a rule applies.
//!
//! In: a document, read strictly, since a rule that is misread could show somebody what is not for them. Out: rules, each
//! with its conditions and what its application makes of `actions` and `transformations`. It does not know what a rule
//! allows. A condition nobody here knows is never met (RFC 4745 §7).

use crate::body::BodyError;
use crate::body::presence_document::DateTime;
use crate::body::xml::{Document, Element, is_name};
use crate::body::xml_writer::XmlWriter;
use crate::limits;
use crate::settings::Settings;
use crate::time::UnixTime;
use lampyris_sip::uri::escape_user;
use lampyris_sip::{Host, Uri};
use std::collections::BTreeSet;

/// The namespace of RFC 4745.
pub(crate) const NAMESPACE: &str = "urn:ietf:params:xml:ns:common-policy";
/// Our own: it has `configured`, an identity that is whoever the configuration lets watch.
pub(crate) const OWN_NAMESPACE: &str = "urn:lampyris:rules";

/// One rule with what it grants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule<G> {
    /// Its id.
    pub(crate) id: String,
    /// All must be met; none is always met (RFC 4745 §10.1).
    pub(crate) conditions: Vec<Condition>,
    /// What it grants then.
    pub(crate) grant: G,
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    /// The watcher is one of these.
    Identity(Vec<Who>),
    /// The presentity is in one of these spheres.
    Sphere(Vec<String>),
    /// It is now in one of these intervals: from, until.
    Validity(Vec<(DateTime, DateTime)>),
    /// Nobody here knows what it wants.
    Unknown,
}

/// A child of `identity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Exactly this one.
    One(String),
    /// Everybody, or everybody of a domain, but those excepted.
    Many(Option<String>, Vec<Except>),
    /// Whoever the configured default lets watch, but those excepted.
    Configured(Vec<Except>),
    /// Nobody here knows who that is.
    Unknown,
}

/// Who is excepted from many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Except {
    /// This one.
    Id(String),
    /// Everybody of this domain.
    Domain(String),
}

/// A watcher, as rules see one: always authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watcher {
    /// As in `sip:bob@example.com`.
    pub(crate) uri: String,
    /// The user part, and every other of the same person.
    users: Vec<String>,
    /// The domain and its aliases.
    hosts: Vec<String>,
    /// Index into `Settings::domains`, for those at home here.
    pub(crate) domain: Option<usize>,
}

impl Watcher {
    /// The watcher that is called so: by a peer's name, or by a URI.
    pub(crate) fn called(settings: &Settings, name: &str) -> Self {
        if let Some(peer) = settings.peers.get(name) {
            return Self::at_home(settings, peer.domain, &peer.name);
        }
        // Why not parsed: whoever is at home here is called by the user part as it is after unescaping, and to unescape
        // that again would make somebody else of it.
        if let Some((user, host)) = name.strip_prefix("sip:").and_then(|rest| rest.rsplit_once('@'))
            && let Some(domain) = settings.domains.iter().position(|domain| domain.name == host)
        {
            return Self::at_home(settings, domain, user);
        }
        let parsed = Uri::parse(name).ok();
        let user = parsed.and_then(|uri| uri.user_unescaped()).unwrap_or_default().into_owned();
        let hosts = parsed.map(|uri| uri.host_str().to_owned()).into_iter().collect();
        Self { uri: name.to_owned(), users: vec![user], hosts, domain: None }
    }

    fn at_home(settings: &Settings, index: usize, user: &str) -> Self {
        let domain = settings.domains.get(index);
        let names =
            domain.into_iter().flat_map(|domain| std::iter::once(&domain.name).chain(&domain.aliases));
        let host = domain.map_or("", |domain| domain.name.as_str());
        let uri = format!("sip:{}@{host}", escape_user(user));
        let peer = settings.peers.get(user).filter(|peer| peer.domain == index);
        let person = peer.and_then(|peer| settings.people.of_peer(&peer.name));
        let person = person.or_else(|| settings.people.called(index, user)).filter(|own| own.domain == index);
        let others =
            person.into_iter().flat_map(|own| own.aliases.iter().chain(&own.peers).chain([&own.name]));
        let users = std::iter::once(user).chain(others.map(String::as_str)).map(str::to_owned).collect();
        Self { uri, users, hosts: names.cloned().collect(), domain: Some(index) }
    }

    /// Whether a rule's URI names it (RFC 3261 §19.1.4, as far as it is about who; RFC 5025 §3.1.1.2: a `tel:` URI and a
    /// number at a domain are two different people).
    pub(crate) fn is(&self, id: &str) -> bool {
        if id == self.uri {
            return true;
        }
        let (Ok(id), Ok(own)) = (Uri::parse(id), Uri::parse(&self.uri)) else { return false };
        if id.scheme() != own.scheme() {
            return false;
        }
        if !matches!(id.host(), Host::Name(name) if !name.is_empty()) && id.host().ip().is_none() {
            return id.equivalent(&own);
        }
        let user = id.user_unescaped().unwrap_or_default();
        self.users.iter().any(|own| *own == user) && self.is_of(id.host_str())
    }

    fn is_of(&self, domain: &str) -> bool {
        let domain = domain.trim_end_matches('.');
        self.hosts.iter().any(|host| host.eq_ignore_ascii_case(domain))
    }
}

/// What conditions are held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    /// Who asks.
    pub(crate) watcher: &'a Watcher,
    /// The sphere the presentity is in, if that is known.
    pub(crate) sphere: Option<&'a str>,
    /// When.
    pub(crate) now: UnixTime,
}

impl Except {
    fn is(&self, watcher: &Watcher) -> bool {
        match self {
            Self::Id(id) => watcher.is(id),
            Self::Domain(domain) => watcher.is_of(domain),
        }
    }
}

impl Who {
    /// Whether the watcher is meant; `configured` is said where that depends on the configuration.
    fn is(&self, watcher: &Watcher) -> bool {
        let kept = |excepted: &[Except]| !excepted.iter().any(|except| except.is(watcher));
        match self {
            Self::One(id) => watcher.is(id),
            Self::Many(domain, excepted) => {
                domain.as_ref().is_none_or(|domain| watcher.is_of(domain)) && kept(excepted)
            }
            Self::Configured(excepted) => kept(excepted),
            Self::Unknown => false,
        }
    }
}

impl Condition {
    fn is_met(&self, at: &Circumstances<'_>) -> bool {
        match self {
            Self::Identity(who) => who.iter().any(|who| who.is(at.watcher)),
            Self::Sphere(values) => {
                at.sphere.is_some_and(|sphere| values.iter().any(|value| value.eq_ignore_ascii_case(sphere)))
            }
            Self::Validity(intervals) => intervals.iter().any(|(from, until)| {
                // Why: the end is excluded (RFC 4745 §7.4).
                from.unix() <= at.now && at.now < until.unix()
            }),
            Self::Unknown => false,
        }
    }
}

impl<G> Rule<G> {
    /// Whether it applies (RFC 4745 §10.1).
    pub(crate) fn applies(&self, at: &Circumstances<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.is_met(at))
    }

    /// Whether it applies to the watcher only as far as the configured default does.
    pub(crate) fn is_configured_for(&self, watcher: &Watcher) -> bool {
        let plainly = |who: &Who| !matches!(who, Who::Configured(_)) && who.is(watcher);
        self.conditions.iter().any(|condition| {
            matches!(condition, Condition::Identity(who)
                if who.iter().any(|who| matches!(who, Who::Configured(_))) && !who.iter().any(plainly))
        })
    }

    /// The next moment after `now` at which an interval of it begins or ends.
    pub(crate) fn next_change(&self, now: UnixTime) -> Option<UnixTime> {
        let intervals = self.conditions.iter().filter_map(|condition| match condition {
            Condition::Validity(intervals) => Some(intervals),
            _ => None,
        });
        let edges = intervals.flatten().flat_map(|(from, until)| [from.unix(), until.unix()]);
        edges.filter(|edge| *edge > now).min()
    }

    /// Whether the presentity's sphere makes a difference to it.
    pub(crate) fn asks_for_sphere(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition, Condition::Sphere(_)))
    }
}

/// Reads a rule set; `grant` reads `actions` and `transformations` of a rule.
///
/// # Errors
/// The first thing that is not as RFC 4745 §13 wants it, or over a bound, and where it stands.
pub(crate) fn read<G>(
    body: &[u8],
    mut grant: impl FnMut(&Document<'_>, Option<Element<'_>>, Option<Element<'_>>) -> Result<G, BodyError>,
) -> Result<Vec<Rule<G>>, BodyError> {
    let document = Document::parse(body)?;
    let root = document.root();
    if !root.is(NAMESPACE, "ruleset") {
        return Err(document.error(root, "not a ruleset of common policy"));
    }
    let (mut rules, mut ids) = (Vec::new(), BTreeSet::new());
    for child in root.children() {
        if !child.is(NAMESPACE, "rule") {
            return Err(document.error(child, "a ruleset has rules only"));
        }
        let id = child.attr("id").map(str::trim).filter(|id| is_name(id));
        let id = id.ok_or_else(|| document.error(child, "a rule needs an id that is a name"))?;
        if !ids.insert(id.to_owned()) {
            return Err(document.error(child, "two rules with the same id"));
        }
        if rules.len() >= limits::RULES_MAX {
            return Err(document.error(child, "too many rules"));
        }
        let (mut conditions, mut parts) = (Vec::new(), [None, None]);
        for part in child.children() {
            let place = match (part.name(), part.namespace()) {
                ("conditions", NAMESPACE) => {
                    for condition in part.children() {
                        conditions.push(read_condition(&document, condition)?);
                    }
                    continue;
                }
                ("actions", NAMESPACE) => &mut parts[0],
                ("transformations", NAMESPACE) => &mut parts[1],
                _ => return Err(document.error(part, "not a part of a rule")),
            };
            if place.replace(part).is_some() {
                return Err(document.error(part, "this stands in the rule twice"));
            }
        }
        let [actions, transformations] = parts;
        let grant = grant(&document, actions, transformations)?;
        rules.push(Rule { id: id.to_owned(), conditions, grant });
    }
    Ok(rules)
}

fn read_condition(document: &Document<'_>, element: Element<'_>) -> Result<Condition, BodyError> {
    match (element.name(), element.namespace()) {
        ("identity", NAMESPACE) => {
            let who = element.children().map(|child| read_who(document, child));
            Ok(Condition::Identity(who.collect::<Result<_, _>>()?))
        }
        ("sphere", NAMESPACE) => {
            let values = element.attr("value").unwrap_or("");
            let values: Vec<_> = values.split_ascii_whitespace().map(str::to_owned).collect();
            match values.is_empty() {
                true => Err(document.error(element, "a sphere needs a value")),
                false => Ok(Condition::Sphere(values)),
            }
        }
        ("validity", NAMESPACE) => {
            let wrong = |element: Element<'_>| {
                document.error(element, "validity has pairs of from and until, as dateTime")
            };
            let times: Vec<_> = element.children().collect();
            let (pairs, rest) = times.as_chunks::<2>();
            if pairs.is_empty() || !rest.is_empty() {
                return Err(wrong(element));
            }
            let time = |element: Element<'_>, name: &str| {
                let time = DateTime::parse(&element.trimmed()).filter(|_| element.is(NAMESPACE, name));
                time.ok_or_else(|| wrong(element))
            };
            let intervals =
                pairs.iter().map(|[from, until]| Ok((time(*from, "from")?, time(*until, "until")?)));
            Ok(Condition::Validity(intervals.collect::<Result<_, _>>()?))
        }
        (_, NAMESPACE) => Err(document.error(element, "not a condition")),
        _ => Ok(Condition::Unknown),
    }
}

fn id_of(element: Element<'_>) -> Option<&str> {
    element.attr("id").map(str::trim).filter(|id| !id.is_empty())
}

fn read_who(document: &Document<'_>, element: Element<'_>) -> Result<Who, BodyError> {
    let excepted = || {
        let mut excepted = Vec::new();
        for child in element.children() {
            if !matches!(child.namespace(), NAMESPACE | OWN_NAMESPACE) {
                // Why: who is excepted by it is not known, so it has to be everybody.
                return Ok(None);
            }
            let except = match (child.name(), id_of(child), child.attr("domain")) {
                ("except", Some(id), None) => Except::Id(id.to_owned()),
                ("except", None, Some(domain)) => Except::Domain(domain.trim().to_owned()),
                _ => return Err(document.error(child, "an exception has either an id or a domain")),
            };
            excepted.push(except);
        }
        Ok(Some(excepted))
    };
    match (element.name(), element.namespace()) {
        ("one", NAMESPACE) => match id_of(element) {
            None => Err(document.error(element, "one needs an id")),
            Some(_) if element.children().next().is_some() => Ok(Who::Unknown),
            Some(id) => Ok(Who::One(id.to_owned())),
        },
        ("many", NAMESPACE) => {
            let domain = element.attr("domain").map(|domain| domain.trim().to_owned());
            Ok(excepted()?.map_or(Who::Unknown, |excepted| Who::Many(domain, excepted)))
        }
        ("configured", OWN_NAMESPACE) => Ok(excepted()?.map_or(Who::Unknown, Who::Configured)),
        (_, NAMESPACE | OWN_NAMESPACE) => Err(document.error(element, "not an identity")),
        _ => Ok(Who::Unknown),
    }
}

/// Writes the conditions of a rule; nothing unknown may be among them.
pub(crate) fn write_conditions(w: &mut XmlWriter, conditions: &[Condition]) {
    w.open("conditions");
    for condition in conditions {
        match condition {
            Condition::Identity(who) => {
                w.open("identity");
                who.iter().for_each(|who| write_who(w, who));
                w.close();
            }
            Condition::Sphere(values) => {
                _ = w.open("sphere").attr("value", values.join(" ").as_str()).close()
            }
            Condition::Validity(intervals) => {
                w.open("validity");
                for (from, until) in intervals {
                    w.leaf("from", from.as_str()).leaf("until", until.as_str());
                }
                w.close();
            }
            Condition::Unknown => {}
        }
    }
    w.close();
}

fn write_who(w: &mut XmlWriter, who: &Who) {
    let excepted = match who {
        Who::One(id) => {
            w.open("one").attr("id", id.as_str()).close();
            return;
        }
        Who::Many(domain, excepted) => {
            w.open("many").attr_opt("domain", domain.as_deref());
            excepted
        }
        Who::Configured(excepted) => {
            w.open("configured").attr("xmlns", OWN_NAMESPACE);
            excepted
        }
        Who::Unknown => return,
    };
    for except in excepted {
        match except {
            Except::Id(id) => w.open("except").attr("id", id.as_str()).close(),
            Except::Domain(domain) => w.open("except").attr("domain", domain.as_str()).close(),
        };
    }
    w.close();
}
