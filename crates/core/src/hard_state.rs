//! Hard state (RFC 3903 §3, RFC 4827): one presence document per person, for what nobody publishes otherwise: services and
//! devices of other ids stand beside it, and of the person the published word counts.
//!
//! In: documents in files, which come with the settings, and by command, which are stored. Out: what each says now, which
//! composition takes for a source. A file goes before what was set by command. A document that cannot be read changes
//! nothing: the one before stays.

use crate::body::BodyError;
use crate::body::presence_document::PresenceDocument;
use crate::body::{pidf::Pidf, validity};
use crate::command::Reply;
use crate::journal::{DocumentRecord, Key, Kind, Record, Value};
use crate::limits;
use crate::manual_status::nobody;
use crate::node::{Node, Put, Timer};
use crate::resource::ResourceKey;
use crate::slots::Slots;
use crate::tickets::Undo;
use crate::time::{Now, UnixTime};
use crate::view;
use crate::view_of::Facts;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A document as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct HardState {
    text: String,
    document: Arc<PresenceDocument>,
    /// When it was written.
    pub since: UnixTime,
}

impl HardState {
    /// Reads a PIDF document.
    pub fn read(text: &str, since: UnixTime) -> Result<Self, BodyError> {
        let document = Pidf::decode(text.as_bytes())?;
        Ok(Self { text: text.to_owned(), document: Arc::new(document), since })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What a person's document says now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standing {
    pub(crate) document: Arc<PresenceDocument>,
    pub(crate) since: UnixTime,
    pub(crate) by_file: bool,
    /// When it says something else.
    next: Option<UnixTime>,
}

/// The documents of all who have one.
#[derive(Default)]
pub(crate) struct HardStates {
    slots: Slots<(String, HardState)>,
    by_owner: BTreeMap<String, u32>,
    standing: BTreeMap<String, Standing>,
}

impl HardStates {
    fn stored(&self, owner: &str) -> Option<&HardState> {
        self.by_owner.get(owner).and_then(|slot| self.slots.get(*slot)).map(|(_, stored)| stored)
    }

    /// After a restart.
    pub(crate) fn restored(&mut self) {
        self.slots.rebuild_free();
    }

    fn enter(&mut self, slot: u32, owner: String, state: HardState, put: Option<Put>) {
        self.by_owner.insert(owner.clone(), slot);
        match put {
            Some(Put::Restart) => self.slots.restore(slot, (owner, state)),
            _ => drop(self.slots.put(slot, (owner, state))),
        }
    }
}

impl Facts {
    /// What the document of a person says now.
    pub(crate) fn hard_state(&self, owner: &ResourceKey) -> Option<&Standing> {
        if self.hard_states.standing.is_empty() {
            return None;
        }
        self.hard_states.standing.get(&owner.to_string())
    }

    /// `file`, `command` or nothing, and the document.
    fn written(&self, owner: &str) -> Option<(&'static str, &HardState)> {
        let file = self.settings.documents.get(owner).map(|state| ("file", state.as_ref()));
        file.or_else(|| self.hard_states.stored(owner).map(|state| ("command", state)))
    }

    /// Reads a person's document at this time; whether that is another than before.
    fn settle_hard_state(&mut self, now: Now, owner: &str) -> bool {
        let standing = self.written(owner).map(|(by, written)| {
            let timed = validity::at(&written.document, now.wall);
            let (document, next) = timed.map_or_else(
                || (Arc::clone(&written.document), None),
                |(document, next)| (Arc::new(document), next),
            );
            Standing { document, since: written.since, by_file: by == "file", next }
        });
        let all = &mut self.hard_states.standing;
        if all.get(owner) == standing.as_ref() {
            return false;
        }
        match standing {
            Some(standing) => drop(all.insert(owner.to_owned(), standing)),
            None => drop(all.remove(owner)),
        }
        true
    }
}

impl Node {
    /// After a start or a reload: all documents are read again.
    pub(crate) fn settle_hard_states(&mut self, now: Now) {
        let facts = &self.facts;
        let known = facts.hard_states.standing.keys().chain(facts.hard_states.by_owner.keys());
        let owners: BTreeSet<String> = known.chain(facts.settings.documents.keys()).cloned().collect();
        for owner in owners {
            self.hard_state_changed(now, &owner);
        }
        self.time_hard_states(now);
    }

    /// Wakes up when the next document says something else.
    fn time_hard_states(&mut self, now: Now) {
        if let Some(token) = self.hard_state_timer.take() {
            self.timers.cancel(token);
        }
        let next = self.facts.hard_states.standing.values().filter_map(|standing| standing.next).min();
        self.hard_state_timer = next.map(|at| self.timers.insert(now.mono_at(at), Timer::HardStateTurns));
    }

    /// A time came that a document speaks of.
    pub(crate) fn on_hard_state_turns(&mut self, now: Now) {
        self.hard_state_timer = None;
        let due = |standing: &Standing| standing.next.is_some_and(|at| at <= now.wall);
        let all = self.facts.hard_states.standing.iter();
        let owners: Vec<_> =
            all.filter(|(_, standing)| due(standing)).map(|(owner, _)| owner.clone()).collect();
        for owner in owners {
            self.hard_state_changed(now, &owner);
        }
        self.time_hard_states(now);
    }

    fn hard_state_changed(&mut self, now: Now, owner: &str) {
        if self.facts.settle_hard_state(now, owner)
            && let Some(user) = ResourceKey::parse(owner)
        {
            self.features_changed(&user);
        }
    }

    /// `presence document PERSON FILE` and `--remove`.
    pub(crate) fn command_set_document(&mut self, now: Now, name: &str, text: Option<&str>) -> Reply {
        let refused = |reason: String| Reply::Refused { reason };
        let Some(user) = self.user_called(name) else { return nobody(name) };
        let owner = self.facts.owner_of(&user).to_string();
        if self.facts.settings.documents.contains_key(&owner) {
            return refused(format!(
                "the document of {name} stands in a file; change that and run `lampyris reload`"
            ));
        }
        let previous = self.facts.hard_states.stored(&owner).map(|stored| value(&owner, stored));
        let record = match text {
            Some(text) if text.len() > limits::XML_BYTES_MAX => {
                return refused(format!("a document has at most {} bytes", limits::XML_BYTES_MAX));
            }
            Some(text) => {
                let state = match HardState::read(text, now.wall) {
                    Ok(state) => state,
                    Err(error) => {
                        return refused(format!("this is no presence document (RFC 3863): {error}"));
                    }
                };
                let record = value(&owner, &state);
                let table = &mut self.facts.hard_states;
                let slot = match table.by_owner.get(&owner) {
                    Some(slot) => *slot,
                    None => table.slots.insert((owner.clone(), state.clone())),
                };
                table.enter(slot, owner.clone(), state, None);
                Record::Upsert(key(slot), record)
            }
            None => {
                let Some(slot) = self.facts.hard_states.by_owner.remove(&owner) else {
                    return Reply::Done { count: 0 };
                };
                self.facts.hard_states.slots.remove(slot);
                Record::Delete(key(slot))
            }
        };
        let ticket = self.persist(record, Undo::To(previous));
        self.told_after(ticket, |node| node.hard_state_changed(now, &owner));
        self.time_hard_states(now);
        Reply::Done { count: 1 }
    }

    /// `presence document PERSON`.
    pub(crate) fn view_document(&self, now: Now, name: &str) -> Reply {
        let Some(user) = self.user_called(name) else { return nobody(name) };
        let owner = self.facts.owner_of(&user).to_string();
        let row = self.facts.written(&owner).map(|(source, written)| view::Document {
            person: owner.trim_start_matches("sip:").to_owned(),
            source: source.to_owned(),
            since_s: now.wall.since(written.since).as_secs(),
            document: written.text.clone(),
        });
        Reply::Documents(row.into_iter().collect())
    }

    /// A document from the store, or before a change that could not be stored.
    pub(crate) fn put_document(&mut self, now: Now, slot: u32, record: Option<DocumentRecord>, put: Put) {
        let mut owners = Vec::new();
        let table = &mut self.facts.hard_states;
        if put == Put::Undo
            && let Some((owner, _)) = table.slots.remove(slot)
        {
            table.by_owner.remove(&owner);
            owners.push(owner);
        }
        if let Some(record) = record
            && let Ok(state) = HardState::read(&record.document, record.modified_at)
        {
            owners.push(record.person.clone());
            table.enter(slot, record.person, state, Some(put));
        }
        if put == Put::Undo {
            for owner in owners {
                self.hard_state_changed(now, &owner);
            }
            self.time_hard_states(now);
        }
    }
}

fn key(slot: u32) -> Key {
    Key { kind: Kind::Document, slot: u64::from(slot) }
}

fn value(owner: &str, state: &HardState) -> Value {
    Value::Document(DocumentRecord {
        person: owner.to_owned(),
        document: state.text.clone(),
        modified_at: state.since,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::output::Output;
    use crate::people::{People, Person};
    use crate::settings::{Peer, Settings};
    use crate::time::Instant;

    const AT: u64 = 1_800_000_000_000;

    fn pidf(note: &str, activities: &str) -> String {
        format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' \
             xmlns:rpid='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:bob@localhost'>\
             <dm:person id='p'><rpid:activities{activities}><rpid:vacation/></rpid:activities>\
             <dm:note>{note}</dm:note></dm:person></presence>"
        )
    }

    fn now_after(seconds: u64) -> Now {
        let mono = Instant::from_micros(seconds * 1_000_000);
        Now { mono, wall: UnixTime::from_millis(AT + seconds * 1000) }
    }

    fn office(documents: &[(&str, &str)]) -> Arc<Settings> {
        let mut settings = Settings::empty();
        for name in ["desk", "alice"] {
            let device = crate::device_state::DeviceName::parse(&format!("SIP/{name}")).unwrap();
            settings.peers.insert(name.to_owned(), Peer::named(name, device));
        }
        let peers = vec!["desk".to_owned()];
        settings.people = People::new(vec![Person { name: "bob".to_owned(), peers, ..Person::default() }]);
        for (owner, text) in documents {
            let state = HardState::read(text, UnixTime::from_millis(AT)).unwrap();
            settings.documents.insert((*owner).to_owned(), Arc::new(state));
        }
        Arc::new(settings)
    }

    fn set(node: &mut Node, now: Now, document: Option<&str>) -> Reply {
        let (person, document) = ("desk".to_owned(), document.map(str::to_owned));
        node.handle_command(now, Command::SetDocument { person, document })
    }

    /// The rows of `why` that are of documents: name, state, won.
    fn sources(node: &mut Node, now: Now) -> Vec<(String, String, bool)> {
        let Reply::Why(why) = node.handle_command(now, Command::Why("bob".into())) else { panic!() };
        let rows = why[0].presence.as_ref().unwrap().sources.iter().filter(|row| row.kind == "document");
        rows.map(|row| (row.source.name.clone(), row.source.state.clone(), row.source.won)).collect()
    }

    fn records(node: &mut Node) -> Vec<Record> {
        let all = std::iter::from_fn(|| match node.poll_output(now_after(0)) {
            Output::Timeout(_) => None,
            other => Some(other),
        });
        all.filter_map(|output| match output {
            Output::Persist(_, record) => Some(record),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn a_document_is_set_for_all_names_refused_if_broken_and_removed() {
        let mut node = Node::new(office(&[]), Vec::new(), [0; 32], now_after(0));
        let rows = |note: &str| {
            vec![("document of bob@localhost by command".to_owned(), format!("vacation, {note:?}"), true)]
        };
        assert_eq!(set(&mut node, now_after(0), Some(&pidf("Gone", ""))), Reply::Done { count: 1 });
        assert_eq!(sources(&mut node, now_after(1)), rows("Gone"));
        for broken in ["", "<presence/>", "<presence xmlns='urn:ietf:params:xml:ns:pidf'><tuple>"] {
            let Reply::Refused { reason } = set(&mut node, now_after(2), Some(broken)) else {
                panic!("{broken}")
            };
            assert!(reason.contains("no presence document"), "{reason}");
            assert_eq!(sources(&mut node, now_after(2)), rows("Gone"), "after {broken:?}");
        }
        let Reply::Documents(shown) = node.handle_command(now_after(3), Command::Document("bob".into()))
        else {
            panic!()
        };
        assert_eq!((shown[0].document.as_str(), shown[0].since_s), (pidf("Gone", "").as_str(), 3));
        assert_eq!(set(&mut node, now_after(4), None), Reply::Done { count: 1 });
        assert_eq!(
            (sources(&mut node, now_after(4)), set(&mut node, now_after(4), None)),
            (vec![], Reply::Done { count: 0 })
        );
    }

    #[test]
    fn a_document_comes_back_after_a_restart_and_goes_where_it_could_not_be_stored() {
        let mut node = Node::new(office(&[]), Vec::new(), [0; 32], now_after(0));
        set(&mut node, now_after(0), Some(&pidf("Gone", "")));
        let [Record::Upsert(key, value)] = &records(&mut node)[..] else { panic!() };
        let mut next = Node::new(office(&[]), Vec::new(), [1; 32], now_after(9));
        next.restore(now_after(9), *key, value.clone());
        next.restored(now_after(9), true);
        assert_eq!(sources(&mut next, now_after(9)), sources(&mut node, now_after(9)));
        set(&mut next, now_after(10), Some(&pidf("Back soon", "")));
        next.put_document(now_after(11), 0, None, Put::Undo);
        assert_eq!(sources(&mut next, now_after(11)), []);
        assert_eq!(set(&mut next, now_after(12), None), Reply::Done { count: 0 });
    }

    #[test]
    fn a_file_goes_before_a_command_and_a_reload_reads_it_again() {
        let file = pidf("By file", "");
        let mut node = Node::new(office(&[]), Vec::new(), [0; 32], now_after(0));
        node.restored(now_after(0), true);
        set(&mut node, now_after(0), Some(&pidf("By hand", "")));
        for (settings, by) in [(office(&[("sip:bob@localhost", &file)]), "By file"), (office(&[]), "By hand")]
        {
            node.handle_command(now_after(1), Command::Reload(settings));
            let rows = sources(&mut node, now_after(1));
            assert!(rows.len() == 1 && rows[0].1.contains(by), "{by}: {rows:?}");
        }
        node.handle_command(now_after(2), Command::Reload(office(&[("sip:bob@localhost", &file)])));
        assert!(
            matches!(set(&mut node, now_after(2), None), Reply::Refused { reason } if reason.contains("in a file"))
        );
    }

    #[test]
    fn what_holds_until_a_time_ends_then_and_follows_the_clock() {
        let end = UnixTime::from_millis(AT + 60_000).rfc3339();
        let settings = office(&[("sip:bob@localhost", &pidf("Gone", &format!(" until='{end}'")))]);
        let mut node = Node::new(settings, Vec::new(), [0; 32], now_after(0));
        node.restored(now_after(0), true);
        let mut said = |now| sources(&mut node, now)[0].1.clone();
        assert_eq!(said(now_after(59)), "vacation, \"Gone\"");
        node.handle_input(now_after(60), crate::input::Input::Timeout);
        let mut said = |now| sources(&mut node, now)[0].1.clone();
        assert_eq!(said(now_after(60)), "\"Gone\"");
        // The clock is set back: it is before the end again.
        let back = Now { wall: UnixTime::from_millis(AT), ..now_after(61) };
        assert_eq!(said(back), "vacation, \"Gone\"");
    }
}
