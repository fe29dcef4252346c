//! The stage of virtual time: a node with its store, and parties without any distance to it.

use super::parse::{Party, Script, Transport, Way};
use super::run::Stage;
use super::zone::Zone;
use crate::host::{Effect, Host};
use crate::store::Aftermath;
use bytes::Bytes;
use lampyris_core::authz::Handling;
use lampyris_core::command::{Command, Drain, Reply, Selector};
use lampyris_core::features::Feature;
use lampyris_core::flow::{Flow, Listener, ListenerId, StreamId};
use lampyris_core::input::Input;
use lampyris_core::journal::Counts;
use lampyris_core::rng::Rng;
use lampyris_core::settings::Settings;
use lampyris_core::time::{Instant, Now, UnixTime};
use lampyris_sip::Message;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// 2026-11-21T09:15:33Z: any moment would do.
const START_MS: u64 = 1_795_252_533_000;
const UDP: ListenerId = ListenerId(0);
const TCP: ListenerId = ListenerId(1);

/// Loads settings from a setup's base and the TOML over it; the binary's own loader, given by whoever has it.
pub type Load<'l> = &'l dyn Fn(&str) -> Result<Settings, String>;

/// A node and the parties of one script.
pub struct VirtualStage<'l> {
    host: Host,
    parties: Vec<Party>,
    server: SocketAddr,
    load: Load<'l>,
    now: Now,
    inboxes: BTreeMap<SocketAddr, VecDeque<Bytes>>,
    streams: BTreeMap<SocketAddr, StreamId>,
    accepted: u64,
    zone: Zone,
    /// Everything the server has sent, oldest first.
    pub sent: Vec<Bytes>,
}

impl<'l> VirtualStage<'l> {
    /// A stage for this script.
    ///
    /// # Errors
    /// Its settings cannot be loaded.
    pub fn new(script: &Script, load: Load<'l>) -> Result<Self, String> {
        let settings = Arc::new(load(&script.settings.toml)?);
        let now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(START_MS) };
        let listener = |id, transport| Listener {
            id,
            transport,
            local: script.server,
            advertised: script.server,
            names: Vec::new(),
        };
        let listeners = vec![
            listener(UDP, lampyris_core::flow::Transport::Udp),
            listener(TCP, lampyris_core::flow::Transport::Tcp),
        ];
        let host = Host::new(settings, listeners, 1, now);
        let mut stage = Self {
            host,
            parties: script.parties.clone(),
            server: script.server,
            load,
            now,
            inboxes: BTreeMap::new(),
            streams: BTreeMap::new(),
            accepted: 0,
            // Why: most scenarios name hosts by address; a name is one that nobody knows.
            zone: Zone::down(),
            sent: Vec::new(),
        };
        stage.carry();
        Ok(stage)
    }

    fn party(&self, name: &str) -> Option<&Party> {
        self.parties.iter().find(|party| party.name == name)
    }

    fn move_on(&mut self, at: Instant) {
        let step = at.since(self.now.mono);
        self.now = Now { mono: self.now.mono + step, wall: self.now.wall + step };
    }

    /// Brings what the node sends to whom it is for.
    fn carry(&mut self) {
        loop {
            while let Some(effect) = self.host.poll() {
                match effect {
                    Effect::Send { flow, bytes } => {
                        self.sent.push(bytes.clone());
                        self.inboxes.entry(flow.remote()).or_default().push_back(bytes);
                    }
                    Effect::Close(id) => self.streams.retain(|_, known| *known != id),
                    Effect::Connect { id, transport, listener, remote } => {
                        let listens =
                            |party: &Party| party.address == remote && party.transport == Transport::Tcp;
                        let input = if self.parties.iter().any(listens) {
                            self.streams.insert(remote, id);
                            Input::FlowOpened { id, transport, listener, remote }
                        } else {
                            Input::FlowClosed { id }
                        };
                        self.host.input(self.now, input);
                    }
                    Effect::Resolve(query, question) => {
                        let answer = self.zone.answer(&question);
                        self.host.input(self.now, Input::Resolved { query, answer });
                    }
                    Effect::Told(_) => {}
                }
            }
            if self.host.next().is_none_or(|at| at > self.now.mono) {
                return;
            }
            self.host.advance(self.now);
        }
    }

    /// Lets time pass until `until`, or until `done` says so.
    fn play(&mut self, until: Instant, done: &dyn Fn(&Self) -> bool) {
        loop {
            self.carry();
            if done(self) {
                return;
            }
            match self.host.next().filter(|at| *at <= until) {
                Some(at) => self.move_on(at),
                None => return self.move_on(until),
            }
        }
    }
}

impl Stage for VirtualStage<'_> {
    fn address(&mut self, party: &str) -> SocketAddr {
        self.party(party).map_or(self.server, |party| party.address)
    }

    fn server(&self, _transport: Transport) -> SocketAddr {
        self.server
    }

    fn send(&mut self, party: &str, bytes: Bytes) {
        let Some(Party { transport, address: remote, .. }) = self.party(party).cloned() else { return };
        let flow = match transport {
            Transport::Udp => Flow::Udp { listener: UDP, remote },
            Transport::Tcp => {
                let id = self.streams.get(&remote).copied().unwrap_or_else(|| {
                    self.accepted += 1;
                    let id = StreamId(self.accepted);
                    self.streams.insert(remote, id);
                    let transport = lampyris_core::flow::Transport::Tcp;
                    self.host.input(self.now, Input::FlowOpened { id, transport, listener: TCP, remote });
                    id
                });
                Flow::Stream { id, remote }
            }
        };
        self.host.input(self.now, Input::Received { flow, message: Message::parse(bytes) });
        self.carry();
    }

    fn receive(&mut self, party: &str, wait: Duration) -> Option<Bytes> {
        let address = self.address(party);
        let until = self.now.mono + wait;
        self.play(until, &|stage| stage.inboxes.get(&address).is_some_and(|inbox| !inbox.is_empty()));
        self.inboxes.get_mut(&address)?.pop_front()
    }

    fn pass(&mut self, time: Duration) {
        self.play(self.now.mono + time, &|_| false);
    }

    fn longest_pass(&self) -> Option<Duration> {
        None
    }

    fn admin(&mut self, words: &str) -> Result<(), String> {
        let command = command(words).ok_or_else(|| format!("no such command: {words}"))?;
        let reply = self.host.command(self.now, command);
        self.carry();
        match reply {
            Some(Reply::Refused { reason }) => Err(reason),
            Some(_) => Ok(()),
            None => Err("the server is down".to_owned()),
        }
    }

    fn crash_and_restart(&mut self) {
        self.host.crash(Aftermath::Clean, &mut Rng::new([0; 32]));
        self.streams.clear();
        self.host.restart(self.now);
        self.carry();
    }

    fn set_clock(&mut self, by: Duration, way: Way) -> bool {
        let (was, by) = (self.now.wall.as_millis(), u64::try_from(by.as_millis()).unwrap_or(0));
        self.now.wall = UnixTime::from_millis(match way {
            Way::Ahead => was.saturating_add(by),
            Way::Back => was.saturating_sub(by),
        });
        true
    }

    fn close(&mut self, party: &str) {
        let address = self.address(party);
        if let Some(id) = self.streams.remove(&address) {
            self.host.input(self.now, Input::FlowClosed { id });
            self.carry();
        }
    }

    fn reload(&mut self, toml: &str) -> Result<(), String> {
        let settings = Arc::new((self.load)(toml)?);
        self.host.command(self.now, Command::Reload(settings));
        self.carry();
        Ok(())
    }

    fn fail_store(&mut self) -> bool {
        self.host.store.commits_to_fail += 1;
        true
    }

    fn set_dns(&mut self, zone: &Zone) -> bool {
        self.zone = zone.clone();
        true
    }

    fn count(&mut self, what: &str) -> Option<usize> {
        let Some(Reply::Status(status)) = self.host.command(self.now, Command::Status) else { return None };
        Some(match what {
            "subscriptions" => status.subscriptions,
            "publications" => status.publications,
            "bindings" => status.bindings,
            "transactions" => status.transactions,
            _ => return None,
        })
    }
}

/// A command as it is typed on the binary's command line, as far as scenarios need it.
fn command(words: &str) -> Option<Command> {
    let words: Vec<&str> = words.split_whitespace().collect();
    let own = |word: &str| word.to_owned();
    let selector = |words: &[&str]| match words {
        ["--all"] => Some(Selector::default()),
        ["--watcher", name] => Some(Selector { watcher: Some(own(name)), ..Selector::default() }),
        ["--call-id", id] => Some(Selector { call_id: Some(own(id)), ..Selector::default() }),
        [resource] => Some(Selector { resource: Some(own(resource)), ..Selector::default() }),
        _ => None,
    };
    Some(match words.as_slice() {
        ["devstate", "set", device, state] => {
            Command::SetDevice { device: own(device), state: own(state), for_s: None }
        }
        ["devstate", "set", device, state, "--for", time] => {
            let for_s = time.strip_suffix('s')?.parse().ok()?;
            Command::SetDevice { device: own(device), state: own(state), for_s: Some(for_s) }
        }
        ["devstate", "clear", device] => Command::ClearDevice { device: own(device) },
        ["mailbox", "set", mailbox, new, old] => {
            let counts = Counts { new: new.parse().ok()?, old: old.parse().ok()?, ..Counts::default() };
            Command::SetMailbox { mailbox: own(mailbox), counts }
        }
        ["feature", "set", user, feature] => {
            let (user, feature) = (own(user), Feature::parse(feature)?);
            Command::SetFeature { user, feature, target: None, after_s: None }
        }
        ["feature", "set", user, feature, target] => {
            let (user, feature) = (own(user), Feature::parse(feature)?);
            Command::SetFeature { user, feature, target: Some(own(target)), after_s: None }
        }
        ["feature", "clear", user, feature] => {
            Command::ClearFeature { user: own(user), feature: Feature::parse(feature)? }
        }
        ["presence", "set", person, status, rest @ ..] => {
            let (note, for_s) = status_options(rest)?;
            Command::SetStatus { person: own(person), status: own(status), note, for_s }
        }
        ["presence", "clear", person] => Command::ClearStatus { person: own(person) },
        [rule @ ("allow" | "block" | "polite-block" | "confirm" | "forget"), user, watcher] => {
            let handling = Handling::ALL.into_iter().find(|handling| handling.name() == *rule);
            Command::Rule { user: own(user), watcher: own(watcher), handling }
        }
        ["rules", "clear", user] => Command::ClearRules(own(user)),
        ["nudge", rest @ ..] => Command::Nudge(selector(rest)?),
        ["drop", rest @ ..] => Command::Drop(selector(rest)?),
        ["why", what] => Command::Why(own(what)),
        ["stop"] => Command::Stop,
        ["drain", "--within", within, "--retry-after", retry_after, rest @ ..] => {
            let seconds = |text: &str| text.strip_suffix('s')?.parse().ok();
            let (within_s, retry_after_s) = (seconds(within)?, seconds(retry_after)?);
            let elsewhere = match rest {
                ["--to-another"] => true,
                [] => false,
                _ => return None,
            };
            Command::Drain(Drain { within_s, retry_after_s, elsewhere })
        }
        ["drain", "--cancel"] => Command::EndDrain,
        _ => return None,
    })
}

/// `--note WORD` and `--for 60s`, in any order.
fn status_options(words: &[&str]) -> Option<(String, Option<u64>)> {
    let (mut note, mut for_s) = (String::new(), None);
    for option in words.chunks(2) {
        match option {
            ["--note", word] => note = (*word).to_owned(),
            ["--for", time] => for_s = Some(time.strip_suffix('s')?.parse().ok()?),
            _ => return None,
        }
    }
    Some((note, for_s))
}
