//! `docs/cli.md`, generated from the table of verbs. A test keeps the file fresh; `LAMPYRIS_UPDATE_DOCS=1` writes it.

use super::asterisk::PHRASES;
use super::failure::EXIT_CODES;
use super::{VERBS, data_dir, parser};
use std::fmt::Write;

/// The whole reference, as Markdown.
fn reference() -> String {
    let mut root = parser();
    root.build();
    let mut out = String::from(
        "# The command line\n\n\
         <!-- Generated from the table of verbs in crates/lampyris/src/cli/. A test keeps it fresh; \
         LAMPYRIS_UPDATE_DOCS=1 cargo test -p lampyris reference writes it. -->\n\n\
         `lampyris VERB ...`. `lampyris help VERB` shows the same as this page. A mistyped verb is answered with the one \
         that was probably meant.\n\n",
    );
    let _ = writeln!(
        out,
        "A verb that speaks to a running server finds it by the admin socket in its data directory: {}. \
         `run` takes the directory its configuration names, if any, before it takes a default.\n\n\
         Options of every verb:\n",
        data_dir::RULE.replace("--data DIR", "`--data DIR`").replace("LAMPYRIS_DATA", "`LAMPYRIS_DATA`")
    );
    push_arguments(&mut out, &root, true);
    out.push_str(
        "\nTables go to standard output, cut to the terminal's width if it is one and whole if not; progress and errors \
         go to standard error. What came from the network is printed without control characters. With `--json` standard \
         output holds JSON and nothing else, an error too: \
         `{\"error\": {\"code\": \"no_server\", \"exit_code\": 3, \"message\": \"...\"}}`, where a refused configuration \
         has `diagnostics` beside them. Streams print one object per line.\n\n\
         ## Exit codes\n\n| Exit code | `code` | Meaning |\n|---|---|---|\n",
    );
    for row in &EXIT_CODES {
        let _ = writeln!(out, "| {} | `{}` | {} |", row.number, row.code, row.meaning);
    }
    out.push_str("\n## Verbs\n\n| Verb | |\n|---|---|\n");
    for verb in VERBS {
        let _ = writeln!(out, "| [`{0}`](#{0}) | {1} |", verb.name, verb.about);
    }
    for verb in VERBS {
        let _ = writeln!(out, "\n## {}\n\n{}.\n", verb.name, verb.about);
        if let Some(command) = root.find_subcommand(verb.name) {
            push_command(&mut out, command);
        }
        let first = format!("{} ", verb.name);
        let phrases: Vec<_> = PHRASES.iter().filter(|phrase| phrase.pattern.starts_with(&first)).collect();
        if !phrases.is_empty() {
            out.push_str("\n| Phrase | |\n|---|---|\n");
            for phrase in phrases {
                let _ = writeln!(out, "| `{}` | {} |", phrase.pattern.replace('|', "\\|"), phrase.about);
            }
        }
        out.push_str("\n```sh\n");
        let width = verb.examples.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
        for (line, about) in verb.examples {
            let _ = writeln!(out, "lampyris {line:width$}  # {about}");
        }
        out.push_str("```\n");
    }
    out.push_str(
        "\n## Asterisk's words\n\n\
         The phrases of `core`, `sip`, `pjsip`, `dialplan` and `extensions` print Asterisk's layouts; `--layout` chooses \
         whose where they differ. `-rx \"...\"` may stand before any verb or phrase, after `--data` and `--json`, as in \
         `lampyris -rx \"core show hints\"`; `devstate list` then prints Asterisk's layout too. In phrases, `a|b` is \
         either word and `X` is a word of yours.\n",
    );
    out
}

fn push_command(out: &mut String, command: &clap::Command) {
    if command.has_subcommands() {
        for inner in
            command.get_subcommands().filter(|inner| inner.get_name() != "help" && !inner.is_hide_set())
        {
            push_command(out, inner);
        }
        return;
    }
    let usage = command.clone().render_usage().to_string();
    let usage: Vec<&str> = usage.trim_start_matches("Usage: ").split_whitespace().collect();
    let about = command.get_about().map(|about| format!(": {about}")).unwrap_or_default();
    // Why: the first level's text stands above already.
    let about =
        if VERBS.iter().any(|verb| format!(": {}", verb.about) == about) { String::new() } else { about };
    let _ = writeln!(out, "- `{}`{about}", usage.join(" "));
    push_arguments_indented(out, command);
}

fn push_arguments_indented(out: &mut String, command: &clap::Command) {
    let mut inner = String::new();
    push_arguments(&mut inner, command, false);
    for line in inner.lines() {
        let _ = writeln!(out, "  {line}");
    }
}

fn push_arguments(out: &mut String, command: &clap::Command, global: bool) {
    let own = |arg: &&clap::Arg| {
        arg.is_global_set() == global
            && !matches!(arg.get_id().as_str(), "help" | "version")
            && !arg.is_hide_set()
    };
    for arg in command.get_arguments().filter(own) {
        let values: Vec<_> =
            arg.get_value_names().unwrap_or_default().iter().map(|name| name.to_string()).collect();
        let takes_value = arg.get_action().takes_values();
        let name = match arg.get_long() {
            Some(long) if takes_value => format!("--{long} {}", values.join(" ")),
            Some(long) => format!("--{long}"),
            None => values.join(" "),
        };
        let help = arg.get_help().map(|help| help.to_string()).unwrap_or_default();
        let possible: Vec<String> = match arg.get_action() {
            clap::ArgAction::Set | clap::ArgAction::Append => {
                arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect()
            }
            _ => Vec::new(),
        };
        let possible =
            if possible.is_empty() { String::new() } else { format!(" (one of {})", possible.join(", ")) };
        let _ = writeln!(out, "- `{name}`: {help}{possible}");
    }
}

/// Every refusal: of the command line, of SIP, of the HTTP API.
fn errors() -> String {
    let mut out = String::from(
        "# Errors\n\nThis file is generated from the tables of refusals; a test compares them.\n\n\
         ## Command line\n\n| exit code | `code` | meaning |\n|---|---|---|\n",
    );
    for row in &EXIT_CODES {
        let _ = writeln!(out, "| {} | `{}` | {} |", row.number, row.code, row.meaning);
    }
    out.push_str(
        "\nA configuration is refused whole, with every error at once: file, line, column, cause and fix (`lampyris check`).\n\n",
    );
    out.push_str(&lampyris_core::errors_document());
    out.push_str(
        "\n## HTTP\n\nEvery answer that is not 2xx is a problem document (RFC 9457) whose `detail` says cause and fix; which status an \
         operation has stands in [api](api.md).\n",
    );
    out
}

/// What the server knows of phones, and what phones are told.
fn phones() -> String {
    let mut out = String::from(
        "# Phones\n\nThis file is generated from the tables of makers and profiles; a test compares them.\n\n\
         `lampyris phone MAKER --ext 6001 --server pbx.example.com --user alice` prints the lines for your extensions; the same is on \
         the *Phones* page of the [console](console.md). Nothing here needs the server to be changed.\n\n\
         Three settings decide whether a lamp lights: the *server* the phone registers with, the *event package* its keys ask for \
         (`dialog` for busy lamps, `presence` for contacts), and whether it asks for each key or for one *list*. \
         `lampyris probe sip:6001@pbx.example.com` asks as a phone would.\n",
    );
    let makers = super::phone::makers().expect("the makers");
    for (name, title) in makers.iter().map(super::phone::Maker::names) {
        let found =
            super::phone::provisioning(name, vec!["6001".to_owned()], "pbx.example.com".to_owned(), None);
        out.push_str(&super::phone::page(title, &found.expect("its lines")));
    }
    out.push_str(
        "\n## How each kind of phone is treated\n\nThe profile is chosen by the User-Agent; `[profiles.NAME]` of the \
         [configuration](config.md) changes one, `profile` of a peer chooses it by name. `lampyris show profiles` prints them.\n\n\
         | profile | chosen by | because |\n|---|---|---|\n",
    );
    for profile in crate::config::built_in_profiles() {
        let agents: Vec<_> = profile
            .user_agents
            .iter()
            .filter(|part| !part.is_empty())
            .map(|part| format!("`{part}`"))
            .collect();
        let chosen = if agents.is_empty() { "-".to_owned() } else { agents.join(" ") };
        let _ = writeln!(
            out,
            "| `{}` | {chosen} | {} |",
            profile.name,
            profile.reason.replace('|', "\\|").replace('<', "&lt;")
        );
    }
    out
}

/// A generated page of `docs/`: compared, or written where that was asked for.
fn is_fresh(name: &str, expected: &str) {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("LAMPYRIS_UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).expect("docs/");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/{name} is stale: LAMPYRIS_UPDATE_DOCS=1 cargo test -p lampyris reference"
    );
}

#[test]
fn errors_and_phones_are_fresh() {
    is_fresh("errors.md", &errors());
    is_fresh("phones.md", &phones());
}

#[test]
fn the_reference_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
    let expected = reference();
    if std::env::var_os("LAMPYRIS_UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).expect("docs/");
        std::fs::write(path, &expected).expect("docs/cli.md");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/cli.md is stale: LAMPYRIS_UPDATE_DOCS=1 cargo test -p lampyris reference"
    );
}
