//! `sip show peers`, as Asterisk 1.4 to 1.6 lays it out.

use super::field::{left, plural};
use crate::cli::text;
use lampyris_core::view;
use std::net::SocketAddr;

/// All peers. Nat and ACL are empty: what chan_sip keeps there has no meaning here.
pub(crate) fn all(rows: &[view::Peer]) -> String {
    let mut out = row(["Name/username", "Host", "Dyn", "Nat", "ACL", "Port", "Status"]);
    let mut counts = [[0_usize; 2]; 2];
    for peer in rows {
        let address = peer.address.parse::<SocketAddr>().ok();
        let dynamic = peer.host == "dynamic";
        // Why: chan_sip shows the username only once a phone has registered with it.
        let name =
            if dynamic && address.is_some() { format!("{0}/{0}", peer.name) } else { peer.name.clone() };
        let monitored = !peer.qualify.eq_ignore_ascii_case("unmonitored");
        let online = if monitored { peer.qualify.starts_with("OK") } else { address.is_some() };
        counts[usize::from(!monitored)][usize::from(!online)] += 1;
        out.push_str(&row([
            &name,
            &address.map_or_else(|| "(Unspecified)".to_owned(), |address| address.ip().to_string()),
            if dynamic { " D " } else { "" },
            "",
            "",
            &address.map_or(0, |address| address.port()).to_string(),
            if monitored { &peer.qualify } else { "Unmonitored" },
        ]));
    }
    let [[monitored_on, monitored_off], [other_on, other_off]] = counts;
    out.push_str(&format!(
        "{} sip peer{} [Monitored: {monitored_on} online, {monitored_off} offline \
         Unmonitored: {other_on} online, {other_off} offline]\n",
        rows.len(),
        plural(rows.len())
    ));
    out
}

fn row([name, host, dynamic, nat, acl, port, status]: [&str; 7]) -> String {
    let line = format!(
        "{}  {} {} {} {} {} {}",
        left(name, 25),
        left(host, 15),
        left(dynamic, 3),
        left(nat, 3),
        left(acl, 3),
        left(port, 8),
        text::line(status)
    );
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_counts() {
        let peer = |name: &str, host: &str, address: &str, qualify: &str| view::Peer {
            name: name.to_owned(),
            host: host.to_owned(),
            address: address.to_owned(),
            state: "NOT_INUSE".to_owned(),
            qualify: qualify.to_owned(),
            context: "default".to_owned(),
            subscriptions: 0,
        };
        let rows = [
            peer("Alice", "dynamic", "10.0.0.7:5062", "OK (12 ms)"),
            peer("Bob-desk", "dynamic", "-", "unmonitored"),
            peer("gateway", "10.0.0.9:5060", "10.0.0.9:5060", "UNREACHABLE"),
        ];
        assert_eq!(
            all(&rows),
            "Name/username              Host            Dyn Nat ACL Port     Status\n\
             Alice/Alice                10.0.0.7         D          5062     OK (12 ms)\n\
             Bob-desk                   (Unspecified)    D          0        Unmonitored\n\
             gateway                    10.0.0.9                    5060     UNREACHABLE\n\
             3 sip peers [Monitored: 1 online, 1 offline Unmonitored: 0 online, 1 offline]\n"
        );
    }
}
