//! CANCEL: from the caller, and of branches that are no longer wanted (RFC 3261 §9, §16.8, §16.10).

use super::context::{BranchId, Cancel, State};
use super::response::ELSEWHERE;
use crate::body::dialog_info::DialogEvent;
use crate::flow::Flow;
use crate::node::{Node, Requester, Timer};
use crate::reject::Reject;
use crate::time::Now;
use crate::transaction::timers::T64;
use crate::transaction::{Parts, ServerId};
use lampyris_sip::{Message, Name, StatusCode};
use std::time::Duration;

impl Node {
    /// Takes the CANCEL of an INVITE that is on its way.
    ///
    /// # Errors
    /// 481: nothing of ours to cancel.
    pub(crate) fn on_cancel(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        parts: &Parts<'_>,
        of: Option<ServerId>,
    ) -> Result<(), Reject> {
        let context = of.and_then(|server| self.proxy.of_server(server)).ok_or(Reject::NoSuchDialog)?;
        if let Some(server) = self.transactions.open(now.mono, flow, parts) {
            let tag = self.stateless_tag(message);
            let bytes = self.response(message, flow, StatusCode(200), Some(&tag)).finish();
            self.respond(now, server, 200, bytes, None);
        }
        let mut reasons: Vec<String> = message.headers(Name::Reason).map(str::to_owned).collect();
        if let Some(context) = self.proxy.context_mut(context) {
            context.closed = true;
            if context.picked_up {
                reasons = vec![ELSEWHERE.to_owned()];
            }
        }
        self.cancel_open(now, context, &reasons);
        self.try_next(now, context);
        Ok(())
    }

    /// Calls off every open branch of a request.
    pub(super) fn cancel_open(&mut self, now: Now, context: u32, reasons: &[String]) {
        let open = self.proxy.context(context).map(|context| context.open.clone()).unwrap_or_default();
        for branch in open {
            self.cancel_branch(now, branch, reasons);
        }
    }

    /// Calls off a branch: at once where it has not been sent, else as soon as it was heard of (RFC 3261 §9.1).
    pub(super) fn cancel_branch(&mut self, now: Now, id: BranchId, reasons: &[String]) {
        let Some(branch) = self.proxy.get_mut(id) else { return };
        if branch.cancel != Cancel::No {
            return;
        }
        branch.cancel = Cancel::Wanted(reasons.to_vec());
        match branch.state {
            State::Seeking => self.on_branch_cancelled(now, id),
            State::Calling => {}
            State::Proceeding => self.cancel_if_wanted(now, id),
            State::Accepted => {}
        }
    }

    /// Sends the CANCEL that waited for a provisional answer.
    pub(super) fn cancel_if_wanted(&mut self, now: Now, id: BranchId) {
        let Some(branch) = self.proxy.get_mut(id) else { return };
        let Cancel::Wanted(reasons) = &branch.cancel else { return };
        let Some(client) = branch.client else { return };
        let reasons = reasons.clone();
        branch.cancel = Cancel::Sent;
        let Some(transaction) = self.transactions.branch_of(client) else { return };
        let bytes = self.write_cancel(id, &transaction, &reasons);
        let cancel = self.transactions.cancel(now.mono, client, Requester::Nobody, |_| bytes);
        if let Some((_, transmit)) = cancel {
            self.transmit(transmit);
        }
        // RFC 3261 §9.1: without an answer to the INVITE after 64*T1 it is as if it had been cancelled.
        self.rearm_branch(now, id, T64);
    }

    /// Timer C, or nobody has answered a cancelled INVITE, or a 2xx was repeated for long enough.
    pub(crate) fn on_branch_timer(&mut self, now: Now, id: BranchId) {
        let Some(branch) = self.proxy.get_mut(id) else { return };
        branch.timer = None;
        match (branch.state, &branch.cancel) {
            (State::Accepted, _) => {
                self.proxy.forget(id);
            }
            // RFC 3261 §16.8.
            (State::Proceeding, Cancel::No) => self.cancel_branch(now, id, &[]),
            (_, Cancel::Sent) => self.on_branch_cancelled(now, id),
            _ => self.on_branch_failed(now, id, 408),
        }
    }

    /// A branch ends as if it had answered 487.
    fn on_branch_cancelled(&mut self, now: Now, id: BranchId) {
        let Some(branch) = self.proxy.get_mut(id) else { return };
        let (context, leg) = (branch.context, branch.leg);
        if let Some(client) = branch.client.take() {
            self.transactions.abandon(client);
        }
        self.end_branch(id);
        if let Some(leg) = leg {
            self.call_refused(now, leg, 487, DialogEvent::Cancelled);
        }
        self.propose(context, 487, None);
        self.proxy.close(id);
        self.proxy.release(context);
        self.try_next(now, context);
    }

    /// Moves a branch's timer.
    pub(super) fn rearm_branch(&mut self, now: Now, id: BranchId, wait: Duration) {
        let at = now.mono + wait;
        let timer = self.timers.insert(at, Timer::Branch(id));
        let old = self.proxy.get_mut(id).and_then(|branch| branch.timer.replace(timer));
        if let Some(old) = old {
            self.timers.cancel(old);
        }
    }

    /// A branch needs no timer and no way any more.
    pub(super) fn end_branch(&mut self, id: BranchId) {
        self.forget_way(crate::ways::Traveller::Branch(id.slot));
        if let Some(timer) = self.proxy.get_mut(id).and_then(|branch| branch.timer.take()) {
            self.timers.cancel(timer);
        }
    }
}
