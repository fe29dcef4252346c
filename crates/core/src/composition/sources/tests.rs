//! What each policy makes of the same sources.

use super::*;
use crate::body::presence_document::{Note, Person, Tuple};
use crate::body::rpid::{Rpid, Values};
use proptest::prelude::*;
use std::time::Duration;

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_millis(seconds * 1000)
}

fn source(kind: SourceKind, name: &str, since: u64, says: Says) -> Source {
    Source { kind, name: name.to_owned(), tie: 0, since: at(since), until: None, stale: false, says }
}

fn device(name: &str, since: u64, state: DeviceState) -> Vec<Source> {
    let registration = |state| source(SourceKind::Registration, name, since, Says::Device(state));
    match state.extension().is_in_call() {
        true => vec![
            source(SourceKind::Calls, name, since, Says::Device(state)),
            registration(DeviceState::NotInUse),
        ],
        false => vec![registration(state)],
    }
}

fn published(name: &str, since: u64, basic: Basic, doing: Option<Activity>) -> Source {
    let tuple = Tuple { id: name.to_owned(), basic: Some(basic), ..Tuple::default() };
    let person = Person {
        rpid: Rpid { activities: doing.map(|a| Box::new(Values::of(vec![a]))), ..Rpid::default() },
        ..Person::default()
    };
    let document =
        PresenceDocument { tuples: vec![tuple], persons: vec![person], ..PresenceDocument::default() };
    source(SourceKind::Publication, name, since, Says::Document(Arc::new(document)))
}

fn by_hand(since: u64, status: Status) -> Source {
    let said = ManualStatus { status, note: String::new(), set_at: at(since), until: None };
    source(SourceKind::Manual, "status", since, Says::Status(said))
}

fn sources(all: impl IntoIterator<Item = Source>) -> Sources {
    Sources { all: all.into_iter().collect(), bare: Some(ExtensionState::Unavailable), said: None }
}

/// What watchers see: the lamp, the activity beside it, and whether anything published is open.
fn shown(policy: &Policy, sources: &Sources) -> (ExtensionState, Option<Activity>, Option<bool>) {
    let presence = compose(policy, sources).presence;
    let doing = presence.published.iter().find_map(|document| {
        let mut persons = document.persons.iter();
        persons.find_map(|person| person.rpid.activities.as_ref()?.known.first().copied())
    });
    (presence.lamp.unwrap().extension, doing, presence.open)
}

/// A desk phone in a call since 20, a mobile that published away at 10 and is open, a desk that published busy at 30 and
/// closed.
fn office() -> Vec<Source> {
    let mut all = device("SIP/desk", 20, DeviceState::InUse);
    all.push(published("mobile", 10, Basic::Open, Some(Activity::Away)));
    all.push(published("tablet", 30, Basic::Closed, Some(Activity::Busy)));
    all
}

#[test]
fn the_four_policies_differ_as_their_names_say() {
    use Activity as A;
    use ExtensionState as E;
    let lunch = || by_hand(5, Status::Doing(A::Meal));
    let rows = [
        (Base::Union, vec![], (E::InUse, Some(A::Busy), None)),
        (Base::Union, vec![lunch()], (E::InUse, Some(A::Meal), None)),
        (Base::Union, vec![by_hand(5, Status::Available)], (E::InUse, None, None)),
        (Base::Latest, vec![], (E::Idle, Some(A::Busy), None)),
        (Base::Latest, vec![by_hand(31, Status::Available)], (E::Idle, None, None)),
        (Base::Latest, vec![lunch()], (E::Idle, Some(A::Busy), None)),
        (Base::Priority, vec![], (E::InUse, None, None)),
        (Base::Priority, vec![lunch()], (E::Idle, Some(A::Meal), None)),
        (Base::MostAvailable, vec![], (E::InUse, None, Some(true))),
        (Base::MostAvailable, vec![by_hand(5, Status::Available)], (E::Idle, None, Some(true))),
        (Base::MostAvailable, vec![lunch()], (E::InUse, None, Some(true))),
    ];
    for (base, more, expected) in rows {
        let name = format!("{} {more:?}", base.name());
        assert_eq!(shown(&Policy::of(base), &sources(office().into_iter().chain(more))), expected, "{name}");
    }
}

#[test]
fn each_rule_changes_what_it_names() {
    use Activity as A;
    use ExtensionState as E;
    let with = |change: fn(&mut Policy)| {
        let mut policy = Policy::of(Base::Union);
        change(&mut policy);
        policy
    };
    let away = || by_hand(40, Status::Doing(A::Away));
    let dnd = || source(SourceKind::Manual, "dnd", 40, Says::DoNotDisturb);
    let stale = || Source { stale: true, ..published("tablet", 30, Basic::Closed, Some(A::Busy)) };
    let desk = || device("SIP/desk", 20, DeviceState::InUse);
    let idle = || device("SIP/desk", 20, DeviceState::NotInUse);
    let mobile = || vec![published("mobile", 10, Basic::Closed, None)];
    type Row = (Policy, Vec<Source>, (ExtensionState, Option<Activity>, Option<bool>));
    let rows: Vec<Row> = vec![
        (with(|_| {}), [desk(), vec![away()]].concat(), (E::InUse, Some(A::Away), None)),
        (with(|p| p.call_beats_away = true), [desk(), vec![away()]].concat(), (E::InUse, None, None)),
        (with(|_| {}), [desk(), vec![dnd()]].concat(), (E::InUse, None, None)),
        (with(|p| p.dnd_beats_all = true), [desk(), vec![dnd()]].concat(), (E::Idle, None, None)),
        (with(|p| p.sources.retain(|kind| *kind != SourceKind::Calls)), desk(), (E::Idle, None, None)),
        (
            with(|p| p.fresh = Some(Duration::from_secs(9))),
            [idle(), vec![stale()]].concat(),
            (E::Idle, None, None),
        ),
        (
            with(|p| p.overriding = vec![SourceKind::Manual]),
            [desk(), vec![away()]].concat(),
            (E::Idle, Some(A::Away), None),
        ),
        (with(|p| p.any_closed = true), [idle(), mobile()].concat(), (E::Unavailable, None, Some(false))),
        (with(|p| p.any_closed = true), idle(), (E::Idle, None, Some(true))),
        (with(|_| {}), [desk(), vec![by_hand(1, Status::Offline)]].concat(), (E::Unavailable, None, None)),
    ];
    for (policy, all, expected) in rows {
        assert_eq!(shown(&policy, &sources(all.clone())), expected, "{policy:?} {all:?}");
    }
    let first = |active_first| {
        let policy = Policy { active_first, ..Policy::of(Base::Union) };
        compose(&policy, &sources([idle(), mobile()].concat())).presence.lamp_first
    };
    assert_eq!((first(false), first(true)), (false, true));
}

#[test]
fn winners_and_losers_have_reasons() {
    let policy = Policy { call_beats_away: true, ..Policy::of(Base::Priority) };
    let all = sources(office().into_iter().chain([by_hand(5, Status::Doing(Activity::Away))]));
    let composed = compose(&policy, &all);
    let verdict = |name: &str, kind| {
        let place = all.all.iter().position(|s| s.name == name && s.kind == kind).unwrap();
        (composed.verdicts[place].won, composed.verdicts[place].because.as_str())
    };
    assert_eq!(verdict("SIP/desk", SourceKind::Calls), (true, "stands first in the order of kinds"));
    assert_eq!(verdict("SIP/desk", SourceKind::Registration), (false, "the device has a call"));
    assert_eq!(verdict("status", SourceKind::Manual), (false, "in a call on SIP/desk, so not away"));
    assert_eq!(verdict("mobile", SourceKind::Publication), (false, "in a call on SIP/desk, so not away"));
    let (won, because) = verdict("tablet", SourceKind::Publication);
    assert!(won && because.starts_with("its services only: SIP/desk"), "{because}");
}

/// A document for when nobody speaks: on vacation, with a mailbox that is always open and a desk that is closed.
fn written_down(since: u64) -> Source {
    let tuple = |id: &str, basic| Tuple { id: id.to_owned(), basic: Some(basic), ..Tuple::default() };
    let rpid = Rpid { activities: Some(Box::new(Values::of(vec![Activity::Vacation]))), ..Rpid::default() };
    let person = Person { rpid, notes: vec![Note::of("Back in May")], ..Person::default() };
    let document = PresenceDocument {
        tuples: vec![tuple("mail", Basic::Open), tuple("mobile", Basic::Closed)],
        persons: vec![person],
        ..PresenceDocument::default()
    };
    source(SourceKind::Document, "document", since, Says::Document(Arc::new(document)))
}

#[test]
fn hard_state_holds_while_nobody_else_speaks() {
    let services = |presence: &Presence| {
        let tuples = presence.published.iter().flat_map(|document| &document.tuples);
        tuples.map(|tuple| (tuple.id.clone(), tuple.basic)).collect::<Vec<_>>()
    };
    let notes = |presence: &Presence| {
        let persons = presence.published.iter().flat_map(|document| &document.persons);
        persons.flat_map(|person| person.notes.clone()).collect::<Vec<_>>()
    };
    for base in Base::ALL {
        let policy = Policy::of(base);
        // Alone it is all there is, and phones that read one service read the lamp.
        let alone = sources([written_down(99)]);
        let outcome = compose(&policy, &alone);
        assert!(outcome.verdicts[0].won && outcome.presence.lamp_first, "{base:?}");
        assert_eq!(shown(&policy, &alone).1, Some(Activity::Vacation), "{base:?}");
        assert_eq!(notes(&outcome.presence), [Note::of("Back in May")], "{base:?}");
        // Who publishes is heard, though the document was written later; the mailbox stays open beside it.
        let mobile = published("mobile", 10, Basic::Open, Some(Activity::Meeting));
        let both = sources([written_down(99), mobile]);
        let outcome = compose(&policy, &both);
        assert_eq!(shown(&policy, &both).1, Some(Activity::Meeting), "{base:?}");
        let open = Some(Basic::Open);
        let expected = [("mobile".to_owned(), open), ("mail".to_owned(), open)];
        assert_eq!(
            (services(&outcome.presence), notes(&outcome.presence)),
            (expected.into(), vec![]),
            "{base:?}"
        );
        assert!(
            outcome.verdicts[0].because.starts_with("its services only: mobile"),
            "{:?}",
            outcome.verdicts
        );
        // A status by hand is heard before it too.
        let said = sources([written_down(99), by_hand(1, Status::Available)]);
        assert_eq!(shown(&policy, &said).1, None, "{base:?}");
    }
    // Its open mailbox does not open a person whose phones are off.
    let off = || device("SIP/desk", 20, DeviceState::Unavailable);
    let all = sources(off().into_iter().chain([written_down(99)]));
    assert_eq!(shown(&Policy::of(Base::MostAvailable), &all).2, Some(false));
    // A policy may leave it out.
    let mut policy = Policy::of(Base::Union);
    policy.sources.retain(|kind| *kind != SourceKind::Document);
    assert!(!compose(&policy, &sources([written_down(99)])).verdicts[0].won);
}

#[test]
fn notes_of_the_winner_come_first() {
    let mut all = office();
    let note = ManualStatus {
        status: Status::Doing(Activity::Meal),
        note: "Lunch".into(),
        set_at: at(1),
        until: None,
    };
    all.push(source(SourceKind::Manual, "status", 1, Says::Status(note)));
    let presence = compose(&Policy::of(Base::Priority), &sources(all)).presence;
    assert_eq!(presence.published[0].persons[0].notes, [Note::of("Lunch")]);
}

fn any_source() -> impl Strategy<Value = Vec<Source>> {
    let state = prop::sample::select(vec![
        DeviceState::NotInUse,
        DeviceState::InUse,
        DeviceState::Ringing,
        DeviceState::Unavailable,
        DeviceState::Busy,
    ]);
    let doing =
        prop::option::of(prop::sample::select(vec![Activity::Away, Activity::Busy, Activity::Meeting]));
    let status = prop::sample::select(vec![
        Status::Available,
        Status::Offline,
        Status::DoNotDisturb,
        Status::Doing(Activity::Vacation),
    ]);
    prop_oneof![
        (0..4_u8, 0..9_u64, state).prop_map(|(n, since, state)| device(&format!("SIP/{n}"), since, state)),
        (0..4_u8, 0..9_u64, any::<bool>(), doing).prop_map(|(n, since, open, doing)| {
            let basic = if open { Basic::Open } else { Basic::Closed };
            vec![Source { tie: u64::from(n), ..published(&format!("p{n}"), since, basic, doing) }]
        }),
        (0..9_u64, status).prop_map(|(since, status)| vec![by_hand(since, status)]),
    ]
}

/// One of each name, as in the server.
fn distinct(groups: Vec<Vec<Source>>) -> Vec<Source> {
    let mut all: Vec<Source> = Vec::new();
    for group in groups {
        if !all.iter().any(|known| group.iter().any(|next| next.name == known.name)) {
            all.extend(group);
        }
    }
    all
}

proptest! {
    #[test]
    fn the_order_in_which_sources_are_given_does_not_matter(
        groups in prop::collection::vec(any_source(), 0..7),
        base in prop::sample::select(Base::ALL.to_vec()),
        (call_beats_away, dnd_beats_all, any_closed, active_first) in any::<(bool, bool, bool, bool)>(),
        seed in any::<u64>(),
    ) {
        let policy = Policy { call_beats_away, dnd_beats_all, any_closed, active_first, ..Policy::of(base) };
        let given = distinct(groups);
        let mut places: Vec<usize> = (0..given.len()).collect();
        places.sort_by_key(|place| (*place as u64 + 1).wrapping_mul(seed | 1));
        let shuffled: Vec<_> = places.iter().map(|place| given[*place].clone()).collect();
        let (one, other) = (compose(&policy, &sources(given)), compose(&policy, &sources(shuffled)));
        prop_assert_eq!(one.presence, other.presence);
        for (place, verdict) in places.iter().zip(other.verdicts) {
            prop_assert_eq!(&one.verdicts[*place].because, &verdict.because);
        }
    }

    /// When things were said decides only where the policy says so: among one kind, and for `latest`.
    #[test]
    fn arrival_does_not_decide_between_kinds(times in prop::collection::vec(0..99_u64, 3)) {
        for base in [Base::Union, Base::Priority, Base::MostAvailable] {
            let mut all = device("SIP/desk", times[0], DeviceState::InUse);
            all.push(published("mobile", times[1], Basic::Open, Some(Activity::Away)));
            all.push(by_hand(times[2], Status::Doing(Activity::Meeting)));
            let expected = match base {
                Base::MostAvailable => (ExtensionState::InUse, None, Some(true)),
                Base::Priority => (ExtensionState::Idle, Some(Activity::Meeting), None),
                _ => (ExtensionState::InUse, Some(Activity::Meeting), None),
            };
            prop_assert_eq!(shown(&Policy::of(base), &sources(all)), expected);
        }
    }
}
