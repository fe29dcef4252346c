//! `lampyris feature ...`: do not disturb and forwarding of users, as their phones' feature keys set them too.

use super::client::{Client, touched};
use super::failure::Failure;
use super::table::Column;
use super::{Context, Verb, show, span, text};
use clap::{Args, FromArgMatches};
use lampyris_core::command::Command;
use lampyris_core::features::Feature;
use lampyris_core::view;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "feature",
    about: "List, set or clear do not disturb and forwarding of users",
    examples: &[
        ("feature set Bob dnd", "Bob wants no calls; all his phones show it"),
        ("feature set Bob forward-always 6002", "all calls to Bob go to 6002"),
        ("feature set Bob forward-no-answer 6002 --after 20s", "calls that Bob does not answer in time"),
        ("feature clear Bob dnd", "Bob takes calls again"),
        ("feature list", "what is set, by whom and since when"),
    ],
    args: FeatureArgs::augment_args,
    run: |matches, context| run(&FeatureArgs::from_arg_matches(matches)?.action, context),
};

#[derive(Debug, clap::Args)]
struct FeatureArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Every feature that a user has set
    List,
    /// Set a feature of a user
    Set {
        /// As in Bob or bob@example.com
        #[arg(value_name = "USER")]
        user: String,
        /// dnd, forward-always, forward-busy or forward-no-answer
        #[arg(value_name = "FEATURE", value_parser = feature)]
        feature: Feature,
        /// Where calls go: a number or a URI; not for dnd
        #[arg(value_name = "TARGET")]
        target: Option<String>,
        /// When nobody has answered, as in 20s; for forward-no-answer
        #[arg(long, value_name = "SPAN", value_parser = span::parse)]
        after: Option<u64>,
    },
    /// Switch a feature of a user off
    Clear {
        /// As in Bob or bob@example.com
        #[arg(value_name = "USER")]
        user: String,
        /// dnd, forward-always, forward-busy or forward-no-answer
        #[arg(value_name = "FEATURE", value_parser = feature)]
        feature: Feature,
    },
}

fn feature(name: &str) -> Result<Feature, String> {
    Feature::parse(name).ok_or_else(|| {
        let names: Vec<_> = Feature::ALL.iter().map(|feature| feature.name()).collect();
        format!("use one of {}", names.join(", "))
    })
}

fn run(action: &Action, context: &mut Context<'_>) -> Result<(), Failure> {
    match action {
        Action::List => context.query(Command::Features, features),
        Action::Set { user, feature, target, after } => {
            let is_dnd = *feature == Feature::DoNotDisturb;
            if is_dnd != target.is_none() {
                let what = if is_dnd { "dnd has no target" } else { "where calls go is missing" };
                return Err(Failure::Usage(format!("{what}; see `lampyris help feature`")));
            }
            if after.is_some() && *feature != Feature::ForwardNoAnswer {
                return Err(Failure::Usage("--after is for forward-no-answer only".to_owned()));
            }
            let after_s = after.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
            let command = Command::SetFeature {
                user: user.clone(),
                feature: *feature,
                target: target.clone(),
                after_s,
            };
            let value = target.as_deref().unwrap_or("on");
            ordered(context, command, &format!("{} of {user}: {value}", feature.name()))
        }
        Action::Clear { user, feature } => {
            let command = Command::ClearFeature { user: user.clone(), feature: *feature };
            ordered(context, command, &format!("{} of {user}: off", feature.name()))
        }
    }
}

fn ordered(context: &mut Context<'_>, command: Command, said: &str) -> Result<(), Failure> {
    let answer = Client::connect(&context.data)?.command(command)?;
    if context.json {
        return context.print_json(&answer);
    }
    let already = if touched(&answer)? == 0 { " already" } else { "" };
    context.print(&format!("{}{already}\n", text::line(said)))
}

fn features(rows: &[view::Feature], width: Option<usize>) -> String {
    let columns = [
        Column::Text("User"),
        Column::Text("Feature"),
        Column::Text("Value"),
        Column::Number("After"),
        Column::Long("Set by"),
        Column::Number("For"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let after = row.after_s.map(|seconds| span::show(u64::from(seconds)));
            vec![
                row.user.clone(),
                row.feature.name().to_owned(),
                row.value.clone(),
                show::or_dash(after),
                row.by.clone(),
                span::show(row.since_s),
            ]
        })
        .collect();
    show::listed("feature", &columns, &rows, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_listed_with_who_set_them() {
        let row = |feature, value: &str, after_s| view::Feature {
            user: "bob@example.com".into(),
            feature,
            value: value.into(),
            after_s,
            by: "phone at 192.0.2.2:5060".into(),
            since_s: 61,
        };
        let rows = [row(Feature::DoNotDisturb, "on", None), row(Feature::ForwardNoAnswer, "6002", Some(20))];
        assert_eq!(
            features(&rows, None),
            "User             Feature            Value  After  Set by                     For\n\
             bob@example.com  dnd                on         -  phone at 192.0.2.2:5060  1m01s\n\
             bob@example.com  forward-no-answer  6002     20s  phone at 192.0.2.2:5060  1m01s\n\n2 features\n"
        );
        assert_eq!(features(&[], None), "no features\n");
    }
}
