//! Answers to an INVITE that no transaction waits for: it was passed on by the process before (RFC 3261 §16.11).
//!
//! In: a response with our Via on top and the caller's beneath it. Out: the same response to the caller, as a stateless
//! proxy sends it, and the lamps follow. Only for a call that is known from its record, from where its callee is, and to
//! where its caller was last heard: nothing is taken from the response that could lead it elsewhere. Nothing is repeated
//! or acknowledged here; the callee repeats its answer until the caller's ACK is there. What rang nowhere before the
//! restart has no record, and its answer is lost: the caller tries again.

use super::response::refusal_event;
use crate::calls::Side;
use crate::flow::Flow;
use crate::node::Node;
use crate::time::Now;
use lampyris_sip::{Message, Method};

impl Node {
    /// Passes on the answer to an INVITE of before the restart.
    pub(crate) fn on_stray(&mut self, now: Now, response: &Message, flow: Flow) {
        let status = response.status().map_or(0, |status| status.0);
        let is_ours = || {
            let via = response.top_via();
            let sent_by = (via.sent_by_str(), via.port().unwrap_or(5060));
            let own = |l: &crate::flow::Listener| (l.advertised.ip().to_string(), l.advertised.port());
            self.listeners.iter().map(own).any(|(host, port)| {
                (sent_by.0.trim_start_matches('[').trim_end_matches(']'), sent_by.1) == (&*host, port)
            })
        };
        if response.cseq().method != Method::Invite || status <= 100 || !is_ours() {
            return;
        }
        let Some(id) = self.facts.calls.answering_restored(response) else { return };
        let party_flow = |side| self.facts.calls.party(id, side).and_then(|party| party.flow);
        let (Some(caller), Some(callee)) = (party_flow(Side::Caller), party_flow(Side::Callee)) else {
            return;
        };
        let is_from_callee = callee.remote().ip().to_canonical() == flow.remote().ip().to_canonical();
        if !is_from_callee {
            return;
        }
        match status {
            ..200 => self.call_rings(now, id.leg(), response, flow),
            200..300 => self.call_answered(now, id.leg(), response, flow),
            _ => {
                self.call_refused(now, id.leg(), status, refusal_event(status));
                if self.facts.calls.is_ringing(id.leg().call()) {
                    return; // Why: another fork may still answer, and which answer is best only a transaction knows.
                }
                self.call_fails(now, id.leg().call(), status, refusal_event(status));
            }
        }
        self.send(caller, response.without_top_via(&[]), None);
    }
}
