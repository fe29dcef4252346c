//! The node's events as log lines.
//!
//! State changes are `debug`, since a busy server has thousands a second; refusals are `info`, at a bounded rate, since
//! anybody on the network can cause them.

use lampyris_core::output::Event;
use std::time::{Duration, Instant};

/// Most refusals logged in a second.
const REJECTS_PER_S: u32 = 20;

/// Writes events to the log.
#[derive(Default)]
pub(crate) struct Report {
    second: Option<Instant>,
    logged: u32,
    suppressed: u64,
}

impl Report {
    /// Logs one event.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Device { device, state } => tracing::debug!(device, state, "device"),
            Event::Extension { extension, state, was } => tracing::debug!(extension, state, was, "extension"),
            Event::Registration { aor, bindings } => tracing::debug!(aor, bindings, "registration"),
            Event::Subscription { resource, package, watcher, state } => {
                tracing::debug!(resource, package, watcher, state, "subscription");
            }
            Event::Publication { resource, package, change } => {
                tracing::debug!(resource, package, change, "publication");
            }
            Event::Status { person, status, note } => tracing::info!(person, status, note, "status"),
            Event::Feature { user, feature, value, by } => {
                tracing::debug!(user, feature, value, by, "feature");
            }
            Event::Rules { user, change, by } if by == "store" => {
                tracing::error!(user, change, "presence rules");
            }
            Event::Rules { user, change, by } => tracing::info!(user, change, by, "presence rules"),
            Event::Oversized { resource, package, watcher, how } => {
                if let Some(suppressed) = self.may_log(Instant::now()) {
                    tracing::info!(resource, package, watcher, how, suppressed, "large NOTIFY");
                }
            }
            Event::Unsent { to, why } => {
                if let Some(suppressed) = self.may_log(Instant::now()) {
                    tracing::info!(%to, why, suppressed, "not sent");
                }
            }
            Event::NotifyIn { package, gateway_name, .. } => {
                tracing::debug!(package, gateway_name, "NOTIFY_IN")
            }
            Event::PresenceIn { login, from, rpid, status, .. } => {
                tracing::debug!(login, from, rpid, status, "PRESENCE_IN");
            }
            Event::Gateway { gateway, what, state, why } if why.is_empty() => {
                tracing::debug!(gateway, what, state, "gateway");
            }
            Event::Gateway { gateway, what, state, why } => {
                tracing::warn!(gateway, what, state, why, "gateway");
            }
            Event::Rejected { from, status, why } => {
                if let Some(suppressed) = self.may_log(Instant::now()) {
                    tracing::info!(%from, status, why, suppressed, "rejected");
                }
            }
        }
    }

    /// Whether a refusal may be logged now, and how many were not since the last one.
    fn may_log(&mut self, now: Instant) -> Option<u64> {
        if self.second.is_none_or(|second| now.duration_since(second) >= Duration::from_secs(1)) {
            self.second = Some(now);
            self.logged = 0;
        }
        if self.logged >= REJECTS_PER_S {
            self.suppressed += 1;
            return None;
        }
        self.logged += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_logged_at_a_bounded_rate() {
        let (mut report, start) = (Report::default(), Instant::now());
        let logged = (0..1000).filter(|_| report.may_log(start).is_some()).count();
        assert_eq!(logged, REJECTS_PER_S as usize);
        assert_eq!(report.may_log(start + Duration::from_secs(1)), Some(1000 - u64::from(REJECTS_PER_S)));
    }
}
