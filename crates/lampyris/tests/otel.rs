//! Traces as a collector gets them: OTLP over HTTP, decoded here as a collector would. Needs `--features otel`.

#![cfg(feature = "otel")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is a test")]

mod lab;

use lab::{Lab, PATIENCE, Sip};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// One delivery: whose it is, and its spans.
fn delivery(collector: &TcpListener) -> (String, Vec<Span>) {
    let (stream, _) = collector.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while line != "\r\n" {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "it ended: {head}");
        head.push_str(&line.to_ascii_lowercase());
    }
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    let service = text(&resource.attributes, "service.name").unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|it| it.scope_spans);
    (service, scopes.flat_map(|scope| scope.spans).collect())
}

/// The value of an attribute.
fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()? {
        AnyValue { value: Some(Value::StringValue(text)) } => Some(text.clone()),
        AnyValue { value: Some(Value::IntValue(number)) } => Some(number.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}

#[test]
fn a_collector_is_told_of_requests() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = collector.local_addr().unwrap();
    let options = format!("http = \"127.0.0.1:0\"\notel = \"http://{at}/\"\n");
    let lab = Lab::start("otel", &["tcp:127.0.0.1:0"], &options);
    let mut alice = Sip::new(TcpStream::connect(lab.address("tcp")).unwrap(), "TCP");
    alice.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let more = "Event: dialog\r\nContact: <sip:alice@x7.invalid;transport=tcp>\r\nExpires: 60\r\n";
    alice.request("SUBSCRIBE", "sip:7000@example.com", more);
    assert!(alice.read().unwrap().starts_with("SIP/2.0 200"));
    alice.notified();
    let mut spans = Vec::new();
    let subscribed = loop {
        let (service, more) = delivery(&collector);
        assert_eq!(service, "lampyris");
        spans.extend(more);
        if let Some(found) = spans.iter().find(|span: &&Span| span.name == "SUBSCRIBE") {
            break found.clone();
        }
    };
    let of = |key| text(&subscribed.attributes, key);
    assert_eq!(of("sip.method").as_deref(), Some("SUBSCRIBE"));
    assert_eq!(of("sip.call_id").as_deref(), Some("SUBSCRIBE-1"));
    assert_eq!(of("sip.status").as_deref(), Some("200"));
    assert!(subscribed.end_time_unix_nano > subscribed.start_time_unix_nano);
    let told: Vec<&str> = subscribed.events.iter().map(|event| event.name.as_str()).collect();
    assert!(told.contains(&"subscription"), "{told:?}");
    // The rest of a batch, as HTTP requests and the answer to the NOTIFY, comes with it or later.
    lab.get("/healthz", "");
    while !spans.iter().any(|span| span.name == "GET /healthz")
        || !spans.iter().any(|span| span.name == "200 NOTIFY")
    {
        spans.extend(delivery(&collector).1);
    }
}
