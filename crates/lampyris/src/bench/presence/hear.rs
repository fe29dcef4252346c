//! What watchers and presentities are sent, and whether it is what they must be sent.

use super::watcher::{Order, Phase};
use super::{Presence, Purpose, What};
use crate::bench::account::Nonce;
use crate::bench::scan::{Heard, uri_of};
use crate::bench::write::{note, version_in};
use memchr::memmem;
use std::num::NonZeroU64;
use std::time::Instant;

impl Presence {
    pub(super) fn hear(&mut self, flow: usize, bytes: &[u8], now: Instant) {
        let Some(heard) = Heard::read(bytes) else {
            // Why: keep-alives are allowed everywhere (RFC 5626 §3.5.1).
            self.tally.faults.unreadable += u64::from(!bytes.trim_ascii().is_empty());
            return;
        };
        match heard.status {
            Some(100..=199) => {}
            Some(status) => self.on_answer(flow, status, &heard, bytes, now),
            None if heard.method == b"NOTIFY" => self.on_notify(flow, &heard, now),
            None => {
                // OPTIONS and the like: answered, so that the server does not wait.
                let status = if heard.method == b"OPTIONS" { "200 OK" } else { "405 Method Not Allowed" };
                let answer = self.pen.answer(status, &heard, Some(format_args!("bench")), b"", b"");
                self.outbox.push((flow, answer));
            }
        }
    }

    fn on_answer(&mut self, flow: usize, status: u16, heard: &Heard<'_>, bytes: &[u8], now: Instant) {
        let Some(number) = self.pen.transaction(heard.branch()) else {
            self.tally.foreign += 1;
            return;
        };
        let Some(request) = self.requests.get(number) else { return };
        if std::mem::replace(&mut request.answered, true) {
            return;
        }
        let purpose = request.what;
        match (status, purpose.what) {
            (200..=299, What::Subscribe(watcher)) => {
                if let Some(watcher) = self.watchers.get_mut(watcher) {
                    if watcher.tag.is_empty() {
                        watcher.tag = heard.remote_tag().into();
                    }
                    if !heard.contact.is_empty() {
                        watcher.target = self.targets.number(uri_of(heard.contact));
                    }
                }
                self.settle(number, now);
            }
            (200..=299, What::Publish(presentity)) => {
                if let Some(presentity) = self.presentities.get_mut(presentity) {
                    presentity.etag.clear();
                    presentity.etag.extend_from_slice(heard.etag);
                    presentity.accepted = presentity.version;
                }
                self.settle(number, now);
            }
            (401 | 407, _) if self.account.is_some() && purpose.challenged < 2 => {
                self.meet_challenge(flow, number, bytes, now);
            }
            _ => self.failed(number, &status.to_string()),
        }
    }

    /// Sends the request again with what the challenge asks for (RFC 3261 §22.2).
    fn meet_challenge(&mut self, flow: usize, number: u64, refusal: &[u8], now: Instant) {
        let nonce = self.account.as_ref().and_then(|account| Nonce::of(refusal, account));
        let (Some(mut nonce), Some(account)) = (nonce, self.account.clone()) else {
            return self.failed(number, "challenge not understood");
        };
        let Some(request) = self.requests.end(number) else { return };
        let what = request.what.what;
        let method = if matches!(what, What::Subscribe(_)) { "SUBSCRIBE" } else { "PUBLISH" };
        let line = nonce.line(&account.user, method, &String::from_utf8_lossy(&self.target(what)));
        if let (true, Some(kept)) = (account.keeps_nonce, self.nonces.get_mut(flow)) {
            *kept = Some(nonce);
        }
        self.send(Purpose { what, challenged: request.what.challenged + 1 }, &line, (request.intended, now));
        // Why: watchers of a change may have been told already.
        if let Some(again) = self.requests.next().checked_sub(1).and_then(|last| self.requests.get(last)) {
            again.awaits = request.awaits;
        }
    }

    fn on_notify(&mut self, flow: usize, heard: &Heard<'_>, now: Instant) {
        let answer = self.pen.answer("200 OK", heard, None, b"", b"");
        self.outbox.push((flow, answer));
        let dialog = self.pen.dialog(heard.call_id).filter(|(_, kind)| *kind == b's');
        let at = dialog.and_then(|(number, _)| usize::try_from(number).ok());
        let Some(at) = at.filter(|at| *at < self.watchers.len()) else {
            self.tally.foreign += 1;
            return;
        };
        let Some(watcher) = self.watchers.get_mut(at) else { return };
        match watcher.notifies.see(heard.cseq) {
            Order::Again => {
                self.tally.repeated += 1;
                return;
            }
            Order::Late => {
                self.tally.faults.out_of_order += 1;
                self.tally.faults.missing = self.tally.faults.missing.saturating_sub(1);
            }
            Order::New { gap } => self.tally.faults.missing += u64::from(gap),
        }
        self.tally.notified += 1;
        if heard.subscription_state.starts_with(b"terminated") {
            return self.on_end(at, now);
        }
        if heard.subscription_state.starts_with(b"pending") {
            self.tally.fail("subscription is pending");
        }
        let version = self.version(at, heard.body);
        let Some(watcher) = self.watchers.get_mut(at) else { return };
        // Why: who came while a change was under way is told of it too, and nobody waits for that.
        let news = version.is_some_and(|version| version > watcher.version);
        match version {
            None => self.tally.faults.wrong_body += 1,
            Some(version) if version < watcher.version => self.tally.faults.out_of_order += 1,
            Some(version) => watcher.version = version,
        }
        // Why: a document that is wrong still is the NOTIFY that was waited for; it is counted once, as wrong.
        let newest = version.unwrap_or(u32::MAX);
        let told = watcher.awaits > 0 && newest >= watcher.awaits;
        // Why: the last SUBSCRIBE of a watcher is answered by a NOTIFY that says so, not by one that was on its way.
        let owed = watcher.due > 0 && watcher.phase != Phase::Ending;
        let fresh = told || (news && watcher.phase == Phase::Active);
        match (fresh, owed) {
            (true, true) => watcher.credit = watcher.credit.saturating_add(1),
            (false, false) if news => {}
            (false, false) if watcher.credit > 0 => watcher.credit -= 1,
            (false, false) => self.tally.faults.duplicated += 1,
            _ => {}
        }
        let presentity = usize::try_from(watcher.presentity).ok();
        if owed {
            self.owed_came(at, now);
        }
        if told {
            if let Some(watcher) = self.watchers.get_mut(at) {
                watcher.awaits = 0;
            }
            let request = presentity.and_then(|at| self.presentities.get(at)).and_then(|p| p.request);
            if let Some(request) = request.and_then(|number| self.requests.get(number)) {
                let latency = now.saturating_duration_since(request.intended);
                self.tally.notifies.record(latency);
            }
            self.told(request, now);
        }
    }

    /// One watcher less to be told of a change.
    pub(super) fn told(&mut self, request: Option<u64>, now: Instant) {
        let Some(number) = request else { return };
        if let Some(request) = self.requests.get(number) {
            request.awaits = request.awaits.saturating_sub(1);
            self.settle(number, now);
        }
    }

    fn owed_came(&mut self, at: usize, now: Instant) {
        let Some(watcher) = self.watchers.get_mut(at) else { return };
        watcher.due -= 1;
        let number = watcher.request.map(|number| number.get() - 1);
        self.told(number, now);
    }

    fn on_end(&mut self, at: usize, now: Instant) {
        let Some(watcher) = self.watchers.get_mut(at) else { return };
        match watcher.phase {
            Phase::Ending if watcher.due > 0 => {
                // Why: what a refresh before it asked for does not come any more.
                watcher.due = 1;
                self.owed_came(at, now);
            }
            Phase::Over => self.tally.faults.duplicated += 1,
            _ => {
                watcher.phase = Phase::Over;
                self.tally.fail("subscription ended by the server");
            }
        }
    }

    /// The change that a document tells of, 0 where nothing was published; `None` where it is not as it must be.
    fn version(&mut self, at: usize, body: &[u8]) -> Option<u32> {
        let watcher = self.watchers.get(at)?;
        let number = watcher.presentity;
        let presentity = self.presentities.get_mut(usize::try_from(number).ok()?)?;
        if !body.is_empty() && presentity.right.0 == body {
            return Some(presentity.right.1);
        }
        if body.is_empty() || self.finder.find(body).is_none() {
            // Nothing is published: no document, or one without our note.
            return (presentity.accepted == 0).then_some(0);
        }
        let entity = format!("sip:{}{number}@{}", self.shape.presentity, self.pen.domain());
        memmem::find(body, entity.as_bytes())?;
        let (start, version) = version_in(&self.finder, body)?;
        note(&mut self.text, &self.mark, version, self.fill_bytes);
        if version > presentity.version || !body.get(start..)?.starts_with(&self.text) {
            return None;
        }
        presentity.right.0.clear();
        presentity.right.0.extend_from_slice(body);
        presentity.right.1 = version;
        Some(version)
    }

    /// Ends an operation when nothing of it is missing any more.
    fn settle(&mut self, number: u64, now: Instant) {
        let Some(request) = self.requests.get(number) else { return };
        if !request.answered || request.awaits > 0 {
            return;
        }
        let Some(request) = self.requests.end(number) else { return };
        self.tally.operations.record(now.saturating_duration_since(request.intended));
        self.over(request.what, true, number);
    }

    pub(super) fn failed(&mut self, number: u64, why: &str) {
        let Some(request) = self.requests.end(number) else { return };
        if request.answered {
            self.tally.faults.missing += u64::from(request.awaits);
        }
        self.tally.fail(why);
        self.over(request.what, false, number);
    }

    fn over(&mut self, purpose: Purpose, well: bool, number: u64) {
        match purpose.what {
            What::Subscribe(at) => {
                let Some(watcher) = self.watchers.get_mut(at) else { return };
                if watcher.request == NonZeroU64::new(number + 1) {
                    watcher.request = None;
                }
                match (watcher.phase, well) {
                    (Phase::New, true) => {
                        watcher.phase = Phase::Active;
                        let list = usize::try_from(watcher.presentity).ok();
                        if let Some(presentity) = list.and_then(|at| self.presentities.get_mut(at)) {
                            presentity.watchers.push(u32::try_from(at).unwrap_or(u32::MAX));
                        }
                    }
                    (Phase::Ending, true) | (Phase::New, false) => {
                        watcher.phase = Phase::Over;
                        watcher.tag = Box::default();
                    }
                    (Phase::Ending, false) => watcher.phase = Phase::Over,
                    (Phase::Active, false) => watcher.due = 0,
                    _ => {}
                }
            }
            What::Publish(at) => {
                let Some(presentity) = self.presentities.get_mut(at) else { return };
                presentity.request = None;
                if !well {
                    presentity.etag.clear();
                    for watcher in &presentity.watchers {
                        let at = usize::try_from(*watcher).ok();
                        if let Some(watcher) = at.and_then(|at| self.watchers.get_mut(at)) {
                            watcher.awaits = 0;
                        }
                    }
                }
            }
        }
    }
}
