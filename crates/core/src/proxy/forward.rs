//! Sending a request on (RFC 3261 §16.6): the next targets, a branch for each, and the bytes.

use super::context::{BranchId, State, Target};
use crate::authn::Identity;
use crate::calls::Party;
use crate::flow::{Flow, is_sips};
use crate::limits;
use crate::node::{Node, Requester, Timer};
use crate::time::Now;
use crate::transaction::Branch;
use crate::ways::{Traveller, WayTo};
use bytes::Bytes;
use lampyris_sip::{Forward, Message, Name, NameAddr};

impl Node {
    /// Tells the call tracker of a new call.
    pub(super) fn begin_call(&mut self, now: Now, slot: u32, identity: &Identity) {
        let Some(context) = self.proxy.context(slot) else { return };
        let (request, flow) = (context.request.clone(), context.flow);
        let caller = Party {
            peer: identity.peer.clone(),
            target: contact_uri(&request),
            flow: Some(flow),
            registered_by: identity.peer.as_ref().and_then(|peer| self.registered_by(peer, flow)),
            routes: beyond(&request),
        };
        let call = self.call_begins(now, &request, caller);
        self.proxy.set_call(slot, call);
    }

    /// Call-ID of the REGISTER of the phone that uses this flow.
    fn registered_by(&self, peer: &str, flow: Flow) -> Option<String> {
        let peer = self.facts.settings.peers.get(peer)?;
        let bindings = self.facts.registrar.bindings(&self.facts.aor(peer));
        bindings.iter().find(|binding| binding.flow == flow).map(|binding| binding.call_id.clone())
    }

    /// Tries the next group of targets, or answers where there is none left and no branch is open.
    pub(super) fn try_next(&mut self, now: Now, slot: u32) {
        loop {
            let Some(context) = self.proxy.context_mut(slot) else { return };
            if !context.open.is_empty() {
                return;
            }
            let next = if context.closed { None } else { context.waiting.pop_front() };
            let Some(group) = next else { return self.answer_best(now, slot) };
            context.width = u32::try_from(group.len()).unwrap_or(u32::MAX).max(1);
            for target in group {
                self.begin_branch(now, slot, target);
            }
        }
    }

    /// Opens a branch to a target.
    pub(super) fn begin_branch(&mut self, now: Now, slot: u32, target: Target) {
        let Some(context) = self.proxy.context(slot) else { return };
        let (call, asked) = (context.call, context.asked.clone());
        let (flow, reach) = (target.flow, target.reach);
        let next_hop = target.routes.first().or(context.routes.first());
        let next_hop =
            next_hop.and_then(|route| NameAddr::parse(route).ok()).map(|addr| addr.uri().to_owned());
        let callee = Party {
            peer: target.peer.clone(),
            target: target.uri.clone(),
            flow,
            registered_by: target.registered_by.clone(),
            routes: target.routes.clone(),
        };
        let uri = next_hop.clone().unwrap_or_else(|| target.uri.clone());
        let Some(id) = self.proxy.branch(slot, target) else { return };
        if let Some(call) = call {
            let leg = self.call_branches(now, call, callee, &asked);
            if let Some(branch) = self.proxy.get_mut(id) {
                branch.leg = Some(leg);
            }
        }
        match flow {
            Some(flow) if next_hop.is_none() => self.send_branch(now, id, flow),
            _ => match self.way_to(now, Traveller::Branch(id.slot), &uri, reach) {
                WayTo::Known(flow) => self.send_branch(now, id, flow),
                WayTo::Later => {}
                WayTo::None => self.on_branch_failed(now, id, 503),
            },
        }
    }

    /// The way of a branch is known, or there is none.
    pub(crate) fn on_branch_way(&mut self, now: Now, slot: u32, flow: Option<Flow>) {
        let Some(id) = self.proxy.seeking(slot) else { return };
        match flow {
            Some(flow) => self.send_branch(now, id, flow),
            None => self.on_branch_failed(now, id, 503),
        }
    }

    /// Sends the request on a branch.
    pub(super) fn send_branch(&mut self, now: Now, id: BranchId, flow: Flow) {
        let Some(branch) = self.proxy.get(id) else { return };
        let Some(context) = self.proxy.context(branch.context) else { return };
        let Some(listener) = self.listener_of(flow) else { return self.on_branch_failed(now, id, 503) };
        if !self.is_secure_for(&branch.target.uri, flow) {
            return self.on_branch_failed(now, id, 503);
        }
        let sent_by = format!("SIP/2.0/{} {}", listener.transport.via(), listener.advertised);
        let loop_tag = &context.loop_tag;
        let begins_dialog = context.is_invite && context.hop.is_none();
        let record_routes = if begins_dialog {
            self.record_routes(context.flow, flow, is_sips(&branch.target.uri))
        } else {
            Vec::new()
        };
        let routes: Vec<String> = branch.target.routes.iter().chain(&context.routes).cloned().collect();
        let breadth = (context.breadth / context.width).max(1).to_string();
        let mut added: Vec<(&str, &str)> =
            branch.target.added.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if context.width > 1 || context.request.has(Name::MaxBreadth) {
            added.push((Name::MaxBreadth.as_str(), &breadth));
        }
        // RFC 3261 §22.3: what was for us goes no further; what is for others does.
        let credentials = context.request.headers(Name::ProxyAuthorization);
        let others = credentials.filter(|value| !self.is_for_us(value));
        added.extend(others.map(|value| (Name::ProxyAuthorization.as_str(), value)));
        let method = context.request.method().map_or("", |method| method.as_str());
        let is_invite = context.is_invite;
        let mut dropped = vec![Name::ProxyAuthorization, Name::MaxBreadth];
        // Why: a pickup's Replaces is made right for the caller, whatever the picker wrote.
        if added.iter().any(|(name, _)| *name == Name::Replaces.as_str()) {
            dropped.push(Name::Replaces);
        }
        // RFC 3325 §5, §7: what a phone asserts of itself is not to be believed further on.
        if !context.may_assert {
            dropped.push(Name::PAssertedIdentity);
        }
        let write = |transaction: &Branch| {
            let via = format!("{sent_by};branch={}.{loop_tag};rport", transaction.as_str());
            let changes = Forward {
                request_uri: &branch.target.uri,
                via: &via,
                source: Some(context.flow.remote()),
                max_forwards: context.max_forwards,
                record_routes: &record_routes,
                routes: &routes,
                without: &dropped,
                added: &added,
            };
            context.request.forward(&changes).unwrap_or_default()
        };
        let requester = Requester::Branch(id);
        let (client, transmit) = self.transactions.start(now.mono, flow, method, requester, write);
        self.transmit(transmit);
        // RFC 3261 §16.6 step 11.
        let timer = is_invite.then(|| self.timers.insert(now.mono + limits::TIMER_C, Timer::Branch(id)));
        if let Some(branch) = self.proxy.get_mut(id) {
            branch.client = Some(client);
            branch.flow = Some(flow);
            branch.state = State::Calling;
            branch.timer = timer;
        }
    }

    /// Whether credentials are for one of our realms.
    fn is_for_us(&self, value: &str) -> bool {
        lampyris_sip::Credentials::parse(value)
            .is_ok_and(|c| self.facts.settings.domains.iter().any(|domain| domain.realm == c.realm))
    }

    /// The CANCEL of a branch's INVITE (RFC 3261 §9.1).
    pub(super) fn write_cancel(&self, id: BranchId, transaction: &Branch, reasons: &[String]) -> Bytes {
        let Some(branch) = self.proxy.get(id) else { return Bytes::new() };
        let Some(context) = self.proxy.context(branch.context) else { return Bytes::new() };
        let listener = branch.flow.and_then(|flow| self.listener_of(flow));
        let Some(listener) = listener else { return Bytes::new() };
        let request = &context.request;
        let mut writer = lampyris_sip::RequestWriter::new("CANCEL", &branch.target.uri);
        writer.header_fmt(
            Name::Via,
            format_args!(
                "SIP/2.0/{} {};branch={}.{};rport",
                listener.transport.via(),
                listener.advertised,
                transaction.as_str(),
                context.loop_tag
            ),
        );
        for route in branch.target.routes.iter().chain(&context.routes) {
            writer.header(Name::Route, route);
        }
        writer.header(Name::MaxForwards, "70");
        writer.copy_headers(request, Name::From).copy_headers(request, Name::To);
        writer.header(Name::CallId, request.call_id());
        writer.header_fmt(Name::CSeq, format_args!("{} CANCEL", request.cseq().seq));
        for reason in reasons {
            writer.header(Name::Reason, reason);
        }
        writer.finish()
    }
}

/// The URI of the Contact; of one without, the From.
fn contact_uri(message: &Message) -> String {
    let contact = message.contacts().next().and_then(lampyris_sip::Contact::addr);
    contact.map_or_else(|| message.from().uri().to_owned(), |addr| addr.uri().to_owned())
}

/// The proxies a request passed before it came here: the way back to its sender beyond us.
fn beyond(message: &Message) -> Vec<String> {
    message.values(Name::RecordRoute).map(str::to_owned).collect()
}
