//! Every bound on events, named: what is remembered of them, how they are read and how webhooks are told.

use std::time::Duration;

/// Most events remembered.
pub(crate) const ITEMS_MAX: usize = 16_384;
/// Most bytes of them, as `history::Item::bytes` counts.
pub(crate) const ITEMS_BYTES_MAX: usize = 8 << 20;
/// How far back the changes of lamps reach, in milliseconds.
pub(crate) const DAY_MS: u64 = 24 * 3600 * 1000;
/// Most changes of all lamps together: 12 MB.
pub(crate) const CHANGES_MAX: usize = 500_000;
/// Events gather for this long before readers are woken: late enough to wake rarely, soon enough for a person.
pub(crate) const GATHER: Duration = Duration::from_millis(20);
/// Most events taken from the feed at once.
pub(crate) const BATCH_MAX: usize = 1024;
/// Most items a reader takes at once.
pub(crate) const READ_MAX: usize = 256;
/// Most events in one request to a webhook.
pub(crate) const DELIVERY_EVENTS_MAX: usize = 64;
/// For a whole request to a webhook, from connecting to the status.
pub(crate) const DELIVERY_WITHIN: Duration = Duration::from_secs(10);
/// How often one request to a webhook is tried, all together.
pub(crate) const TRIES_MAX: u32 = 10;
/// Before the second try; doubles with each.
pub(crate) const BACK_OFF_MIN: Duration = Duration::from_secs(1);
/// Between two tries at most.
pub(crate) const BACK_OFF_MAX: Duration = Duration::from_secs(60);
