//! Keeping live subscriptions in line with the rules (RFC 5025 §3.2.1): when a document, the time, a sphere or the
//! configuration changes, every subscription it is about is looked at again, at once.
//!
//! In: what changed. Out: subscriptions that become active or pending, are shown more or less, or end. Documents come by
//! command here, are stored, and come back at a restart; those in files come with the settings.

use super::common_policy::Watcher;
use super::edit;
use super::policy::{Decision, Standing};
use super::pres_rules::Handling;
use crate::command::Reply;
use crate::journal::{Key, Kind, Record, RulesRecord, Value};
use crate::limits;
use crate::node::{Node, Put, Timer};
use crate::notifier::subscription::{EndReason, Text};
use crate::output::Event;
use crate::packages::PackageId;
use crate::resource::{ResourceId, ResourceKey};
use crate::tickets::Undo;
use crate::time::Now;

fn rules_key(slot: u32) -> Key {
    Key { kind: Kind::Rules, slot: u64::from(slot) }
}

impl Node {
    /// What is decided about a subscription now.
    pub(crate) fn decision_on(&self, now: Now, slot: u32) -> Option<Decision> {
        let subscription = self.subscriptions.get(slot)?;
        let key = &self.facts.resources.get(subscription.resource)?.key;
        Some(self.facts.decide(now.wall, subscription.text(Text::Watcher), key, subscription.package))
    }

    /// Looks at a subscription again.
    fn authorize(&mut self, now: Now, slot: u32) {
        let Some(decision) = self.decision_on(now, slot) else { return };
        let Some(standing) = decision.standing() else {
            // Why: what a command decided is told when it is durable.
            return match self.tickets.cause() {
                Some(_) => self.end_by_command(now, slot, EndReason::Rejected),
                None => self.end(now, slot, EndReason::Rejected, None),
            };
        };
        let cause = self.tickets.cause();
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return };
        if subscription.ending.is_some() || subscription.standing == standing {
            return;
        }
        let (resource, package) = (subscription.resource, subscription.package);
        let waited = subscription.standing == Standing::Pending;
        subscription.approved |= waited;
        // Why: its state changes, whatever the document says.
        subscription.forced |= waited || standing == Standing::Pending;
        subscription.standing = standing;
        subscription.told_revision = None;
        subscription.pending = true;
        self.due.push_back(slot);
        if let Some(state) = self.facts.resources.package_mut(resource, package) {
            state.after = state.after.max(cause);
        }
        self.watchers_changed(resource, package);
    }

    /// Takes over what is decided about a subscription that comes from a row, without a word to its watcher.
    pub(crate) fn adopt_standing(&mut self, now: Now, slot: u32) {
        let Some(decision) = self.decision_on(now, slot) else { return };
        match (decision.standing(), self.subscriptions.get_mut(slot)) {
            (Some(standing), Some(subscription)) => subscription.standing = standing,
            _ => self.end(now, slot, EndReason::Rejected, None),
        }
    }

    /// Looks at every subscription to a resource, and every list it is in.
    pub(crate) fn authorize_all_of(&mut self, now: Now, id: ResourceId) {
        for package in PackageId::all() {
            let Some(state) = self.facts.resources.package(id, package) else { return };
            let (watchers, lists) = (state.watchers.clone(), state.lists.clone());
            for slot in watchers {
                self.authorize(now, slot);
            }
            for place in lists {
                self.authorize_member(now, place);
            }
        }
    }

    /// A user's rules, or what they depend on, changed.
    pub(crate) fn rules_changed(&mut self, now: Now, user: &ResourceKey) {
        let name = user.to_string();
        let rules = self.facts.rules_of(&name).flatten();
        let next = rules.and_then(|rules| rules.next_change(now.wall));
        self.facts.rules.plan(&name, next);
        self.time_rules(now);
        for id in self.facts.resources_of(user) {
            self.authorize_all_of(now, id);
        }
        self.settle_waiting(now, user);
    }

    /// Wakes up when the next interval of any document begins or ends.
    fn time_rules(&mut self, now: Now) {
        if let Some(token) = self.rules_timer.take() {
            self.timers.cancel(token);
        }
        let next = self.facts.rules.next();
        self.rules_timer = next.map(|at| self.timers.insert(now.mono_at(at), Timer::RulesDue));
    }

    /// An interval of a document began or ended.
    pub(crate) fn on_rules_due(&mut self, now: Now) {
        self.rules_timer = None;
        while let Some(user) = self.facts.rules.pop_due(now.wall) {
            if let Some(user) = ResourceKey::parse(&user) {
                self.rules_changed(now, &user);
            }
        }
        self.time_rules(now);
    }

    /// Something was published for a resource: its sphere may be another.
    pub(crate) fn sphere_may_differ(&mut self, now: Now, id: ResourceId) {
        let Some(resource) = self.facts.resources.get(id) else { return };
        let user = self.facts.owner_of(&resource.key);
        let rules = self.facts.rules_of(&user.to_string()).flatten();
        if rules.is_some_and(super::PresRules::asks_for_sphere) {
            self.rules_changed(now, &user);
        }
    }

    /// After the last row of a restart.
    pub(crate) fn authorize_restored(&mut self, now: Now) {
        let slots: Vec<_> = self.subscriptions.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.adopt_standing(now, slot);
        }
        self.authorize_everything(now);
    }

    /// After a start or a reload: every subscription is looked at again.
    pub(crate) fn authorize_everything(&mut self, now: Now) {
        let stored = self.facts.rules.users().cloned();
        let users: Vec<_> = stored.chain(self.facts.settings.rules.keys().cloned()).collect();
        for user in &users {
            let rules = self.facts.rules_of(user).flatten();
            let next = rules.and_then(|rules| rules.next_change(now.wall));
            self.facts.rules.plan(user, next);
        }
        self.time_rules(now);
        let ids: Vec<_> = self.facts.resources.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.authorize_all_of(now, id);
        }
        let waited = self.facts.waiting.iter().map(|(user, _)| user.to_owned());
        let users: std::collections::BTreeSet<_> = users.into_iter().chain(waited).collect();
        for user in users.iter().filter_map(|user| ResourceKey::parse(user)) {
            self.settle_waiting(now, &user);
        }
    }

    /// Whether what a resource's watchers were shown before a restart may be another thing now, by the time or the sphere
    /// alone.
    pub(crate) fn rules_may_have_moved(&self, id: ResourceId) -> bool {
        let Some(resource) = self.facts.resources.get(id) else { return false };
        self.facts.owners(&resource.key).iter().any(|owner| {
            let rules = self.facts.rules_of(&owner.to_string());
            rules.is_some_and(|rules| {
                rules.is_none_or(|rules| rules.asks_for_time() || rules.asks_for_sphere())
            })
        })
    }

    /// A user's document from the store, or before a change that could not be stored.
    pub(crate) fn put_rules(&mut self, now: Now, slot: u32, record: Option<RulesRecord>, put: Put) {
        match (put, record) {
            (Put::Restart, Some(record)) => {
                let user = record.user.clone();
                if !self.facts.rules.restore(slot, record) {
                    let change = "cannot be read: nobody may watch";
                    self.tell(Event::Rules { user, change: change.to_owned(), by: "store".to_owned() });
                }
            }
            (Put::Restart, None) => {}
            (Put::Undo, record) => {
                for user in self.facts.rules.revert(slot, record) {
                    if let Some(user) = ResourceKey::parse(&user) {
                        self.rules_changed(now, &user);
                    }
                }
            }
        }
    }

    /// What one watcher of a user is to get from now on; `None` forgets what was said of the watcher.
    pub(crate) fn command_rule(
        &mut self,
        now: Now,
        user: &str,
        watcher: &str,
        handling: Option<Handling>,
    ) -> Reply {
        let refused = |reason: String| Reply::Refused { reason };
        let Some(key) = self.user_called(user).map(|user| self.facts.owner_of(&user)) else {
            return refused(format!(
                "no user is called {user:?}; `lampyris show peers` lists those that are configured"
            ));
        };
        let watcher = match self.user_called(watcher).map(|watcher| self.facts.owner_of(&watcher)) {
            Some(ResourceKey::User { domain, user }) => format!("sip:{user}@{domain}"),
            _ if watcher.contains(':') => watcher.to_owned(),
            _ if watcher.contains('@') => format!("sip:{watcher}"),
            _ => {
                return refused(format!(
                    "no user is called {watcher:?}; a watcher of elsewhere is written as bob@example.com"
                ));
            }
        };
        let name = key.to_string();
        if self.facts.settings.rules.contains_key(&name) {
            return refused(format!(
                "the rules of {user} stand in a file; change that and run `lampyris reload`"
            ));
        }
        let old = match self.facts.rules_of(&name) {
            Some(None) => {
                return refused(format!(
                    "the stored rules of {user} cannot be read; see `lampyris rules show {user}` and `lampyris rules clear {user}`"
                ));
            }
            Some(Some(old)) => Some(old),
            None => None,
        };
        let watcher = Watcher::called(&self.facts.settings, &watcher);
        let new = match edit::with(old, &watcher, handling) {
            Ok(new) => new,
            Err(why) => return refused(why.to_owned()),
        };
        if new.as_ref().map(|new| &new.rules) == old.map(|old| &old.rules) {
            return Reply::Done { count: 0 };
        }
        let document = new.map(|new| new.text().to_owned());
        if document.as_ref().is_some_and(|document| document.len() > limits::XML_BYTES_MAX) {
            return refused(format!(
                "the rules of {user} would be longer than {} bytes",
                limits::XML_BYTES_MAX
            ));
        }
        let change = format!("{} {}", handling.map_or("forget", Handling::name), watcher.uri);
        self.tell(Event::Rules { user: name, change, by: "command".to_owned() });
        self.set_rules(now, &key, document);
        Reply::Done { count: 1 }
    }

    /// No rules of a user any more.
    pub(crate) fn command_clear_rules(&mut self, now: Now, user: &str) -> Reply {
        let Some(key) = self.user_called(user) else {
            return Reply::Refused { reason: format!("no user is called {user:?}") };
        };
        let name = key.to_string();
        if self.facts.settings.rules.contains_key(&name) {
            let reason =
                format!("the rules of {user} stand in a file; remove that and run `lampyris reload`");
            return Reply::Refused { reason };
        }
        if self.facts.rules.record(&name).is_none() {
            return Reply::Done { count: 0 };
        }
        self.tell(Event::Rules { user: name, change: "cleared".to_owned(), by: "command".to_owned() });
        self.set_rules(now, &key, None);
        Reply::Done { count: 1 }
    }

    /// Stores a user's document, or that there is none any more; watchers are told when that is durable.
    fn set_rules(&mut self, now: Now, user: &ResourceKey, document: Option<String>) {
        let name = user.to_string();
        let previous = self.facts.rules.record(&name).cloned().map(Value::Rules);
        let record = match document {
            Some(document) => {
                let record = RulesRecord { user: name, document, modified_at: now.wall };
                Record::Upsert(rules_key(self.facts.rules.set(record.clone())), Value::Rules(record))
            }
            None => match self.facts.rules.clear(&name) {
                Some(slot) => Record::Delete(rules_key(slot)),
                None => return,
            },
        };
        let ticket = self.persist(record, Undo::To(previous));
        self.told_after(ticket, |node| node.rules_changed(now, user));
    }
}
