//! RFC 4475 and RFC 5118: every message of `torture/`, with the outcome `torture/index.tsv` asks of a parser and the
//! field values the RFC names.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use lampyris_sip::headers::route::Route;
use lampyris_sip::{
    Contact, ContentType, Credentials, Frame, Framer, Host, Message, Method, Name, NameAddr, ParseError,
    Reason, ResponseWriter, Scheme, StatusCode, Uri, Via, multipart,
};

enum Want {
    /// Parsed, and these fields hold.
    Accept(fn(&Message)),
    /// Refused with this reason and status, and answerable.
    Answer(Reason, u16),
    /// Refused without an answer.
    Drop(Reason),
}

use Want::{Accept, Answer, Drop};

const ROWS: &[(&str, Want)] = &[
    ("rfc4475/wsinv.dat", Accept(wsinv)),
    ("rfc4475/intmeth.dat", Accept(intmeth)),
    ("rfc4475/esc01.dat", Accept(esc01)),
    ("rfc4475/escnull.dat", Accept(escnull)),
    ("rfc4475/esc02.dat", Accept(esc02)),
    ("rfc4475/lwsdisp.dat", Accept(lwsdisp)),
    ("rfc4475/longreq.dat", Accept(longreq)),
    ("rfc4475/dblreq.dat", Accept(dblreq)),
    ("rfc4475/semiuri.dat", Accept(semiuri)),
    ("rfc4475/transports.dat", Accept(transports)),
    ("rfc4475/mpart01.dat", Accept(mpart01)),
    ("rfc4475/unreason.dat", Accept(unreason)),
    ("rfc4475/noreason.dat", Accept(noreason)),
    ("rfc4475/badinv01.dat", Answer(Reason::Header("Via"), 400)),
    ("rfc4475/clerr.dat", Answer(Reason::Truncated, 400)),
    ("rfc4475/ncl.dat", Answer(Reason::ContentLength, 400)),
    ("rfc4475/scalar02.dat", Answer(Reason::CSeqRange, 400)),
    ("rfc4475/scalarlg.dat", Drop(Reason::CSeqRange)),
    ("rfc4475/quotbal.dat", Answer(Reason::Header("To"), 400)),
    ("rfc4475/ltgtruri.dat", Answer(Reason::RequestUri, 400)),
    ("rfc4475/lwsruri.dat", Answer(Reason::RequestUri, 400)),
    ("rfc4475/lwsstart.dat", Answer(Reason::RequestUri, 400)),
    ("rfc4475/trws.dat", Answer(Reason::StartLine, 400)),
    ("rfc4475/escruri.dat", Answer(Reason::RequestUri, 400)),
    ("rfc4475/baddate.dat", Accept(baddate)),
    ("rfc4475/regbadct.dat", Answer(Reason::Header("Contact"), 400)),
    ("rfc4475/badaspec.dat", Answer(Reason::Header("To"), 400)),
    ("rfc4475/baddn.dat", Answer(Reason::HeadEnd, 400)),
    ("rfc4475/badvers.dat", Answer(Reason::Version, 505)),
    ("rfc4475/mismatch01.dat", Answer(Reason::CSeqMethod, 400)),
    ("rfc4475/mismatch02.dat", Answer(Reason::CSeqMethodUnknown, 501)),
    ("rfc4475/bigcode.dat", Drop(Reason::Status)),
    ("rfc4475/badbranch.dat", Accept(badbranch)),
    ("rfc4475/insuf.dat", Answer(Reason::Missing("From"), 400)),
    ("rfc4475/unkscm.dat", Accept(unkscm)),
    ("rfc4475/novelsc.dat", Accept(novelsc)),
    ("rfc4475/unksm2.dat", Accept(unksm2)),
    ("rfc4475/bext01.dat", Accept(bext01)),
    ("rfc4475/invut.dat", Accept(invut)),
    ("rfc4475/regaut01.dat", Accept(regaut01)),
    ("rfc4475/multi01.dat", Answer(Reason::Repeated("CSeq"), 400)),
    ("rfc4475/mcl01.dat", Answer(Reason::ContentLength, 400)),
    ("rfc4475/bcast.dat", Accept(bcast)),
    ("rfc4475/zeromf.dat", Accept(zeromf)),
    ("rfc4475/cparam01.dat", Accept(cparam01)),
    ("rfc4475/cparam02.dat", Accept(cparam02)),
    ("rfc4475/regescrt.dat", Accept(regescrt)),
    ("rfc4475/sdp01.dat", Accept(sdp01)),
    ("rfc4475/inv2543.dat", Accept(inv2543)),
    ("rfc4475/test.dat", Drop(Reason::StartLine)),
    ("rfc4475/baddn_term.dat", Answer(Reason::Header("From"), 400)),
    ("rfc5118-wire/ipv6-good.dat", Accept(ipv6_good)),
    ("rfc5118-wire/ipv6-bad.dat", Answer(Reason::RequestUri, 400)),
    ("rfc5118-wire/port-ambiguous.dat", Accept(port_ambiguous)),
    ("rfc5118-wire/port-unambiguous.dat", Accept(port_unambiguous)),
    ("rfc5118-wire/via-received-param-with-delim.dat", Accept(via_received)),
    ("rfc5118-wire/via-received-param-no-delim.dat", Accept(via_received)),
    ("rfc5118-wire/ipv6-in-sdp.dat", Accept(ipv6_in_sdp)),
    ("rfc5118-wire/mult-ip-in-header.dat", Accept(mult_ip_in_header)),
    ("rfc5118-wire/mult-ip-in-sdp.dat", Accept(mult_ip_in_sdp)),
    ("rfc5118-wire/ipv4-mapped-ipv6.dat", Accept(ipv4_mapped_ipv6)),
    ("rfc5118-wire/ipv6-bug-abnf-3-colons.dat", Accept(colons)),
    ("rfc5118-wire/ipv6-correct-abnf-2-colons.dat", Accept(colons)),
];

fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture"))
}

fn read(file: &str) -> Bytes {
    std::fs::read(directory().join(file)).unwrap_or_else(|error| panic!("{file}: {error}")).into()
}

/// The `parser` column of the index by file.
fn index() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(directory().join("index.tsv")).expect("index.tsv");
    text.lines()
        .skip(1)
        .map(|line| {
            let mut columns = line.split('\t');
            let (file, _, parser) = (columns.next(), columns.next(), columns.next());
            (file.expect("file").to_owned(), parser.expect("parser").to_owned())
        })
        .collect()
}

#[test]
fn rows_index_and_files_are_the_same_set() {
    let mut files = Vec::new();
    for folder in ["rfc4475", "rfc5118-wire"] {
        for entry in std::fs::read_dir(directory().join(folder)).expect(folder) {
            files.push(format!("{folder}/{}", entry.expect("entry").file_name().to_string_lossy()));
        }
    }
    files.sort();
    let mut rows: Vec<&str> = ROWS.iter().map(|row| row.0).collect();
    rows.sort_unstable();
    let index = index();
    assert_eq!(rows, files);
    assert_eq!(rows, index.keys().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(rows.len(), 63);
}

#[test]
fn every_message_has_its_outcome() {
    let index = index();
    let mut wrong = Vec::new();
    for (file, want) in ROWS {
        let got = Message::parse(read(file));
        let column = index.get(*file).map(String::as_str).unwrap_or_default();
        let indexed = match column {
            "accept" | "accept(resp)" => got.is_ok(),
            "reject" | "reject(resp)" => got.is_err(),
            "either" | "unreferenced" | "-" => true,
            other => panic!("{file}: unknown column {other}"),
        };
        if !indexed {
            wrong.push(format!("{file}: the index says {column}, got {got:?}"));
        }
        match (want, got) {
            (Accept(check), Ok(message)) => check(&message),
            (Accept(_), Err(error)) => wrong.push(format!("{file}: refused: {error}")),
            (Answer(reason, status), Err(error)) => {
                if error.kind() != *reason || error.status() != StatusCode(*status) || !answer_is_good(&error)
                {
                    wrong.push(format!(
                        "{file}: {:?} {} {}",
                        error.kind(),
                        error.status(),
                        answer_is_good(&error)
                    ));
                }
            }
            (Drop(reason), Err(error)) => {
                if error.kind() != *reason || error.reply_to().is_some() {
                    wrong.push(format!("{file}: {:?} {:?}", error.kind(), error.reply_to()));
                }
            }
            (_, Ok(_)) => wrong.push(format!("{file}: accepted")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The answer has the request's Via, and CSeq and Call-ID where the request had them.
fn answer_is_good(error: &ParseError) -> bool {
    let Some(request) = error.reply_to() else { return false };
    let source = "192.0.2.1:5060".parse().ok();
    let answer =
        ResponseWriter::reply_with(request, error.status(), error.reason(), source, Some("t")).finish();
    let text = String::from_utf8_lossy(&answer);
    text.starts_with(&format!("SIP/2.0 {} ", error.status()))
        && text.contains("\r\nVia: SIP/")
        && text.contains("\r\nCSeq: ")
        && text.ends_with("\r\nContent-Length: 0\r\n\r\n")
        && request
            .headers(Name::CallId)
            .all(|id| text.contains(id) || request.headers(Name::CallId).count() > 1)
}

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn r_uri(message: &Message) -> Uri<'_> {
    uri(message.request_uri().expect("Request-URI"))
}

fn contact_uris(message: &Message) -> Vec<&str> {
    message.contacts().filter_map(Contact::addr).map(|addr| addr.uri()).collect()
}

fn host(uri_text: &str) -> String {
    uri(uri_text).host().to_string()
}

// 3.1.1.1
fn wsinv(m: &Message) {
    assert_eq!(m.method(), Some(Method::Invite));
    assert_eq!(r_uri(m).params().find("unknownparam"), Some(None));
    assert_eq!(m.to().uri(), "sip:vivekg@chair-dnrc.example.com");
    assert_eq!(m.to_tag(), Some("1918181833n"));
    assert_eq!(m.from().display_unquoted().as_deref(), Some("J Rosenberg \\\""));
    assert_eq!(m.from_tag(), Some("98asjd8"));
    assert_eq!((m.max_forwards(), m.call_id()), (Some(68), "wsinv.ndaksdj@192.0.2.1"));
    assert_eq!((m.cseq().seq, m.cseq().method), (9, Method::Invite));
    assert_eq!(m.header(Name::Subject), Some(""));
    assert_eq!(m.header_by_name("newfangledheader"), Some("newfangled value continued newfangled value"));
    assert_eq!(m.header_by_name("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    let vias: Vec<Via<'_>> = m.vias().collect();
    let hops: Vec<_> = vias.iter().map(|v| (v.transport(), v.sent_by_str(), v.branch())).collect();
    assert_eq!(
        hops,
        [
            ("UDP", "192.0.2.2", Some("390skdjuw")),
            ("TCP", "spindle.example.com", Some("z9hG4bK9ikj8")),
            ("UDP", "192.168.255.111", Some("z9hG4bK30239")),
        ]
    );
    assert_eq!(m.top_via().branch(), Some("390skdjuw"));
    let contact = m.contacts().next().and_then(Contact::addr).expect("contact");
    assert_eq!(contact.name_addr().display_unquoted().as_deref(), Some("Quoted string \"\""));
    assert_eq!((contact.q(), contact.params().get("newparam")), (330, Some("newvalue")));
    assert!(contact.params().has("secondparam"));
    let route = Route::parse(m.values(Name::Route).next().expect("route")).expect("route");
    assert!(route.is_loose());
    assert_eq!(m.body().len(), 150);
    assert!(m.body().starts_with(b"v=0\r\n") && m.body().ends_with(b"a=rtpmap:31 LPC\r\n"));
}

// 3.1.1.2
fn intmeth(m: &Message) {
    assert_eq!(
        m.method().map(|m| m.as_str().to_owned()).as_deref(),
        Some("!interesting-Method0123456789_*+`.%indeed'~")
    );
    assert_eq!(m.cseq().seq, 139_122_385);
    let target = r_uri(m);
    assert_eq!(target.host_str(), "example.com");
    assert_eq!(target.user(), Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(target.password(), Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!(m.to().display_unquoted().as_deref(), Some("BEL:\u{7} NUL:\0 DEL:\u{7f}"));
    assert_eq!(m.from().display(), Some("token1~` token2'+_ token3*%!.-"));
    assert_eq!(m.from_tag(), Some("_token~1'+`*%!-."));
    assert_eq!(m.from().params().get("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(m.top_via().branch(), Some("z9hG4bK-.!%66*_+`'~"));
    assert_eq!(m.call_id(), "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    assert_eq!(m.header_by_name("extensionHeader-!.%*+_`'~"), Some("\u{feff}大停電"));
}

// 3.1.1.3
fn esc01(m: &Message) {
    assert_eq!(r_uri(m).user_unescaped().as_deref(), Some("sips:user@example.com"));
    assert_eq!(r_uri(m).host_str(), "example.net");
    assert!(uri(m.to().uri()).equivalent(&uri("sip:user@example.com")));
    assert_eq!(uri(m.from().uri()).user_unescaped().as_deref(), Some("I have spaces"));
    let contact = contact_uris(m)[0];
    let contact = uri(contact);
    assert_eq!(contact.user_unescaped().as_deref(), Some("caller"));
    assert!(contact.params().has("lr"));
    let value = contact.params().get("name").map(lampyris_sip::uri::unescape);
    assert_eq!(value.as_deref(), Some("value%41"));
    assert!(!contact.equivalent(&uri("sip:caller@host5.example.net;lr;name=valueA")));
}

// 3.1.1.4
fn escnull(m: &Message) {
    assert_eq!(uri(m.to().uri()).user_unescaped().as_deref(), Some("null-\0-null"));
    let contacts = contact_uris(m);
    assert_eq!(contacts, ["sip:%00@host5.example.com", "sip:%00%00@host5.example.com"]);
    assert!(!uri(contacts[0]).equivalent(&uri(contacts[1])));
}

// 3.1.1.5
fn esc02(m: &Message) {
    assert_eq!(m.method(), Some(Method::Other("RE%47IST%45R")));
    assert_eq!(m.to().display_unquoted().as_deref(), Some("%Z%45"));
    assert_eq!(m.top_via().branch(), Some("z9hG4bK209%fzsnel234"));
    assert_eq!(contact_uris(m), ["sip:alias1@host1.example.com", "sip:alias3@host3.example.com"]);
}

// 3.1.1.6
fn lwsdisp(m: &Message) {
    assert_eq!((m.from().display(), m.from().uri()), (Some("caller"), "sip:caller@example.com"));
    assert_eq!(m.from_tag(), Some("323"));
}

// 3.1.1.7
fn longreq(m: &Message) {
    assert_eq!(m.vias().count(), 34);
    assert_eq!(m.top_via().transport(), "TCP");
    assert!(m.to().display().is_some_and(|d| d.len() > 100));
    assert_eq!(uri(m.to().uri()).port(), Some(6000));
    assert!(m.call_id().len() > 100 && m.from_tag().is_some_and(|tag| tag.len() > 100));
    assert!(m.header_lines().any(|(name, value)| name.len() == 93 && value.len() > 300));
    assert_eq!((m.cseq().seq, m.body().len()), (3_882_340, 150));
}

// 3.1.1.8
fn dblreq(m: &Message) {
    assert_eq!((m.method(), m.call_id()), (Some(Method::Register), "dblreq.0ha0isndaksdj99sdfafnl3lk233412"));
    assert!(m.body().is_empty());
    // On a stream the octets behind it are the next message.
    let mut framer = Framer::new(65_535, 65_535);
    framer.push(&read("rfc4475/dblreq.dat"));
    let mut methods = Vec::new();
    // Why only two: the octets behind the second one's Content-Length are no message.
    while methods.len() < 2 {
        let frame = framer.next_frame().expect("two messages");
        if let Frame::Message(bytes) = frame.expect("frame") {
            let message = Message::parse(bytes).expect("message");
            methods.push(message.method().map(|m| m.to_string()).unwrap_or_default());
        }
    }
    assert_eq!(methods, ["REGISTER", "INVITE"]);
}

// 3.1.1.9
fn semiuri(m: &Message) {
    assert_eq!(r_uri(m).user_unescaped().as_deref(), Some("user;par=u@example.net"));
    assert_eq!((r_uri(m).host_str(), r_uri(m).params().is_empty()), ("example.com", true));
    assert_eq!(m.values(Name::Accept).count(), 6);
    assert!(m.accept().expect("accept").accepts("message/sipfrag"));
}

// 3.1.1.10
fn transports(m: &Message) {
    assert_eq!(
        m.vias().map(|v| v.transport().to_owned()).collect::<Vec<_>>(),
        ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]
    );
}

// 3.1.1.11
fn mpart01(m: &Message) {
    assert_eq!((m.method(), m.body().len()), (Some(Method::Message), 553));
    let parts = multipart::parse_as(m.header(Name::ContentType).expect("type"), &m.body()).expect("parts");
    assert_eq!(
        parts.iter().map(|p| p.content_type()).collect::<Vec<_>>(),
        ["text/plain", "application/octet-stream"]
    );
    assert_eq!(&parts[0].body[..], b"Hello");
    assert!(parts[1].body.contains(&0));
    assert_eq!(m.header(Name::Date), Some("Sat, 15 Oct 2005 04:44:56 GMT"));
}

// 3.1.1.12
fn unreason(m: &Message) {
    assert_eq!(m.status(), Some(StatusCode::OK));
    assert_eq!(m.reason_phrase(), "= 2**3 * 5**2 но сто девяносто девять - простое");
    assert_eq!(m.body().len(), 154);
}

// 3.1.1.13
fn noreason(m: &Message) {
    assert_eq!((m.status(), m.reason_phrase()), (Some(StatusCode::TRYING), ""));
    assert_eq!(m.cseq().method, Method::Invite);
}

// 3.1.2.12
fn baddate(m: &Message) {
    assert_eq!(m.header(Name::Date), Some("Fri, 01 Jan 2010 16:00:00 EST"));
}

// 3.2.1
fn badbranch(m: &Message) {
    assert_eq!(m.top_via().branch(), Some("z9hG4bK"));
}

// 3.3.2
fn unkscm(m: &Message) {
    assert_eq!(r_uri(m).scheme(), Scheme::Other("nobodyKnowsThisScheme"));
    assert_eq!((r_uri(m).user(), r_uri(m).host()), (None, Host::Name("")));
}

// 3.3.3
fn novelsc(m: &Message) {
    assert_eq!(r_uri(m).scheme(), Scheme::Other("soap.beep"));
}

// 3.3.4
fn unksm2(m: &Message) {
    assert_eq!(uri(m.to().uri()).scheme(), Scheme::Other("isbn"));
    assert_eq!(uri(m.from().uri()).scheme(), Scheme::Other("http"));
    assert_eq!(contact_uris(m), ["name:John_Smith"]);
}

// 3.3.5
fn bext01(m: &Message) {
    let unknown: Vec<&str> = m.unsupported(&["eventlist"]).collect();
    assert_eq!(unknown, ["nothingSupportsThis", "nothingSupportsThisEither"]);
    assert!(m.has_token(Name::ProxyRequire, "noProxiesSupportThis"));
}

// 3.3.6
fn invut(m: &Message) {
    assert!(m.content_type().is_some_and(|t| t.is("application/unknownformat")));
    assert_eq!(m.body().len(), 40);
}

// 3.3.7
fn regaut01(m: &Message) {
    let value = m.header(Name::Authorization).expect("value");
    assert_eq!(value, "NoOneKnowsThisScheme opaque-data=here");
    assert!(Credentials::parse(value).is_err());
}

// 3.3.10
fn bcast(m: &Message) {
    assert_eq!(m.status(), Some(StatusCode::OK));
    assert_eq!(m.vias().nth(1).map(|v| v.sent_by().to_string()).as_deref(), Some("255.255.255.255"));
}

// 3.3.11
fn zeromf(m: &Message) {
    assert_eq!(m.max_forwards(), Some(0));
}

// 3.3.12
fn cparam01(m: &Message) {
    let contact = m.contacts().next().and_then(Contact::addr).expect("contact");
    assert_eq!(contact.uri(), "sip:+19725552222@gw1.example.net");
    assert!(contact.params().has("unknownparam"));
}

// 3.3.13
fn cparam02(m: &Message) {
    let contact = m.contacts().next().and_then(Contact::addr).expect("contact");
    assert_eq!(contact.uri(), "sip:+19725552222@gw1.example.net;unknownparam");
    assert!(contact.params().is_empty() && uri(contact.uri()).params().has("unknownparam"));
}

// 3.3.14
fn regescrt(m: &Message) {
    assert_eq!(contact_uris(m), ["sip:user@example.com?Route=%3Csip:sip.example.com%3E"]);
    assert_eq!(uri(contact_uris(m)[0]).headers(), Some("Route=%3Csip:sip.example.com%3E"));
}

// 3.3.15
fn sdp01(m: &Message) {
    let accept = m.accept().expect("accept");
    assert!(accept.accepts("text/nobodyKnowsThis") && !accept.accepts("application/sdp"));
    assert_eq!(
        m.header(Name::ContentType).map(ContentType::parse).and_then(Result::ok).map(|t| t.subtype),
        Some("sdp")
    );
}

// 3.4.1
fn inv2543(m: &Message) {
    assert_eq!((m.top_via().branch(), m.from_tag(), m.max_forwards()), (None, None, None));
    assert_eq!(m.to().uri(), "sip:+16505552222@ss1.example.net");
    assert_eq!(m.to().params().get("user"), Some("phone"));
    assert!(m.body().starts_with(b"v=0") && m.body().ends_with(b"\r\n"));
    assert!(!m.has(Name::ContentLength));
}

// RFC 5118, 4.1
fn ipv6_good(m: &Message) {
    assert_eq!(host(m.request_uri().expect("uri")), "[2001:db8::10]");
    assert_eq!(m.top_via().sent_by().to_string(), "[2001:db8::9:1]");
    assert_eq!(host(contact_uris(m)[0]), "[2001:db8::1]");
}

// 4.3
fn port_ambiguous(m: &Message) {
    assert_eq!(r_uri(m).host().to_string(), "[2001:db8::10:5070]");
    assert_eq!(r_uri(m).port(), None);
}

// 4.4
fn port_unambiguous(m: &Message) {
    assert_eq!(r_uri(m).host().to_string(), "[2001:db8::10]");
    assert_eq!(r_uri(m).port(), Some(5070));
}

// 4.5
fn via_received(m: &Message) {
    assert_eq!(m.top_via().received().map(|ip| ip.to_string()).as_deref(), Some("2001:db8::9:255"));
    assert!(m.top_via().branch().is_some_and(|b| b.starts_with("z9hG4bKas3")));
}

// 4.6
fn ipv6_in_sdp(m: &Message) {
    assert_eq!(host(contact_uris(m)[0]), "[2001:db8::20]");
    assert_eq!(m.body().len(), 251);
}

// 4.7
fn mult_ip_in_header(m: &Message) {
    let hops: Vec<_> = m.vias().map(|v| (v.sent_by().to_string(), v.port())).collect();
    assert_eq!(
        hops,
        [
            ("[2001:db8::9:1]".to_owned(), Some(6050)),
            ("192.0.2.1".to_owned(), None),
            ("[2001:db8::9:255]".to_owned(), None)
        ]
    );
    assert_eq!(
        m.vias().nth(2).and_then(|v| v.received()).map(|ip| ip.to_string()).as_deref(),
        Some("192.0.2.200")
    );
}

// 4.8
fn mult_ip_in_sdp(m: &Message) {
    assert_eq!(m.body().len(), 189);
    assert!(memchr::memmem::find(&m.body(), b"c=IN IP6 2001:db8::1\r\n").is_some());
}

// 4.9
fn ipv4_mapped_ipv6(m: &Message) {
    assert_eq!(
        (m.top_via().sent_by().to_string(), m.top_via().port()),
        ("[::ffff:192.0.2.10]".to_owned(), Some(19823))
    );
    assert_eq!(host(contact_uris(m)[0]), "[::ffff:192.0.2.2]");
    let contact = NameAddr::parse(m.header(Name::Contact).expect("contact")).expect("contact");
    assert_eq!(contact.display_unquoted().as_deref(), Some("T. desk phone"));
}

// 4.10
fn colons(m: &Message) {
    assert_eq!(r_uri(m).host(), Host::Ipv6("2001:db8::192.0.2.1".parse().expect("address")));
}

#[test]
fn a_request_uri_that_is_not_utf8_is_refused() {
    let rest = "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\n\
                CSeq: 1 OPTIONS\r\n\r\n";
    let parse =
        |uri: &[u8]| Message::parse([b"OPTIONS ", uri, b" SIP/2.0\r\n", rest.as_bytes()].concat().into());
    assert!(parse("sip:é@b".as_bytes()).is_ok_and(|m| m.request_target().is_some()));
    let error = parse(b"sip:\xdb@b").expect_err("no text");
    assert_eq!(error.kind(), lampyris_sip::Reason::RequestUri);
}
