//! `lampyris presence ...`: what people say of themselves, set by hand for one or all of their phones at once.

use super::client::{Client, touched};
use super::failure::Failure;
use super::table::{self, Column};
use super::{Context, Verb, show, span, text};
use clap::{Args, FromArgMatches};
use lampyris_core::command::Command;
use lampyris_core::manual_status::Status;
use lampyris_core::view;
use std::path::{Path, PathBuf};

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "presence",
    about: "Show people, and set or clear what they say of themselves",
    examples: &[
        (
            "presence set bob away --note Lunch --for 30m",
            "whoever watches any of Bob's names sees it, for half an hour",
        ),
        ("presence set bob dnd", "Bob wants no calls; all his phones refuse them"),
        ("presence clear bob", "what the phones say counts again"),
        (
            "presence document bob vacation.xml",
            "a presence document (RFC 3863) that holds for Bob where nobody publishes otherwise",
        ),
        ("presence document bob", "prints it; --remove removes it"),
        ("presence show bob", "Bob's names, devices, mailboxes and status"),
        ("presence show", "all people, and whoever has a status"),
    ],
    args: PresenceArgs::augment_args,
    run: |matches, context| run(&PresenceArgs::from_arg_matches(matches)?.action, context),
};

#[derive(Debug, clap::Args)]
struct PresenceArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Set what a person says of themselves
    Set {
        /// As in bob or bob@example.com
        #[arg(value_name = "PERSON")]
        person: String,
        /// available, dnd, offline, or an activity of RFC 4480 as in away, busy, meeting, vacation
        #[arg(value_name = "STATUS", value_parser = status)]
        status: Status,
        /// In the person's own words
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// How long, as in 90s, 10m, 1h30m, 2d; until it is cleared where not given
        #[arg(long = "for", value_name = "SPAN", value_parser = span::parse)]
        for_s: Option<u64>,
    },
    /// Forget what a person said
    Clear {
        /// As in bob or bob@example.com
        #[arg(value_name = "PERSON")]
        person: String,
    },
    /// What holds of a person where nobody publishes otherwise: a presence document, kept over a restart
    Document {
        /// As in bob or bob@example.com
        #[arg(value_name = "PERSON")]
        person: String,
        /// A file with the document (RFC 3863), or - for standard input; without it the one that holds is printed
        #[arg(value_name = "FILE", conflicts_with = "remove")]
        file: Option<PathBuf>,
        /// Remove it
        #[arg(long)]
        remove: bool,
    },
    /// A person in full, or a list of all
    Show {
        /// As in bob or bob@example.com
        #[arg(value_name = "PERSON")]
        person: Option<String>,
    },
}

fn status(name: &str) -> Result<Status, String> {
    Status::parse(name).ok_or_else(|| {
        let names = Status::names();
        match crate::config::did_you_mean(name, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("use one of {}", names.join(", ")),
        }
    })
}

fn run(action: &Action, context: &mut Context<'_>) -> Result<(), Failure> {
    match action {
        Action::Set { person, status, note, for_s } => {
            let command = Command::SetStatus {
                person: person.clone(),
                status: status.name().to_owned(),
                note: note.clone(),
                for_s: *for_s,
            };
            let answer = Client::connect(&context.data)?.command(command)?;
            if context.json {
                return context.print_json(&answer);
            }
            let time = for_s.map(|seconds| format!(" for {}", span::show(seconds))).unwrap_or_default();
            context.print(&format!("{} is {}{time}\n", text::line(person), status.name()))
        }
        Action::Clear { person } => {
            let answer =
                Client::connect(&context.data)?.command(Command::ClearStatus { person: person.clone() })?;
            if context.json {
                return context.print_json(&answer);
            }
            let said = if touched(&answer)? == 0 { "had no status" } else { "has no status any more" };
            context.print(&format!("{} {said}\n", text::line(person)))
        }
        Action::Document { person, file: None, remove: false } => {
            context.query(Command::Document(person.clone()), |rows: &[view::Document], _| {
                let text = rows.first().map(|row| row.document.trim_end());
                format!("{}\n", text.unwrap_or("no document: what sources say is all there is"))
            })
        }
        Action::Document { person, file, .. } => {
            let document = file.as_deref().map(read).transpose()?;
            let command = Command::SetDocument { person: person.clone(), document };
            let answer = Client::connect(&context.data)?.command(command)?;
            if context.json {
                return context.print_json(&answer);
            }
            let said = match (touched(&answer)?, file) {
                (0, _) => "had no document",
                (_, None) => "has no document any more",
                (_, Some(_)) => "has a document that holds where nobody publishes otherwise",
            };
            context.print(&format!("{} {said}\n", text::line(person)))
        }
        Action::Show { person: None } => context.query(Command::People(None), list),
        Action::Show { person } => context.query(Command::People(person.clone()), |rows, _| {
            rows.iter().map(one).collect::<Vec<_>>().join("\n")
        }),
    }
}

/// A document's text.
fn read(path: &Path) -> Result<String, Failure> {
    let text = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(path),
    };
    text.map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))
}

fn list(rows: &[view::Person], width: Option<usize>) -> String {
    let columns = [
        Column::Text("Person"),
        Column::Text("Name"),
        Column::Text("Lamp"),
        Column::Text("Status"),
        Column::Long("Note"),
        Column::Number("For"),
        Column::Number("Left"),
    ];
    let row = |row: &view::Person| {
        vec![
            row.person.clone(),
            row.display.clone(),
            row.lamp.clone(),
            show::or_dash(row.status.clone()),
            row.note.clone().unwrap_or_default(),
            show::or_dash(row.since_s.map(span::show)),
            show::or_dash(row.left_s.map(span::show)),
        ]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    if rows.is_empty() {
        return "no people are configured, and nobody has a status\n".to_owned();
    }
    table::render(&columns, &rows, width)
}

fn one(person: &view::Person) -> String {
    let mut status = person.status.clone().unwrap_or_else(|| "not set".to_owned());
    if let Some(since) = person.since_s {
        status.push_str(&format!(", for {}", span::show(since)));
    }
    if let Some(left) = person.left_s {
        status.push_str(&format!(", {} left", span::show(left)));
    }
    let rows = [
        ("Person", person.person.clone()),
        ("Name", person.display.clone()),
        ("Lamp", person.lamp.clone()),
        ("Status", status),
        ("Note", person.note.clone().unwrap_or_default()),
        ("Calls", if person.do_not_disturb { "refused (do not disturb)" } else { "" }.to_owned()),
        ("Names", person.names.join(", ")),
        ("Devices", person.devices.join(", ")),
        ("Mailboxes", person.mailboxes.join(", ")),
    ];
    let said = rows.iter().filter(|(_, value)| !value.is_empty());
    said.map(|(name, value)| format!("{name:<9}  {}\n", text::line(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bob() -> view::Person {
        view::Person {
            person: "bob@example.com".into(),
            display: "Bob Baker".into(),
            lamp: "InUse".into(),
            presence: "not_set".into(),
            status: Some("away".into()),
            note: Some("Lunch".into()),
            since_s: Some(61),
            left_s: Some(1739),
            do_not_disturb: false,
            names: vec!["bob-desk@example.com".into(), "6001@default".into()],
            devices: vec!["SIP/bob-desk INUSE".into()],
            mailboxes: Vec::new(),
        }
    }

    #[test]
    fn a_person_is_shown_in_full_and_in_a_list() {
        assert_eq!(
            one(&bob()),
            "Person     bob@example.com\nName       Bob Baker\nLamp       InUse\n\
             Status     away, for 1m01s, 28m59s left\nNote       Lunch\n\
             Names      bob-desk@example.com, 6001@default\nDevices    SIP/bob-desk INUSE\n"
        );
        assert_eq!(
            list(&[bob()], None),
            "Person           Name       Lamp   Status  Note     For    Left\n\
             bob@example.com  Bob Baker  InUse  away    Lunch  1m01s  28m59s\n"
        );
    }

    #[test]
    fn a_mistyped_status_is_put_right() {
        assert_eq!(status("awya"), Err("did you mean away?".to_owned()));
        assert_eq!(status("dnd"), Ok(Status::DoNotDisturb));
    }
}
