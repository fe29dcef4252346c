//! DNS questions that are open, and who asked them.
//!
//! In goes a question with its asker; out it goes as `Output::Resolve`, and its answer (or `Failed`, where none came in
//! time) comes back to the asker exactly once. It keeps no answers: the shell's resolver caches by TTL.

use crate::input::{DnsAnswer, DnsQuestion, QueryId};
use crate::limits;
use crate::node::{Node, Timer};
use crate::output::Output;
use crate::time::Now;
use crate::ways::Traveller;
use std::collections::BTreeMap;
use std::time::Duration;

/// Who wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Somebody who looks for a way.
    Traveller(Traveller),
    /// The lookup of a host that peers are configured with.
    PeerHost(u32),
}

/// Open questions.
#[derive(Default)]
pub(crate) struct Questions {
    asked: u64,
    open: BTreeMap<QueryId, Asker>,
}

impl Questions {
    /// Nobody waits for this answer any more.
    pub(crate) fn forget(&mut self, query: QueryId) {
        self.open.remove(&query);
    }

    /// Nobody waits for what was asked about peers any more.
    pub(crate) fn forget_peer_hosts(&mut self) {
        self.open.retain(|_, asker| !matches!(asker, Asker::PeerHost(_)));
    }
}

impl Node {
    /// Asks DNS.
    pub(crate) fn ask(&mut self, now: Now, asker: Asker, question: DnsQuestion) -> QueryId {
        self.questions.asked += 1;
        let query = QueryId(self.questions.asked);
        self.questions.open.insert(query, asker);
        self.outputs.push_back(Output::Resolve { query, question });
        let wait = Duration::from_secs(limits::DNS_WAIT_S);
        self.timers.insert(now.mono + wait, Timer::DnsGivenUp(query));
        query
    }

    /// DNS answered.
    pub(crate) fn on_resolved(&mut self, now: Now, query: QueryId, answer: DnsAnswer) {
        match self.questions.open.remove(&query) {
            Some(Asker::Traveller(traveller)) => self.on_way_resolved(now, traveller, answer),
            Some(Asker::PeerHost(id)) => self.on_peer_host_resolved(now, id, answer),
            None => {}
        }
    }

    /// DNS has not answered in time.
    pub(crate) fn on_dns_given_up(&mut self, now: Now, query: QueryId) {
        self.on_resolved(now, query, DnsAnswer::Failed);
    }
}
