//! `application/resource-lists+xml` and `application/rls-services+xml` (RFC 4826): lists as documents.
//!
//! In: a document. Out: its entries, lists inside lists laid flat, and services with the URIs they answer to. References
//! (`entry-ref`, `external`) lead to an XCAP server, which is not here; they are counted and left out (RFC 5367 §4).

use super::{List, Member, What};
use crate::body::BodyError;
use crate::body::xml::{Document, Element};
use crate::limits;

/// The content type of a list.
pub const CONTENT_TYPE: &str = "application/resource-lists+xml";
/// Its namespace.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:resource-lists";
/// The namespace of services.
pub const SERVICES_NAMESPACE: &str = "urn:ietf:params:xml:ns:rls-services";

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub enum ListDocument {
    /// One list.
    List(List),
    /// Services: lists, each with its URI.
    Services(Vec<(String, List)>),
}

/// One entry: its URI, and its name for people, which may be empty.
pub type Entry = (String, String);

/// The entries of a `resource-lists` document.
///
/// # Errors
/// 400: not well-formed, not such a document, an entry without URI, or too many of them.
pub fn entries(body: &[u8]) -> Result<Vec<Entry>, BodyError> {
    let document = Document::parse(body)?;
    let root = document.root();
    if !root.is(NAMESPACE, "resource-lists") {
        return Err(document.error(root, "not a resource list"));
    }
    let mut found = Vec::new();
    for list in root.children().filter(|child| child.is(NAMESPACE, "list")) {
        collect(&document, list, &mut found)?;
    }
    Ok(found)
}

/// Reads either kind of document.
///
/// # Errors
/// As [`entries`].
pub fn read(body: &[u8]) -> Result<ListDocument, BodyError> {
    let document = Document::parse(body)?;
    let root = document.root();
    if !root.is(SERVICES_NAMESPACE, "rls-services") {
        return entries(body)
            .map(|entries| ListDocument::List(List { members: members(entries), ..List::default() }));
    }
    let mut services = Vec::new();
    for service in root.children().filter(|child| child.is(SERVICES_NAMESPACE, "service")) {
        let Some(uri) = service.attr("uri") else {
            return Err(document.error(service, "a service without uri"));
        };
        let Some(list) = service.child(SERVICES_NAMESPACE, "list") else {
            return Err(document.error(service, "a service without a list of its own"));
        };
        let mut found = Vec::new();
        collect(&document, list, &mut found)?;
        let packages = service.child(SERVICES_NAMESPACE, "packages").into_iter().flat_map(Element::children);
        let packages = packages.filter(|package| package.is(SERVICES_NAMESPACE, "package"));
        let packages = packages.map(|package| package.trimmed().into_owned()).collect();
        services.push((uri.to_owned(), List { members: members(found), packages, ..List::default() }));
    }
    Ok(ListDocument::Services(services))
}

fn members(entries: Vec<Entry>) -> Vec<Member> {
    entries.into_iter().map(|(uri, display)| Member { what: What::Uri(uri), display }).collect()
}

fn collect(document: &Document<'_>, list: Element<'_>, found: &mut Vec<Entry>) -> Result<(), BodyError> {
    for child in list.children() {
        if child.is(NAMESPACE, "list") {
            // Invariant: the reader bounds the depth of elements.
            collect(document, child, found)?;
        } else if child.is(NAMESPACE, "entry") {
            let Some(uri) = child.attr("uri") else {
                return Err(document.error(child, "an entry without uri"));
            };
            if uri.len() > limits::URI_BYTES_MAX {
                return Err(document.error(child, "a uri that is too long"));
            }
            if found.len() >= limits::LIST_MEMBERS_MAX {
                return Err(document.error(child, "too many entries"));
            }
            let name = child.child(NAMESPACE, "display-name").map(|name| name.trimmed().into_owned());
            let mut name = name.unwrap_or_default();
            name.truncate(name.floor_char_boundary(limits::LIST_NAME_BYTES_MAX));
            found.push((uri.trim().to_owned(), name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4826_3_lists_inside_lists_are_laid_flat() {
        let text = br#"<?xml version="1.0" encoding="UTF-8"?>
            <resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list name="friends">
            <entry uri="sip:bill@example.com"><display-name>Bill Doe</display-name></entry>
            <entry-ref ref="resource-lists/users/sip:bill@example.com/index/~~/x"/>
            <list name="close-friends"><display-name>Close Friends</display-name>
            <entry uri="sip:joe@example.com"/><external anchor="http://xcap.example.org/x"/></list>
            </list><list><entry uri="sip:ted@example.com"/></list></resource-lists>"#;
        let found = entries(text).unwrap();
        let want =
            [("sip:bill@example.com", "Bill Doe"), ("sip:joe@example.com", ""), ("sip:ted@example.com", "")];
        assert_eq!(found, want.map(|(uri, name)| (uri.to_owned(), name.to_owned())));
    }

    #[test]
    fn rfc4826_4_services_have_their_uris_and_packages() {
        let text = br#"<rls-services xmlns="urn:ietf:params:xml:ns:rls-services" xmlns:rl="urn:ietf:params:xml:ns:resource-lists">
            <service uri="sip:marketing@example.com"><list name="marketing"><rl:entry uri="sip:joe@example.com"/></list>
            <packages><package>presence</package></packages></service></rls-services>"#;
        let Ok(ListDocument::Services(services)) = read(text) else { panic!("no services") };
        assert_eq!(services.len(), 1);
        let (uri, list) = &services[0];
        assert_eq!(
            (uri.as_str(), list.packages.as_slice()),
            ("sip:marketing@example.com", &["presence".to_owned()][..])
        );
        assert_eq!(list.members.len(), 1);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [
            "<presence xmlns='urn:ietf:params:xml:ns:pidf'/>",
            "<resource-lists xmlns='urn:ietf:params:xml:ns:resource-lists'><list><entry/></list></resource-lists>",
            "<rls-services xmlns='urn:ietf:params:xml:ns:rls-services'><service uri='sip:a@b'/></rls-services>",
            "",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        let entry = "<entry uri='sip:a@b'/>".repeat(limits::LIST_MEMBERS_MAX + 1);
        let many = format!("<resource-lists xmlns='{NAMESPACE}'><list>{entry}</list></resource-lists>");
        assert!(read(many.as_bytes()).is_err());
    }
}
