//! `application/x-as-feature-event+xml`: what phones and servers tell each other of a user's feature keys (BroadSoft's
//! Device Feature Key Synchronization, in the words of ECMA-323).
//!
//! In: [`Features`], or the body of a phone's SUBSCRIBE. Out: one multipart body with an event for each feature, or the
//! [`FeatureChange`] that the phone asks for. It does not decide who may set what.
//!
//! ```text
//! phone:  <SetDoNotDisturb><device/><doNotDisturbOn>true</doNotDisturbOn></SetDoNotDisturb>
//! server: <DoNotDisturbEvent><device>bob</device><doNotDisturbOn>true</doNotDisturbOn></DoNotDisturbEvent>
//! ```

use super::xml::{Document, Element};
use super::xml_writer::XmlWriter;
use super::{BodyError, EncodedBody};
use crate::features::{Feature, FeatureChange, Features};
use lampyris_sip::multipart;
use std::borrow::Cow;

/// The content type of each event.
pub const CONTENT_TYPE: &str = "application/x-as-feature-event+xml";
/// Interop: Polycom phones restart on an event without it.
const NAMESPACE: &str = "http://www.ecma-international.org/standards/ecma-323/csta/ed3";
/// Stands at the start of no line of an event.
const BOUNDARY: &str = "lampyris-feature";
/// Phones count rings, people and servers seconds: one second of tone and four of silence, within ITU-T E.180.
const RING_S: u32 = 5;

/// The words of ECMA-323 for the kinds of forwarding.
const FORWARDS: [(&str, Feature); 3] = [
    ("forwardImmediate", Feature::ForwardAlways),
    ("forwardBusy", Feature::ForwardBusy),
    ("forwardNoAns", Feature::ForwardNoAnswer),
];

/// What all features of a user are set to.
///
/// Why all, each time: the newest state wins over one that a watcher was not told, so a document that only held the last
/// change would lose the one before.
pub fn encode(features: &Features, device: &str) -> EncodedBody {
    let mut parts = multipart::Writer::new(BOUNDARY);
    let mut add = |event: XmlWriter| {
        let event = event.finish();
        let bytes = event.shared_bytes();
        let length = bytes.len().to_string();
        // Interop: BroadWorks gives the length of each part, and phones were written against it.
        parts.part(&[("Content-Type", CONTENT_TYPE), ("Content-Length", &length)], bytes);
    };
    let mut w = start("DoNotDisturbEvent", device);
    w.leaf("doNotDisturbOn", truth(features.dnd));
    add(w);
    for (kind, feature) in FORWARDS {
        let target = features.value(feature);
        let mut w = start("ForwardingEvent", device);
        w.leaf("forwardingType", kind).leaf("forwardStatus", truth(target.is_some()));
        if let Some(target) = target {
            w.leaf("forwardTo", target);
        }
        let seconds = features.no_answer_s.filter(|_| feature == Feature::ForwardNoAnswer);
        if let Some(seconds) = seconds {
            w.leaf("ringCount", (seconds / RING_S).max(1).to_string().as_str());
        }
        add(w);
    }
    let content_type = Some(parts.content_type("mixed"));
    EncodedBody { bytes: parts.finish(), content_type, ..EncodedBody::default() }
}

fn start(event: &'static str, device: &str) -> XmlWriter {
    let mut w = XmlWriter::new();
    w.open(event).attr("xmlns", NAMESPACE).leaf("device", device);
    w
}

const fn truth(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}

/// Reads what a phone wants set; its namespace is not looked at, because phones write it in several ways.
///
/// # Errors
/// 400: not XML, neither of the two requests, or without what it must have.
pub fn decode(body: &[u8]) -> Result<FeatureChange, BodyError> {
    let document = Document::parse(body)?;
    let root = document.root();
    let missing = |reason| document.error(root, reason);
    match root.name() {
        "SetDoNotDisturb" => {
            let on = said(root, "doNotDisturbOn").and_then(is_true);
            let on = on.ok_or_else(|| missing("doNotDisturbOn is neither true nor false"))?;
            Ok(FeatureChange { feature: Feature::DoNotDisturb, on, target: None, no_answer_s: None })
        }
        "SetForwarding" => {
            let kind = said(root, "forwardingType").unwrap_or_default();
            let feature = FORWARDS.iter().find(|(known, _)| *known == kind).map(|(_, feature)| *feature);
            let on = said(root, "activateForward").and_then(is_true);
            let rings = said(root, "ringCount").and_then(|rings| rings.parse::<u32>().ok());
            Ok(FeatureChange {
                feature: feature.ok_or_else(|| missing("forwardingType is not one we know"))?,
                on: on.ok_or_else(|| missing("activateForward is neither true nor false"))?,
                target: said(root, "forwardDN").map(Cow::into_owned).filter(|target| !target.is_empty()),
                no_answer_s: rings.filter(|rings| *rings > 0).map(|rings| rings.saturating_mul(RING_S)),
            })
        }
        _ => Err(missing("neither SetDoNotDisturb nor SetForwarding")),
    }
}

fn said<'d>(root: Element<'d>, name: &str) -> Option<Cow<'d, str>> {
    root.children().find(|child| child.name() == name).map(Element::trimmed)
}

fn is_true(text: Cow<'_, str>) -> Option<bool> {
    match &*text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::HoleValues;
    use super::*;
    use bytes::Bytes;

    #[test]
    fn every_feature_has_its_part() {
        let features = Features {
            dnd: true,
            forward_busy: Some("sip:a&b@example.com".into()),
            forward_no_answer: Some("77".into()),
            no_answer_s: Some(15),
            ..Features::default()
        };
        let body = encode(&features, "b<b");
        let content_type = body.content_type.clone().unwrap();
        let bytes = Bytes::from(body.fill(&HoleValues::default()));
        let parts = multipart::parse_as(&content_type, &bytes).unwrap();
        let texts: Vec<_> = parts.iter().map(|part| String::from_utf8(part.body.to_vec()).unwrap()).collect();
        let expected = [
            "<doNotDisturbOn>true</doNotDisturbOn></DoNotDisturbEvent>",
            "<forwardingType>forwardImmediate</forwardingType><forwardStatus>false</forwardStatus></ForwardingEvent>",
            "<forwardStatus>true</forwardStatus><forwardTo>sip:a&amp;b@example.com</forwardTo></ForwardingEvent>",
            "<forwardTo>77</forwardTo><ringCount>3</ringCount></ForwardingEvent>",
        ];
        assert_eq!(texts.len(), expected.len());
        for ((text, part), expected) in texts.iter().zip(&parts).zip(expected) {
            assert!(text.contains(expected), "{text}");
            assert!(text.contains(&format!("xmlns=\"{NAMESPACE}\"><device>b&lt;b</device>")), "{text}");
            assert_eq!(part.header("Content-Length"), Some(text.len().to_string().as_str()));
            assert!(Document::parse(text.as_bytes()).is_ok());
        }
    }

    #[test]
    fn what_phones_ask_for_is_read() {
        let space = format!(" xmlns=\"{NAMESPACE}\"");
        let change = |feature, on, target: Option<&str>, no_answer_s| {
            Ok(FeatureChange { feature, on, target: target.map(str::to_owned), no_answer_s })
        };
        let dnd = "<SetDoNotDisturb X><device/><doNotDisturbOn>true</doNotDisturbOn></SetDoNotDisturb>";
        let forward = |kind: &str, on: &str, rest: &str| {
            format!(
                "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><SetForwarding X><device/><forwardingType>{kind}\
                 </forwardingType><activateForward>{on}</activateForward>{rest}</SetForwarding>"
            )
        };
        let rows = [
            (dnd.to_owned(), change(Feature::DoNotDisturb, true, None, None)),
            (dnd.replace("true", " false "), change(Feature::DoNotDisturb, false, None, None)),
            (
                forward("forwardImmediate", "true", "<forwardDN>1234</forwardDN>"),
                change(Feature::ForwardAlways, true, Some("1234"), None),
            ),
            (
                forward("forwardBusy", "false", "<forwardDN/>"),
                change(Feature::ForwardBusy, false, None, None),
            ),
            (
                forward("forwardNoAns", "true", "<forwardDN>5</forwardDN><ringCount>4</ringCount>"),
                change(Feature::ForwardNoAnswer, true, Some("5"), Some(20)),
            ),
            (forward("forwardDND", "true", ""), Err("forwardingType is not one we know")),
            (forward("forwardBusy", "perhaps", ""), Err("activateForward is neither true nor false")),
            (dnd.replace("true", ""), Err("doNotDisturbOn is neither true nor false")),
            ("<GetDoNotDisturb X/>".to_owned(), Err("neither SetDoNotDisturb nor SetForwarding")),
        ];
        for (text, expected) in rows {
            for with in [space.as_str(), ""] {
                let text = text.replace(" X", with);
                assert_eq!(decode(text.as_bytes()).map_err(|error| error.reason), expected, "{text}");
            }
        }
    }
}
