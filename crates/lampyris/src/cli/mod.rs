//! The command line: one verb per file, one table of verbs.
//!
//! Verbs of a running server speak to its admin socket (`client`); `run` and `check` read a configuration; `phone` needs
//! neither. Results go to standard output, as tables for people or, with `--json`, for programs; errors and progress go to
//! standard error. Help, the reference in `docs/cli.md` and the table-wide tests all read [`VERBS`]. Nothing here keeps state.

mod asterisk;
mod backup;
mod bench;
mod board;
mod bugreport;
mod check;
pub(crate) mod client;
mod completions;
mod data_dir;
mod demo;
mod devstate;
pub(crate) mod docs;
mod doctor;
mod drain;
mod drop;
mod elsewhere;
mod events;
pub(crate) mod failure;
mod feature;
mod gateways;
mod lists;
mod mailbox;
mod nudge;
pub(crate) mod phone;
mod presence;
mod probe;
mod progress;
mod publish;
#[cfg(test)]
mod reference;
mod reload;
mod restore;
mod rules;
mod run;
mod rx;
mod screen;
mod selector;
mod show;
mod sip;
mod span;
mod status;
mod stop;
mod store;
mod table;
mod text;
mod token;
mod top;
mod trace;
mod upgrade;
mod watch;
mod why;

use client::Client;
use failure::Failure;
use lampyris_core::command::Command;
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// One verb.
pub(crate) struct Verb {
    /// As typed.
    pub(crate) name: &'static str,
    /// What it does, in one line.
    pub(crate) about: &'static str,
    /// Command lines without `lampyris`, and what each does.
    pub(crate) examples: &'static [(&'static str, &'static str)],
    /// Adds its arguments to the parser.
    pub(crate) args: fn(clap::Command) -> clap::Command,
    /// Does it.
    pub(crate) run: fn(&clap::ArgMatches, &mut Context<'_>) -> Result<(), Failure>,
}

/// Every verb, in the order of help.
pub(crate) static VERBS: &[Verb] = &[
    run::VERB,
    check::VERB,
    demo::VERB,
    phone::VERB,
    board::VERB,
    trace::VERB,
    top::VERB,
    show::VERB,
    lists::VERB,
    why::VERB,
    status::VERB,
    gateways::VERB,
    devstate::VERB,
    mailbox::VERB,
    feature::VERB,
    presence::VERB,
    rules::ALLOW,
    rules::BLOCK,
    rules::POLITE_BLOCK,
    rules::CONFIRM,
    rules::FORGET,
    rules::PENDING,
    rules::RULES,
    events::VERB,
    watch::VERB,
    publish::VERB,
    probe::VERB,
    token::VERB,
    nudge::VERB,
    drop::VERB,
    reload::VERB,
    drain::VERB,
    upgrade::VERB,
    stop::VERB,
    backup::VERB,
    restore::VERB,
    store::VERB,
    doctor::VERB,
    bugreport::VERB,
    docs::VERB,
    completions::COMPLETIONS,
    completions::MAN,
    bench::VERB,
    asterisk::SIP,
    asterisk::CORE,
    asterisk::PJSIP,
    asterisk::DIALPLAN,
    asterisk::EXTENSIONS,
];

/// What a verb is given beside its own arguments.
pub(crate) struct Context<'a> {
    /// Where the server keeps its store and its admin socket.
    pub(crate) data: PathBuf,
    /// Whether nobody named that directory.
    pub(crate) data_is_default: bool,
    /// Whether a program reads the output.
    pub(crate) json: bool,
    /// Whether it was typed with `-rx`.
    pub(crate) asterisk: bool,
    /// Width of the terminal in characters, if the output goes to one.
    pub(crate) width: Option<usize>,
    /// Standard output.
    pub(crate) out: &'a mut dyn Write,
}

impl Context<'_> {
    /// Asks the running server for rows, and prints them: as it is for programs, through `render` for people.
    pub(crate) fn query<T: DeserializeOwned>(
        &mut self,
        command: Command,
        render: impl FnOnce(&[T], Option<usize>) -> String,
    ) -> Result<(), Failure> {
        let answer = Client::connect(&self.data)?.command(command)?;
        if self.json {
            return self.print_json(&answer);
        }
        let rows: Vec<T> = client::decode(answer)?;
        let text = render(&rows, self.width);
        self.print(&text)
    }

    /// Prints a result for people.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.flush()?)
    }

    /// Prints a result for programs.
    pub(crate) fn print_json(&mut self, value: &serde_json::Value) -> Result<(), Failure> {
        self.print(&format!("{}\n", text::json(value)))
    }
}

#[derive(Debug, clap::Args)]
struct Global {
    /// Directory of the store and the admin socket [env: LAMPYRIS_DATA]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print JSON, errors too
    #[arg(long, global = true)]
    json: bool,
}

/// The parser of the whole command line, built from [`VERBS`].
pub(crate) fn parser() -> clap::Command {
    let root = clap::Command::new("lampyris")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A SIP presence server: busy lamps and presence, durable and fast")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(false)
        .after_help(root_help());
    let root = <Global as clap::Args>::augment_args(root);
    VERBS.iter().fold(root, |root, verb| {
        // Why: `about` comes last, because derived arguments put their own documentation there.
        let sub = (verb.args)(clap::Command::new(verb.name)).about(verb.about);
        root.subcommand(sub.after_help(after_help(verb)))
    })
}

/// What stands below the list of verbs.
fn root_help() -> String {
    let mut out = format!(
        "`lampyris help VERB` shows each verb's arguments and examples.\n\
         Asterisk's words work as typed, also as -rx \"core show hints\".\n\n\
         The data directory: {}.\n\nExit codes:\n",
        data_dir::RULE
    );
    for row in &failure::EXIT_CODES {
        out.push_str(&format!("  {}  {}\n", row.number, row.meaning));
    }
    out
}

/// Phrases and examples of one verb, each with what it does, under their titles; none that is empty.
fn shown_by_example(verb: &Verb) -> Vec<(&'static str, Vec<(String, &'static str)>)> {
    let first = format!("{} ", verb.name);
    let phrases = asterisk::PHRASES
        .iter()
        .filter(|phrase| phrase.pattern.starts_with(&first))
        .map(|phrase| (phrase.pattern.to_owned(), phrase.about));
    let examples = verb.examples.iter().map(|(line, about)| (format!("lampyris {line}"), *about));
    let all = [("Phrases", phrases.collect::<Vec<_>>()), ("Examples", examples.collect())];
    all.into_iter().filter(|(_, rows)| !rows.is_empty()).collect()
}

/// Phrases and examples of one verb, as its help shows them.
fn after_help(verb: &Verb) -> String {
    let mut out = String::new();
    for (title, rows) in shown_by_example(verb) {
        let width = rows.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
        out.push_str(&format!("{}{title}:\n", if out.is_empty() { "" } else { "\n" }));
        for (line, about) in rows {
            out.push_str(&format!("  {line:width$}  {about}\n"));
        }
    }
    out
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let stdout = std::io::stdout();
    let width = stdout
        .is_terminal()
        .then(|| terminal_size::terminal_size().map(|(terminal_size::Width(width), _)| usize::from(width)))
        .flatten();
    let mut out = stdout.lock();
    ExitCode::from(dispatch(
        args,
        &data_dir::Surroundings::of_process(),
        width,
        &mut out,
        &mut std::io::stderr(),
    ))
}

/// Runs one command line; the exit code's number comes back.
fn dispatch(
    args: Vec<OsString>,
    around: &data_dir::Surroundings,
    width: Option<usize>,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> u8 {
    // Why: a line that cannot be parsed must still be answered in JSON if it asked for that.
    let json = args.iter().skip(1).take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    match parse_and_run(args, around, width, out) {
        Ok(()) => 0,
        // Why: `lampyris show hints | head` ends the reader first, and that is no failure.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => 0,
        Err(failure) => {
            report(&failure, json, out, errors);
            failure.exit_code()
        }
    }
}

fn parse_and_run(
    args: Vec<OsString>,
    around: &data_dir::Surroundings,
    width: Option<usize>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let expanded = rx::expand(args).map_err(Failure::Usage)?;
    let matches = parser().try_get_matches_from(expanded.args)?;
    let Some((name, own)) = matches.subcommand() else {
        return Err(Failure::Usage("a verb is missing; see `lampyris help`".to_owned()));
    };
    let verb = VERBS
        .iter()
        .find(|verb| verb.name == name)
        .ok_or_else(|| Failure::Usage(format!("`{name}` is not a verb; see `lampyris help`")))?;
    // Why: a global option typed after an inner verb is known only there.
    let mut deepest = own;
    while let Some((_, inner)) = deepest.subcommand() {
        deepest = inner;
    }
    let global = <Global as clap::FromArgMatches>::from_arg_matches(deepest)?;
    let named = data_dir::named(global.data.as_deref(), around);
    let data_is_default = named.is_none();
    let data = named.unwrap_or_else(|| data_dir::default(around));
    let mut context =
        Context { data, data_is_default, json: global.json, asterisk: expanded.asterisk, width, out };
    (verb.run)(own, &mut context)
}

/// Says what went wrong. Nothing can be done if that fails too.
fn report(failure: &Failure, json: bool, out: &mut dyn Write, errors: &mut dyn Write) {
    let _ = match failure {
        Failure::Shown => Ok(()),
        Failure::Parse(error) if !error.use_stderr() => write!(out, "{}", error.render()),
        _ if json => writeln!(out, "{}", text::json(&failure.to_json())),
        Failure::Parse(error) => write!(errors, "{}", error.render()),
        Failure::Configuration { rendered, .. } | Failure::Unsound { rendered, .. } => {
            writeln!(errors, "{}", text::lines(rendered).trim_end())
        }
        other => writeln!(errors, "lampyris: {}", text::lines(&other.to_string())),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::protocol::Response;

    pub(super) struct Ran {
        pub(super) code: u8,
        pub(super) out: String,
        pub(super) errors: String,
    }

    /// Runs a command line against a data directory in which no server runs.
    pub(super) fn ran(args: &[&str]) -> Ran {
        ran_in(std::path::Path::new("/nonexistent/lampyris"), args)
    }

    /// Runs a command line against this data directory.
    fn ran_in(data: &std::path::Path, args: &[&str]) -> Ran {
        let line = std::iter::once("lampyris").chain(args.iter().copied()).map(OsString::from).collect();
        let around =
            data_dir::Surroundings { variable: Some(data.into()), ..data_dir::Surroundings::default() };
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let code = dispatch(line, &around, None, &mut out, &mut errors);
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ran { code, out: text(out), errors: text(errors) }
    }

    #[test]
    fn the_parser_is_consistent() {
        parser().debug_assert();
        for verb in VERBS {
            assert!(!verb.about.is_empty() && !verb.examples.is_empty(), "{}", verb.name);
        }
    }

    #[test]
    fn every_example_parses() {
        for verb in VERBS {
            for (line, _) in verb.examples {
                let line = format!("lampyris {line}").replace("-rx \"", "-rx\u{1}").replace('"', "");
                let args: Vec<OsString> = match line.split_once('\u{1}') {
                    Some((before, quoted)) => {
                        before.split(' ').map(OsString::from).chain([quoted.into()]).collect()
                    }
                    None => line.split(' ').map(OsString::from).collect(),
                };
                let expanded = rx::expand(args).expect("-rx");
                if let Err(error) = parser().try_get_matches_from(expanded.args) {
                    panic!("{line}: {error}");
                }
            }
        }
    }

    #[test]
    fn command_lines_lead_to_exit_codes() {
        let rows: [(&[&str], u8); 57] = [
            (&["show", "hints"], 3),
            (&["--data", "/nonexistent/x", "show", "hint", "6001"], 3),
            (&["show", "hints", "--data", "/nonexistent/x"], 3),
            (&["why", "6001"], 3),
            (&["status", "--json"], 3),
            (&["devstate", "list"], 3),
            (&["devstate", "set", "Custom:night", "inuse", "--for", "10m"], 3),
            (&["devstate", "change", "Custom:night", "BUSY"], 3),
            (&["devstate", "clear", "Custom:night"], 3),
            (&["mailbox", "set", "100@default", "3", "1"], 3),
            (&["feature", "set", "Bob", "dnd"], 3),
            (&["feature", "set", "Bob", "dnd", "6002"], 2),
            (&["feature", "set", "Bob", "forward-busy"], 2),
            (&["feature", "set", "Bob", "forward-busy", "6002", "--after", "9s"], 2),
            (&["feature", "clear", "Bob", "sleep"], 2),
            (&["presence", "set", "bob", "away", "--note", "Lunch", "--for", "30m"], 3),
            (&["presence", "set", "bob", "awya"], 2),
            (&["presence", "show"], 3),
            (&["allow", "alice", "bob"], 3),
            (&["polite-block", "alice"], 2),
            (&["pending"], 3),
            (&["lists"], 3),
            (&["show", "list", "board"], 3),
            (&["rules", "show", "alice"], 3),
            (&["nudge", "6001"], 3),
            (&["drop", "--watcher", "Alice"], 3),
            (&["reload"], 3),
            (&["stop"], 3),
            (&["backup"], 1),
            (&["restore", "/nonexistent/x.backup"], 1),
            (&["store", "check"], 1),
            (&["store"], 2),
            (&["restore"], 2),
            (&["core", "show", "hints", "--layout", "13"], 3),
            (&["-rx", "sip show subscriptions"], 3),
            (&["sip", "debug", "on", "--peer", "Alice"], 3),
            (&["phone"], 0),
            (&["watch"], 2),
            (&["watch", "a b@c"], 2),
            (&["publish", "alice@example.com"], 2),
            (&["publish", "alice@example.com", "awya"], 2),
            (&["probe", "alice@example.com", "--transport", "ws"], 2),
            (&["phone", "yealink", "--ext", "6001"], 0),
            (&["phone", "yealnik"], 2),
            (&["help"], 0),
            (&["help", "show"], 0),
            (&["--version"], 0),
            (&["shwo", "hints"], 2),
            (&["devstate", "set", "Custom:night", "sleeping"], 2),
            (&["devstate", "set", "Custom:night", "inuse", "--for", "soon"], 2),
            (&["nudge"], 2),
            (&["bench", "subscribe"], 2),
            (&["bench", "subscribe", "udp:127.0.0.1:9", "--watchers", "0"], 2),
            (&["bench", "fanout", "udp:127.0.0.1:9", "--rate", "0"], 2),
            (&["bench", "fanout", "udp:127.0.0.1:9", "--user", "Alice"], 2),
            (&["core", "show", "applications"], 2),
            (&["core", "show", "hints", "--layout", "12"], 2),
        ];
        for (args, code) in rows {
            let ran = ran(args);
            assert_eq!(ran.code, code, "{args:?}: {}{}", ran.out, ran.errors);
        }
    }

    #[test]
    fn an_answer_is_printed_as_asked_for() {
        let hint = lampyris_core::view::Hint {
            extension: "6001".into(),
            context: "default".into(),
            devices: "SIP/Bob-mobile&SIP/Bob-desk".into(),
            state: "Idle".into(),
            presence: "not_set".into(),
            watchers: 1,
        };
        let reply = lampyris_core::command::Reply::Hints(vec![hint]);
        let reply = serde_json::to_string(&Response::<_, ()>::Reply(reply)).expect("JSON");
        let all = r#"{"command":"Hints"}"#;
        let some = r#"{"command":{"Hint":"60"}}"#;
        let rows: [(&[&str], &str, &str); 7] = [
            (&["show", "hints"], all, "1 hint\n"),
            (&["show", "hint", "60"], some, "SIP/Bob-mobile&SIP/Bob-desk  Idle   not_set          1"),
            (&["core", "show", "hints"], all, "6001@default             : SIP/Bob-mobile&SIP/B  State:Idle"),
            (&["-rx", "core show hints"], all, "- 1 hints registered\n"),
            (
                &["core", "show", "hints", "--layout", "13"],
                all,
                "\n6001@default                  : SIP/Bob-mobile&SIP",
            ),
            (&["core", "show", "hint", "60"], some, "1 hint matching extension 60\n"),
            (&["core", "show", "hints", "--json"], all, "\"extension\": \"6001\""),
        ];
        for (index, (args, asked, expected)) in rows.into_iter().enumerate() {
            let fake = client::tests::Fake::answering(&format!("verb-{index}"), &[&reply]);
            let ran = ran_in(&fake.data, args);
            assert_eq!((ran.code, ran.errors.as_str()), (0, ""), "{args:?}");
            assert!(ran.out.contains(expected), "{args:?}: {}", ran.out);
            assert_eq!(fake.asked(), [asked], "{args:?}");
        }
    }

    #[test]
    fn orders_are_sent_and_their_answers_said() {
        type Row = (&'static [&'static str], &'static str, &'static str, u8, &'static str);
        let done = r#"{"reply":{"count":1}}"#;
        let none = r#"{"reply":{"count":0}}"#;
        let reloaded = r#"{"reloaded":{"text":"","diagnostics":[]}}"#;
        let bad = r#"{"misconfigured":{"text":"error: x","diagnostics":[]}}"#;
        let off = r#"{"sip_debug":{"on":false}}"#;
        let rows: [Row; 17] = [
            (
                &["devstate", "set", "Custom:night", "inuse", "--for", "10m"],
                r#"{"command":{"SetDevice":{"device":"Custom:night","state":"INUSE","for_s":600}}}"#,
                done,
                0,
                "Custom:night is INUSE for 10m00s\n",
            ),
            (
                &["-rx", "devstate change Custom:night NOT_INUSE"],
                r#"{"command":{"SetDevice":{"device":"Custom:night","state":"NOT_INUSE","for_s":null}}}"#,
                done,
                0,
                "Changing Custom:night to NOT_INUSE\n",
            ),
            (
                &["devstate", "clear", "Custom:night"],
                r#"{"command":{"ClearDevice":{"device":"Custom:night"}}}"#,
                none,
                1,
                "nothing is set by hand on Custom:night",
            ),
            (
                &["mailbox", "set", "100@default", "3", "1"],
                concat!(
                    r#"{"command":{"SetMailbox":{"mailbox":"100@default","#,
                    r#""counts":{"new":3,"old":1,"urgent_new":0,"urgent_old":0}}}}"#
                ),
                done,
                0,
                "100@default: 3/1 (0/0)\n",
            ),
            (
                &["feature", "set", "Bob", "forward-no-answer", "6002", "--after", "20s"],
                concat!(
                    r#"{"command":{"SetFeature":{"user":"Bob","feature":"forward-no-answer","#,
                    r#""target":"6002","after_s":20}}}"#
                ),
                done,
                0,
                "forward-no-answer of Bob: 6002\n",
            ),
            (
                &["presence", "set", "bob", "away", "--note", "Lunch", "--for", "30m"],
                concat!(
                    r#"{"command":{"SetStatus":{"person":"bob","status":"away","#,
                    r#""note":"Lunch","for_s":1800}}}"#
                ),
                done,
                0,
                "bob is away for 30m00s\n",
            ),
            (
                &["feature", "clear", "Bob", "dnd"],
                r#"{"command":{"ClearFeature":{"user":"Bob","feature":"dnd"}}}"#,
                none,
                0,
                "dnd of Bob: off already\n",
            ),
            (
                &["polite-block", "alice", "bob"],
                r#"{"command":{"Rule":{"user":"alice","watcher":"bob","handling":"polite-block"}}}"#,
                done,
                0,
                "alice for bob: polite-block\n",
            ),
            (
                &["rules", "clear", "alice"],
                r#"{"command":{"ClearRules":"alice"}}"#,
                done,
                0,
                "rules of alice: cleared\n",
            ),
            (
                &["forget", "alice", "bob"],
                r#"{"command":{"Rule":{"user":"alice","watcher":"bob","handling":null}}}"#,
                none,
                0,
                "alice for bob: nothing is said any more already\n",
            ),
            (
                &["nudge", "6001"],
                r#"{"command":{"Nudge":{"resource":"6001","watcher":null,"call_id":null}}}"#,
                done,
                0,
                "1 subscription nudged\n",
            ),
            (
                &["drop", "--watcher", "Alice"],
                r#"{"command":{"Drop":{"resource":null,"watcher":"Alice","call_id":null}}}"#,
                none,
                1,
                "no subscription matches",
            ),
            (&["why", "7"], r#"{"command":{"Why":"7"}}"#, r#"{"reply":[]}"#, 1, "nothing is known of `7`"),
            (&["sip", "reload"], r#""reload""#, reloaded, 0, " Reloading SIP\n"),
            (&["dialplan", "reload"], r#""reload""#, bad, 4, "error: x\n"),
            (&["sip", "debug", "off"], off, done, 0, "1 `sip debug on` ended\n"),
            (&["-rx", "sip set debug off"], off, none, 0, "SIP Debugging Disabled\n"),
        ];
        for (index, (args, asked, answer, code, expected)) in rows.into_iter().enumerate() {
            let fake = client::tests::Fake::answering(&format!("order-{index}"), &[answer]);
            let ran = ran_in(&fake.data, args);
            let said = if code == 0 { &ran.out } else { &ran.errors };
            assert_eq!(ran.code, code, "{args:?}: {said}");
            assert!(said.contains(expected), "{args:?}: {said}");
            assert_eq!(fake.asked(), [asked], "{args:?}");
        }
    }

    #[test]
    fn no_server_is_said_clearly() {
        let people = ran(&["show", "hints"]);
        assert!(people.out.is_empty());
        assert!(
            people.errors.contains("no lampyris server is running on /nonexistent/lampyris/"),
            "{}",
            people.errors
        );
        assert!(people.errors.contains("--data DIR"), "{}", people.errors);
        let program = ran(&["show", "hints", "--json"]);
        assert!(program.errors.is_empty());
        let error: serde_json::Value = serde_json::from_str(&program.out).expect("JSON");
        assert_eq!(error["error"]["code"], "no_server");
        assert_eq!(error["error"]["exit_code"], 3);
    }

    #[test]
    fn a_mistyped_verb_is_put_right() {
        let ran = ran(&["statsu"]);
        assert!(ran.errors.contains("status"), "{}", ran.errors);
        let json = super::tests::ran(&["statsu", "--json"]);
        let error: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
        assert_eq!(error["error"]["code"], "usage");
    }

    #[test]
    fn help_of_a_verb_has_its_examples_and_phrases() {
        let help = ran(&["help", "sip"]);
        for expected in [
            "Watch SIP messages live",
            "sip set debug ip|peer X",
            "lampyris sip debug on --peer Alice --method SUBSCRIBE",
        ] {
            assert!(help.out.contains(expected), "{}", help.out);
        }
    }
}
