//! `lampyris mailbox ...`: message counts set by hand (RFC 3842).

use super::client::Client;
use super::failure::Failure;
use super::{Context, Verb, show, text};
use clap::{Args, FromArgMatches};
use lampyris_core::command::Command;
use lampyris_core::journal::Counts;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "mailbox",
    about: "List mailboxes, or set how many messages wait in one",
    examples: &[
        ("mailbox set 100@default 3", "three new messages: the lamp goes on"),
        ("mailbox set 100@default 0 3", "all three are old now: the lamp goes off"),
        ("mailbox set 100@default 3 0 --urgent-new 1", "one of the new ones is urgent"),
        ("mailbox list", "every mailbox and its counts"),
    ],
    args: MailboxArgs::augment_args,
    run: |matches, context| run(&MailboxArgs::from_arg_matches(matches)?.action, context),
};

#[derive(Debug, clap::Args)]
struct MailboxArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Every mailbox and its counts
    List,
    /// Set a mailbox's counts
    Set {
        /// As in 100@default
        mailbox: String,
        /// New messages
        new: u32,
        /// Old messages
        #[arg(default_value_t = 0)]
        old: u32,
        /// New urgent messages
        #[arg(long, default_value_t = 0, value_name = "N")]
        urgent_new: u32,
        /// Old urgent messages
        #[arg(long, default_value_t = 0, value_name = "N")]
        urgent_old: u32,
    },
}

fn run(action: &Action, context: &mut Context<'_>) -> Result<(), Failure> {
    match action {
        Action::List => context.query(Command::Mailboxes, show::mailboxes),
        Action::Set { mailbox, new, old, urgent_new, urgent_old } => {
            let counts = Counts { new: *new, old: *old, urgent_new: *urgent_new, urgent_old: *urgent_old };
            let command = Command::SetMailbox { mailbox: mailbox.clone(), counts };
            let answer = Client::connect(&context.data)?.command(command)?;
            if context.json {
                return context.print_json(&answer);
            }
            context.print(&said(mailbox, counts))
        }
    }
}

fn said(mailbox: &str, counts: Counts) -> String {
    let Counts { new, old, urgent_new, urgent_old } = counts;
    format!("{}: {new}/{old} ({urgent_new}/{urgent_old})\n", text::line(mailbox))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_said_as_in_rfc_3842() {
        let counts = Counts { new: 3, old: 1, urgent_new: 1, urgent_old: 0 };
        assert_eq!(said("100@default", counts), "100@default: 3/1 (1/0)\n");
    }
}
