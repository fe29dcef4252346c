//! XML from hostile peers: each body is refused at its place, or read within the bounds.

use lampyris_core::body::BodyError;
use lampyris_core::body::dialog_info::DialogInfo;
use lampyris_core::body::message_summary::MessageSummary;
use lampyris_core::body::pidf::Pidf;
use lampyris_core::body::xml::{Document, canonical};
use lampyris_core::limits::{
    XML_ATTRIBUTES_PER_ELEMENT_MAX, XML_BYTES_MAX, XML_DEPTH_MAX, XML_NAMESPACE_BYTES_MAX,
    XML_NAMESPACES_MAX, XML_NODES_MAX, XML_TAG_BYTES_MAX,
};

fn error(body: impl AsRef<[u8]>) -> BodyError {
    match Document::parse(body.as_ref()) {
        Err(error) => error,
        Ok(_) => {
            panic!("taken: {}", String::from_utf8_lossy(body.as_ref()).chars().take(200).collect::<String>())
        }
    }
}

fn nested(depth: usize) -> String {
    format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth))
}

fn attributes(count: usize) -> String {
    format!("<a{}/>", (0..count).map(|at| format!(" a{at}='1'")).collect::<String>())
}

#[test]
fn what_is_over_a_bound_is_refused_and_what_is_at_it_is_read() {
    let namespaces = |count: usize| {
        let children = (0..count).map(|at| format!("<b xmlns:n{at}='urn:{at}'/>"));
        format!("<a>{}</a>", children.collect::<String>())
    };
    let named = |len: usize| format!("<a xmlns='{}'/>", "u".repeat(len));
    let sized = |len: usize| format!("<a>{}</a>", "x".repeat(len - 7));
    let tagged = |len: usize| format!("<a b='{}'/>", "x".repeat(len - 6));
    let filled = |count: usize| format!("<a>{}</a>", "<b/>".repeat(count - 1));
    let rows: [(&str, String, String); 7] = [
        ("elements nested too deep", nested(XML_DEPTH_MAX), nested(XML_DEPTH_MAX + 1)),
        (
            "too many attributes",
            attributes(XML_ATTRIBUTES_PER_ELEMENT_MAX),
            attributes(XML_ATTRIBUTES_PER_ELEMENT_MAX + 1),
        ),
        ("too many namespaces", namespaces(XML_NAMESPACES_MAX - 2), namespaces(XML_NAMESPACES_MAX - 1)),
        ("namespace name too long", named(XML_NAMESPACE_BYTES_MAX), named(XML_NAMESPACE_BYTES_MAX + 1)),
        ("XML body too large", sized(XML_BYTES_MAX), sized(XML_BYTES_MAX + 1)),
        ("start tag too long", tagged(XML_TAG_BYTES_MAX), tagged(XML_TAG_BYTES_MAX + 1)),
        ("too many elements", filled(XML_NODES_MAX), filled(XML_NODES_MAX + 1)),
    ];
    for (reason, at, over) in rows {
        assert!(
            Document::parse(at.as_bytes()).is_ok(),
            "{reason}: {:?}",
            Document::parse(at.as_bytes()).err()
        );
        assert_eq!(error(over).reason, reason);
    }
}

#[test]
fn far_over_a_bound_is_refused_too() {
    let rows = [
        (nested(9000), "elements nested too deep"),
        ("<a>".repeat(20_000), "elements nested too deep"),
        (attributes(6000), "start tag too long"),
        (
            format!("<a{}/>", (0..3000).map(|at| format!(" xmlns:n{at}='u'")).collect::<String>()),
            "start tag too long",
        ),
        (format!("<a {}", "x".repeat(60_000)), "XML markup not closed"),
        (format!("<a><!--{}", "-".repeat(60_000)), "XML markup not closed"),
        (format!("<a><![CDATA[{}", "]".repeat(60_000)), "XML markup not closed"),
        ("<".repeat(60_000), "XML markup not closed"),
        ("&".repeat(60_000), "XML not well-formed"),
        ("<a>".to_owned() + &"&lt".repeat(20_000), "XML not well-formed"),
    ];
    for (body, reason) in rows {
        assert_eq!(error(&body).reason, reason, "{}", &body[..20]);
    }
    let instructions = format!("{}<a/>", "<?p?>".repeat(12_000));
    assert_eq!(Document::parse(instructions.as_bytes()).unwrap().root().name(), "a");
}

#[test]
fn there_is_no_dtd_and_no_entity() {
    let bodies = [
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        "<!DOCTYPE a [<!ENTITY x 'y'><!ENTITY z '&x;&x;&x;'>]><a>&z;</a>",
        "<?xml version='1.0'?>\n<!doctype a><a/>",
        "<!DOCTYPE a PUBLIC '-//IETF//DTD RFCxxxx XPIDF 1.0//EN' 'xpidf.dtd'><a/>",
    ];
    for body in bodies {
        assert_eq!(error(body).reason, "DTD not allowed", "{body}");
    }
    for body in ["<a>&nbsp;</a>", "<a b='&x;'/>", "<a>&;</a>"] {
        assert_eq!(error(body).reason, "entity not allowed", "{body}");
    }
    for number in
        ["#0", "#1", "#x1f", "#xD800", "#x110000", "#xFFFE", "#", "#x", "#-1", "#+9", "#99999999999"]
    {
        assert_eq!(error(format!("<a>&{number};</a>")).reason, "character reference not allowed", "{number}");
        assert_eq!(
            error(format!("<a b='&{number};'/>")).reason,
            "character reference not allowed",
            "{number}"
        );
    }
    let read = Document::parse(
        b"<a b='&lt;&#9;&#x41;&#xa;\t\r\nx'>&lt;&gt;&amp;&quot;&apos;&#x1F600;<![CDATA[<&]]></a>",
    )
    .unwrap();
    assert_eq!(read.root().attr("b"), Some("<\tA\n  x"));
    assert_eq!(read.root().text(), "<>&\"'\u{1f600}<&");
}

#[test]
fn what_is_not_well_formed_is_refused() {
    let rows: [(&str, &str); 27] = [
        ("", "no XML element"),
        (" \r\n", "no XML element"),
        ("<?xml version='1.0'?>", "no XML element"),
        ("hello", "text outside the root element"),
        ("<a/>hello", "text outside the root element"),
        ("<a/><b/>", "more than one root element"),
        ("<a/>&amp;", "text outside the root element"),
        ("<a>", "element not closed"),
        ("<a><b></b>", "element not closed"),
        ("<a></b>", "XML not well-formed"),
        ("</a>", "XML not well-formed"),
        ("<a><?xml version='1.0'?></a>", "XML declaration not at the start"),
        ("<?xml version='1.1'?><a/>", "XML version not supported"),
        ("<?xml version='1.0' encoding='UTF-7'?><a/>", "XML encoding not supported"),
        ("<a b/>", "attribute not well-formed"),
        ("<a b=c/>", "attribute not well-formed"),
        ("<a b='<'/>", "attribute not well-formed"),
        ("<a b='&lt'/>", "reference not closed"),
        ("<a b='1' b='2'/>", "attribute given twice"),
        ("<a xmlns:x='u' xmlns:x='v'/>", "attribute given twice"),
        ("<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>", "attribute given twice"),
        ("<x:a/>", "namespace prefix not declared"),
        ("<a x:b='1'/>", "namespace prefix not declared"),
        ("<a><b xmlns:x='u'/><x:c/></a>", "namespace prefix not declared"),
        ("<a xmlns:x=''/>", "namespace prefix not allowed"),
        ("<a xmlns:xmlns='u'/>", "namespace prefix not allowed"),
        ("<1a/>", "name not well-formed"),
    ];
    for (body, reason) in rows {
        assert_eq!(error(body).reason, reason, "{body}");
    }
    for c in ['\u{0}', '\u{1}', '\u{b}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
        let reason = error(format!("<a>{c}</a>")).reason;
        let expected =
            if c == '\u{0}' { "XML encoding not supported" } else { "character not allowed in XML" };
        assert_eq!(reason, expected, "{c:?}");
    }
}

#[test]
fn encodings_that_phones_declare() {
    let rows: [(&[u8], &str); 7] = [
        (b"<a>\xc3\xa9</a>", "\u{e9}"),
        (b"\xef\xbb\xbf<a>\xc3\xa9</a>", "\u{e9}"),
        (b"\r\n<?xml version='1.0'?><a>\xc3\xa9</a>", "\u{e9}"),
        (b"<?xml version=\"1.0\" encoding=\"US-ASCII\"?><a>e</a>", "e"),
        (b"<?xml version='1.0' encoding = 'utf-8' standalone='no'?><a>\xc3\xa9</a>", "\u{e9}"),
        (b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>", "\u{e9}"),
        (b"<?xml version='1.0' encoding='iso-8859-1'?><a>\xc3\xa9</a>", "\u{e9}"),
    ];
    for (body, text) in rows {
        assert_eq!(Document::parse(body).unwrap().root().text(), text);
    }
    assert_eq!(error(b"<a>\xe9</a>").reason, "not valid UTF-8");
    assert_eq!(error(b"\xff\xfe<\x00a\x00").reason, "XML encoding not supported");
    assert_eq!(error(b"<?xml version='1.0' encoding='UTF-16'?><a/>").reason, "XML encoding not supported");
}

#[test]
fn errors_name_the_place() {
    let place = |body: &[u8]| {
        let error = error(body);
        (error.offset, error.line, error.column)
    };
    assert_eq!(place(b"<a>\n <b>\n  <c x:y='1'/>\n </b>\n</a>"), (11, 3, 3));
    assert_eq!(place(b"\xef\xbb\xbf\r\n<a>\n<c x:y='1'/></a>"), (9, 3, 1));
    assert_eq!(
        place(b"<?xml version='1.0' encoding='ISO-8859-1'?>\n<a>\xe9\xe9<c x:y='1'/></a>"),
        (49, 2, 6)
    );
    assert_eq!(place(b"<a>\xc3\xa9\n\xff</a>"), (6, 2, 1));
    let text = error(b"<a>\n<!DOCTYPE b></a>").to_string();
    assert_eq!(text, "DTD not allowed at line 2 column 1 (byte 4)");
    let missing = DialogInfo::decode(b"<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='0' state='full'>\n  <dialog/></dialog-info>");
    let missing = missing.unwrap_err();
    assert_eq!((missing.reason, missing.line, missing.column), ("dialog without id", 2, 3));
    assert!(!text.contains(['"', '\r', '\n']), "a reason stands in a quoted string of a Warning header");
}

/// Bodies to cut and to bend.
const SEEDS: [&str; 4] = [
    include_str!("fixtures/documents/chan_sip-unavailable.xml"),
    include_str!("fixtures/documents/rfc4480-1.xml"),
    include_str!("fixtures/publications/linphone-udp-pidf-1.xml"),
    include_str!("fixtures/publications/asterisk-publish-dialog-info-1.xml"),
];

#[test]
fn a_body_cut_or_bent_anywhere_is_refused_or_read_and_never_more() {
    let read = |body: &[u8], is_dialog: bool| {
        if is_dialog {
            _ = DialogInfo::decode(body);
        } else {
            _ = Pidf::decode(body);
        }
    };
    for seed in SEEDS.map(str::trim_end) {
        let is_dialog = seed.contains("<dialog-info");
        for cut in (0..seed.len()).step_by(1 + seed.len() / 1000) {
            assert!(Document::parse(&seed.as_bytes()[..cut]).is_err(), "cut at {cut}");
            read(&seed.as_bytes()[cut..], is_dialog);
            _ = MessageSummary::decode(&seed.as_bytes()[cut..]);
        }
        for at in (0..seed.len()).step_by(1 + seed.len() / 600) {
            for byte in [b'<', b'&', b'"', b'/', 0xff] {
                let mut bent = seed.as_bytes().to_vec();
                bent[at] = byte;
                read(&bent, is_dialog);
            }
        }
    }
}

#[test]
fn the_canonical_form_ignores_what_does_not_count() {
    let same = [
        "<a xmlns='u' c='1' b='2'><d>t</d></a>",
        "<?xml version='1.0'?>\n<x:a b=\"2\" c='1' xmlns:x='u'>\n <x:d> t </x:d><!-- c -->\n</x:a>\n",
    ];
    assert_eq!(canonical(same[0]), canonical(same[1]));
    let other = [
        "<a c='1' b='2'><d>t</d></a>",
        "<a xmlns='u' c='1'><d>t</d></a>",
        "<a xmlns='u' c='1' b='2'><d/></a>",
    ];
    for other in other {
        assert_ne!(canonical(same[0]), canonical(other));
    }
    assert!(canonical("<a>").starts_with("not XML: element not closed"));
}
