//! `application/reginfo+xml` (RFC 3680 §5): the bindings of an AOR, and those that ended just now.
//!
//! In: a [`Registration`]. Out: a document with full state, with holes for the version and for the seconds that each
//! contact has left. It is written only: nobody publishes registrations.

use super::xml_writer::XmlWriter;
use super::{EncodedBody, Hole};
use crate::fingerprint::fnv1a;
use crate::time::UnixTime;

/// The content type.
pub const CONTENT_TYPE: &str = "application/reginfo+xml";
/// The namespace of RFC 3680.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:reginfo";
/// The namespace of RFC 5628.
pub const GRUU_NAMESPACE: &str = "urn:ietf:params:xml:ns:gruuinfo";

/// One AOR.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// Its URI.
    pub aor: String,
    /// Its contacts, those that ended included.
    pub contacts: Vec<Contact>,
}

/// One contact (RFC 3680 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Tells it from all others of the AOR, the same in every document.
    pub id: u64,
    /// What brought it into its state.
    pub event: ContactEvent,
    /// Its URI.
    pub uri: String,
    /// When it ends, or ended.
    pub expires_at: UnixTime,
    /// Its preference, as its phone wrote it.
    pub q: Option<String>,
    /// Call-ID of the REGISTER that wrote it.
    pub call_id: String,
    /// CSeq of that REGISTER.
    pub cseq: u32,
    /// Contact parameters that RFC 3261 does not know.
    pub params: Vec<(String, String)>,
    /// The public GRUU of its phone.
    pub public_gruu: Option<String>,
    /// The newest temporary GRUU of its phone, and CSeq of the REGISTER that made the oldest that is still good.
    pub temporary_gruu: Option<(String, u32)>,
}

/// What happened to a contact, of the events of RFC 3680 §4.7.1 those that happen here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactEvent {
    /// A REGISTER made it.
    Registered,
    /// A REGISTER prolonged it.
    Refreshed,
    /// A REGISTER removed it.
    Unregistered,
    /// It was not prolonged in time.
    Expired,
    /// The server dropped it; its phone should register again.
    Deactivated,
}

impl ContactEvent {
    /// Every event.
    pub const ALL: [Self; 5] =
        [Self::Registered, Self::Refreshed, Self::Unregistered, Self::Expired, Self::Deactivated];

    const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Refreshed => "refreshed",
            Self::Unregistered => "unregistered",
            Self::Expired => "expired",
            Self::Deactivated => "deactivated",
        }
    }

    const fn is_active(self) -> bool {
        matches!(self, Self::Registered | Self::Refreshed)
    }
}

impl Registration {
    /// The document; always full state, which flushes what the watcher knew (RFC 3680 §5.2).
    pub fn encode(&self) -> EncodedBody {
        let mut w = XmlWriter::new();
        w.open("reginfo").attr("xmlns", NAMESPACE).attr("version", Hole::Version).attr("state", "full");
        if self.contacts.iter().any(Contact::has_gruu) {
            w.attr("xmlns:gr", GRUU_NAMESPACE);
        }
        w.open("registration")
            .attr("aor", self.aor.as_str())
            .attr("id", id(fnv1a(self.aor.as_bytes())).as_str());
        w.attr("state", self.state());
        for contact in &self.contacts {
            encode_contact(&mut w, contact);
        }
        w.finish()
    }

    /// RFC 3680 §4.7.1: the registration ends with its last contact, and begins again with the next.
    fn state(&self) -> &'static str {
        match self.contacts.as_slice() {
            [] => "init",
            contacts if contacts.iter().any(|contact| contact.event.is_active()) => "active",
            _ => "terminated",
        }
    }
}

impl Contact {
    const fn has_gruu(&self) -> bool {
        self.public_gruu.is_some() || self.temporary_gruu.is_some()
    }
}

fn encode_contact(w: &mut XmlWriter, contact: &Contact) {
    let is_active = contact.event.is_active();
    w.open("contact").attr("id", id(contact.id).as_str());
    w.attr("state", if is_active { "active" } else { "terminated" }).attr("event", contact.event.name());
    if is_active {
        w.attr("expires", Hole::SecondsUntil(contact.expires_at));
    }
    w.attr_opt("q", contact.q.as_deref()).attr("callid", contact.call_id.as_str());
    w.attr("cseq", contact.cseq.to_string().as_str()).leaf("uri", contact.uri.as_str());
    for (name, value) in &contact.params {
        w.open("unknown-param").attr("name", name.as_str()).text(value.as_str()).close();
    }
    // RFC 5628 §5.
    if let Some(uri) = &contact.public_gruu {
        w.open("gr:pub-gruu").attr("uri", uri.as_str()).close();
    }
    if let Some((uri, first_cseq)) = &contact.temporary_gruu {
        w.open("gr:temp-gruu").attr("uri", uri.as_str()).attr("first-cseq", first_cseq.to_string().as_str());
        w.close();
    }
    w.close();
}

fn id(fingerprint: u64) -> String {
    format!("{fingerprint:016x}")
}

#[cfg(test)]
mod tests {
    use super::super::HoleValues;
    use super::*;

    #[test]
    fn a_registration_is_as_active_as_its_contacts() {
        use ContactEvent as E;
        let contact = |event| Contact {
            id: 7,
            event,
            uri: "sip:bob@192.0.2.2".into(),
            expires_at: UnixTime::from_millis(61_500),
            q: Some("0.7".into()),
            call_id: "c1".into(),
            cseq: 3,
            params: vec![
                ("+sip.instance".into(), "\"<urn:uuid:1>\"".into()),
                ("+sip.audio".into(), String::new()),
            ],
            public_gruu: None,
            temporary_gruu: None,
        };
        let rows: [(&[E], &str); 4] = [
            (&[], "init"),
            (&[E::Expired], "terminated"),
            (&[E::Unregistered, E::Refreshed], "active"),
            (&[E::Registered], "active"),
        ];
        let values = HoleValues { version: 4, now: UnixTime::from_millis(1000), ..HoleValues::default() };
        for (events, state) in rows {
            let contacts = events.iter().copied().map(contact).collect();
            let text = Registration { aor: "sip:bob@example.com".into(), contacts }.encode().fill(&values);
            let text = String::from_utf8(text).unwrap();
            let registration = format!("id=\"{}\" state=\"{state}\"", id(fnv1a(b"sip:bob@example.com")));
            assert!(text.contains(&registration) && text.contains("version=\"4\""), "{text}");
            for event in events {
                let left = if event.is_active() { " expires=\"61\"" } else { "" };
                let said = format!(" event=\"{}\"{left} q=\"0.7\" callid=\"c1\" cseq=\"3\">", event.name());
                assert!(text.contains(&said), "{said} in {text}");
            }
            assert_eq!(text.matches("&quot;&lt;urn:uuid:1&gt;&quot;").count(), events.len());
        }
    }
}
