//! Client-initiated connections as a registrar sees them (RFC 5626 §6).
//!
//! In: a REGISTER and the flow it came on. Out: whether its flow is one that its phone keeps alive, and what the 200 says of
//! that. Keep-alives themselves are the transports': CRLF on streams, pings on WebSockets. UDP would need a STUN server
//! on the SIP port (§5.4), which there is none of, so over UDP nothing is promised.

use crate::flow::Flow;
use crate::limits::FLOW_TIMER_S;
use crate::reject::Reject;
use lampyris_sip::headers::Contact;
use lampyris_sip::{Message, Name, NameAddr, ResponseWriter, Uri};

/// The option tag.
pub(crate) const OPTION: &str = "outbound";

/// Whether outbound is applied to a REGISTER.
///
/// # Errors
/// 400 for several live Contacts beside a `reg-id`, 439 where the phone wants it and its first hop does not do it.
pub(crate) fn applies(message: &Message, flow: Flow) -> Result<bool, Reject> {
    let contacts = message.contacts().filter_map(Contact::addr);
    let live: Vec<_> = contacts.filter(|contact| contact.expires() != Some(0)).collect();
    let is_flow = live.iter().any(|contact| contact.reg_id().is_some() && contact.instance().is_some());
    if is_flow && live.len() > 1 {
        return Err(Reject::BadRequest("reg-id beside other Contacts".into()));
    }
    if !is_flow || !message.has_token(Name::Supported, OPTION) {
        return Ok(false);
    }
    if message.vias().count() == 1 {
        return Ok(flow.is_reliable());
    }
    // The lowest Path is that of the first hop, which holds the connection (RFC 3327 §5.2).
    let first_hop = message.values(Name::Path).last().and_then(|path| NameAddr::parse(path).ok());
    let holds = first_hop.is_some_and(|path| Uri::parse(path.uri()).is_ok_and(|uri| uri.params().has("ob")));
    if holds { Ok(true) } else { Err(Reject::FirstHopLacksOutbound) }
}

/// What the 200 to such a REGISTER says: how often to send something is only ours to say where the flow is ours.
pub(crate) fn promise(writer: &mut ResponseWriter, message: &Message) {
    writer.header(Name::Require, OPTION);
    if message.vias().count() == 1 {
        writer.header_fmt(Name::FlowTimer, format_args!("{FLOW_TIMER_S}"));
    }
}
