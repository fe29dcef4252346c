//! A request that is not for ourselves: what RFC 3261 §16.3 wants checked, who it is from, and its response context.

use super::context::Context;
use super::forwarding::Forwards;
use super::pickup::Pickup;
use super::routes::Preloaded;
use super::targets::Asker;
use crate::authn::{Asks, Authenticator, Identity};
use crate::calls::Hop;
use crate::flow::{Flow, Transport};
use crate::limits;
use crate::node::Node;
use crate::reject::{Reject, option_tags};
use crate::router::Request;
use crate::settings::Authentication;
use crate::time::Now;
use crate::transaction::{Parts, ServerId};
use lampyris_sip::{Message, Method, Name, StatusCode, Via};
use std::collections::VecDeque;

impl Node {
    /// Takes a request to be passed on: in a dialog we carry (`hop`), or from a user of ours.
    ///
    /// # Errors
    /// 403, 404, 416, 420, 440, 480, 481, 482, 483, 486; then nothing was opened.
    pub(crate) fn on_proxied(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        parts: &Parts<'_>,
        hop: Option<Hop>,
    ) -> Result<(), Reject> {
        let max_forwards = message.max_forwards().unwrap_or(limits::MAX_FORWARDS);
        if max_forwards == 0 {
            return Err(Reject::TooManyHops);
        }
        let required: Vec<_> = message.values(Name::ProxyRequire).collect();
        if !required.is_empty() {
            return Err(Reject::BadExtension { unsupported: option_tags(required) });
        }
        let way = self.preloaded(message);
        if self.has_looped(message, &way) {
            return Err(Reject::LoopDetected);
        }
        let breadth = message.header(Name::MaxBreadth).and_then(|value| value.trim().parse().ok());
        let breadth = breadth.unwrap_or(limits::BREADTH_MAX).min(limits::BREADTH_MAX);
        if breadth == 0 {
            return Err(Reject::MaxBreadthExceeded);
        }
        let draft = Draft { flow, message, parts, way, max_forwards, breadth };
        if let Some(hop) = hop {
            return self.on_in_dialog(now, draft, hop);
        }
        // RFC 5627 §6.1: a GRUU leads to its phone also inside a dialog that we do not carry; calls are all carried.
        if message.to_tag().is_some()
            && (message.method() == Some(Method::Invite) || self.phone_named(&draft.way.uri)?.is_none())
        {
            return Err(Reject::NoSuchDialog);
        }
        self.on_out_of_dialog(now, draft)
    }

    /// A request that begins something: its sender must be one of ours, and where it goes is looked up.
    fn on_out_of_dialog(&mut self, now: Now, draft: Draft<'_>) -> Result<(), Reject> {
        let Draft { flow, message, parts, .. } = draft;
        let domain = self.address(&draft.way.uri)?.map_or(0, |address| address.domain);
        let Some(request) = self.admit(now, flow, message, parts, (Asks::Proxy, domain))? else {
            return Ok(());
        };
        self.promise_trying(request.server, message, flow);
        if let Err(reject) = self.route(now, &request, &draft) {
            self.reject(now, &request, &reject);
        }
        Ok(())
    }

    /// Finds the targets of a request and sends it to the first of them.
    fn route(&mut self, now: Now, request: &Request<'_>, draft: &Draft<'_>) -> Result<(), Reject> {
        let is_invite = request.message.method() == Some(Method::Invite);
        let stands_for_others = self.stands_for_others(request.flow, &request.identity);
        // Why: a route beyond us would have us send to whomever its writer names.
        if !draft.way.routes.is_empty() && !stands_for_others {
            return Err(Reject::Forbidden);
        }
        if !stands_for_others {
            self.may_be_reached_at(request)?;
        }
        if is_invite && self.is_above_limit(&request.identity) {
            return Err(Reject::TemporarilyUnavailable); // chan_sip: a call from a peer above its call-limit gets 480.
        }
        let dialplan = self.call_context(&request.identity);
        let peer = request.identity.peer.as_deref();
        let asker = Asker { peer, context: &dialplan, flow: request.flow, is_call: is_invite };
        let pickup = if is_invite { self.pickup(request, &asker, &draft.way.uri)? } else { Pickup::No };
        let found = match pickup {
            Pickup::No => self.find_targets(&asker, &draft.way.uri)?,
            Pickup::Transfer(found) => found,
            Pickup::Call(leg) => match self.pick_up(now, request, draft, leg)? {
                Some(found) => found,
                None => return Ok(()),
            },
        };
        let mut targets = found.targets;
        if found.one_phone && !draft.way.routes.is_empty() {
            // RFC 5627 §6.1: the way to the phone is in the request already.
            targets.iter_mut().for_each(|target| target.routes.clear());
        }
        let context = self.open_context(request.server, draft, &dialplan);
        if let Some(context) = self.proxy.context_mut(context) {
            context.may_assert = stands_for_others;
            context.waiting = by_preference(targets, draft.breadth);
            context.asked = found.asked;
            context.forwards = found.forwards;
            context.one_phone = found.one_phone;
        }
        if is_invite {
            self.begin_call(now, context, &request.identity);
        }
        self.await_answer(now, context);
        self.try_next(now, context);
        Ok(())
    }

    /// The response context of a request whose server transaction is open.
    pub(super) fn open_context(&mut self, server: ServerId, draft: &Draft<'_>, dialplan: &str) -> u32 {
        self.proxy.insert(Context {
            server,
            request: draft.message.clone(),
            flow: draft.flow,
            routes: draft.way.routes.clone(),
            loop_tag: self.loop_tag(draft.message, &draft.way),
            is_invite: draft.message.method() == Some(Method::Invite),
            max_forwards: draft.max_forwards - 1,
            breadth: draft.breadth,
            width: 1,
            waiting: VecDeque::new(),
            open: Vec::new(),
            best: None,
            challenges: Vec::new(),
            answered: false,
            closed: false,
            redirects: 0,
            forwards: Forwards::default(),
            one_phone: false,
            may_assert: false,
            picked_up: false,
            call: None,
            hop: None,
            asked: String::new(),
            dialplan: dialplan.to_owned(),
        })
    }

    /// Where an identity's calls are looked up.
    pub(super) fn call_context(&self, identity: &Identity) -> String {
        let settings = &self.facts.settings;
        match identity.peer.as_ref().and_then(|name| settings.peers.get(name)) {
            Some(peer) => peer.context.clone(),
            None => settings.domains.get(identity.domain).map_or_else(String::new, |d| d.context.clone()),
        }
    }

    /// A 100 should an INVITE stay unanswered for 200 ms (RFC 3261 §16.2).
    pub(super) fn promise_trying(&mut self, server: ServerId, message: &Message, flow: Flow) {
        if message.method() == Some(Method::Invite) {
            let trying = self.response(message, flow, StatusCode::TRYING, None).finish();
            self.transactions.trying_with(server, trying);
        }
    }

    /// Whether a sender stands for its users itself: what it asserts of them goes on (RFC 3325 §5), and where it routes to.
    fn stands_for_others(&self, flow: Flow, identity: &Identity) -> bool {
        let peer = identity.peer.as_ref().and_then(|name| self.facts.settings.peers.get(name));
        Authenticator::is_trusted(&self.facts.settings, flow)
            || peer.is_some_and(|peer| peer.authentication == Authentication::Address)
    }

    /// Whether a request has been here before on the way to the same place (RFC 5393 §4.2).
    fn has_looped(&self, message: &Message, way: &Preloaded) -> bool {
        let is_ours = |via: &Via<'_>| {
            let port = via
                .port()
                .unwrap_or_else(|| Transport::parse(via.transport()).unwrap_or(Transport::Udp).port());
            self.listeners.iter().any(|listener| {
                via.sent_by().ip() == Some(listener.advertised.ip()) && listener.advertised.port() == port
            })
        };
        let mut ours = message.vias().filter(is_ours).peekable();
        if ours.peek().is_none() {
            return false;
        }
        let tag = self.loop_tag(message, way);
        let branch = |via: Via<'_>| {
            via.branch().and_then(|branch| branch.split_once('.')).map(|(_, own)| own.to_owned())
        };
        ours.filter_map(branch).any(|own| own == tag)
    }

    /// What tells a loop from a spiral: everything that decides where a request goes, and which request it is.
    pub(super) fn loop_tag(&self, message: &Message, way: &Preloaded) -> String {
        let cseq = message.cseq().seq.to_be_bytes();
        let parts = [
            way.uri.as_bytes(),
            message.call_id().as_bytes(),
            message.from_tag().unwrap_or("").as_bytes(),
            message.to_tag().unwrap_or("").as_bytes(),
            &cseq,
        ];
        self.transactions.fingerprint(parts.into_iter().chain(way.routes.iter().map(String::as_bytes)))
    }
}

/// A request that passed the first checks.
pub(super) struct Draft<'m> {
    pub(super) flow: Flow,
    pub(super) message: &'m Message,
    pub(super) parts: &'m Parts<'m>,
    pub(super) way: Preloaded,
    pub(super) max_forwards: u32,
    pub(super) breadth: u32,
}

/// Targets in groups of equal q, best first, none larger than may be open at once (RFC 3261 §16.6, RFC 5393 §5.3.3).
pub(super) fn by_preference(
    mut targets: Vec<super::context::Target>,
    breadth: u32,
) -> VecDeque<Vec<super::context::Target>> {
    targets.sort_by_key(|target| std::cmp::Reverse(target.q));
    let most = usize::try_from(breadth).unwrap_or(usize::MAX).max(1);
    let groups = targets.chunk_by(|a, b| a.q == b.q);
    groups.flat_map(|group| group.chunks(most)).map(<[_]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::super::context::Target;
    use super::*;

    #[test]
    fn rfc3261_16_6_targets_go_in_groups_of_equal_q() {
        let target = |uri: &str, q| Target { q, ..Target::new(uri.to_owned(), crate::ways::Reach::Anywhere) };
        let targets = vec![target("a", 500), target("b", 1000), target("c", 500), target("d", 1000)];
        let uris = |breadth| -> Vec<Vec<String>> {
            let groups = by_preference(targets.clone(), breadth);
            groups.into_iter().map(|group| group.into_iter().map(|t| t.uri).collect()).collect()
        };
        assert_eq!(uris(60), [["b", "d"], ["a", "c"]]);
        assert_eq!(uris(1), [["b"], ["d"], ["a"], ["c"]]);
    }
}
