//! Asterisk's words as they are typed there: a table of phrases, each leading to the same commands as our own verbs and
//! printing the layout its users know.
//!
//! The layouts are pure functions in this folder. Phrases that a presence server has no answer for are not here.

mod channels;
mod debug;
mod devstate;
mod field;
mod hints;
mod peers;
mod pjsip;
mod subscriptions;

pub(crate) use debug::frame;
pub(crate) use devstate::{change as devstate_change, list as devstate_list};

use super::failure::Failure;
use super::reload;
use super::sip::{self, Filter, Framing};
use super::stop;
use super::{Context, Verb};
use lampyris_core::command::Command;

/// Which Asterisk's layout is printed where they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Layout {
    /// Asterisk 1.4 to 11.
    #[default]
    #[value(name = "1.4")]
    V1_4,
    /// Asterisk 13 and later.
    #[value(name = "13")]
    V13,
}

/// What may stand beside a phrase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) layout: Layout,
    pub(crate) filter: Filter,
}

/// One phrase. Lower-case words stand for themselves, `a|b` for either, `X` for any word.
pub(crate) struct Phrase {
    pub(crate) pattern: &'static str,
    pub(crate) about: &'static str,
    run: fn(&[String], &Options, &mut Context<'_>) -> Result<(), Failure>,
}

const fn phrase(
    pattern: &'static str,
    about: &'static str,
    run: fn(&[String], &Options, &mut Context<'_>) -> Result<(), Failure>,
) -> Phrase {
    Phrase { pattern, about, run }
}

/// Every phrase; the first word is the verb.
pub(crate) static PHRASES: &[Phrase] = &[
    phrase("core show hints", "list all hints", |_, options, context| {
        context.query(Command::Hints, |rows, _| hints::all(rows, options.layout))
    }),
    phrase("core show hint X", "list the hints whose extension starts with X", |words, options, context| {
        let asked = word(words, 0);
        context.query(Command::Hint(asked.clone()), |rows, _| hints::matching(rows, &asked, options.layout))
    }),
    phrase("core show channels", "list the caller and the callees of every call", |_, _, context| {
        context.query(Command::Calls, |rows, _| channels::all(rows))
    }),
    phrase("core reload", "read the configuration again", |_, _, context| reload::run(context, "")),
    phrase("core stop now|gracefully", "stop the server", |_, _, context| stop::run(context)),
    phrase("dialplan reload", "read the configuration again", |_, _, context| {
        reload::run(context, "Dialplan reloaded.\n")
    }),
    phrase("extensions reload", "read the configuration again", |_, _, context| {
        reload::run(context, "Dialplan reloaded.\n")
    }),
    phrase("sip reload", "read the configuration again", |_, _, context| {
        reload::run(context, " Reloading SIP\n")
    }),
    phrase("sip show subscriptions", "list all subscriptions", |_, _, context| {
        context.query(Command::Subscriptions, |rows, _| subscriptions::all(rows))
    }),
    phrase("sip show peers", "list all peers", |_, _, context| {
        context.query(Command::Peers, |rows, _| peers::all(rows))
    }),
    phrase(
        "sip set debug on",
        "print SIP messages as they come and go, until Ctrl-C",
        |_, options, context| sip::debug_on(context, &options.filter, Framing::Asterisk),
    ),
    phrase(
        "sip set debug off",
        "end every `sip debug on`, in whichever terminal it runs",
        |_, _, context| sip::debug_off(context, Framing::Asterisk),
    ),
    phrase("sip set debug ip|peer X", "the same for one address or peer", |words, options, context| {
        let filter = Filter { peer: Some(word(words, 0)), ..options.filter.clone() };
        sip::debug_on(context, &filter, Framing::Asterisk)
    }),
    phrase("sip debug on", "the same in a plainer form, with times", |_, options, context| {
        sip::debug_on(context, &options.filter, Framing::Native)
    }),
    phrase("sip debug off", "end every `sip debug on`, in whichever terminal it runs", |_, _, context| {
        sip::debug_off(context, Framing::Native)
    }),
    phrase("pjsip show subscriptions inbound", "show all subscriptions", |_, _, context| {
        context.query(Command::Subscriptions, |rows, _| pjsip::show(rows))
    }),
    phrase("pjsip list subscriptions inbound", "list all subscriptions", |_, _, context| {
        context.query(Command::Subscriptions, |rows, _| pjsip::list(rows))
    }),
];

/// The captured word, or nothing: patterns without `X` capture none.
fn word(words: &[String], index: usize) -> String {
    words.get(index).cloned().unwrap_or_default()
}

/// Arguments of `core`.
#[derive(Debug, clap::Args)]
struct CoreArgs {
    /// The rest of the phrase, as typed in Asterisk
    #[arg(required = true, value_name = "WORDS")]
    words: Vec<String>,
    /// Whose layout of hints to print: Asterisk 1.4 to 11, or 13 and later
    #[arg(long, value_enum, default_value_t, value_name = "VERSION")]
    layout: Layout,
}

/// Arguments of `sip`.
#[derive(Debug, clap::Args)]
struct SipArgs {
    /// The rest of the phrase
    #[arg(required = true, value_name = "WORDS")]
    words: Vec<String>,
    #[command(flatten)]
    filter: Filter,
}

/// Arguments of the verbs that have phrases only.
#[derive(Debug, clap::Args)]
struct PlainArgs {
    /// The rest of the phrase, as typed in Asterisk
    #[arg(required = true, value_name = "WORDS")]
    words: Vec<String>,
}

impl From<CoreArgs> for (Vec<String>, Options) {
    fn from(args: CoreArgs) -> Self {
        (args.words, Options { layout: args.layout, ..Options::default() })
    }
}

impl From<SipArgs> for (Vec<String>, Options) {
    fn from(args: SipArgs) -> Self {
        (args.words, Options { filter: args.filter, ..Options::default() })
    }
}

impl From<PlainArgs> for (Vec<String>, Options) {
    fn from(args: PlainArgs) -> Self {
        (args.words, Options::default())
    }
}

macro_rules! verb {
    ($name:literal, $args:ty, $about:literal, $examples:expr) => {
        Verb {
            name: $name,
            about: $about,
            examples: $examples,
            args: <$args as clap::Args>::augment_args,
            run: |matches, context| {
                let args = <$args as clap::FromArgMatches>::from_arg_matches(matches)?;
                let (words, options) = args.into();
                run($name, words, &options, context)
            },
        }
    };
}

/// `core ...`.
pub(crate) const CORE: Verb = verb!(
    "core",
    CoreArgs,
    "Asterisk's words: core show hints, core show hint X",
    &[
        ("core show hints", "the layout of Asterisk 1.4 to 11"),
        ("core show hints --layout 13", "the layout of Asterisk 13 and later"),
        ("core show hint 60", "hints whose extension starts with 60"),
        ("-rx \"core show hints\"", "as typed in a shell script"),
    ]
);
/// `dialplan ...`.
pub(crate) const DIALPLAN: Verb = verb!(
    "dialplan",
    PlainArgs,
    "Asterisk's words: dialplan reload",
    &[("dialplan reload", "read the configuration again")]
);
/// `extensions ...`.
pub(crate) const EXTENSIONS: Verb = verb!(
    "extensions",
    PlainArgs,
    "Asterisk's words: extensions reload",
    &[("extensions reload", "read the configuration again")]
);
/// `pjsip ...`.
pub(crate) const PJSIP: Verb = verb!(
    "pjsip",
    PlainArgs,
    "Asterisk's words: pjsip show subscriptions inbound",
    &[
        ("pjsip show subscriptions inbound", "blocks of three lines"),
        ("pjsip list subscriptions inbound", "one line each"),
    ]
);
/// `sip ...`, Asterisk's words and our own.
pub(crate) const SIP: Verb = verb!(
    "sip",
    SipArgs,
    "Watch SIP messages live (sip debug on), and Asterisk's words: sip show subscriptions",
    &[
        ("sip debug on", "every message, until Ctrl-C"),
        ("sip debug on --peer Alice --method SUBSCRIBE", "only Alice's SUBSCRIBEs and their answers"),
        ("sip debug on --json", "one JSON object per line"),
        ("sip set debug on", "in Asterisk's framing"),
        ("sip set debug ip 192.0.2.7", "one address only"),
        ("sip show subscriptions", "in Asterisk's columns"),
    ]
);

fn run(verb: &str, words: Vec<String>, options: &Options, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut typed = vec![verb.to_owned()];
    typed.extend(words);
    let found = PHRASES.iter().find_map(|phrase| Some((phrase, captures(phrase.pattern, &typed)?)));
    match found {
        Some((phrase, words)) => (phrase.run)(&words, options, context),
        None => Err(Failure::Usage(unknown(&typed.join(" ")))),
    }
}

/// The words that stand where the pattern says `X`, if the phrase matches.
fn captures(pattern: &str, typed: &[String]) -> Option<Vec<String>> {
    let pattern: Vec<&str> = pattern.split(' ').collect();
    if pattern.len() != typed.len() {
        return None;
    }
    let mut words = Vec::new();
    for (expected, word) in pattern.into_iter().zip(typed) {
        if expected == "X" {
            words.push(word.clone());
        } else if !expected.split('|').any(|option| option.eq_ignore_ascii_case(word)) {
            return None;
        }
    }
    Some(words)
}

/// What to say about a phrase that is not in the table: the nearest one, and where the others are listed.
fn unknown(typed: &str) -> String {
    let verb = typed.split(' ').next().unwrap_or_default();
    let nearest = PHRASES
        .iter()
        .map(|phrase| {
            (strsim::damerau_levenshtein(phrase.pattern, &typed.to_ascii_lowercase()), phrase.pattern)
        })
        .min()
        .filter(|(distance, _)| *distance <= 6);
    let hint =
        nearest.map(|(_, pattern)| format!("; did you mean `lampyris {pattern}`?")).unwrap_or_default();
    format!("`{}` is not known{hint}\nsee `lampyris help {verb}` for what is", super::text::line(typed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn phrases_are_found_as_typed() {
        type Found = (&'static str, &'static [&'static str]);
        let rows: [(&str, Option<Found>); 12] = [
            ("core show hints", Some(("core show hints", &[]))),
            ("CORE Show HINTS", Some(("core show hints", &[]))),
            ("core show hint 6001", Some(("core show hint X", &["6001"]))),
            ("core stop gracefully", Some(("core stop now|gracefully", &[]))),
            ("sip set debug on", Some(("sip set debug on", &[]))),
            ("sip set debug ip 10.0.0.7", Some(("sip set debug ip|peer X", &["10.0.0.7"]))),
            ("sip set debug peer Alice", Some(("sip set debug ip|peer X", &["Alice"]))),
            ("sip debug off", Some(("sip debug off", &[]))),
            ("pjsip list subscriptions inbound", Some(("pjsip list subscriptions inbound", &[]))),
            ("sip show", None),
            ("core show hints now", None),
            ("core show applications", None),
        ];
        for (text, expected) in rows {
            let found = PHRASES
                .iter()
                .find_map(|phrase| Some((phrase.pattern, captures(phrase.pattern, &typed(text))?)));
            let expected = expected
                .map(|(pattern, words)| (pattern, words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_slip_is_put_right() {
        let rows = [
            ("sip show subscription", "`lampyris sip show subscriptions`"),
            ("core shwo hints", "`lampyris core show hints`"),
            ("dialplan relaod", "`lampyris dialplan reload`"),
        ];
        for (text, suggestion) in rows {
            assert!(unknown(text).contains(suggestion), "{}", unknown(text));
        }
        assert!(!unknown("core do something entirely different").contains("did you mean"));
    }

    #[test]
    fn every_phrase_begins_with_a_verb_of_the_table() {
        for phrase in PHRASES {
            let verb = phrase.pattern.split(' ').next();
            assert!(super::super::VERBS.iter().any(|row| Some(row.name) == verb), "{}", phrase.pattern);
            assert!(!phrase.about.is_empty());
        }
    }
}
