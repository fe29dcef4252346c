//! Requests inside the dialogs of tracked calls, and the ACK to a 2xx (RFC 3261 §16.6, §16.12, §17.1.1.3).
//!
//! A dialog is known by its Call-ID and tags, which only its two sides and we have seen: that is what lets an in-dialog
//! request in, and the call knows where the other side is. Without it there is nothing to relay: 481.

use super::context::Target;
use super::request::Draft;
use super::routes::Preloaded;
use crate::calls::Hop;
use crate::flow::Flow;
use crate::hits::Limit;
use crate::limits;
use crate::node::Node;
use crate::reject::Reject;
use crate::time::Now;
use crate::ways::Reach;
use bytes::Bytes;
use lampyris_sip::{Forward, Message, Name};

impl Node {
    /// Passes a request on inside its dialog.
    ///
    /// # Errors
    /// 503.
    pub(super) fn on_in_dialog(&mut self, now: Now, draft: Draft<'_>, hop: Hop) -> Result<(), Reject> {
        let Some(server) = self.transactions.open(now.mono, draft.flow, draft.parts) else {
            return Err(Limit::Transactions.into());
        };
        self.promise_trying(server, draft.message, draft.flow);
        let target = self.other_side(&hop, &draft.way, draft.flow);
        self.call_request(now, &hop, draft.message, draft.flow);
        let context = self.open_context(server, &draft, "");
        if let Some(context) = self.proxy.context_mut(context) {
            context.hop = Some(hop);
            context.closed = true;
            context.routes.clear();
        }
        self.begin_branch(now, context, target);
        Ok(())
    }

    /// Passes the ACK to a 2xx on; it is never answered and nothing is kept of it.
    pub(crate) fn on_ack(&mut self, now: Now, flow: Flow, message: &Message) {
        let max_forwards = message.max_forwards().unwrap_or(limits::MAX_FORWARDS);
        let Some(hop) = self.call_of(message) else { return };
        if max_forwards == 0 {
            return;
        }
        let way = self.preloaded(message);
        let target = self.other_side(&hop, &way, flow);
        self.call_request(now, &hop, message, flow);
        // Why: an ACK that cannot go at once comes again with the next 2xx.
        let direct = target.flow.filter(|_| target.routes.is_empty());
        let Some(to) = direct.or_else(|| self.numeric_way(&target)) else { return };
        if let Some(bytes) = self.write_ack(message, &target, &way, flow, to, max_forwards - 1) {
            self.send(to, bytes, None);
        }
    }

    /// The other side of a dialog as a target: where the call knows it to be, with the Request-URI its peer wrote.
    ///
    /// Why the call's route set and not the request's: they are the same but where a phone sends none, or one that is not
    /// the dialog's.
    fn other_side(&self, hop: &Hop, way: &Preloaded, source: Flow) -> Target {
        let flow = hop
            .flow
            .filter(|flow| self.is_usable(*flow) && self.is_secure_for(&way.uri, *flow))
            .or_else(|| {
                // Why: a phone whose connection was lost is back on another, with the same Contact.
                let peer = hop.peer.as_ref().and_then(|name| self.facts.settings.peers.get(name))?;
                let bindings = self.facts.registrar.bindings(&self.facts.aor(peer));
                let same = bindings.iter().find(|b| b.contact == hop.target || b.contact == way.uri);
                let binding = same.or(bindings.first().filter(|_| bindings.len() == 1))?;
                self.contact_flow(&binding.contact, binding.flow, peer.nat)
            });
        let reach = Reach::Of(hop.flow.unwrap_or(source).remote().ip());
        let uri = if self.names_us(&way.uri) { &hop.target } else { &way.uri };
        let routes = hop.routes.clone();
        let mut target = Target { routes, flow, peer: hop.peer.clone(), ..Target::new(uri.clone(), reach) };
        if let Some((contact, flow)) = self.phone_of(uri) {
            // RFC 5627 §6.1. Why the dialog's flow where the phone has none: it is gone from the registrar, not from its call.
            target.uri = contact;
            target.flow = flow.or(target.flow);
        }
        target
    }

    /// Where the phone that a GRUU names is registered, and the flow to it.
    fn phone_of(&self, uri: &str) -> Option<(String, Option<Flow>)> {
        let phone = self.phone_named(uri).ok().flatten()?;
        let binding = *self.facts.registrar.of_instance(&phone).first()?;
        Some((binding.contact.clone(), self.flow_of_phone(&phone)))
    }

    /// Whether a URI is us: a phone that ignores Contact and calls its proxy.
    fn names_us(&self, uri: &str) -> bool {
        lampyris_sip::Uri::parse(uri).is_ok_and(|uri| self.is_us(&uri))
    }

    /// Whether bytes can be sent there.
    fn is_usable(&self, flow: Flow) -> bool {
        match flow {
            Flow::Udp { .. } => true,
            Flow::Stream { id, .. } => self.connections.is_open(id),
        }
    }

    /// Where a target is that needs no lookup.
    fn numeric_way(&mut self, target: &Target) -> Option<Flow> {
        let first = target.routes.first().and_then(|route| lampyris_sip::NameAddr::parse(route).ok());
        let uri = first.map_or(target.uri.as_str(), |addr| addr.uri());
        self.known_way(uri, target.reach)
    }

    fn write_ack(
        &self,
        message: &Message,
        target: &Target,
        way: &Preloaded,
        from: Flow,
        to: Flow,
        max_forwards: u32,
    ) -> Option<Bytes> {
        let listener = self.listener_of(to)?;
        // RFC 3261 §16.11: a stateless branch follows from the request, so that a retransmission has the same one.
        let tag = self.loop_tag(message, way);
        let branch = message.top_via().branch().unwrap_or("").as_bytes();
        let own = self.transactions.fingerprint([branch, tag.as_bytes()]);
        let via = format!(
            "SIP/2.0/{} {};branch=z9hG4bK{own}.{tag};rport",
            listener.transport.via(),
            listener.advertised
        );
        message.forward(&Forward {
            request_uri: &target.uri,
            via: &via,
            source: Some(from.remote()),
            max_forwards,
            record_routes: &[],
            routes: &target.routes,
            without: &[Name::ProxyAuthorization],
            added: &[],
        })
    }
}
