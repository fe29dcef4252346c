//! Presence documents from publisher to watcher: read, composed, written and read again without losing what they say.

// Why: a failed read is told by panicking, here outside test functions too.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use lampyris_core::body::attribute::Attribute;
use lampyris_core::body::cpim_pidf::CpimPidf;
use lampyris_core::body::foreign::Foreign;
use lampyris_core::body::pidf::Pidf;
use lampyris_core::body::presence_document::{Basic, PresenceDocument};
use lampyris_core::body::rpid::{Activity, Mood, PlaceType, Token, Values};
use lampyris_core::body::xml::{Document, Element, canonical};
use lampyris_core::body::xpidf::Xpidf;
use lampyris_core::body::{HoleValues, Style, Variant};
use lampyris_core::composition::extension::{LampState, Presence};
use lampyris_core::device_state::ExtensionState;
use proptest::prelude::*;

fn fixture(path: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path);
    std::fs::read(path).unwrap()
}

/// What a watcher is sent of `documents`, beside the lamp of `lamp`.
fn composed(documents: &[PresenceDocument], lamp: Option<ExtensionState>) -> String {
    let published = documents.iter().cloned().map(Arc::new).collect();
    let presence = Presence { lamp: lamp.map(LampState::of), published, ..Presence::default() };
    let body = Pidf::encode(&presence, "6001", Style::of(Variant::Rfc));
    let values = HoleValues { entity: "sip:6001@example.com", ..HoleValues::default() };
    String::from_utf8(body.fill(&values)).unwrap()
}

#[test]
fn every_presence_fixture_is_read_composed_and_read_again() {
    for part in ["publications", "documents", "presence"] {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(part);
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let Ok(document) = Pidf::decode(&std::fs::read(&path).unwrap()) else { continue };
            let shown = composed(std::slice::from_ref(&document), None);
            let again = Pidf::decode(shown.as_bytes()).unwrap();
            assert_eq!(again.is_open(), document.is_open(), "{path:?}");
            assert_eq!(again.first_note(), document.first_note(), "{path:?}");
            assert_eq!(again.tuples.len(), document.tuples.len(), "{path:?}");
            assert_eq!(unknown(&again), unknown(&document), "{path:?}");
            let stored = Pidf::encode_document(&document).fill(&HoleValues::default());
            let stored = Pidf::decode(&stored).unwrap();
            assert_eq!(unknown(&stored), unknown(&document), "{path:?}");
            assert_eq!(stored.persons.len(), document.persons.len());
        }
    }
}

/// Every kept element of a document in a form that can be compared, sorted.
fn unknown(document: &PresenceDocument) -> Vec<String> {
    let tuples = document.tuples.iter().flat_map(|tuple| {
        let timed = tuple.timed.iter().flat_map(|timed| &timed.foreign);
        tuple.foreign.iter().chain(&tuple.status_foreign).chain(timed)
    });
    let others = document.persons.iter().map(|person| &person.foreign);
    let others =
        others.chain(document.devices.iter().map(|device| &device.foreign)).chain([&document.foreign]);
    let mut all: Vec<_> = tuples.chain(others.flatten()).map(Foreign::xml).map(canonical).collect();
    all.sort();
    all
}

#[test]
fn what_phones_put_beside_pidf_reaches_the_watchers_as_it_came() {
    let document = Pidf::decode(&fixture("presence/extensions.xml")).unwrap();
    let tuple = &document.tuples[0];
    let names = |list: &[Foreign]| list.iter().map(|kept| kept.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&tuple.status_foreign), ["geopriv"]);
    assert_eq!(names(&tuple.foreign), ["servcaps", "phonestate"]);
    assert!(tuple.status_foreign[0].is_location() && !tuple.foreign[0].is_location());
    let person = &document.persons[0];
    assert_eq!(names(&person.foreign), ["activities", "geopriv", "agent"]);
    let cipid = person.cipid.as_ref().unwrap();
    assert_eq!(cipid.homepage.as_deref(), Some("http://example.com/~someone"));
    let shown: Vec<_> = cipid.display_names.iter().map(|n| (n.lang.as_deref(), n.text.as_str())).collect();
    assert_eq!(shown, [(None, "Someone"), (Some("de"), "Jemand")]);
    assert_eq!(names(&document.devices[0].foreign), ["devcaps"]);

    let shown = composed(std::slice::from_ref(&document), Some(ExtensionState::Idle));
    for kept in ["servcaps", "devcaps", "phonestate", "geopriv", "agent"] {
        assert!(shown.contains(&format!("<{kept} ")), "{kept} is missing: {shown}");
    }
    let again = Pidf::decode(shown.as_bytes()).unwrap();
    assert_eq!(unknown(&again), unknown(&document));
    assert_eq!(again.persons[0].cipid, person.cipid);
    assert_eq!(again.tuples[0].timed, tuple.timed);

    let digium = Pidf::decode(&fixture("presence/digium.xml")).unwrap();
    let shown = composed(&[digium], None);
    let kept = "<digium_presence xmlns=\"urn:ietf:params:xml:ns:pidf\" type=\"away\" subtype=\"lunch\">back &amp; soon<";
    assert!(shown.contains(kept), "{shown}");
}

#[test]
fn every_activity_mood_and_place_comes_through() {
    fn words<T: Token>() -> String {
        T::ALL.iter().map(|word| format!("<r:{}/>", word.name())).collect()
    }
    let body = format!(
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' \
         xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' xmlns:l='urn:ietf:params:xml:ns:location-type' entity='sip:a@b'>\
         <d:person id='p'><r:activities from='2026-01-01T00:00:00Z' until='2026-01-02T00:00:00Z'>{}\
         <r:other xml:lang='en'>climbing</r:other></r:activities><r:mood>{}<r:other>so so</r:other></r:mood>\
         <r:place-type until='2026-01-02T00:00:00Z'><l:library/></r:place-type></d:person></presence>",
        words::<Activity>(),
        words::<Mood>(),
    );
    let document = Pidf::decode(body.as_bytes()).unwrap();
    let again = Pidf::decode(composed(std::slice::from_ref(&document), None).as_bytes()).unwrap();
    let (said, heard) = (&document.persons[0].rpid, &again.persons[0].rpid);
    let activities = |values: &Option<Box<Values<Activity>>>| values.as_ref().unwrap().known.len();
    // Why one less: `unknown` beside known words says nothing, and the schema forbids it.
    assert_eq!(activities(&heard.activities), activities(&said.activities) - 1);
    assert_eq!(heard.mood.as_ref().unwrap().known.len(), Mood::ALL.len() - 1);
    let (said, heard) = (said.activities.as_ref().unwrap(), heard.activities.as_ref().unwrap());
    assert_eq!((&heard.other, &heard.from, &heard.until), (&said.other, &said.from, &said.until));
    let place: &Values<PlaceType> = again.persons[0].rpid.place_type.as_ref().unwrap();
    assert_eq!((place.foreign[0].name(), place.until.is_some()), ("library", true));
}

#[test]
fn xpidf_and_its_cpim_name_are_read() {
    for part in ["xpidf", "cpim-pidf"] {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let directory = directory.join("tests/fixtures/asterisk-hints").join(part);
        let mut read = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let Some(at) = bytes.windows(5).position(|w| w == b"<?xml") else { continue };
            let body = bytes.get(at..).unwrap_or_default();
            let document = Xpidf::decode(body).unwrap();
            assert_eq!(CpimPidf::decode(body).unwrap(), document);
            let text = String::from_utf8_lossy(body).into_owned();
            let basic = ["open", "inuse", "closed"]
                .into_iter()
                .find(|word| text.contains(&format!("status=\"{word}\"")));
            assert_eq!(document.tuples[0].basic, basic.and_then(Basic::parse), "{path:?}");
            assert!(
                document.entity.starts_with("sip:") && !document.entity.contains(';'),
                "{}",
                document.entity
            );
            let on_the_phone = document.persons.iter().any(|person| {
                person.rpid.activities.as_ref().is_some_and(|said| said.known == [Activity::OnThePhone])
            });
            assert_eq!(on_the_phone, text.contains("onthephone"), "{path:?}");
            read += 1;
        }
        assert!(read > 3);
    }
    assert!(Xpidf::decode(b"<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:a@b'/>").is_err());
}

#[test]
fn in_use_is_open_and_busy() {
    let body = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:a@b'><tuple id='a'><status><basic>inuse</basic>\
                </status></tuple></presence>";
    let document = Pidf::decode(body.as_bytes()).unwrap();
    assert_eq!(document.tuples[0].basic, Some(Basic::InUse));
    let again = Pidf::decode(composed(&[document], None).as_bytes()).unwrap();
    assert_eq!(again.tuples[0].basic, Some(Basic::Open));
    assert_eq!(again.persons[0].rpid.activities.as_ref().unwrap().known, [Activity::Busy]);
}

#[test]
fn an_attribute_that_may_not_stay_goes_and_nothing_else() {
    let full = Pidf::decode(&fixture("presence/extensions.xml")).unwrap();
    let text = |document: &PresenceDocument| composed(std::slice::from_ref(document), None);
    let mut all = full.clone();
    all.retain(&|_| true);
    assert_eq!(all, full);
    for (gone, marks) in [
        (Attribute::Activities, &["activities"][..]),
        (Attribute::Mood, &["mood"]),
        (Attribute::Note, &["note>"]),
        (Attribute::DeviceId, &[]),
        (Attribute::UserInput, &["user-input"]),
        (Attribute::of("urn:ietf:params:xml:ns:pidf:geopriv10", "geopriv"), &["geopriv"]),
        (Attribute::of("urn:ietf:params:xml:ns:pidf:caps", "servcaps"), &["servcaps"]),
        (Attribute::of("urn:ietf:params:xml:ns:pidf:cipid", "icon"), &["<icon"]),
    ] {
        let mut less = full.clone();
        less.retain(&|attribute| attribute != gone);
        assert_ne!(less, full, "{gone:?}");
        let shown = text(&less);
        for mark in marks {
            assert!(text(&full).contains(mark) && !shown.contains(mark), "{mark}: {shown}");
        }
        assert!(shown.contains("phonestate") && shown.contains("<basic>open</basic>"));
    }
    let mut bare = full.clone();
    bare.retain(&|_| false);
    assert!(unknown(&bare).is_empty() && bare.tuples.len() == full.tuples.len());
    assert!(Attribute::KNOWN.iter().all(|known| !matches!(known, Attribute::Unknown { .. })));
}

/// Elements of many namespaces, nested, with attributes and text.
fn element() -> impl Strategy<Value = String> {
    let name = "[a-z][a-z0-9._-]{0,8}";
    let text = "[a-zA-Z0-9<>&\"' \u{e9}]{0,12}";
    let escape = |text: String| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let leaf = (name, 0_u8..6, text.prop_map(escape), text.prop_map(escape)).prop_map(
        |(name, space, value, text)| {
            format!("<e:{name} xmlns:e='urn:ext:{space}' e:a=\"{value}\" b='x'>{text}</e:{name}>")
        },
    );
    leaf.prop_recursive(3, 12, 4, move |inner| {
        (name, 0_u8..6, prop::collection::vec(inner, 0..4)).prop_map(|(name, space, inner)| {
            format!("<{name} xmlns='urn:ext:{space}'>{}</{name}>", inner.concat())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn no_unknown_element_is_lost_from_publisher_to_watcher(
        places in prop::collection::vec(prop::collection::vec(element(), 0..3), 5),
        lamp in prop::option::of(Just(ExtensionState::InUse)),
    ) {
        let [status, tuple, person, device, root] = [0, 1, 2, 3, 4].map(|at: usize| places[at].concat());
        let body = format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' \
             entity='sip:a@b'><tuple id='a'><status><basic>open</basic>{status}</status>{tuple}</tuple>\
             <d:person id='p'>{person}</d:person><d:device id='d'>{device}<d:deviceID>urn:x</d:deviceID></d:device>\
             {root}</presence>"
        );
        let document = Pidf::decode(body.as_bytes()).unwrap();
        let source = Document::parse(body.as_bytes()).unwrap();
        prop_assert_eq!(unknown(&document), extensions(source.root()));
        let shown = composed(&[document], lamp);
        prop_assert_eq!(unknown(&Pidf::decode(shown.as_bytes()).unwrap()), extensions(source.root()));
    }
}

/// The outermost elements of extension namespaces below `root`, as [`unknown`] gives them.
fn extensions(root: Element<'_>) -> Vec<String> {
    fn gather(element: Element<'_>, found: &mut Vec<String>) {
        for child in element.children() {
            if child.namespace().starts_with("urn:ext:") {
                found.push(text(child));
            } else {
                gather(child, found);
            }
        }
    }
    fn text(element: Element<'_>) -> String {
        let mut out = format!("<{{{}}}{}", element.namespace(), element.name());
        let mut attributes: Vec<_> = element.attrs().map(|a| (a.namespace, a.name, a.value)).collect();
        attributes.sort_unstable();
        for (namespace, name, value) in attributes {
            out.push_str(&format!(" {{{namespace}}}{name}={value:?}"));
        }
        out.push_str(">\n");
        for node in element.nodes() {
            match node {
                lampyris_core::body::xml::Node::Element(child) => out.push_str(&text(child)),
                lampyris_core::body::xml::Node::Text(text) => out.push_str(&format!("{:?}\n", text.trim())),
            }
        }
        out.push_str("</>\n");
        out
    }
    let mut found = Vec::new();
    gather(root, &mut found);
    found.sort();
    found
}
