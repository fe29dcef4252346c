//! `lampyris completions SHELL` and `lampyris man DIR`: what a package installs beside the binary, made from its own parser.

use super::failure::Failure;
use super::{Context, Verb, parser};
use clap::{Args, FromArgMatches};
use clap_complete::Shell;
use std::path::PathBuf;

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
    clap_mangen::generate_to(parser(), &args.directory).map_err(refused)?;
    context.print(&format!("the manual pages are in {}\n", args.directory.display()))
}

#[cfg(test)]
mod tests {
    use super::super::VERBS;
    use super::super::tests::ran;

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
            assert!(page.contains("Examples:"), "{}", verb.name);
        }
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}
