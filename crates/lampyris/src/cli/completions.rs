//! `lampyris completions SHELL` and `lampyris man DIR`: what a package installs beside the binary, made from its own parser.

use super::failure::{EXIT_CODES, Failure};
use super::{Context, VERBS, Verb, data_dir, parser, shown_by_example};
use clap::builder::Resettable;
use clap::{Args, FromArgMatches};
use clap_complete::Shell;
use clap_mangen::roff::{Roff, bold, roman};
use std::path::{Path, PathBuf};

/// Completions.
pub(crate) const COMPLETIONS: Verb = Verb {
    name: "completions",
    about: "Print what makes a shell complete verbs and options",
    examples: &[
        ("completions bash", "for /etc/bash_completion.d/lampyris"),
        ("completions zsh", "for a file _lampyris in the function path"),
    ],
    args: CompletionsArgs::augment_args,
    run: |matches, context| completions(&CompletionsArgs::from_arg_matches(matches)?, context),
};

/// Manual pages.
pub(crate) const MAN: Verb = Verb {
    name: "man",
    about: "Write the manual pages: one for lampyris, one for each verb",
    examples: &[("man man1", "writes man1/lampyris.1, man1/lampyris-run.1 and so on")],
    args: ManArgs::augment_args,
    run: |matches, context| man(&ManArgs::from_arg_matches(matches)?, context),
};

#[derive(Debug, clap::Args)]
struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, clap::Args)]
struct ManArgs {
    /// The directory they are written to; it is made where it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

fn completions(args: &CompletionsArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut parser(), "lampyris", &mut script);
    context.print(&String::from_utf8_lossy(&script))
}

fn man(args: &ManArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let refused = |error: std::io::Error| Failure::Refused(format!("{}: {error}", args.directory.display()));
    std::fs::create_dir_all(&args.directory).map_err(refused)?;
    let mut root = parser().disable_help_subcommand(true);
    root.build();
    pages(&root, &args.directory).map_err(refused)?;
    context.print(&format!("the manual pages are in {}\n", args.directory.display()))
}

/// The page of a command, and those of the verbs in it.
fn pages(command: &clap::Command, directory: &Path) -> std::io::Result<()> {
    let shown = |sub: &&clap::Command| !sub.is_hide_set();
    command.get_subcommands().filter(shown).try_for_each(|sub| pages(sub, directory))?;
    // Why without: a page fills its lines, and what stands in columns falls over.
    let page = clap_mangen::Man::new(command.clone().after_help(Resettable::Reset));
    let mut text = Vec::new();
    page.render(&mut text)?;
    let verb = |name: &str| VERBS.iter().find(|verb| verb.name == name && command.get_after_help().is_some());
    match verb(command.get_name()) {
        Some(verb) => {
            for (title, rows) in shown_by_example(verb) {
                let rows: Vec<_> = rows.iter().map(|(line, about)| (line.as_str(), *about)).collect();
                section(title, &rows).to_writer(&mut text)?;
            }
        }
        None if command.get_after_help().is_some() => {
            let numbers: Vec<_> =
                EXIT_CODES.iter().map(|row| (row.number.to_string(), row.meaning)).collect();
            let rows: Vec<_> = numbers.iter().map(|(number, meaning)| (number.as_str(), *meaning)).collect();
            section("Exit status", &rows).to_writer(&mut text)?;
            section("Files", &[("The data directory", data_dir::RULE)]).to_writer(&mut text)?;
        }
        None => {}
    }
    std::fs::write(directory.join(page.get_filename()), text)
}

/// A section of rows, each with what it means under it.
fn section(title: &str, rows: &[(&str, &str)]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title.to_uppercase().as_str()]);
    for (line, about) in rows {
        roff.control("TP", []).text([bold(*line)]).text([roman(*about)]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::super::tests::ran;
    use super::VERBS;

    #[test]
    fn every_shell_is_given_every_verb() {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let ran = ran(&["completions", shell]);
            assert_eq!(ran.code, 0, "{shell}: {}", ran.errors);
            for verb in VERBS {
                assert!(ran.out.contains(verb.name), "{shell} does not know {}", verb.name);
            }
        }
        assert_eq!(ran(&["completions", "tcsh"]).code, 2);
    }

    #[test]
    fn every_verb_has_a_manual_page_with_its_examples() {
        let directory = std::env::temp_dir().join(format!("lampyris-man-{}", std::process::id()));
        let ran = ran(&["man", directory.to_str().expect("UTF-8")]);
        assert_eq!(ran.code, 0, "{}", ran.errors);
        for verb in VERBS {
            let page = std::fs::read_to_string(directory.join(format!("lampyris-{}.1", verb.name)))
                .unwrap_or_else(|error| panic!("{}: {error}", verb.name));
            let (line, about) = verb.examples.first().expect("each has one");
            let (_, examples) = page.split_once(".SH EXAMPLES\n.TP\n").expect("examples");
            let (first, rest) = examples.split_once('\n').expect("an example");
            let plain = |text: &str| text.replace('\\', "");
            assert_eq!(plain(first), format!("fBlampyris {line}fR"), "{}", verb.name);
            assert!(plain(rest).starts_with(&plain(about).replace('\'', "*(Aq")), "{}: {rest}", verb.name);
            assert!(!page.contains(".SH EXTRA"), "{}", verb.name);
        }
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}
