//! What the binary's shell does around a node, in virtual time: drain outputs, hold messages for the store, restart.
//!
//! In: inputs and commands at an instant. Out: [`Effect`]s, in order. It keeps the contract of `Output`: order per flow, a
//! message leaves after its ticket, a stream of an earlier life is told closed. It has no network: whoever owns it has.

use crate::store::{Aftermath, Store};
use bytes::Bytes;
use lampyris_core::command::{Command, Reply};
use lampyris_core::flow::{Flow, Listener, ListenerId, StreamId, Transport};
use lampyris_core::input::{DnsQuestion, Input, QueryId, StoreError};
use lampyris_core::node::Node;
use lampyris_core::output::{Event, Output, Ticket};
use lampyris_core::rng::Rng;
use lampyris_core::settings::Settings;
use lampyris_core::time::{Instant, Now};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// What the network has to do.
#[derive(Debug)]
pub enum Effect {
    /// Send these bytes.
    Send {
        /// Where.
        flow: Flow,
        /// One message.
        bytes: Bytes,
    },
    /// Close a stream.
    Close(StreamId),
    /// Open a stream; answer with `FlowOpened` or `FlowClosed`.
    Connect {
        /// Its id.
        id: StreamId,
        /// Its transport.
        transport: Transport,
        /// The listener it belongs to.
        listener: ListenerId,
        /// The peer.
        remote: SocketAddr,
    },
    /// Ask DNS; answer with `Resolved`.
    Resolve(QueryId, DnsQuestion),
    /// The node said something worth telling.
    Told(Event),
}

/// A node with its store, alive or crashed.
pub struct Host {
    settings: Arc<Settings>,
    listeners: Vec<Listener>,
    node: Option<Node>,
    /// The store; it outlives the node.
    pub store: Store,
    held: BTreeMap<Flow, VecDeque<(Bytes, Option<Ticket>)>>,
    decided: Option<Ticket>,
    failed: BTreeSet<Ticket>,
    streams: BTreeSet<StreamId>,
    /// Records handed out so far, in all lives.
    pub persists: u64,
    deadline: Instant,
    effects: VecDeque<Effect>,
    seed: u64,
    lives: u64,
}

impl Host {
    /// A host whose node is up; the node's randomness follows from `seed` and from how often it was restarted.
    pub fn new(settings: Arc<Settings>, listeners: Vec<Listener>, seed: u64, now: Now) -> Self {
        let mut host = Self {
            settings,
            listeners,
            node: None,
            store: Store::default(),
            held: BTreeMap::new(),
            decided: None,
            failed: BTreeSet::new(),
            streams: BTreeSet::new(),
            persists: 0,
            deadline: now.mono,
            effects: VecDeque::new(),
            seed,
            lives: 0,
        };
        host.restart(now);
        host
    }

    /// Something happened; nothing happens to a node that is down.
    pub fn input(&mut self, now: Now, input: Input) {
        let Some(node) = &mut self.node else { return };
        match &input {
            Input::FlowOpened { id, .. } => {
                self.streams.insert(*id);
            }
            Input::FlowClosed { id } => {
                self.streams.remove(id);
                self.held.retain(|flow, _| !matches!(flow, Flow::Stream { id: held, .. } if held == id));
            }
            _ => {}
        }
        node.handle_input(now, input);
        self.drain(now);
    }

    /// An administrator asks; `None` from a node that is down.
    pub fn command(&mut self, now: Now, command: Command) -> Option<Reply> {
        if let Command::Reload(settings) = &command {
            self.settings = settings.clone();
        }
        let reply = self.node.as_mut()?.handle_command(now, command);
        self.drain(now);
        Some(reply)
    }

    /// Does what is due: commits of the store, then the node's timers.
    pub fn advance(&mut self, now: Now) {
        while let Some((tickets, stored)) = self.store.advance(now.mono) {
            for ticket in tickets {
                self.decide(ticket, stored);
                let result =
                    if stored { Ok(()) } else { Err(StoreError { reason: "no space left".to_owned() }) };
                self.input(now, Input::Persisted(ticket, result));
            }
        }
        if self.node.is_some() && self.deadline <= now.mono {
            self.input(now, Input::Timeout);
        }
    }

    /// When [`Self::advance`] has something to do next.
    pub fn next(&self) -> Option<Instant> {
        let timer = self.node.is_some().then_some(self.deadline);
        [timer, self.store.next()].into_iter().flatten().min()
    }

    /// The next thing for the network to do.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether the node is up.
    pub fn is_up(&self) -> bool {
        self.node.is_some()
    }

    /// kill -9, or no power: memory, streams and whatever was not durable are gone.
    pub fn crash(&mut self, aftermath: Aftermath, rng: &mut Rng) {
        self.node = None;
        self.store.crash(aftermath, rng);
        self.held.clear();
        self.effects.clear();
        self.streams.clear();
        self.decided = None;
        self.failed.clear();
    }

    /// Starts a node on what is stored.
    pub fn restart(&mut self, now: Now) {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&self.lives.to_le_bytes());
        self.lives += 1;
        let mut node = Node::new(self.settings.clone(), self.listeners.clone(), seed, now);
        for (key, value) in self.store.restore(now.wall) {
            node.restore(now, key, value);
        }
        node.restored(now, false);
        self.node = Some(node);
        self.drain(now);
    }

    fn drain(&mut self, now: Now) {
        let mut consequences = VecDeque::new();
        loop {
            let Some(node) = &mut self.node else { return };
            match node.poll_output(now) {
                Output::Transmit { flow: Flow::Stream { id, .. }, .. } if !self.streams.contains(&id) => {
                    consequences.push_back(id);
                }
                Output::Transmit { flow, bytes, after } => self.offer(flow, bytes, after),
                Output::Close { id } => {
                    self.streams.remove(&id);
                    self.effects.push_back(Effect::Close(id));
                }
                Output::Connect { id, transport, listener, remote, .. } => {
                    self.streams.insert(id);
                    self.effects.push_back(Effect::Connect { id, transport, listener, remote });
                }
                Output::Resolve { query, question } => {
                    self.effects.push_back(Effect::Resolve(query, question))
                }
                Output::Persist(ticket, record) => {
                    self.persists += 1;
                    self.store.submit(now.mono, ticket, record);
                }
                Output::SendPeer(..) => {}
                Output::Event(event) => self.effects.push_back(Effect::Told(event)),
                Output::Timeout(at) => {
                    self.deadline = at;
                    match consequences.pop_front() {
                        Some(id) => node.handle_input(now, Input::FlowClosed { id }),
                        None => return,
                    }
                }
            }
        }
    }

    fn offer(&mut self, flow: Flow, bytes: Bytes, after: Option<Ticket>) {
        if self.held.contains_key(&flow) || after.is_some_and(|ticket| self.decided < Some(ticket)) {
            self.held.entry(flow).or_default().push_back((bytes, after));
        } else if !after.is_some_and(|ticket| self.failed.contains(&ticket)) {
            self.effects.push_back(Effect::Send { flow, bytes });
        }
    }

    fn decide(&mut self, ticket: Ticket, stored: bool) {
        self.decided = self.decided.max(Some(ticket));
        if !stored {
            self.failed.insert(ticket);
        }
        let flows: Vec<_> = self.held.keys().copied().collect();
        for flow in flows {
            let Some(queue) = self.held.get_mut(&flow) else { continue };
            while let Some((_, after)) = queue.front() {
                if after.is_some_and(|after| self.decided < Some(after)) {
                    break;
                }
                if let Some((bytes, after)) = queue.pop_front()
                    && !after.is_some_and(|after| self.failed.contains(&after))
                {
                    self.effects.push_back(Effect::Send { flow, bytes });
                }
            }
            if queue.is_empty() {
                self.held.remove(&flow);
            }
        }
    }
}
