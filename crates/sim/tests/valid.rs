//! Every document that a scenario makes the server send, in a NOTIFY or a PUBLISH, is valid by the RFCs' schema of its type.
//!
//! Without `xmllint` this prints that it was skipped.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

mod settings;

use bytes::Bytes;
use lampyris_sim::scenario::virtual_stage::VirtualStage;
use lampyris_sim::scenario::{parse, run};
use lampyris_sip::{Message, Method, Name, multipart};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Content types and their schemas, beside those of the core's tests.
const SCHEMAS: [(&str, &str); 7] = [
    ("application/pidf+xml", "presence.xsd"),
    ("application/pidf-diff+xml", "presence.xsd"),
    ("application/cpim-pidf+xml", "presence.xsd"),
    ("application/dialog-info+xml", "dialog-info.xsd"),
    ("application/watcherinfo+xml", "watcherinfo.xsd"),
    ("application/reginfo+xml", "registration.xsd"),
    ("application/rlmi+xml", "rlmi.xsd"),
];

/// What else is sent: no XML, or XML that no RFC describes; xpidf's DTD expired with its draft.
const OTHERS: [&str; 5] = [
    "application/json",
    "application/simple-message-summary",
    "application/x-as-feature-event+xml",
    "application/xpidf+xml",
    "message/sipfrag",
];

/// Scenarios where documents are wrong by a schema, since a program that the watcher was made for writes them so, and how.
const AS_OTHERS_WRITE: [(&str, &str); 4] = [
    // chan_sip: the person comes before the tuple.
    ("complaints/26_entity_and_contact_of_the_presentity.scn", "element tuple"),
    // As Cisco's phones read it: the person has no id and comes before the tuple.
    ("complaints/54_cisco_activities.scn", "element "),
    // chan_sip and res_pjsip: `pvalue` instead of `pval`.
    ("profiles.scn", "element param"),
    // chan_sip: the parties come before the state.
    ("rfc4235/notifycid.scn", "element remote"),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "scn") {
            found.push(path);
        }
    }
}

/// All that the server sends while this is played; how it ends is for the scenarios' own test to say.
fn sent(path: &Path) -> Vec<Bytes> {
    let script = parse::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    let base = script.settings.base.clone();
    let load = |toml: &str| settings::load(base.as_deref(), toml);
    let mut stage = VirtualStage::new(&script, &load).unwrap();
    run(&script, &mut stage).unwrap();
    stage.sent
}

/// A body and, where it has parts, all of them, with their types in lower case and without parameters.
fn documents(content_type: &str, body: &Bytes, found: &mut Vec<(String, Bytes)>) {
    let bare = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if bare.starts_with("multipart/") {
        for part in multipart::parse_as(content_type, body).unwrap() {
            documents(part.content_type(), &part.body, found);
        }
    } else {
        found.push((bare, body.clone()));
    }
}

fn told(bytes: Bytes) -> Option<(String, Bytes)> {
    let message = Message::parse(bytes).ok()?;
    let carries = matches!(message.method(), Some(Method::Notify | Method::Publish));
    let body = Some(message.body()).filter(|body| carries && !body.is_empty())?;
    Some((message.header(Name::ContentType).unwrap().to_owned(), body))
}

type Bodies = BTreeMap<&'static str, BTreeMap<Bytes, String>>;

/// The documents of all scenarios by schema, each once, with the name of a scenario that sends it.
fn told_by_scenarios() -> Bodies {
    let (mut paths, mut bodies) = (Vec::new(), Bodies::new());
    files(&settings::scenarios(), &mut paths);
    for path in &paths {
        let name = path.strip_prefix(settings::scenarios()).unwrap().display().to_string();
        let mut found = Vec::new();
        sent(path).into_iter().filter_map(told).for_each(|(kind, body)| documents(&kind, &body, &mut found));
        for (kind, body) in found {
            let schema = SCHEMAS.iter().find(|(known, _)| *known == kind);
            assert!(schema.is_some() || OTHERS.contains(&kind.as_str()), "{name}: {kind} has no schema");
            if let Some((_, schema)) = schema {
                bodies.entry(schema).or_default().insert(body, name.clone());
            }
        }
    }
    bodies
}

/// What `xmllint` says of documents, each with the name of its scenario.
fn complaints(schema: &str, bodies: &BTreeMap<Bytes, String>) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("scenarios-{schema}"));
    std::fs::create_dir_all(&folder).unwrap();
    let files: Vec<_> = (0..bodies.len()).map(|at| folder.join(format!("{at}.xml"))).collect();
    for (body, file) in bodies.keys().zip(&files) {
        std::fs::write(file, body).unwrap();
    }
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/schemas").join(schema);
    let mut said = String::new();
    for some in files.chunks(200) {
        let mut run = Command::new("xmllint");
        let run = run.args(["--nonet", "--noout", "--schema"]).arg(&schema).args(some).output().unwrap();
        said += &String::from_utf8_lossy(&run.stderr);
    }
    let mut complaints = Vec::new();
    for (name, file) in bodies.values().zip(&files) {
        let (place, valid) = (format!("{}:", file.display()), format!("{} validates", file.display()));
        let wrong = said.lines().filter(|line| line.starts_with(&place));
        let count = complaints.len();
        complaints.extend(wrong.map(|line| (name.clone(), line.to_owned())));
        assert!(complaints.len() > count || said.lines().any(|line| line == valid), "{valid}: {said}");
    }
    complaints
}

#[test]
fn every_document_of_the_scenarios_is_valid() {
    let all = told_by_scenarios();
    let count = all.values().map(BTreeMap::len).sum::<usize>();
    assert!(count > 250, "{count} documents");
    if Command::new("xmllint").arg("--version").output().is_err() {
        println!("SKIPPED {count} schema checks: xmllint not installed");
        return;
    }
    let said: Vec<_> = all.iter().flat_map(|(schema, bodies)| complaints(schema, bodies)).collect();
    let known =
        |name: &str, line: &str| AS_OTHERS_WRITE.iter().any(|(n, how)| *n == name && line.contains(how));
    let wrong: Vec<_> = said.iter().filter(|(name, line)| !known(name, line)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (scenario, how) in AS_OTHERS_WRITE {
        let is_so = said.iter().any(|(name, line)| name == scenario && line.contains(how));
        assert!(is_so, "{scenario} is no exception any more");
    }
}
