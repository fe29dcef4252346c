//! Do not disturb and call forwarding that users set by their feature keys (`as-feature-event`), as the proxy obeys them.
//!
//! Who is called alone and wants no calls is busy (486); whose calls are forwarded answers 302 with where to. One of
//! several phones of a group is left out instead. What a caller does with a 302 is its own business.

use super::context::Best;
use crate::features::Features;
use crate::limits;
use crate::node::{Node, Timer};
use crate::reject::Reject;
use crate::settings::Peer;
use crate::time::Now;
use std::time::Duration;

/// Where a call goes that its target cannot take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwards {
    /// While the user is busy.
    pub(super) busy: Option<String>,
    /// When nobody answers, and after how long.
    pub(super) no_answer: Option<(String, Duration)>,
}

impl Node {
    /// What a user wants done with a call: `Err` where no phone of theirs is to ring.
    ///
    /// # Errors
    /// 486, 302.
    pub(super) fn wishes(&self, peer: &Peer) -> Result<Forwards, Reject> {
        let features = self.facts.features(peer);
        let uri = |target: &str| self.forward_uri(peer, target);
        if let Some(target) = &features.forward_always {
            return Err(Reject::MovedTemporarily { contact: uri(target) });
        }
        if features.dnd {
            return Err(match &features.forward_busy {
                Some(target) => Reject::MovedTemporarily { contact: uri(target) },
                None => Reject::BusyHere,
            });
        }
        let Features { forward_busy, forward_no_answer, no_answer_s, .. } = features;
        let wait = no_answer_s.map_or(limits::NO_ANSWER, |seconds| Duration::from_secs(u64::from(seconds)));
        let no_answer = forward_no_answer.map(|target| (uri(&target), wait));
        Ok(Forwards { busy: forward_busy.map(|target| uri(&target)), no_answer })
    }

    /// A number at the user's own domain, or the URI it is.
    fn forward_uri(&self, peer: &Peer, target: &str) -> String {
        if target.contains(':') {
            return target.to_owned();
        }
        let domain = self.facts.settings.domains.get(peer.domain).map_or("", |domain| domain.name.as_str());
        format!("sip:{}@{domain}", lampyris_sip::uri::escape_user(target))
    }

    /// Begins to wait for an answer, where the user wants calls forwarded that nobody answers.
    pub(super) fn await_answer(&mut self, now: Now, slot: u32) {
        let Some(context) = self.proxy.context(slot) else { return };
        let (server, wait) = (context.server, context.forwards.no_answer.as_ref().map(|(_, wait)| *wait));
        if let Some(wait) = wait {
            self.timers.insert(now.mono + wait, Timer::NoAnswer(server));
        }
    }

    /// Nobody has answered for as long as the user wants it to ring.
    pub(crate) fn on_no_answer(&mut self, now: Now, server: crate::transaction::ServerId) {
        let Some(slot) = self.proxy.of_server(server) else { return };
        let Some(context) =
            self.proxy.context_mut(slot).filter(|context| !context.answered && !context.closed)
        else {
            return;
        };
        context.closed = true;
        context.best = Some(Best { status: 408, response: None });
        self.cancel_open(now, slot, &[]);
        self.answer_best(now, slot);
    }
}

impl Forwards {
    /// Where a call goes that got this answer.
    pub(super) fn after(&self, status: u16) -> Option<&str> {
        match status {
            486 | 600 => self.busy.as_deref(),
            408 | 480 => self.no_answer.as_ref().map(|(target, _)| target.as_str()),
            _ => None,
        }
    }
}
