//! Where the peers are that are configured by host name: asked at start, again every so often, and with back-off after a
//! failure; what was known is kept meanwhile.
//!
//! Out go DNS questions; what comes back tells the authenticator which addresses speak for whom. A host is asked for
//! once, however many peers have it. Only peers that are known by their address are looked for.

use crate::dns::Asker;
use crate::input::{DnsAnswer, DnsQuestion};
use crate::limits;
use crate::node::{Node, Timer};
use crate::settings::{Authentication, Host};
use crate::time::Now;
use std::collections::BTreeMap;

/// Hosts that are looked for.
#[derive(Default)]
pub(crate) struct PeerHosts {
    next: u32,
    /// By the number their timers carry; a reload gives them new ones.
    hosts: BTreeMap<u32, Sought>,
}

struct Sought {
    host: String,
    /// Lookups that failed in a row.
    failures: u32,
}

impl Node {
    /// Asks DNS where the peers are that are known by the address of a host name; after a start or a reload.
    pub(crate) fn look_up_peers(&mut self, now: Now) {
        self.questions.forget_peer_hosts();
        self.peer_hosts.hosts.clear();
        let settings = self.facts.settings.clone();
        let mut hosts: Vec<_> = settings
            .peers
            .values()
            .filter(|peer| peer.authentication == Authentication::Address)
            .filter_map(|peer| match &peer.host {
                Host::Named(host, _) => Some(host),
                _ => None,
            })
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        for host in hosts {
            self.peer_hosts.next = self.peer_hosts.next.wrapping_add(1);
            let id = self.peer_hosts.next;
            self.peer_hosts.hosts.insert(id, Sought { host: host.clone(), failures: 0 });
            self.on_peer_host_due(now, id);
        }
    }

    /// It is time to ask for a host (again).
    pub(crate) fn on_peer_host_due(&mut self, now: Now, id: u32) {
        let Some(host) = self.peer_hosts.hosts.get(&id).map(|sought| sought.host.clone()) else { return };
        self.ask(now, Asker::PeerHost(id), DnsQuestion::Address(host));
    }

    /// DNS answered, or did not.
    pub(crate) fn on_peer_host_resolved(&mut self, now: Now, id: u32, answer: DnsAnswer) {
        let Some(sought) = self.peer_hosts.hosts.get_mut(&id) else { return };
        let wait = match answer {
            // Why: a name without addresses is as likely a mistake in the zone as meant; the configuration still has it.
            DnsAnswer::Address(ips) if !ips.is_empty() => {
                sought.failures = 0;
                let settings = self.facts.settings.clone();
                self.authenticator.resolved(&settings, &sought.host, ips);
                limits::PEER_LOOKUP_EVERY
            }
            _ => {
                let doubled = limits::PEER_LOOKUP_BACK_OFF_MIN.saturating_mul(1 << sought.failures.min(8));
                sought.failures = sought.failures.saturating_add(1);
                doubled.min(limits::PEER_LOOKUP_EVERY)
            }
        };
        self.timers.insert(now.mono + wait, Timer::PeerHostDue(id));
    }
}
