//! `lampyris board`: every lamp of the running server, live, on the whole screen of a terminal.
//!
//! ```text
//! feed     (thread)  events of the admin socket: a lamp changed
//! answers  (thread)  asks for what events do not say: all lamps, calls, why
//! ```
//!
//! Both connect again when the server is gone. Without a terminal the lamps are printed once, as they are.

mod lamps;
mod view;

use super::client::{Client, decode};
use super::failure::Failure;
use super::screen::paint::{Paint, look};
use super::screen::{self, Feed};
use super::table::{self, Column};
use super::{Context, Verb, span, why};
use crate::admin::protocol::{Request, Response};
use clap::{Args, FromArgMatches};
use lamps::Lamps;
use lampyris_core::command::Command;
use lampyris_core::view as rows;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;
use view::BoardView;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "board",
    about: "Show every lamp, live, on the whole terminal: by group, with colour, shape, word and timer",
    examples: &[
        ("board", "`?` shows the keys, Enter says why a lamp shows what it shows, `q` leaves"),
        ("board sales", "only lamps whose name, group or phone has this"),
        ("board | cat", "once, as a table"),
    ],
    args: BoardArgs::augment_args,
    run: |matches, context| run(&BoardArgs::from_arg_matches(matches)?, context),
};

/// How long until a lost server is looked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// Questions that wait to be asked.
const QUESTIONS_MAX: usize = 16;

#[derive(Debug, clap::Args)]
struct BoardArgs {
    /// Only lamps that have all these words in name, group or phone
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// Draw with ASCII alone
    #[arg(long)]
    ascii: bool,
}

/// What the threads tell the board.
#[derive(Debug)]
enum News {
    /// A lamp changed.
    Change { resource: String, state: String, at_ms: u64 },
    /// Something else happened that may show.
    Other,
    /// All lamps as they are.
    All(Vec<rows::Presentity>),
    /// All calls as they are.
    Calls(Vec<rows::Call>),
    /// Why a lamp shows what it shows.
    Why(String),
    /// The server is there.
    Live,
    /// It is not, and what the system said.
    Lost(String),
}

/// What the board wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Question {
    All,
    Calls,
    Why(String),
}

fn run(args: &BoardArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut client = Client::connect(&context.data)?;
    if context.json || !screen::is_possible() {
        return once(args, context, &mut client);
    }
    let (questions, asked) = sync_channel(QUESTIONS_MAX);
    let paint = Paint::of_environment(args.ascii);
    let mut board = BoardView::new(paint, args.words.join(" "), questions);
    let data = context.data.clone();
    screen::show(&mut board, move |feed| {
        let events = data.clone();
        feed.spawn(move |feed| follow(&events, &feed));
        feed.spawn(move |feed| answer(&data, &asked, &feed));
    })
}

/// Prints the lamps as they are now.
fn once(args: &BoardArgs, context: &mut Context<'_>, client: &mut Client) -> Result<(), Failure> {
    let answer = client.command(Command::Presentities)?;
    if context.json {
        return context.print_json(&answer);
    }
    let now_ms = screen::now_ms();
    let mut lamps = Lamps::default();
    lamps.replace(decode(answer)?, now_ms);
    lamps.talk(&decode::<Vec<rows::Call>>(client.command(Command::Calls)?)?);
    let words: Vec<String> = args.words.iter().map(|word| word.to_lowercase()).collect();
    let columns = [
        Column::Text("Lamp"),
        Column::Text("Group"),
        Column::Long("Name"),
        Column::Text("State"),
        Column::Long("With"),
        Column::Number("For"),
        Column::Number("Watchers"),
    ];
    let shown = lamps.rows().iter().filter(|lamp| lamp.has(&words)).map(|lamp| {
        vec![
            lamp.name.clone(),
            lamp.group.clone(),
            lamp.title.clone(),
            look(&lamp.state).word.to_owned(),
            lamp.with.clone(),
            span::show(now_ms.saturating_sub(lamp.since_ms) / 1000),
            lamp.watchers.to_string(),
        ]
    });
    let text = table::render(&columns, &shown.collect::<Vec<_>>(), context.width);
    context.print(&text)
}

/// Passes events on for as long as somebody looks.
fn follow(data: &Path, feed: &Feed<News>) {
    loop {
        let lost = match listen(data, feed) {
            Ok(()) => return,
            Err(failure) => failure.to_string(),
        };
        if !feed.send(News::Lost(lost)) {
            return;
        }
        std::thread::sleep(AGAIN);
    }
}

/// Passes the events of one connection on; ends well when nobody looks any more.
fn listen(data: &Path, feed: &Feed<News>) -> Result<(), Failure> {
    let mut client = Client::connect(data)?;
    client.done(&Request::Events { on: true })?;
    client.wait_for_ever()?;
    // What happened before is in the answer that the board asks for now.
    let mut goes_on = feed.send(News::Live);
    while goes_on {
        if let Response::Event(event) = client.next()? {
            goes_on = feed.send(news(&event));
        }
    }
    Ok(())
}

fn news(event: &serde_json::Value) -> News {
    let text = |key: &str| event.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
    match (text("event").as_deref(), text("extension"), text("state"), event["at_ms"].as_u64()) {
        (Some("extension"), Some(resource), Some(state), Some(at_ms)) => {
            News::Change { resource, state, at_ms }
        }
        // Events before a gap are lost: the board asks for everything.
        (Some("gap"), ..) => News::Live,
        _ => News::Other,
    }
}

/// Answers the board's questions. What cannot be answered is asked again when the server is back.
fn answer(data: &Path, asked: &Receiver<Question>, feed: &Feed<News>) {
    let mut client: Option<Client> = None;
    while let Ok(question) = asked.recv() {
        let is_old = client.is_some();
        let mut answered = ask(data, &mut client, &question);
        // Why: a connection from before may lead to a server that is gone, while another is there already.
        if answered.is_err() && is_old {
            answered = ask(data, &mut client, &question);
        }
        if !feed.send(answered.unwrap_or_else(|failure| News::Lost(failure.to_string()))) {
            return;
        }
    }
}

/// Asks one question; a connection that does not answer is given up.
fn ask(data: &Path, kept: &mut Option<Client>, question: &Question) -> Result<News, Failure> {
    let mut client = match kept.take() {
        Some(client) => client,
        None => Client::connect(data)?,
    };
    let news = match question {
        Question::All => News::All(decode(client.command(Command::Presentities)?)?),
        Question::Calls => News::Calls(decode(client.command(Command::Calls)?)?),
        Question::Why(resource) => match client.command(Command::Why(resource.clone())) {
            Ok(answer) => News::Why(why::render(&decode::<Vec<rows::Why>>(answer)?, None)),
            Err(Failure::Refused(cause)) => News::Why(cause),
            Err(other) => return Err(other),
        },
    };
    *kept = Some(client);
    Ok(news)
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::{Fake, context};
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_news() {
        let change =
            json!({"event":"extension","extension":"6001@default","state":"InUse","was":"Idle","at_ms":5});
        match news(&change) {
            News::Change { resource, state, at_ms } => {
                assert_eq!((resource.as_str(), state.as_str(), at_ms), ("6001@default", "InUse", 5));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(news(&json!({"event":"gap"})), News::Live));
        assert!(matches!(news(&json!({"event":"registration","aor":"sip:a@b","bindings":1})), News::Other));
    }

    #[test]
    fn without_a_terminal_it_is_a_table() {
        let lamps = [
            lamps::tests::row("6001@default", "Bob", "InUse", &["Bob"]),
            lamps::tests::row("6002@default", "Eve", "Idle", &["Eve"]),
        ];
        let calls = [lamps::tests::call("Bob", "Zoe", "confirmed")];
        let fake = Fake::answering(
            "board",
            &[
                &json!({ "reply": serde_json::to_value(lamps).expect("JSON") }).to_string(),
                &json!({ "reply": serde_json::to_value(calls).expect("JSON") }).to_string(),
            ],
        );
        let mut out = Vec::new();
        let mut context = context(&fake.data, false, &mut out);
        let args = BoardArgs { words: vec!["BOB".into()], ascii: false };
        once(&args, &mut context, &mut Client::connect(&fake.data).expect("connected")).expect("printed");
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            "Lamp  Group    Name  State   With    For  Watchers\n\
             6001  default  Bob   in use  Zoe   1m00s         2\n"
        );
        assert_eq!(fake.asked(), [r#"{"command":"Presentities"}"#, r#"{"command":"Calls"}"#]);
    }
}
