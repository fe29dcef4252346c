//! Where requests of ours may go (security rows 49 to 51): asked of every address once it is one, after DNS.
//!
//! ```text
//! never                  broadcast, multicast, unspecified, cloud metadata, our own listeners, egress_deny
//! back on a flow         yes: what came from there was authenticated
//! configured peers       yes
//! what a peer named      egress_allow where there is one; else no nearer to us than the peer is
//! ```
//!
//! In: an address and who named it. Out: yes, or why not. What becomes of the request is its sender's business.

use crate::hits::Limit;
use crate::node::Node;
use crate::target::is_somebodys;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where clouds keep secrets of the machine for whoever asks from inside it.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// How far a way may lead. Nowhere does it lead to ourselves, or to addresses that are nobody's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// Somebody at this address named the hop: where `egress_allow` says, else into the machine, the link or a private
    /// network only where they are there themselves; who is behind a NAT names an address that is somebody else's here.
    Of(IpAddr),
    /// The configuration named the hop, or it is where a request came from.
    Anywhere,
}

impl Node {
    /// Why a request may not be sent to an address; `None` where it may.
    pub(crate) fn barred(&self, address: SocketAddr, reach: Reach) -> Option<&'static str> {
        let ip = address.ip().to_canonical();
        let egress = &self.facts.settings.egress;
        let within = |networks: &[ipnet::IpNet]| networks.iter().any(|network| network.contains(&ip));
        if !is_somebodys(address) {
            return Some("it is nobody's address");
        }
        if METADATA.contains(&ip) {
            return Some("it is where a cloud keeps its metadata");
        }
        if self.is_own(address) {
            return Some("it is our own address");
        }
        if within(&egress.deny) {
            return Some("egress_deny names it");
        }
        match reach {
            Reach::Anywhere => None,
            Reach::Of(_) if !egress.allow.is_empty() => {
                (!within(&egress.allow)).then_some("egress_allow does not name it")
            }
            Reach::Of(source) => {
                let source = source.to_canonical();
                let is_near = (ip.is_loopback() && !source.is_loopback())
                    || (is_link_local(ip) && !is_link_local(source))
                    || (is_private(ip)
                        && !is_private(source)
                        && !is_link_local(source)
                        && !source.is_loopback());
                is_near.then_some("it is nearer to us than who named it")
            }
        }
    }

    /// Whether a request may go to an address that is where one came from, or that was named there.
    pub(crate) fn may_return(&self, source: SocketAddr, address: SocketAddr) -> bool {
        let is_back = source.ip().to_canonical() == address.ip().to_canonical();
        let reach = if is_back { Reach::Anywhere } else { Reach::Of(source.ip()) };
        let may = self.barred(address, reach).is_none();
        if !may {
            self.hits.add(Limit::Egress);
        }
        may
    }

    /// Whether one of our listeners is at this address.
    fn is_own(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.listeners.iter().any(|listener| {
            let own = [listener.local, listener.advertised];
            // Why: the port first, since it is almost always another and the names are texts.
            own.iter().any(|own| own.port() == address.port())
                && (own.iter().any(|own| own.ip().to_canonical() == ip)
                    || listener.names.contains(&ip.to_string()))
        })
    }
}

const fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// An address that each network gives out anew (RFC 1918, RFC 6598, RFC 4193).
const fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 0x40),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Listener, ListenerId, Transport};
    use crate::settings::Settings;
    use crate::time::{Instant, Now, UnixTime};
    use std::sync::Arc;

    fn node(allow: &[&str], deny: &[&str]) -> Node {
        let local = "192.0.2.100:5060".parse().unwrap();
        let names = vec!["198.51.100.1".to_owned()];
        let listener =
            Listener { id: ListenerId(0), transport: Transport::Udp, local, advertised: local, names };
        let mut settings = Settings::empty();
        settings.egress.allow = allow.iter().map(|network| network.parse().unwrap()).collect();
        settings.egress.deny = deny.iter().map(|network| network.parse().unwrap()).collect();
        let now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(0) };
        Node::new(Arc::new(settings), vec![listener], [0; 32], now)
    }

    #[test]
    fn where_nobody_is_ever_sent_to() {
        let allow_all = node(&["0.0.0.0/0", "::/0"], &[]);
        for address in [
            "255.255.255.255:5060",
            "224.0.1.75:5060",
            "0.0.0.0:5060",
            "[::]:5060",
            "[ff02::1]:5060",
            "169.254.169.254:80",
            "[::ffff:169.254.169.254]:80",
            "100.100.100.200:80",
            "[fd00:ec2::254]:80",
            "192.0.2.100:5060",
            "198.51.100.1:5060",
            "192.0.2.1:0",
        ] {
            let address: SocketAddr = address.parse().unwrap();
            for reach in [Reach::Anywhere, Reach::Of(address.ip())] {
                assert!(allow_all.barred(address, reach).is_some(), "{address} {reach:?}");
            }
            assert!(!allow_all.may_return(address, address), "{address}, not even back");
        }
        assert_eq!(allow_all.barred("192.0.2.100:5070".parse().unwrap(), Reach::Anywhere), None);
    }

    #[test]
    fn rules_are_for_what_a_peer_named_and_denial_for_all() {
        let node = node(&["10.0.0.0/8", "192.0.2.7/32"], &["10.6.6.0/24"]);
        let far = Reach::Of("198.51.100.9".parse().unwrap());
        for (address, reach, may) in [
            ("10.0.0.7:5060", far, true),
            ("192.0.2.7:5060", far, true),
            ("192.0.2.8:5060", far, false),
            ("192.0.2.8:5060", Reach::Anywhere, true),
            ("10.6.6.6:5060", far, false),
            ("10.6.6.6:5060", Reach::Anywhere, false),
        ] {
            assert_eq!(node.barred(address.parse().unwrap(), reach).is_none(), may, "{address} {reach:?}");
        }
        let source = "192.0.2.8:40000".parse().unwrap();
        assert!(node.may_return(source, "192.0.2.8:5060".parse().unwrap()), "back to where it came from");
        assert_eq!(node.hits.of(Limit::Egress), 0);
        assert!(!node.may_return(source, "192.0.2.9:5060".parse().unwrap()));
        assert_eq!(node.hits.of(Limit::Egress), 1);
    }
}
