//! `pjsip show subscriptions` and `pjsip list subscriptions`: the same rows as chan_sip's command, as pjsip words them.

use super::field::left;
use crate::cli::text;
use lampyris_core::view;

/// Blocks of three lines.
pub(crate) fn show(rows: &[view::Subscription]) -> String {
    let mut out = "\
Endpoint: <Endpoint/Caller-ID.............................................>
Resource: <Resource/Event.................................................>
  Expiry: <Expiry>  <Call-id..............................................>
===========================================================================

"
    .to_owned();
    for row in rows {
        out.push_str(&format!(
            "Endpoint: {}\nResource: {}\n  Expiry: {:8}  {}\n\n",
            endpoint(row),
            resource(row),
            row.expires_s,
            text::line(&row.call_id)
        ));
    }
    out.push_str(&trailer(rows.len()));
    out
}

/// One line each.
pub(crate) fn list(rows: &[view::Subscription]) -> String {
    let mut out = format!("{} {} Expiry Call-id\n", left("Endpoint/CLI", 30), left("Resource/Event", 30));
    for row in rows {
        out.push_str(&format!(
            "{} {} {:6} {}\n",
            left(&endpoint(row), 30),
            left(&resource(row), 30),
            row.expires_s,
            text::line(&row.call_id)
        ));
    }
    out.push('\n');
    out.push_str(&trailer(rows.len()));
    out
}

fn endpoint(row: &view::Subscription) -> String {
    format!("{}/<none>", text::line(&row.watcher))
}

/// The extension without its context, and the package.
fn resource(row: &view::Subscription) -> String {
    let whole = text::line(&row.resource);
    let whole = whole.strip_prefix("sip:").unwrap_or(&whole);
    format!("{}/{}", whole.split('@').next().unwrap_or(whole), text::line(&row.package))
}

fn trailer(count: usize) -> String {
    format!("{count} active subscriptions\n")
}

#[cfg(test)]
mod tests {
    use super::super::subscriptions::tests::founding;
    use super::*;

    #[test]
    fn both_are_the_recorded_ones_byte_for_byte() {
        let rows: Vec<view::Subscription> = [
            ("p", "presence", 3444, "9564fc61d9db4aa0909eada1c7b26c6e"),
            ("p", "dialog", 3444, "9665b898a57348b5b32c4ea8a90ace2c"),
            ("x", "presence", 3581, "bd4e2795b281429495c3699ba47f025b"),
            ("x", "presence", 3581, "7e2e4f947a22404bbf6ffefdd487d44f"),
            ("x", "presence", 3581, "d633707ebad54373878878f4e6b17291"),
            ("x", "dialog", 3582, "1e2ffa938fe2484e9233d68d107239cd"),
            ("peer-eventlist", "presence", 3582, "141efc5394d244a590c8104838c84fbc"),
            ("watcher", "message-summary", 3583, "a131ef687023481bb2dfd23011de76df"),
            ("p", "presence", 3583, "d12d03daf01749f99e212d89689ae509"),
            ("p", "dialog", 3583, "619bb2d25ae2405bb6d5d61ed70d1f0d"),
        ]
        .into_iter()
        .map(|(extension, package, expires_s, call_id)| view::Subscription {
            watcher: "watcher".to_owned(),
            resource: format!("{extension}@hints"),
            package: package.to_owned(),
            expires_s,
            call_id: call_id.to_owned(),
            ..founding()
        })
        .collect();
        let recorded =
            include_str!("../../../tests/fixtures/asterisk-cli/pjsip_show_subscriptions_inbound.txt");
        assert_eq!(show(&rows) + &list(&rows), recorded);
    }
}
