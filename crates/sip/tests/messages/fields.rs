//! The fields a server reads from every SUBSCRIBE: shared by the benchmark and the allocation test.

pub const SUBSCRIBE: &[u8] = include_bytes!("subscribe.sip");

/// Parses and reads them all; the sum depends on each, so nothing can be left out.
pub fn read_fields(raw: bytes::Bytes) -> usize {
    use lampyris_sip::{Contact, Credentials, Event, Message, Name};
    let m = Message::parse(raw).expect("message");
    let via = m.top_via();
    let (from, to) = (m.from(), m.to());
    let cseq = m.cseq();
    let target = m.request_target().expect("request");
    let contact = m.contacts().next().and_then(Contact::addr);
    let event = Event::parse(m.header(Name::Event).expect("event")).expect("event");
    let accept = m.accept().expect("accept");
    let credentials = Credentials::parse(m.header(Name::Authorization).expect("auth")).expect("credentials");
    via.branch().map_or(0, str::len)
        + via.sent_by_str().len()
        + usize::from(via.port().unwrap_or(0))
        + from.uri().len()
        + m.from_tag().map_or(0, str::len)
        + to.uri().len()
        + m.to_tag().map_or(0, str::len)
        + m.call_id().len()
        + usize::try_from(cseq.seq).expect("small")
        + cseq.method.as_str().len()
        + contact.map_or(0, |c| c.uri().len())
        + event.package.len()
        + event.id().map_or(0, str::len)
        + usize::try_from(m.expires().unwrap_or(0)).expect("small")
        + usize::from(accept.quality("application/pidf+xml"))
        + credentials.username.len()
        + credentials.response.len()
        + credentials.nc.map_or(0, |_| 1)
        + target.user().map_or(0, str::len)
}
