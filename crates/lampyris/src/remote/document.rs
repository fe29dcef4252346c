//! What the body of a NOTIFY says, in words: one row for each resource it is about.
//!
//! In: Content-Type and body, one after the other, of one subscription. Out: rows; partial dialog information is merged into
//! what came before (RFC 4235 §4.3). A format that is not known keeps its text.

use super::limits::RESOURCES_MAX;
use bytes::Bytes;
use lampyris_core::body::dialog_info::{Dialog, DialogInfo, DialogState, Direction};
use lampyris_core::body::message_summary::MessageSummary;
use lampyris_core::body::pidf::Pidf;
use lampyris_core::body::presence_document::PresenceDocument;
use lampyris_core::body::rlmi_received::Rlmi;
use lampyris_core::body::rpid::Token as _;
use lampyris_sip::multipart;
use serde::Serialize;
use std::collections::BTreeMap;

/// What is said of one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Said {
    /// Its URI.
    pub(crate) resource: String,
    /// In words: `available`, `ringing`, `on the phone`, `2 new messages`.
    pub(crate) state: String,
    /// Whether it can be reached, where that is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) open: Option<bool>,
    /// What the person does (RFC 4480).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) activities: Vec<String>,
    /// In the person's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// Its calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) calls: Vec<Call>,
    /// The text of a format that is not known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
}

/// A call of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Call {
    /// `trying`, `proceeding`, `early`, `confirmed`.
    pub(crate) state: &'static str,
    /// Whether the resource called or was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) direction: Option<&'static str>,
    /// Who is at the other end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remote: Option<String>,
    /// It is on hold.
    pub(crate) held: bool,
}

/// Reads one subscription's documents.
#[derive(Default)]
pub(crate) struct Reader {
    dialogs: BTreeMap<String, BTreeMap<String, Dialog>>,
}

impl Reader {
    /// What a body says; `resource` is whose subscription it is.
    ///
    /// # Errors
    /// It is not what its Content-Type says.
    pub(crate) fn read(
        &mut self,
        resource: &str,
        content_type: &str,
        body: &Bytes,
    ) -> Result<Vec<Said>, String> {
        let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        if body.is_empty() {
            return Ok(Vec::new());
        }
        let wrong = |error: String| format!("a body that is no {kind}: {error}");
        let one = match kind.as_str() {
            "multipart/related" => return self.list(content_type, body),
            "application/pidf+xml" => {
                presence(resource, &Pidf::decode(body).map_err(|e| wrong(e.to_string()))?)
            }
            "application/dialog-info+xml" => {
                let info = DialogInfo::decode(body).map_err(|e| wrong(e.to_string()))?;
                self.dialogs(resource, info)
            }
            "application/simple-message-summary" => {
                messages(resource, &MessageSummary::decode(body).map_err(|e| wrong(e.to_string()))?)
            }
            _ => Said {
                resource: resource.to_owned(),
                state: format!("{} bytes of {kind}", body.len()),
                text: Some(String::from_utf8_lossy(body).into_owned()),
                ..Said::default()
            },
        };
        Ok(vec![one])
    }

    /// A list (RFC 4662): each member that the document has a state of.
    fn list(&mut self, content_type: &str, body: &Bytes) -> Result<Vec<Said>, String> {
        let parts = multipart::parse_as(content_type, body).map_err(|error| error.to_string())?;
        let is = |kind: &str, wanted: &str| {
            kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(wanted)
        };
        let root = parts.iter().find(|part| is(part.content_type(), "application/rlmi+xml"));
        let root = root.ok_or("a multipart body without a list document")?;
        let list = Rlmi::decode(&root.body).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        for resource in list.resources.iter().take(RESOURCES_MAX) {
            if resource.instances.is_empty() && list.full {
                let state = "nothing is known yet".to_owned();
                out.push(Said { resource: resource.uri.clone(), state, ..Said::default() });
            }
            for instance in &resource.instances {
                let part = instance
                    .cid
                    .as_deref()
                    .and_then(|cid| parts.iter().find(|part| part.content_id() == Some(cid)));
                match part {
                    Some(part) => out.extend(self.read(&resource.uri, part.content_type(), &part.body)?),
                    None if instance.is_terminated => {
                        let state = "not watched any more".to_owned();
                        out.push(Said { resource: resource.uri.clone(), state, ..Said::default() });
                    }
                    None => {}
                }
            }
        }
        Ok(out)
    }

    fn dialogs(&mut self, resource: &str, info: DialogInfo) -> Said {
        if self.dialogs.len() >= RESOURCES_MAX {
            self.dialogs.clear();
        }
        let known = self.dialogs.entry(resource.to_owned()).or_default();
        if !info.partial {
            known.clear();
        }
        for dialog in info.dialogs {
            match dialog.state {
                DialogState::Terminated => known.remove(&dialog.id),
                _ => known.insert(dialog.id.clone(), dialog),
            };
        }
        let calls: Vec<Call> = known.values().map(call).collect();
        Said { resource: resource.to_owned(), state: in_words(&calls), calls, ..Said::default() }
    }
}

fn call(dialog: &Dialog) -> Call {
    let remote = dialog.remote.identity.as_ref();
    Call {
        state: match dialog.state {
            DialogState::Trying => "trying",
            DialogState::Proceeding => "proceeding",
            DialogState::Early => "early",
            DialogState::Confirmed => "confirmed",
            DialogState::Terminated => "terminated",
        },
        direction: dialog.direction.map(|direction| match direction {
            Direction::Initiator => "initiator",
            Direction::Recipient => "recipient",
        }),
        // Why: without somebody at the other end the dialog is a lamp's, and names nobody.
        remote: remote.filter(|_| !dialog.is_pseudo()).map(|identity| match &identity.display_name {
            Some(name) if !name.is_empty() => format!("{name} <{}>", identity.uri),
            _ => identity.uri.clone(),
        }),
        held: dialog.is_held(),
    }
}

/// All calls of a resource in one phrase.
fn in_words(calls: &[Call]) -> String {
    let words = |call: &Call| {
        let what = match (call.state, call.direction, call.held) {
            ("confirmed", _, true) => "on hold",
            ("confirmed", _, false) => "on the phone",
            (_, Some("initiator"), _) => "calling",
            _ => "ringing",
        };
        match &call.remote {
            Some(remote) => format!("{what} with {remote}"),
            None => what.to_owned(),
        }
    };
    let mut said: Vec<String> = calls.iter().map(words).collect();
    said.dedup();
    if said.is_empty() { "idle".to_owned() } else { said.join(", ") }
}

fn presence(resource: &str, document: &PresenceDocument) -> Said {
    let persons = document.persons.iter().map(|person| &person.rpid);
    let all = persons.chain(document.tuples.iter().map(|tuple| &tuple.rpid));
    let mut activities: Vec<String> = Vec::new();
    for values in all.filter_map(|rpid| rpid.activities.as_deref()) {
        let known = values.known.iter().map(|activity| activity.name().to_owned());
        activities.extend(known.chain(values.other.iter().map(|note| note.text.clone())));
    }
    activities.sort();
    activities.dedup();
    let open = document.is_open();
    let mut words: Vec<String> = activities.iter().map(|activity| activity.replace('-', " ")).collect();
    match open {
        Some(false) => words.insert(0, "unavailable".to_owned()),
        _ if words.is_empty() => {
            words.push(if open == Some(true) { "available" } else { "unknown" }.to_owned())
        }
        _ => {}
    }
    Said {
        resource: resource.to_owned(),
        state: words.join(", "),
        open,
        activities,
        note: document.first_note().map(str::to_owned),
        ..Said::default()
    }
}

fn messages(resource: &str, summary: &MessageSummary) -> Said {
    let (mut new, mut old) = (0, 0);
    for (_, counts) in &summary.counts {
        new += counts.new;
        old += counts.old;
    }
    let state = match (summary.waiting, new, old) {
        (false, 0, 0) => "no messages".to_owned(),
        (true, 0, 0) => "messages are waiting".to_owned(),
        _ => format!("{new} new, {old} old messages"),
    };
    Said { resource: resource.to_owned(), state, ..Said::default() }
}
