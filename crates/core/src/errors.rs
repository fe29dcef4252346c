//! Every error status that the server answers itself, as a page of the manual: when, and what to do about it.
//!
//! A test holds the table to [`crate::reject::Reject`] and [`crate::hits::Limit`]: a status that is answered has a row, and a row
//! is answered.

use crate::hits::{Answer, Limit};
use std::fmt::Write as _;

/// A status, when it is answered, what to do.
struct Row(u16, &'static str, &'static str);

const ROWS: [Row; 27] = [
    Row(
        302,
        "the called person forwards calls, and the caller's phone is to follow",
        "nothing; `lampyris feature list` shows it",
    ),
    Row(
        400,
        "the message cannot be read; `Warning` says where",
        "a fault of whoever sent it; `lampyris sip debug` shows the message",
    ),
    Row(
        401,
        "who is asking?",
        "phones answer by themselves; again and again, the password or the realm is wrong",
    ),
    Row(
        403,
        "this user may not",
        "`lampyris rules show`, `watch`, `allow_subscribe`, `trusted_publisher`; `Warning` names a limit",
    ),
    Row(
        404,
        "nobody is called that here, or there is no hint",
        "`lampyris show hints`, `show peers`, the context of who asks",
    ),
    Row(405, "that method is not for this address", "nothing"),
    Row(406, "none of the formats in Accept is one of the package", "[events](events.md) has the formats"),
    Row(407, "who is calling?", "as 401"),
    Row(
        412,
        "the entity-tag is not known: it expired, or was replaced",
        "the publisher publishes anew, without SIP-If-Match",
    ),
    Row(413, "the body is longer than is taken", "publish less"),
    Row(414, "the Request-URI is too long", "nothing"),
    Row(415, "a body of a type the package does not take, or compressed", "`Accept` says what it takes"),
    Row(416, "a scheme other than sip and sips", "nothing"),
    Row(420, "Require names an extension that is not here", "`Unsupported` says which"),
    Row(421, "the phone must offer an extension, as `eventlist` for a list", "turn on lists in the phone"),
    Row(423, "asked for too short a time", "`Min-Expires` says the least; `subscription_min_s` and its like"),
    Row(
        439,
        "a phone wants its connection kept through a proxy that keeps none",
        "a proxy with RFC 5626, or no outbound in the phone",
    ),
    Row(440, "more forks than a request may have", "fewer phones for one address"),
    Row(480, "the person exists, and no phone of theirs is there now", "`lampyris show registrations`"),
    Row(
        481,
        "no such dialog or subscription: it ended, or the server lost its store",
        "the phone subscribes anew by itself",
    ),
    Row(482, "the request came in a circle", "look at routes and outbound proxies"),
    Row(483, "the request passed too many servers", "as 482"),
    Row(486, "as many calls as `call_limit` allows, or do not disturb", "`lampyris why`, `feature list`"),
    Row(488, "a filter that cannot be done; `Warning` says why", "a fault of whoever sent it"),
    Row(489, "no such event package", "`Allow-Events`, [events](events.md)"),
    Row(
        500,
        "a CSeq older than the last one, or a fault of the server",
        "the second is counted by `lampyris_bugs_total`",
    ),
    Row(501, "a method that is not known", "nothing"),
];

/// Those of a server that is in trouble, or speaks another protocol.
const LAST: [Row; 3] = [
    Row(
        503,
        "too busy, over a limit, or the store cannot be written; `Retry-After` says when to come back",
        "`lampyris status`, `show limits`",
    ),
    Row(505, "not SIP/2.0", "nothing"),
    Row(513, "the message is longer than is taken", "nothing"),
];

fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().chain(&LAST)
}

/// The page.
pub(crate) fn document() -> String {
    let mut out = String::from(
        "## SIP\n\nA refusal says why in its headers: `Warning` in words, and what its status is for beside it.\n\n\
         | status | when | what to do |\n|---|---|---|\n",
    );
    for Row(status, when, fix) in rows() {
        let _ = writeln!(out, "| {status} | {when} | {fix} |");
    }
    out.push_str(
        "\n## Limits\n\nWhat is over one; `lampyris show limits` has the numbers, and how often each was met.\n\n\
         | limit | what is over it | answer |\n|---|---|---|\n",
    );
    for limit in Limit::ALL {
        let answer = match limit.answer() {
            Answer::Status(status) | Answer::Http(status) => status.to_string(),
            Answer::None => "none".to_owned(),
        };
        let _ = writeln!(out, "| `{}` | {} | {answer} |", limit.name(), limit.why());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is answered outside of `reject.rs`: challenges, and do not disturb.
    const ELSEWHERE: [u16; 2] = [401, 407];

    #[test]
    fn every_status_that_is_answered_has_a_row_and_every_row_is_answered() {
        // Why the source: a value of each variant would be another list to forget one in.
        let source = include_str!("reject.rs");
        let table =
            source.split("const fn line(&self)").nth(1).and_then(|rest| rest.split("\n    }\n").next());
        let table = table.expect("the table of statuses");
        let mut answered: Vec<u16> = ELSEWHERE.to_vec();
        answered.extend(table.split("=> (").skip(1).filter_map(|rest| rest.get(..3)?.parse::<u16>().ok()));
        for status in &answered {
            assert!(rows().any(|row| row.0 == *status), "{status} has no row");
        }
        for limit in Limit::ALL {
            if let Answer::Status(status) = limit.answer() {
                assert!(rows().any(|row| row.0 == status), "{status} of {} has no row", limit.name());
            }
        }
        for row in rows() {
            assert!(answered.contains(&row.0), "{} is never answered", row.0);
        }
        assert!(rows().map(|row| row.0).is_sorted());
    }
}
