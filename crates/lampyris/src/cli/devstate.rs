//! `lampyris devstate ...`: device states set by hand, and Asterisk's `devstate list|change`.
//!
//! A device that nothing provides (`Custom:`, `park:`, `Queue:`, ...) simply gets the state; on a device that has a
//! provider it is an override, until `clear` or the end of `--for`.

use super::client::{Client, decode, touched};
use super::failure::Failure;
use super::{Context, Verb, asterisk, show, span, text};
use clap::{Args, FromArgMatches};
use lampyris_core::command::Command;
use lampyris_core::view;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "devstate",
    about: "List, set or clear device states by hand (Asterisk's devstate list and change work too)",
    examples: &[
        ("devstate set Custom:night inuse", "switch the night lamp on"),
        ("devstate set SIP/Bob-desk busy --for 10m", "override what the phone says, for ten minutes"),
        ("devstate clear SIP/Bob-desk", "believe the phone again"),
        ("devstate list", "what is set by hand now"),
        ("devstate change Custom:night NOT_INUSE", "as typed in Asterisk"),
    ],
    args: DevstateArgs::augment_args,
    run: |matches, context| run(&DevstateArgs::from_arg_matches(matches)?.action, context),
};

/// The states' names, as everywhere in Asterisk.
const STATES: [&str; 9] =
    ["UNKNOWN", "NOT_INUSE", "INUSE", "BUSY", "INVALID", "UNAVAILABLE", "RINGING", "RINGINUSE", "ONHOLD"];

#[derive(Debug, clap::Args)]
struct DevstateArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// The states that are set by hand
    List,
    /// Set a device's state
    Set {
        /// As in Custom:night or SIP/Bob-desk
        #[arg(value_name = "NAME")]
        device: String,
        /// NOT_INUSE, INUSE, BUSY, INVALID, UNAVAILABLE, RINGING, RINGINUSE, ONHOLD or UNKNOWN, in any case; for
        /// CustomPresence:x a presence as in away
        #[arg(value_name = "STATE")]
        state: String,
        /// How long, as in 90s, 10m, 1h30m, 2d; for ever where not given
        #[arg(long = "for", value_name = "SPAN", value_parser = span::parse)]
        for_s: Option<u64>,
    },
    /// Set a device's state for ever (Asterisk's word)
    Change {
        /// As in Custom:night
        #[arg(value_name = "NAME")]
        device: String,
        /// NOT_INUSE, INUSE, BUSY, INVALID, UNAVAILABLE, RINGING, RINGINUSE, ONHOLD or UNKNOWN, in any case; for
        /// CustomPresence:x a presence as in away
        #[arg(value_name = "STATE")]
        state: String,
    },
    /// Remove what `set` set
    Clear {
        /// As in Custom:night or SIP/Bob-desk
        #[arg(value_name = "NAME")]
        device: String,
    },
}

fn run(action: &Action, context: &mut Context<'_>) -> Result<(), Failure> {
    match action {
        Action::List => list(context),
        Action::Set { device, state, for_s } => {
            let state = checked(device, state)?;
            let command = Command::SetDevice { device: device.clone(), state: state.clone(), for_s: *for_s };
            let answer = Client::connect(&context.data)?.command(command)?;
            let how_long = for_s.map(|seconds| format!(" for {}", span::show(seconds))).unwrap_or_default();
            done(context, &answer, &format!("{} is {state}{how_long}\n", text::line(device)))
        }
        Action::Change { device, state } => {
            let state = checked(device, state)?;
            let command = Command::SetDevice { device: device.clone(), state: state.clone(), for_s: None };
            let answer = Client::connect(&context.data)?.command(command)?;
            done(context, &answer, &asterisk::devstate_change(device, &state))
        }
        Action::Clear { device } => {
            let answer =
                Client::connect(&context.data)?.command(Command::ClearDevice { device: device.clone() })?;
            if touched(&answer)? == 0 {
                return Err(Failure::Refused(format!("nothing is set by hand on {device}")));
            }
            done(context, &answer, &format!("{} is not set by hand any more\n", text::line(device)))
        }
    }
}

/// The state as it is sent: a device state's name in capitals; what a `CustomPresence:` is set to is the server's to judge.
fn checked(device: &str, state: &str) -> Result<String, Failure> {
    const PRESENCE: &str = "custompresence:";
    if device.get(..PRESENCE.len()).is_some_and(|tech| tech.eq_ignore_ascii_case(PRESENCE)) {
        return Ok(state.to_owned());
    }
    let name = state.to_ascii_uppercase();
    if STATES.contains(&name.as_str()) {
        return Ok(name);
    }
    let score = |known: &&str| strsim::jaro_winkler(known, &name);
    let near = STATES.iter().max_by(|a, b| score(a).total_cmp(&score(b))).filter(|known| score(known) > 0.8);
    let hint = near.map(|known| format!("; did you mean {known}?")).unwrap_or_default();
    Err(Failure::Usage(format!(
        "`{}` is not a device state{hint}\nuse one of {}",
        text::line(state),
        STATES.join(", ")
    )))
}

fn done(context: &mut Context<'_>, answer: &serde_json::Value, text: &str) -> Result<(), Failure> {
    if context.json { context.print_json(answer) } else { context.print(text) }
}

fn list(context: &mut Context<'_>) -> Result<(), Failure> {
    let mut answer = Client::connect(&context.data)?.command(Command::Devices)?;
    let mut rows: Vec<view::Device> = decode(answer.clone())?;
    if context.asterisk && !context.json {
        return context.print(&asterisk::devstate_list(&rows));
    }
    rows.retain(set_by_hand);
    if context.json {
        let kept =
            |row: &serde_json::Value| rows.iter().any(|device| row["device"] == device.device.as_str());
        if let Some(all) = answer.as_array_mut() {
            all.retain(kept);
        }
        return context.print_json(&answer);
    }
    let text = if rows.is_empty() {
        "no device is set by hand\n".to_owned()
    } else {
        show::devices(&rows, context.width)
    };
    context.print(&text)
}

fn set_by_hand(device: &view::Device) -> bool {
    device.source == "command" || device.for_s.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: DevstateArgs,
    }

    #[test]
    fn spans_are_read() {
        let line = Line::try_parse_from("devstate set SIP/bob inUse --for 1h30m".split(' ')).expect("parsed");
        assert!(matches!(line.args.action, Action::Set { for_s: Some(5400), .. }), "{line:?}");
    }

    #[test]
    fn states_are_checked_before_they_are_sent() {
        let rows = [
            ("SIP/bob", "inUse", Ok("INUSE")),
            ("Custom:night", "ONHOLD", Ok("ONHOLD")),
            ("CustomPresence:bob", "away,,bG9uZyBsdW5jaA==", Ok("away,,bG9uZyBsdW5jaA==")),
            ("SIP/bob", "in_use", Err("did you mean INUSE?")),
            ("SIP/bob", "onhld", Err("did you mean ONHOLD?")),
            ("SIP/bob", "sleeping", Err("use one of UNKNOWN, NOT_INUSE")),
        ];
        for (device, state, expected) in rows {
            match (checked(device, state), expected) {
                (Ok(sent), Ok(expected)) => assert_eq!(sent, expected),
                (Err(failure), Err(part)) => {
                    assert_eq!(failure.exit_code(), 2);
                    assert!(failure.to_string().contains(part), "{failure}");
                }
                (found, _) => panic!("{device} {state}: {found:?}"),
            }
        }
    }

    #[test]
    fn only_what_was_set_by_hand_is_listed() {
        let device = |source: &str, for_s| view::Device {
            device: "SIP/bob".into(),
            state: "INUSE".into(),
            source: source.into(),
            for_s,
            hints: Vec::new(),
        };
        let rows = [("command", None, true), ("registration", Some(5), true), ("registration", None, false)];
        for (source, for_s, expected) in rows {
            assert_eq!(set_by_hand(&device(source, for_s)), expected, "{source} {for_s:?}");
        }
    }
}
