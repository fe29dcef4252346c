//! Any bytes are a message or a refusal, and every typed view of a message can be read without a panic.
#![no_main]

use bytes::Bytes;
use lampyris_sip::{Event, Message, Name, Uri};
use libfuzzer_sys::fuzz_target;

fn read(message: &Message) {
    let _ = (message.method(), message.status(), message.cseq(), message.call_id(), message.max_forwards());
    let _ = (message.from_tag(), message.to_tag(), message.body(), message.start_line());
    let _ = message.request_uri().map(Uri::parse);
    let _ = (
        message.header(Name::Event).map(Event::parse),
        message.expires(),
        message.accept(),
        message.content_type(),
    );
    let _ = (message.retry_after(), message.sip_if_match(), message.sip_etag());
    for via in message.vias() {
        let _ = (via.branch(), via.received(), via.rport(), via.maddr(), via.ttl(), via.port());
    }
    for contact in message.contacts().filter_map(|contact| contact.addr()) {
        let _ = (contact.q(), contact.expires(), contact.instance(), contact.reg_id());
    }
    for name in [Name::Route, Name::Supported, Name::Require] {
        let _ = message.values(name).count();
    }
    let _ = message.asserted_identities().count();
}

fuzz_target!(|data: &[u8]| {
    match Message::parse(Bytes::copy_from_slice(data)) {
        Ok(message) => read(&message),
        Err(error) => {
            if let Some(message) = error.reply_to() {
                read(message);
            }
            assert!((400..=599).contains(&error.status().0));
        }
    }
});
