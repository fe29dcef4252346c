//! The office while it is open: every phone registered, every lamp subscribed to.

use super::desk::{Colleague, Pace, Told};
use super::office::{self, PEOPLE, WATCHES};
use crate::ua::{Account, Phone, Subscription};
use anyhow::{Context, Result};
use lampyris_core::flow::Transport;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Seconds that registrations and subscriptions are asked for.
const EXPIRES_S: u32 = 600;
/// Whose phone has a lamp for everybody.
const HAS_LAMPS: &str = "Alice";

/// The open office.
pub(super) struct Office {
    pub(super) colleagues: Vec<Arc<Colleague>>,
    subscriptions: Vec<(Arc<Colleague>, Subscription)>,
}

impl Office {
    /// Opens it; what happens comes out of the receiver.
    pub(super) async fn open(
        server: SocketAddr,
        pace: Pace,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Told>)> {
        let (tell, told) = mpsc::unbounded_channel();
        let (mut colleagues, mut number) = (Vec::new(), 0);
        for person in PEOPLE {
            let (mut phones, mut ears) = (Vec::new(), Vec::new());
            for name in person.phones {
                // Half of the phones speak TCP.
                number += 1;
                let transport = if number % 2 == 0 { Transport::Tcp } else { Transport::Udp };
                let (phone, heard) = Phone::start(account(name, server), transport, server).await?;
                phone.register(EXPIRES_S).await.with_context(|| format!("{name} cannot register"))?;
                phones.push(phone);
                ears.push(heard);
            }
            let colleague = Colleague::at(person, phones, pace, tell.clone());
            for (index, heard) in ears.into_iter().enumerate() {
                tokio::spawn(Arc::clone(&colleague).listen(index, person.name == HAS_LAMPS, heard));
            }
            colleagues.push(colleague);
        }
        let mut office = Self { colleagues, subscriptions: Vec::new() };
        office.subscribe().await?;
        // Who has a mobile phone is there from the beginning, as far as that phone knows.
        for colleague in office.colleagues.iter().filter(|colleague| colleague.phones.len() > 1) {
            colleague.publish("", "Available").await?;
        }
        Ok((office, told))
    }

    async fn subscribe(&mut self) -> Result<()> {
        let everybody: Vec<_> = PEOPLE.iter().map(|person| person.extension).collect();
        let all = [(HAS_LAMPS, everybody.as_slice())];
        for (watcher, extensions) in all.into_iter().chain(WATCHES.iter().copied()) {
            let found = self.colleagues.iter().find(|colleague| colleague.person.name == watcher);
            let Some((colleague, phone)) = found.and_then(|found| Some((found, found.phone()?))) else {
                continue;
            };
            for extension in extensions {
                for (event, accept) in
                    [("dialog", "application/dialog-info+xml"), ("presence", "application/pidf+xml")]
                {
                    let subscription = phone.subscribe(extension, event, accept, EXPIRES_S).await;
                    let subscription =
                        subscription.with_context(|| format!("{watcher} watches {extension}"))?;
                    self.subscriptions.push((Arc::clone(colleague), subscription));
                }
            }
        }
        Ok(())
    }

    /// Registers and subscribes again.
    pub(super) async fn renew(&mut self) -> Result<()> {
        for phone in self.colleagues.iter().flat_map(|colleague| &colleague.phones) {
            phone.register(EXPIRES_S).await?;
        }
        for colleague in &self.colleagues {
            // Why: a server that has forgotten it is told anew by the next scene.
            let _ = colleague.renew().await;
        }
        for (colleague, subscription) in &mut self.subscriptions {
            if let Some(phone) = colleague.phone() {
                *subscription = phone.refresh(subscription.clone(), EXPIRES_S).await?;
            }
        }
        Ok(())
    }

    /// Every phone hangs up; when this returns, no phone has a call.
    pub(super) async fn hang_up(&self) {
        let phones = || self.colleagues.iter().flat_map(|colleague| &colleague.phones);
        // Why: a call that crossed a hang-up may still arrive at a phone that had none.
        for calls in std::iter::repeat_with(|| phones().flat_map(Phone::calls).collect::<Vec<_>>()) {
            if calls.is_empty() {
                return;
            }
            let mut ends: JoinSet<()> =
                calls.into_iter().map(|call| async move { call.hang_up().await }).collect();
            while ends.join_next().await.is_some() {}
        }
    }

    /// Every phone takes its subscriptions and its registration back.
    pub(super) async fn close(self) {
        for (colleague, subscription) in self.subscriptions {
            if let Some(phone) = colleague.phone() {
                // Why: the demo ends anyway; what cannot be taken back is forgotten with the store.
                let _ = phone.refresh(subscription, 0).await;
            }
        }
        for phone in self.colleagues.iter().flat_map(|colleague| &colleague.phones) {
            let _ = phone.register(0).await;
        }
    }
}

fn account(name: &str, server: SocketAddr) -> Account {
    Account {
        user: name.to_owned(),
        login: None,
        domain: server.to_string(),
        password: Some(office::password(name)),
        display: name.to_owned(),
    }
}
