//! Gateways: servers elsewhere that we watch, publish to, and register at, as a client (RFC 6665 §4.1, RFC 3903 §4,
//! RFC 3261 §10.2).
//!
//! ```text
//! settings -> one Errand per registration, per watched URI and per published presentity
//!   errand due -> way (RFC 3263) -> SUBSCRIBE -> answer -> `state::next` -> timer
//!   NOTIFY in its dialog -> `notify` -> what it says becomes a source of local presentities (`sources`)
//!   a presentity changes -> `publishing` -> PUBLISH
//! ```
//!
//! [`state`] decides and knows neither time nor messages, [`requests`] writes and sends, [`answers`] takes what comes back,
//! [`digest`] answers challenges. An errand that has a dialog is stored, so that a restart goes on in the same one.

mod answers;
mod digest;
mod notify;
mod publishing;
mod remote;
mod requests;
pub mod settings;
mod sources;
pub mod state;
mod stored;

use crate::flow::{Flow, StreamId};
use crate::limits;
use crate::node::{Node, Timer};
use crate::output::Event;
use crate::packages::PackageId;
use crate::resource::{ResourceId, ResourceKey};
use crate::slots::Slots;
use crate::time::{Now, UnixTime};
use crate::timers::TimerToken;
use crate::transaction::ClientId;
use crate::view;
use digest::Answerable;
use publishing::{Publishing, Told};
use settings::{Gateway, Registration, RemoteSubscription};
use state::{Kind, State};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use remote::Remote;
pub(crate) use sources::gateway_of;

/// What is wanted of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Want {
    Registration(Registration),
    Subscription(RemoteSubscription),
    Publication(Publishing),
}

impl Want {
    const fn kind(&self) -> Kind {
        match self {
            Self::Registration(_) => Kind::Registration,
            Self::Subscription(_) => Kind::Subscription,
            Self::Publication(_) => Kind::Publication,
        }
    }

    const fn method(&self) -> &'static str {
        match self {
            Self::Registration(_) => "REGISTER",
            Self::Subscription(_) => "SUBSCRIBE",
            Self::Publication(_) => "PUBLISH",
        }
    }

    const fn retry(&self) -> Duration {
        match self {
            Self::Registration(registration) => registration.retry,
            Self::Subscription(subscription) => subscription.retry,
            Self::Publication(publication) => publication.retry,
        }
    }

    const fn expires_s(&self) -> u32 {
        match self {
            Self::Registration(registration) => registration.expires_s,
            Self::Subscription(subscription) => subscription.expires_s,
            Self::Publication(publication) => publication.expires_s,
        }
    }
}

/// The other end of a dialog that a SUBSCRIBE of ours began.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dialog {
    remote_tag: String,
    /// Remote target.
    target: String,
    /// Route set in the order of use.
    routes: Vec<String>,
    /// CSeq of the last NOTIFY.
    remote_cseq: Option<u32>,
}

/// One registration, or one subscription, at a gateway.
struct Errand {
    gateway: Arc<Gateway>,
    want: Want,
    state: State,
    since: UnixTime,
    call_id: String,
    local_tag: String,
    /// CSeq of our last request.
    cseq: u32,
    dialog: Option<Dialog>,
    /// The life to ask for: as configured, or the longer one that the server insists on.
    expires_s: u32,
    /// When what was granted ends.
    expires_at: Option<UnixTime>,
    credentials: Option<Answerable>,
    /// Requests sent since it was last due.
    rounds: u32,
    in_flight: Option<(ClientId, u32)>,
    timer: Option<TimerToken>,
    /// The server told something in the dialog that stands.
    is_told: bool,
    /// The server has not decided on us.
    is_pending: bool,
    /// Version of the last list document.
    version: Option<u32>,
    /// Publications that hold what arrived, by instance.
    sources: BTreeMap<String, u32>,
    notifies: u64,
    /// What was published.
    told: Told,
    /// What went wrong last; empty where nothing has since.
    trouble: String,
    /// It is no longer wanted.
    is_ending: bool,
    /// Not the settings want it but who watches this.
    demanded: Option<ResourceKey>,
    /// Why the other server will not tell.
    over: Option<&'static str>,
    /// The stream that its last request took.
    stream: Option<StreamId>,
}

impl Errand {
    /// What it is for: the same after a restart, and in all its dialogs.
    fn name(&self) -> String {
        match &self.want {
            Want::Registration(_) => format!("{} register", self.gateway.name),
            Want::Subscription(s) => {
                let list = if s.list { " list" } else { "" };
                let name = format!("{} {}{list} {} {}", self.gateway.name, s.package, s.target, s.watched);
                self.demanded.as_ref().map_or(name.clone(), |key| format!("{name} {key}"))
            }
            Want::Publication(p) => {
                format!("{} publish {} {} {}", self.gateway.name, p.package.name(), p.key, p.target)
            }
        }
    }
}

/// All errands.
#[derive(Default)]
pub(crate) struct Gateways {
    errands: Slots<Errand>,
    /// Errands whose dialog NOTIFYs may come in.
    by_call_id: BTreeMap<String, u32>,
    /// Errands that somebody who watches demanded.
    demanded: BTreeMap<(ResourceKey, PackageId), u32>,
    /// Resources of other servers that somebody has ceased to watch.
    unwatched: Vec<ResourceKey>,
    /// Streams that errands' requests took.
    streams: BTreeSet<StreamId>,
    /// Errands that publish a resource's state.
    publishing: BTreeMap<(ResourceId, PackageId), Vec<u32>>,
    /// Rows read at a start.
    restored: Vec<(u32, crate::journal::GatewayRecord)>,
}

impl Gateways {
    /// Somebody has ceased to watch a resource of another server.
    pub(crate) fn watched_no_more(&mut self, key: ResourceKey) {
        self.unwatched.push(key);
    }
}

impl Node {
    /// Begins what the settings want that is not there yet, and ends what they no longer want; at a start and a reload.
    pub(crate) fn configure_gateways(&mut self, now: Now) {
        let settings = self.facts.settings.clone();
        let mut wanted = Vec::new();
        for gateway in &settings.gateways {
            let gateway = Arc::new(gateway.clone());
            let registration = gateway.registration.clone().map(Want::Registration);
            let subscriptions = gateway.subscriptions.iter().cloned().map(Want::Subscription);
            let publications = self.to_publish(&gateway).into_iter().map(Want::Publication);
            let wants = registration.into_iter().chain(subscriptions).chain(publications);
            wanted.extend(wants.map(|want| (gateway.clone(), want)));
        }
        let slots: Vec<_> = self.gateways.errands.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(errand) = self.gateways.errands.get(slot).filter(|errand| !errand.is_ending) else {
                continue;
            };
            if let Some(key) = &errand.demanded {
                let key = key.clone();
                self.keep_demanded(now, slot, &key);
                continue;
            }
            let same = |(gateway, want): &(Arc<Gateway>, Want)| {
                *want == errand.want && account(gateway) == account(&errand.gateway)
            };
            match wanted.iter().position(same) {
                Some(at) => {
                    let (gateway, _) = wanted.remove(at);
                    if let Some(errand) = self.gateways.errands.get_mut(slot) {
                        errand.gateway = gateway;
                    }
                    self.retry_errand(now, slot);
                }
                None => self.end_errand(now, slot),
            }
        }
        for (gateway, want) in wanted {
            self.begin_errand(now, gateway, want, None);
        }
        self.demand_all(now);
    }

    fn begin_errand(
        &mut self,
        now: Now,
        gateway: Arc<Gateway>,
        want: Want,
        demanded: Option<ResourceKey>,
    ) -> u32 {
        let errand = Errand {
            expires_s: want.expires_s(),
            gateway,
            want,
            state: State::Unsubed,
            since: now.wall,
            call_id: String::new(),
            local_tag: String::new(),
            cseq: 0,
            dialog: None,
            expires_at: None,
            credentials: None,
            rounds: 0,
            in_flight: None,
            timer: None,
            is_told: false,
            is_pending: false,
            version: None,
            sources: BTreeMap::new(),
            notifies: 0,
            told: Told::default(),
            trouble: String::new(),
            is_ending: false,
            demanded,
            over: None,
            stream: None,
        };
        let slot = self.gateways.errands.insert(errand);
        self.fresh_dialog(slot);
        self.watch_to_publish(now, slot);
        self.arm_errand(now, slot, Duration::ZERO);
        slot
    }

    /// The identifiers of a dialog, or of a series of REGISTERs, that begins now.
    fn fresh_dialog(&mut self, slot: u32) {
        let (call_id, tag) = (self.rng.next_u128(), self.rng.next_u64());
        let Some(errand) = self.gateways.errands.get_mut(slot) else { return };
        self.gateways.by_call_id.remove(&errand.call_id);
        errand.call_id = format!("{call_id:032x}");
        errand.local_tag = format!("{tag:016x}");
        (errand.cseq, errand.dialog) = (0, None);
        (errand.is_told, errand.is_pending, errand.version) = (false, false, None);
        errand.told.etag = None;
        if errand.want.kind() == Kind::Subscription {
            self.gateways.by_call_id.insert(errand.call_id.clone(), slot);
        }
    }

    /// A reload: what waits because it failed is tried again at once.
    fn retry_errand(&mut self, now: Now, slot: u32) {
        let waits = |errand: &&Errand| matches!(errand.state, State::Failed | State::FailWait);
        if self.gateways.errands.get(slot).as_ref().is_some_and(waits) {
            self.arm_errand(now, slot, Duration::ZERO);
        }
    }

    /// It is not wanted any more: the server is told, where it knows of us, and what it said is forgotten.
    fn end_errand(&mut self, now: Now, slot: u32) {
        self.drop_sources(now, slot);
        let Some(errand) = self.gateways.errands.get_mut(slot) else { return };
        errand.is_ending = true;
        let is_known = match errand.want.kind() {
            Kind::Subscription => errand.dialog.is_some(),
            Kind::Registration => errand.expires_at.is_some(),
            Kind::Publication => errand.told.etag.is_some(),
        };
        match (is_known, errand.in_flight.is_some()) {
            // The answer comes back to `is_ending`.
            (_, true) => {}
            (true, false) => self.arm_errand(now, slot, Duration::ZERO),
            (false, false) => self.forget_errand(slot),
        }
    }

    /// Forgets an errand that is over.
    fn forget_errand(&mut self, slot: u32) {
        self.unstore_errand(slot);
        self.forget_way(crate::ways::Traveller::Gateway(slot));
        self.watch_to_publish_no_more(slot);
        let Some(errand) = self.gateways.errands.remove(slot) else { return };
        self.gateways.by_call_id.remove(&errand.call_id);
        if let Some(timer) = errand.timer {
            self.timers.cancel(timer);
        }
        if let Some((client, _)) = errand.in_flight {
            self.transactions.abandon(client);
        }
    }

    /// Makes it due after a while.
    fn arm_errand(&mut self, now: Now, slot: u32, after: Duration) {
        let Some(errand) = self.gateways.errands.get_mut(slot) else { return };
        if let Some(timer) = errand.timer.take() {
            self.timers.cancel(timer);
        }
        errand.timer = Some(self.timers.insert(now.mono + after, Timer::Gateway(slot)));
    }

    fn enter_state(&mut self, now: Now, slot: u32, state: State, trouble: &str) {
        let Some(errand) = self.gateways.errands.get_mut(slot) else { return };
        if !trouble.is_empty() || matches!(state, State::Subscribe | State::Subed) {
            trouble.clone_into(&mut errand.trouble);
        }
        if errand.state == state {
            return;
        }
        (errand.state, errand.since) = (state, now.wall);
        let kind = errand.want.kind();
        let event = Event::Gateway {
            gateway: errand.gateway.name.clone(),
            what: errand.what(),
            state: state.name(kind),
            why: trouble.to_owned(),
        };
        self.tell(event);
    }

    /// A stream closed: subscriptions that were made over it are renewed, since the other end may not find us any more.
    ///
    /// Why not all at once: a server that comes back has many who want it.
    pub(crate) fn on_gateway_flow_closed(&mut self, now: Now, id: StreamId) {
        if !self.gateways.streams.remove(&id) {
            return;
        }
        let lost = self.gateways.errands.iter().filter(|(_, errand)| {
            errand.stream == Some(id) && errand.dialog.is_some() && errand.in_flight.is_none()
        });
        let lost: Vec<_> = lost.map(|(slot, _)| slot).collect();
        for slot in lost {
            let spread_ms = u64::try_from(limits::GATEWAY_FLOW_LOST_SPREAD.as_millis()).unwrap_or(1);
            let after = limits::GATEWAY_RENEW_LEAST + Duration::from_millis(self.rng.next_u64() % spread_ms);
            self.arm_errand(now, slot, after);
        }
    }

    /// Rows for `gateways`.
    pub(crate) fn view_gateways(&self, now: Now) -> Vec<view::Gateway> {
        let rows = self.gateways.errands.iter().map(|(_, errand)| {
            let left = errand.expires_at.filter(|at| *at > now.wall).map(|at| at.since(now.wall).as_secs());
            let (uri, list) = match &errand.want {
                Want::Registration(registration) => (registration.registrar.clone(), false),
                Want::Subscription(subscription) => (subscription.watched.clone(), subscription.list),
                Want::Publication(publication) => (publication.target.clone(), false),
            };
            view::Gateway {
                gateway: errand.gateway.name.clone(),
                what: errand.what(),
                list,
                uri,
                state: errand.state.name(errand.want.kind()).to_owned(),
                pending: errand.is_pending,
                since: errand.since,
                expires_s: left,
                notifies: errand.notifies,
                sources: errand.sources.len(),
                call_id: errand.call_id.clone(),
                on_behalf: match &errand.demanded {
                    Some(ResourceKey::Remote { on_behalf, .. }) if on_behalf.is_empty() => "all".to_owned(),
                    Some(ResourceKey::Remote { on_behalf, .. }) => on_behalf.clone(),
                    _ => String::new(),
                },
                trouble: errand.trouble.clone(),
            }
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| (&a.gateway, &a.what, &a.uri).cmp(&(&b.gateway, &b.what, &b.uri)));
        rows
    }
}

impl Errand {
    /// The event package, `publish` before it where we tell it, or `register`.
    fn what(&self) -> String {
        match &self.want {
            Want::Registration(_) => "register".to_owned(),
            Want::Subscription(subscription) => subscription.package.clone(),
            Want::Publication(publication) => format!("publish {}", publication.package.name()),
        }
    }
}

/// As who we are at a gateway: where this changes, everything there begins anew.
fn account(gateway: &Gateway) -> (&str, &str, &str, &settings::Password, &str, Option<&str>) {
    let Gateway { name, realm, username, password, identity, proxy, .. } = gateway;
    (name, realm, username, password, identity, proxy.as_deref())
}

impl Node {
    /// Somebody who waits for a way to a gateway has it, or there is none.
    pub(crate) fn on_gateway_way(&mut self, now: Now, slot: u32, way: Option<Flow>) {
        match way {
            Some(flow) => self.send_errand(now, slot, flow),
            None => self.on_gateway_failed(now, slot, None, 503),
        }
    }
}
