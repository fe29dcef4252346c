//! The dialogs of gateway subscriptions in the journal: a restart goes on in them.

use super::state;
use super::{Dialog, Errand};
use crate::journal::{GatewayRecord, Key, Kind, Record, Value};
use crate::limits;
use crate::node::Node;
use crate::tickets::Undo;
use crate::time::Now;
use std::collections::BTreeMap;
use std::time::Duration;

fn key(slot: u32) -> Key {
    Key { kind: Kind::Gateway, slot: u64::from(slot) }
}

impl Errand {
    fn record(&self) -> Option<GatewayRecord> {
        let published = self.told.etag.as_ref().map(|etag| Dialog {
            remote_tag: etag.clone(),
            target: String::new(),
            routes: Vec::new(),
            remote_cseq: None,
        });
        let dialog = self.dialog.as_ref().or(published.as_ref())?;
        Some(GatewayRecord {
            errand: self.name(),
            call_id: self.call_id.clone(),
            local_tag: self.local_tag.clone(),
            remote_tag: dialog.remote_tag.clone(),
            target: dialog.target.clone(),
            routes: dialog.routes.clone(),
            local_cseq: self.cseq,
            expires_s: self.expires_s,
            expires_at: self.expires_at?,
        })
    }
}

impl Node {
    /// Stores how far an errand is; nobody waits for it.
    pub(super) fn store_errand(&mut self, slot: u32) {
        let Some(record) = self.gateways.errands.get(slot).and_then(Errand::record) else { return };
        self.persist(Record::Upsert(key(slot), Value::Gateway(Box::new(record))), Undo::No);
    }

    /// There is no dialog to go on in.
    pub(super) fn unstore_errand(&mut self, slot: u32) {
        self.persist(Record::Delete(key(slot)), Undo::No);
    }

    /// A row of the store.
    pub(crate) fn put_gateway(&mut self, slot: u32, record: GatewayRecord) {
        self.gateways.restored.push((slot, record));
    }

    /// After a start: dialogs go on where the configuration still wants them, with a refresh at once.
    pub(crate) fn gateways_restored(&mut self, now: Now) {
        self.demand_all(now);
        let rows = std::mem::take(&mut self.gateways.restored);
        let mut moved = Vec::new();
        let slots: BTreeMap<_, _> =
            self.gateways.errands.iter().map(|(slot, errand)| (errand.name(), slot)).collect();
        for (row, record) in rows {
            let Some(slot) = slots.get(&record.errand).copied() else {
                self.unstore_errand(row);
                continue;
            };
            if slot != row {
                self.unstore_errand(row);
                moved.push(slot);
            }
            let Some(errand) = self.gateways.errands.get_mut(slot) else { continue };
            self.gateways.by_call_id.remove(&errand.call_id);
            if errand.want.kind() == state::Kind::Subscription {
                self.gateways.by_call_id.insert(record.call_id.clone(), slot);
            }
            errand.call_id = record.call_id;
            errand.local_tag = record.local_tag;
            // Why: requests may have left after the row was written.
            errand.cseq = record.local_cseq.saturating_add(limits::CSEQ_JUMP);
            errand.expires_s = record.expires_s.max(errand.want.expires_s());
            errand.expires_at = Some(record.expires_at);
            if errand.want.kind() == state::Kind::Publication {
                // Why no hash: what is told first is what holds now, whatever was told before.
                errand.told.etag = Some(record.remote_tag);
                self.arm_errand(now, slot, Duration::ZERO);
                continue;
            }
            errand.is_told = true;
            // Why none: a NOTIFY after the row may have had any number; the first that comes sets the order anew.
            let (remote_tag, target, routes) = (record.remote_tag, record.target, record.routes);
            errand.dialog = Some(Dialog { remote_tag, target, routes, remote_cseq: None });
            self.arm_errand(now, slot, Duration::ZERO);
            self.settle_remote(now, slot);
        }
        // Why after all: the new place of one may be the old place of another.
        for slot in moved {
            self.store_errand(slot);
        }
        self.adopt_sources(now);
    }
}
