//! `lampyris upgrade`: a new process, maybe of a new version, goes on with the sockets and the store of the running one.

use super::client::{Client, unexpected};
use super::failure::Failure;
use super::{Context, Verb};
use crate::admin::protocol::{Request, Response, Upgraded};
use clap::{Args, FromArgMatches};
use std::path::PathBuf;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "upgrade",
    about: "Replace the running server by a new process that goes on with its sockets and its store",
    examples: &[
        ("upgrade", "after the program's file was replaced, or the sockets in the configuration changed"),
        ("upgrade --program /opt/lampyris/lampyris", "with another file than the server was started from"),
    ],
    args: UpgradeArgs::augment_args,
    run: |matches, context| run(UpgradeArgs::from_arg_matches(matches)?, context),
};

#[derive(Debug, clap::Args)]
struct UpgradeArgs {
    /// The program to start, instead of the file that the server was started from
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

fn run(args: UpgradeArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut client = Client::connect(&context.data)?;
    // Every step of it has its own bound, at the server.
    client.wait_for_ever()?;
    let upgraded = match client.request(&Request::Upgrade { program: args.program })? {
        Response::Upgraded(upgraded) => upgraded,
        other => return Err(unexpected(&other)),
    };
    if context.json {
        let value = serde_json::to_value(&upgraded).map_err(|error| Failure::Refused(error.to_string()))?;
        return context.print_json(&value);
    }
    context.print(&render(&upgraded))
}

fn render(upgraded: &Upgraded) -> String {
    let Upgraded { from, to, pid, restored, connections, gap_ms } = upgraded;
    format!(
        "upgraded from {from} to {to}, now process {pid}\n\
         {restored} records taken over, {connections} TCP connections kept\n\
         nothing was answered for {gap_ms} ms; what came meanwhile has waited\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::{Fake, context};
    use super::*;

    #[test]
    fn it_says_how_long_it_took() {
        let answer = r#"{"upgraded":{"from":"0.1.0","to":"0.2.0","pid":42,"restored":7,"connections":3,"gap_ms":120}}"#;
        let fake = Fake::answering("upgrade", &[answer]);
        let mut out = Vec::new();
        let mut context = context(&fake.data, false, &mut out);
        run(UpgradeArgs { program: Some("/new".into()) }, &mut context).expect("upgraded");
        let out = String::from_utf8(out).expect("text");
        assert_eq!(
            out,
            "upgraded from 0.1.0 to 0.2.0, now process 42\n7 records taken over, 3 TCP connections kept\n\
             nothing was answered for 120 ms; what came meanwhile has waited\n"
        );
        assert_eq!(fake.asked(), [r#"{"upgrade":{"program":"/new"}}"#]);
    }
}
