//! What a NOTIFY tells of a list (RFC 4662 §5): an RLMI document, and beside it the state of each member that is told.
//!
//! The first after a SUBSCRIBE, and after one that may be lost, names every member; others name those that look different.
//! What does not fit is left for the next: a member is then named without an instance, which says that nothing is known of it
//! yet (RFC 4662 §4.5).

use super::list::{ListState, NAMED, Staged};
use super::send::hole_values;
use super::size::Fit;
use super::subscription::{Subscription, Text};
use crate::authz::policy::Standing;
use crate::body::rlmi::{self, Instance, InstanceState, ListHead, Resource};
use crate::body::{Brevity, EncodedBody, HoleValues, Style};
use crate::fingerprint::{FNV_START, fnv1a, fnv1a_on};
use crate::flow::{Flow, Transport};
use crate::gateways::Remote;
use crate::limits;
use crate::lists::roster::{At, Entry};
use crate::node::Node;
use crate::packages::{Class, PackageId};
use crate::reject::Reject;
use crate::resource::ResourceKey;
use crate::time::{Now, UnixTime};
use lampyris_sip::{Uri, multipart};
use std::sync::Arc;

/// More than the head of a part, and what RLMI says of it, have beside ids, URIs and bodies.
const PART_BYTES_AROUND: usize = 320;
/// More than RLMI says of a member beside its URI and name.
const NAME_BYTES_AROUND: usize = 64;
/// More than RLMI, the part it stands in and the end of the multipart have beside the members.
const LIST_BYTES_AROUND: usize = 420;

/// What is known of a member.
struct Known {
    state: Option<InstanceState>,
    body: Option<Arc<EncodedBody>>,
    /// 0 where nothing is said of it.
    hash: u64,
}

/// A member in a NOTIFY.
struct Told {
    index: u32,
    state: Option<InstanceState>,
    part: Option<Part>,
}

/// The state of a member in a NOTIFY.
struct Part {
    cid: String,
    content_type: String,
    bytes: Vec<u8>,
}

/// What all documents of one subscription have in common.
struct Look {
    package: PackageId,
    format: u8,
    style: Style,
    params: String,
    bare_ids: bool,
}

impl Node {
    /// What the watcher of a list is to be told now, and what it knows of all members after that. `room` are the bytes that the
    /// body may have.
    pub(super) fn list_document(
        &mut self,
        now: UnixTime,
        slot: u32,
        full: bool,
        room: Option<usize>,
        brevity: Brevity,
    ) -> Option<(Arc<EncodedBody>, u64)> {
        let look = self.look_of(slot, brevity)?;
        // Why: while it is read, members are composed, which may not move it.
        let mut list = self.subscriptions.get_mut(slot)?.list.take()?;
        let told = self.stage(now, slot, &look, &mut list, full, room);
        let subscription = self.subscriptions.get_mut(slot)?;
        let body = written(subscription, &look, &list, &told, full);
        let sum = list.sum_then();
        subscription.list = Some(list);
        Some((Arc::new(body), sum))
    }

    fn look_of(&self, slot: u32, brevity: Brevity) -> Option<Look> {
        let subscription = self.subscriptions.get(slot)?;
        let profile = self.facts.settings.profiles.get(usize::from(subscription.profile));
        Some(Look {
            package: subscription.package,
            format: subscription.format,
            style: Style { brevity, ..self.style_of(subscription.profile) },
            params: subscription.text(Text::EventParams).to_owned(),
            bare_ids: profile.is_some_and(|profile| profile.list_bare_ids),
        })
    }

    /// Chooses what is told, and notes it.
    fn stage(
        &mut self,
        now: UnixTime,
        slot: u32,
        look: &Look,
        list: &mut ListState,
        full: bool,
        room: Option<usize>,
    ) -> Vec<Told> {
        let mut staged = Staged { full, ..Staged::default() };
        let mut indices = if full { (0..).take(list.members.len()).collect() } else { list.fresh.clone() };
        indices.sort_unstable();
        let named: usize = if full {
            list.roster
                .entries
                .iter()
                .map(|entry| entry.uri.len() + entry.display.len() + NAME_BYTES_AROUND)
                .sum()
        } else {
            0
        };
        let mut left =
            room.map_or(limits::LIST_PAGE_BYTES_MAX, |room| room.saturating_sub(LIST_BYTES_AROUND + named));
        let (mut all, mut is_full_up) = (Vec::new(), false);
        let (watcher, call_id, version) =
            self.subscriptions.get(slot).map_or_else(Default::default, |subscription| {
                let values = hole_values(subscription, now);
                (values.watcher.to_owned(), values.call_id.to_owned(), values.version.wrapping_add(1))
            });
        for index in indices {
            let at = index as usize;
            let Some((entry, member)) = list.roster.entries.get(at).zip(list.members.get(at)) else {
                continue;
            };
            let is_hidden = list.roster.hides && member.standing.is_none();
            if is_hidden && (full || !member.is_told()) {
                continue;
            }
            let has_body =
                matches!(member.standing, Some(Standing::Open | Standing::Part(_) | Standing::Withheld));
            if is_full_up && has_body {
                staged.left.push(index);
                if full {
                    staged.told.push((index, NAMED));
                    all.push(Told { index, state: None, part: None });
                }
                continue;
            }
            let known =
                self.known_of(look, entry, (member.resource, &member.standing, member.reveal), is_hidden);
            if !full && known.hash == member.told {
                continue;
            }
            let values =
                HoleValues { version, entity: &entry.uri, watcher: &watcher, call_id: &call_id, now };
            let part = known.body.map(|body| part_of(slot, look, index, &body, &values));
            let name_bytes = if full { 0 } else { entry.uri.len() + entry.display.len() + NAME_BYTES_AROUND };
            let bytes = name_bytes
                + part.as_ref().map_or(NAME_BYTES_AROUND, |part| part.bytes.len() + PART_BYTES_AROUND);
            let is_first = staged.told.is_empty() && !full;
            if bytes > left && !is_first && (part.is_some() || !full) {
                is_full_up = true;
                staged.left.push(index);
                if full {
                    staged.told.push((index, NAMED));
                    all.push(Told { index, state: None, part: None });
                }
                continue;
            }
            left = left.saturating_sub(bytes);
            staged.told.push((index, known.hash));
            all.push(Told { index, state: known.state, part });
        }
        list.staged = staged;
        all
    }

    /// What is known of a member and may be told.
    fn known_of(
        &mut self,
        look: &Look,
        entry: &Entry,
        (resource, standing, reveal): (
            Option<u32>,
            &Option<Standing>,
            crate::body::dialog_info::shown::Reveal,
        ),
        is_hidden: bool,
    ) -> Known {
        let plain = |state: Option<InstanceState>, hash| Known { state, body: None, hash };
        let rejected = Some(InstanceState::Terminated("rejected"));
        match (&entry.at, resource, standing) {
            // Why: nobody is asked, so nothing is known of it.
            (At::Elsewhere, ..) => plain(None, NAMED),
            (At::Nowhere, ..) | (_, None, _) => plain(Some(InstanceState::Terminated("noresource")), 2),
            (At::Here(key @ ResourceKey::Remote { .. }), _, None) => {
                match self.facts.remote(key, look.package) {
                    Remote::Over(reason) => {
                        plain(Some(InstanceState::Terminated(reason)), fnv1a(reason.as_bytes()).max(5))
                    }
                    Remote::Asked | Remote::Told => plain(rejected, 3),
                }
            }
            (_, _, None) => plain(rejected, if is_hidden { 0 } else { 3 }),
            (_, _, Some(Standing::Pending)) => plain(Some(InstanceState::Pending), 4),
            (_, Some(resource), Some(standing)) => {
                let class = Class { reveal, standing, told: None, partial: false, params: &look.params };
                match self.shared_body(resource, look.package, look.format, look.style, class) {
                    Some((body, hash)) => {
                        Known { state: Some(InstanceState::Active), body: Some(body), hash: hash.max(5) }
                    }
                    None => plain(None, NAMED),
                }
            }
        }
    }

    /// What all members look like now, as one number.
    pub(super) fn list_sum(&mut self, slot: u32) -> Option<u64> {
        let look = self.look_of(slot, Brevity::Whole)?;
        let list = self.subscriptions.get_mut(slot)?.list.take()?;
        let mut sum = 0_u64;
        for (entry, member) in list.roster.entries.iter().zip(&list.members) {
            let is_hidden = list.roster.hides && member.standing.is_none();
            let known =
                self.known_of(&look, entry, (member.resource, &member.standing, member.reveal), is_hidden);
            sum = sum.wrapping_add(ListState::share(entry, known.hash));
        }
        self.subscriptions.get_mut(slot)?.list = Some(list);
        Some(sum)
    }

    /// The undecided records that what is staged rests on.
    pub(super) fn list_shown_after(&self, slot: u32) -> Option<crate::output::Ticket> {
        let subscription = self.subscriptions.get(slot)?;
        let list = subscription.list.as_ref()?;
        let told =
            list.staged.told.iter().filter_map(|(index, _)| list.members.get(*index as usize)?.resource);
        let states = told.filter_map(|id| self.facts.resources.package(id, subscription.package));
        states.filter_map(|state| self.tickets.undecided(state.after)).max()
    }

    /// Bytes that the request around a list's body may have at most, and bytes of a body that names every member.
    fn list_bytes(&self, slot: u32) -> Option<(usize, usize)> {
        let subscription = self.subscriptions.get(slot)?;
        let entries = &subscription.list.as_ref()?.roster.entries;
        let names: usize =
            entries.iter().map(|entry| entry.uri.len() + entry.display.len() + NAME_BYTES_AROUND / 2).sum();
        let around = 500 + subscription.texts.bytes() + self.facts.settings.server_name.len();
        Some((around, names + LIST_BYTES_AROUND))
    }

    /// Refuses a list whose names alone are too large for the way to its watcher.
    ///
    /// # Errors
    /// 403 with a Warning that names the bound.
    pub(super) fn list_fits(&self, slot: u32, flow: Flow) -> Result<(), Reject> {
        let Some(subscription) = self.subscriptions.get(slot) else { return Ok(()) };
        let Some((around, names)) = self.list_bytes(slot).filter(|_| !flow.is_reliable()) else {
            return Ok(());
        };
        let (bytes, bound) = (around + names, self.list_bound(flow));
        let target = Uri::parse(subscription.text(Text::Target)).ok();
        let named = target.and_then(|uri| Transport::parse(uri.params().get("transport")?));
        let by_stream = named.is_some_and(|transport| transport != Transport::Udp);
        if bytes <= bound || by_stream || self.stream_uri(slot, flow).is_some() {
            return Ok(());
        }
        Err(Reject::TooLargeToTell { bytes, bound })
    }

    /// Most bytes of a NOTIFY that names all members over UDP.
    fn list_bound(&self, flow: Flow) -> usize {
        if flow.remote().ip().to_canonical().is_loopback() {
            limits::DATAGRAM_BYTES_MAX
        } else {
            self.facts.settings.list_datagram_bytes
        }
    }

    /// The body of a list's NOTIFY that is too large for the way it takes: as much as fits now, the rest later.
    pub(super) fn paged_list(
        &mut self,
        now: Now,
        slot: u32,
        head_bytes: usize,
    ) -> Option<(Arc<EncodedBody>, Fit)> {
        let full = self.subscriptions.get(slot)?.list.as_ref()?.staged.full;
        let room = limits::DATAGRAM_REQUEST_BYTES_MAX.saturating_sub(head_bytes);
        for brevity in std::iter::once(Brevity::Whole).chain(Brevity::SHORTER) {
            let (body, _) = self.list_document(now.wall, slot, full, Some(room), brevity)?;
            let list = self.subscriptions.get(slot)?.list.as_ref()?;
            if body.shared_bytes().len() <= room {
                return Some((body, Fit::Paged));
            }
            // Why: less of each member's state makes names no shorter.
            if full && !list.staged.told.iter().any(|(_, hash)| *hash > NAMED) {
                return Some((body, Fit::Fragments));
            }
        }
        let (body, _) = self.list_document(now.wall, slot, full, Some(room), Brevity::Whole)?;
        Some((body, Fit::Fragments))
    }
}

fn part_of(slot: u32, look: &Look, index: u32, body: &EncodedBody, values: &HoleValues<'_>) -> Part {
    let format = look.package.content_type(usize::from(look.format));
    let content_type = match &body.content_type {
        Some(own) => own.clone(),
        None if format.ends_with("xml") => format!("{format};charset=\"UTF-8\""),
        None => format.to_owned(),
    };
    Part { cid: format!("{index}.{slot:x}.{}", values.version), content_type, bytes: body.fill(values) }
}

/// The multipart body (RFC 2387).
///
/// Interop: liblinphone 5.1 crashes unless the boundary stands last, unquoted, with no space before it, and lines end in CRLF.
fn written(
    subscription: &Subscription,
    look: &Look,
    list: &ListState,
    told: &[Told],
    full: bool,
) -> EncodedBody {
    let version = subscription.version.wrapping_add(1);
    // Why: our tag has 64 random bits that no publisher knows, so no document can contain the boundary.
    let secret = fnv1a_on(FNV_START, subscription.text(Text::LocalTag).as_bytes());
    let token = format!("{:016x}", fnv1a_on(secret, &version.to_le_bytes()));
    let asked = hole_values(subscription, subscription.created_at).entity;
    let host = Uri::parse(asked).ok().map_or("lampyris", |uri| uri.host_str());
    let id = |cid: &str| if look.bare_ids { cid.to_owned() } else { format!("<{cid}>") };
    let root = format!("l.{token}@{host}");
    let cids: Vec<Option<String>> = told
        .iter()
        .map(|told| told.part.as_ref().map(|part| format!("{}.{token}@{host}", part.cid)))
        .collect();
    let head = ListHead { uri: asked, version, is_full: full, name: &list.roster.display };
    let members = told.iter().zip(&cids).filter_map(|(told, cid)| {
        let entry = list.roster.entries.get(told.index as usize)?;
        let instance = told.state.map(|state| Instance { id: &entry.id, state, cid: cid.as_deref() });
        Some(Resource { uri: &entry.uri, name: &entry.display, instance })
    });
    let state = InstanceState::Terminated("noresource");
    let gone = list.gone.iter().filter(|_| !full);
    let gone =
        gone.map(|(uri, id)| Resource { uri, name: "", instance: Some(Instance { id, state, cid: None }) });
    let meta = rlmi::encode(&head, members.chain(gone));
    let mut writer = multipart::Writer::new(&token);
    let binary = ("Content-Transfer-Encoding", "binary");
    let rlmi_type = format!("{};charset=\"UTF-8\"", rlmi::CONTENT_TYPE);
    writer.part(&[binary, ("Content-Id", &id(&root)), ("Content-Type", &rlmi_type)], &meta);
    for (told, cid) in told.iter().zip(&cids) {
        if let (Some(part), Some(cid)) = (&told.part, cid) {
            writer
                .part(&[binary, ("Content-Id", &id(cid)), ("Content-Type", &part.content_type)], &part.bytes);
        }
    }
    let kind = format!("related;type=\"{}\";start=\"<{root}>\"", rlmi::CONTENT_TYPE);
    let content_type = Some(writer.content_type(&kind));
    EncodedBody { bytes: writer.finish(), content_type, ..EncodedBody::default() }
}
