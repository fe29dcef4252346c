//! What gateways answer to our requests (RFC 6665 §4.1.2, RFC 3261 §10.2.4).

use super::digest::{Answerable, Unanswered};
use super::state::{Kind, Next, Refusal, Stands, State, next};
use super::{Dialog, Want};
use crate::limits;
use crate::node::{Node, leading_number};
use crate::time::Now;
use crate::ways::{Traveller, WayTo};
use lampyris_sip::{Message, Name};
use std::time::Duration;

/// Timer N (RFC 6665 §4.1.2.4): by when the first NOTIFY is to come, and the last one; 64*T1.
const NOTIFY_WITHIN: Duration = Duration::from_secs(32);

impl Node {
    /// A gateway answered.
    pub(crate) fn on_gateway_answer(&mut self, now: Now, slot: u32, cseq: u32, message: &Message) {
        let Some(status) = message.status().map(|status| status.0) else { return };
        if !self.lands(slot, cseq) {
            return;
        }
        match status {
            200..=299 => self.on_gateway_success(now, slot, message),
            _ => self.on_gateway_refusal(now, slot, status, Some(message)),
        }
    }

    /// A request to a gateway was not answered (408), broke off or found no way (503).
    pub(crate) fn on_gateway_failed(&mut self, now: Now, slot: u32, cseq: Option<u32>, status: u16) {
        if cseq.is_none_or(|cseq| self.lands(slot, cseq)) {
            self.on_gateway_refusal(now, slot, status, None);
        }
    }

    /// Whether this is the request in flight, which it then is no more.
    fn lands(&mut self, slot: u32, cseq: u32) -> bool {
        let errand = self.gateways.errands.get_mut(slot);
        errand.is_some_and(|errand| errand.in_flight.take_if(|(_, sent)| *sent == cseq).is_some())
    }

    fn on_gateway_success(&mut self, now: Now, slot: u32, message: &Message) {
        self.forget_way(Traveller::Gateway(slot));
        let Some(errand) = self.gateways.errands.get_mut(slot) else { return };
        if errand.is_ending && errand.state == State::Unsubscribe {
            // RFC 6665 §4.1.2.3: one more NOTIFY says that it is over.
            let is_told = errand.want.kind() == Kind::Subscription;
            return if !is_told {
                self.forget_errand(slot)
            } else {
                self.arm_errand(now, slot, NOTIFY_WITHIN)
            };
        }
        if errand.want.kind() == Kind::Publication {
            return self.on_published(now, slot, message);
        }
        let asked = errand.expires_s;
        let expires = message.header(Name::Expires).and_then(leading_number);
        let said = match &errand.want {
            Want::Subscription(_) | Want::Publication(_) => expires,
            Want::Registration(_) => {
                // RFC 3261 §10.2.4: the life stands with our own binding among all that there are.
                let own = format!("gw+{}@", lampyris_sip::uri::escape_user(&errand.gateway.name));
                let own = message
                    .contacts()
                    .filter_map(|contact| contact.addr())
                    .find(|contact| contact.uri().contains(&own));
                own.and_then(|contact| contact.expires()).or(expires)
            }
        };
        // RFC 6665 §4.1.2.1: the server may shorten, not lengthen.
        let granted = said.unwrap_or(asked).min(asked);
        if errand.want.kind() == Kind::Registration {
            errand.expires_at = Some(now.wall + Duration::from_secs(u64::from(granted)));
            let after = errand.renew_after(granted).max(limits::GATEWAY_RENEW_LEAST);
            self.enter_state(now, slot, State::Subed, "");
            return self.arm_or_end(now, slot, after);
        }
        match &mut errand.dialog {
            // Why not by the tag alone: of several that a proxy forked to, the first NOTIFY has decided (RFC 6665 §4.4.1).
            Some(dialog) if Some(dialog.remote_tag.as_str()) == message.to_tag() => {
                if let Some(contact) = message.contacts().find_map(|contact| contact.addr()) {
                    contact.uri().clone_into(&mut dialog.target);
                }
            }
            Some(_) => {}
            None => {
                let target = message
                    .contacts()
                    .find_map(|contact| contact.addr())
                    .map(|contact| contact.uri().to_owned());
                let mut routes: Vec<_> = message.values(Name::RecordRoute).map(str::to_owned).collect();
                // RFC 3261 §12.1.2: reversed for who asked.
                routes.reverse();
                routes.truncate(limits::ROUTES_MAX);
                errand.dialog = target.zip(message.to_tag()).map(|(target, tag)| Dialog {
                    remote_tag: tag.to_owned(),
                    target,
                    routes,
                    remote_cseq: None,
                });
            }
        }
        if granted == 0 && !errand.is_ending {
            let retry = errand.want.retry();
            return self.lose_subscription(now, slot, retry, State::FailWait, "granted for no time at all");
        }
        errand.over = None;
        errand.expires_at = Some(now.wall + Duration::from_secs(u64::from(granted)));
        let (is_told, renew) = (errand.is_told, errand.renew_after(granted).max(limits::GATEWAY_RENEW_LEAST));
        self.renew_sources(now, slot);
        self.store_errand(slot);
        let (state, after) = if is_told { (State::Subed, renew) } else { (State::Subscribe, NOTIFY_WITHIN) };
        self.enter_state(now, slot, state, "");
        self.arm_or_end(now, slot, after);
    }

    /// Waits; what is no longer wanted does not.
    fn arm_or_end(&mut self, now: Now, slot: u32, after: Duration) {
        let is_ending = self.gateways.errands.get(slot).is_some_and(|errand| errand.is_ending);
        self.arm_errand(now, slot, if is_ending { Duration::ZERO } else { after });
    }

    fn on_gateway_refusal(&mut self, now: Now, slot: u32, status: u16, message: Option<&Message>) {
        let Some(errand) = self.gateways.errands.get_mut(slot) else { return };
        if errand.is_ending && !matches!(status, 401 | 407) {
            return self.forget_errand(slot);
        }
        let number = |name| message.and_then(|message| message.header(name)).and_then(leading_number);
        let refusal = Refusal {
            status,
            stands: match (&errand.dialog, &errand.told.etag) {
                (Some(_), _) => Stands::Dialog,
                (None, Some(_)) => Stands::Publication,
                (None, None) => Stands::Nothing,
            },
            retry_after_s: number(Name::RetryAfter),
            min_expires_s: number(Name::MinExpires),
            expires_s: errand.expires_s,
            retry: errand.want.retry(),
        };
        let reason =
            message.map_or(if status == 408 { "no answer" } else { "no way there" }, Message::reason_phrase);
        let trouble = match message {
            Some(_) => format!("{status} {reason}"),
            None => reason.to_owned(),
        };
        errand.over = super::remote::over_by(status);
        let mut decided = next(&refusal);
        if decided == Next::Authenticate {
            let picked = message
                .map(|message| Answerable::pick(&errand.gateway, message, errand.credentials.as_ref()));
            match picked {
                Some(Ok(credentials)) if errand.rounds < limits::GATEWAY_ROUNDS_MAX => {
                    errand.credentials = Some(credentials);
                    return self.ask_gateway(now, slot);
                }
                other => {
                    errand.credentials = None;
                    let why = match other {
                        Some(Err(Unanswered::Realm(realm))) => {
                            format!(
                                "{trouble}: it asks for realm \"{realm}\", we know \"{}\"",
                                errand.gateway.realm
                            )
                        }
                        Some(Err(Unanswered::Password)) => {
                            format!("{trouble}: the password is wrong or missing")
                        }
                        Some(Err(Unanswered::Unknown)) => format!("{trouble}: no algorithm that we know"),
                        Some(Ok(_)) | None => trouble,
                    };
                    if errand.is_ending {
                        return self.forget_errand(slot);
                    }
                    // RFC 6665 §4.1.2.2: a refresh that is not let in does not end what was granted.
                    let retry = errand.want.retry();
                    return self.wait(
                        now,
                        slot,
                        (retry, refusal.stands == Stands::Nothing, State::FailWait),
                        &why,
                    );
                }
            }
        }
        if let Next::Longer(s) = decided {
            if errand.rounds < limits::GATEWAY_ROUNDS_MAX {
                errand.expires_s = s;
                return self.ask_gateway(now, slot);
            }
            decided = Next::Wait {
                after: refusal.retry,
                is_over: refusal.stands == Stands::Nothing,
                state: State::FailWait,
            };
        }
        match decided {
            Next::Anew => {
                self.fresh_dialog(slot);
                self.unstore_errand(slot);
                self.forget_way(Traveller::Gateway(slot));
                self.enter_state(now, slot, State::Unsubed, &trouble);
                self.ask_gateway(now, slot);
            }
            Next::OtherHop => match self.next_way(now, Traveller::Gateway(slot)) {
                WayTo::None => {
                    self.wait(
                        now,
                        slot,
                        (refusal.retry, refusal.stands == Stands::Nothing, State::FailWait),
                        &trouble,
                    );
                }
                way => self.take_way(now, slot, way),
            },
            Next::Wait { after, is_over, state } => self.wait(now, slot, (after, is_over, state), &trouble),
            Next::Authenticate | Next::Longer(_) => {}
        }
    }

    fn wait(&mut self, now: Now, slot: u32, (after, is_over, state): (Duration, bool, State), trouble: &str) {
        self.forget_way(Traveller::Gateway(slot));
        if is_over {
            return self.lose_subscription(now, slot, after, state, trouble);
        }
        self.enter_state(now, slot, state, trouble);
        self.arm_errand(now, slot, after);
    }

    /// There is no subscription (any more): what it said is forgotten, and another is begun later.
    pub(super) fn lose_subscription(
        &mut self,
        now: Now,
        slot: u32,
        after: Duration,
        state: State,
        trouble: &str,
    ) {
        self.drop_sources(now, slot);
        self.unstore_errand(slot);
        if let Some(errand) = self.gateways.errands.get_mut(slot) {
            errand.expires_at = None;
        }
        self.fresh_dialog(slot);
        self.enter_state(now, slot, state, trouble);
        self.arm_errand(now, slot, after);
        self.settle_remote(now, slot);
    }
}
