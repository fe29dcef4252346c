//! The location service: bindings of AORs (RFC 3261 §10, Path of RFC 3327, instances of RFC 5626).
//!
//! In: the Contact values of an authorised REGISTER. Out: the bindings that hold afterwards. Requests, answers, timers and
//! lamps are the node's; this is the table and its rules.

use crate::body::reginfo::ContactEvent;
use crate::fingerprint::fnv1a;
use crate::flow::{Flow, StreamId};
use crate::gruu::{self, GruuKey};
use crate::journal::{BindingRecord, BindingsRecord};
use crate::limits::ENDED_BINDINGS_PER_AOR_MAX;
use crate::map::{Map, Maps};
use crate::slots::Slots;
use crate::time::{Instant, UnixTime};
use crate::timers::TimerToken;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The bindings of one AOR.
#[derive(Default)]
pub(crate) struct Entry {
    /// The AOR, as in `sip:alice@example.com`.
    pub(crate) aor: String,
    /// Oldest first.
    pub(crate) bindings: Vec<BindingRecord>,
    /// The timer of the first to expire.
    pub(crate) timer: Option<TimerToken>,
    /// Those of the bindings that a REGISTER has prolonged since we run.
    refreshed: Vec<u64>,
}

/// A binding that has ended, kept until its watchers have been told (RFC 3680 §4.7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// As it was.
    pub(crate) binding: BindingRecord,
    /// How it ended.
    pub(crate) event: ContactEvent,
    /// When.
    at: Instant,
}

/// What became of [`Registrar::set`].
pub(crate) struct Change {
    /// The slot of the AOR, which is free where no binding is left.
    pub(crate) slot: u32,
    /// The bindings that are no more.
    pub(crate) gone: Vec<BindingRecord>,
}

impl Entry {
    /// What the journal keeps.
    pub(crate) fn record(&self) -> BindingsRecord {
        BindingsRecord { aor: self.aor.clone(), bindings: self.bindings.clone() }
    }
}

/// Why a set of Contact values is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A request with this Call-ID and a CSeq at least as high was seen: out of order (RFC 3261 §10.3 step 7): 500.
    OutOfOrder,
    /// More than an AOR may have: 403.
    TooMany,
}

/// One Contact value of a REGISTER, with its life already decided.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    /// The binding it asks for.
    pub(crate) binding: BindingRecord,
    /// It asks for removal (`expires=0`).
    pub(crate) remove: bool,
}

/// All bindings.
pub(crate) struct Registrar {
    slots: Slots<Entry>,
    by_aor: Map<String, u32>,
    /// Bindings in all.
    count: usize,
    /// Streams that bindings were made on: most streams that close have none, and nobody is looked at for them.
    streams: BTreeSet<StreamId>,
    /// What watchers are still to be shown, by AOR.
    ended: BTreeMap<String, Vec<Ended>>,
    /// When that is over, in this order.
    ended_order: VecDeque<(Instant, String)>,
    /// Makes temporary GRUUs.
    key: GruuKey,
}

impl Registrar {
    /// No bindings.
    pub(crate) fn new(maps: Maps, key: GruuKey) -> Self {
        Self {
            slots: Slots::default(),
            by_aor: maps.map(),
            count: 0,
            streams: BTreeSet::new(),
            ended: BTreeMap::new(),
            ended_order: VecDeque::new(),
            key,
        }
    }

    /// The slot of an AOR that has bindings.
    pub(crate) fn find(&self, aor: &str) -> Option<u32> {
        self.by_aor.get(aor).copied()
    }

    /// The bindings of an AOR, oldest first.
    pub(crate) fn bindings(&self, aor: &str) -> &[BindingRecord] {
        self.find(aor).and_then(|slot| self.slots.get(slot)).map_or(&[], |entry| &entry.bindings)
    }

    /// An entry by slot.
    pub(crate) fn get(&self, slot: u32) -> Option<&Entry> {
        self.slots.get(slot)
    }

    /// An entry by slot, to change its timer.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        self.slots.get_mut(slot)
    }

    /// All entries in slot order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.slots.iter()
    }

    /// The bindings an AOR has after these updates, at most `most` of them (0: any number); nothing is changed yet.
    ///
    /// # Errors
    /// [`Refusal`], and then nothing of the request counts (RFC 3261 §10.3: all or none).
    pub(crate) fn updated(
        &self,
        aor: &str,
        updates: &[Update],
        most: u32,
    ) -> Result<Vec<BindingRecord>, Refusal> {
        let mut bindings = self.bindings(aor).to_vec();
        for update in updates {
            let new = &update.binding;
            let same = bindings.iter().position(|old| is_same_binding(old, new));
            let gruu = if update.remove { None } else { gruu::next(&bindings, new) };
            if let Some(index) = same {
                let old = &bindings[index];
                if old.call_id == new.call_id && new.cseq < old.cseq {
                    return Err(Refusal::OutOfOrder);
                }
            }
            match (same, update.remove) {
                (Some(index), true) => {
                    bindings.remove(index);
                }
                (Some(index), false) => {
                    let created_at = bindings[index].created_at;
                    bindings[index] = BindingRecord { created_at, gruu, ..new.clone() };
                }
                (None, true) => {}
                (None, false) => bindings.push(BindingRecord { gruu, ..new.clone() }),
            }
            gruu::share(&mut bindings, new, gruu);
        }
        let is_over = most > 0 && u32::try_from(bindings.len()).unwrap_or(u32::MAX) > most;
        if is_over { Err(Refusal::TooMany) } else { Ok(bindings) }
    }

    /// The bindings an AOR has after `Contact: *` with `Expires: 0`.
    ///
    /// # Errors
    /// [`Refusal::OutOfOrder`].
    pub(crate) fn cleared(&self, aor: &str, call_id: &str, cseq: u32) -> Result<Vec<BindingRecord>, Refusal> {
        let late = |old: &BindingRecord| old.call_id == call_id && cseq < old.cseq;
        if self.bindings(aor).iter().any(late) { Err(Refusal::OutOfOrder) } else { Ok(Vec::new()) }
    }

    /// Replaces the bindings of an AOR; `None` where it had none and gets none.
    pub(crate) fn set(&mut self, aor: &str, bindings: Vec<BindingRecord>) -> Option<Change> {
        self.streams.extend(streams_of(&bindings));
        let ids: Vec<u64> = bindings.iter().map(contact_id).collect();
        if let Some(ended) = self.ended.get_mut(aor) {
            // Why: one id must not stand twice in a document.
            ended.retain(|ended| !ids.contains(&contact_id(&ended.binding)));
        }
        let slot = match self.find(aor) {
            Some(slot) => slot,
            None if bindings.is_empty() => return None,
            None => {
                let slot = self.slots.insert(Entry { aor: aor.to_owned(), ..Entry::default() });
                self.by_aor.insert(aor.to_owned(), slot);
                slot
            }
        };
        let entry = self.slots.get_mut(slot)?;
        let is_empty = bindings.is_empty();
        self.count += bindings.len();
        let mut gone = std::mem::replace(&mut entry.bindings, bindings);
        self.count -= gone.len();
        entry.refreshed.retain(|id| ids.contains(id));
        gone.retain(|old| {
            let id = contact_id(old);
            let new = entry.bindings.iter().zip(&ids).find(|(_, new)| **new == id).map(|(new, _)| new);
            if new.is_some_and(|new| new != old) && !entry.refreshed.contains(&id) {
                entry.refreshed.push(id);
            }
            new.is_none()
        });
        if is_empty {
            self.slots.remove(slot);
            self.by_aor.remove(aor);
        }
        Some(Change { slot, gone })
    }

    /// Whether a REGISTER has prolonged a binding since it was made, as far as this process knows.
    pub(crate) fn is_refreshed(&self, aor: &str, binding: &BindingRecord) -> bool {
        let entry = self.find(aor).and_then(|slot| self.slots.get(slot));
        entry.is_some_and(|entry| entry.refreshed.contains(&contact_id(binding)))
    }

    /// Bindings of an AOR that ended and that watchers are still to be shown.
    pub(crate) fn ended(&self, aor: &str) -> &[Ended] {
        self.ended.get(aor).map_or(&[], Vec::as_slice)
    }

    /// Keeps bindings that ended until [`Self::forget_ended`].
    pub(crate) fn keep_ended(
        &mut self,
        aor: &str,
        gone: Vec<BindingRecord>,
        event: ContactEvent,
        at: Instant,
    ) {
        let ended = self.ended.entry(aor.to_owned()).or_default();
        ended.extend(gone.into_iter().map(|binding| Ended { binding, event, at }));
        let surplus = ended.len().saturating_sub(ENDED_BINDINGS_PER_AOR_MAX);
        ended.drain(..surplus);
        self.ended_order.push_back((at, aor.to_owned()));
    }

    /// Forgets the bindings that ended until `at`; their AORs.
    pub(crate) fn forget_ended(&mut self, at: Instant) -> Vec<String> {
        let mut aors = Vec::new();
        while let Some((_, aor)) = self.ended_order.pop_front_if(|(ended, _)| *ended <= at) {
            if let Some(ended) = self.ended.get_mut(&aor) {
                ended.retain(|ended| ended.at > at);
                if ended.is_empty() {
                    self.ended.remove(&aor);
                }
            }
            aors.push(aor);
        }
        aors
    }

    /// Puts a row back as it was stored.
    pub(crate) fn restore(&mut self, slot: u32, record: BindingsRecord) {
        self.streams.extend(streams_of(&record.bindings));
        self.by_aor.insert(record.aor.clone(), slot);
        self.count += record.bindings.len();
        // Why: what was made before the restart is to be read after it.
        if let Some(gruu) = record.bindings.iter().find_map(|binding| binding.gruu) {
            self.key = GruuKey(gruu.key);
        }
        self.slots.restore(slot, Entry { aor: record.aor, bindings: record.bindings, ..Entry::default() });
    }

    /// After the last [`Self::restore`].
    pub(crate) fn restored(&mut self) {
        self.slots.rebuild_free();
    }

    /// Puts a row back as it was before a change that could not be stored; its AOR.
    pub(crate) fn revert(&mut self, slot: u32, record: Option<BindingsRecord>) -> Option<String> {
        if let Some(entry) = self.slots.remove(slot) {
            self.by_aor.remove(&entry.aor);
            self.count -= entry.bindings.len();
            if record.is_none() {
                return Some(entry.aor);
            }
        }
        let record = record?;
        let aor = record.aor.clone();
        self.streams.extend(streams_of(&record.bindings));
        self.by_aor.insert(aor.clone(), slot);
        self.count += record.bindings.len();
        self.slots.put(slot, Entry { aor: record.aor, bindings: record.bindings, ..Entry::default() });
        Some(aor)
    }

    /// AORs with a binding on this stream.
    pub(crate) fn on_stream(&self, stream: StreamId) -> Vec<String> {
        if !self.streams.contains(&stream) {
            return Vec::new();
        }
        let on_it = |binding: &BindingRecord| matches!(binding.flow, Flow::Stream { id, .. } if id == stream);
        self.slots.iter().filter(|(_, e)| e.bindings.iter().any(on_it)).map(|(_, e)| e.aor.clone()).collect()
    }

    /// A closed stream's bindings are gone.
    pub(crate) fn forget_stream(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
    }

    /// The key of temporary GRUUs.
    pub(crate) const fn gruu_key(&self) -> GruuKey {
        self.key
    }

    /// Bindings in all.
    pub(crate) const fn binding_count(&self) -> usize {
        self.count
    }
}

/// The streams these bindings were made on.
pub(crate) fn streams_of(bindings: &[BindingRecord]) -> impl Iterator<Item = StreamId> {
    bindings.iter().filter_map(|binding| match binding.flow {
        Flow::Stream { id, .. } => Some(id),
        Flow::Udp { .. } => None,
    })
}

/// When the first of these expires.
pub(crate) fn first_expiry(bindings: &[BindingRecord]) -> Option<UnixTime> {
    bindings.iter().map(|binding| binding.expires_at).min()
}

/// Tells a contact from all others of its AOR, the same as long as its URI is (RFC 3680 §5.1): two phones may register one
/// URI, so the instance counts too.
pub(crate) fn contact_id(binding: &BindingRecord) -> u64 {
    let instance = binding.instance.as_deref().unwrap_or("");
    let reg_id = binding.reg_id.unwrap_or(0);
    fnv1a(format!("{} {instance} {reg_id}", binding.contact).as_bytes())
}

/// Whether two Contacts mean the same binding: same instance and reg-id (RFC 5626 §6), else the same URI
/// (RFC 3261 §10.3 step 7, compared as §19.1.4 says).
fn is_same_binding(old: &BindingRecord, new: &BindingRecord) -> bool {
    if let (Some(a), Some(b)) = (&old.instance, &new.instance)
        && old.reg_id.is_some()
        && old.reg_id == new.reg_id
    {
        return a == b;
    }
    if old.contact == new.contact {
        return true;
    }
    match (lampyris_sip::Uri::parse(&old.contact), lampyris_sip::Uri::parse(&new.contact)) {
        (Ok(a), Ok(b)) => a.equivalent(&b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::ListenerId;
    use crate::limits::BINDINGS_PER_AOR_MAX;

    fn binding(contact: &str, call_id: &str, cseq: u32) -> BindingRecord {
        BindingRecord {
            contact: contact.into(),
            params: String::new(),
            q: 1000,
            instance: None,
            reg_id: None,
            call_id: call_id.into(),
            cseq,
            path: Vec::new(),
            flow: Flow::Udp { listener: ListenerId(0), remote: "127.0.0.1:5060".parse().unwrap() },
            user_agent: String::new(),
            expires_at: UnixTime::from_millis(60_000),
            created_at: UnixTime::from_millis(0),
            branch: String::new(),
            gruu: None,
        }
    }

    fn add(contact: &str, call_id: &str, cseq: u32) -> Update {
        Update { binding: binding(contact, call_id, cseq), remove: false }
    }

    #[test]
    fn bindings_come_change_and_go() {
        let mut registrar = Registrar::new(Maps::new(1), GruuKey([7; 32]));
        let aor = "sip:a@x";
        let two = registrar
            .updated(aor, &[add("sip:a@1", "c1", 1), add("sip:a@2", "c2", 1)], BINDINGS_PER_AOR_MAX)
            .unwrap();
        registrar.set(aor, two);
        assert_eq!(registrar.bindings(aor).len(), 2);

        // The same Contact again, by an equivalent URI, refreshes; an older CSeq of the same Call-ID is refused whole.
        let same =
            registrar.updated(aor, &[add("sip:a@1;transport=UDP", "c1", 2)], BINDINGS_PER_AOR_MAX).unwrap();
        assert_eq!(same.len(), 3, "transport=UDP is not the same URI as one without (RFC 3261 §19.1.4)");
        let refreshed = registrar.updated(aor, &[add("SIP:a@1", "c1", 2)], BINDINGS_PER_AOR_MAX).unwrap();
        assert_eq!(refreshed.len(), 2);
        registrar.set(aor, refreshed);
        let late =
            registrar.updated(aor, &[add("sip:a@9", "c1", 1), add("sip:a@1", "c1", 1)], BINDINGS_PER_AOR_MAX);
        assert_eq!(late, Err(Refusal::OutOfOrder));

        let gone = registrar
            .updated(aor, &[Update { remove: true, ..add("sip:a@1", "c9", 1) }], BINDINGS_PER_AOR_MAX)
            .unwrap();
        assert_eq!(gone.iter().map(|b| b.contact.as_str()).collect::<Vec<_>>(), ["sip:a@2"]);
        assert_eq!(registrar.cleared(aor, "c2", 0), Err(Refusal::OutOfOrder));
        registrar.set(aor, Vec::new());
        assert_eq!((registrar.find(aor), registrar.binding_count()), (None, 0));
    }

    #[test]
    fn an_instance_keeps_one_binding_per_reg_id() {
        let mut registrar = Registrar::new(Maps::new(1), GruuKey([7; 32]));
        let with = |contact: &str, reg_id| Update {
            binding: BindingRecord {
                instance: Some("<urn:uuid:1>".into()),
                reg_id: Some(reg_id),
                ..binding(contact, "c", 1)
            },
            remove: false,
        };
        registrar.set(
            "sip:a@x",
            registrar.updated("sip:a@x", &[with("sip:a@1", 1)], BINDINGS_PER_AOR_MAX).unwrap(),
        );
        assert_eq!(
            registrar.updated("sip:a@x", &[with("sip:a@2", 1)], BINDINGS_PER_AOR_MAX).unwrap().len(),
            1
        );
        assert_eq!(
            registrar.updated("sip:a@x", &[with("sip:a@2", 2)], BINDINGS_PER_AOR_MAX).unwrap().len(),
            2
        );
    }

    #[test]
    fn what_ended_is_kept_for_its_watchers_but_not_without_end() {
        let mut registrar = Registrar::new(Maps::new(1), GruuKey([7; 32]));
        let aor = "sip:a@x";
        for n in 0..ENDED_BINDINGS_PER_AOR_MAX + 3 {
            let contact = format!("sip:a@h{n}");
            registrar
                .set(aor, registrar.updated(aor, &[add(&contact, "c", 1)], BINDINGS_PER_AOR_MAX).unwrap());
            assert!(!registrar.is_refreshed(aor, &binding(&contact, "c", 1)));
            registrar
                .set(aor, registrar.updated(aor, &[add(&contact, "c", 2)], BINDINGS_PER_AOR_MAX).unwrap());
            assert!(registrar.is_refreshed(aor, &binding(&contact, "c", 2)));
            let gone = registrar.set(aor, Vec::new()).unwrap().gone;
            assert_eq!((gone.len(), gone[0].cseq), (1, 2));
            registrar.keep_ended(aor, gone, ContactEvent::Expired, Instant::from_micros(n as u64));
        }
        assert_eq!(registrar.ended(aor).len(), ENDED_BINDINGS_PER_AOR_MAX);
        // One comes back: it is not both there and gone.
        registrar.set(aor, vec![binding("sip:a@h5", "c", 9)]);
        assert_eq!(registrar.ended(aor).len(), ENDED_BINDINGS_PER_AOR_MAX - 1);
        assert_eq!(registrar.forget_ended(Instant::from_micros(4)).len(), 5);
        assert_eq!(registrar.ended(aor)[0].binding.contact, "sip:a@h6");
        registrar.forget_ended(Instant::from_micros(1000));
        assert_eq!((registrar.ended(aor).len(), registrar.ended.len()), (0, 0));
    }

    #[test]
    fn the_eleventh_binding_is_refused() {
        let registrar = Registrar::new(Maps::new(1), GruuKey([7; 32]));
        let many: Vec<_> = (0..=BINDINGS_PER_AOR_MAX).map(|n| add(&format!("sip:a@h{n}"), "c", 1)).collect();
        assert_eq!(registrar.updated("sip:a@x", &many, BINDINGS_PER_AOR_MAX), Err(Refusal::TooMany));
        assert_eq!(
            registrar.updated("sip:a@x", &many[1..], BINDINGS_PER_AOR_MAX).unwrap().len(),
            BINDINGS_PER_AOR_MAX as usize
        );
    }
}
