//! The bodies of the FreeSWITCH and Cisco variants: every state of the lamp, and what was published.
//!
//! The idle FreeSWITCH document is the one its own documentation of presence prints.

// Why: a failed read is told by panicking, here outside test functions too.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use lampyris_core::body::cpim_pidf::CpimPidf;
use lampyris_core::body::dialog_info::{DialogInfo, DialogState, Direction};
use lampyris_core::body::pidf::Pidf;
use lampyris_core::body::presence_document::{Basic, PresenceDocument};
use lampyris_core::body::rpid::Activity;
use lampyris_core::body::xml::{Document, canonical};
use lampyris_core::body::xpidf::Xpidf;
use lampyris_core::body::{EncodedBody, HoleValues, Style, Variant};
use lampyris_core::composition::extension::{LampState, Presence};
use lampyris_core::device_state::{ExtensionState, PresenceState, PresenceValue};
use lampyris_core::time::UnixTime;

const VALUES: HoleValues<'static> = HoleValues {
    version: 7,
    entity: "sip:1000@192.168.0.24",
    watcher: "sip:1004@192.168.0.24",
    call_id: "",
    now: UnixTime::from_millis(0),
};

fn text(body: &EncodedBody) -> String {
    let bytes = body.fill(&VALUES);
    assert_eq!(bytes.len(), body.len_with(&VALUES));
    String::from_utf8(bytes).unwrap()
}

fn of(extension: ExtensionState) -> Presence {
    Presence::of_lamp(LampState::of(extension))
}

fn said(value: PresenceValue, message: &str) -> Presence {
    let presence = Some(PresenceState { value, message: message.into(), ..PresenceState::default() });
    Presence::of_lamp(LampState { presence, ..LampState::of(ExtensionState::Idle) })
}

fn freeswitch(presence: &Presence) -> String {
    text(&Pidf::encode(presence, "1000", Style::of(Variant::FreeSwitch)))
}

#[test]
fn an_idle_phone_in_freeswitch_is_the_document_it_prints() {
    let expected = "<?xml version='1.0' encoding='ISO-8859-1'?>\n<presence xmlns='urn:ietf:params:xml:ns:pidf'\n\
         xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model'\nxmlns:rpid='urn:ietf:params:xml:ns:pidf:rpid'\n\
         xmlns:c='urn:ietf:params:xml:ns:pidf:cipid' entity='sip:1000@192.168.0.24'>\n<tuple id='t6a5ed77e'>\n\
         <status>\n<basic>open</basic>\n</status>\n</tuple>\n<dm:person id='p06360c4a'>\n<dm:note>Available</dm:note>\n\
         </dm:person>\n</presence>\n";
    let ours = freeswitch(&of(ExtensionState::Idle));
    assert_eq!(canonical(&ours), canonical(expected));
    assert!(ours.starts_with("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>"), "{ours}");
}

#[test]
fn freeswitch_says_every_state_in_its_words() {
    use {Activity as A, ExtensionState as E, PresenceValue as P};
    let rows = [
        (of(E::Idle), "open", "Available", None, "open", "online"),
        (of(E::Unavailable), "closed", "Unregistered", None, "closed", "online"),
        (of(E::Removed), "closed", "Unregistered", None, "closed", "online"),
        (of(E::Ringing), "open", "Ring", Some(A::OnThePhone), "inuse", "onthephone"),
        (of(E::InUseRinging), "open", "Ring", Some(A::OnThePhone), "inuse", "onthephone"),
        (of(E::InUse), "open", "On The Phone", Some(A::OnThePhone), "inuse", "onthephone"),
        (of(E::Busy), "open", "On The Phone", Some(A::OnThePhone), "inuse", "onthephone"),
        (of(E::Hold), "open", "Hold", Some(A::OnThePhone), "inuse", "onthephone"),
        (said(P::DoNotDisturb, ""), "open", "Busy", Some(A::Busy), "open", "busy"),
        (said(P::DoNotDisturb, "in a talk"), "open", "in a talk", Some(A::Busy), "open", "busy"),
        (said(P::Away, ""), "open", "Idle", Some(A::Away), "open", "away"),
        (
            said(P::ExtendedAway, "z\u{fc}r\u{fc}ck"),
            "open",
            "z\u{fc}r\u{fc}ck",
            Some(A::Away),
            "open",
            "away",
        ),
        (said(P::NotSet, "unheard"), "open", "Available", None, "open", "online"),
        (Presence::default(), "closed", "Unregistered", None, "closed", "online"),
    ];
    for (presence, basic, note, activity, status, substatus) in rows {
        let ours = freeswitch(&presence);
        assert!(ours.is_ascii(), "{ours}");
        let read = Pidf::decode(ours.as_bytes()).unwrap();
        assert_eq!((read.tuples[0].basic, read.first_note()), (Basic::parse(basic), Some(note)));
        let activities = read.persons[0].rpid.activities.as_ref().map(|said| said.known.clone());
        assert_eq!(activities, activity.map(|one| vec![one]), "{note}");
        assert_eq!(read.entity, VALUES.entity);

        let ours = text(&Xpidf::encode(&presence, "1000", Style::of(Variant::FreeSwitch)));
        for expected in [
            format!("<presentity uri=\"{};method=SUBSCRIBE\"/>", VALUES.entity),
            format!("<note>{note}</note>"),
            format!("<status status=\"{status}\">"),
            format!("<msnsubstatus substatus=\"{substatus}\"/>"),
        ] {
            assert!(ours.contains(&expected), "{expected} is missing:\n{ours}");
        }
        assert!(Document::parse(ours.as_bytes()).is_ok(), "{ours}");
    }
}

#[test]
fn freeswitch_shows_what_was_published() {
    let document = |basic: &str, rest: &str| {
        let body = format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' \
             xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:a@b'><tuple id='a'><status><basic>{basic}</basic>\
             </status></tuple><d:person id='p'>{rest}</d:person></presence>"
        );
        Arc::new(Pidf::decode(body.as_bytes()).unwrap())
    };
    let away = "<r:activities><r:away/></r:activities><d:note>lunch</d:note>";
    let rows: [(Arc<PresenceDocument>, &str, &str, &str); 3] = [
        (document("open", away), "open", "lunch", "away"),
        (document("open", ""), "open", "Available", "online"),
        (document("closed", ""), "closed", "Unregistered", "online"),
    ];
    for (published, basic, note, substatus) in rows {
        let presence = Presence {
            lamp: Some(LampState::of(ExtensionState::Unavailable)),
            published: vec![published],
            ..Presence::default()
        };
        let read = Pidf::decode(freeswitch(&presence).as_bytes()).unwrap();
        assert_eq!((read.tuples[0].basic, read.first_note()), (Basic::parse(basic), Some(note)));
        let ours = text(&Xpidf::encode(&presence, "1000", Style::of(Variant::FreeSwitch)));
        assert!(ours.contains(&format!("substatus=\"{substatus}\"")), "{ours}");
    }
}

#[test]
fn freeswitch_dialogs_are_there_while_there_is_a_call() {
    use {DialogState as D, ExtensionState as E};
    let rows = [
        (E::Idle, None, false),
        (E::Unavailable, None, false),
        (E::Removed, None, false),
        (E::Ringing, Some(D::Early), true),
        (E::InUseRinging, Some(D::Early), true),
        (E::InUse, Some(D::Confirmed), false),
        (E::Busy, Some(D::Confirmed), false),
        // `presence-hold-state` is `early` by default.
        (E::Hold, Some(D::Early), false),
    ];
    for (extension, state, incoming) in rows {
        let ours =
            text(&DialogInfo::encode_lamp(&LampState::of(extension), "1000", Style::of(Variant::FreeSwitch)));
        let read = DialogInfo::decode(ours.as_bytes()).unwrap();
        assert_eq!((read.version, read.partial, read.entity.as_str()), (7, false, VALUES.entity));
        assert_eq!(read.dialogs.first().map(|dialog| dialog.state), state, "{extension}");
        let Some(dialog) = read.dialogs.first() else { continue };
        assert_eq!(dialog.direction == Some(Direction::Recipient), incoming, "{extension}");
        assert_eq!(dialog.is_held(), extension == E::Hold);
        let (local, remote) = (dialog.local.target.as_ref().unwrap(), dialog.remote.target.as_ref().unwrap());
        assert_eq!(dialog.local.identity.as_ref().unwrap().uri, VALUES.entity);
        assert_eq!(local.uri, VALUES.entity);
        assert_eq!(local.params[0].0, "+sip.rendering");
        assert_eq!(remote.uri, "sip:**1000@192.168.0.24");
    }
}

#[test]
fn an_idle_lamp_may_have_no_dialog_where_the_profile_says_so() {
    let dialogs = |extension, variant| {
        let style = Style { empty_when_idle: true, ..Style::of(variant) };
        let ours = text(&DialogInfo::encode_lamp(&LampState::of(extension), "1000", style));
        DialogInfo::decode(ours.as_bytes()).unwrap().dialogs.len()
    };
    for (extension, count) in
        [(ExtensionState::Idle, 0), (ExtensionState::Unavailable, 0), (ExtensionState::InUse, 1)]
    {
        assert_eq!(dialogs(extension, Variant::Rfc), count, "{extension}");
        assert_eq!(dialogs(extension, Variant::Pjsip), 1, "Asterisk always writes one");
    }
    let usual = text(&DialogInfo::encode_lamp(&LampState::default(), "1000", Style::default()));
    assert_eq!(DialogInfo::decode(usual.as_bytes()).unwrap().dialogs[0].state, DialogState::Terminated);
}

/// usecallmanagernz#15: no lamp from activities in another namespace.
#[test]
fn complaint_54_cisco_phones_get_their_own_activities() {
    use {ExtensionState as E, PresenceValue as P};
    let rows: [(Presence, &str, &[&str]); 8] = [
        (of(E::Idle), "open", &[]),
        (of(E::Unavailable), "closed", &[]),
        (of(E::Ringing), "open", &["ce:alerting"]),
        (of(E::InUseRinging), "open", &["ce:alerting"]),
        (of(E::InUse), "open", &["e:on-the-phone"]),
        (of(E::Busy), "open", &["e:on-the-phone", "e:busy"]),
        (of(E::Hold), "open", &["e:on-the-phone"]),
        (said(P::DoNotDisturb, ""), "open", &["ce:dnd"]),
    ];
    for (presence, basic, activities) in rows {
        let style = Style::of(Variant::Cisco);
        let ours = text(&CpimPidf::encode(&presence, "1000", style));
        assert_eq!(ours, text(&Pidf::encode(&presence, "1000", style)));
        let inner: String = activities.iter().map(|name| format!("<{name}/>")).collect();
        let block = match inner.as_str() {
            "" => "<e:activities/>".to_owned(),
            inner => format!("<e:activities>{inner}</e:activities>"),
        };
        assert!(ours.contains(&block), "{block} is missing:\n{ours}");
        for namespace in ["urn:ietf:params:xml:ns:pidf:status:rpid", "urn:cisco:params:xml:ns:pidf:rpid"] {
            assert!(ours.contains(namespace), "{ours}");
        }
        assert_eq!(Pidf::decode(ours.as_bytes()).unwrap().tuples[0].basic, Basic::parse(basic));
    }
}
