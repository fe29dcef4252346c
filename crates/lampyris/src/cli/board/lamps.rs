//! Every lamp there is, kept true by events: what a board shows.
//!
//! In: rows of a snapshot, changes, calls. Out: lamps in the order of the board (extensions before people, by group, then by
//! name), and who talks with whom. Times are milliseconds since the Unix epoch.

use lampyris_core::view;
use std::cmp::Ordering;
use std::collections::HashMap;

/// A lamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lamp {
    /// As in `6001@default`.
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) group: String,
    /// What people call it; empty where that is its name.
    pub(crate) title: String,
    pub(crate) state: String,
    pub(crate) presence: String,
    /// In the person's own words; may be empty.
    pub(crate) note: String,
    pub(crate) since_ms: u64,
    pub(crate) watchers: usize,
    pub(crate) is_person: bool,
    /// Who it talks with.
    pub(crate) with: String,
    /// What a search looks in, in small letters.
    haystack: String,
}

impl Lamp {
    fn of(row: view::Presentity, now_ms: u64) -> (Self, Vec<String>) {
        let is_person = row.is_person();
        let title = match row.display {
            display if !display.is_empty() => display,
            _ if is_person => row.name.clone(),
            _ => row.peers.join(", "),
        };
        let haystack = format!("{} {title} {} {}", row.name, row.group, row.peers.join(" ")).to_lowercase();
        let lamp = Self {
            title: if title == row.name { String::new() } else { title },
            resource: row.resource,
            name: row.name,
            group: row.group,
            state: row.state,
            presence: if row.presence == "not_set" { String::new() } else { row.presence },
            note: row.note,
            since_ms: now_ms.saturating_sub(row.since_s.saturating_mul(1000)),
            watchers: row.watchers,
            is_person,
            with: String::new(),
            haystack,
        };
        (lamp, row.peers)
    }

    /// Whether all these words are in it.
    pub(crate) fn has(&self, words: &[String]) -> bool {
        words.iter().all(|word| self.haystack.contains(word.as_str()))
    }

    /// Extensions before people, by group; numbers by their size, names by their letters.
    fn order(&self, other: &Self) -> Ordering {
        let key = |lamp: &Self| {
            let is_number = !lamp.name.is_empty() && lamp.name.bytes().all(|b| b.is_ascii_digit());
            // A number's length in front, so that 99 stands before 100.
            (!is_number, if is_number { lamp.name.len() } else { 0 }, lamp.name.to_lowercase())
        };
        (self.is_person, &self.group)
            .cmp(&(other.is_person, &other.group))
            .then_with(|| key(self).cmp(&key(other)))
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Lamps {
    rows: Vec<Lamp>,
    places: HashMap<String, usize>,
    by_peer: HashMap<String, Vec<usize>>,
}

impl Lamps {
    /// Shows these and no others; who talks with whom is kept until it is said again.
    pub(crate) fn replace(&mut self, rows: Vec<view::Presentity>, now_ms: u64) {
        let mut talks: HashMap<String, String> =
            self.rows.drain(..).filter(|l| !l.with.is_empty()).map(|l| (l.resource, l.with)).collect();
        let mut rows: Vec<_> = rows.into_iter().map(|row| Lamp::of(row, now_ms)).collect();
        rows.sort_by(|(a, _), (b, _)| a.order(b));
        self.places.clear();
        self.by_peer.clear();
        for (at, (mut lamp, peers)) in rows.into_iter().enumerate() {
            lamp.with = talks.remove(&lamp.resource).unwrap_or_default();
            self.places.insert(lamp.resource.clone(), at);
            peers.into_iter().for_each(|peer| self.by_peer.entry(peer).or_default().push(at));
            self.rows.push(lamp);
        }
    }

    /// A lamp changed; `false` where nothing is known of it yet.
    pub(crate) fn change(&mut self, resource: &str, state: &str, at_ms: u64) -> bool {
        let place = self.places.get(resource);
        let Some(lamp) = place.and_then(|at| self.rows.get_mut(*at)) else { return false };
        if lamp.state != state {
            state.clone_into(&mut lamp.state);
            lamp.since_ms = at_ms;
        }
        true
    }

    /// Who talks with whom now.
    pub(crate) fn talk(&mut self, calls: &[view::Call]) {
        self.rows.iter_mut().for_each(|lamp| lamp.with.clear());
        for call in calls.iter().filter(|call| call.state != "terminated") {
            for (who, other) in [(&call.caller, &call.callee), (&call.callee, &call.caller)] {
                for at in self.by_peer.get(who).into_iter().flatten() {
                    if let Some(lamp) = self.rows.get_mut(*at) {
                        let other = other.strip_prefix("sips:").unwrap_or(other);
                        lamp.with = other.strip_prefix("sip:").unwrap_or(other).to_owned();
                    }
                }
            }
        }
    }

    /// In the order of the board.
    pub(crate) fn rows(&self) -> &[Lamp] {
        &self.rows
    }

    /// How many are in each state.
    pub(crate) fn count(&self, state: &str) -> usize {
        self.rows.iter().filter(|lamp| lamp.state == state).count()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn row(
        resource: &str,
        display: &str,
        state: &str,
        peers: &[&str],
    ) -> view::Presentity {
        let (name, group) = resource.split_once('@').expect("a name and a group");
        view::Presentity {
            resource: resource.into(),
            name: name.trim_start_matches("sip:").into(),
            group: group.into(),
            display: display.into(),
            state: state.into(),
            since_s: 60,
            presence: "not_set".into(),
            note: String::new(),
            devices: Vec::new(),
            peers: peers.iter().map(|peer| (*peer).to_owned()).collect(),
            watchers: 2,
            publications: 0,
        }
    }

    pub(in super::super) fn call(caller: &str, callee: &str, state: &str) -> view::Call {
        view::Call {
            id: "1-1".into(),
            caller: caller.into(),
            callee: callee.into(),
            asked: "6001@default".into(),
            state: state.into(),
            hold: String::new(),
            since_s: 1,
            call_id: "c".into(),
        }
    }

    fn names(lamps: &Lamps) -> Vec<&str> {
        lamps.rows().iter().map(|lamp| lamp.name.as_str()).collect()
    }

    #[test]
    fn the_order_is_that_of_a_board() {
        let mut lamps = Lamps::default();
        let rows = ["sip:zed@a", "100@b", "reception@a", "99@a", "sip:amy@a", "1000@a", "Lift@a"];
        lamps.replace(rows.map(|resource| row(resource, "", "Idle", &[])).to_vec(), 0);
        assert_eq!(names(&lamps), ["99", "1000", "Lift", "reception", "100", "amy", "zed"]);
    }

    #[test]
    fn changes_move_the_state_and_the_time() {
        let mut lamps = Lamps::default();
        lamps.replace(vec![row("6001@default", "Bob", "Idle", &["Bob-desk"])], 100_000);
        assert_eq!(lamps.rows()[0].since_ms, 40_000);
        assert!(lamps.change("6001@default", "InUse", 101_000));
        assert!(lamps.change("6001@default", "InUse", 102_000), "told twice");
        assert_eq!((lamps.rows()[0].state.as_str(), lamps.rows()[0].since_ms), ("InUse", 101_000));
        assert_eq!((lamps.count("InUse"), lamps.count("Idle")), (1, 0));
        assert!(!lamps.change("6002@default", "InUse", 103_000));
    }

    #[test]
    fn both_ends_of_a_call_know_each_other() {
        let mut lamps = Lamps::default();
        let rows = vec![row("6001@d", "", "Idle", &["Bob"]), row("6002@d", "", "Idle", &["Eve"])];
        lamps.replace(rows.clone(), 0);
        lamps.talk(&[call("Bob", "sip:amy@example.com", "confirmed"), call("Eve", "Bob", "terminated")]);
        let with = |lamps: &Lamps| lamps.rows().iter().map(|lamp| lamp.with.clone()).collect::<Vec<_>>();
        assert_eq!(with(&lamps), ["amy@example.com", ""]);
        lamps.replace(rows, 0);
        assert_eq!(with(&lamps), ["amy@example.com", ""], "a snapshot does not say it");
        lamps.talk(&[]);
        assert_eq!(with(&lamps), ["", ""]);
    }

    #[test]
    fn a_search_looks_in_names_groups_and_phones() {
        let mut lamps = Lamps::default();
        lamps.replace(vec![row("6001@sales", "Bob Builder", "Idle", &["Desk-7"])], 0);
        for (text, found) in
            [("60 bob", true), ("sales", true), ("desk-7", true), ("bob x", false), ("", true)]
        {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            assert_eq!(lamps.rows()[0].has(&words), found, "{text}");
        }
    }
}
