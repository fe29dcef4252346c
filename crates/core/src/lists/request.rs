//! A list that a SUBSCRIBE brings along (RFC 5367, RFC 5363): plain or in a multipart, maybe compressed.
//!
//! In: a request. Out: its entries. What is unpacked is bounded before it is unpacked.

use super::RECIPIENT_LIST;
use super::resource_lists::{self, CONTENT_TYPE, Entry};
use crate::hits::Limit;
use crate::limits;
use crate::reject::Reject;
use bytes::Bytes;
use flate2::read::{DeflateDecoder, ZlibDecoder};
use lampyris_sip::{Message, Name, multipart};
use std::io::Read;

/// The list in a request's body; `None` where it brings none.
///
/// # Errors
/// 400: it is malformed, or empty. 413: it unpacks to too much. 415: it is packed in another way, or no list.
pub(crate) fn recipient_list(message: &Message) -> Result<Option<Vec<Entry>>, Reject> {
    let asked = message.values(Name::Require).any(|tag| tag.eq_ignore_ascii_case(RECIPIENT_LIST));
    let content_type = message.header(Name::ContentType).unwrap_or("");
    let body = message.body();
    let is_list = is_type(content_type, CONTENT_TYPE) || is_multipart(content_type);
    if body.is_empty() || !(asked || is_list) {
        return Ok(None);
    }
    let body = unpacked(message, &body)?;
    let document = if is_multipart(content_type) {
        let parts = multipart::parse_as(content_type, &body)
            .map_err(|why| Reject::BadRequest(why.to_string().into()))?;
        let list = parts.into_iter().find(|part| is_type(part.content_type(), CONTENT_TYPE));
        match list {
            Some(part) => part.body,
            None if asked => return Err(unsupported()),
            None => return Ok(None),
        }
    } else if is_type(content_type, CONTENT_TYPE) {
        body
    } else {
        return Err(unsupported());
    };
    let entries = resource_lists::entries(&document);
    let entries = entries.map_err(|error| Reject::BadRequest(error.to_string().into()))?;
    if entries.is_empty() {
        return Err(Reject::BadRequest("a list of nobody".into()));
    }
    Ok(Some(entries))
}

/// Whether a request has a list in its body, whatever is in it.
pub(crate) fn brings_list(message: &Message) -> bool {
    is_type(message.header(Name::ContentType).unwrap_or(""), CONTENT_TYPE) && !message.body().is_empty()
}

/// 415 with what we take.
pub(crate) fn unsupported() -> Reject {
    Reject::UnsupportedMediaType { accept: CONTENT_TYPE.into() }
}

fn is_type(value: &str, wanted: &str) -> bool {
    value.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(wanted)
}

fn is_multipart(value: &str) -> bool {
    value.trim_start().get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
}

fn unpacked(message: &Message, body: &Bytes) -> Result<Bytes, Reject> {
    let encoding = message.header(Name::ContentEncoding).unwrap_or("identity").trim();
    if encoding.eq_ignore_ascii_case("identity") {
        return Ok(body.clone());
    }
    if !encoding.eq_ignore_ascii_case("deflate") {
        return Err(Reject::UnsupportedEncoding);
    }
    // RFC 9110 §8.4.1.2: `deflate` is the zlib format; some send it without.
    let packed = body.as_ref();
    match unpack(ZlibDecoder::new(packed)) {
        Err(Reject::BadRequest(_)) => unpack(DeflateDecoder::new(packed)),
        other => other,
    }
}

fn unpack(reader: impl Read) -> Result<Bytes, Reject> {
    let most = limits::XML_BYTES_MAX;
    let mut out = Vec::new();
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = reader.take(bound).read_to_end(&mut out);
    if out.len() > most {
        return Err(Limit::Body.into());
    }
    match read {
        Ok(_) => Ok(Bytes::from(out)),
        Err(_) => Err(Reject::BadRequest("a body that cannot be unpacked".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::read::{DeflateEncoder, ZlibEncoder};

    const LIST: &str = "<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list><entry uri=\"sip:bob@example.com\"/></list></resource-lists>";

    /// The body of a SUBSCRIBE of liblinphone 5.1.65, captured on loopback.
    const LINPHONE: &str = "789c6d8d3d8fc2301044fbfc0a6bfbc4093427cb09545450c149d71adf1e58f247b4eb90f0eff12915baab668a99f7f46e09\
        5e3c90d8a5d843d7b42030daf4ede2ad87cfcba1fe80dd5069424e1359acbde3cca29c22ab855d0ff79c4725e53ccfcdbc6d\
        12dde4a66d3bf9753a9eed1d83a95de46ca245585f3d4c1495c3fca3464326144cf0aad0de15305442ffb6924263ccf41413\
        151fbb515dd3758f8b09a3c726236790ffadaca1e4ffeeb45cb15abe1b87ea05454a5be1";

    fn message(head: &str, body: &[u8]) -> Message {
        let mut text = format!(
            "SUBSCRIBE sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@example.com>;tag=1\r\n\
             To: <sip:a@example.com>\r\nCall-ID: 1\r\nCSeq: 1 SUBSCRIBE\r\n{head}Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        text.extend_from_slice(body);
        Message::parse(text.into()).unwrap()
    }

    fn packed(reader: impl Read) -> Vec<u8> {
        let (mut reader, mut out) = (reader, Vec::new());
        reader.read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn rfc5367_4_a_list_comes_plain_in_a_multipart_or_packed() {
        let plain = "Require: recipient-list-subscribe\r\nContent-Type: application/resource-lists+xml\r\n";
        let deflate = format!("{plain}Content-Encoding: deflate\r\n");
        let mixed = "Content-Type: multipart/mixed;boundary=b\r\n";
        let parts = format!(
            "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\nContent-Type: application/resource-lists+xml\r\n\r\n{LIST}\r\n--b--\r\n"
        );
        for (head, body) in [
            (plain, LIST.as_bytes().to_vec()),
            (mixed, parts.into_bytes()),
            (&deflate, packed(ZlibEncoder::new(LIST.as_bytes(), Compression::best()))),
            (&deflate, packed(DeflateEncoder::new(LIST.as_bytes(), Compression::best()))),
        ] {
            let list = recipient_list(&message(head, &body)).unwrap().unwrap();
            assert_eq!(list, [("sip:bob@example.com".to_owned(), String::new())], "{head}");
        }
    }

    #[test]
    fn nothing_is_no_list_and_a_bomb_is_refused() {
        let head = "Require: recipient-list-subscribe\r\nContent-Type: application/resource-lists+xml\r\nContent-Encoding: deflate\r\n";
        // Interop: Linphone's un-SUBSCRIBE says all this of no body.
        assert_eq!(recipient_list(&message(head, b"")), Ok(None));
        let bomb = packed(ZlibEncoder::new(&vec![b' '; 10_000_000][..], Compression::best()));
        assert!(bomb.len() < limits::BODY_BYTES_MAX);
        assert_eq!(recipient_list(&message(head, &bomb)), Err(Limit::Body.into()));
        assert!(matches!(recipient_list(&message(head, b"\x01\x02")), Err(Reject::BadRequest(_))));
        let gzip = head.replace("deflate", "gzip");
        assert_eq!(recipient_list(&message(&gzip, b"x")), Err(Reject::UnsupportedEncoding));
        let text = "Require: recipient-list-subscribe\r\nContent-Type: text/plain\r\n";
        assert_eq!(recipient_list(&message(text, b"x")), Err(unsupported()));
        assert_eq!(recipient_list(&message("Content-Type: text/plain\r\n", b"x")), Ok(None));
    }

    #[test]
    fn what_linphone_packs_is_read() {
        let packed: Vec<u8> = LINPHONE
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let head = "Content-Type: application/resource-lists+xml\r\nContent-Encoding: deflate\r\n\
                    Require: recipient-list-subscribe\r\nContent-Disposition: recipient-list\r\n";
        let list = recipient_list(&message(head, &packed)).unwrap().unwrap();
        let uris: Vec<_> = list.iter().map(|(uri, _)| uri.as_str()).collect();
        assert_eq!(uris, ["sip:bob@example.test", "sip:carol@example.test"]);
    }
}
