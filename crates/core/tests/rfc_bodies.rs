//! The bodies of the RFC variant: valid by the RFCs' schemas, whatever is put into them, and one presence of many words.
//!
//! The schemas' sources are named in `schemas/README.md`; without `xmllint` the validation prints that it was skipped.

// Why: a failed read or a skipped check is told by panicking or printing, here outside test functions too.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use lampyris_core::authz::{Handling, PresRules, edited};
use lampyris_core::body::cipid::Cipid;
use lampyris_core::body::dialog_info::shown::{Reveal, Sight};
use lampyris_core::body::dialog_info::{
    Dialog, DialogInfo, DialogState, Direction, Identity, Participant, Replaces, SessionDescription, Target,
};
use lampyris_core::body::pidf::{self, Pidf};
use lampyris_core::body::presence_document::{
    Basic, Contact, DateTime, Device, Note, Person, PresenceDocument, TimedStatus, Tuple,
};
use lampyris_core::body::reginfo::{self, ContactEvent, Registration};
use lampyris_core::body::rpid::{
    self, Activity, AudioPlace, Mood, PlaceIs, Privacy, Relationship, Rpid, ServiceClass, Sphere, TextPlace,
    TimeOffset, Timed, Token, UserInput, Values, VideoPlace,
};
use lampyris_core::body::watcherinfo::{Status, Watcher, WatcherInfo};
use lampyris_core::body::xml::{Document, canonical};
use lampyris_core::body::{EncodedBody, HoleValues, Style, Variant};
use lampyris_core::body::{cpim_pidf::CpimPidf, xpidf::Xpidf};
use lampyris_core::composition::dialogs::{Dialogs, Source};
use lampyris_core::composition::extension::{LampState, Presence};
use lampyris_core::device_state::{ExtensionState, PresenceState, PresenceValue};
use lampyris_core::settings::Settings;
use lampyris_core::time::UnixTime;

const VALUES: HoleValues<'static> = HoleValues {
    version: 3,
    entity: "sip:6001@example.com",
    watcher: "sip:alice@example.com",
    call_id: "c",
    now: UnixTime::from_millis(1_000_000),
};

/// Text that breaks whatever does not escape it.
const NASTY: [&str; 8] = [
    "6001",
    "a\"b'c<d>e&f",
    "]]>&amp;<!--",
    "\u{0}\u{1}\u{1f}\u{7f}\u{85}",
    "\u{fffe}\u{ffff}\r\n\t",
    "",
    "J\u{fc}rgen \u{1f4de} \u{202e}",
    "-.0 ",
];

fn directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn presence_states() -> Vec<Option<PresenceState>> {
    let message =
        |value| Some(PresenceState { value, subtype: "s<".into(), message: "back & \"soon\"".into() });
    let silent = |value| Some(PresenceState { value, ..PresenceState::default() });
    let all = PresenceValue::ALL.into_iter();
    [None].into_iter().chain(all.clone().map(message)).chain(all.map(silent)).collect()
}

fn captured() -> Vec<Arc<PresenceDocument>> {
    let mut found = Vec::new();
    for part in ["publications", "documents", "presence"] {
        let mut files: Vec<PathBuf> = std::fs::read_dir(directory().join("tests/fixtures").join(part))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let read = files.iter().filter_map(|path| Pidf::decode(&std::fs::read(path).unwrap()).ok());
        found.extend(read.map(Arc::new));
    }
    // Why: what breaks PIDF's schema when it comes does so when it is passed on.
    found.retain(|document: &Arc<PresenceDocument>| {
        let mut kept = document.tuples.iter().flat_map(|tuple| &tuple.status_foreign);
        !kept.any(|element| element.namespace() == pidf::NAMESPACE)
    });
    assert!(found.len() > 20);
    found
}

fn boxed<T>(value: T) -> Option<Box<T>> {
    Some(Box::new(value))
}

/// A document that says everything there is to say.
fn everything() -> PresenceDocument {
    let date = || DateTime::parse("2026-11-21T08:03:48.5Z");
    let note = |text: &str| Note { lang: Some("de-AT".into()), text: text.into() };
    fn all<T: Token>() -> Values<T> {
        Values {
            known: T::ALL.to_vec(),
            notes: vec![Note::of("n")],
            from: DateTime::parse("2026-01-01T00:00:00"),
            ..Values::default()
        }
    }
    let with_other = |mut values: Values<Activity>| {
        values.other = vec![note("rock <climbing>")];
        values
    };
    let kept = "<p xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:a@b'><x:more xmlns:x='urn:x' x:a='1'>t</x:more></p>";
    let kept = Pidf::decode(kept.replace("<p ", "<presence ").replace("</p>", "</presence>").as_bytes());
    let foreign = kept.unwrap().foreign;
    assert_eq!(foreign.len(), 1);
    let cipid = || {
        let uri = |name: &str| Some(format!("http://example.com/{name}?a=1&b"));
        boxed(Cipid {
            card: uri("card"),
            display_names: vec![note("J & S"), Note::of("x")],
            homepage: uri("~a"),
            icon: uri("icon"),
            map: uri("map"),
            sound: uri("sound"),
        })
    };
    let rpid = Rpid {
        activities: boxed(with_other(all())),
        class: Some("class 1".into()),
        mood: boxed(Values { other: vec![note("so & so")], ..all::<Mood>() }),
        place_is: boxed(PlaceIs {
            audio: Some(AudioPlace::Quiet),
            video: Some(VideoPlace::TooBright),
            text: Some(TextPlace::Inappropriate),
            notes: vec![note("p")],
            from: date(),
            until: date(),
        }),
        place_type: boxed(Values { foreign: foreign.clone(), ..Values::default() }),
        privacy: boxed(Values { known: vec![Privacy::Video, Privacy::Audio], ..Values::default() }),
        relationship: boxed(Values { other: vec![note("neighbour")], ..Values::<Relationship>::default() }),
        service_class: boxed(all::<ServiceClass>()),
        sphere: boxed(Values { other: vec![note("x")], ..all::<Sphere>() }),
        status_icon: boxed(Timed { text: "http://example.com/i.png".into(), from: date(), until: None }),
        time_offset: boxed(TimeOffset {
            minutes: -90,
            description: Some("<here>".into()),
            from: None,
            until: date(),
        }),
        user_input: boxed(UserInput { idle: true, idle_threshold_s: Some(600), last_input: date() }),
    };
    PresenceDocument {
        entity: "sip:6001@example.com".into(),
        tuples: vec![Tuple {
            id: "6001".into(),
            basic: Some(Basic::InUse),
            status_foreign: foreign.clone(),
            contact: Some(Contact { uri: "sip:6001@example.com;a=1&b".into(), priority: None }),
            device_id: Some("urn:device:1".into()),
            rpid: rpid.clone(),
            cipid: cipid(),
            timed: vec![TimedStatus {
                from: date().unwrap(),
                until: date(),
                basic: Some(Basic::Closed),
                note: Some(note("later")),
                foreign: foreign.clone(),
            }],
            notes: vec![note("\u{1}note")],
            timestamp: date(),
            foreign: foreign.clone(),
        }],
        persons: vec![Person {
            id: "6001".into(),
            rpid: rpid.clone(),
            cipid: cipid(),
            notes: vec![note("p")],
            timestamp: date(),
            foreign: foreign.clone(),
        }],
        devices: vec![Device {
            id: "6001".into(),
            device_id: "urn:device:1".into(),
            rpid,
            notes: vec![note("d")],
            timestamp: date(),
            foreign: foreign.clone(),
        }],
        notes: vec![note("a"), Note::of("b")],
        foreign,
    }
}

fn presence_bodies() -> Vec<EncodedBody> {
    let style = Style::of(Variant::Rfc);
    let mut bodies = Vec::new();
    for extension in ExtensionState::ALL {
        for presence in presence_states() {
            let lamp = LampState { presence, ..LampState::of(extension) };
            bodies.push(Pidf::encode(&Presence::of_lamp(lamp), "6001", style));
        }
        let lamp = Some(LampState::of(extension));
        for text in NASTY {
            bodies.push(Pidf::encode(
                &Presence { lamp: lamp.clone(), published: Vec::new(), ..Presence::default() },
                text,
                style,
            ));
        }
        for document in captured() {
            let published = vec![document.clone(), document.clone(), Arc::new(everything())];
            bodies.push(Pidf::encode(
                &Presence { lamp: lamp.clone(), published, ..Presence::default() },
                "6001",
                style,
            ));
        }
    }
    for document in captured().into_iter().filter(|document| !document.entity.is_empty()) {
        bodies.push(Pidf::encode_document(&document));
        let presence = Presence { lamp: None, published: vec![document], ..Presence::default() };
        bodies.push(CpimPidf::encode(&presence, "6001", style));
    }
    bodies.push(Pidf::encode_document(&everything()));
    bodies.push(Pidf::encode(&Presence::default(), "6001", style));
    bodies.push(Pidf::encode(&Presence { do_not_disturb: true, ..Presence::default() }, "6001", style));
    bodies
}

fn dialog_bodies() -> Vec<EncodedBody> {
    let mut bodies = Vec::new();
    for extension in ExtensionState::ALL {
        for text in NASTY {
            for pickup in [false, true] {
                let style = Style { pickup, ..Style::of(Variant::Rfc) };
                bodies.push(DialogInfo::encode_lamp(&LampState::of(extension), text, style));
            }
        }
    }
    let side = |text: &str| Participant {
        identity: Some(Identity { display_name: Some(text.into()), uri: "sip:a@b".into() }),
        target: Some(Target { uri: text.into(), params: vec![("+sip.rendering".into(), "no".into())] }),
        session: Some(SessionDescription { content_type: "application/sdp".into(), text: text.into() }),
        cseq: Some(7),
        foreign: Vec::new(),
    };
    for text in NASTY {
        let dialog = Dialog {
            id: text.into(),
            call_id: Some(text.into()),
            local_tag: Some(text.into()),
            remote_tag: Some(text.into()),
            direction: Some(Direction::Initiator),
            state: DialogState::Proceeding,
            event: None,
            code: Some(180),
            duration_s: Some(1),
            replaces: Some(Replaces {
                call_id: text.into(),
                local_tag: text.into(),
                remote_tag: text.into(),
            }),
            referred_by: Some(Identity { display_name: Some(text.into()), uri: "sip:r@b".into() }),
            route_set: vec![text.into(), "<sip:p;lr>".into()],
            local: side(text),
            remote: side(text),
            foreign: everything().foreign,
        };
        bodies.extend(shown(&dialog, text));
        bodies.push(DialogInfo { partial: true, dialogs: vec![dialog], ..DialogInfo::default() }.encode());
    }
    bodies
}

fn registration_bodies() -> Vec<EncodedBody> {
    let contact = |id: usize, event, text: &str| reginfo::Contact {
        id: id as u64,
        event,
        uri: "sip:bob@192.0.2.2:5070;transport=tcp;a=b&c".into(),
        expires_at: UnixTime::from_millis(999_000 + 1000 * id as u64),
        q: id.is_multiple_of(2).then(|| text.into()),
        call_id: text.into(),
        cseq: u32::MAX,
        params: vec![(text.into(), text.into()), ("+sip.instance".into(), "\"<urn:uuid:1>\"".into())],
        public_gruu: id.is_multiple_of(2).then(|| "sip:bob@example.com;gr=urn:uuid:1".into()),
        temporary_gruu: id.is_multiple_of(3).then(|| ("sip:tgruu.a-_@example.com;gr".into(), u32::MAX)),
    };
    let mut bodies = vec![Registration { aor: "sip:bob@example.com".into(), contacts: Vec::new() }];
    for text in NASTY {
        let contacts = ContactEvent::ALL.into_iter().enumerate();
        let contacts = contacts.map(|(id, event)| contact(id, event, text)).collect();
        bodies.push(Registration { aor: "sip:bob@example.com".into(), contacts });
    }
    bodies.iter().map(Registration::encode).collect()
}

/// What watchers of every class are shown of a call while it lives and when it has ended.
fn shown(dialog: &Dialog, name: &str) -> Vec<EncodedBody> {
    let source = |restricted| Source {
        restricted,
        began_at: Some(UnixTime::from_millis(0)),
        rendering: Some(restricted),
        ..Source::published(
            &Dialog { state: DialogState::Confirmed, ..dialog.clone() },
            UnixTime::from_millis(0),
        )
    };
    let lamp = LampState::of(ExtensionState::InUseRinging);
    let mut bodies = Vec::new();
    for restricted in [false, true] {
        let live = Dialogs::compose(lamp.clone(), name, (vec![source(restricted)], Vec::new()), None);
        let gone = LampState::of(ExtensionState::Unavailable);
        let ended = Dialogs::compose(gone, name, (Vec::new(), Vec::new()), Some(&live));
        for dialogs in [&live, &ended] {
            for reveal in [Reveal::State, Reveal::Party, Reveal::Own] {
                for (told, partial) in
                    [(None, false), (Some(live.revision), false), (Some(live.revision), true)]
                {
                    let sight = Sight { reveal, told, partial, only: None, sessions: partial };
                    let style = Style { offline_presence: true, ..Style::of(Variant::Rfc) };
                    bodies.push(DialogInfo::encode_shown(dialogs, name, style, &sight));
                }
            }
        }
    }
    bodies
}

fn validate(schema: &str, bodies: &[EncodedBody]) {
    validate_texts(schema, &bodies.iter().map(|body| body.fill(&VALUES)).collect::<Vec<_>>());
}

fn validate_texts(schema: &str, texts: &[impl AsRef<[u8]>]) {
    if Command::new("xmllint").arg("--version").output().is_err() {
        println!("SKIPPED {} schema checks: xmllint not installed", texts.len());
        return;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("schema-{schema}"));
    std::fs::create_dir_all(&target).unwrap();
    let files = texts.iter().enumerate().map(|(at, text)| {
        let file = target.join(format!("{at}.xml"));
        std::fs::write(&file, text).unwrap();
        file
    });
    let files: Vec<_> = files.collect();
    let schema = directory().join("tests/schemas").join(schema);
    for some in files.chunks(200) {
        let run =
            Command::new("xmllint").args(["--nonet", "--noout", "--schema"]).arg(&schema).args(some).output();
        let run = run.unwrap();
        let complaint = String::from_utf8_lossy(&run.stderr);
        let wrong: Vec<_> = complaint.lines().filter(|line| !line.ends_with(" validates")).take(5).collect();
        assert!(run.status.success() && wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(complaint.lines().count(), some.len());
    }
}

#[test]
fn presence_documents_are_valid() {
    validate("presence.xsd", &presence_bodies());
}

#[test]
fn dialog_documents_are_valid() {
    validate("dialog-info.xsd", &dialog_bodies());
}

#[test]
fn registration_documents_are_valid() {
    validate("registration.xsd", &registration_bodies());
}

#[test]
fn a_document_with_everything_loses_nothing_the_schema_allows() {
    let (written, said) = (Pidf::encode_document(&everything()).fill(&VALUES), everything());
    let read = Pidf::decode(&written).unwrap();
    let (person, expected) = (&read.persons[0].rpid, &said.persons[0].rpid);
    let without_unknown =
        |known: &[Activity]| known.iter().copied().filter(|a| *a != Activity::Unknown).collect::<Vec<_>>();
    let activities = expected.activities.as_ref().unwrap();
    assert_eq!(person.activities.as_ref().unwrap().known, without_unknown(&activities.known));
    assert_eq!(person.activities.as_ref().unwrap().other, activities.other);
    assert_eq!(person.mood.as_ref().unwrap().known.len(), Mood::ALL.len() - 1);
    assert_eq!(person.privacy.as_ref().unwrap().known, [Privacy::Audio, Privacy::Video]);
    for (a, b) in
        [(&read.tuples[0].rpid, &said.tuples[0].rpid), (&read.devices[0].rpid, &said.devices[0].rpid)]
    {
        assert_eq!((&a.class, &a.place_is, &a.place_type), (&b.class, &b.place_is, &b.place_type));
        assert_eq!((&a.relationship, &a.status_icon), (&b.relationship, &b.status_icon));
        assert_eq!((&a.time_offset, &a.user_input), (&b.time_offset, &b.user_input));
    }
    assert_eq!((&read.foreign, &read.notes), (&said.foreign, &said.notes));
    assert_eq!(read.tuples[0].status_foreign, said.tuples[0].status_foreign);
    assert_eq!(read.tuples[0].basic, Some(Basic::Open));
    let ids = [&read.tuples[0].id, &read.persons[0].id, &read.devices[0].id];
    assert_eq!(ids, ["t-6001", "p-6001", "d-6001"]);
}

#[test]
fn nothing_a_name_holds_can_break_a_document() {
    let mut count = 0;
    for entity in NASTY {
        let values = HoleValues { entity, watcher: entity, call_id: entity, ..VALUES };
        for variant in Variant::ALL {
            for extension in NASTY {
                let message = extension.to_owned();
                let presence =
                    Some(PresenceState { value: PresenceValue::Away, subtype: message.clone(), message });
                let lamp = LampState { presence, ..LampState::of(ExtensionState::Ringing) };
                let presence = Presence {
                    lamp: Some(lamp.clone()),
                    published: vec![Arc::new(everything())],
                    ..Presence::default()
                };
                let style = Style { digium: true, pickup: true, ..Style::of(variant) };
                let bodies = [
                    Pidf::encode(&presence, extension, style),
                    Xpidf::encode(&presence, extension, style),
                    CpimPidf::encode(&presence, extension, style),
                    DialogInfo::encode_lamp(&lamp, extension, style),
                ];
                for body in bodies {
                    let bytes = body.fill(&values);
                    let document = Document::parse(&bytes).unwrap();
                    let shown =
                        entity.replace(['\u{0}', '\u{1}', '\u{1f}', '\u{fffe}', '\u{ffff}'], "\u{fffd}");
                    let root = document.root();
                    if let Some(read) = root.attr("entity") {
                        assert_eq!(read, shown, "{variant:?}");
                    }
                    assert_eq!(bytes.len(), body.len_with(&values));
                    count += 1;
                }
            }
        }
    }
    assert_eq!(count, NASTY.len() * Variant::ALL.len() * NASTY.len() * 4);
}

fn rfc(lamp: Option<LampState>, published: Vec<PresenceDocument>) -> PresenceDocument {
    let published = published.into_iter().map(Arc::new).collect();
    let body =
        Pidf::encode(&Presence { lamp, published, ..Presence::default() }, "6001", Style::of(Variant::Rfc));
    Pidf::decode(&body.fill(&VALUES)).unwrap()
}

fn says(activity: Activity, note: &str) -> PresenceDocument {
    let rpid = Rpid { activities: boxed(Values::of(vec![activity])), ..Rpid::default() };
    let person = Person { id: "p".into(), rpid, notes: vec![Note::of(note)], ..Person::default() };
    let tuple = Tuple { id: "t4109".into(), basic: Some(Basic::Open), ..Tuple::default() };
    PresenceDocument { tuples: vec![tuple], persons: vec![person], ..PresenceDocument::default() }
}

#[test]
fn the_lamp_of_each_state_in_the_rfc_variant() {
    use {Activity as A, ExtensionState as E};
    let rows: [(E, &str, &str, &[A]); 7] = [
        (E::Idle, "open", "Ready", &[]),
        (E::InUse, "open", "On the phone", &[A::OnThePhone]),
        (E::Busy, "open", "On the phone", &[A::OnThePhone, A::Busy]),
        (E::Unavailable, "closed", "Unavailable", &[]),
        (E::Ringing, "open", "Ringing", &[A::OnThePhone]),
        (E::InUseRinging, "open", "Ringing", &[A::OnThePhone]),
        (E::Hold, "open", "On hold", &[A::OnThePhone]),
    ];
    for (extension, basic, note, activities) in rows {
        let read = rfc(Some(LampState::of(extension)), Vec::new());
        assert_eq!((read.tuples[0].basic, read.notes[0].text.as_str()), (Basic::parse(basic), note));
        let said =
            read.persons[0].rpid.activities.as_deref().map(|values| values.known.clone()).unwrap_or_default();
        assert_eq!(said, activities, "{extension}");
        assert_eq!((read.entity.as_str(), read.tuples.len()), (VALUES.entity, 1));
        assert_eq!(read.tuples[0].contact.as_ref().unwrap().uri, VALUES.entity);
    }
}

#[test]
fn lamp_and_publications_make_one_person() {
    use {Activity as A, ExtensionState as E};
    let known = |document: &PresenceDocument| document.persons[0].rpid.activities.clone().unwrap().known;
    let (newest, older) = (says(A::Away, "lunch"), says(A::Meeting, "old"));

    let read = rfc(Some(LampState::of(E::InUse)), vec![newest.clone(), older.clone()]);
    assert_eq!((known(&read), read.persons.len()), (vec![A::OnThePhone, A::Away], 1));
    assert_eq!((read.first_note(), read.notes[0].text.as_str()), (Some("lunch"), "On the phone"));
    let ids: Vec<_> = read.tuples.iter().map(|tuple| tuple.id.as_str()).collect();
    assert_eq!(ids, ["ext-6001", "t4109", "t4109-2"]);

    let read = rfc(Some(LampState::of(E::Idle)), vec![newest.clone()]);
    assert_eq!((known(&read), read.notes.len()), (vec![A::Away], 0));

    let read = rfc(Some(LampState::of(E::Unavailable)), vec![newest.clone()]);
    assert_eq!(read.tuples[0].id, "t4109", "what is open stands first");
    assert_eq!(read.is_open(), Some(true));

    let read = rfc(None, vec![older, newest]);
    assert_eq!((known(&read), read.first_note()), (vec![A::Meeting], Some("old")));
    assert!(rfc(None, Vec::new()).tuples.is_empty());
}

#[test]
fn asterisks_variants_show_publications_in_their_own_words() {
    let published = vec![Arc::new(says(Activity::Away, "lunch"))];
    let rows = [
        (ExtensionState::Idle, "lunch", Activity::Away, "open"),
        (ExtensionState::Unavailable, "lunch", Activity::Away, "open"),
        (ExtensionState::InUse, "On the phone", Activity::OnThePhone, "open"),
    ];
    for (extension, note, activity, basic) in rows {
        let lamp = Some(LampState::of(extension));
        let presence = Presence { lamp, published: published.clone(), ..Presence::default() };
        let body = Pidf::encode(&presence, "6001", Style::of(Variant::Pjsip)).fill(&VALUES);
        let read = Pidf::decode(&body).unwrap();
        assert_eq!((read.notes[0].text.as_str(), read.tuples[0].basic), (note, Basic::parse(basic)));
        assert_eq!(read.persons[0].rpid.activities.as_ref().unwrap().known, [activity]);
    }
}

#[test]
fn rfc_dialog_documents_are_as_compact_as_they_can_be() {
    let body =
        DialogInfo::encode_lamp(&LampState::of(ExtensionState::Hold), "6001", Style::default()).fill(&VALUES);
    let expected = "<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='3' state='full' \
         entity='sip:6001@example.com'><dialog id='6001'><state>confirmed</state><local>\
         <target uri='sip:6001@example.com'><param pname='+sip.rendering' pval='no'/></target></local></dialog></dialog-info>";
    assert_eq!(canonical(&String::from_utf8(body.clone()).unwrap()), canonical(expected));
    assert!(body.len() < expected.len() + 50);
    assert!(DialogInfo::decode(&body).unwrap().dialogs[0].is_held());
    assert_eq!((pidf::NAMESPACE, rpid::NAMESPACE).0, "urn:ietf:params:xml:ns:pidf");
}

#[test]
fn do_not_disturb_is_laid_over_and_hides_neither_offline_nor_a_call() {
    let text = |body: EncodedBody| String::from_utf8(body.fill(&VALUES)).unwrap();
    let tuple = |basic| vec![lampyris_core::body::presence_document::Tuple { basic, ..Default::default() }];
    let published =
        |basic| vec![Arc::new(PresenceDocument { tuples: tuple(basic), ..PresenceDocument::default() })];
    use ExtensionState as E;
    let lamp = |state| Some(LampState::of(state));
    let rows = [
        (lamp(E::Idle), Vec::new(), "open", "Do not disturb"),
        (lamp(E::Unavailable), Vec::new(), "closed", "Unavailable"),
        (lamp(E::InUse), Vec::new(), "open", "On the phone"),
        (None, published(Some(Basic::Open)), "open", "Do not disturb"),
        (None, published(Some(Basic::Closed)), "closed", "Unavailable"),
        (lamp(E::Idle), published(Some(Basic::Open)), "open", "Do not disturb"),
    ];
    for (lamp, published, basic, note) in rows {
        let presence = Presence { lamp, published, do_not_disturb: true, ..Presence::default() };
        for variant in [Variant::Rfc, Variant::ChanSip, Variant::Pjsip] {
            let body = text(Pidf::encode(&presence, "6001", Style::of(variant)));
            let is_rfc = variant == Variant::Rfc;
            assert!(body.contains(&format!("<basic>{basic}</basic>")), "{body}");
            // Why: a person who is away by their own publication needs no second word in the RFC's document.
            let silent = is_rfc && presence.lamp.is_none() && basic == "closed";
            assert!(
                silent || body.contains(&format!("<note>{note}</note>")),
                "{variant:?} {presence:?} {body}"
            );
            let busy = body.contains("busy/>");
            assert!(busy || basic == "closed" || note == "On the phone", "{body}");
            assert!(!is_rfc || busy && body.contains("<dm:note>Do not disturb</dm:note>"), "{body}");
        }
        let cisco = text(Pidf::encode(&presence, "6001", Style::of(Variant::Cisco)));
        assert!(cisco.contains("<ce:dnd/>") && cisco.contains(&format!("<basic>{basic}</basic>")), "{cisco}");
        let freeswitch = text(Pidf::encode(&presence, "6001", Style::of(Variant::FreeSwitch)));
        assert_eq!(freeswitch.contains("<dm:note>Busy</dm:note>"), note == "Do not disturb", "{freeswitch}");
        assert!(freeswitch.contains(&format!("<basic>{basic}</basic>")), "{freeswitch}");
        let xpidf = text(Xpidf::encode(&presence, "6001", Style::default()));
        assert_eq!(xpidf.contains("status=\"closed\""), basic == "closed", "{xpidf}");
    }
}

/// Documents about watchers: full and partial, every status and event, with nasty names.
fn watcher_bodies() -> Vec<EncodedBody> {
    let events =
        ["subscribe", "approved", "deactivated", "probation", "rejected", "timeout", "giveup", "noresource"];
    let watchers = Status::ALL.into_iter().flat_map(|status| events.map(|event| (status, event)));
    let watchers = watchers.enumerate().map(|(at, (status, event))| Watcher {
        id: at as u64,
        uri: format!("sip:w%20{at}@example.com"),
        display_name: (at % 2 == 0).then(|| "A <\"b\"> & c".to_owned()),
        status,
        event,
        since: VALUES.now,
        expires_at: (status != Status::Waiting).then_some(VALUES.now),
        changed: 0,
    });
    let all: Vec<_> = watchers.collect();
    let first = WatcherInfo::compose("presence", all.clone(), None, |_| "timeout");
    let some = all.into_iter().step_by(3).collect();
    let second = WatcherInfo::compose("presence", some, Some(&first), |_| "giveup");
    let told = second.base(first.revision);
    vec![
        first.encode(None, true),
        second.encode(told, true),
        second.encode(told, false),
        second.encode(None, true),
    ]
}

#[test]
fn documents_about_watchers_are_valid() {
    validate("watcherinfo.xsd", &watcher_bodies());
}

#[test]
fn rules_written_by_command_are_valid() {
    let mut settings = Settings::empty();
    settings.domains[0].any_user = true;
    let written = |old: Option<&PresRules>, watcher: &str, handling| {
        edited(&settings, old, watcher, Some(handling)).unwrap().unwrap()
    };
    let mut documents = Vec::new();
    let mut rules = None;
    for (at, handling) in Handling::ALL.into_iter().cycle().take(9).enumerate() {
        rules = Some(written(rules.as_ref(), &format!("sip:w{}@localhost", at % 5), handling));
        documents.push(rules.as_ref().map_or_else(String::new, |rules| rules.text().to_owned()));
    }
    // RFC 5025 §6, changed by command.
    let example = include_str!("fixtures/rules/rfc5025-1.xml");
    let read = PresRules::read(example).unwrap();
    documents.push(example.to_owned());
    documents.push(written(Some(&read), "sip:user@example.com", Handling::PoliteBlock).text().to_owned());
    validate_texts("rules.xsd", &documents);
}
