//! What the demo's phones publish: a call as RFC 4235 dialog-info, a person as PIDF with an RPID activity.

use super::office::Act;

/// A published document: package, content type, body.
pub(super) type Publication = (&'static str, &'static str, String);

/// What a phone with this AOR publishes when it does this.
pub(super) fn publication(aor: &str, act: Act) -> Publication {
    match act {
        Act::Ring => dialog(aor, "early", false),
        Act::Answer | Act::Resume => dialog(aor, "confirmed", false),
        Act::Hold => dialog(aor, "confirmed", true),
        Act::HangUp => dialog(aor, "terminated", false),
        Act::Away(note) => presence(aor, "away", note),
        Act::Busy(note) => presence(aor, "meeting", note),
        Act::Back => presence(aor, "", "Available"),
    }
}

fn dialog(aor: &str, state: &str, held: bool) -> Publication {
    let local = if held {
        format!(
            "<local><identity>{aor}</identity><target uri=\"{aor}\"><param pname=\"+sip.rendering\" pvalue=\"no\"/>\
             </target></local>"
        )
    } else {
        format!("<local><identity>{aor}</identity></local>")
    };
    let body = format!(
        "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"full\" \
         entity=\"{aor}\"><dialog id=\"demo\" call-id=\"demo\" local-tag=\"1\" remote-tag=\"2\" direction=\"recipient\">\
         <state>{state}</state>{local}</dialog></dialog-info>\n"
    );
    ("dialog", "application/dialog-info+xml", body)
}

fn presence(aor: &str, activity: &str, note: &str) -> Publication {
    let activity = if activity.is_empty() {
        String::new()
    } else {
        format!("<rpid:activities><rpid:{activity}/></rpid:activities>")
    };
    let body = format!(
        "<?xml version=\"1.0\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" \
         entity=\"{aor}\"><tuple id=\"demo\"><status><basic>open</basic></status></tuple>\
         <dm:person id=\"p\">{activity}<dm:note>{note}</dm:note></dm:person></presence>\n"
    );
    ("presence", "application/pidf+xml", body)
}
