//! A publication at any server, kept up until it is enough (RFC 3903 §4): first, refresh, removal.

use super::limits::{LEAST_WAIT, RETRY};
use super::reach::{Reached, Towards};
use super::watch::Stop;
use super::{RemoteError, explain, granted_s, refusal, status_of};
use crate::ua::UaError;
use lampyris_core::body::pidf::Pidf;
use lampyris_core::body::presence_document::{Basic, Note, Person, PresenceDocument, Tuple};
use lampyris_core::body::rpid::{Activity, Rpid, Values};
use lampyris_core::gateways::state::{self, Next, Stands};
use lampyris_sip::{Message, Method, Name};
use std::io;
use std::time::Duration;
use tokio::time::sleep;

/// What is published.
#[derive(Clone, Debug)]
pub(crate) struct Publish {
    pub(crate) towards: Towards,
    /// The event package.
    pub(crate) event: String,
    /// Content-Type and document; without one, what `etag` names is removed.
    pub(crate) document: Option<(String, String)>,
    /// The life asked for, in seconds.
    pub(crate) expires_s: u32,
    /// It is left there to expire.
    pub(crate) once: bool,
    /// The entity-tag of what it replaces or removes.
    pub(crate) etag: Option<String>,
}

/// What happens meanwhile.
#[derive(Debug)]
pub(crate) enum Told<'a> {
    /// It stands.
    Published { server: String, etag: &'a str, expires_s: u32 },
    /// It was prolonged.
    Refreshed { etag: &'a str, expires_s: u32 },
    /// It is gone.
    Removed,
    /// It could not be kept; it is tried again after a while.
    Trouble { why: String, again_in: Duration },
}

/// Publishes until `stop`, and removes it then; with `once`, publishes and leaves it.
///
/// # Errors
/// The first PUBLISH fails.
pub(crate) async fn run(
    publish: &Publish,
    mut stop: Stop,
    tell: &mut dyn FnMut(&Told<'_>) -> io::Result<()>,
) -> Result<(), RemoteError> {
    let mut reached = publish.towards.reach().await?;
    let mut expires_s = if publish.document.is_some() { publish.expires_s } else { 0 };
    let mut etag = publish.etag.clone();
    let mut stood = false;
    loop {
        let is_first = !stood;
        let answer = publish.request(&reached, etag.as_deref(), is_first, expires_s).await;
        let after = match publish.took(answer, etag.is_some(), expires_s) {
            Took::Granted { etag: new, expires_s: granted } => {
                if publish.document.is_none() {
                    return tell(&Told::Removed).map_err(RemoteError::Output);
                }
                let new = etag.insert(new);
                let server = format!("{}:{}", reached.hop.transport, reached.hop.address);
                let told = match is_first {
                    true => Told::Published { server, etag: new, expires_s: granted },
                    false => Told::Refreshed { etag: new, expires_s: granted },
                };
                tell(&told).map_err(RemoteError::Output)?;
                if publish.once {
                    return Ok(());
                }
                stood = true;
                state::renew_after(Duration::from_secs(u64::from(granted))).max(LEAST_WAIT)
            }
            Took::Longer(seconds) => {
                expires_s = seconds;
                continue;
            }
            Took::Refused { error, .. } if publish.once || publish.document.is_none() => return Err(error),
            Took::Refused { error, after, is_gone } => {
                if !stood && !is_gone {
                    return Err(error);
                }
                // RFC 3903 §4.3: what the server no longer has is published anew.
                if is_gone {
                    etag = None;
                }
                stood = false;
                tell(&Told::Trouble { why: error.to_string(), again_in: after })
                    .map_err(RemoteError::Output)?;
                if let Ok(again) = publish.towards.reach().await {
                    reached = again;
                }
                after
            }
        };
        tokio::select! {
            () = &mut stop => break,
            () = sleep(after) => {}
        }
    }
    if let Some(etag) = &etag {
        let answer = publish.request(&reached, Some(etag), false, 0).await?;
        match status_of(&answer) {
            // Why: it is not there, which is what was wanted.
            200..300 | 412 => {}
            _ => return Err(RemoteError::Refused(publish.explain(&answer))),
        }
    }
    tell(&Told::Removed).map_err(RemoteError::Output)
}

/// What became of a PUBLISH.
enum Took {
    Granted { etag: String, expires_s: u32 },
    Longer(u32),
    Refused { error: RemoteError, after: Duration, is_gone: bool },
}

impl Publish {
    async fn request(
        &self,
        reached: &Reached,
        etag: Option<&str>,
        with_body: bool,
        expires_s: u32,
    ) -> Result<Message, UaError> {
        let mut headers = vec![(Name::Event, self.event.clone()), (Name::Expires, expires_s.to_string())];
        headers.extend(etag.map(|etag| (Name::SipIfMatch, etag.to_owned())));
        let body = self.document.as_ref().filter(|_| with_body);
        let body = body.map(|(content_type, text)| (content_type.as_str(), text.as_str()));
        reached.phone.ask(Method::Publish, &self.towards.uri, &headers, body).await
    }

    fn took(&self, answer: Result<Message, UaError>, had_etag: bool, asked_s: u32) -> Took {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Took::Refused { error: error.into(), after: RETRY, is_gone: false },
        };
        let status = status_of(&answer);
        if (200..300).contains(&status) {
            let etag = answer.header(Name::SipETag).unwrap_or("").trim().to_owned();
            return Took::Granted { etag, expires_s: granted_s(&answer, asked_s) };
        }
        let mut error = RemoteError::Refused(self.explain(&answer));
        let stands = if had_etag { Stands::Publication } else { Stands::Nothing };
        let after = match state::next(&refusal(&answer, stands, asked_s)) {
            Next::Longer(seconds) => return Took::Longer(seconds),
            Next::Wait { after, .. } => after,
            Next::Authenticate | Next::Anew | Next::OtherHop => RETRY,
        };
        let is_gone = status == 412 && had_etag;
        if is_gone {
            error = RemoteError::Refused("the server no longer has what that entity-tag names (412)".into());
        }
        Took::Refused { error, after: if is_gone { LEAST_WAIT } else { after }, is_gone }
    }

    fn explain(&self, answer: &Message) -> String {
        explain(answer, "PUBLISH", self.towards.password.is_some())
    }
}

/// A presence document (RFC 3863, RFC 4480): can the person be reached, what do they do, in whose words.
pub(crate) fn document(
    uri: &str,
    id: &str,
    open: bool,
    activities: Vec<Activity>,
    note: Option<&str>,
) -> String {
    let basic = if open { Basic::Open } else { Basic::Closed };
    let tuple = Tuple { id: format!("t{id}"), basic: Some(basic), ..Tuple::default() };
    let notes: Vec<Note> = note.map(Note::of).into_iter().collect();
    let activities = (!activities.is_empty()).then(|| Box::new(Values::of(activities)));
    let is_said = activities.is_some() || !notes.is_empty();
    let rpid = Rpid { activities, ..Rpid::default() };
    let person = Person { id: format!("p{id}"), rpid, notes, ..Person::default() };
    let persons = if is_said { vec![person] } else { Vec::new() };
    let document = PresenceDocument {
        entity: uri.to_owned(),
        tuples: vec![tuple],
        persons,
        ..PresenceDocument::default()
    };
    let body = Pidf::encode_document(&document);
    String::from_utf8_lossy(body.shared_bytes()).into_owned()
}
