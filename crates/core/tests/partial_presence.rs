//! Partial presence: what was told and what changed make what is (RFC 5262, RFC 5263), and publishers' changes (RFC 5264).

// Why: a failed read is told by panicking, here outside test functions too.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use lampyris_core::body::HoleValues;
use lampyris_core::body::pidf::Pidf;
use lampyris_core::body::pidf_diff::PidfDiff;
use lampyris_core::body::presence_document::PresenceDocument;
use lampyris_core::body::xml::{Document, canonical};
use lampyris_core::composition::extension::{LampState, Presence};
use lampyris_core::device_state::ExtensionState;
use proptest::prelude::*;

fn filled(presence: &Presence, told: Option<&Presence>, version: u32) -> String {
    let body = PidfDiff::encode(presence, told, "6001");
    let values = HoleValues { version, entity: "sip:6001@example.com;a=\"<&", ..HoleValues::default() };
    let bytes = body.fill(&values);
    assert_eq!(bytes.len(), body.len_with(&values));
    String::from_utf8(bytes).unwrap()
}

fn is_diff(document: &str) -> bool {
    Document::parse(document.as_bytes()).unwrap().root().name() == "pidf-diff"
}

/// What a reader who has `old` has after `update`.
fn read(old: &str, update: &str) -> String {
    let patched =
        PidfDiff::patched(old.as_bytes(), update.as_bytes()).unwrap_or_else(|e| panic!("{e}: {update}"));
    patched.map_or_else(|| update.to_owned(), |bytes| String::from_utf8(bytes).unwrap())
}

/// The document without its version, to be compared.
fn compared(document: &str) -> String {
    let text = canonical(document);
    text.lines().map(|line| line.split(" {}version=").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

fn fixtures() -> Vec<Arc<PresenceDocument>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut paths: Vec<_> = ["publications", "documents", "presence"]
        .iter()
        .flat_map(|part| std::fs::read_dir(directory.join(part)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("digium.xml"))
        .collect();
    paths.sort();
    let read = paths.iter().filter_map(|path| Pidf::decode(&std::fs::read(path).unwrap()).ok());
    read.map(Arc::new).collect()
}

fn states() -> Vec<Presence> {
    let documents = fixtures();
    let mut states = Vec::new();
    for (at, extension) in ExtensionState::ALL.into_iter().enumerate() {
        for some in documents.chunks(2 + at % 2) {
            let lamp = (at % 3 != 2).then(|| LampState::of(extension));
            states.push(Presence {
                lamp,
                published: some.to_vec(),
                do_not_disturb: at % 4 == 1,
                ..Presence::default()
            });
        }
    }
    states
}

#[test]
fn documents_are_valid_and_a_reader_is_never_behind() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schema-pidf-diff");
    std::fs::create_dir_all(&directory).unwrap();
    let states = states();
    let (mut has, mut files, mut partial) = (filled(&states[0], None, 0), Vec::new(), 0);
    assert!(!is_diff(&has) && has.contains(" version=\"1\""));
    for (at, pair) in states.windows(2).enumerate() {
        let [old, new] = pair else { continue };
        let update = filled(new, Some(old), u32::try_from(at).unwrap() + 1);
        let whole = filled(new, None, 1);
        has = read(&has, &update);
        assert_eq!(compared(&has), compared(&whole), "{update}");
        assert!(update.contains(&format!(" version=\"{}\"", at + 2)) && update.len() <= whole.len() + 4);
        partial += usize::from(is_diff(&update));
        for (kind, text) in [("update", &update), ("whole", &whole)] {
            let file = directory.join(format!("{at}-{kind}.xml"));
            std::fs::write(&file, text).unwrap();
            files.push(file);
        }
    }
    assert!(partial > 5, "{partial} of {}", states.len());
    if Command::new("xmllint").arg("--version").output().is_err() {
        println!("SKIPPED {} schema checks: xmllint not installed", files.len());
        return;
    }
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas/presence.xsd");
    for some in files.chunks(200) {
        let run =
            Command::new("xmllint").args(["--nonet", "--noout", "--schema"]).arg(&schema).args(some).output();
        let run = run.unwrap();
        let complaint = String::from_utf8_lossy(&run.stderr);
        let wrong: Vec<_> = complaint.lines().filter(|line| !line.ends_with(" validates")).take(5).collect();
        assert!(run.status.success() && wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn a_small_change_is_a_small_document() {
    let document = fixtures().into_iter().find(|document| document.devices.len() == 1).unwrap();
    let state = |extension| Presence {
        lamp: Some(LampState::of(extension)),
        published: vec![document.clone()],
        ..Presence::default()
    };
    let (idle, away) = (state(ExtensionState::Idle), state(ExtensionState::Unavailable));
    let update = filled(&away, Some(&idle), 1);
    assert!(is_diff(&update) && update.len() * 3 < filled(&away, None, 1).len(), "{update}");
    assert!(
        update.contains("sel=\"*/tuple[@id='ext-6001']/status/basic\"><basic>closed</basic>"),
        "{update}"
    );
}

#[test]
fn the_examples_of_the_rfcs_are_applied() {
    for rfc in ["rfc5263", "rfc5264"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/partial");
        let text = |name: &str| std::fs::read_to_string(directory.join(format!("{rfc}-{name}.xml"))).unwrap();
        let (full, diff) = (text("full"), text("diff"));
        assert!(PidfDiff::decode(full.as_bytes()).is_ok());
        let error = PidfDiff::decode(diff.as_bytes()).unwrap_err();
        assert_eq!(error.reason, "partial publication of nothing");
        let patched = read(&full, &diff);
        let document = PidfDiff::decode(patched.as_bytes()).unwrap();
        assert_ne!(Ok(&document), PidfDiff::decode(full.as_bytes()).as_ref());
        let ids: Vec<_> = document.tuples.iter().map(|tuple| tuple.id.as_str()).collect();
        println!("{rfc}: {ids:?}");
        assert!(ids.contains(&"ert4773"), "{ids:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_two_states_in_a_row(order in prop::collection::vec(0_usize..200, 2..6)) {
        let states = states();
        let pick = |at: usize| &states[at % states.len()];
        let mut has = filled(pick(order[0]), None, 0);
        for pair in order.windows(2) {
            let (old, new) = (pick(pair[0]), pick(pair[1]));
            has = read(&has, &filled(new, Some(old), 1));
            prop_assert_eq!(compared(&has), compared(&filled(new, None, 1)));
        }
    }
}
