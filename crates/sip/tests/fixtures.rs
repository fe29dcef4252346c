//! Every message of the captured traffic in `fixtures/` parses, prints and parses again.

use std::path::Path;

use bytes::Bytes;
use lampyris_sip::{Message, Name, RequestWriter, ResponseWriter, StatusCode};

/// The captured messages of a file: transport and bytes.
fn messages(text: &[u8]) -> Vec<(String, Bytes)> {
    let mut starts: Vec<usize> = memchr::memmem::find_iter(text, b"##### ").collect();
    starts.push(text.len());
    let cut = |pair: &[usize]| {
        let piece = &text[pair[0]..pair[1]];
        let line_end = memchr::memchr(b'\n', piece).expect("line") + 1;
        let header = String::from_utf8_lossy(&piece[..line_end]).into_owned();
        (header.split(' ').nth(3).unwrap_or_default().to_owned(), Bytes::copy_from_slice(&piece[line_end..]))
    };
    starts.windows(2).map(cut).collect()
}

#[test]
fn every_captured_message_parses() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"));
    let (mut files, mut parsed, mut others) = (0, 0, 0);
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(folder).expect("fixtures") {
        let path = entry.expect("entry").path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        files += 1;
        for (number, (transport, bytes)) in
            messages(&std::fs::read(&path).expect("file")).into_iter().enumerate()
        {
            let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
            if memchr::memmem::find(line, b"SIP/2.0").is_none() {
                // The web page's HTTP exchange.
                assert!(transport == "http" || bytes.trim_ascii().is_empty(), "{path:?} {number}: {line:?}");
                others += 1;
                continue;
            }
            match Message::parse(bytes.clone()) {
                Ok(message) => {
                    parsed += 1;
                    fields_are_there(&message);
                }
                Err(error) => wrong.push(format!("{path:?} {}: {error}", number + 1)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((files, parsed + others), (9, 514));
    assert!(parsed > 500, "{parsed} messages, {others} others");
}

fn fields_are_there(message: &Message) {
    assert!(message.from_tag().is_some());
    assert!(message.top_via().branch().is_some());
    assert!(message.cseq().method.is_known());
    assert_eq!(message.header(Name::CallId), Some(message.call_id()));
    let mut copy = match message.request_uri() {
        Some(uri) => RequestWriter::new(message.method().map(|m| m.as_str()).unwrap_or_default(), uri),
        None => return,
    };
    for (name, value) in message.header_lines() {
        copy.header_str(name, std::str::from_utf8(value).expect("text"));
    }
    let again = Message::parse(copy.finish()).expect("copy");
    assert_eq!((again.from().uri(), again.cseq()), (message.from().uri(), message.cseq()));
    let answer = ResponseWriter::reply_to(message, StatusCode::OK, None, Some("x")).finish();
    assert_eq!(Message::parse(answer).expect("answer").call_id(), message.call_id());
}
