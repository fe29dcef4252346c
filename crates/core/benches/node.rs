//! What the node costs without a socket or a disk: CPU time per request, per NOTIFY, per document and per record.
//!
//! Bytes go in and come out, so parsing and writing are part of every figure; records are taken for durable at once.
//! A virtual millisecond passes per request, so finished transactions linger as at 1,000 requests per second. Only the
//! node's own work is on the clock, not the answers that the simulated phones make up; and the clock of the `node` group
//! is the thread's CPU time, so that other work on the machine disturbs less. Run it with
//! `cargo bench -p lampyris-core --bench node`.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::print_stdout, reason = "sizes have no timing that criterion could print")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark may end where something is not as it must be"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use lampyris_core::body::dialog_info::DialogInfo;
use lampyris_core::body::pidf::Pidf;
use lampyris_core::body::presence_document::PresenceDocument;
use lampyris_core::body::rpid::Activity;
use lampyris_core::body::{HoleValues, Style};
use lampyris_core::composition::extension::{LampState, Presence};
use lampyris_core::composition::policy::{Base, Policy, SourceKind};
use lampyris_core::composition::presence::Composed;
use lampyris_core::composition::sources::{Says, Source, Sources, compose};
use lampyris_core::device_state::{DeviceName, DeviceState, ExtensionState};
use lampyris_core::journal::Value;
use lampyris_core::manual_status::{ManualStatus, Status};
use lampyris_core::settings::{Authentication, Domain, Peer, Settings};
use lampyris_core::time::UnixTime;
use lampyris_sip::digest::{self, Algorithm, Ha1};
use lampyris_sip::headers::Challenge;
use lampyris_sip::{Message, Name};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

#[path = "node/rig.rs"]
mod rig;
use rig::{Rig, expect, notifying, publish, subscribe, subscribing};

fn refreshing(count: u64) -> Duration {
    let mut rig = Rig::trusting();
    let tags: Vec<String> = (0..1000)
        .map(|n| {
            rig.ask(subscribe(n, 1, "", "presence", &format!("p{}", n / 10), "")).to_tag().unwrap().to_owned()
        })
        .collect();
    rig.spent = Duration::ZERO;
    for round in 0..count {
        let n = round % 1000;
        let cseq = u32::try_from(round / 1000).unwrap() + 2;
        let tag = &tags[usize::try_from(n).unwrap()];
        let answer = rig.ask(subscribe(n, cseq, tag, "presence", &format!("p{}", n / 10), ""));
        expect(200, &answer);
    }
    rig.spent
}

/// Time for `count` new subscriptions of one user, each with a digest of its own.
fn authenticating(count: u64, algorithm: Algorithm) -> Duration {
    let ha1 = digest::ha1(algorithm, "watcher", "bench.example", "secret");
    let mut settings = Settings::empty();
    settings.domains =
        vec![Domain { any_user: true, algorithms: vec![algorithm], ..Domain::named("bench.example") }];
    let mut peer = Peer::named("watcher", DeviceName::parse("SIP/watcher").unwrap());
    peer.authentication = Authentication::Digest(vec![ha1.clone()]);
    settings.peers.insert("watcher".into(), peer);
    let mut rig = Rig::new(settings);
    let mut nonce = String::new();
    let mut nc = 0;
    for n in 0..count {
        let presentity = format!("p{}", n / 10);
        // Why: a nonce lives for 300 s.
        if n % 200_000 == 0 {
            let spent = rig.spent;
            let refusal = rig.ask(subscribe(n, 1, "", "presence", &presentity, ""));
            expect(401, &refusal);
            let challenge = Challenge::parse(refusal.header(Name::WwwAuthenticate).unwrap()).unwrap();
            (nonce, nc, rig.spent) = (challenge.nonce.to_owned(), 0, spent);
        }
        nc += 1;
        let authorization = authorization(&ha1, &nonce, nc, &format!("sip:{presentity}@bench.example"));
        let answer = rig.ask(subscribe(n, 2, "", "presence", &presentity, &authorization));
        expect(200, &answer);
    }
    rig.spent
}

fn authorization(ha1: &Ha1, nonce: &str, nc: u32, uri: &str) -> String {
    let nc = format!("{nc:08x}");
    let qop = digest::Qop { nc: &nc, cnonce: "0a4f113b", qop: "auth" };
    let response = digest::response(ha1, nonce, Some(qop), "SUBSCRIBE", uri, b"");
    format!(
        "Authorization: Digest username=\"watcher\", realm=\"bench.example\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{}\", algorithm={}, qop=auth, nc={nc}, cnonce=\"0a4f113b\"\r\n",
        response.as_str(),
        ha1.algorithm().token()
    )
}

/// Time for `count` changes of one presentity, each told to all its watchers and answered by them.
fn publishing(count: u64, watchers: u64) -> Duration {
    let mut rig = Rig::trusting();
    for n in 0..watchers {
        expect(200, &rig.ask(subscribe(n, 1, "", "presence", "p0", "")));
    }
    let mut etag = String::new();
    for n in 0..=count {
        if n == 1 {
            rig.spent = Duration::ZERO;
        }
        let answer = rig.ask(publish(n, "p0", &etag));
        expect(200, &answer);
        answer.header(Name::SipETag).unwrap().clone_into(&mut etag);
    }
    rig.spent
}

fn requests(c: &mut Criterion) {
    for (name, bytes) in lampyris_core::sizes::fixed_bytes() {
        println!("{name}: {bytes} bytes and what it points to");
    }
    let mut group = c.benchmark_group("node");
    group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    group.bench_function("notify_and_its_200", |b| b.iter_custom(notifying));
    group.bench_function("subscribe/presence", |b| b.iter_custom(|count| subscribing(count, "presence")));
    group.bench_function("subscribe/dialog", |b| b.iter_custom(|count| subscribing(count, "dialog")));
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let name = format!("subscribe/{}", algorithm.token());
        group.bench_function(name, |b| b.iter_custom(|count| authenticating(count, algorithm)));
    }
    group.bench_function("refresh", |b| b.iter_custom(refreshing));
    for watchers in [0, 1, 10, 1000] {
        let name = format!("publish_modify/{watchers}_watchers");
        group.bench_function(name, |b| b.iter_custom(|count| publishing(count, watchers)));
    }
    group.finish();
}

fn documents(c: &mut Criterion) {
    let mut group = c.benchmark_group("body");
    group.sample_size(20).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    let lamp = LampState::of(ExtensionState::InUse);
    let published = publish(1, "p0", "");
    let published = Message::parse(published).unwrap();
    let document = Arc::new(Pidf::decode(published.body_bytes()).unwrap());
    let presence = Presence { lamp: None, published: vec![document], ..Presence::default() };
    group.bench_function("presence/decode", |b| {
        b.iter(|| Pidf::decode(black_box(published.body_bytes())).unwrap())
    });
    group.bench_function("presence/compose", |b| b.iter(|| Composed::of(black_box(&presence), "p0")));
    let five = five_sources(&presence.published[0]);
    for base in Base::ALL {
        let policy = Policy::of(base);
        group.bench_function(format!("presence/compose/5_sources/{}", base.name()), |b| {
            b.iter(|| Composed::of(&compose(black_box(&policy), black_box(&five)).presence, "p0"));
        });
    }
    group.bench_function("presence/encode", |b| {
        b.iter(|| Pidf::encode(black_box(&presence), "p0", Style::default()))
    });
    group.bench_function("dialog/encode", |b| {
        b.iter(|| DialogInfo::encode_lamp(black_box(&lamp), "6001", Style::default()));
    });
    let body = DialogInfo::encode_lamp(&lamp, "6001", Style::default());
    let values = HoleValues {
        version: 17,
        entity: "sip:6001@bench.example",
        watcher: "sip:watcher@bench.example",
        call_id: "3c26700a0-jh2b7tq8@127.0.0.1",
        now: UnixTime::from_millis(0),
    };
    group.bench_function("dialog/fill", |b| b.iter(|| body.fill(black_box(&values))));
    group.finish();
}

/// A desk phone in a call, two that published, a status by hand and hard state.
fn five_sources(document: &Arc<PresenceDocument>) -> Sources {
    let at = UnixTime::from_millis;
    let source = |kind, name: &str, since, says| {
        let (name, since) = (name.to_owned(), at(since));
        Source { kind, name, tie: 0, since, until: None, stale: false, says }
    };
    let status = ManualStatus {
        status: Status::Doing(Activity::Meeting),
        note: "Until one".to_owned(),
        set_at: at(5),
        until: None,
    };
    let all = vec![
        source(SourceKind::Calls, "SIP/desk", 20, Says::Device(DeviceState::InUse)),
        source(SourceKind::Publication, "mobile", 10, Says::Document(Arc::clone(document))),
        source(SourceKind::Publication, "tablet", 30, Says::Document(Arc::clone(document))),
        source(SourceKind::Manual, "status", 5, Says::Status(status)),
        source(SourceKind::Document, "document", 1, Says::Document(Arc::clone(document))),
    ];
    Sources { all, bare: Some(ExtensionState::Unavailable), said: None }
}

fn records(c: &mut Criterion) {
    let mut rig = Rig::trusting();
    expect(200, &rig.ask(subscribe(0, 1, "", "presence", "p0", "")));
    let value = rig.subscription.take().expect("it is stored");
    let mut group = c.benchmark_group("journal");
    group.sample_size(20).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    group.bench_function("subscription/encode", |b| {
        b.iter(|| postcard::to_extend(black_box(&value), Vec::with_capacity(512)).unwrap());
    });
    let bytes = postcard::to_extend(&value, Vec::new()).unwrap();
    group.bench_function("subscription/decode", |b| {
        b.iter(|| postcard::from_bytes::<Value>(black_box(&bytes)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, requests, documents, records);
criterion_main!(benches);
