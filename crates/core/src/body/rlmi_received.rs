//! `application/rlmi+xml` (RFC 4662 §5.1), read as a client: which members of a list have which state.
//!
//! In: the root part of a multipart/related body. Out: [`Rlmi`]. Where the states themselves are is the caller's to find,
//! by `cid`. Names, which are for people, are not kept.

use super::BodyError;
use super::xml::{Document, Element};

/// The content type.
pub const CONTENT_TYPE: &str = "application/rlmi+xml";
/// The namespace.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:rlmi";

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rlmi {
    /// The list's URI.
    pub uri: String,
    /// Rises by one with each document of a subscription.
    pub version: u32,
    /// Names every member; else those that changed.
    pub full: bool,
    /// The members.
    pub resources: Vec<ListResource>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListResource {
    /// Its URI.
    pub uri: String,
    /// What is known of it: none, or one for each virtual subscription.
    pub instances: Vec<Instance>,
}

/// One virtual subscription to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Tells it from the member's others.
    pub id: String,
    /// Whether it is terminated.
    pub is_terminated: bool,
    /// Content-ID of the part with its state.
    pub cid: Option<String>,
}

impl Rlmi {
    /// Reads a document.
    ///
    /// # Errors
    /// 400 with the place: not well-formed, or without what RFC 4662 §5.1 says must be there.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        let document = Document::parse(body)?;
        let root = document.root();
        if !root.is(NAMESPACE, "list") {
            return Err(document.error(root, "the root is not <list>"));
        }
        let need = |element: Element<'_>, name, reason| {
            element.attr(name).map(str::to_owned).ok_or_else(|| document.error(element, reason))
        };
        let version = root.attr("version").and_then(|text| text.trim().parse().ok());
        let full = match root.attr("fullState").map(str::trim) {
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            _ => return Err(document.error(root, "no fullState")),
        };
        let mut resources = Vec::new();
        for element in root.children().filter(|child| child.is(NAMESPACE, "resource")) {
            let mut instances = Vec::new();
            for instance in element.children().filter(|child| child.is(NAMESPACE, "instance")) {
                instances.push(Instance {
                    id: need(instance, "id", "an instance without id")?,
                    is_terminated: need(instance, "state", "an instance without state")? == "terminated",
                    cid: instance.attr("cid").map(|cid| cid.trim_matches(['<', '>']).to_owned()),
                });
            }
            resources.push(ListResource { uri: need(element, "uri", "a resource without uri")?, instances });
        }
        Ok(Self {
            uri: need(root, "uri", "no uri")?,
            version: version.ok_or_else(|| document.error(root, "no version"))?,
            full,
            resources,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4662_5_5_is_read() {
        let text = br#"<?xml version="1.0" encoding="UTF-8"?>
            <list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:adam-friends@pres.vancouver.example.com" version="7"
                  fullState="true"><name xml:lang="en">Buddy List</name>
              <resource uri="sip:bob@vancouver.example.com"><name>Bob Smith</name>
                <instance id="juwigmtboe" state="active" cid="bUZBsM@pres.vancouver.example.com"/></resource>
              <resource uri="sip:dave@vancouver.example.com"><instance id="x" state="terminated" reason="rejected"/>
              </resource><resource uri="sip:ed@dallas.example.net"/></list>"#;
        let list = Rlmi::decode(text).expect("a list");
        assert_eq!((list.version, list.full, list.resources.len()), (7, true, 3));
        let instance = |id: &str, is_terminated, cid: Option<&str>| {
            vec![Instance { id: id.into(), is_terminated, cid: cid.map(str::to_owned) }]
        };
        let want = instance("juwigmtboe", false, Some("bUZBsM@pres.vancouver.example.com"));
        assert_eq!(list.resources[0].instances, want);
        assert_eq!(list.resources[1].instances, instance("x", true, None));
        assert_eq!(list.resources[2].uri, "sip:ed@dallas.example.net");
    }

    #[test]
    fn what_must_be_there_is() {
        let list = |attributes: &str, inner: &str| {
            let text = format!("<list xmlns=\"{NAMESPACE}\" {attributes}>{inner}</list>");
            Rlmi::decode(text.as_bytes()).map(|list| list.version)
        };
        assert_eq!(list("uri='sip:l' version='0' fullState='false'", "").expect("a list"), 0);
        for (attributes, inner) in [
            ("version='0' fullState='true'", ""),
            ("uri='sip:l' fullState='true'", ""),
            ("uri='sip:l' version='-1' fullState='true'", ""),
            ("uri='sip:l' version='0'", ""),
            ("uri='sip:l' version='0' fullState='true'", "<resource/>"),
            (
                "uri='sip:l' version='0' fullState='true'",
                "<resource uri='sip:a'><instance id='1'/></resource>",
            ),
        ] {
            assert!(list(attributes, inner).is_err(), "{attributes} {inner}");
        }
    }
}
