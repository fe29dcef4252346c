//! What people see of rules: the rules of a user, who waits for a decision, and what each class of watchers is shown.

use super::common_policy::{Condition, Except, Who};
use super::policy::Standing;
use super::pres_rules::{Handling, PresRules};
use super::waiting::Waiter;
use crate::command::Reply;
use crate::node::Node;
use crate::notifier::subscription::Text;
use crate::packages::PackageId;
use crate::resource::{Resource, ResourceKey};
use crate::time::Now;
use crate::view;
use std::collections::BTreeMap;

impl Node {
    /// Who waits for a decision, of everybody or of one user.
    pub(crate) fn view_pending(&self, now: Now, of: Option<&str>) -> Reply {
        let wanted = match of.map(|name| (name, self.user_called(name))) {
            None => None,
            Some((_, Some(key))) => Some(key),
            Some((name, None)) => return Reply::Refused { reason: format!("no user is called {name:?}") },
        };
        let is_wanted = |owner: &ResourceKey| wanted.as_ref().is_none_or(|wanted| wanted == owner);
        let mut rows = Vec::new();
        let subscriptions = self.subscriptions.iter().flat_map(|(_, subscription)| {
            let own = (subscription.standing == Standing::Pending).then_some(subscription.resource);
            let members = subscription.list.iter().flat_map(|list| &list.members);
            let members = members.filter(|member| member.standing == Some(Standing::Pending));
            let ids = own.into_iter().chain(members.filter_map(|member| member.resource));
            ids.map(move |id| (subscription, id))
        });
        for (subscription, id) in subscriptions {
            let Some(resource) = self.facts.resources.get(id) else { continue };
            for owner in self.facts.owners(&resource.key).iter().filter(|owner| is_wanted(owner)) {
                rows.push(view::Pending {
                    user: plain(owner),
                    watcher: subscription.text(Text::Watcher).to_owned(),
                    package: subscription.package.name().to_owned(),
                    status: "pending".to_owned(),
                    since_s: now.wall.since(subscription.created_at).as_secs(),
                    expires_s: Some(u64::from(subscription.expires_s(now.wall))),
                });
            }
        }
        for (user, waiter) in self.facts.waiting.iter() {
            let Some(owner) = ResourceKey::parse(user).filter(|owner| is_wanted(owner)) else { continue };
            let Waiter { package, watcher, since, .. } = waiter;
            rows.push(view::Pending {
                user: plain(&owner),
                watcher: watcher.clone(),
                package: package.name().to_owned(),
                status: "waiting".to_owned(),
                since_s: now.wall.since(*since).as_secs(),
                expires_s: None,
            });
        }
        rows.sort_by(|a, b| (&a.user, &a.watcher, &a.package).cmp(&(&b.user, &b.watcher, &b.package)));
        Reply::Pending(rows)
    }

    /// The rules of a user.
    pub(crate) fn view_rules(&self, now: Now, name: &str) -> Reply {
        let Some(key) = self.user_called(name) else {
            return Reply::Refused { reason: format!("no user is called {name:?}") };
        };
        let user = key.to_string();
        let from_file = self.facts.settings.rules.contains_key(&user);
        let Some(rules) = self.facts.rules_of(&user) else { return Reply::Rules(Vec::new()) };
        let stored = self.facts.rules.record(&user).filter(|_| !from_file);
        let document = match rules {
            Some(rules) => rules.text().to_owned(),
            None => stored.map(|record| record.document.clone()).unwrap_or_default(),
        };
        Reply::Rules(vec![view::Rules {
            user: plain(&key),
            source: if from_file { "file" } else { "command" }.to_owned(),
            error: PresRules::read(&document).err().map(|error| error.to_string()),
            since_s: stored.map(|record| now.wall.since(record.modified_at).as_secs()),
            sphere: self.facts.sphere_of(&key),
            rules: rules.map_or_else(Vec::new, described),
            document,
        }])
    }

    /// What each class of a resource's watchers is shown, and why.
    pub(crate) fn view_classes(&self, now: Now, resource: &Resource) -> Vec<view::WatcherClass> {
        let mut classes: BTreeMap<(PackageId, Handling, String, String), Vec<String>> = BTreeMap::new();
        let watchers = resource.packages.iter().flat_map(|package| {
            let own = package.watchers.iter().filter_map(|slot| {
                let subscription = self.subscriptions.get(*slot)?;
                Some((subscription, Some(&subscription.standing)))
            });
            let lists = package.lists.iter().filter_map(|place| {
                let subscription = self.subscriptions.get(place.slot)?;
                let member = subscription.list.as_ref()?.members.get(place.member as usize)?;
                Some((subscription, member.standing.as_ref()))
            });
            own.chain(lists)
        });
        for (subscription, standing) in watchers {
            let watcher = subscription.text(Text::Watcher);
            let decision = self.facts.decide(now.wall, watcher, &resource.key, subscription.package);
            let sees = match standing {
                Some(Standing::Open) => "everything".to_owned(),
                Some(Standing::Part(provided)) => provided.summary(),
                Some(Standing::Withheld) => "somebody who is not there".to_owned(),
                Some(Standing::Pending) => "nothing yet".to_owned(),
                None => "nothing".to_owned(),
            };
            let class = (subscription.package, decision.handling, sees, decision.because);
            let watchers = classes.entry(class).or_default();
            let watcher = subscription.text(Text::Watcher).to_owned();
            if !watchers.contains(&watcher) {
                watchers.push(watcher);
            }
        }
        let row = |((package, handling, sees, because), watchers): ((PackageId, Handling, _, _), _)| {
            view::WatcherClass {
                package: package.name().to_owned(),
                watchers,
                handling: handling.name().to_owned(),
                sees,
                because,
            }
        };
        classes.into_iter().map(row).collect()
    }
}

fn plain(user: &ResourceKey) -> String {
    user.to_string().trim_start_matches("sip:").to_owned()
}

fn described(rules: &PresRules) -> Vec<view::Rule> {
    let rows = rules.rules.iter().map(|rule| {
        let conditions: Vec<_> = rule.conditions.iter().map(condition).collect();
        let handling = rule.grant.handling;
        let is_default = conditions.iter().any(|text| text.contains(CONFIGURED)) && handling.is_none();
        view::Rule {
            id: rule.id.clone(),
            applies_to: if conditions.is_empty() {
                "everybody".to_owned()
            } else {
                conditions.join(", and ")
            },
            handling: if is_default { "as configured" } else { handling.unwrap_or_default().name() }
                .to_owned(),
            shows: match handling {
                Some(Handling::Allow) => rule.grant.shows.summary(),
                _ => "-".to_owned(),
            },
        }
    });
    rows.collect()
}

/// How people are told of whoever the configuration lets watch.
const CONFIGURED: &str = "whoever the configuration lets watch";

fn condition(condition: &Condition) -> String {
    match condition {
        Condition::Identity(who) if who.is_empty() => "nobody".to_owned(),
        Condition::Identity(who) => who.iter().map(identity).collect::<Vec<_>>().join(", "),
        Condition::Sphere(values) => format!("while in sphere {}", values.join(" or ")),
        Condition::Validity(intervals) => {
            let spans =
                intervals.iter().map(|(from, until)| format!("{} to {}", from.as_str(), until.as_str()));
            format!("from {}", spans.collect::<Vec<_>>().join(" or from "))
        }
        Condition::Unknown => "nobody (a condition that is not known here)".to_owned(),
    }
}

fn identity(who: &Who) -> String {
    let but = |excepted: &[Except]| {
        let names = excepted.iter().map(|except| match except {
            Except::Id(name) => name.clone(),
            Except::Domain(name) => format!("all of {name}"),
        });
        let names: Vec<_> = names.collect();
        if names.is_empty() { String::new() } else { format!(" but {}", names.join(" and ")) }
    };
    match who {
        Who::One(id) => id.clone(),
        Who::Many(None, excepted) => format!("everybody{}", but(excepted)),
        Who::Many(Some(domain), excepted) => format!("all of {domain}{}", but(excepted)),
        Who::Configured(excepted) => format!("{CONFIGURED}{}", but(excepted)),
        Who::Unknown => "nobody (an identity that is not known here)".to_owned(),
    }
}
