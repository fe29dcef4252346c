//! `lampyris watch URI`: a subscription at any SIP server, and what it tells, until Ctrl-C.

use super::elsewhere::{self, ElsewhereArgs};
use super::failure::Failure;
use super::{Context, Verb, span, text};
use crate::remote::document::Said;
use crate::remote::watch::{self, Told, Watch};
use clap::{Args, FromArgMatches};
use serde_json::{Value, json};
use std::io::{self, Write as _};

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "watch",
    about: "Subscribe to anything at any SIP server, and print its changes until Ctrl-C",
    examples: &[
        ("watch sip:6001@pbx.example", "its presence, a line for each change"),
        (
            "watch 6001@192.0.2.5 --event dialog --user reception --password-file secret",
            "its calls, with a password",
        ),
        ("watch sip:100@pbx.example --event message-summary --json", "a mailbox, one JSON object per line"),
        ("watch sip:6001@pbx.example --once", "what it shows now, and no more"),
        (
            "watch sip:6001@pbx.example --server tls:192.0.2.5:5061 --ca ca.pem",
            "over TLS, to a server that DNS does not name",
        ),
    ],
    args: WatchArgs::augment_args,
    run: |matches, context| run(&WatchArgs::from_arg_matches(matches)?, context),
};

#[derive(Debug, clap::Args)]
struct WatchArgs {
    #[command(flatten)]
    elsewhere: ElsewhereArgs,
    /// The event package, as in presence, dialog, message-summary, reg, presence.winfo [default: presence]
    #[arg(long, value_name = "PACKAGE", default_value = "presence", hide_default_value = true)]
    event: String,
    /// The formats that are taken, as in application/pidf+xml; those of the package where not given
    #[arg(long, value_name = "TYPES")]
    accept: Option<String>,
    /// How long a subscription is asked to last before it is renewed, as in 90s, 1h [default: 1h]
    #[arg(long, value_name = "SPAN", default_value = "1h", hide_default_value = true, value_parser = elsewhere::life)]
    expires: u32,
    /// End after the first state
    #[arg(long)]
    once: bool,
    /// End after this long, as in 90s, 10m
    #[arg(long = "for", value_name = "SPAN", value_parser = span::parse)]
    for_s: Option<u64>,
    /// Print each document as it came, below what it says
    #[arg(long)]
    raw: bool,
}

fn run(args: &WatchArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let watch = Watch {
        towards: args.elsewhere.towards()?,
        event: args.event.clone(),
        accept: args.accept.clone().unwrap_or_else(|| elsewhere::accept_of(&args.event)),
        expires_s: args.expires,
        once: args.once,
    };
    let mut errors = io::stderr();
    let mut tell = |told: &Told<'_>| -> io::Result<()> {
        if context.json {
            writeln!(context.out, "{}", text::json_line(&as_json(&watch, told, args.raw)))?;
            return context.out.flush();
        }
        let line = words(&watch, told, args.raw);
        match told {
            Told::State { .. } => {
                context.out.write_all(line.as_bytes())?;
                context.out.flush()
            }
            _ => errors.write_all(line.as_bytes()),
        }
    };
    let stop = elsewhere::stop(args.for_s);
    elsewhere::block_on(watch::run(&watch, stop, &mut tell))
}

fn words(watch: &Watch, told: &Told<'_>, raw: bool) -> String {
    let clock = elsewhere::clock();
    match told {
        Told::Subscribed { server, expires_s } => format!(
            "watching {} at {server} ({}), renewed every {}\n",
            text::line(&watch.towards.uri),
            text::line(&watch.event),
            span::show(u64::from(*expires_s))
        ),
        Told::Pending => "who is watched has not decided yet whether we may\n".to_owned(),
        Told::State { said, notify } => {
            let mut out = format!("{clock}  {}\n", one_line(said));
            let shown = if raw { Some(notify.body.as_str()) } else { said.text.as_deref() };
            for line in shown.unwrap_or("").lines() {
                out.push_str(&format!("    {}\n", text::line(line)));
            }
            out
        }
        Told::Unreadable { why, .. } => format!("{clock}  {}\n", text::line(why)),
        Told::Trouble { why, again_in } => {
            format!("{clock}  {}\n    again in {}\n", text::lines(why), span::show(again_in.as_secs()))
        }
        Told::Unsubscribed => "unsubscribed\n".to_owned(),
    }
}

/// A resource and its state.
pub(super) fn one_line(said: &Said) -> String {
    let note = said.note.as_deref().map(|note| format!("  \"{}\"", text::line(note))).unwrap_or_default();
    format!("{}  {}{note}", text::line(elsewhere::short(&said.resource)), text::line(&said.state))
}

fn as_json(watch: &Watch, told: &Told<'_>, raw: bool) -> Value {
    let at = crate::remote::probe::now().rfc3339();
    match told {
        Told::Subscribed { server, expires_s } => json!({
            "kind": "subscribed", "at": at, "uri": watch.towards.uri, "event": watch.event, "server": server,
            "expires_s": expires_s,
        }),
        Told::Pending => json!({"kind": "pending", "at": at}),
        Told::State { said, notify } => {
            let mut out = serde_json::to_value(said).unwrap_or_default();
            if let Some(fields) = out.as_object_mut() {
                fields.insert("kind".into(), "state".into());
                fields.insert("at".into(), at.into());
                fields.insert("subscription".into(), notify.state.clone().into());
                fields.insert("content_type".into(), notify.content_type.clone().into());
                if raw {
                    fields.insert("body".into(), notify.body.clone().into());
                }
            }
            out
        }
        Told::Unreadable { why, notify } => {
            json!({"kind": "unreadable", "at": at, "why": why, "content_type": notify.content_type, "body": notify.body})
        }
        Told::Trouble { why, again_in } => {
            json!({"kind": "trouble", "at": at, "why": why, "again_in_s": again_in.as_secs()})
        }
        Told::Unsubscribed => json!({"kind": "unsubscribed", "at": at}),
    }
}
