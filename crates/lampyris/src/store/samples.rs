//! One record of each kind with every field set, for the tests of the store's formats.

use lampyris_core::features::{Feature, Features};
use lampyris_core::flow::{Flow, ListenerId, StreamId};
use lampyris_core::journal::{
    AnswerRecord, BindingRecord, BindingsRecord, CallDialogRecord, CallEndRecord, CallRecord,
    CallReplacesRecord, Counts, DeviceRecord, DocumentRecord, FeatureOrigin, FeaturesRecord, GatewayRecord,
    GruuRecord, IdentityRecord, MailboxRecord, Origin, PublicationRecord, ResourceRecord, RulesRecord,
    StatusRecord, SubscriptionRecord, Value,
};
use lampyris_core::time::UnixTime;

const BEGAN: UnixTime = UnixTime::from_millis(1_800_000_000_000);
const ENDS: UnixTime = UnixTime::from_millis(1_900_000_000_000);

fn udp() -> Flow {
    Flow::Udp { listener: ListenerId(1), remote: ([192, 0, 2, 17], 5062).into() }
}

fn stream() -> Flow {
    let remote = (std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7), 5061).into();
    Flow::Stream { id: StreamId(300), remote }
}

fn origin() -> Origin {
    Origin { cseq: 70_000, branch: "z9hG4bKa".into() }
}

/// One of each kind; `event_params` is the subscription's.
pub(crate) fn samples(event_params: &str) -> Vec<Value> {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
    let identity = |name: Option<&str>, uri: &str| IdentityRecord {
        display_name: name.map(str::to_owned),
        uri: uri.to_owned(),
    };
    let end = |peer: Option<&str>, cseq| CallEndRecord {
        peer: peer.map(str::to_owned),
        target: "sip:a@192.0.2.17".into(),
        flow: peer.map(|_| udp()),
        registered_by: peer.map(|_| "reg-1".into()),
        routes: texts(&["<sip:p1;lr>"]),
        cseq,
        holds: cseq.is_some(),
    };
    vec![
        Value::Device(DeviceRecord {
            device: "Custom:night".into(),
            state: "INUSE".into(),
            until: Some(ENDS),
            set_at: BEGAN,
        }),
        Value::Mailbox(MailboxRecord {
            mailbox: "100@default".into(),
            counts: Counts { new: 1, old: 200, urgent_new: 3, urgent_old: 4 },
        }),
        Value::Features(FeaturesRecord {
            user: "alice@example.com".into(),
            features: Features {
                dnd: true,
                forward_always: Some("6002".into()),
                forward_busy: None,
                forward_no_answer: Some("sip:v@example.com".into()),
                no_answer_s: Some(20),
            },
            origins: vec![FeatureOrigin {
                feature: Feature::ForwardNoAnswer,
                by: "command".into(),
                at: BEGAN,
            }],
        }),
        Value::Bindings(BindingsRecord {
            aor: "sip:alice@example.com".into(),
            bindings: vec![BindingRecord {
                contact: "sip:alice@192.0.2.17".into(),
                params: ";expires=60".into(),
                q: 700,
                instance: Some("urn:uuid:1".into()),
                reg_id: Some(2),
                call_id: "reg-1".into(),
                cseq: 3,
                path: texts(&["<sip:edge;lr>"]),
                flow: stream(),
                user_agent: "Phone/1".into(),
                expires_at: ENDS,
                created_at: BEGAN,
                branch: "z9hG4bKr".into(),
                gruu: Some(GruuRecord { key: [7; 32], series: 3, first_cseq: 2, made: 4, turn: 5 }),
            }],
        }),
        Value::Call(Box::new(CallRecord {
            serial: 9,
            call_id: "call-1".into(),
            from_tag: "ft".into(),
            from: identity(Some("Alice"), "sip:alice@example.com"),
            to: identity(None, "sip:6002@example.com"),
            private: true,
            replaces: Some(CallReplacesRecord {
                call_id: "call-0".into(),
                to_tag: "t".into(),
                from_tag: "f".into(),
            }),
            referred_by: Some(identity(None, "sip:boss@example.com")),
            began_at: BEGAN,
            pending: true,
            dialogs: vec![CallDialogRecord {
                number: 1,
                to_tag: "tt".into(),
                asked: "6002".into(),
                began_at: BEGAN,
                is_up: true,
                private: false,
                ends: [end(Some("alice"), Some(5)), end(None, None)],
                session_until: Some(ENDS),
            }],
        })),
        Value::Publication(Box::new(PublicationRecord {
            resource: "alice@example.com".into(),
            package: "presence".into(),
            etag: u128::MAX - 5,
            publisher: "alice".into(),
            flow: udp(),
            content_type: "application/pidf+xml".into(),
            body: b"<presence/>".as_slice().into(),
            expires_at: ENDS,
            modified_at: BEGAN,
            call_id: "pub-1".into(),
            origin: origin(),
        })),
        Value::Resource(ResourceRecord {
            resource: "6001@default".into(),
            package: "dialog".into(),
            hash: u64::MAX - 1,
            changed_at: BEGAN,
        }),
        Value::Subscription(Box::new(SubscriptionRecord {
            resource: "6001@default".into(),
            package: "dialog".into(),
            event_id: Some("7".into()),
            event_params: event_params.into(),
            call_id: "sub-1@192.0.2.17".into(),
            local_tag: "lt".into(),
            remote_tag: "rt".into(),
            local: "<sip:6001@example.com>".into(),
            remote: "\"Alice\" <sip:alice@example.com>".into(),
            asked: "sip:6001@example.com".into(),
            watcher: "alice".into(),
            target: "sip:alice@192.0.2.17".into(),
            instance: Some("urn:uuid:1".into()),
            routes: texts(&["<sip:p1;lr>", "<sip:p2;lr>"]),
            flow: udp(),
            remote_cseq: 2,
            local_cseq: 1,
            version: 300,
            format: "application/dialog-info+xml".into(),
            profile: "rfc".into(),
            user_agent: "Phone/1".into(),
            rates: ";max-rate=2".into(),
            filters: Default::default(),
            sleeps: true,
            members: Vec::new(),
            expires_at: ENDS,
            created_at: BEGAN,
            origin: origin(),
        })),
        Value::Status(StatusRecord {
            person: "sip:bob@example.com".into(),
            status: "away".into(),
            note: "Lunch".into(),
            set_at: BEGAN,
            until: Some(ENDS),
        }),
        Value::Rules(RulesRecord {
            user: "sip:alice@example.com".into(),
            document: "<ruleset/>".into(),
            modified_at: BEGAN,
        }),
        Value::Answer(Box::new(AnswerRecord {
            method: "PUBLISH".into(),
            call_id: "pub-1".into(),
            origin: origin(),
            source: [192, 0, 2, 17].into(),
            response: b"SIP/2.0 200 OK\r\n\r\n".to_vec(),
            until: ENDS,
        })),
        Value::Gateway(Box::new(GatewayRecord {
            errand: "fs2 presence sip:bob@example.net".into(),
            call_id: "gw-1".into(),
            local_tag: "lt".into(),
            remote_tag: "rt".into(),
            target: "sip:bob@192.0.2.40".into(),
            routes: texts(&["<sip:p1;lr>"]),
            local_cseq: 4,
            expires_s: 600,
            expires_at: ENDS,
        })),
        Value::Document(DocumentRecord {
            person: "sip:bob@example.com".into(),
            document: "<presence/>".into(),
            modified_at: BEGAN,
        }),
    ]
}
