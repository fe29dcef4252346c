//! Properties: chunking does not change frames, printing does not change a message, no input makes the parser panic.

use bytes::Bytes;
use lampyris_sip::{
    Accept, Challenge, Contact, ContentType, Credentials, Event, Frame, Framer, Message, Name, NameAddr,
    Reason, RequestWriter, ResponseWriter, StatusCode, SubscriptionState, Uri, Via, multipart, uri,
};
use proptest::prelude::*;

fn all_frames<'a>(framer: &mut Framer, chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Result<Frame, Reason>> {
    let mut out = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        while let Some(frame) = framer.next_frame() {
            out.push(frame.map_err(|error| error.reason));
        }
        // Bounded memory: one message at its limits, and the chunk.
        assert!(framer.pending_bytes() <= 600 + 300 + chunk.len());
    }
    out
}

/// Reads everything there is to read, whether or not the message was accepted.
fn touch(message: &Message) {
    let _ =
        (message.from().display_unquoted(), message.to_tag(), message.cseq(), message.top_via().received());
    let _ =
        (message.expires(), message.content_type(), message.sip_if_match().is_ok(), message.retry_after());
    let _ = (
        message.accept().map(|a| a.quality("text/plain")),
        message.wants_privacy(),
        message.start_line().len(),
    );
    let _ = (message.vias().count(), message.contacts().count(), message.asserted_identities().count());
    for name in Name::all() {
        for value in message.values(name).chain(message.headers(name)) {
            read_as_anything(value);
        }
    }
    let answer =
        ResponseWriter::reply_to(message, StatusCode::OK, "[2001:db8::1]:5".parse().ok(), Some("t")).finish();
    let again = Message::parse(answer);
    assert!(again.is_ok() || Message::parse(message.raw().clone()).is_err(), "{again:?}");
}

/// From, To, the top Via and Contact are kept or read in part at parse; they are what their headers say.
fn kept_parts_are_those_of_the_headers(message: &Message) {
    for (name, kept, tag) in
        [(Name::From, message.from(), message.from_tag()), (Name::To, message.to(), message.to_tag())]
    {
        let read = NameAddr::parse(message.header(name).expect("UTF-8")).expect("address");
        assert_eq!((kept, tag), (read, read.tag()));
    }
    let via = message.values(Name::Via).next().and_then(|value| Via::parse(value).ok()).expect("Via");
    let told = |via: &Via<'_>| {
        let (transport, host, params) =
            (via.transport().to_owned(), via.sent_by_str().to_owned(), via.params());
        (
            transport,
            host,
            via.sent_by().ip(),
            via.port(),
            params.as_str().to_owned(),
            via.branch().map(str::to_owned),
        )
    };
    assert_eq!(told(&via), told(&message.top_via()));
    let contacts: Vec<_> =
        message.values(Name::Contact).map(|value| Contact::parse(value).expect("Contact")).collect();
    assert_eq!(message.contacts().collect::<Vec<_>>(), contacts);
    assert!(message.vias().next().is_some() && !message.call_id().is_empty());
}

fn read_as_anything(value: &str) {
    let _ = Via::parse(value).map(|v| (v.rport(), v.ttl(), v.received(), v.branch().is_some()));
    let _ = Contact::parse(value).map(|c| c.addr().map(|a| (a.q(), a.expires(), a.reg_id())));
    let _ = Credentials::parse(value).map(|c| Credentials::parse(&c.to_string()).map(|_| ()));
    let _ = Challenge::parse(value).map(|c| c.to_string());
    let _ = (Event::parse(value), SubscriptionState::parse(value).map(|s| s.expires()));
    let _ = NameAddr::parse(value).map(|a| a.display_unquoted().map(|d| d.len()));
    let _ = ContentType::parse(value).map(|c| c.boundary().is_some());
    let _ = Accept::from_values([value].into_iter()).best(["a/b"]);
    let _ =
        Uri::parse(value).map(|u| (u.equivalent(&u), u.user_unescaped().is_some(), u.tel_digits().is_some()));
    let _ = (uri::unescape(value), uri::escape_user(value));
    let _ = multipart::parse_as(value, &Bytes::copy_from_slice(value.as_bytes()));
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture");
    let mut out = Vec::new();
    for part in ["rfc4475", "rfc5118-wire"] {
        for entry in std::fs::read_dir(format!("{folder}/{part}")).expect(part) {
            out.push(std::fs::read(entry.expect("entry").path()).expect("file"));
        }
    }
    out.sort();
    out
}

/// One change to a message: where (in parts of 65,536), and what.
#[derive(Clone, Debug)]
enum Edit {
    Set(u16, u8),
    Insert(u16, Vec<u8>),
    Remove(u16, u8),
}

fn edit() -> impl Strategy<Value = Edit> {
    let spice = prop::sample::select(vec![
        "\"", "\\", "<", ">", ",", ";", ":", "=", "\r\n", "\r\n ", "\r", "\n", "\0", "%", "[", "]", "@", "?",
        "é", "*", "\t", "v: ", "l: 5\r\n", "m: *\r\n", "/", "&", "SIP/2.0 ",
    ]);
    prop_oneof![
        (any::<u16>(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (any::<u16>(), spice).prop_map(|(at, text)| Edit::Insert(at, text.as_bytes().to_vec())),
        (any::<u16>(), 1..20_u8).prop_map(|(at, n)| Edit::Remove(at, n)),
    ]
}

fn apply(bytes: &mut Vec<u8>, edits: &[Edit]) {
    for edit in edits {
        let place = |at: u16| usize::from(at) * bytes.len() / 65_536;
        match edit {
            Edit::Set(at, byte) => {
                let at = place(*at);
                if let Some(slot) = bytes.get_mut(at) {
                    *slot = *byte;
                }
            }
            Edit::Insert(at, text) => {
                let at = place(*at);
                bytes.splice(at..at, text.iter().copied());
            }
            Edit::Remove(at, n) => {
                let at = place(*at);
                let end = (at + usize::from(*n)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_chunking_gives_the_same_frames(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "\r\n\r\n", "\r\n", "OPTIONS sip:a SIP/2.0\r\nl: 3\r\n\r\nabc", "INFO sip:b SIP/2.0\r\nContent-Length : 0\r\n\r\n",
            "SIP/2.0 200 OK\r\nL:\t12\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n", "x: y\r\n", "l: 301\r\n\r\n", "\r", "\n", "z",
        ]), 0..8),
        cuts in prop::collection::vec(any::<u16>(), 0..20),
    ) {
        let stream = pieces.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|&c| usize::from(c) % (stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let whole = all_frames(&mut Framer::new(600, 300), std::iter::once(&stream[..]));
        let chunked = all_frames(&mut Framer::new(600, 300), cuts.windows(2).map(|w| &stream[w[0]..w[1]]));
        prop_assert_eq!(&whole, &chunked);
        let opened = all_frames(&mut Framer::for_opened_flow(600, 300), std::iter::once(&stream[..]));
        let chunked = all_frames(&mut Framer::for_opened_flow(600, 300), stream.chunks(1));
        prop_assert_eq!(opened, chunked);
    }

    #[test]
    fn mutated_messages_never_panic(seed in prop::sample::select(seeds()), edits in prop::collection::vec(edit(), 0..6)) {
        let mut bytes = seed;
        apply(&mut bytes, &edits);
        match Message::parse(Bytes::from(bytes)) {
            Ok(message) => {
                touch(&message);
                kept_parts_are_those_of_the_headers(&message);
            }
            Err(error) => if let Some(message) = error.reply_to() { touch(message) },
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        display in "\\PC{0,20}", user in "\\PC{1,20}", tag in "[a-zA-Z0-9.]{1,12}", value in any::<String>(),
        seq in any::<u32>(), body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let quoted = lampyris_sip::params::escape_quoted(&display);
        let address = format!("\"{quoted}\" <sip:{}@example.com>;tag={tag}", uri::escape_user(&user));
        let mut writer = RequestWriter::new("NOTIFY", "sip:a@b");
        writer.header(Name::Via, "SIP/2.0/UDP h;branch=z9hG4bK1").header(Name::From, &address);
        writer.header(Name::To, "<sip:c@d>").header(Name::CallId, "x").header_fmt(Name::CSeq, format_args!("{seq} NOTIFY"));
        writer.header_str("X-Any", &value).body("a/b", &body);
        let bytes = writer.finish();
        // Control characters other than CR, LF and NUL are written as they are, and refused by the reader.
        let control = value.chars().any(|c| (c < ' ' && !matches!(c, '\t' | '\r' | '\n' | '\0')) || c == '\u{7f}');
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(error) => { prop_assert!(control && error.kind() == Reason::Control, "{error}"); return Ok(()); }
        };
        prop_assert_eq!(message.from().display_unquoted(), Some(display.as_str().into()));
        prop_assert_eq!(message.from_tag(), Some(tag.as_str()));
        let from = Uri::parse(message.from().uri()).expect("uri");
        prop_assert_eq!(from.user_unescaped(), Some(user.as_str().into()));
        prop_assert_eq!((message.cseq().seq, message.body_bytes()), (seq, &body[..]));
        let clean = value.replace(['\r', '\n', '\0'], " ");
        prop_assert_eq!(message.header_by_name("x-any"), Some(clean.trim_matches([' ', '\t'])));
        prop_assert_eq!(message.header_lines().count(), 8);
    }

    #[test]
    fn text_of_any_kind_is_read_without_panic(value in any::<String>()) {
        read_as_anything(&value);
    }
}
