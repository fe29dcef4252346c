//! Requests on their way and their forks, as plain data.

use super::forwarding::Forwards;
use crate::calls::{CallId, Hop, LegId};
use crate::flow::Flow;
use crate::slots::Slots;
use crate::timers::TimerToken;
use crate::transaction::{ClientId, ServerId};
use crate::ways::Reach;
use bytes::Bytes;
use lampyris_sip::{Message, Name};
use std::collections::{BTreeMap, VecDeque};

/// Names a branch; one that is over is not found any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BranchId {
    pub(super) slot: u32,
    generation: u32,
}

/// Where a request may be forwarded to (RFC 3261 §16.5).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    /// The Request-URI it gets.
    pub(crate) uri: String,
    /// Route values to put on it (Path, RFC 3327 §5.4), in the order of use.
    pub(crate) routes: Vec<String>,
    /// Where it is reached without a lookup.
    pub(crate) flow: Option<Flow>,
    /// The peer it is, if it is one of ours.
    pub(crate) peer: Option<String>,
    /// How far looking it up may lead.
    pub(crate) reach: Reach,
    /// Preference in thousandths.
    pub(crate) q: u16,
    /// Call-ID of the REGISTER it was found by.
    pub(crate) registered_by: Option<String>,
    /// Header lines for this target only.
    pub(crate) added: Vec<(String, String)>,
}

impl Target {
    /// A target of which nothing is known but its URI.
    pub(super) fn new(uri: String, reach: Reach) -> Self {
        let (routes, added) = (Vec::new(), Vec::new());
        Self { uri, routes, flow: None, peer: None, reach, q: 1000, registered_by: None, added }
    }
}

/// The best answer so far (RFC 3261 §16.7 step 6).
#[derive(Debug)]
pub(super) struct Best {
    pub(super) status: u16,
    /// As it goes on; none where we write it ourselves.
    pub(super) response: Option<Message>,
}

/// A request on its way (the response context of RFC 3261 §16.2).
#[derive(Debug)]
pub(crate) struct Context {
    pub(super) server: ServerId,
    /// As it came.
    pub(super) request: Message,
    pub(super) flow: Flow,
    /// Route values to go on with, behind those of the target.
    pub(super) routes: Vec<String>,
    /// What tells it from others in our branches (RFC 5393 §4.2).
    pub(super) loop_tag: String,
    pub(super) is_invite: bool,
    pub(super) max_forwards: u32,
    /// How many branches may be open at once beneath this request (RFC 5393 §5).
    pub(super) breadth: u32,
    /// Branches of the group that is being tried.
    pub(super) width: u32,
    /// Groups of targets not tried yet, best q first.
    pub(super) waiting: VecDeque<Vec<Target>>,
    /// Branches without a final answer.
    pub(super) open: Vec<BranchId>,
    pub(super) best: Option<Best>,
    /// Challenges of all answers, for the one that goes on (§16.7 step 7).
    pub(super) challenges: Vec<(Name, String)>,
    /// A final answer has gone on.
    pub(super) answered: bool,
    /// The caller has cancelled, or a 6xx came: no more targets.
    pub(super) closed: bool,
    pub(super) redirects: u32,
    /// Its sender may say who calls (P-Asserted-Identity).
    pub(super) may_assert: bool,
    /// Where it goes if its target cannot take it.
    pub(super) forwards: Forwards,
    /// Its targets are one phone: another is tried only where nothing was heard (RFC 5627 §6.1).
    pub(super) one_phone: bool,
    /// Somebody has taken the call with Replaces: the caller's CANCEL means that it was answered elsewhere.
    pub(super) picked_up: bool,
    /// The call it began.
    pub(super) call: Option<CallId>,
    /// The dialog it is in.
    pub(super) hop: Option<Hop>,
    /// What the caller asked for, as a resource.
    pub(super) asked: String,
    /// The context in which the caller's numbers are looked up.
    pub(super) dialplan: String,
}

/// How far a branch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The way to it is being looked up or connected.
    Seeking,
    /// Sent, not answered.
    Calling,
    /// A provisional answer came.
    Proceeding,
    /// A 2xx came; more of the same may (RFC 6026 §7.2).
    Accepted,
}

/// Whether a branch is being cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    No,
    /// As soon as a provisional answer is there (RFC 3261 §9.1); with these Reason values.
    Wanted(Vec<String>),
    Sent,
}

/// One fork of a request.
#[derive(Debug)]
pub(crate) struct Branch {
    generation: u32,
    pub(super) context: u32,
    /// The transaction its answers go to; it outlives the context.
    pub(super) server: ServerId,
    pub(super) target: Target,
    pub(super) state: State,
    pub(super) cancel: Cancel,
    pub(super) flow: Option<Flow>,
    pub(super) client: Option<ClientId>,
    /// Timer C, or the end of waiting for the answer to a CANCEL.
    pub(super) timer: Option<TimerToken>,
    pub(super) leg: Option<LegId>,
}

/// Everything on its way.
#[derive(Default)]
pub(crate) struct Proxy {
    contexts: Slots<Context>,
    branches: Slots<Branch>,
    by_server: BTreeMap<ServerId, u32>,
    by_call: BTreeMap<CallId, u32>,
    generation: u32,
}

impl Proxy {
    /// How many requests and forks there are.
    pub(crate) const fn len(&self) -> usize {
        self.contexts.len() + self.branches.len()
    }

    /// A new request.
    pub(super) fn insert(&mut self, context: Context) -> u32 {
        let server = context.server;
        let slot = self.contexts.insert(context);
        self.by_server.insert(server, slot);
        slot
    }

    /// The request in this server transaction.
    pub(super) fn of_server(&self, server: ServerId) -> Option<u32> {
        self.by_server.get(&server).copied()
    }

    /// The pending INVITE of a call.
    pub(super) fn of_call(&self, call: CallId) -> Option<u32> {
        self.by_call.get(&call).copied()
    }

    /// The call that a request began.
    pub(super) fn set_call(&mut self, slot: u32, call: CallId) {
        if let Some(context) = self.contexts.get_mut(slot) {
            context.call = Some(call);
            self.by_call.insert(call, slot);
        }
    }

    pub(super) fn context(&self, slot: u32) -> Option<&Context> {
        self.contexts.get(slot)
    }

    pub(super) fn context_mut(&mut self, slot: u32) -> Option<&mut Context> {
        self.contexts.get_mut(slot)
    }

    /// A new fork of a request.
    pub(super) fn branch(&mut self, context: u32, target: Target) -> Option<BranchId> {
        let server = self.contexts.get(context)?.server;
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let slot = self.branches.insert(Branch {
            generation,
            context,
            server,
            target,
            state: State::Seeking,
            cancel: Cancel::No,
            flow: None,
            client: None,
            timer: None,
            leg: None,
        });
        let id = BranchId { slot, generation };
        if let Some(context) = self.contexts.get_mut(context) {
            context.open.push(id);
        }
        Some(id)
    }

    /// The branch that waits for a way under this number.
    pub(super) fn seeking(&self, slot: u32) -> Option<BranchId> {
        let branch = self.branches.get(slot).filter(|branch| branch.state == State::Seeking)?;
        Some(BranchId { slot, generation: branch.generation })
    }

    pub(super) fn get(&self, id: BranchId) -> Option<&Branch> {
        self.branches.get(id.slot).filter(|branch| branch.generation == id.generation)
    }

    pub(super) fn get_mut(&mut self, id: BranchId) -> Option<&mut Branch> {
        self.branches.get_mut(id.slot).filter(|branch| branch.generation == id.generation)
    }

    /// A branch has its final answer: it is not open any more. One that was accepted stays for more of the same.
    pub(super) fn close(&mut self, id: BranchId) {
        let Some(branch) = self.get(id) else { return };
        let (context, accepted) = (branch.context, branch.state == State::Accepted);
        if let Some(context) = self.contexts.get_mut(context) {
            context.open.retain(|open| *open != id);
        }
        if !accepted {
            self.branches.remove(id.slot);
        }
    }

    /// Forgets a branch that was accepted.
    pub(super) fn forget(&mut self, id: BranchId) -> Option<Branch> {
        self.get(id)?;
        self.branches.remove(id.slot)
    }

    /// Forgets a request that is answered and has no open branch.
    pub(super) fn release(&mut self, slot: u32) {
        let done = self.contexts.get(slot).is_some_and(|context| context.answered && context.open.is_empty());
        if done && let Some(context) = self.contexts.remove(slot) {
            self.by_server.remove(&context.server);
            if let Some(call) = context.call {
                self.by_call.remove(&call);
            }
        }
    }
}

/// Bytes of a response as it goes on, with more challenges.
pub(super) fn passed_on(response: &Message, challenges: &[(Name, String)]) -> Bytes {
    let lines: Vec<_> = challenges
        .iter()
        .filter(|(name, value)| !response.headers(*name).any(|own| own == value))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    response.without_top_via(&lines)
}
