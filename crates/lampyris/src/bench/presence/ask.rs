//! The requests that watchers and presentities make.

use super::watcher::Phase;
use super::{Presence, Purpose, What};
use crate::bench::write::{Head, document, note, subscribe_lines};
use std::num::NonZeroU64;
use std::time::Instant;

impl Presence {
    /// Sends a request; `authorization` is a header line, or nothing where the flow's own nonce will do.
    pub(super) fn send(&mut self, purpose: Purpose, authorization: &str, times: (Instant, Instant)) {
        match purpose.what {
            What::Subscribe(watcher) => self.subscribe(watcher, purpose, authorization, times),
            What::Publish(presentity) => self.publish(presentity, purpose, authorization, times),
        }
    }

    /// The Authorization line of a flow that keeps its nonce; empty where it has none.
    pub(super) fn known_authorization(&mut self, flow: usize, method: &str, uri: &[u8]) -> String {
        match (&self.account, self.nonces.get_mut(flow)) {
            (Some(account), Some(Some(nonce))) if account.keeps_nonce => {
                nonce.line(&account.user, method, &String::from_utf8_lossy(uri))
            }
            _ => String::new(),
        }
    }

    /// Where a request of this purpose goes.
    pub(super) fn target(&self, what: What) -> Vec<u8> {
        let (name, domain) = (&self.shape.presentity, self.pen.domain());
        match what {
            What::Publish(presentity) => format!("sip:{name}{presentity}@{domain}").into_bytes(),
            What::Subscribe(watcher) => match self.watchers.get(watcher) {
                Some(watcher) if !watcher.tag.is_empty() => self.targets.text(watcher.target).to_vec(),
                Some(watcher) => format!("sip:{name}{}@{domain}", watcher.presentity).into_bytes(),
                None => Vec::new(),
            },
        }
    }

    fn subscribe(&mut self, number: usize, purpose: Purpose, authorization: &str, times: (Instant, Instant)) {
        let target = self.target(purpose.what);
        let Some(flow) = self.watchers.get(number).and_then(|watcher| usize::try_from(watcher.flow).ok())
        else {
            return;
        };
        let known = match authorization.is_empty() {
            true => self.known_authorization(flow, "SUBSCRIBE", &target),
            false => String::new(),
        };
        let (Some(watcher), Some(local)) = (self.watchers.get_mut(number), self.locals.get(flow).copied())
        else {
            return;
        };
        watcher.cseq += 1;
        watcher.due = watcher.due.saturating_add(u8::from(purpose.challenged == 0));
        let branch = self.requests.next();
        watcher.request = NonZeroU64::new(branch + 1);
        let expires_s = if watcher.phase == Phase::Ending { 0 } else { self.shape.expires_s };
        let contact = self.pen.contact(format_args!("w{number}"), local);
        self.lines.clear();
        subscribe_lines(&mut self.lines, &contact, expires_s);
        self.lines.extend_from_slice(authorization.as_bytes());
        self.lines.extend_from_slice(known.as_bytes());
        let account = self.account.as_ref().map(|account| account.user.as_str());
        let name = &self.shape.presentity;
        let own = account.is_none().then_some(number);
        let bytes = self.pen.request(&Head {
            method: "SUBSCRIBE",
            target: &target,
            branch,
            local,
            from: format_args!("{}{}", account.unwrap_or("w"), Maybe(own)),
            from_tag: format_args!("{number:x}"),
            to: format_args!("{name}{}", watcher.presentity),
            to_tag: &watcher.tag,
            call: u32::try_from(number).unwrap_or(u32::MAX),
            kind: 's',
            cseq: watcher.cseq,
            more: &self.lines,
            body: b"",
        });
        self.outbox.push((flow, bytes.clone()));
        self.requests.add(purpose, flow, bytes, 1, times);
    }

    fn publish(&mut self, number: usize, purpose: Purpose, authorization: &str, times: (Instant, Instant)) {
        let target = self.target(purpose.what);
        let flow = number % self.locals.len().max(1);
        let known = match authorization.is_empty() {
            true => self.known_authorization(flow, "PUBLISH", &target),
            false => String::new(),
        };
        let (Some(presentity), Some(local)) =
            (self.presentities.get_mut(number), self.locals.get(flow).copied())
        else {
            return;
        };
        if purpose.challenged == 0 {
            presentity.version += 1;
            for watcher in &presentity.watchers {
                let at = usize::try_from(*watcher).ok();
                if let Some(watcher) = at.and_then(|at| self.watchers.get_mut(at)) {
                    watcher.awaits = presentity.version;
                }
            }
        }
        let branch = self.requests.next();
        presentity.request = Some(branch);
        let name = format!("{}{number}", self.shape.presentity);
        note(&mut self.text, &self.mark, presentity.version, self.fill_bytes);
        document(&mut self.body, &name, self.pen.domain(), &self.text);
        self.lines.clear();
        let lines = [
            "Event: presence\r\nExpires: 3600\r\nContent-Type: application/pidf+xml\r\n".as_bytes(),
            authorization.as_bytes(),
            known.as_bytes(),
        ];
        lines.into_iter().for_each(|line| self.lines.extend_from_slice(line));
        if !presentity.etag.is_empty() {
            self.lines.extend_from_slice(b"SIP-If-Match: ");
            self.lines.extend_from_slice(&presentity.etag);
            self.lines.extend_from_slice(b"\r\n");
        }
        let bytes = self.pen.request(&Head {
            method: "PUBLISH",
            target: &target,
            branch,
            local,
            from: format_args!("{name}"),
            from_tag: format_args!("{branch:x}"),
            to: format_args!("{name}"),
            to_tag: b"",
            // Why: a call of its own for each, so that no server takes one for a copy of another.
            call: u32::try_from(branch & u64::from(u32::MAX)).unwrap_or(u32::MAX),
            kind: 'p',
            cseq: 1 + u32::from(purpose.challenged),
            more: &self.lines,
            body: &self.body,
        });
        let awaits = u32::try_from(presentity.watchers.len()).unwrap_or(u32::MAX);
        self.outbox.push((flow, bytes.clone()));
        self.requests.add(purpose, flow, bytes, awaits, times);
    }
}

/// A number that may not be there.
struct Maybe(Option<usize>);

impl std::fmt::Display for Maybe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |number| number.fmt(f))
    }
}
