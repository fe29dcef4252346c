//! `sip show subscriptions`.

use super::field::{host, left, plural};
use lampyris_core::view;

/// The columns of chan_sip since 1.8: Mailbox and Expiry (the seconds granted) at the end.
pub(crate) fn all(rows: &[view::Subscription]) -> String {
    let titles = ["Peer", "User", "Call ID", "Extension", "Last state", "Type", "Mailbox", "Expiry"];
    let mut out = row(titles);
    for subscription in rows {
        let mwi = subscription.package == "message-summary";
        out.push_str(&row([
            &host(&subscription.peer),
            &subscription.watcher,
            &subscription.call_id,
            if mwi { "--" } else { &subscription.resource },
            subscription.last_state.as_deref().filter(|_| !mwi).unwrap_or("<none>"),
            kind(&subscription.format),
            subscription.mailbox.as_deref().filter(|_| mwi).unwrap_or("<none>"),
            &format!("{:06}", subscription.granted_s),
        ]));
    }
    out.push_str(&format!("{} active SIP subscription{}\n", rows.len(), plural(rows.len())));
    out
}

/// The short word for a content type.
fn kind(format: &str) -> &str {
    match format.strip_prefix("application/").unwrap_or(format) {
        "simple-message-summary" => "mwi",
        short => short,
    }
}

fn row([peer, user, call_id, extension, state, kind, mailbox, expiry]: [&str; 8]) -> String {
    // Why: the last field is six wide but not cut: a longer number is still the number.
    format!(
        "{}  {}  {}  {}  {}  {} {} {expiry:<6}\n",
        left(peer, 15),
        left(user, 15),
        left(call_id, 15),
        left(extension, 15),
        left(state, 13),
        left(kind, 15),
        left(mailbox, 10),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::cli) fn founding() -> view::Subscription {
        view::Subscription {
            peer: "10.24.17.254:37509".to_owned(),
            watcher: "Alice".to_owned(),
            call_id: "ZjE2ZDAwYThiOTA2MzYxOWEwNTEwMjc1ZGIxNTk3NDU.".to_owned(),
            resource: "6001@default".to_owned(),
            asked: "sip:6001@10.24.18.124".to_owned(),
            package: "presence".to_owned(),
            event_id: None,
            format: "application/pidf+xml".to_owned(),
            members: None,
            last_state: Some("Unavailable".to_owned()),
            mailbox: None,
            granted_s: 1800,
            expires_s: 1799,
            profile: "default".to_owned(),
            user_agent: "Z 3.2.21357 r21103".to_owned(),
            notifies: 1,
            cseq: 102,
            version: 0,
            last_answer: Some(200),
            pace: None,
            filter: None,
            transport: "UDP".to_owned(),
        }
    }

    #[test]
    fn the_founding_scenario() {
        let text = all(&[founding()]);
        assert_eq!(
            text,
            "Peer             User             Call ID          Extension        Last state     Type            \
             Mailbox    Expiry\n\
             10.24.17.254     Alice            ZjE2ZDAwYThiOTA  6001@default     Unavailable    pidf+xml        \
             <none>     001800\n\
             1 active SIP subscription\n"
        );
        // The scenario is printed with its runs of spaces collapsed.
        let collapsed: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            collapsed,
            [
                "Peer User Call ID Extension Last state Type Mailbox Expiry",
                "10.24.17.254 Alice ZjE2ZDAwYThiOTA 6001@default Unavailable pidf+xml <none> 001800",
                "1 active SIP subscription",
            ]
        );
    }

    #[test]
    fn mailboxes_have_no_extension_and_no_state() {
        let mwi = view::Subscription {
            package: "message-summary".to_owned(),
            format: "application/simple-message-summary".to_owned(),
            mailbox: Some("100@default,200@default".to_owned()),
            granted_s: 3600,
            ..founding()
        };
        let text = all(&[mwi, founding()]);
        let line = text.lines().nth(1).expect("a row");
        assert_eq!(
            line,
            "10.24.17.254     Alice            ZjE2ZDAwYThiOTA  --               <none>         mwi             \
             100@defaul 003600"
        );
        assert!(text.ends_with("\n2 active SIP subscriptions\n"));
    }

    #[test]
    fn none() {
        assert!(all(&[]).ends_with("Expiry\n0 active SIP subscriptions\n"));
    }
}
