//! `lampyris nudge`: send the current state again.

use super::Verb;
use super::selector::{self, SelectorArgs};
use clap::{Args, FromArgMatches};
use lampyris_core::command::Command;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "nudge",
    about: "Send the current state again to the subscriptions that match",
    examples: &[
        ("nudge 6001", "to everybody who watches 6001"),
        ("nudge 6001 --watcher Alice", "to Alice only"),
        ("nudge --all", "to everybody"),
    ],
    args: SelectorArgs::augment_args,
    run: |matches, context| {
        selector::run(&SelectorArgs::from_arg_matches(matches)?, context, Command::Nudge, "nudged")
    },
};
