//! `lampyris publish URI STATE`: a state at any SIP server, kept up until Ctrl-C and then taken back.

use super::elsewhere::{self, ElsewhereArgs};
use super::failure::Failure;
use super::{Context, Verb, span, text};
use crate::remote::limits::DOCUMENT_BYTES_MAX;
use crate::remote::publish::{self, Publish, Told};
use clap::{Args, FromArgMatches};
use lampyris_core::body::rpid::{Activity, Token as _};
use lampyris_core::manual_status::Status;
use serde_json::{Value, json};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "publish",
    about: "Publish a state at any SIP server, keep it up until Ctrl-C, and take it back",
    examples: &[
        (
            "publish sip:alice@pbx.example away --note Lunch --user alice --password-file secret",
            "until Ctrl-C",
        ),
        (
            "publish sip:alice@pbx.example available --activity meeting --once --expires 30m",
            "left there for half an hour; prints its entity-tag",
        ),
        ("publish sip:alice@pbx.example --remove --etag a1b2c3", "takes back what --once left"),
        (
            "publish sip:6001@pbx.example --body call.xml --type application/dialog-info+xml --event dialog",
            "a document of any package",
        ),
    ],
    args: PublishArgs::augment_args,
    run: |matches, context| run(&PublishArgs::from_arg_matches(matches)?, context),
};

#[derive(Debug, clap::Args)]
struct PublishArgs {
    #[command(flatten)]
    elsewhere: ElsewhereArgs,
    /// available, dnd, offline, or an activity of RFC 4480 as in away, busy, meeting, on-the-phone
    #[arg(value_name = "STATE", value_parser = status, required_unless_present_any = ["body", "remove"])]
    state: Option<Status>,
    /// In the person's own words
    #[arg(long, value_name = "TEXT", requires = "state")]
    note: Option<String>,
    /// An activity beside STATE; may be given several times
    #[arg(long = "activity", value_name = "ACTIVITY", value_parser = activity, requires = "state")]
    activities: Vec<Activity>,
    /// A file with the document, instead of STATE
    #[arg(long, value_name = "FILE", conflicts_with = "state")]
    body: Option<PathBuf>,
    /// Content-Type of --body [default: application/pidf+xml]
    #[arg(
        long = "type",
        value_name = "TYPE",
        default_value = "application/pidf+xml",
        hide_default_value = true
    )]
    content_type: String,
    /// The event package [default: presence]
    #[arg(long, value_name = "PACKAGE", default_value = "presence", hide_default_value = true)]
    event: String,
    /// How long it is asked to last before it is refreshed, as in 90s, 1h [default: 1h]
    #[arg(long, value_name = "SPAN", default_value = "1h", hide_default_value = true, value_parser = elsewhere::life)]
    expires: u32,
    /// Publish, and leave it there until it expires
    #[arg(long)]
    once: bool,
    /// Entity-tag of what is replaced, or removed
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    /// Take back what --etag names
    #[arg(long, requires = "etag", conflicts_with_all = ["state", "body", "once"])]
    remove: bool,
    /// End after this long, as in 90s, 10m
    #[arg(long = "for", value_name = "SPAN", value_parser = span::parse, conflicts_with = "once")]
    for_s: Option<u64>,
}

fn status(name: &str) -> Result<Status, String> {
    let names = Status::names();
    Status::parse(name).ok_or_else(|| match crate::config::did_you_mean(name, names.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("use one of {}", names.join(", ")),
    })
}

fn activity(name: &str) -> Result<Activity, String> {
    let names = || Activity::ALL.iter().map(|activity| activity.name());
    Activity::parse(name).ok_or_else(|| match crate::config::did_you_mean(name, names()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("use one of {}", names().collect::<Vec<_>>().join(", ")),
    })
}

fn document(args: &PublishArgs, uri: &str) -> Result<Option<(String, String)>, Failure> {
    if let Some(path) = &args.body {
        return Ok(Some((args.content_type.clone(), read(path)?)));
    }
    let Some(status) = args.state else { return Ok(None) };
    let mut activities = match status {
        Status::Available | Status::Offline => Vec::new(),
        Status::DoNotDisturb => vec![Activity::Busy],
        Status::Doing(activity) => vec![activity],
    };
    activities.extend(
        args.activities
            .iter()
            .filter(|activity| Some(**activity) != activities.first().copied())
            .collect::<Vec<_>>(),
    );
    // Why random: two of these for one person are two sources, and ids of one document must not be taken for the other's.
    let id = getrandom::u32().map_err(|error| Failure::Refused(error.to_string()))?;
    let open = status != Status::Offline;
    let text = publish::document(uri, &format!("{id:08x}"), open, activities, args.note.as_deref());
    Ok(Some(("application/pidf+xml".to_owned(), text)))
}

fn read(path: &Path) -> Result<String, Failure> {
    let refused = |why: String| Failure::Refused(format!("{}: {why}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| refused(error.to_string()))?;
    file.take(DOCUMENT_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| refused(error.to_string()))?;
    match text.len() as u64 {
        0 => Err(refused("it is empty".to_owned())),
        length if length > DOCUMENT_BYTES_MAX => {
            Err(refused(format!("it is longer than {DOCUMENT_BYTES_MAX} bytes")))
        }
        _ => Ok(text),
    }
}

fn run(args: &PublishArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let towards = args.elsewhere.towards()?;
    let document = document(args, &towards.uri)?;
    let publish = Publish {
        towards,
        event: args.event.clone(),
        document,
        expires_s: args.expires,
        once: args.once,
        etag: args.etag.clone(),
    };
    let mut tell = |told: &Told<'_>| -> io::Result<()> {
        let line =
            if context.json { text::json_line(&as_json(&publish, told)) } else { words(&publish, told) };
        writeln!(context.out, "{line}")?;
        context.out.flush()
    };
    let stop = elsewhere::stop(args.for_s);
    elsewhere::block_on(publish::run(&publish, stop, &mut tell))
}

fn words(publish: &Publish, told: &Told<'_>) -> String {
    let uri = text::line(&publish.towards.uri);
    match told {
        Told::Published { server, etag, expires_s } => format!(
            "published {uri} at {server} for {}, entity-tag {}",
            span::show(u64::from(*expires_s)),
            text::line(etag)
        ),
        Told::Refreshed { etag, expires_s } => {
            format!(
                "{}  refreshed for {}, entity-tag {}",
                elsewhere::clock(),
                span::show(u64::from(*expires_s)),
                text::line(etag)
            )
        }
        Told::Removed => "taken back".to_owned(),
        Told::Trouble { why, again_in } => {
            format!(
                "{}  {}\n    again in {}",
                elsewhere::clock(),
                text::lines(why),
                span::show(again_in.as_secs())
            )
        }
    }
}

fn as_json(publish: &Publish, told: &Told<'_>) -> Value {
    let at = crate::remote::probe::now().rfc3339();
    match told {
        Told::Published { server, etag, expires_s } => json!({
            "kind": "published", "at": at, "uri": publish.towards.uri, "server": server, "etag": etag,
            "expires_s": expires_s,
        }),
        Told::Refreshed { etag, expires_s } => {
            json!({"kind": "refreshed", "at": at, "etag": etag, "expires_s": expires_s})
        }
        Told::Removed => json!({"kind": "removed", "at": at}),
        Told::Trouble { why, again_in } => {
            json!({"kind": "trouble", "at": at, "why": why, "again_in_s": again_in.as_secs()})
        }
    }
}
