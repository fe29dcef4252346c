//! NOTIFYs of the subscriptions we have at gateways (RFC 6665 §4.1.3), also those that overtake the answer to the SUBSCRIBE.

use super::state::{State, after_end};
use super::{Dialog, Want};
use crate::flow::Flow;
use crate::limits;
use crate::node::Node;
use crate::output::Event;
use crate::reject::Reject;
use crate::time::Now;
use crate::transaction::Parts;
use lampyris_sip::headers::Event as EventHeader;
use lampyris_sip::headers::SubscriptionState;
use lampyris_sip::{Message, Method, Name, StatusCode};
use std::time::Duration;

/// Longest body that an event carries, in bytes.
const EVENT_BODY_BYTES_MAX: usize = 4096;

impl Node {
    /// The errand whose dialog a NOTIFY belongs to, by Call-ID and our tag, which only the gateway and we have seen.
    pub(crate) fn gateway_dialog(&self, message: &Message) -> Option<u32> {
        if message.method() != Some(Method::Notify) {
            return None;
        }
        let slot = *self.gateways.by_call_id.get(message.call_id())?;
        let errand = self.gateways.errands.get(slot)?;
        (message.to_tag() == Some(errand.local_tag.as_str())).then_some(slot)
    }

    /// Takes a NOTIFY of a gateway.
    ///
    /// # Errors
    /// 400, 481 (another branch of a fork), 489, 500 (older than the one before), 503.
    pub(crate) fn on_gateway_notify(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        (slot, parts): (u32, &Parts<'_>),
    ) -> Result<(), Reject> {
        let malformed = |what: &'static str| Reject::BadRequest(what.into());
        let Some(errand) = self.gateways.errands.get(slot) else { return Err(Reject::NoSuchDialog) };
        let Want::Subscription(subscription) = &errand.want else { return Err(Reject::NoSuchDialog) };
        let event = message.header(Name::Event).ok_or_else(|| malformed("no Event"))?;
        let event = EventHeader::parse(event).map_err(|_| malformed("malformed Event"))?;
        if !event.package.eq_ignore_ascii_case(&subscription.package) {
            return Err(crate::notifier::bad_event());
        }
        let state =
            message.header(Name::SubscriptionState).ok_or_else(|| malformed("no Subscription-State"))?;
        let state = SubscriptionState::parse(state).map_err(|_| malformed("malformed Subscription-State"))?;
        let remote_tag = message.from_tag().ok_or_else(|| malformed("no tag in From"))?;
        let contact =
            message.contacts().find_map(|contact| contact.addr()).map(|contact| contact.uri().to_owned());
        let cseq = message.cseq().seq;
        match &errand.dialog {
            Some(dialog) if dialog.remote_tag != remote_tag => return Err(Reject::NoSuchDialog),
            Some(dialog) if dialog.remote_cseq.is_some_and(|last| cseq <= last) => {
                return Err(Reject::OutOfOrder);
            }
            None if contact.is_none() => return Err(malformed("no Contact")),
            _ => {}
        }
        let Some(server) = self.transactions.open(now.mono, flow, parts) else {
            return Err(Reject::ServiceUnavailable { retry_after_s: limits::RETRY_AFTER_S });
        };
        let mut writer = self.response(message, flow, StatusCode(200), None);
        self.name_us(&mut writer);
        let bytes = writer.finish();
        self.respond(now, server, 200, bytes, None);

        let Some(errand) = self.gateways.errands.get_mut(slot) else { return Ok(()) };
        let is_new = errand.dialog.is_none();
        let dialog = errand.dialog.get_or_insert_with(|| Dialog {
            remote_tag: remote_tag.to_owned(),
            target: String::new(),
            // RFC 3261 §12.1.1: in their order for who is asked.
            routes: message.values(Name::RecordRoute).take(limits::ROUTES_MAX).map(str::to_owned).collect(),
            remote_cseq: None,
        });
        dialog.remote_cseq = Some(cseq);
        if let Some(contact) = contact {
            dialog.target = contact;
        }
        errand.notifies = errand.notifies.saturating_add(1);
        errand.is_pending = state.state.eq_ignore_ascii_case("pending");
        if let Some(expires_s) = state.expires() {
            // RFC 6665 §4.1.2.1: what a NOTIFY says of the life holds, but lengthens nothing.
            let at = now.wall + Duration::from_secs(u64::from(expires_s.min(errand.expires_s)));
            errand.expires_at = Some(errand.expires_at.map_or(at, |known| known.min(at)));
        }
        self.tell_notify(slot, flow, message);
        let is_over = state.is_terminated();
        let is_ending = self.gateways.errands.get(slot).is_some_and(|errand| errand.is_ending);
        if is_over {
            return self.on_gateway_ended(now, slot, &state, is_ending);
        }
        if is_ending {
            return Ok(());
        }
        if let Some(errand) = self.gateways.errands.get_mut(slot) {
            errand.is_told = true;
        }
        self.take_document(now, slot, flow, message);
        let is_waiting =
            self.gateways.errands.get(slot).is_some_and(|errand| errand.state == State::Subscribe);
        if is_waiting {
            let left = self.gateways.errands.get(slot).and_then(|errand| errand.expires_at);
            let left = left.map_or(Duration::ZERO, |at| at.since(now.wall));
            self.enter_state(now, slot, State::Subed, "");
            let after = super::state::renew_after(left).max(limits::GATEWAY_RENEW_LEAST);
            self.arm_errand(now, slot, after);
        }
        if is_new || is_waiting {
            self.store_errand(slot);
        }
        self.settle_remote(now, slot);
        Ok(())
    }

    /// The gateway ended a subscription.
    fn on_gateway_ended(
        &mut self,
        now: Now,
        slot: u32,
        state: &SubscriptionState<'_>,
        is_ending: bool,
    ) -> Result<(), Reject> {
        if is_ending {
            self.drop_sources(now, slot);
            self.forget_errand(slot);
            return Ok(());
        }
        let Some(errand) = self.gateways.errands.get_mut(slot) else { return Ok(()) };
        if let Some((client, _)) = errand.in_flight.take() {
            self.transactions.abandon(client);
        }
        let Some(errand) = self.gateways.errands.get(slot) else { return Ok(()) };
        let over = super::remote::over_for(state.reason());
        let (after, next) = after_end(state.reason(), state.retry_after(), errand.want.retry());
        // Why: a server that ends at once what it has just granted would have us ask without pause.
        let after = after.max(limits::GATEWAY_RENEW_LEAST);
        let trouble = format!("ended there: {}", state.reason().unwrap_or("no reason given"));
        if let Some(errand) = self.gateways.errands.get_mut(slot) {
            errand.over = over;
        }
        self.lose_subscription(now, slot, after, next, &trouble);
        Ok(())
    }

    /// FreeSWITCH's NOTIFY_IN.
    fn tell_notify(&mut self, slot: u32, flow: Flow, message: &Message) {
        let Some(errand) = self.gateways.errands.get(slot) else { return };
        let body = message.body();
        let shown = body.get(..body.len().min(EVENT_BODY_BYTES_MAX)).unwrap_or_default();
        let listener = self.listener_of(flow).map(|listener| listener.advertised);
        let event = Event::NotifyIn {
            package: errand.what(),
            pl_data: String::from_utf8_lossy(shown).into_owned(),
            sip_content_type: message.header(Name::ContentType).unwrap_or("").to_owned(),
            port: listener.map_or(0, |address| address.port()),
            module_name: "lampyris",
            profile_name: listener.map_or_else(String::new, |address| address.ip().to_string()),
            profile_uri: listener
                .map_or_else(String::new, |address| format!("sip:gw+{}@{address}", errand.gateway.name)),
            gateway_name: errand.gateway.name.clone(),
            call_info: message.header_by_name("Call-Info").unwrap_or("").to_owned(),
        };
        self.tell(event);
    }
}
