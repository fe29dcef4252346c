//! `lampyris events`: what happens, as it happens, until Ctrl-C: the stream of `/api/v1/events` without its snapshot.

use super::client::{Client, unexpected};
use super::failure::Failure;
use super::{Context, Verb, text};
use crate::admin::protocol::{Request, Response};
use clap::{Args, FromArgMatches};
use serde_json::Value;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "events",
    about: "Print what happens, as it happens, until Ctrl-C",
    examples: &[
        ("events", "one line each"),
        ("events --kind extension", "only lamps"),
        ("events --json", "one JSON object per line, as the HTTP API sends them"),
    ],
    args: EventsArgs::augment_args,
    run: |matches, context| run(&EventsArgs::from_arg_matches(matches)?, context),
};

#[derive(Debug, clap::Args)]
struct EventsArgs {
    /// Only events of this kind, as in extension or registration; may be given several times
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
}

fn run(args: &EventsArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut client = Client::connect(&context.data)?;
    client.done(&Request::Events { on: true })?;
    client.wait_for_ever()?;
    if !context.json {
        context.print("Events from now on; Ctrl-C ends\n")?;
    }
    loop {
        match client.next()? {
            Response::Event(event) => {
                let kind = event["event"].as_str().unwrap_or_default();
                if !args.kinds.is_empty() && kind != "gap" && args.kinds.iter().all(|wanted| wanted != kind) {
                    continue;
                }
                let line = if context.json { text::json_line(&event) } else { text::line(&words(&event)) };
                context.print(&format!("{line}\n"))?;
            }
            other => return Err(unexpected(&other)),
        }
    }
}

/// An event for people: its kind, then what it says.
fn words(event: &Value) -> String {
    let mut out = event["event"].as_str().unwrap_or_default().to_owned();
    for (key, value) in event.as_object().into_iter().flatten() {
        if !["event", "id", "at_ms"].contains(&key.as_str()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            out.push_str(&format!("  {key}={value}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_one_line() {
        let event =
            json!({ "id": "a-1", "at_ms": 5, "event": "registration", "aor": "sip:a@b", "bindings": 2 });
        assert_eq!(words(&event), "registration  aor=sip:a@b  bindings=2");
    }
}
