//! `X.winfo` (RFC 3857): who watches a user in package X. A template: one row of the table for each package that others
//! than the owner may watch; the rest would tell the owner of the owner.
//!
//! For the presentity alone (RFC 3857 §6.2). There is no watcher information of watcher information: such a package is
//! not in the table, so asking for it is 489.

use super::{Audience, BodyFormat, EventPackage, PublishFormat, StateKind, Tells, Watched};
use crate::authz::policy::Standing;
use crate::authz::waiting::watcher_id;
use crate::body::watcherinfo::{self, Status, Watcher, WatcherInfo};
use crate::limits;
use crate::notifier::subscription::{Subscription, Text};
use crate::view_of::View;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::time::Duration;

/// The package that a template is about.
pub(crate) trait Base: Sync + 'static {
    /// The name of the template.
    const TEMPLATE: &'static str;
    /// The name of the package.
    const PACKAGE: &'static str;
}

/// Of `presence`.
pub(crate) struct Presence;
/// Of `dialog`.
pub(crate) struct Dialog;
/// Of `message-summary`.
pub(crate) struct MessageSummary;

impl Base for Presence {
    const TEMPLATE: &'static str = "presence.winfo";
    const PACKAGE: &'static str = "presence";
}

impl Base for Dialog {
    const TEMPLATE: &'static str = "dialog.winfo";
    const PACKAGE: &'static str = "dialog";
}

impl Base for MessageSummary {
    const TEMPLATE: &'static str = "message-summary.winfo";
    const PACKAGE: &'static str = "message-summary";
}

/// The package.
pub(crate) struct Winfo<B>(PhantomData<B>);

impl<B> Winfo<B> {
    /// The row of the table.
    pub(crate) const ROW: Self = Self(PhantomData);
}

impl<B: Base> EventPackage for Winfo<B> {
    type State = WatcherInfo;
    type Published = Infallible;
    const NAME: &'static str = B::TEMPLATE;
    const SPEC: &'static str = "RFC 3857";
    const DEPENDS_ON: &'static [StateKind] = &[StateKind::Watchers];
    const AUDIENCE: Audience = Audience::Owner;
    const WATCHES: Watched = Watched::Users;
    const PACE: Duration = limits::WATCHERINFO_GAP;
    const WATCHERS_OF: Option<&'static str> = Some(B::PACKAGE);

    fn formats(&self) -> &'static [BodyFormat<WatcherInfo>] {
        &[BodyFormat {
            content_type: watcherinfo::CONTENT_TYPE,
            encode: |state, subject, _| state.encode(subject.class.told, subject.class.partial),
        }]
    }

    fn tells(&self, _format: usize) -> Tells {
        Tells::Changes
    }

    fn publishable(&self) -> &'static [PublishFormat<Infallible>] {
        &[]
    }

    fn compose(&self, view: &View<'_>) -> WatcherInfo {
        let mut watchers: Vec<_> = view
            .watchers(B::PACKAGE)
            .map(|(subscription, standing)| live(view, subscription, standing))
            .collect();
        watchers.extend(view.waiting(B::PACKAGE).map(|waiter| Watcher {
            id: waiter.id,
            uri: view.watcher_uri(&waiter.watcher),
            display_name: view.watcher_display(&waiter.watcher),
            status: Status::Waiting,
            event: "timeout",
            since: waiter.since,
            expires_at: None,
            changed: 0,
        }));
        watchers.sort_by_key(|watcher| (watcher.since, watcher.id));
        WatcherInfo::compose(B::PACKAGE, watchers, view.before(), |id| view.why_ended(id))
    }

    fn withheld(&self, _view: &View<'_>) -> WatcherInfo {
        WatcherInfo { package: B::PACKAGE, ..WatcherInfo::default() }
    }

    fn revision(&self, state: &WatcherInfo) -> u32 {
        state.revision
    }

    fn base(&self, state: &WatcherInfo, told: u32) -> Option<u32> {
        state.base(told)
    }

    fn replaces(&self, old: &Infallible, _new: &Infallible) -> bool {
        match *old {}
    }

    fn summary(&self, published: &Infallible) -> String {
        match *published {}
    }
}

fn live(view: &View<'_>, subscription: &Subscription, standing: &Standing) -> Watcher {
    let (name, is_pending) = (subscription.text(Text::Watcher), *standing == Standing::Pending);
    Watcher {
        id: watcher_id(subscription),
        uri: view.watcher_uri(name),
        display_name: view.watcher_display(name),
        status: if is_pending { Status::Pending } else { Status::Active },
        event: if subscription.approved && !is_pending { "approved" } else { "subscribe" },
        since: subscription.created_at,
        expires_at: Some(subscription.expires_at),
        changed: 0,
    }
}
