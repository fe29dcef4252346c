//! `lampyris drop`: end subscriptions so that the phones subscribe again (RFC 6665 §4.1.3, `deactivated`).

use super::Verb;
use super::selector::{self, SelectorArgs};
use clap::{Args, FromArgMatches};
use lampyris_core::command::Command;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "drop",
    about: "End the subscriptions that match; their phones are told to subscribe again",
    examples: &[
        ("drop --watcher Alice", "all of Alice's"),
        ("drop 6001", "everybody's who watches 6001"),
        ("drop --call-id ZjE2ZDAw", "the one whose Call-ID starts like this"),
    ],
    args: SelectorArgs::augment_args,
    run: |matches, context| {
        selector::run(&SelectorArgs::from_arg_matches(matches)?, context, Command::Drop, "dropped")
    },
};
