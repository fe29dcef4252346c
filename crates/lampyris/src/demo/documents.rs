//! What the demo's phones publish of their owners: PIDF with an RPID activity.

/// The content type.
pub(super) const CONTENT_TYPE: &str = "application/pidf+xml";

/// A person who does this (an activity of RFC 4480, or none) and says so.
pub(super) fn presence(aor: &str, activity: &str, note: &str) -> String {
    let activity = if activity.is_empty() {
        String::new()
    } else {
        format!("<rpid:activities><rpid:{activity}/></rpid:activities>")
    };
    format!(
        "<?xml version=\"1.0\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" \
         entity=\"{aor}\"><tuple id=\"demo\"><status><basic>open</basic></status></tuple>\
         <dm:person id=\"p\">{activity}<dm:note>{note}</dm:note></dm:person></presence>\n"
    )
}
