//! `lampyris gateways`: what we watch and publish at servers elsewhere, where we register, and how each of it is.

use super::Verb;
use super::show::{listed, or_dash};
use super::table::Column;
use lampyris_core::command::Command;
use lampyris_core::view;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "gateways",
    about: "Show what is watched and published at other servers: state, time left, what went wrong",
    examples: &[
        ("gateways", "every registration, subscription and publication at a gateway, in FreeSWITCH's states"),
        ("gateways --json", "for programs"),
    ],
    args: |command| command,
    run: |_, context| context.query(Command::Gateways, table),
};

fn table(rows: &[view::Gateway], width: Option<usize>) -> String {
    let columns = [
        Column::Text("Gateway"),
        Column::Text("What"),
        Column::Long("Where"),
        Column::Text("State"),
        Column::Number("Expires"),
        Column::Number("NOTIFYs"),
        Column::Number("Sources"),
        Column::Long("Trouble"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let what = if row.list { format!("{} list", row.what) } else { row.what.clone() };
            let state = if row.pending { format!("{} pending", row.state) } else { row.state.clone() };
            vec![
                row.gateway.clone(),
                what,
                if row.on_behalf.is_empty() {
                    row.uri.clone()
                } else {
                    format!("{} for {}", row.uri, row.on_behalf)
                },
                state,
                or_dash(row.expires_s.map(super::span::show)),
                row.notifies.to_string(),
                row.sources.to_string(),
                if row.trouble.is_empty() { "-".to_owned() } else { row.trouble.clone() },
            ]
        })
        .collect();
    listed("line", &columns, &rows, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_wrong() {
        let row = view::Gateway {
            gateway: "fs2".into(),
            what: "presence".into(),
            list: true,
            uri: "sip:team@example.net".into(),
            state: "FAIL_WAIT".into(),
            pending: false,
            since: lampyris_core::time::UnixTime::from_millis(0),
            expires_s: None,
            notifies: 3,
            sources: 0,
            call_id: "c1".into(),
            on_behalf: String::new(),
            trouble: "404 Not Found".into(),
        };
        let text = table(std::slice::from_ref(&row), None);
        for part in ["fs2", "presence list", "sip:team@example.net", "FAIL_WAIT", "404 Not Found", "1 line\n"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(table(&[], None), "no lines\n");
    }
}
