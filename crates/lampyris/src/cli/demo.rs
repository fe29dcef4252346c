//! `lampyris demo`: the server with an office of simulated phones.

use super::failure::Failure;
use super::{Context, Verb};
use crate::demo::{self, DemoOptions};
use clap::{Args, FromArgMatches};

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "demo",
    about: "Run the server with an office of simulated phones on 127.0.0.1, and show their lamps",
    examples: &[
        ("demo", "until Ctrl-C, in a temporary directory"),
        ("demo --seconds 30", "for half a minute"),
    ],
    args: DemoArgs::augment_args,
    run: |matches, context| run(&DemoArgs::from_arg_matches(matches)?, context),
};

#[derive(Debug, clap::Args)]
struct DemoArgs {
    /// End after this many seconds instead of at Ctrl-C
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
}

fn run(args: &DemoArgs, context: &Context<'_>) -> Result<(), Failure> {
    let data = (!context.data_is_default).then(|| context.data.clone());
    demo::run(&DemoOptions { data, seconds: args.seconds })
        .map_err(|error| Failure::Refused(format!("the demo ended: {error:#}")))
}
