//! Requests to gateways: when one is due, where it goes, how it is written.

use super::state::{Kind, State};
use super::{Errand, Want};
use crate::flow::Flow;
use crate::limits;
use crate::node::{Node, Requester};
use crate::notifier::routed;
use crate::resource::ResourceKey;
use crate::time::Now;
use crate::transaction::Branch;
use crate::ways::{Reach, Traveller, WayTo};
use lampyris_sip::{Name, NameAddr, RequestWriter};
use std::time::Duration;

impl Node {
    /// An errand's time has come: to ask for the first time or again, or to give up waiting for the first NOTIFY.
    pub(crate) fn on_gateway_due(&mut self, now: Now, slot: u32) {
        let Some(errand) = self.gateways.errands.get_mut(slot) else { return };
        errand.timer = None;
        if errand.in_flight.is_some() {
            return;
        }
        errand.rounds = 0;
        if errand.state == State::Subscribe && errand.want.kind() == Kind::Subscription && !errand.is_ending {
            // RFC 6665 §4.1.2.4, timer N: granted, and nothing was told.
            let retry = errand.want.retry();
            self.drop_sources(now, slot);
            self.fresh_dialog(slot);
            self.unstore_errand(slot);
            self.enter_state(now, slot, State::FailWait, "no NOTIFY came");
            return self.arm_errand(now, slot, retry);
        }
        if errand.is_ending && errand.state == State::Unsubscribe {
            return self.forget_errand(slot);
        }
        if errand.is_ending {
            self.enter_state(now, slot, State::Unsubscribe, "");
        } else if errand.dialog.is_none() && errand.told.etag.is_none() {
            self.enter_state(now, slot, State::Unsubed, "");
        }
        self.forget_way(Traveller::Gateway(slot));
        self.ask_gateway(now, slot);
    }

    /// Finds the way for the next request of an errand, and sends it where that is known at once.
    pub(super) fn ask_gateway(&mut self, now: Now, slot: u32) {
        if self.has_nothing_to_publish(now, slot) {
            return;
        }
        let Some(errand) = self.gateways.errands.get(slot) else { return };
        let hop = errand.next_hop();
        let way = self.way_to(now, Traveller::Gateway(slot), &hop, Reach::Anywhere);
        self.take_way(now, slot, way);
    }

    /// Goes on with what looking for a way gave.
    pub(super) fn take_way(&mut self, now: Now, slot: u32, way: WayTo) {
        match way {
            WayTo::Known(flow) => self.send_errand(now, slot, flow),
            WayTo::Later => {}
            WayTo::None => self.on_gateway_failed(now, slot, None, 503),
        }
    }

    /// Sends the request that is due.
    pub(super) fn send_errand(&mut self, now: Now, slot: u32, flow: Flow) {
        let cnonce = format!("{:016x}", self.rng.next_u64());
        let Some(listener) = self.listener_of(flow) else {
            return self.on_gateway_failed(now, slot, None, 503);
        };
        let via = format!("SIP/2.0/{} {}", listener.transport.via(), listener.advertised);
        let Some(errand) = self.gateways.errands.get(slot) else { return };
        if errand.in_flight.is_some() {
            return;
        }
        let user = lampyris_sip::uri::escape_user(&errand.gateway.name).into_owned();
        let contact = self.our_contact(flow, &format!("sip:gw+{user}@invalid"), &errand.next_hop());
        let agent = self.facts.settings.server_name.clone();
        let saying = self.saying_now(now, slot);
        let Some(errand) = self.gateways.errands.get_mut(slot) else { return };
        errand.cseq = errand.cseq.saturating_add(1);
        errand.rounds = errand.rounds.saturating_add(1);
        let (method, cseq) = (errand.want.method(), errand.cseq);
        let (uri, routes) = errand.target();
        let gateway = errand.gateway.clone();
        let credentials =
            errand.credentials.as_mut().map(|known| known.header(&gateway, method, &uri, &cnonce));
        let errand = &*errand;
        let write = |branch: &Branch| {
            let mut writer = RequestWriter::new(method, &uri);
            writer.header_fmt(Name::Via, format_args!("{via};branch={};rport", branch.as_str()));
            writer.header_fmt(Name::MaxForwards, format_args!("{}", limits::MAX_FORWARDS));
            if !routes.is_empty() {
                writer.header(Name::Route, &routes);
            }
            writer.header_fmt(Name::From, format_args!("<{}>;tag={}", gateway.identity, errand.local_tag));
            match &errand.dialog {
                Some(dialog) if !dialog.remote_tag.is_empty() => {
                    writer.header_fmt(Name::To, format_args!("<{}>;tag={}", errand.to(), dialog.remote_tag))
                }
                _ => writer.header_fmt(Name::To, format_args!("<{}>", errand.to())),
            };
            writer.header(Name::CallId, &errand.call_id);
            writer.header_fmt(Name::CSeq, format_args!("{cseq} {method}"));
            if errand.want.kind() != Kind::Publication {
                writer.header(Name::Contact, &contact);
            }
            if let Want::Subscription(subscription) = &errand.want {
                writer.header(Name::Event, &subscription.package);
                if !subscription.accept.is_empty() {
                    writer.header(Name::Accept, &subscription.accept);
                }
                if subscription.list {
                    writer.header(Name::Supported, "eventlist");
                }
            }
            if let Want::Publication(publication) = &errand.want {
                writer.header(Name::Event, publication.package.name());
                if let Some(etag) = &errand.told.etag {
                    writer.header(Name::SipIfMatch, etag);
                }
            }
            let is_end = errand.is_ending || saying.as_ref().is_some_and(|saying| saying.is_removal());
            let expires_s = if is_end { 0 } else { errand.expires_s };
            writer.header_fmt(Name::Expires, format_args!("{expires_s}"));
            if let Some((name, value)) = &credentials {
                writer.header(*name, value);
            }
            if !agent.is_empty() {
                writer.header(Name::UserAgent, &agent);
            }
            if let Some((content_type, body)) = saying.as_ref().and_then(|saying| saying.body.as_ref()) {
                writer.body(content_type, body);
                return writer.finish();
            }
            writer.finish()
        };
        let requester = Requester::Gateway { slot, cseq };
        let after = saying.as_ref().and_then(|saying| saying.after);
        let (client, mut transmit) = self.transactions.start(now.mono, flow, method, requester, write);
        transmit.after = after;
        self.transmit(transmit);
        if let Some(ticket) = after {
            self.transactions.hold(client, ticket);
        }
        let Some(errand) = self.gateways.errands.get_mut(slot) else { return };
        errand.in_flight = Some((client, cseq));
        errand.stream = match flow {
            Flow::Stream { id, .. } => Some(id),
            Flow::Udp { .. } => None,
        };
        self.gateways.streams.extend(errand.stream);
        errand.told.sending = saying.map(|saying| saying.hash);
        errand.told.is_stale = false;
        if !errand.is_ending {
            self.enter_state(now, slot, State::Trying, "");
        }
    }
}

impl Errand {
    /// The URI in To.
    fn to(&self) -> &str {
        match &self.want {
            Want::Registration(_) => &self.gateway.identity,
            Want::Subscription(subscription) => &subscription.watched,
            Want::Publication(publication) => &publication.target,
        }
    }

    /// Request-URI and Route.
    fn target(&self) -> (String, String) {
        if let Some(dialog) = &self.dialog {
            let routes = dialog.routes.join(", ");
            let (uri, routes) = routed(&dialog.target, &routes);
            return (uri.into_owned(), routes.into_owned());
        }
        let uri = match &self.want {
            Want::Registration(registration) => registration.registrar.clone(),
            Want::Subscription(subscription) => subscription.target.clone(),
            Want::Publication(publication) => publication.target.clone(),
        };
        (uri, String::new())
    }

    /// It asks at a federated domain, on behalf of one user.
    fn is_federated(&self) -> bool {
        matches!(&self.demanded, Some(ResourceKey::Remote { on_behalf, .. }) if !on_behalf.is_empty())
    }

    /// The URI that the next request is sent to.
    fn next_hop(&self) -> String {
        if let Some(dialog) = &self.dialog {
            let first = dialog.routes.first().and_then(|route| NameAddr::parse(route).ok());
            let first = first.map(|route| route.uri().to_owned());
            // Why: its certificate is for the domain's name, and hardly ever for what stands in a Contact.
            let first = first.or_else(|| self.gateway.proxy.clone().filter(|_| self.is_federated()));
            return first.unwrap_or_else(|| dialog.target.clone());
        }
        let hop = match &self.want {
            Want::Publication(publication) => publication.hop.clone(),
            Want::Registration(_) | Want::Subscription(_) => None,
        };
        self.gateway.proxy.clone().or(hop).unwrap_or_else(|| self.target().0)
    }

    /// When it is to be renewed, after a life of this many seconds was granted.
    pub(super) fn renew_after(&self, granted_s: u32) -> Duration {
        super::state::renew_after(Duration::from_secs(u64::from(granted_s)))
    }
}
