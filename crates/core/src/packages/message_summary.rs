//! `message-summary` (RFC 3842): how many messages wait in a mailbox.

use super::{Audience, BodyFormat, EventPackage, PublishFormat, StateKind, Watched};
use crate::body::message_summary::{self, MailboxCounts, MessageClass, MessageSummary, SummaryStyle};
use crate::journal::Counts;
use crate::view_of::View;

/// The package.
pub(crate) struct MessageSummaryPackage;

impl EventPackage for MessageSummaryPackage {
    type State = Counts;
    type Published = MessageSummary;
    const NAME: &'static str = "message-summary";
    const SPEC: &'static str = "RFC 3842";
    const DEPENDS_ON: &'static [StateKind] = &[StateKind::Mailbox, StateKind::Publications];
    const AUDIENCE: Audience = Audience::Owner;
    const WATCHES: Watched = Watched::Mailboxes;

    fn formats(&self) -> &'static [BodyFormat<Counts>] {
        &[BodyFormat {
            content_type: message_summary::CONTENT_TYPE,
            encode: |counts, _, style| {
                let counts = MailboxCounts {
                    new: counts.new,
                    old: counts.old,
                    urgent_new: counts.urgent_new,
                    urgent_old: counts.urgent_old,
                };
                let style = SummaryStyle { account: false, without_urgent: style.buggy_mwi };
                MessageSummary::of_voice(counts).encode(style)
            },
        }]
    }

    fn publishable(&self) -> &'static [PublishFormat<MessageSummary>] {
        &[PublishFormat { content_type: message_summary::CONTENT_TYPE, decode: MessageSummary::decode }]
    }

    fn compose(&self, view: &View<'_>) -> Counts {
        view.counts()
    }

    fn withheld(&self, _view: &View<'_>) -> Counts {
        Counts::default()
    }

    fn counts(&self, published: &MessageSummary) -> Option<Counts> {
        let voice = published.counts.iter().find(|(class, _)| *class == MessageClass::Voice);
        let counts = voice.or_else(|| published.counts.first()).map_or_else(
            // Why: a summary may say only that something waits.
            || MailboxCounts { new: u32::from(published.waiting), ..MailboxCounts::default() },
            |(_, counts)| *counts,
        );
        Some(Counts {
            new: counts.new,
            old: counts.old,
            urgent_new: counts.urgent_new,
            urgent_old: counts.urgent_old,
        })
    }

    fn replaces(&self, _old: &MessageSummary, _new: &MessageSummary) -> bool {
        true
    }

    fn summary(&self, published: &MessageSummary) -> String {
        let counts = EventPackage::counts(self, published).unwrap_or_default();
        format!("{} new, {} old", counts.new, counts.old)
    }
}
