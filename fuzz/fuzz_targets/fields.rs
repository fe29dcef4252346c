//! Header values by themselves: URI, name-addr, Via, Contact, credentials and challenges, and the rest that has a type.
//! The first byte of the input says which.
#![no_main]

use lampyris_sip::headers::{self, expires, sip_etag};
use lampyris_sip::{
    Accept, CSeq, Challenge, Contact, ContentDisposition, ContentType, Credentials, Event, NameAddr,
    RetryAfter, SubscriptionState, Uri, Via, params, uri,
};
use libfuzzer_sys::fuzz_target;

fn read_uri(text: &str) {
    let Ok(parsed) = Uri::parse(text) else { return };
    let again = parsed.to_string();
    // What is printed means the same.
    assert!(Uri::parse(&again).is_ok(), "{again}");
}

fuzz_target!(|data: &[u8]| {
    let Some((&kind, value)) = data.split_first() else { return };
    let Ok(value) = std::str::from_utf8(value) else { return };
    match kind % 14 {
        0 => read_uri(value),
        1 => drop(NameAddr::parse(value).map(|addr| {
            let _ = (addr.display_unquoted(), addr.uri(), addr.tag(), addr.params().get("q"));
        })),
        2 => drop(Via::parse(value).map(|via| {
            let _ = (
                via.transport().len(),
                via.branch(),
                via.received(),
                via.rport(),
                via.maddr(),
                via.ttl(),
                via.port(),
            );
        })),
        3 => drop(Contact::parse(value).map(|contact| {
            if let Some(addr) = contact.addr() {
                let _ = (addr.q(), addr.expires(), addr.instance(), addr.reg_id());
            }
        })),
        4 => drop(Credentials::parse(value)),
        5 => drop(Challenge::parse(value).map(|challenge| challenge.offers_qop("auth"))),
        6 => drop(Event::parse(value)),
        7 => {
            let accept = Accept::from_values(value.split('\n'));
            let quality = accept.quality("application/pidf+xml");
            assert!(quality <= 1000, "{quality}");
            let _ = (accept.names("application/pidf+xml"), accept.accepts("text/plain"));
        }
        8 => drop(ContentType::parse(value).map(|kind| kind.is("multipart/mixed"))),
        9 => drop(ContentDisposition::parse(value)),
        10 => drop((SubscriptionState::parse(value), RetryAfter::parse(value))),
        11 => {
            let _ = (CSeq::parse(value), expires::delta_seconds(value), sip_etag::entity_tag(value));
        }
        12 => {
            let _ = headers::Route::parse(value);
            headers::route::split(value).for_each(drop);
        }
        _ => {
            // What is escaped comes back.
            assert_eq!(uri::unescape(&uri::escape_user(value)), value);
            assert_eq!(params::unescape_quoted(&params::escape_quoted(value)), value);
        }
    }
});
