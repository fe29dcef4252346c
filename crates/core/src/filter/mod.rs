//! Event filters (RFC 4660, RFC 4661): what of a resource's state a watcher wants to be told, and when.
//!
//! In: `application/simple-filter+xml` from the body of a SUBSCRIBE, and the documents the watcher would be sent. Out: a
//! [`FilterSet`] that is stored with the subscription; less of a document; whether a change is worth a NOTIFY. [`read`]
//! reads filter sets, [`expression`] the paths in them, [`select`] finds what they mean, [`content`] cuts documents,
//! [`trigger`] compares two of them. It sends nothing.

mod content;
mod expression;
mod read;
mod select;
mod trigger;

use crate::body::xml::Document;
use content::What;
use select::Tree;
use serde::{Deserialize, Serialize};
use trigger::Trigger;

/// The content type of a filter set.
pub(crate) const CONTENT_TYPE: &str = "application/simple-filter+xml";

/// The filters of a subscription, as they are in force and as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterSet {
    filters: Vec<Filter>,
}

/// One filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Filter {
    id: String,
    enabled: bool,
    /// It is for a domain, not for the resource; one for the resource comes before it (RFC 4660 §3.3.2).
    of_domain: bool,
    what: Option<What>,
    triggers: Vec<Trigger>,
}

/// What a filter makes of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filtered {
    /// It stays as it is.
    Whole,
    /// This is left of it.
    Part(String),
    /// Nothing is left of it: the NOTIFY has no body (RFC 4660 §5.3.1).
    Nothing,
}

impl FilterSet {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    fn in_force(&self) -> Option<&Filter> {
        let mut enabled = self.filters.iter().filter(|filter| filter.enabled);
        let first = enabled.clone().find(|filter| !filter.of_domain);
        first.or_else(|| enabled.next())
    }

    /// What it leaves of a document.
    pub(crate) fn cut(&self, body: &[u8]) -> Filtered {
        let Some(what) = self.in_force().and_then(|filter| filter.what.as_ref()) else {
            return Filtered::Whole;
        };
        let Ok(document) = Document::parse(body) else { return Filtered::Nothing };
        match what.apply(&Tree::new(&document)) {
            Ok(Some(part)) => Filtered::Part(part),
            // Why: of a document that costs too much to cut the watcher is told nothing rather than everything.
            Ok(None) | Err(select::TooCostly) => Filtered::Nothing,
        }
    }

    /// Whether some changes are not told.
    pub(crate) fn waits(&self) -> bool {
        self.in_force().is_some_and(|filter| !filter.triggers.is_empty())
    }

    /// Whether the watcher wants to be told of the change from one document to another.
    pub(crate) fn wants(&self, before: &[u8], now: &[u8]) -> bool {
        let Some(filter) = self.in_force().filter(|filter| !filter.triggers.is_empty()) else { return true };
        let (Ok(before), Ok(now)) = (Document::parse(before), Document::parse(now)) else { return true };
        let (before, now) = (Tree::new(&before), Tree::new(&now));
        // Why: a trigger that costs too much to look at has to be taken as pulled, or its watcher would miss something.
        filter.triggers.iter().any(|trigger| trigger.fires(&before, &now).unwrap_or(true))
    }

    /// In a few words, for people.
    pub(crate) fn summary(&self) -> String {
        let one = |filter: &Filter| {
            let parts = filter.what.as_ref().map_or((0, 0), |what| (what.include.len(), what.exclude.len()));
            let state = if filter.enabled { "" } else { " (disabled)" };
            let (include, exclude, triggers) = (parts.0, parts.1, filter.triggers.len());
            format!("{}{state}: {include} included, {exclude} excluded, {triggers} triggers", filter.id)
        };
        self.filters.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const URI: &str = "sip:6001@example.com";

    fn set(inner: &str) -> String {
        format!(
            "<filter-set xmlns='urn:ietf:params:xml:ns:simple-filter'><ns-bindings>\
             <ns-binding prefix='p' urn='urn:ietf:params:xml:ns:pidf'/>\
             <ns-binding prefix='r' urn='urn:ietf:params:xml:ns:pidf:rpid'/>\
             <ns-binding prefix='d' urn='urn:ietf:params:xml:ns:pidf:data-model'/></ns-bindings>{inner}</filter-set>"
        )
    }

    fn what(inner: &str) -> FilterSet {
        let body = set(&format!("<filter id='1'><what>{inner}</what></filter>"));
        FilterSet::default().changed_by(body.as_bytes(), URI, "presence").unwrap()
    }

    /// The document of RFC 4660 §7.1, and what filters may stumble over.
    const DOCUMENT: &str = "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:rpid='urn:ietf:params:xml:ns:pidf:rpid' \
        xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' entity='sip:presentity@example.com'>\
        <tuple id='432sd'><status><basic>closed</basic><x xmlns=''>1<rpid:y a='&lt;'/></x></status><rpid:class>IM</rpid:class>\
        <contact priority='0.5'>im:presentity@example.com</contact></tuple>\
        <tuple id='thr76jk'><status><basic>open</basic></status><rpid:class>voice</rpid:class>\
        <contact>tel:2224055555@example.com</contact><note xml:lang='en'>a &amp; b</note></tuple>\
        <dm:person id='p1'><rpid:activities rpid:since='x'><rpid:away/></rpid:activities></dm:person>\
        <dm:device id='d1'><rpid:user-input last-input='y'>idle</rpid:user-input><dm:deviceID>urn:x</dm:deviceID></dm:device>\
        </presence>";

    /// Every element with its path, attributes and text, and how often there is such a one.
    fn parts(xml: &str) -> BTreeMap<String, usize> {
        fn add(element: crate::body::xml::Element<'_>, path: &str, parts: &mut BTreeMap<String, usize>) {
            let path = format!("{path}/{{{}}}{}", element.namespace(), element.name());
            *parts.entry(path.clone()).or_default() += 1;
            for a in element.attrs() {
                *parts.entry(format!("{path}@{{{}}}{}={:?}", a.namespace, a.name, a.value)).or_default() += 1;
            }
            if !element.trimmed().is_empty() {
                *parts.entry(format!("{path}={:?}", element.trimmed())).or_default() += 1;
            }
            element.children().for_each(|child| add(child, &path, parts));
        }
        let document = Document::parse(xml.as_bytes()).unwrap_or_else(|error| panic!("{error} in {xml}"));
        let mut found = BTreeMap::new();
        add(document.root(), "", &mut found);
        found
    }

    fn cut(inner: &str) -> Option<String> {
        match what(inner).cut(DOCUMENT.as_bytes()) {
            Filtered::Whole => Some(DOCUMENT.to_owned()),
            Filtered::Part(part) => Some(part),
            Filtered::Nothing => None,
        }
    }

    #[test]
    fn rfc4660_5_3_1_what_is_left_is_valid_and_all_that_was_asked_for() {
        for (inner, has, lacks) in [
            (
                "<include>/p:presence/p:tuple[r:class='IM' or r:class='MMS']/p:status/p:basic</include>",
                "432sd closed",
                "thr76jk IM contact person note",
            ),
            ("<include>//p:contact</include>", "432sd thr76jk closed open tel: im: 0.5", "IM note person"),
            ("<include>//p:contact/@priority</include>", "432sd closed 0.5 contact", "thr76jk im: note"),
            ("<include>//d:device/r:user-input</include>", "d1 idle last-input urn:x", "tuple person"),
            (
                "<include type='namespace'>urn:ietf:params:xml:ns:pidf</include>",
                "open tel: note",
                "class person rpid",
            ),
            (
                "<include type='namespace'>urn:ietf:params:xml:ns:pidf</include><exclude>//p:note</exclude>",
                "tel:",
                "&amp;",
            ),
            (
                "<exclude>//r:class</exclude><exclude>//p:contact/@priority</exclude>",
                "im: note away",
                "IM voice 0.5",
            ),
            // What is mandatory is not excluded.
            ("<exclude>//p:status</exclude><exclude>//@id</exclude>", "closed open 432sd", "-"),
            ("<exclude>/presence</exclude>", "tuple person", "-"),
            ("<exclude type='namespace'>urn:ietf:params:xml:ns:pidf</exclude>", "person", "tuple contact"),
        ] {
            let part = cut(inner).unwrap();
            for text in has.split(' ') {
                assert!(part.contains(text), "{inner}: no {text} in {part}");
            }
            for text in lacks.split(' ').filter(|text| *text != "-") {
                assert!(!part.contains(text), "{inner}: {text} in {part}");
            }
        }
        assert_eq!(cut("<include>//r:nothing</include>"), None);
        assert_eq!(what("").cut(DOCUMENT.as_bytes()), Filtered::Whole);
    }

    #[test]
    fn rfc4660_5_2_filters_are_changed_by_their_ids() {
        let basic = "<what><include>//p:basic</include></what>";
        let mut known = FilterSet::default();
        for (inner, in_force) in [
            (format!("<filter id='1'>{basic}</filter>"), Some("1")),
            ("<filter id='1' enabled='false'/>".to_owned(), None),
            ("<filter id='1' enabled='1'/>".to_owned(), Some("1")),
            (format!("<filter id='2' domain='example.com'>{basic}</filter>"), Some("1")),
            ("<filter id='1' remove='true'/>".to_owned(), Some("2")),
            ("<filter id='7' remove='true'/>".to_owned(), Some("2")),
            (format!("<filter id='3' uri='sip:6001@example.com'>{basic}</filter>"), Some("3")),
            (format!("<filter id='4' uri='sip:6002@example.com'>{basic}</filter>"), Some("3")),
        ] {
            known = known.changed_by(set(&inner).as_bytes(), URI, "presence").unwrap();
            assert_eq!(known.in_force().map(|filter| filter.id.as_str()), in_force, "{inner}");
            let stored = postcard::to_allocvec(&known).unwrap();
            assert_eq!(postcard::from_bytes::<FilterSet>(&stored).unwrap(), known);
        }
        let second = set(&format!("<filter id='9'>{basic}</filter>"));
        assert!(known.changed_by(second.as_bytes(), URI, "presence").is_err());
    }

    #[test]
    fn what_is_over_a_bound_is_refused() {
        let includes = |n| "<include>//p:a</include>".repeat(n);
        for (inner, fits) in [
            (format!("<filter id='1'><what>{}</what></filter>", includes(32)), true),
            (format!("<filter id='1'><what>{}</what></filter>", includes(33)), false),
            (format!("<filter id='{}'><what>{}</what></filter>", "x".repeat(9000), includes(1)), false),
            ((0..8).map(|n| format!("<filter id='{n}' enabled='false'/>")).collect(), false),
        ] {
            let read = FilterSet::default().changed_by(set(&inner).as_bytes(), URI, "presence");
            assert_eq!(read.is_ok(), fits, "{:?}", read.err());
        }
    }

    fn expression() -> impl Strategy<Value = String> {
        let names = prop::sample::select(vec![
            "*",
            "p:presence",
            "p:tuple",
            "p:status",
            "p:basic",
            "r:class",
            "p:contact",
            "p:note",
            "d:person",
            "d:device",
            "r:activities",
            "tuple",
            "d:deviceID",
        ]);
        let conditions =
            prop::sample::select(vec!["", "", "", "[.='open']", "[p:status/p:basic='open']", "[@id='d1']"]);
        let step = (prop::bool::ANY, names, conditions).prop_map(|(deep, name, condition)| {
            format!("{}{name}{condition}", if deep { "//" } else { "/" })
        });
        let attribute =
            prop::sample::select(vec!["", "", "", "/@id", "/@priority", "//@r:since", "/@xml-no"]);
        (prop::collection::vec(step, 1..4), attribute)
            .prop_map(|(steps, attribute)| steps.concat() + attribute)
    }

    fn selector() -> impl Strategy<Value = String> {
        let kind = prop::sample::select(vec!["include", "exclude"]);
        let namespace = prop::sample::select(vec!["pidf", "pidf:rpid", "pidf:data-model"])
            .prop_map(|name| format!(" type='namespace'>urn:ietf:params:xml:ns:{name}"));
        let value = prop_oneof![3 => expression().prop_map(|path| format!(">{path}")), 1 => namespace];
        (kind, value).prop_map(|(kind, value)| format!("<{kind}{value}</{kind}>"))
    }

    proptest! {
        #[test]
        fn a_filtered_document_has_nothing_that_the_whole_one_lacks(
            selectors in prop::collection::vec(selector(), 1..6)
        ) {
            let whole = parts(DOCUMENT);
            if let Some(part) = cut(&selectors.concat()) {
                let left = parts(&part);
                for (path, count) in &left {
                    prop_assert!(whole.get(path).is_some_and(|all| all >= count), "{path} in {part}");
                }
                // And what the schema wants is there.
                let count = |path: &str| left.get(path).copied().unwrap_or(0);
                let tuple = "/{urn:ietf:params:xml:ns:pidf}presence/{urn:ietf:params:xml:ns:pidf}tuple";
                prop_assert_eq!(count(tuple), count(&format!("{tuple}/{{urn:ietf:params:xml:ns:pidf}}status")));
            }
        }
    }
}
