//! Who has the most: watchers by their subscriptions, resources by their watchers.
//!
//! It looks at every subscription once and keeps no count of its own; who asks chooses how many rows come back.

use crate::limits::BIGGEST_MAX;
use crate::node::Node;
use crate::notifier::subscription::Text;
use crate::show::watchers;
use crate::view;
use std::collections::BTreeMap;

impl Node {
    /// At most `most` watchers and as many resources, the biggest first.
    pub(crate) fn view_biggest(&self, most: usize) -> view::Biggest {
        let most = most.min(BIGGEST_MAX);
        let mut by_watcher: BTreeMap<&str, (usize, u64, &str)> = BTreeMap::new();
        for (_, subscription) in self.subscriptions.iter().filter(|(_, s)| s.ending.is_none()) {
            let agent = subscription.text(Text::UserAgent);
            let row = by_watcher.entry(subscription.text(Text::Watcher)).or_insert((0, 0, agent));
            row.0 += 1;
            row.1 += u64::from(subscription.notifies);
        }
        let mut rows: Vec<_> = by_watcher.into_iter().collect();
        rows.sort_by_key(|(_, (subscriptions, ..))| std::cmp::Reverse(*subscriptions));
        let watcher = |(watcher, (subscriptions, notifies, user_agent)): (&str, (usize, u64, &str))| {
            let (watcher, user_agent) = (watcher.to_owned(), user_agent.to_owned());
            view::BigWatcher { watcher, subscriptions, notifies, user_agent }
        };
        let resources = self.facts.resources.iter().map(|(_, resource)| (watchers(resource), resource));
        let mut resources: Vec<_> = resources.filter(|(count, _)| *count > 0).collect();
        resources.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let watched = |(watchers, resource): (usize, &crate::resource::Resource)| view::BigWatched {
            resource: resource.key.to_string(),
            state: resource.lamp.cli_word().to_owned(),
            watchers,
        };
        view::Biggest {
            watchers: rows.into_iter().take(most).map(watcher).collect(),
            watched: resources.into_iter().take(most).map(watched).collect(),
        }
    }
}
