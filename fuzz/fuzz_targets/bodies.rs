//! Every document that is read from peers, users and administrators: body formats, lists (RFC 4826), list state (RLMI, RFC
//! 4662), presence rules (RFC 5025). Any bytes are a document or an error with a place inside the body. The first
//! byte of the input says which format.
#![no_main]

use lampyris_core::authz::PresRules;
use lampyris_core::body::cpim_pidf::CpimPidf;
use lampyris_core::body::dialog_info::DialogInfo;
use lampyris_core::body::message_summary::MessageSummary;
use lampyris_core::body::pidf::Pidf;
use lampyris_core::body::pidf_diff::PidfDiff;
use lampyris_core::body::rlmi_received::Rlmi;
use lampyris_core::body::xpidf::Xpidf;
use lampyris_core::body::{BodyError, HoleValues, date_time::DateTime, feature_event, xml};
use lampyris_core::lists::resource_lists;
use libfuzzer_sys::fuzz_target;

fn place<T>(body: &[u8], read: Result<T, BodyError>) -> Option<T> {
    match read {
        Ok(document) => Some(document),
        Err(error) => {
            assert!(error.offset <= body.len() && error.line > 0 && error.column > 0, "{error}");
            None
        }
    }
}

/// What we write can be read, but for what escapes make longer than a bound.
fn readable<T>(read: Result<T, BodyError>) {
    if let Err(error) = read {
        assert!(error.reason.contains("too "), "a document of ours: {error}");
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&kind, body)) = data.split_first() else { return };
    match kind % 12 {
        0 => {
            if let Some(document) = place(body, Pidf::decode(body)) {
                // What is written can be read.
                let written = Pidf::encode_document(&document).fill(&HoleValues::default());
                readable(Pidf::decode(&written));
            }
        }
        1 => drop(place(body, Xpidf::decode(body))),
        2 => drop(place(body, CpimPidf::decode(body))),
        3 => {
            if let Some(document) = place(body, DialogInfo::decode(body)) {
                let written = document.encode().fill(&HoleValues::default());
                readable(DialogInfo::decode(&written));
            }
        }
        4 => drop(place(body, MessageSummary::decode(body))),
        5 => {
            // A patch, and what it is about before it.
            let at = body.iter().position(|byte| *byte == 0).unwrap_or(0);
            let (old, patch) = body.split_at(at);
            drop(place(body, PidfDiff::decode(patch)));
            drop(PidfDiff::patched(old, patch.get(1..).unwrap_or_default()));
        }
        6 => drop(place(body, feature_event::decode(body))),
        7 => drop(std::str::from_utf8(body).ok().and_then(DateTime::parse).map(|time| time.unix())),
        8 => drop(place(body, xml::Document::parse(body).map(|_| ()))),
        9 => {
            let document = place(body, resource_lists::read(body));
            // What is a list for a subscription is one for the configuration.
            if let Some(entries) = place(body, resource_lists::entries(body)) {
                let list = |document: &resource_lists::ListDocument| {
                    matches!(document, resource_lists::ListDocument::List(list) if list.members.len() == entries.len())
                };
                assert!(document.as_ref().is_some_and(list), "{document:?}");
            }
        }
        10 => drop(place(body, Rlmi::decode(body))),
        _ => {
            let Ok(text) = std::str::from_utf8(body) else { return };
            if let Some(rules) = place(body, PresRules::read(text)) {
                // What is kept is what was said.
                assert_eq!(rules.text(), text);
            }
        }
    }
});
