//! Peers found by something else than their name: an alias, the hash of the name, the address they come from.
//!
//! In go settings, and what DNS says of host names; out come names of peers. Whether a peer found may come in is decided
//! elsewhere.

use crate::limits;
use crate::map::{Map, Maps};
use crate::settings::{Authentication, Host, Peer, Settings};
use lampyris_sip::digest;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// The index.
#[derive(Debug)]
pub(super) struct Index {
    by_alias: Map<(usize, String), String>,
    /// By H(user:realm) in each algorithm the peer may use (RFC 7616 §3.4.4).
    by_userhash: Map<String, String>,
    by_address: BTreeMap<IpAddr, Vec<(Option<u16>, String)>>,
    /// Where DNS says hosts are that peers are configured with.
    hosts: BTreeMap<String, Vec<IpAddr>>,
}

impl Index {
    /// One that knows nobody until [`Self::configure`].
    pub(super) fn new(maps: Maps) -> Self {
        let (by_alias, by_userhash) = (maps.map(), maps.map());
        Self { by_alias, by_userhash, by_address: BTreeMap::new(), hosts: BTreeMap::new() }
    }

    /// Takes the peers from (new) settings; what DNS said of hosts that are still named holds.
    pub(super) fn configure(&mut self, settings: &Settings) {
        self.by_alias.clear();
        self.by_userhash.clear();
        let mut named = BTreeSet::new();
        for peer in settings.peers.values() {
            for alias in &peer.aliases {
                self.by_alias.insert((peer.domain, alias.clone()), peer.name.clone());
            }
            if let Authentication::Digest(ha1s) = &peer.authentication {
                let realm = settings.domains.get(peer.domain).map_or("", |domain| domain.realm.as_str());
                for ha1 in ha1s {
                    let hash = digest::userhash(ha1.algorithm(), &peer.name, realm);
                    self.by_userhash.insert(hash.as_str().to_owned(), peer.name.clone());
                }
            }
            if let Host::Named(host, _) = &peer.host {
                named.insert(host);
            }
        }
        self.hosts.retain(|host, _| named.contains(host));
        self.place(settings);
    }

    /// DNS said where a host is that peers are configured with; it holds until DNS says otherwise.
    pub(super) fn resolved(&mut self, settings: &Settings, host: &str, mut ips: Vec<IpAddr>) {
        // Why: DNS turns the order of its answers round; only another set of addresses is something new.
        ips.sort_unstable();
        ips.truncate(limits::DNS_RECORDS_MAX);
        if self.hosts.get(host) != Some(&ips) {
            self.hosts.insert(host.to_owned(), ips);
            self.place(settings);
        }
    }

    /// The peer with this alias in a domain.
    pub(super) fn alias(&self, domain: usize, user: &str) -> Option<&str> {
        self.by_alias.get(&(domain, user.to_owned())).map(String::as_str)
    }

    /// The peer whose name has this hash, in any case.
    pub(super) fn hashed(&self, hash: &str) -> Option<&str> {
        self.by_userhash.get(&hash.to_ascii_lowercase()).map(String::as_str)
    }

    /// The peers known by this address, with their port where it counts.
    pub(super) fn at(&self, ip: IpAddr) -> &[(Option<u16>, String)] {
        self.by_address.get(&ip.to_canonical()).map_or(&[], Vec::as_slice)
    }

    /// Places the peers that are known by their address.
    fn place(&mut self, settings: &Settings) {
        self.by_address.clear();
        let known = settings.peers.values().filter(|peer| peer.authentication == Authentication::Address);
        for peer in known {
            match &peer.host {
                Host::Fixed { address, any_port } => self.add(peer, *address, *any_port),
                Host::Named(host, port) => {
                    for ip in self.hosts.get(host).cloned().unwrap_or_default() {
                        self.add(peer, SocketAddr::new(ip, port.unwrap_or(5060)), false);
                    }
                }
                Host::Dynamic => {}
            }
        }
    }

    fn add(&mut self, peer: &Peer, address: SocketAddr, any_port: bool) {
        let port = (!any_port).then_some(address.port());
        let list = self.by_address.entry(address.ip().to_canonical()).or_default();
        if !list.iter().any(|(p, name)| *p == port && *name == peer.name) {
            list.push((port, peer.name.clone()));
        }
    }
}
