//! Where a subscription's next NOTIFY goes.
//!
//! Most NOTIFYs go back where the SUBSCRIBE came from, or to a numeric Contact: no state. A route set, a named Contact or
//! another transport need a way first ([`crate::ways`]).

use super::parked::Without;
use super::subscription::Text;
use crate::flow::{Flow, Transport};
use crate::node::Node;
use crate::settings::Nat;
use crate::time::Now;
use crate::ways::{Reach, Traveller, WayTo};
use lampyris_sip::{NameAddr, Uri};
use std::net::SocketAddr;

impl Node {
    /// Where the next NOTIFY of a subscription goes; `None` while that is being found out, and where there is no way.
    ///
    /// A route set decides (RFC 3261 §12.2.1.1). Without one: on streams the flow the SUBSCRIBE came on, while it is
    /// open, then the one the phone has since ([`super::parked`]), then the Contact; on UDP the Contact, except where its address is not the one the SUBSCRIBE came from: then the source.
    pub(super) fn notify_flow(&mut self, now: Now, slot: u32) -> Option<Flow> {
        let subscription = self.subscriptions.get(slot)?;
        let routes = subscription.text(Text::Routes);
        let target = subscription.text(Text::Target);
        let flow = subscription.flow.get();
        let uri = if routes.is_empty() {
            if let Some(direct) =
                self.direct_flow(flow, target, self.nat_of(subscription.text(Text::Watcher)))
            {
                return Some(direct);
            }
            // RFC 5627 §6.1: a phone that is back is reached where it is now.
            if let Some(flow) = self.gruu_flow(target, subscription.text(Text::Watcher)) {
                return Some(flow);
            }
            match self.without_stream(now, slot) {
                Without::Over(flow) => return Some(flow),
                Without::Wait => return None,
                Without::Search => self.subscriptions.get(slot)?.text(Text::Target).to_owned(),
            }
        } else {
            let first = lampyris_sip::headers::route::split(routes).next()?;
            NameAddr::parse(first).map_or_else(|_| target.to_owned(), |name| name.uri().to_owned())
        };
        let reach = Reach::Of(flow.remote().ip());
        match self.way_to(now, Traveller::Subscription(slot), &uri, reach) {
            WayTo::Known(flow) => Some(flow),
            WayTo::Later => None,
            WayTo::None => {
                self.on_unreachable(now, slot);
                None
            }
        }
    }

    /// Sends the newest state by the next hop of the way on which a NOTIFY has failed (RFC 3263 §4.3); `false` where
    /// there is none.
    pub(super) fn notify_by_next_way(&mut self, now: Now, slot: u32) -> bool {
        let way = self.next_way(now, Traveller::Subscription(slot));
        if way == WayTo::None {
            return false;
        }
        if let Some(subscription) = self.subscriptions.get_mut(slot) {
            subscription.pending = true;
            subscription.forced = true;
        }
        if matches!(way, WayTo::Known(_)) {
            self.resume(now, slot);
        }
        true
    }

    pub(super) fn nat_of(&self, watcher: &str) -> Nat {
        self.facts.settings.peers.get(watcher).map_or(Nat::Auto, |peer| peer.nat)
    }

    /// The flow that needs no lookup, if there is one.
    pub(super) fn direct_flow(&self, flow: Flow, target: &str, nat: Nat) -> Option<Flow> {
        if !self.is_secure_for(target, flow) {
            return None;
        }
        let Flow::Udp { listener, remote } = flow else {
            let Flow::Stream { id, .. } = flow else { return None };
            return self.connections.is_open(id).then_some(flow);
        };
        let back = Some(flow).filter(|_| self.may_return(remote, remote));
        if nat == Nat::Source {
            return back;
        }
        let Ok(uri) = Uri::parse(target) else { return back };
        let udp = uri.params().get("transport").is_none_or(|t| t.eq_ignore_ascii_case("udp"));
        match uri.host().ip() {
            Some(ip) if nat == Nat::Contact || ip == remote.ip().to_canonical() => {
                let port = Transport::port_of(&uri);
                let same_family = ip.is_ipv6() == remote.is_ipv6();
                let address = SocketAddr::new(ip, port);
                let may = udp && same_family && self.may_return(remote, address);
                may.then_some(Flow::Udp { listener, remote: address })
            }
            // Why: behind a NAT the Contact is an address of another network, or a name we would look up in vain.
            _ if nat == Nat::Auto => back,
            _ => None,
        }
    }
}
