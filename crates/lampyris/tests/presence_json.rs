//! Presence as JSON is what `docs/presence.schema.json` says, whatever was published.

// Why: a failed read is told by panicking, here outside test functions too.
#![allow(clippy::unwrap_used)]

use lampyris_core::body::pidf::Pidf;
use lampyris_core::body::presence_json::PresenceJson;
use lampyris_core::body::{EncodedBody, HoleValues};
use lampyris_core::composition::extension::{LampState, Presence};
use lampyris_core::device_state::ExtensionState;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

const ENTITY: &str = "sip:6001@example.com;x=\"\\\u{1}\u{2028}<";

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/presence.schema.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The first place where `value` is not what `rule` says, by the keywords that the schema uses.
fn wrong(schema: &Value, rule: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(name) = rule.get("$ref").and_then(Value::as_str) {
        return wrong(schema, schema.pointer(name.trim_start_matches('#')).unwrap(), value, at);
    }
    let is = match rule.get("type").and_then(Value::as_str).unwrap() {
        "object" => value.is_object(),
        "array" => value.as_array().is_some_and(|list| !list.is_empty()),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        other => panic!("{other} is not checked"),
    };
    let listed = rule.get("enum").and_then(Value::as_array).is_none_or(|all| all.contains(value));
    if !is || !listed {
        return Some(format!("{at}: {value}"));
    }
    let required = rule.get("required").and_then(Value::as_array).into_iter().flatten();
    if let Some(missing) = required.filter_map(Value::as_str).find(|key| value.get(key).is_none()) {
        return Some(format!("{at} lacks {missing}"));
    }
    let members = value.as_object().into_iter().flatten().find_map(|(key, value)| {
        let Some(rule) = rule.get("properties").and_then(|all| all.get(key)) else {
            return Some(format!("{at} has {key}"));
        };
        wrong(schema, rule, value, &format!("{at}.{key}"))
    });
    members.or_else(|| {
        let mut items = value.as_array().into_iter().flatten();
        items.find_map(|item| wrong(schema, rule.get("items")?, item, at))
    })
}

fn json(body: &EncodedBody) -> Value {
    let values = HoleValues { entity: ENTITY, ..HoleValues::default() };
    let bytes = body.fill(&values);
    assert_eq!(bytes.len(), body.len_with(&values));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&bytes)))
}

#[test]
fn every_document_is_what_the_schema_says() {
    let schema = schema();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/fixtures");
    let mut checked = 0;
    for part in ["publications", "documents", "presence"] {
        for entry in std::fs::read_dir(fixtures.join(part)).unwrap() {
            let Ok(document) = Pidf::decode(&std::fs::read(entry.unwrap().path()).unwrap()) else { continue };
            let published = vec![Arc::new(document.clone()), Arc::new(document)];
            for extension in ExtensionState::ALL {
                let lamp = Some(LampState::of(extension));
                let presence = Presence { lamp, published: published.clone(), ..Presence::default() };
                let value = json(&PresenceJson::encode(&presence, "6001"));
                assert_eq!(wrong(&schema, &schema, &value, "$"), None);
                assert_eq!(value.pointer("/entity").and_then(Value::as_str), Some(ENTITY));
                checked += 1;
            }
        }
    }
    assert!(checked > 100);
    assert!(wrong(&schema, &schema, &serde_json::json!({"entity": "x"}), "$").is_some());
    assert!(
        wrong(&schema, &schema, &serde_json::json!({"entity": "x", "open": true, "y": 1}), "$").is_some()
    );
}

#[test]
fn a_web_page_finds_what_it_shows() {
    let fixture = include_bytes!("../../core/tests/fixtures/presence/extensions.xml");
    let document = Arc::new(Pidf::decode(fixture).unwrap());
    let lamp = Some(LampState::of(ExtensionState::InUse));
    let presence = Presence { lamp, published: vec![document], ..Presence::default() };
    let value = json(&PresenceJson::encode(&presence, "6001"));
    for (pointer, expected) in [
        ("/services/0/contact", ENTITY),
        ("/services/1/status", "open"),
        ("/services/1/userInput/lastInput", "2026-11-21T08:00:00Z"),
        ("/services/1/timed/0/status", "closed"),
        ("/services/1/extensions/0/name", "geopriv"),
        ("/persons/0/activities/values/0", "on-the-phone"),
        ("/persons/0/activities/values/1", "meeting"),
        ("/persons/0/displayNames/1/lang", "de"),
        ("/persons/0/homepage", "http://example.com/~someone"),
        ("/notes/0/text", "On the phone"),
    ] {
        assert_eq!(value.pointer(pointer).and_then(Value::as_str), Some(expected), "{pointer} of {value}");
    }
    assert_eq!(value.pointer("/services/1/priority").and_then(Value::as_f64), Some(0.8));
    assert_eq!(value.get("open"), Some(&Value::Bool(true)));
}
