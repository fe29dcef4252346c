//! `lampyris allow`, `block`, ...: who may watch a user; `lampyris pending`: who waits to; `lampyris rules`: what was said.

use super::client::{Client, touched};
use super::failure::Failure;
use super::table::{self, Column};
use super::{Context, Verb, show, span, text};
use clap::{Args, FromArgMatches};
use lampyris_core::authz::Handling;
use lampyris_core::command::Command;
use lampyris_core::view;

/// The verb that lets somebody watch.
pub(crate) const ALLOW: Verb = Verb {
    name: "allow",
    about: "Let somebody watch a user: everything, at once and from now on",
    examples: &[
        ("allow alice bob", "bob sees alice's presence and calls"),
        ("allow alice carol@elsewhere.example", "so does somebody of another domain"),
    ],
    args: RuleArgs::augment_args,
    run: |matches, context| run(matches, context, Some(Handling::Allow)),
};

/// The verb that refuses somebody.
pub(crate) const BLOCK: Verb = Verb {
    name: "block",
    about: "Refuse somebody who wants to watch a user, and end what they watch",
    examples: &[("block alice bob", "bob is told that he may not")],
    args: RuleArgs::augment_args,
    run: |matches, context| run(matches, context, Some(Handling::Block)),
};

/// The verb that shows somebody a user who is not there.
pub(crate) const POLITE_BLOCK: Verb = Verb {
    name: "polite-block",
    about: "Show somebody a user who is not there, whatever is true",
    examples: &[("polite-block alice bob", "to bob alice looks offline, and he cannot tell why")],
    args: RuleArgs::augment_args,
    run: |matches, context| run(matches, context, Some(Handling::PoliteBlock)),
};

/// The verb that lets somebody wait.
pub(crate) const CONFIRM: Verb = Verb {
    name: "confirm",
    about: "Let somebody wait until it is decided whether they may watch a user",
    examples: &[("confirm alice bob", "bob is told nothing yet; `lampyris pending` lists him")],
    args: RuleArgs::augment_args,
    run: |matches, context| run(matches, context, Some(Handling::Confirm)),
};

/// The verb that takes back what was said of somebody.
pub(crate) const FORGET: Verb = Verb {
    name: "forget",
    about: "Forget what was said of somebody who watches a user",
    examples: &[("forget alice bob", "of bob holds what holds of everybody")],
    args: RuleArgs::augment_args,
    run: |matches, context| run(matches, context, None),
};

/// The verb that lists who waits.
pub(crate) const PENDING: Verb = Verb {
    name: "pending",
    about: "List who wants to watch and was not decided upon",
    examples: &[("pending", "of everybody"), ("pending alice", "who wants to watch alice")],
    args: PendingArgs::augment_args,
    run: |matches, context| {
        let args = PendingArgs::from_arg_matches(matches)?;
        context.query(Command::Pending(args.user), pending)
    },
};

/// The verb that shows rules.
pub(crate) const RULES: Verb = Verb {
    name: "rules",
    about: "Show the presence rules of a user, or remove them all",
    examples: &[
        ("rules show alice", "who may watch alice, when, and what they are shown"),
        ("rules show alice --json", "with the document (RFC 5025)"),
        ("rules clear alice", "the configured default decides again"),
    ],
    args: RulesArgs::augment_args,
    run: |matches, context| match RulesArgs::from_arg_matches(matches)?.action {
        Action::Show { user } => context.query(Command::Rules(user), rules),
        Action::Clear { user } => clear(context, &user),
    },
};

#[derive(Debug, clap::Args)]
struct RuleArgs {
    /// Who is watched, as in alice or alice@example.com
    #[arg(value_name = "USER")]
    user: String,
    /// Who watches, as in bob or bob@elsewhere.example
    #[arg(value_name = "WATCHER")]
    watcher: String,
}

#[derive(Debug, clap::Args)]
struct PendingArgs {
    /// Who is watched, as in alice or alice@example.com
    #[arg(value_name = "USER")]
    user: Option<String>,
}

#[derive(Debug, clap::Args)]
struct RulesArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// The rules in force, and where they come from
    Show {
        /// As in alice or alice@example.com
        #[arg(value_name = "USER")]
        user: String,
    },
    /// No rules any more: the configured default decides
    Clear {
        /// As in alice or alice@example.com
        #[arg(value_name = "USER")]
        user: String,
    },
}

fn clear(context: &mut Context<'_>, user: &str) -> Result<(), Failure> {
    let answer = Client::connect(&context.data)?.command(Command::ClearRules(user.to_owned()))?;
    if context.json {
        return context.print_json(&answer);
    }
    let said = if touched(&answer)? == 0 { "has none" } else { "cleared" };
    context.print(&format!("rules of {}: {said}\n", text::line(user)))
}

fn run(
    matches: &clap::ArgMatches,
    context: &mut Context<'_>,
    handling: Option<Handling>,
) -> Result<(), Failure> {
    let RuleArgs { user, watcher } = RuleArgs::from_arg_matches(matches)?;
    let command = Command::Rule { user: user.clone(), watcher: watcher.clone(), handling };
    let answer = Client::connect(&context.data)?.command(command)?;
    if context.json {
        return context.print_json(&answer);
    }
    let said = handling.map_or("nothing is said any more", |handling| handling.name());
    let already = if touched(&answer)? == 0 { " already" } else { "" };
    context.print(&format!("{} for {}: {said}{already}\n", text::line(&user), text::line(&watcher)))
}

fn pending(rows: &[view::Pending], width: Option<usize>) -> String {
    let columns = [
        Column::Text("User"),
        Column::Text("Watcher"),
        Column::Text("Package"),
        Column::Text("Status"),
        Column::Number("For"),
        Column::Number("Left"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                row.user.clone(),
                row.watcher.clone(),
                row.package.clone(),
                row.status.clone(),
                span::show(row.since_s),
                show::or_dash(row.expires_s.map(span::show)),
            ]
        })
        .collect();
    show::listed("watcher", &columns, &rows, width)
}

fn rules(rows: &[view::Rules], width: Option<usize>) -> String {
    let Some(row) = rows.first() else {
        return "no rules: the configured default decides\n".to_owned();
    };
    let since = row.since_s.map(|since| format!(", changed {} ago", span::show(since))).unwrap_or_default();
    let sphere = row.sphere.as_ref().map(|sphere| format!(", in sphere {}", text::line(sphere)));
    let mut out =
        format!("{}: by {}{since}{}\n", text::line(&row.user), row.source, sphere.unwrap_or_default());
    if let Some(error) = &row.error {
        out.push_str(&format!("cannot be read, so nobody may watch: {}\n", text::line(error)));
        return out;
    }
    let columns =
        [Column::Text("Rule"), Column::Text("Gives"), Column::Long("Shows"), Column::Long("Applies to")];
    let rows: Vec<_> = row
        .rules
        .iter()
        .map(|rule| vec![rule.id.clone(), rule.handling.clone(), rule.shows.clone(), rule.applies_to.clone()])
        .collect();
    out.push_str(&format!("\n{}", table::render(&columns, &rows, width)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_shown_with_whom_they_are_for() {
        let rule = |id: &str, handling: &str, shows: &str, applies_to: &str| view::Rule {
            id: id.into(),
            applies_to: applies_to.into(),
            handling: handling.into(),
            shows: shows.into(),
        };
        let row = view::Rules {
            user: "alice@example.com".into(),
            source: "command".into(),
            error: None,
            since_s: Some(61),
            sphere: Some("work".into()),
            rules: vec![
                rule("configured", "as configured", "-", "everybody but sip:bob@example.com"),
                rule("allow", "allow", "everything", "sip:bob@example.com"),
            ],
            document: String::new(),
        };
        assert_eq!(
            rules(std::slice::from_ref(&row), None),
            "alice@example.com: by command, changed 1m01s ago, in sphere work\n\n\
             Rule        Gives          Shows       Applies to\n\
             configured  as configured  -           everybody but sip:bob@example.com\n\
             allow       allow          everything  sip:bob@example.com\n"
        );
        let broken = view::Rules { error: Some("no element".into()), ..row };
        assert!(rules(&[broken], None).contains("nobody may watch: no element"));
        assert_eq!(rules(&[], None), "no rules: the configured default decides\n");
    }

    #[test]
    fn who_waits_is_listed() {
        let row = view::Pending {
            user: "alice@example.com".into(),
            watcher: "bob".into(),
            package: "presence".into(),
            status: "pending".into(),
            since_s: 61,
            expires_s: Some(3600),
        };
        assert_eq!(
            pending(&[row], None),
            "User               Watcher  Package   Status     For   Left\n\
             alice@example.com  bob      presence  pending  1m01s  1h00m\n\n1 watcher\n"
        );
    }
}
