//! Patches applied, refused, found and applied again.

use super::*;
use proptest::prelude::*;

fn tree(xml: &str) -> Tree {
    Tree::of(Document::parse(xml.as_bytes()).unwrap().root())
}

/// `operations` applied to `document`.
fn patched(document: &str, operations: &str) -> Result<String, &'static str> {
    let patch = format!(
        "<p:d xmlns='urn:t' xmlns:p='urn:p' xmlns:x='urn:x'>{}</p:d>",
        operations
            .replace("<add", "<p:add")
            .replace("/add>", "/p:add>")
            .replace("<replace", "<p:replace")
            .replace("/replace>", "/p:replace>")
            .replace("<remove", "<p:remove")
    );
    let patch = Document::parse(patch.as_bytes()).unwrap();
    let mut tree = tree(document);
    apply(&mut tree, &patch, "urn:p").map_err(|error| error.reason)?;
    Ok(tree.to_xml())
}

const DOCUMENT: &str =
    "<r xmlns='urn:t' xmlns:y='urn:x'><t id='a'><s>1</s></t><t id='b'><s>2</s></t><y:n k='v'>x</y:n></r>";

#[test]
fn each_operation_does_what_rfc_5261_says() {
    let root = |inside: &str| tree(&format!("<r xmlns='urn:t' xmlns:y='urn:x'>{inside}</r>"));
    let (a, b, n) = ("<t id='a'><s>1</s></t>", "<t id='b'><s>2</s></t>", "<y:n k='v'>x</y:n>");
    for (operations, inside) in [
        ("<add sel='r'><t id='c'/></add>", format!("{a}{b}{n}<t id='c'/>")),
        ("<add sel='*' pos='prepend'><t id='c'/></add>", format!("<t id='c'/>{a}{b}{n}")),
        ("<add sel='/r/t[2]' pos='before'><t id='c'/><u/></add>", format!("{a}<t id='c'/><u/>{b}{n}")),
        ("<add sel='r/t[1]' pos='after'><x:m/></add>", format!("{a}<y:m/>{b}{n}")),
        ("<add sel=\"r/t[@id='b']\" type='@q'>7</add>", format!("{a}<t id='b' q='7'><s>2</s></t>{n}")),
        ("<add sel='r/x:n'>y</add>", format!("{a}{b}<y:n k='v'>xy</y:n>")),
        ("<add sel='r' type='namespace::z'>urn:z</add>", format!("{a}{b}{n}")),
        ("<replace sel=\"*/t[s='1']/s\"><s>3</s></replace>", format!("<t id='a'><s>3</s></t>{b}{n}")),
        ("<replace sel=\"r/t/s[.='2']/text()\">4</replace>", format!("{a}<t id='b'><s>4</s></t>{n}")),
        ("<replace sel='r/x:n/@k'>w</replace>", format!("{a}{b}<y:n k='w'>x</y:n>")),
        ("<remove sel=\"id('a')\"/><remove sel='*/*[2]/@k'/>", format!("{b}<y:n>x</y:n>")),
        ("<remove sel='r/x:n/text()'/>", format!("{a}{b}<y:n k='v'/>")),
    ] {
        let done = patched(DOCUMENT, operations).unwrap_or_else(|error| panic!("{operations}: {error}"));
        assert_eq!(tree(&done), root(&inside), "{operations}");
    }
}

#[test]
fn an_operation_that_cannot_be_done_is_refused() {
    for (operations, reason) in [
        ("<remove sel='r/u'/>", "selector finds nothing"),
        ("<remove sel='r/n'/>", "selector finds nothing"),
        ("<remove sel='r/t'/>", "selector finds more than one node"),
        ("<remove sel='r/t[3]'/>", "selector finds nothing"),
        ("<remove sel='r/t[0]'/>", "selector finds nothing"),
        ("<remove sel=\"id('z')\"/>", "selector finds nothing"),
        ("<remove sel='r/t[1]/@z'/>", "selector finds no attribute"),
        ("<remove sel='r/z:n'/>", "prefix in a selector not declared"),
        ("<remove sel='r/comment()'/>", "selector not understood"),
        ("<remove sel='r//t'/>", "selector not understood"),
        ("<remove sel='r/t[1][1][1][1][1]'/>", "selector not understood"),
        ("<remove sel='r/t[@id=a]'/>", "selector not understood"),
        ("<remove sel='r'/>", "the root element can only be added to"),
        ("<remove/>", "patch operation without sel"),
        ("<replace sel='r/t[1]'>x</replace>", "an element is replaced by one element"),
        ("<replace sel='r/t[1]'><a/><b/></replace>", "an element is replaced by one element"),
        ("<add sel='r/t[1]' type='@id'>x</add>", "attribute added twice"),
        ("<add sel='r' pos='over'><a/></add>", "the root element can only be added to"),
        ("<add sel='r/t[1]' pos='over'><a/></add>", "pos of addition not known"),
        ("<p:move sel='r'/>", "not a patch operation"),
        ("<x:add sel='r'/>", "not a patch operation"),
    ] {
        assert_eq!(patched(DOCUMENT, operations), Err(reason), "{operations}");
    }
    let many = "<add sel='*'/>".repeat(limits::PATCH_OPERATIONS_MAX + 1);
    assert_eq!(patched(DOCUMENT, &many), Err("too many patch operations"));
    let deep: String =
        (0..40).map(|at| format!("<add sel=\"id('d{at}')\"><t id='d{}'/></add>", at + 1)).collect();
    let deep = format!("<add sel='r'><t id='d0'/></add>{deep}");
    assert_eq!(patched(DOCUMENT, &deep), Err("elements nested too deep"));
}

fn element(depth: u32) -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "y:c"]);
    let id = prop::option::of(prop::sample::select(vec!["i", "j", "k", "not a name'"]));
    let tag = |(name, id): (&str, Option<&str>), inside: &str| {
        let id = id.map_or_else(String::new, |id| format!(" id=\"{id}\""));
        format!("<{name}{id}>{inside}</{name}>")
    };
    let leaf = ((name.clone(), id.clone()), "[xyz]{0,2}").prop_map(move |(start, text)| tag(start, &text));
    leaf.prop_recursive(depth, 24, 5, move |inner| {
        ((name.clone(), id.clone()), prop::collection::vec(inner, 0..5))
            .prop_map(move |(start, inside)| tag(start, &inside.concat()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn what_changed_applied_to_the_old_is_the_new(
        old in prop::collection::vec(element(3), 0..6),
        new in prop::collection::vec(element(3), 0..6),
        kept in prop::collection::vec(element(2), 0..3),
    ) {
        let document = |parts: &[String]| {
            tree(&format!("<r xmlns='urn:t' xmlns:y='urn:y'>{}{}</r>", parts.concat(), kept.concat()))
        };
        let (mut old, new) = (document(&old), document(&new));
        let changes = diff::between(&old, &new, "urn:t").unwrap();
        let xml = format!("<p:d{} xmlns:p='urn:p'>{}</p:d>", changes.declarations, changes.xml);
        let patch = Document::parse(xml.as_bytes()).unwrap();
        if let Err(error) = apply(&mut old, &patch, "urn:p") {
            prop_assert!(false, "{} in {}", error, xml);
        }
        prop_assert_eq!(&old, &new, "{}", xml);
    }

    #[test]
    fn no_selector_or_patch_breaks_it(selector in "[a-z*/@\\[\\]='\"().:0-9]{0,40}", content in element(2)) {
        let patch = format!(
            "<p:d xmlns='urn:t' xmlns:p='urn:p' xmlns:y='urn:y'><p:add sel=\"{}\">{content}</p:add></p:d>",
            selector.replace('"', "&quot;")
        );
        if let Ok(patch) = Document::parse(patch.as_bytes()) {
            let _ = apply(&mut tree(DOCUMENT), &patch, "urn:p");
        }
    }
}
