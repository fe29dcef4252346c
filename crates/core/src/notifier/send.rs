//! Writing and sending NOTIFYs (RFC 6665 §4.2.2): a shared body, a head from the dialog, one in flight.

use super::subscription::{EndReason, Subscription, Text};
use super::suppress::{EntityTag, Suppress};
use crate::authz::policy::Standing;
use crate::body::dialog_info::shown::Reveal;
use crate::body::{Brevity, EncodedBody, HoleValues, Style, Variant};
use crate::fingerprint::fnv1a;
use crate::flow::{Flow, Listener, OwnUri, Transport, is_sips};
use crate::journal::Record;
use crate::lists::OPTION;
use crate::node::{Node, Requester};
use crate::output::Ticket;
use crate::packages::{Class, Content, PackageId, Subject, Tells};
use crate::resource::{ResourceId, ResourceKey, SharedBody};
use crate::settings::{DialogOffline, DialogReveal};
use crate::tickets::{Held, Undo};
use crate::time::{Now, UnixTime};
use crate::transaction::Branch;
use crate::view_of::View;
use bytes::Bytes;
use lampyris_sip::{Name, RequestWriter, Uri};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

/// About as much as a NOTIFY has beside its subscription's strings and its body.
const HEAD_BYTES_AROUND: usize = 460;

/// One watcher's document.
struct Document {
    /// The body with its holes.
    body: Arc<EncodedBody>,
    /// Hash of the whole state as this class of watchers sees it, whatever part of it the body has.
    hash: u64,
    /// The state in a word.
    word: Option<&'static str>,
    /// The state's revision.
    revision: u32,
    /// Its entity-tag.
    tag: EntityTag,
    /// The whole document that a filter has cut; else the body.
    raw: Arc<EncodedBody>,
}

/// One NOTIFY, as far as it is not of the dialog.
pub(super) struct Notification<'a> {
    /// Subscription-State.
    pub(super) state: &'a str,
    /// The body; empty for none.
    pub(super) body: &'a EncodedBody,
    /// SIP-ETag; none where there is no state to tell.
    tag: Option<EntityTag>,
    /// Nothing waits for its answer.
    is_last: bool,
}

impl Node {
    /// Sends the current state if the watcher has not been told it and nothing is in the way.
    pub(crate) fn notify_if_due(&mut self, now: Now, slot: u32) {
        let Some(subscription) = self.subscriptions.get(slot) else { return };
        let forced = subscription.forced;
        let idle =
            subscription.in_flight.is_none() && subscription.retry.is_none() && subscription.ending.is_none();
        if subscription.pending && idle {
            // Why: how a subscription itself stands is told at once.
            match self.too_soon(now, slot).filter(|_| !forced) {
                Some(at) => self.wait_until(slot, at),
                None => self.notify(now, slot, None),
            }
        }
    }

    /// Sends the current state, unless the watcher was told exactly this or a NOTIFY is unanswered.
    pub(crate) fn notify(&mut self, now: Now, slot: u32, after: Option<Ticket>) {
        let Some(subscription) = self.subscriptions.get(slot) else { return };
        if subscription.in_flight.is_some() {
            return; // Why: the newest state goes out when the answer is there.
        }
        let Some(Document { body, hash, word, revision, tag, raw }) = self.document_now(now, slot) else {
            return;
        };
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return };
        let forced = std::mem::take(&mut subscription.forced);
        subscription.pending = false;
        // Why: the document may be the same where the word is not; it tells the new one.
        subscription.told = word;
        let suppressed = subscription.suppress.holds(tag);
        if !forced && (suppressed || subscription.sent_hash == hash || subscription.waits(&raw)) {
            subscription.behind.unchanged();
            return;
        }
        subscription.remember_shown(raw);
        if !suppressed {
            subscription.suppress = Suppress::Nothing;
        }
        (subscription.sent_hash, subscription.sent_revision) = (hash, revision);
        let expires_s = subscription.expires_s(now.wall);
        if let Some(token) = subscription.retry.take() {
            self.timers.cancel(token);
        }
        // RFC 6665 §4.2.2: what has not been decided upon is pending.
        let word = if subscription.standing == Standing::Pending { "pending" } else { "active" };
        let state = format!("{word};expires={expires_s}{}", subscription.rates());
        let after = after.or_else(|| self.store_cseq(now, slot)).max(self.shown_after(slot));
        let body = if suppressed { Arc::default() } else { body };
        let notification = Notification { state: &state, body: &body, tag: Some(tag), is_last: false };
        self.send_notify(now, slot, &notification, after);
    }

    /// The last NOTIFY of a subscription (RFC 6665 §4.4.1); then it is gone.
    pub(super) fn say_farewell(&mut self, now: Now, slot: u32, after: Option<Ticket>) {
        let Some(reason) = self.subscriptions.get(slot).and_then(|subscription| subscription.ending) else {
            return;
        };
        if !self.is_told_of(slot, reason) {
            return self.remove_subscription(slot);
        }
        let state = match reason {
            EndReason::Probation => {
                let retry_after_s = self.probation_retry_after();
                format!("terminated;reason={};retry-after={retry_after_s}", reason.as_str())
            }
            _ => format!("terminated;reason={}", reason.as_str()),
        };
        // RFC 6665 §4.2.1.4: state may come along; for a fetch it must. A resource that is gone has none.
        let document = match reason {
            EndReason::NoResource | EndReason::Rejected => None,
            // Why: of a list whose watcher did not ask, there is nothing new to tell.
            _ if self.has_told_list(slot) => None,
            _ => self.document_now(now, slot),
        };
        let after = if document.is_some() { after.max(self.shown_after(slot)) } else { after };
        let suppress = self.subscriptions.get(slot).map(|subscription| subscription.suppress);
        let tag = document.as_ref().map(|document| document.tag);
        let suppressed = suppress.zip(tag).is_some_and(|(suppress, tag)| suppress.holds(tag));
        let body = document.filter(|_| !suppressed).map(|document| document.body).unwrap_or_default();
        let notification = Notification { state: &state, body: &body, tag, is_last: true };
        if self.send_notify(now, slot, &notification, after) {
            self.remove_subscription(slot);
        }
    }

    fn has_told_list(&self, slot: u32) -> bool {
        self.subscriptions.get(slot).is_some_and(|s| s.list.is_some() && !s.tells_whole_list() && !s.pending)
    }

    /// Whether a watcher gets its last NOTIFY. One that was told nothing yet does: it is the answer to a fetch (RFC 6665
    /// §4.4.3).
    ///
    /// Interop: Zoiper answers it with a new SUBSCRIBE, and so on for ever; its profile leaves it out, as FreeSWITCH does.
    fn is_told_of(&self, slot: u32, reason: EndReason) -> bool {
        let Some(subscription) = self.subscriptions.get(slot) else { return true };
        let profile = self.facts.settings.profiles.get(usize::from(subscription.profile));
        let wants = profile.is_none_or(|profile| profile.end_notify);
        let told_nothing = subscription.notifies == 0;
        wants || told_nothing || !matches!(reason, EndReason::Timeout | EndReason::NoResource)
    }

    /// Ends a subscription whose row is deleted already: its last NOTIFY, after the one in flight.
    pub(super) fn finish(&mut self, now: Now, slot: u32, reason: EndReason, after: Option<Ticket>) {
        self.leave(slot);
        self.tell_end(now, slot, reason.as_str());
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return };
        subscription.ending = Some(reason);
        if subscription.in_flight.is_none() {
            self.say_farewell(now, slot, after);
        }
    }

    /// Deletes a subscription's row.
    pub(super) fn persist_end(&mut self, slot: u32, undo: Undo) -> Ticket {
        self.persist(Record::Delete(super::subscription_key(slot)), undo)
    }

    /// Writes one NOTIFY and puts it on its way; `false` where the way is not known yet.
    fn send_notify(
        &mut self,
        now: Now,
        slot: u32,
        notification: &Notification<'_>,
        after: Option<Ticket>,
    ) -> bool {
        let flow = self.notify_flow(now, slot).filter(|flow| !self.connections.waits(*flow, slot));
        let fitting = flow.and_then(|flow| self.fitted(now, slot, flow, notification));
        let Some((flow, shorter)) = fitting else {
            // Why: the way is being looked up or connected; `resume` sends what is newest then.
            if let Some(subscription) = self.subscriptions.get_mut(slot) {
                subscription.pending = true;
                subscription.forced = true;
            }
            return false;
        };
        let body = shorter.as_deref().unwrap_or(notification.body);
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return true };
        subscription.local_cseq = subscription.local_cseq.wrapping_add(1);
        // RFC 4235 §4.1, RFC 5263 §4.3: versions count documents, and a gap in them is a loss.
        if !body.shared_bytes().is_empty() {
            subscription.version = subscription.version.wrapping_add(1);
        }
        subscription.notifies = subscription.notifies.saturating_add(1);
        subscription.acknowledged = false;
        self.metrics.notified(&mut subscription.behind, now.mono);
        if !body.shared_bytes().is_empty()
            && let Some(list) = &mut subscription.list
        {
            subscription.pending |= list.commit();
            subscription.sent_hash = list.sum;
        }
        let cseq = subscription.local_cseq;
        let last = notification.is_last;
        let requester = if last { Requester::Farewell } else { Requester::Notify { slot, cseq } };
        self.counters.notifies += 1;
        let (Some(listener), Some(subscription)) = (self.listener_of(flow), self.subscriptions.get(slot))
        else {
            return true;
        };
        let own = own_end(listener, subscription);
        let event = self.event_of(subscription);
        let head =
            Head { subscription, own, event, server_name: &self.facts.settings.server_name, notification };
        let write = |branch: &Branch| head.write(branch.as_str(), body, now.wall);
        let (client, mut transmit) = self.transactions.start(now.mono, flow, "NOTIFY", requester, write);
        transmit.after = after;
        self.transmit(transmit);
        if let Some(ticket) = self.tickets.undecided(after) {
            self.transactions.hold(client, ticket);
            self.tickets
                .sends_notify(ticket, Held { slot, client, has_body: !body.shared_bytes().is_empty() });
        }
        if let Some(subscription) = self.subscriptions.get_mut(slot) {
            subscription.in_flight = (!last).then_some(client);
        }
        if !last {
            self.count_notify(now, slot);
        }
        true
    }

    /// What the next NOTIFY of a subscription is written from.
    pub(super) fn head_of<'n>(
        &'n self,
        slot: u32,
        flow: Flow,
        notification: &'n Notification<'n>,
    ) -> Option<Head<'n>> {
        let subscription = self.subscriptions.get(slot)?;
        let own = own_end(self.listener_of(flow)?, subscription);
        let event = self.event_of(subscription);
        Some(Head { subscription, own, event, server_name: &self.facts.settings.server_name, notification })
    }

    /// The package as NOTIFYs name it.
    ///
    /// Interop: Linphone takes no list but one of `Presence`, though it asks for `presence` (captured, liblinphone 5.1).
    fn event_of(&self, subscription: &Subscription) -> Cow<'static, str> {
        let name = subscription.package.name();
        let profile = self.facts.settings.profiles.get(usize::from(subscription.profile));
        if subscription.list.is_none() || !profile.is_some_and(|profile| profile.list_event_capital) {
            return name.into();
        }
        let mut letters = name.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>().into()
    }

    /// The body of a watcher's document with less in it.
    pub(super) fn shorter_body(&mut self, slot: u32, brevity: Brevity) -> Option<Arc<EncodedBody>> {
        Some(self.document_for(slot, brevity)?.body)
    }

    /// The undecided record that what a watcher is shown rests on.
    fn shown_after(&self, slot: u32) -> Option<Ticket> {
        let subscription = self.subscriptions.get(slot)?;
        if subscription.list.is_some() {
            return self.list_shown_after(slot);
        }
        let state = self.facts.resources.package(subscription.resource, subscription.package)?;
        self.tickets.undecided(state.after)
    }

    /// What a watcher is to be shown now.
    fn document_for(&mut self, slot: u32, brevity: Brevity) -> Option<Document> {
        let subscription = self.subscriptions.get(slot)?;
        let standing = subscription.standing.clone();
        if standing == Standing::Pending {
            // RFC 5025 §3.2.1: nothing is told before it is allowed.
            let (body, hash) = (Arc::<EncodedBody>::default(), fnv1a(b"pending"));
            let tag = EntityTag::of(subscription, &body, hash);
            return Some(Document { raw: body.clone(), body, hash, word: None, revision: 0, tag });
        }
        let (resource, package, format) = (subscription.resource, subscription.package, subscription.format);
        let style = Style { brevity, ..self.style_of(subscription.profile) };
        let (told, failures) = (subscription.told_revision, subscription.failures);
        let acknowledged = subscription.acknowledged;
        let profile = self.facts.settings.profiles.get(usize::from(subscription.profile));
        let tells = package.get().tells(usize::from(format));
        let reads_partial = match tells {
            Tells::State => false,
            Tells::Ends => profile.is_some_and(|profile| profile.partial_dialogs),
            Tells::Changes => true,
        };
        // Why: after a NOTIFY that may have been lost there is a gap in the versions, which only full state closes.
        let partial = failures == 0 && acknowledged && reads_partial;
        let params = subscription.text(Text::EventParams).to_owned();
        let watched = &self.facts.resources.get(resource)?.key;
        let reveal = self.reveal_to(subscription.text(Text::Watcher), watched);
        let content = self.content_for(resource, package, &standing)?;
        let (word, revision) = (package.get().word(&content), package.get().revision(&content));
        let whole = Class { reveal, standing: &standing, told: None, partial: false, params: &params };
        let (raw, hash) = self.shared_body(resource, package, format, style, whole)?;
        let (body, hash) =
            self.subscriptions.get(slot)?.filtered(&raw).unwrap_or_else(|| (raw.clone(), hash));
        let tag = EntityTag::of(self.subscriptions.get(slot)?, &body, hash);
        let told = told.filter(|_| tells != Tells::State);
        let told = told.and_then(|told| package.get().base(&content, told));
        let body = match told {
            None => body,
            told => self.shared_body(resource, package, format, style, Class { told, partial, ..whole })?.0,
        };
        Some(Document { body, hash, word, revision, tag, raw })
    }

    /// What a watcher is to be told now: a state, or what is new of a list.
    fn document_now(&mut self, now: Now, slot: u32) -> Option<Document> {
        match self.subscriptions.get(slot)?.list {
            Some(_) => self.list_as_document(now, slot),
            None => self.document_for(slot, Brevity::Whole),
        }
    }

    /// What the watcher of a list is to be told now.
    fn list_as_document(&mut self, now: Now, slot: u32) -> Option<Document> {
        let full = self.subscriptions.get(slot)?.tells_whole_list();
        let (body, hash) = self.list_document(now.wall, slot, full, None, Brevity::Whole)?;
        // Why: boundaries and versions are no part of the entity.
        let tag = EntityTag::of(self.subscriptions.get(slot)?, &EncodedBody::default(), hash);
        Some(Document { raw: body.clone(), body, hash, word: None, revision: 0, tag })
    }

    /// The entity-tag of what a watcher would be sent.
    pub(super) fn entity_tag_of(&mut self, slot: u32) -> Option<EntityTag> {
        if self.subscriptions.get(slot)?.list.is_some() {
            let sum = self.list_sum(slot)?;
            return Some(EntityTag::of(self.subscriptions.get(slot)?, &EncodedBody::default(), sum));
        }
        self.document_for(slot, Brevity::Whole).map(|document| document.tag)
    }

    /// What a watcher would be sent without its filters.
    pub(super) fn whole_document_for(&mut self, slot: u32) -> Option<Arc<EncodedBody>> {
        self.document_for(slot, Brevity::Whole).map(|document| document.raw)
    }

    /// Hash and revision of what a watcher would be sent.
    pub(super) fn state_of(&mut self, slot: u32) -> Option<(u64, u32)> {
        if self.subscriptions.get(slot)?.list.is_some() {
            return Some((self.list_sum(slot)?, 0));
        }
        self.document_for(slot, Brevity::Whole).map(|document| (document.hash, document.revision))
    }

    /// How much of the calls at a resource a watcher is shown: everything of its own, else as configured.
    pub(crate) fn reveal_to(&self, watcher: &str, key: &ResourceKey) -> Reveal {
        let settings = &self.facts.settings;
        let peer = settings.peers.get(watcher);
        let policy = peer.and_then(|peer| peer.dialog_reveal).unwrap_or(settings.watch.dialog_reveal);
        match policy {
            _ if self.facts.is_own(watcher, key) => Reveal::Own,
            DialogReveal::Party => Reveal::Party,
            DialogReveal::State => Reveal::State,
        }
    }

    /// How a watcher's documents look: its profile's choice, and what sip.conf says of ringing, holding and callers.
    pub(super) fn style_of(&self, profile: u16) -> Style {
        let settings = &self.facts.settings;
        let profile = settings.profiles.get(usize::from(profile));
        let variant = profile.map(|profile| profile.variant).unwrap_or_default();
        // Why: chan_pjsip has its own rule for ringing beside a call; `None` is the variant's own.
        let ringing = (variant != Variant::Pjsip).then_some(settings.notify_ringing);
        Style {
            ringing,
            pickup: variant == Variant::ChanSip,
            hold_as_call: !settings.notify_hold,
            buggy_mwi: profile.is_some_and(|profile| profile.buggy_mwi),
            digium: profile.is_some_and(|profile| profile.digium),
            empty_when_idle: profile.is_some_and(|profile| !profile.idle_dialog),
            single_dialog: profile.is_some_and(|profile| profile.single_dialog),
            offline_presence: matches!(variant, Variant::Rfc | Variant::Cisco)
                && settings.watch.dialog_offline == DialogOffline::Presence,
            ..Style::of(variant)
        }
    }

    /// The body of one format, style and class of watchers, encoded once, and the hash of its bytes.
    pub(crate) fn shared_body(
        &mut self,
        resource: ResourceId,
        package: PackageId,
        format: u8,
        style: Style,
        class: Class<'_>,
    ) -> Option<(Arc<EncodedBody>, u64)> {
        let content = self.content_for(resource, package, class.standing)?;
        let state = self.facts.resources.package(resource, package)?;
        let Class { reveal, standing, told, partial, params } = class;
        // Why: hardly two watchers ask for the same dialog, so such documents are not kept.
        let is_shared = params.is_empty();
        let same = |shared: &&SharedBody| {
            let known = (shared.format, shared.style, shared.reveal, shared.told, shared.partial);
            known == (format, style, reveal, told, partial) && shared.standing == *standing
        };
        if is_shared && let Some(shared) = state.bodies.iter().find(same) {
            return Some((shared.body.clone(), shared.hash));
        }
        let name = self.facts.resources.get(resource)?.key.name();
        let body = package.get().encode(&content, usize::from(format), Subject { name, class }, style);
        let hash = fnv1a(body.shared_bytes());
        let body = Arc::new(body.kept());
        if is_shared {
            let standing = standing.clone();
            let shared =
                SharedBody { format, style, reveal, standing, told, partial, body: body.clone(), hash };
            let bodies = &mut self.facts.resources.package_mut(resource, package)?.bodies;
            bodies.reserve_exact(1); // Why: most resources have one, and a vector would make room for four.
            bodies.push(shared);
        }
        Some((body, hash))
    }

    /// What watchers are shown a part of: the state, or that of somebody who is not there.
    fn content_for(
        &mut self,
        resource: ResourceId,
        package: PackageId,
        standing: &Standing,
    ) -> Option<Content> {
        if *standing != Standing::Withheld {
            return self.composed(resource, package);
        }
        let entry = self.facts.resources.get(resource)?;
        Some(package.get().withheld(&View::new(&self.facts, &self.subscriptions, entry, package)))
    }

    /// What a package says of a resource now, composed once.
    pub(super) fn composed(&mut self, resource: ResourceId, package: PackageId) -> Option<Content> {
        let entry = self.facts.resources.get(resource)?;
        if let Some(content) = &entry.packages.get(package).composed {
            return Some(content.clone());
        }
        let content = package.get().compose(&View::new(&self.facts, &self.subscriptions, entry, package));
        let state = self.facts.resources.package_mut(resource, package)?;
        (state.composed, state.before) = (Some(content.clone()), None);
        self.metrics.compositions += 1;
        Some(content)
    }

    /// A hash of what watchers of a resource are shown: of the package's first format as the RFCs want it.
    pub(crate) fn shown_hash(&mut self, resource: ResourceId, package: PackageId) -> Option<u64> {
        let state = self.facts.resources.package(resource, package)?;
        if state.composed.is_some() && state.shown.is_some() {
            return state.shown;
        }
        let (style, class) = (Style::default(), Class::default());
        // Why: hardly a watcher is told it in this shape, so the document is not kept.
        let same = |body: &&SharedBody| {
            (body.format, body.style, body.reveal, body.told, body.partial)
                == (0, style, class.reveal, class.told, class.partial)
                && body.standing == *class.standing
        };
        let hash = match state.bodies.iter().find(same).filter(|_| class.params.is_empty()) {
            Some(body) => body.hash,
            None => {
                let content = self.content_for(resource, package, class.standing)?;
                let name = self.facts.resources.get(resource)?.key.name();
                let body = package.get().encode(&content, 0, Subject { name, class }, style);
                fnv1a(body.shared_bytes())
            }
        };
        self.facts.resources.package_mut(resource, package)?.shown = Some(hash);
        Some(hash)
    }

    /// Our Contact in a subscription's dialog; none where its flow is gone.
    pub(super) fn contact_in<'n>(&self, flow: Flow, subscription: &'n Subscription) -> Option<OwnUri<'n>> {
        Some(own_end(self.listener_of(flow)?, subscription).contact)
    }

    /// Our Contact in a dialog: the user part this watcher asked for, at our address on its flow; `sips:` where what was
    /// asked for or the other side is (RFC 3261 §12.1.1).
    pub(crate) fn our_contact(&self, flow: Flow, asked: &str, other: &str) -> String {
        let uri = self.listener_of(flow).map(|listener| own_uri(listener, asked, other));
        uri.map_or_else(|| String::from("<sip:invalid>"), |uri| format!("<{uri}>"))
    }
}

/// The URI in our Contact.
fn own_uri<'u>(listener: &Listener, asked: &'u str, other: &str) -> OwnUri<'u> {
    let is_sips = is_sips(asked) || is_sips(other);
    let asked = Uri::parse(asked).ok();
    let user = asked.and_then(|uri| uri.user()).unwrap_or("");
    // Why: a listener on all addresses does not know which of them this peer can reach, but the peer does.
    let reached = asked
        .filter(|_| listener.local.ip().is_unspecified())
        .and_then(|uri| uri.host().ip())
        .filter(|ip| listener.names.contains(&ip.to_string()));
    let address = reached.map_or(listener.advertised, |ip| SocketAddr::new(ip, listener.advertised.port()));
    listener.uri(user, address, is_sips)
}

/// Our end of a subscription's dialog.
fn own_end<'n>(listener: &Listener, subscription: &'n Subscription) -> OwnEnd<'n> {
    let Listener { transport, advertised, .. } = *listener;
    let contact = own_uri(listener, subscription.text(Text::Asked), subscription.text(Text::Target));
    OwnEnd { transport, advertised, contact }
}

/// Our end of a dialog, as it is seen on one flow.
struct OwnEnd<'n> {
    transport: Transport,
    advertised: SocketAddr,
    contact: OwnUri<'n>,
}

/// What a NOTIFY is written from, but for its branch and the body it takes.
pub(super) struct Head<'n> {
    subscription: &'n Subscription,
    own: OwnEnd<'n>,
    event: Cow<'static, str>,
    server_name: &'n str,
    notification: &'n Notification<'n>,
}

impl Head<'_> {
    /// The whole NOTIFY.
    pub(super) fn write(&self, branch: &str, body: &EncodedBody, now: UnixTime) -> Bytes {
        let Self { subscription, own: OwnEnd { transport, advertised, contact }, .. } = self;
        let text = |which| subscription.text(which);
        let (request_uri, routes) = routed(text(Text::Target), text(Text::Routes));
        let bytes = HEAD_BYTES_AROUND + 2 * subscription.texts.bytes() + body.shared_bytes().len();
        let mut writer = RequestWriter::sized("NOTIFY", &request_uri, bytes);
        writer.header_with(Name::Via, |value| {
            value.text("SIP/2.0/").text(transport.via()).text(" ").address(*advertised);
            value.text(";branch=").text(branch).text(";rport");
        });
        writer.header(Name::MaxForwards, "70");
        if !routes.is_empty() {
            writer.header(Name::Route, &routes);
        }
        writer.header_with(Name::From, |value| {
            value.text(text(Text::Local)).text(";tag=").text(text(Text::LocalTag));
        });
        writer.header_with(Name::To, |value| {
            value.text(text(Text::Remote));
            if !text(Text::RemoteTag).is_empty() {
                value.text(";tag=").text(text(Text::RemoteTag));
            }
        });
        writer.header(Name::CallId, text(Text::CallId));
        writer.header_with(Name::CSeq, |value| {
            value.number(subscription.local_cseq).text(" NOTIFY");
        });
        writer.header_with(Name::Contact, |value| contact.write(value));
        writer.header_with(Name::Event, |value| {
            value.text(&self.event);
            if !text(Text::EventId).is_empty() {
                value.text(";id=").text(text(Text::EventId));
            }
        });
        if subscription.list.is_some() {
            // RFC 4662 §4.1.
            writer.header(Name::Require, OPTION);
        }
        writer.header(Name::SubscriptionState, self.notification.state);
        if let Some(tag) = self.notification.tag {
            writer.header_fmt(Name::SipETag, format_args!("{tag}"));
        }
        if !self.server_name.is_empty() {
            writer.header(Name::UserAgent, self.server_name);
        }
        if body.shared_bytes().is_empty() {
            return writer.finish();
        }
        let format = subscription.package.content_type(usize::from(subscription.format));
        let content_type = body.content_type.as_deref().unwrap_or(format);
        if body.holes().is_empty() {
            writer.body(content_type, body.shared_bytes());
        } else {
            writer.body(content_type, &body.fill(&hole_values(subscription, now)));
        }
        writer.finish()
    }
}

/// What a subscription's documents have in their holes.
pub(super) fn hole_values(subscription: &Subscription, now: UnixTime) -> HoleValues<'_> {
    HoleValues {
        version: subscription.version,
        entity: plain_uri(subscription.text(Text::Asked)),
        watcher: plain_uri(uri_of(subscription.text(Text::Remote))),
        call_id: subscription.text(Text::CallId),
        now,
    }
}

/// Request-URI and Route of a request in a dialog (RFC 3261 §12.2.1.1): a first route without `lr` is a strict router, and
/// swaps places with the target.
pub(crate) fn routed<'t>(target: &'t str, routes: &'t str) -> (Cow<'t, str>, Cow<'t, str>) {
    if routes.is_empty() {
        return (target.into(), "".into());
    }
    let mut list: Vec<&str> = lampyris_sip::headers::route::split(routes).collect();
    let first = list.first().and_then(|route| lampyris_sip::NameAddr::parse(route).ok());
    let loose =
        first.as_ref().is_some_and(|first| Uri::parse(first.uri()).is_ok_and(|uri| uri.params().has("lr")));
    match first {
        Some(first) if !loose => {
            let request_uri = first.uri().to_owned();
            list.remove(0);
            let last = format!("<{target}>");
            list.push(&last);
            let routes = list.join(", ");
            (request_uri.into(), routes.into())
        }
        _ => (target.into(), routes.into()),
    }
}

/// The URI inside a From or To value.
fn uri_of(value: &str) -> &str {
    lampyris_sip::NameAddr::parse(value).map_or(value, |name| name.uri())
}

/// A URI without parameters and headers: what names a person.
fn plain_uri(uri: &str) -> &str {
    let at = uri.find('@').unwrap_or(0);
    uri[at..].find([';', '?']).map_or(uri, |end| &uri[..at + end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strict_router_takes_the_request_uri() {
        let loose = ("sip:b@1".into(), "<sip:p;lr>, <sip:q>".into());
        assert_eq!(routed("sip:b@1", "<sip:p;lr>, <sip:q>"), loose);
        let strict = ("sip:p".into(), "<sip:q;lr>, <sip:b@1>".into());
        assert_eq!(routed("sip:b@1", "<sip:p>, <sip:q;lr>"), strict);
        assert_eq!(routed("sip:b@1", ""), ("sip:b@1".into(), "".into()));
    }

    #[test]
    fn a_person_is_named_without_parameters() {
        for (uri, plain) in [
            ("sip:6001@10.0.0.1;transport=UDP", "sip:6001@10.0.0.1"),
            ("sip:a;x=1@h?y", "sip:a;x=1@h"),
            ("tel:+1234", "tel:+1234"),
            ("sip:h;lr", "sip:h"),
        ] {
            assert_eq!(plain_uri(uri), plain);
        }
    }
}
