//! Which subscriptions `nudge` and `drop` mean.

use super::Context;
use super::client::{Client, touched};
use super::failure::Failure;
use lampyris_core::command::{Command, Selector};

/// All given parts must match; at least one, or `--all`, must be given.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct SelectorArgs {
    /// The watched extension or user, exactly, as in 6001
    #[arg(value_name = "RESOURCE")]
    resource: Option<String>,
    /// The watcher's peer name, exactly
    #[arg(long, value_name = "PEER")]
    watcher: Option<String>,
    /// The first characters of the Call-ID
    #[arg(long, value_name = "PREFIX")]
    call_id: Option<String>,
    /// Every subscription
    #[arg(long, conflicts_with_all = ["resource", "watcher", "call_id"])]
    all: bool,
}

impl SelectorArgs {
    fn selector(&self) -> Selector {
        Selector {
            resource: self.resource.clone(),
            watcher: self.watcher.clone(),
            call_id: self.call_id.clone(),
        }
    }
}

/// Sends the command for the selected subscriptions and says how many it touched; none is a refusal.
pub(super) fn run(
    args: &SelectorArgs,
    context: &mut Context<'_>,
    command: fn(Selector) -> Command,
    done: &str,
) -> Result<(), Failure> {
    let answer = Client::connect(&context.data)?.command(command(args.selector()))?;
    match touched(&answer)? {
        0 => Err(Failure::Refused(
            "no subscription matches; `lampyris show subscriptions` lists them".to_owned(),
        )),
        _ if context.json => context.print_json(&answer),
        1 => context.print(&format!("1 subscription {done}\n")),
        count => context.print(&format!("{count} subscriptions {done}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: SelectorArgs,
    }

    #[test]
    fn something_must_be_selected() {
        let selector = |resource: Option<&str>, watcher: Option<&str>, call_id: Option<&str>| Selector {
            resource: resource.map(str::to_owned),
            watcher: watcher.map(str::to_owned),
            call_id: call_id.map(str::to_owned),
        };
        let rows = [
            ("nudge 6001", Some(selector(Some("6001"), None, None))),
            ("nudge 6001 --watcher Alice", Some(selector(Some("6001"), Some("Alice"), None))),
            ("nudge --call-id ab", Some(selector(None, None, Some("ab")))),
            ("nudge --all", Some(Selector::default())),
            ("nudge", None),
            ("nudge 6001 --all", None),
        ];
        for (line, expected) in rows {
            let found = Line::try_parse_from(line.split(' ')).ok().map(|line| line.args.selector());
            assert_eq!(found, expected, "{line}");
        }
    }
}
