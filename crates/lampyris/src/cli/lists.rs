//! `lampyris lists` and `lampyris show list`: which lists there are, who is in one, and what its watchers were told.

use super::failure::Failure;
use super::show::{left, listed, or_dash};
use super::table::{self, Column};
use super::{Context, Verb, client, text};
use lampyris_core::command::Command;
use lampyris_core::view;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "lists",
    about: "Show every list: configured, somebody's own, a whole domain, or brought along by its watcher",
    examples: &[
        ("lists", "every list and how many watch it"),
        ("show list board", "who is in the list `board`"),
    ],
    args: |command| command,
    run: |_, context| context.query(Command::Lists, lists),
};

/// Every list.
pub(super) fn lists(rows: &[view::List], width: Option<usize>) -> String {
    let columns = [
        Column::Text("List"),
        Column::Text("URI"),
        Column::Text("Source"),
        Column::Number("Members"),
        Column::Number("Watchers"),
        Column::Text("Packages"),
        Column::Long("Name"),
    ];
    let row = |row: &view::List| {
        let packages = if row.packages.is_empty() { "all".to_owned() } else { row.packages.join(", ") };
        let numbers = [row.members.to_string(), row.watchers.to_string(), packages, row.display.clone()];
        [called(row), row.uri.clone(), row.source.clone()].into_iter().chain(numbers).collect()
    };
    listed("list", &columns, &rows.iter().map(row).collect::<Vec<_>>(), width)
}

/// What people call it: a whole domain has no name of its own.
fn called(list: &view::List) -> String {
    list.whole_domain().map_or_else(|| list.name.clone(), |domain| format!("whole domain {domain}"))
}

/// One list.
pub(super) fn show(name: &str, context: &mut Context<'_>) -> Result<(), Failure> {
    let answer = client::Client::connect(&context.data)?.command(Command::List(name.to_owned()))?;
    if context.json {
        return context.print_json(&answer);
    }
    let detail: view::ListDetail = client::decode(answer)?;
    let text = one(&detail, context.width);
    context.print(&text)
}

fn one(detail: &view::ListDetail, width: Option<usize>) -> String {
    let list = &detail.list;
    let mut out =
        format!("{}: {}, {}\n", text::line(&called(list)), text::line(&list.uri), text::line(&list.source));
    let columns = [Column::Text("Member"), Column::Text("Is"), Column::Text("State"), Column::Long("Name")];
    let row = |row: &view::ListMember| {
        let is = match (&row.resource, &row.asked_at) {
            (Some(resource), _) => resource.clone(),
            (None, Some(server)) => format!("on another server, asked at {server}"),
            (None, None) if row.is_elsewhere => "on another server".to_owned(),
            (None, None) => "not there".to_owned(),
        };
        vec![row.uri.clone(), is, or_dash(row.state.as_ref()), row.name.clone()]
    };
    let rows: Vec<_> = detail.members.iter().map(row).collect();
    out.push_str(&format!("\n{}", listed("member", &columns, &rows, width)));
    if detail.is_cut {
        out.push_str("more are in it than are taken\n");
    }
    if detail.watchers.is_empty() {
        out.push_str("\nnobody watches\n");
        return out;
    }
    let columns = [
        Column::Text("Watcher"),
        Column::Text("Address"),
        Column::Text("Package"),
        Column::Number("Told"),
        Column::Number("Pending"),
        Column::Number("Refused"),
        Column::Number("Version"),
        Column::Number("NOTIFYs"),
        Column::Text("Answer"),
        Column::Number("Left"),
        Column::Long("Sent"),
    ];
    let row = |row: &view::ListWatcher| {
        let numbers = [row.told, row.pending, row.refused].map(|number| number.to_string());
        let texts = [row.watcher.clone(), row.address.clone(), row.package.clone()];
        let last = [
            row.version.to_string(),
            row.notifies.to_string(),
            or_dash(row.answer),
            left(row.expires_s),
            or_dash(row.fit.as_ref()),
        ];
        texts.into_iter().chain(numbers).chain(last).collect()
    };
    let rows: Vec<_> = detail.watchers.iter().map(row).collect();
    out.push_str(&format!("\n{}", table::render(&columns, &rows, width)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_shown_with_its_members_and_watchers() {
        let list = view::List {
            name: "list:board@example.com".into(),
            uri: "sip:board@example.com".into(),
            source: "configured".into(),
            members: 2,
            watchers: 1,
            ..view::List::default()
        };
        assert!(lists(std::slice::from_ref(&list), None).ends_with("\n1 list\n"));
        assert_eq!(lists(&[], None), "no lists\n");
        let whole =
            view::List { name: "list:@example.com".into(), uri: "sip:example.com".into(), ..list.clone() };
        let text = lists(&[whole], None);
        assert!(
            text.contains("whole domain example.com  sip:example.com") && !text.contains("list:@"),
            "{text}"
        );
        let member = |uri: &str, resource: Option<&str>, is_elsewhere| view::ListMember {
            uri: uri.into(),
            name: String::new(),
            resource: resource.map(str::to_owned),
            is_elsewhere,
            asked_at: None,
            state: resource.map(|_| "Idle".into()),
        };
        let members = vec![
            member("sip:6001@example.com", Some("6001@default"), false),
            member("sip:eve@elsewhere.example", None, true),
        ];
        let watcher = view::ListWatcher {
            watcher: "alice".into(),
            address: "192.0.2.1:5060".into(),
            package: "dialog".into(),
            told: 2,
            pending: 0,
            refused: 0,
            version: 7,
            notifies: 8,
            answer: Some(200),
            fit: None,
            expires_s: 61,
        };
        let text = one(&view::ListDetail { list, is_cut: false, members, watchers: vec![watcher] }, None);
        for line in ["6001@default", "on another server", "alice", "1m01s", "2 members"] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
