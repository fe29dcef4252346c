//! One presence out of many sources, by a [`Policy`]: what watchers are shown, and why each source won or lost.
//!
//! In: typed [`Source`]s in any order. Out: [`Outcome`]. A pure function: it reads no clock and no configuration, and the
//! order in which sources are given does not matter. Services and devices are always all shown; there is one person, and
//! what the person is doing is what the policy weighs. Do not disturb is laid over the rest.

use crate::body::presence_document::{Basic, PresenceDocument};
use crate::body::rpid::{Activity, Rpid};
use crate::composition::extension::{LampState, Presence};
use crate::composition::policy::{Base, Policy, SourceKind};
use crate::device_state::{DeviceState, ExtensionState, PresenceState, aggregate};
use crate::manual_status::{ManualStatus, Status};
use crate::time::UnixTime;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One who speaks of a presentity.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Which kind of source it is.
    pub kind: SourceKind,
    /// As in `SIP/bob-desk`, or who published.
    pub name: String,
    /// Which comes first of those that have said something else at the same time: less is first.
    pub tie: u64,
    /// When it last said something else.
    pub since: UnixTime,
    /// When it stops counting, if that is known.
    pub until: Option<UnixTime>,
    /// It is older than the policy lets it be.
    pub stale: bool,
    /// What it says.
    pub says: Says,
}

/// What a source says.
#[derive(Clone, Debug, PartialEq)]
pub enum Says {
    /// The state of the device that the source is called after: with its calls, or (as registration) without them.
    Device(DeviceState),
    /// A presence document.
    Document(Arc<PresenceDocument>),
    /// A status set by command.
    Status(ManualStatus),
    /// No calls now.
    DoNotDisturb,
}

/// All that is known of a presentity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// Who speaks.
    pub all: Vec<Source>,
    /// The lamp where no device says anything; `None` where there is no lamp then.
    pub bare: Option<ExtensionState>,
    /// The presence state in the hint.
    pub said: Option<PresenceState>,
}

/// What became of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its place among the sources given.
    pub source: usize,
    /// Whether something it says is shown.
    pub won: bool,
    /// Why.
    pub because: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What watchers are shown.
    pub presence: Presence,
    /// One for each source, in the order given.
    pub verdicts: Vec<Verdict>,
}

/// Activities of somebody who is not at hand.
const AWAY: [Activity; 12] = [
    Activity::Away,
    Activity::Breakfast,
    Activity::Dinner,
    Activity::Holiday,
    Activity::InTransit,
    Activity::Meal,
    Activity::PermanentAbsence,
    Activity::Shopping,
    Activity::Sleeping,
    Activity::Travel,
    Activity::Vacation,
    Activity::Worship,
];

/// How far an activity keeps a person from being reached: less is more available.
fn cost(activities: &[Activity]) -> u8 {
    let one = |activity: &Activity| match activity {
        Activity::PermanentAbsence | Activity::Vacation | Activity::Holiday => 5,
        away if AWAY.contains(away) => 4,
        Activity::Busy | Activity::Meeting | Activity::Presentation | Activity::Performance => 3,
        Activity::OnThePhone => 2,
        _ => 1,
    };
    activities.iter().map(one).max().unwrap_or(0)
}

/// Composes.
pub fn compose(policy: &Policy, sources: &Sources) -> Outcome {
    let mut jury = Jury::new(policy, sources);
    jury.leave_out();
    jury.silence();
    jury.weigh();
    let presence = jury.presence();
    Outcome { presence, verdicts: jury.verdicts }
}

/// A source in the course of being weighed.
struct Jury<'a> {
    policy: &'a Policy,
    sources: &'a Sources,
    /// Places of the sources that count, the one that the policy hears first at the front.
    heard: Vec<usize>,
    /// Whether what a source says of the person's activity is shown; by place.
    activity_won: Vec<bool>,
    verdicts: Vec<Verdict>,
}

impl<'a> Jury<'a> {
    fn new(policy: &'a Policy, sources: &'a Sources) -> Self {
        let count = sources.all.len();
        let verdict = |source| Verdict { source, won: true, because: String::new() };
        let mut jury = Self {
            policy,
            sources,
            heard: (0..count).collect(),
            activity_won: vec![true; count],
            verdicts: (0..count).map(verdict).collect(),
        };
        let mut heard = std::mem::take(&mut jury.heard);
        heard.sort_by_key(|place| jury.precedence(*place));
        jury.heard = heard;
        jury
    }

    fn source(&self, place: usize) -> &'a Source {
        &self.sources.all[place]
    }

    /// Less is heard first.
    fn precedence(&self, place: usize) -> (bool, u8, usize, Reverse<UnixTime>, SourceKind, u64, &'a str) {
        let source = self.source(place);
        // Why: what was written down for when nobody speaks is no news, however lately it was written.
        let last = is_default(source) && self.policy.base != Base::Priority;
        let rank = self.policy.rank(source.kind).unwrap_or(usize::MAX);
        let (cost, rank) = match self.policy.base {
            Base::Union => (0, usize::from(source.kind != SourceKind::Manual)),
            Base::Latest => (0, 0),
            Base::Priority => (0, rank),
            Base::MostAvailable => (activity(source).map_or(u8::MAX, |said| cost(&said)), rank),
        };
        (last, cost, rank, Reverse(source.since), source.kind, source.tie, &source.name)
    }

    fn lose(&mut self, place: usize, because: String) {
        if let Some(verdict) = self.verdicts.get_mut(place) {
            (verdict.won, verdict.because) = (false, because);
        }
        if let Some(won) = self.activity_won.get_mut(place) {
            *won = false;
        }
    }

    fn win(&mut self, place: usize, because: &str) {
        if let Some(verdict) = self.verdicts.get_mut(place).filter(|verdict| verdict.won) {
            because.clone_into(&mut verdict.because);
        }
    }

    /// Leaves out what the policy does not hear at all.
    fn leave_out(&mut self) {
        for place in self.heard.clone() {
            let source = self.source(place);
            if self.policy.rank(source.kind).is_none() {
                self.lose(place, format!("policy {} does not hear {}", self.policy.name, source.kind.name()));
            } else if source.stale {
                let fresh = self.policy.fresh.unwrap_or_default().as_secs();
                self.lose(place, format!("not changed for {fresh} seconds"));
            }
        }
        self.keep_winners();
        // Whoever says to be offline is: nobody else is heard.
        let offline = |place: &usize| matches!(&self.source(*place).says, Says::Status(said) if said.status == Status::Offline);
        if let Some(first) = self.heard.iter().copied().find(offline) {
            for place in self.heard.clone().into_iter().filter(|place| *place != first) {
                self.lose(place, format!("{} is offline by hand", self.source(first).name));
            }
            self.keep_winners();
        }
    }

    fn keep_winners(&mut self) {
        let verdicts = &self.verdicts;
        self.heard.retain(|place| verdicts.get(*place).is_some_and(|verdict| verdict.won));
    }

    /// Lets overriding kinds silence the others about the person.
    fn silence(&mut self) {
        let overrides = |place: &usize| {
            let source = self.source(*place);
            self.policy.overriding.contains(&source.kind) && activity(source).is_some()
        };
        let Some(first) = self.heard.iter().copied().find(overrides) else { return };
        let by = &self.source(first).name;
        for place in self.heard.clone() {
            if !self.policy.overriding.contains(&self.source(place).kind)
                && activity(self.source(place)).is_some()
            {
                self.lose(place, format!("overridden by {by}"));
            }
        }
    }

    fn wants_no_calls(&self) -> bool {
        self.heard.iter().any(|place| is_dnd(self.source(*place)))
    }

    /// Decides whose word on the activity is shown.
    fn weigh(&mut self) {
        if self.policy.dnd_beats_all && self.wants_no_calls() {
            for place in self.heard.clone() {
                if !is_dnd(self.source(place)) && self.speaks(place) {
                    self.lose(place, "do not disturb beats all".to_owned());
                }
            }
        }
        let in_call =
            |jury: &Self, place: usize| jury.speaks(place) && jury.source(place).kind == SourceKind::Calls;
        let call = self.heard.iter().copied().find(|place| in_call(self, *place));
        if let Some(call) = call.filter(|_| self.policy.call_beats_away) {
            for place in self.heard.clone() {
                let away =
                    activity(self.source(place)).is_some_and(|said| said.iter().any(|a| AWAY.contains(a)));
                if away && self.speaks(place) {
                    self.lose(place, format!("in a call on {}, so not away", self.source(call).name));
                }
            }
        }
        // Why: do not disturb is laid over the rest; a union hears calls beside what people say.
        let beside = |jury: &Self, place: usize| {
            jury.source(place).says == Says::DoNotDisturb
                || jury.policy.base == Base::Union && jury.source(place).kind == SourceKind::Calls
        };
        let winner = self.heard.iter().copied().find(|place| self.speaks(*place) && !beside(self, *place));
        let why = match self.policy.base {
            _ if self.policy.dnd_beats_all && winner.is_some_and(|winner| is_dnd(self.source(winner))) => {
                "do not disturb beats all"
            }
            Base::Union => "first to be heard; calls stand beside it",
            Base::Latest => "spoke last",
            Base::Priority => "stands first in the order of kinds",
            Base::MostAvailable => "leaves the person most available",
        };
        let calls_win = winner.is_some_and(|winner| self.source(winner).kind == SourceKind::Calls);
        let standing = |place: &usize| self.verdicts.get(*place).is_some_and(|verdict| verdict.won);
        let standing: Vec<_> = self.heard.iter().copied().filter(standing).collect();
        for place in standing {
            match winner {
                _ if beside(self, place) && self.source(place).kind == SourceKind::Calls => {
                    self.win(place, "calls stand beside what people say");
                }
                _ if self.source(place).says == Says::DoNotDisturb => self.win(place, "laid over the rest"),
                Some(winner) if winner == place => self.win(place, why),
                // Why: the calls of several devices are one lamp.
                Some(_) if calls_win && self.source(place).kind == SourceKind::Calls => self.win(place, why),
                Some(winner) if activity(self.source(place)).is_some() => {
                    let because = format!("{} {why}", self.source(winner).name);
                    match &self.source(place).says {
                        Says::Document(document) if !document.tuples.is_empty() => {
                            self.win(place, &format!("its services only: {because}"));
                        }
                        _ => self.lose(place, because),
                    }
                    // Why: a union shows what services say of themselves, except against a person's own word.
                    let by_hand = matches!(self.source(winner).says, Says::Status(_));
                    let is_default = is_default(self.source(place));
                    self.activity_won[place] = self.policy.base == Base::Union && !by_hand && !is_default;
                }
                _ => self.win(place, "says nothing of the person that another says"),
            }
        }
    }

    /// Whether what a source says of the activity is still in the running.
    fn speaks(&self, place: usize) -> bool {
        self.activity_won.get(place) == Some(&true) && activity(self.source(place)).is_some()
    }

    /// What is shown.
    fn presence(&mut self) -> Presence {
        let lamp = self.lamp();
        let mut documents: Vec<(usize, Arc<PresenceDocument>)> = Vec::new();
        for place in self.heard.iter().copied() {
            let silent = !self.activity_won[place];
            let document = match &self.source(place).says {
                Says::Document(document) if is_default(self.source(place)) => {
                    Arc::new(self.default_left(document, silent))
                }
                Says::Document(document) if silent => Arc::new(without_activity(document)),
                Says::Document(document) => Arc::clone(document),
                Says::Status(said) if !silent => Arc::new(said.document()),
                _ => continue,
            };
            documents.push((place, document));
        }
        // Why: the winner's other words, such as a note, go with its activity.
        let defaults = |place: usize| is_default(self.source(place));
        documents.sort_by_key(|(place, _)| (defaults(*place), !self.activity_won[*place]));
        let open_lamp = lamp.as_ref().map(|lamp| !is_closed(lamp.extension));
        let open_of = |default: bool| {
            let documents = documents.iter().filter(move |(place, _)| defaults(*place) == default);
            documents.filter_map(|(_, document)| document.is_open())
        };
        let mut said: Vec<bool> = open_of(false).chain(open_lamp).collect();
        if said.is_empty() {
            said.extend(open_of(true));
        }
        let open = match (self.policy.any_closed, self.policy.base) {
            _ if said.is_empty() => None,
            (true, _) => Some(said.iter().all(|open| *open)),
            (false, Base::MostAvailable) => Some(said.iter().any(|open| *open)),
            (false, _) => None,
        };
        let (lamp, documents) = match (self.policy.any_closed, open) {
            (true, Some(false)) => all_closed(lamp, documents),
            _ => (lamp, documents),
        };
        let newest = |is_device: bool| {
            let of = |place: &&usize| matches!(self.source(**place).says, Says::Device(_)) == is_device;
            self.heard.iter().filter(of).map(|place| self.source(*place).since).max()
        };
        let in_call = lamp.as_ref().is_some_and(|lamp| lamp.extension.is_in_call());
        let published_open = documents.iter().any(|(_, document)| document.is_open() == Some(true));
        let only_default_services =
            documents.iter().all(|(place, document)| defaults(*place) || document.tuples.is_empty());
        let lamp_first = in_call
            || only_default_services && documents.iter().any(|(place, _)| defaults(*place))
            || self.policy.active_first && newest(true) > newest(false)
            || self.policy.base == Base::MostAvailable && open_lamp == Some(true) && !published_open;
        Presence {
            do_not_disturb: self.wants_no_calls() && !self.is_offline(),
            lamp,
            published: documents.into_iter().map(|(_, document)| document).collect(),
            open,
            lamp_first,
        }
    }

    /// What a document of hard state still has to say: of services and devices that nobody else speaks of; of the person,
    /// where another speaks, what is not of the moment.
    fn default_left(&self, document: &PresenceDocument, silent: bool) -> PresenceDocument {
        let others = || {
            let others =
                self.heard.iter().map(|place| self.source(*place)).filter(|source| !is_default(source));
            others.filter_map(|source| match &source.says {
                Says::Document(document) => Some(document),
                _ => None,
            })
        };
        let mut left = document.clone();
        left.tuples.retain(|own| !others().flat_map(|other| &other.tuples).any(|tuple| tuple.id == own.id));
        left.devices.retain(|own| {
            let mut spoken_of = others().flat_map(|other| &other.devices);
            !spoken_of.any(|device| !own.device_id.is_empty() && device.device_id == own.device_id)
        });
        if silent {
            left.notes.clear();
            for person in &mut left.persons {
                (person.rpid, person.notes) = (Rpid::default(), Vec::new());
            }
        }
        left
    }

    fn is_offline(&self) -> bool {
        self.heard.iter().any(
            |place| matches!(&self.source(*place).says, Says::Status(said) if said.status == Status::Offline),
        )
    }

    /// The lamp: of each device what it says with its calls where those won, else without them.
    fn lamp(&mut self) -> Option<LampState> {
        if self.is_offline() {
            return Some(LampState::of(ExtensionState::Unavailable));
        }
        let mut devices: BTreeMap<&str, (bool, usize, DeviceState)> = BTreeMap::new();
        for place in self.heard.iter().copied() {
            let source = self.source(place);
            let Says::Device(state) = source.says else { continue };
            let has_calls = source.kind == SourceKind::Calls;
            if has_calls && !self.activity_won[place] {
                continue;
            }
            let known = devices.get(source.name.as_str());
            if known.is_none_or(|(calls, ..)| has_calls && !calls) {
                devices.insert(&source.name, (has_calls, place, state));
            }
        }
        let presence = self.policy.rank(SourceKind::Manual).and(self.sources.said.clone());
        if devices.is_empty() {
            let bare = self.sources.bare?;
            return Some(LampState { presence, ..LampState::of(bare) });
        }
        let states = || devices.values().map(|(.., state)| *state);
        let all_unavailable = states().all(|state| state == DeviceState::Unavailable);
        let extension = aggregate(states()).extension();
        for place in self.heard.clone() {
            let Says::Device(state) = self.source(place).says else { continue };
            let counts = devices.values().any(|(_, known, _)| *known == place);
            if !counts && self.source(place).kind == SourceKind::Registration {
                self.lose(place, "the device has a call".to_owned());
            } else if counts && self.source(place).kind == SourceKind::Registration {
                let shown = state.extension() == extension;
                if shown {
                    self.win(place, "is what the lamp shows")
                } else {
                    self.lose(place, "another device beats it".to_owned())
                }
            }
        }
        Some(LampState { extension, all_unavailable, presence, caller: None })
    }
}

/// What a source says the person is doing; `None` where it does not say.
fn activity(source: &Source) -> Option<Vec<Activity>> {
    match &source.says {
        Says::Device(state) => {
            let in_call = source.kind == SourceKind::Calls && state.extension().is_in_call();
            in_call.then(|| vec![Activity::OnThePhone])
        }
        // Why: a basic status of `inuse` says what an activity would.
        Says::Document(document) if document.is_only_in_use() => Some(vec![Activity::Busy]),
        Says::Document(document) => document.activities().map(<[Activity]>::to_vec),
        Says::Status(said) => match said.status {
            Status::Available => Some(Vec::new()),
            Status::DoNotDisturb => Some(vec![Activity::Busy]),
            Status::Doing(activity) => Some(vec![activity]),
            Status::Offline => None,
        },
        Says::DoNotDisturb => Some(vec![Activity::Busy]),
    }
}

/// Whether it is hard state: what holds while nobody else says otherwise.
fn is_default(source: &Source) -> bool {
    source.kind == SourceKind::Document
}

fn is_dnd(source: &Source) -> bool {
    match &source.says {
        Says::DoNotDisturb => true,
        Says::Status(said) => said.status == Status::DoNotDisturb,
        Says::Device(_) | Says::Document(_) => false,
    }
}

fn is_closed(lamp: ExtensionState) -> bool {
    matches!(lamp, ExtensionState::Unavailable | ExtensionState::Removed)
}

/// The lamp and the documents of somebody whom one closed device closes; a call still shows.
fn all_closed(
    lamp: Option<LampState>,
    mut documents: Vec<(usize, Arc<PresenceDocument>)>,
) -> (Option<LampState>, Vec<(usize, Arc<PresenceDocument>)>) {
    for (_, document) in &mut documents {
        Arc::make_mut(document).tuples.iter_mut().for_each(|tuple| tuple.basic = Some(Basic::Closed));
    }
    let closed = lamp.map(|lamp| match lamp.extension.is_in_call() {
        true => lamp,
        false => LampState { extension: ExtensionState::Unavailable, ..lamp },
    });
    (closed, documents)
}

/// A document that leaves the person's activity to others.
fn without_activity(document: &PresenceDocument) -> PresenceDocument {
    let mut document = document.clone();
    let persons = document.persons.iter_mut().map(|person| &mut person.rpid);
    for rpid in persons.chain(document.tuples.iter_mut().map(|tuple| &mut tuple.rpid)) {
        rpid.activities = None;
    }
    for tuple in document.tuples.iter_mut().filter(|tuple| tuple.basic == Some(Basic::InUse)) {
        tuple.basic = Some(Basic::Open);
    }
    document
}

impl Source {
    /// What it says, in a few words.
    pub fn summary(&self) -> String {
        match &self.says {
            Says::Device(state) => state.name().to_owned(),
            Says::Status(said) if said.note.is_empty() => said.status.name().to_owned(),
            Says::Status(said) => format!("{}, {:?}", said.status.name(), said.note),
            Says::DoNotDisturb => "do not disturb".to_owned(),
            Says::Document(document) => document.in_words(),
        }
    }
}

#[cfg(test)]
mod tests;
