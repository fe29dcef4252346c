//! `application/rlmi+xml` (RFC 4662 §5.1): what a NOTIFY tells of a list. Written only.
//!
//! In: the list and those of its members that are told of. Out: a document without holes, since no two watchers share one.

use super::xml_writer::XmlWriter;

/// The content type.
pub const CONTENT_TYPE: &str = "application/rlmi+xml";
/// The namespace of RFC 4662.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:rlmi";

/// What is said of the list.
#[derive(Clone, Copy, Debug)]
pub struct ListHead<'a> {
    /// As the watcher asked for it.
    pub uri: &'a str,
    /// Rises by one with each document.
    pub version: u32,
    /// Every member is in it.
    pub is_full: bool,
    /// For people; may be empty.
    pub name: &'a str,
}

/// One member.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// Its URI, the same in every document.
    pub uri: &'a str,
    /// For people; may be empty.
    pub name: &'a str,
    /// Its virtual subscription; `None` where nothing is known of it yet.
    pub instance: Option<Instance<'a>>,
}

/// A virtual subscription to a member.
#[derive(Clone, Copy, Debug)]
pub struct Instance<'a> {
    /// The same in every document.
    pub id: &'a str,
    /// How it stands.
    pub state: InstanceState,
    /// The Content-ID of its state.
    pub cid: Option<&'a str>,
}

/// How a virtual subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// Its state is told.
    Active,
    /// It waits for a decision.
    Pending,
    /// It is over, or never was, for this reason (RFC 6665 §4.1.3).
    Terminated(&'static str),
}

impl InstanceState {
    const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Terminated(_) => "terminated",
        }
    }
}

/// The document.
pub fn encode<'a>(head: &ListHead<'_>, resources: impl Iterator<Item = Resource<'a>>) -> Vec<u8> {
    let mut w = XmlWriter::new();
    w.open("list").attr("xmlns", NAMESPACE).attr("uri", head.uri);
    w.attr("version", head.version.to_string().as_str());
    w.attr("fullState", if head.is_full { "true" } else { "false" });
    if !head.name.is_empty() {
        w.leaf("name", head.name);
    }
    for resource in resources {
        w.open("resource").attr("uri", resource.uri);
        if !resource.name.is_empty() {
            w.leaf("name", resource.name);
        }
        if let Some(Instance { id, state, cid }) = resource.instance {
            w.open("instance").attr("id", id).attr("state", state.name());
            if let InstanceState::Terminated(reason) = state {
                w.attr("reason", reason);
            }
            w.attr_opt("cid", cid).close();
        }
        w.close();
    }
    w.finish().bytes
}

#[cfg(test)]
mod tests {
    use super::super::xml::Document;
    use super::*;

    #[test]
    fn rfc4662_5_1_the_example_of_the_rfc_comes_out() {
        let at =
            |uri, name, id, state, cid| Resource { uri, name, instance: Some(Instance { id, state, cid }) };
        let rows = [
            at(
                "sip:bob@vancouver.example.com",
                "Bob Smith",
                "juwigmtboe",
                InstanceState::Active,
                Some("12345.aaa@x"),
            ),
            at(
                "sip:jim@vancouver.example.com",
                "Jim",
                "oflzxqzuvg",
                InstanceState::Terminated("rejected"),
                None,
            ),
            at("sip:ed@vancouver.example.com", "Ed", "grqhzsppxb", InstanceState::Pending, None),
            Resource { uri: "sip:a&b@elsewhere.example.com", name: "", instance: None },
        ];
        let head = ListHead {
            uri: "sip:adam-friends@lists.vancouver.example.com",
            version: 7,
            is_full: true,
            name: "Buddy List",
        };
        let body = encode(&head, rows.into_iter());
        let document = Document::parse(&body).unwrap();
        let root = document.root();
        assert!(root.is(NAMESPACE, "list"));
        assert_eq!(
            (root.attr("version"), root.attr("fullState"), root.attr("uri")),
            (Some("7"), Some("true"), Some(head.uri))
        );
        let said: Vec<_> = root
            .children()
            .filter(|child| child.is(NAMESPACE, "resource"))
            .map(|resource| {
                let instance = resource.child(NAMESPACE, "instance");
                let attr = |name| instance.and_then(|instance| instance.attr(name)).unwrap_or("-");
                format!(
                    "{} {} {} {} {}",
                    resource.attr("uri").unwrap(),
                    attr("id"),
                    attr("state"),
                    attr("reason"),
                    attr("cid")
                )
            })
            .collect();
        assert_eq!(
            said,
            [
                "sip:bob@vancouver.example.com juwigmtboe active - 12345.aaa@x",
                "sip:jim@vancouver.example.com oflzxqzuvg terminated rejected -",
                "sip:ed@vancouver.example.com grqhzsppxb pending - -",
                "sip:a&b@elsewhere.example.com - - - -",
            ]
        );
    }
}
