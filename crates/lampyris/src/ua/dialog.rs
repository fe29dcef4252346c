//! A dialog as one of its two users keeps it (RFC 3261 §12): who, tags, remote target and route set.
//!
//! In: the request or response that makes it, and what refreshes its target. Out: what its requests are addressed with.
//! It sends nothing and does not know what the dialog is for.

use super::line::Request;
use super::wire::token;
use lampyris_sip::{Contact, Message, Method, Name};

/// One side of a dialog.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    /// From of its requests, with our tag.
    pub(super) local: String,
    pub(super) local_tag: String,
    /// To of its requests; with a tag once the other side has sent one.
    pub(super) remote: String,
    pub(super) remote_tag: Option<String>,
    /// The Request-URI of its requests.
    pub(super) target: String,
    /// Route of its requests, in the order of use.
    pub(super) routes: Vec<String>,
}

impl Dialog {
    /// The dialog that a first request to `uri` may make.
    pub(super) fn begun(local: &str, uri: &str) -> Self {
        let local_tag = token();
        Self {
            call_id: token(),
            local: format!("{local};tag={local_tag}"),
            local_tag,
            remote: format!("<{uri}>"),
            remote_tag: None,
            target: uri.to_owned(),
            routes: Vec::new(),
        }
    }

    /// The dialog that answering this request makes (RFC 3261 §12.1.1).
    pub(super) fn invited(request: &Message) -> Self {
        let local_tag = token();
        let text = |name| request.header(name).unwrap_or("").to_owned();
        let mut dialog = Self {
            call_id: request.call_id().to_owned(),
            local: format!("{};tag={local_tag}", text(Name::To)),
            local_tag,
            remote: text(Name::From),
            remote_tag: request.from_tag().map(str::to_owned),
            target: request.from().uri().to_owned(),
            routes: request.values(Name::RecordRoute).map(str::to_owned).collect(),
        };
        dialog.refresh(request);
        dialog
    }

    /// A response brings the other side's tag and the route to it (RFC 3261 §12.1.2); once answered, neither changes.
    pub(super) fn learn(&mut self, response: &Message) {
        let Some(tag) = response.to_tag() else { return };
        if let Some(to) = response.header(Name::To) {
            to.clone_into(&mut self.remote);
        }
        self.remote_tag = Some(tag.to_owned());
        self.routes = response.values(Name::RecordRoute).map(str::to_owned).collect();
        self.routes.reverse();
        self.refresh(response);
    }

    /// A target refresh (RFC 3261 §12.2): the other side's new Contact.
    pub(super) fn refresh(&mut self, message: &Message) {
        if let Some(contact) = message.contacts().find_map(Contact::addr) {
            contact.uri().clone_into(&mut self.target);
        }
    }

    /// A request in it, or the one that may begin it.
    pub(super) fn request<'a>(&'a self, method: Method<'a>, headers: &'a [(Name, String)]) -> Request<'a> {
        Request {
            method,
            uri: &self.target,
            from: &self.local,
            to: &self.remote,
            call_id: &self.call_id,
            routes: &self.routes,
            headers,
            body: None,
        }
    }

    /// The user part of the other side.
    pub(super) fn remote_user(&self) -> &str {
        let uri = self.remote.split_once("sip:").map_or("", |(_, uri)| uri);
        uri.split(['@', '>', ';']).next().unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_keep_the_same_dialog() {
        let mut caller = Dialog::begun("\"Alice\" <sip:Alice@x>", "sip:6001@x");
        let invite = format!(
            "INVITE sip:Bob@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\n\
             Record-Route: <sip:two;lr>\r\nRecord-Route: <sip:one;lr>\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:Alice@10.0.0.1>\r\n\r\n",
            caller.local, caller.remote, caller.call_id
        );
        let callee = Dialog::invited(&Message::parse(invite.clone().into()).unwrap());
        let ok = invite
            .replace("INVITE sip:Bob@10.0.0.2 SIP/2.0", "SIP/2.0 200 OK")
            .replace(&format!("To: {}", caller.remote), &format!("To: {}", callee.local))
            .replace("Alice@10.0.0.1", "Bob@10.0.0.2");
        caller.learn(&Message::parse(ok.into()).unwrap());
        assert_eq!(
            (caller.target.as_str(), callee.target.as_str()),
            ("sip:Bob@10.0.0.2", "sip:Alice@10.0.0.1")
        );
        assert_eq!(caller.routes, ["<sip:one;lr>", "<sip:two;lr>"]);
        assert_eq!(callee.routes, ["<sip:two;lr>", "<sip:one;lr>"]);
        assert_eq!((&caller.remote, &caller.local), (&callee.local, &callee.remote));
        assert_eq!(caller.remote_tag.as_deref(), Some(callee.local_tag.as_str()));
        assert_eq!((caller.remote_user(), callee.remote_user()), ("6001", "Alice"));
    }
}
