//! `lampyris why EXTEN`: which sources a lamp has, which won, and who was told.

use super::failure::Failure;
use super::show::{asks, left};
use super::table::{self, Column};
use super::{Context, Verb, client, span, text};
use clap::{Args, FromArgMatches};
use lampyris_core::command::Command;
use lampyris_core::view;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "why",
    about: "Explain a lamp: its sources, which one won and since when, who watches and what each was told",
    examples: &[
        ("why 6001", "the lamp of extension 6001"),
        ("why bob", "a person: which source of presence won, and why"),
    ],
    args: WhyArgs::augment_args,
    run: |matches, context| run(&WhyArgs::from_arg_matches(matches)?, context),
};

#[derive(Debug, clap::Args)]
struct WhyArgs {
    /// An extension as in 6001 or 6001@default, or a person as in alice@example.com
    #[arg(value_name = "EXTEN")]
    extension: String,
}

fn run(args: &WhyArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let answer = client::Client::connect(&context.data)?.command(Command::Why(args.extension.clone()))?;
    let rows: Vec<view::Why> = client::decode(answer.clone())?;
    if rows.is_empty() {
        return Err(Failure::Refused(format!(
            "nothing is known of `{}`; `lampyris show hints` lists every extension with a lamp",
            args.extension
        )));
    }
    if context.json {
        return context.print_json(&answer);
    }
    let text = render(&rows, context.width);
    context.print(&text)
}

pub(crate) fn render(rows: &[view::Why], width: Option<usize>) -> String {
    let parts: Vec<String> = rows.iter().map(|why| one(why, width)).collect();
    parts.join("\n")
}

fn one(why: &view::Why, width: Option<usize>) -> String {
    let mut out = format!(
        "{}: {}, for {}\n",
        text::line(&why.resource),
        text::line(&why.state),
        span::show(why.since_s)
    );
    if why.sources.is_empty() {
        out.push_str("\nno sources\n");
    } else {
        let columns = [
            Column::Text(""),
            Column::Long("Source"),
            Column::Text("Says"),
            Column::Long("Because"),
            Column::Number("For"),
            Column::Number("Left"),
        ];
        let rows: Vec<_> = why.sources.iter().map(source).collect();
        out.push_str(&format!("\n{}", table::render(&columns, &rows, width)));
    }
    if let Some(presence) = &why.presence {
        out.push_str(&composition(presence, width));
    }
    if why.watchers.is_empty() {
        out.push_str("\nnobody watches\n");
    } else {
        let columns = [
            Column::Text("Watcher"),
            Column::Text("Address"),
            Column::Text("Package"),
            Column::Text("Told"),
            Column::Number("CSeq"),
            Column::Long("Answered"),
            Column::Number("Left"),
            Column::Long("Asks"),
        ];
        let rows: Vec<_> = why.watchers.iter().map(watcher).collect();
        out.push_str(&format!("\n{}", table::render(&columns, &rows, width)));
    }
    if !why.classes.is_empty() {
        let columns = [
            Column::Text("Package"),
            Column::Text("Gets"),
            Column::Long("Is shown"),
            Column::Long("By"),
            Column::Long("Watchers"),
        ];
        let rows: Vec<_> = why.classes.iter().map(class).collect();
        out.push_str(&format!("\n{}", table::render(&columns, &rows, width)));
    }
    if !why.published.is_empty() {
        let columns = [
            Column::Text("Published at"),
            Column::Text("Package"),
            Column::Long("As"),
            Column::Text("State"),
            Column::Number("For"),
            Column::Long("Because"),
        ];
        let rows: Vec<_> = why.published.iter().map(published).collect();
        out.push_str(&format!("\n{}", table::render(&columns, &rows, width)));
    }
    out
}

fn published(row: &view::Published) -> Vec<String> {
    vec![
        row.gateway.clone(),
        row.package.clone(),
        row.uri.clone(),
        row.state.clone(),
        span::show(row.since_s),
        if row.because.is_empty() { "-".to_owned() } else { row.because.clone() },
    ]
}

/// Which policy weighs the sources of a presence, and what it made of each.
fn composition(presence: &view::Composition, width: Option<usize>) -> String {
    let whose = if presence.person.is_empty() { String::new() } else { format!(" of {}", presence.person) };
    let base = match presence.base == presence.policy {
        true => String::new(),
        false => format!(" ({})", presence.base),
    };
    let head = format!(
        "\nPresence{}, by policy {}{base}: {}\n",
        text::line(&whose),
        text::line(&presence.policy),
        text::line(&presence.shows)
    );
    if presence.sources.is_empty() {
        return head;
    }
    let columns = [
        Column::Text(""),
        Column::Text("Kind"),
        Column::Long("Source"),
        Column::Long("Says"),
        Column::Long("Because"),
        Column::Number("For"),
        Column::Number("Left"),
    ];
    let row = |row: &view::PresenceSource| {
        let mut cells = source(&row.source);
        cells.insert(1, row.kind.clone());
        cells
    };
    let rows: Vec<_> = presence.sources.iter().map(row).collect();
    head + &table::render(&columns, &rows, width)
}

fn class(class: &view::WatcherClass) -> Vec<String> {
    vec![
        class.package.clone(),
        class.handling.clone(),
        class.sees.clone(),
        class.because.clone(),
        class.watchers.join(", "),
    ]
}

fn source(source: &view::Source) -> Vec<String> {
    vec![
        if source.won { "*" } else { "" }.to_owned(),
        source.name.clone(),
        source.state.clone(),
        source.because.clone(),
        span::show(source.since_s),
        source.expires_s.map_or_else(|| "-".to_owned(), span::show),
    ]
}

fn watcher(watcher: &view::Watcher) -> Vec<String> {
    let answered = match (watcher.answer, watcher.answered_s) {
        (None, _) => "not yet".to_owned(),
        (Some(status), None) => status.to_string(),
        (Some(status), Some(ago)) => format!("{status}, {} ago", span::show(ago)),
    };
    let answered = match &watcher.fit {
        None => answered,
        Some(fit) => format!("{answered}; {fit}"),
    };
    let answered = match &watcher.unsent {
        None => answered,
        Some(unsent) => format!("{answered}; {unsent}"),
    };
    vec![
        watcher.watcher.clone(),
        watcher.address.clone(),
        watcher
            .list
            .as_ref()
            .map_or_else(|| watcher.package.clone(), |list| format!("{} in {list}", watcher.package)),
        watcher.told.clone().unwrap_or_else(|| "-".to_owned()),
        watcher.cseq.to_string(),
        answered,
        left(watcher.expires_s),
        asks(watcher.pace.as_deref(), watcher.filter.as_deref()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lamp() -> view::Why {
        let source =
            |name: &str, state: &str, because: &str, won: bool, expires_s: Option<u64>| view::Source {
                name: name.into(),
                state: state.into(),
                because: because.into(),
                won,
                since_s: 61,
                expires_s,
            };
        let watcher = |name: &str, answer: Option<u16>, answered_s: Option<u64>| view::Watcher {
            watcher: name.into(),
            address: "10.0.0.7:5060".into(),
            list: None,
            package: "dialog".into(),
            told: answer.map(|_| "Busy".into()),
            fit: None,
            unsent: None,
            cseq: 104,
            answer,
            answered_s,
            expires_s: 1800,
            pace: answered_s.map(|_| "min-rate=0.1".into()),
            filter: None,
        };
        view::Why {
            resource: "6001@default".into(),
            state: "Busy".into(),
            since_s: 61,
            sources: vec![
                source("SIP/Bob-desk", "BUSY", "1 call published by Bob-desk", true, Some(3600)),
                source("SIP/Bob-mobile", "UNAVAILABLE", "not registered", false, None),
            ],
            presence: None,
            watchers: vec![
                watcher("Alice", Some(200), Some(60)),
                view::Watcher { fit: Some("shortened".into()), ..watcher("Carol", None, None) },
            ],
            classes: vec![view::WatcherClass {
                package: "dialog".into(),
                watchers: vec!["Alice".into(), "Carol".into()],
                handling: "allow".into(),
                sees: "everything".into(),
                because: "the default".into(),
            }],
            published: Vec::new(),
        }
    }

    #[test]
    fn state_sources_and_watchers() {
        assert_eq!(
            render(&[lamp()], None),
            "6001@default: Busy, for 1m01s\n\
             \n\
             \x20  Source          Says         Because                         For   Left\n\
             *  SIP/Bob-desk    BUSY         1 call published by Bob-desk  1m01s  1h00m\n\
             \x20  SIP/Bob-mobile  UNAVAILABLE  not registered                1m01s      -\n\
             \n\
             Watcher  Address        Package  Told  CSeq  Answered              Left  Asks\n\
             Alice    10.0.0.7:5060  dialog   Busy   104  200, 1m00s ago      30m00s  min-rate=0.1\n\
             Carol    10.0.0.7:5060  dialog   -      104  not yet; shortened  30m00s  -\n\
             \n\
             Package  Gets   Is shown    By           Watchers\n\
             dialog   allow  everything  the default  Alice, Carol\n"
        );
    }

    #[test]
    fn a_presence_tells_its_policy_winners_and_losers() {
        let row = |kind: &str, won, because: &str| view::PresenceSource {
            kind: kind.into(),
            source: view::Source { won, because: because.into(), ..lamp().sources[1].clone() },
        };
        let presence = view::Composition {
            person: "bob@example.com".into(),
            policy: "office".into(),
            base: "latest".into(),
            shows: "open, meeting".into(),
            sources: vec![
                row("manual", true, "spoke last"),
                row("registration", false, "another device beats it"),
            ],
        };
        assert_eq!(
            composition(&presence, None),
            "\nPresence of bob@example.com, by policy office (latest): open, meeting\n\
             \x20  Kind          Source          Says         Because                    For  Left\n\
             *  manual        SIP/Bob-mobile  UNAVAILABLE  spoke last               1m01s     -\n\
             \x20  registration  SIP/Bob-mobile  UNAVAILABLE  another device beats it  1m01s     -\n"
        );
    }

    #[test]
    fn a_lamp_without_sources_or_watchers() {
        let bare = view::Why { sources: Vec::new(), watchers: Vec::new(), classes: Vec::new(), ..lamp() };
        assert_eq!(
            render(&[bare.clone(), bare], None),
            "6001@default: Busy, for 1m01s\n\nno sources\n\nnobody watches\n\
             \n6001@default: Busy, for 1m01s\n\nno sources\n\nnobody watches\n"
        );
    }
}
