//! The budget: parse a SUBSCRIBE of about 700 bytes and read every field a server needs in at most 0.5 us.

#![allow(missing_docs)]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lampyris_sip::digest::{self, Algorithm};
use lampyris_sip::{Framer, Message, Name, RequestWriter, ResponseWriter, StatusCode};

#[allow(unreachable_pub)]
#[path = "../tests/messages/fields.rs"]
mod fields;

fn parse(c: &mut Criterion) {
    let raw = Bytes::from_static(fields::SUBSCRIBE);
    let mut group = c.benchmark_group("subscribe");
    group.throughput(Throughput::Bytes(raw.len() as u64));
    group.bench_function("parse", |b| b.iter(|| Message::parse(raw.clone())));
    group.bench_function("fields", |b| b.iter(|| fields::read_fields(raw.clone())));
    let message = Message::parse(raw).expect("message");
    let source = "192.0.2.99:5061".parse().ok();
    group.bench_function("reply", |b| {
        b.iter(|| {
            let mut writer = ResponseWriter::reply_to(&message, StatusCode::OK, source, Some("x7f3"));
            writer.header(Name::Expires, "3600").header(Name::Contact, "<sip:6001@192.0.2.1:5060>");
            writer.finish()
        })
    });
    group.bench_function("notify", |b| {
        b.iter(|| {
            let mut writer = RequestWriter::new(
                "NOTIFY",
                message.contacts().next().map_or("", |_| "sip:alice@192.0.2.17:5061"),
            );
            writer.header(Name::Via, "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK7f3a5b21");
            writer.header(Name::From, "<sip:6001@pbx.example.com>;tag=x7f3");
            writer.header(Name::To, "\"Alice\" <sip:alice@pbx.example.com>;tag=4c1f0a77");
            writer.header(Name::CallId, message.call_id());
            writer.header_fmt(Name::CSeq, format_args!("{} NOTIFY", 102));
            writer.header(Name::MaxForwards, "70").header(Name::Event, "presence");
            writer.header_fmt(Name::SubscriptionState, format_args!("active;expires={}", 3599));
            writer.body("application/pidf+xml", &[b'x'; 400]);
            writer.finish()
        })
    });
    group.bench_function("frame", |b| {
        let mut framer = Framer::new(16_384, 65_535);
        b.iter(|| {
            framer.push(fields::SUBSCRIBE);
            framer.next_frame()
        })
    });
    group.finish();
}

/// What an authorised request costs beyond reading it: two hashes, the secret being hashed already.
fn digests(c: &mut Criterion) {
    let mut group = c.benchmark_group("digest");
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let ha1 = digest::ha1(algorithm, "alice", "pbx.example.com", "secret");
        let qop = digest::Qop { nc: "00000001", cnonce: "0a4f113b", qop: "auth" };
        let nonce = "0123456789abcdef0123456789abcdef";
        group.bench_function(algorithm.token(), |b| {
            b.iter(|| digest::response(&ha1, nonce, Some(qop), "SUBSCRIBE", "sip:6001@pbx.example.com", b""))
        });
    }
    group.finish();
}

criterion_group!(benches, parse, digests);
criterion_main!(benches);
