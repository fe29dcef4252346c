//! `lampyris check CONFIG`: load and verify everything, and print all errors.

use super::failure::Failure;
use super::{Context, Verb, text};
use crate::admin::protocol::Remarks;
use crate::config::{self, Diagnostic, Ignored, Loaded, Severity};
use clap::{Args, FromArgMatches};
use lampyris_core::settings::{Authentication, Host, Settings};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "check",
    about: "Load and verify a configuration, and print all its errors with place, cause and fix",
    examples: &[
        ("check lampyris.toml", "a file of our own"),
        (
            "check /etc/asterisk --beside secrets.toml",
            "sip.conf and extensions.conf, and the secrets they lack",
        ),
    ],
    args: ConfigArgs::augment_args,
    run: |matches, context| run(&ConfigArgs::from_arg_matches(matches)?, context),
};

/// Where the configuration is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// A TOML file, or a directory with sip.conf and extensions.conf
    #[arg(value_name = "CONFIG")]
    pub(crate) config: PathBuf,
    /// A TOML file that adds to CONFIG and wins over it
    #[arg(long, value_name = "FILE")]
    pub(crate) beside: Option<PathBuf>,
}

impl ConfigArgs {
    /// The configuration, or all its errors.
    pub(crate) fn load(&self) -> Result<Loaded, Failure> {
        self.read().map_err(|found| {
            let Remarks { text, diagnostics } = errors(&found);
            Failure::Configuration { rendered: text, diagnostics: diagnostics.into() }
        })
    }

    /// The configuration, or all that was found wrong.
    pub(crate) fn read(&self) -> Result<Loaded, Vec<Diagnostic>> {
        config::load(&self.config, self.beside.as_deref())
    }
}

fn run(args: &ConfigArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let loaded = args.load()?;
    if context.json {
        return context.print_json(&json!({
            "config": args.config.display().to_string(),
            "domains": loaded.settings.domains.len(),
            "peers": loaded.settings.peers.len(),
            "hints": loaded.settings.dialplan.hint_count(),
            "listen": loaded.shell.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "open": openings(&loaded.settings),
            "warnings": loaded.warnings.iter().map(to_json).collect::<Vec<_>>(),
            "ignored": loaded.ignored.iter().map(ignored_json).collect::<Vec<_>>(),
        }));
    }
    let mut out = remarks(&loaded);
    let openings = openings(&loaded.settings);
    for opening in &openings {
        out.push_str(&format!("open: {}\n", text::line(opening)));
    }
    if !openings.is_empty() {
        out.push('\n');
    }
    out.push_str(&format!(
        "{} is good: {}, {}, {}, {}, {}\n",
        text::line(&args.config.display().to_string()),
        counted(loaded.settings.domains.len(), "domain"),
        counted(loaded.settings.peers.len(), "peer"),
        counted(loaded.settings.dialplan.hint_count(), "hint"),
        counted(loaded.shell.listen.len(), "socket"),
        counted(loaded.warnings.len(), "warning"),
    ));
    context.print(&out)
}

/// Warnings, and keys that mean nothing here, for people; empty where there are none.
fn remarks(loaded: &Loaded) -> String {
    let mut out = String::new();
    for warning in &loaded.warnings {
        out.push_str(&format!("{}\n\n", text::lines(&warning.to_string())));
    }
    if !loaded.ignored.is_empty() {
        out.push_str("ignored, because they mean nothing to a presence server:\n");
        for key in &loaded.ignored {
            out.push_str(&format!("  {} ({}): {}\n", text::line(&key.key), times(key.times), key.reason));
        }
        out.push('\n');
    }
    out
}

/// What is open by configuration, a line each: who is not challenged, and where everybody exists.
pub(crate) fn openings(settings: &Settings) -> Vec<String> {
    let trusted = settings.trusted.iter().map(|network| {
        format!("requests from {network} are not challenged: whoever is there says who it is (`trusted`)")
    });
    let known = settings.peers.values().filter(|peer| peer.authentication == Authentication::Address);
    let known = known.map(|peer| {
        let at = match &peer.host {
            Host::Fixed { address, any_port: true } => address.ip().to_string(),
            Host::Fixed { address, .. } => address.to_string(),
            Host::Named(host, _) => host.clone(),
            Host::Dynamic => "anywhere".to_owned(),
        };
        format!("`{}` is not challenged: it is known by its address, {at}", peer.name)
    });
    let any = settings.domains.iter().filter(|domain| domain.any_user);
    let any = any.map(|domain| format!("every user of {} exists (`users = \"any\"`)", domain.name));
    trusted.chain(known).chain(any).collect()
}

fn times(times: usize) -> String {
    if times == 1 { "once".to_owned() } else { format!("{times} times") }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// What a configuration that holds is to be warned of.
pub(crate) fn warnings(loaded: &Loaded) -> Remarks {
    Remarks { text: remarks(loaded), diagnostics: loaded.warnings.iter().map(to_json).collect() }
}

/// All errors, and the warnings beside them.
pub(crate) fn errors(found: &[Diagnostic]) -> Remarks {
    let mut rendered = String::new();
    for diagnostic in found {
        rendered.push_str(&format!("{diagnostic}\n\n"));
    }
    let errors = found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    let warnings = match found.len() - errors {
        0 => String::new(),
        count => format!(", {}", counted(count, "warning")),
    };
    rendered.push_str(&format!("{}{warnings}; nothing was loaded", counted(errors, "error")));
    Remarks { text: rendered, diagnostics: found.iter().map(to_json).collect() }
}

fn to_json(diagnostic: &Diagnostic) -> Value {
    json!({
        "severity": diagnostic.severity.name(),
        "file": diagnostic.file.display().to_string(),
        "line": diagnostic.line,
        "column": diagnostic.column,
        "text": diagnostic.text,
        "cause": diagnostic.cause,
        "fix": diagnostic.fix,
    })
}

fn ignored_json(ignored: &Ignored) -> Value {
    json!({ "key": ignored.key, "times": ignored.times, "reason": ignored.reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_said() {
        use lampyris_core::device_state::DeviceName;
        use lampyris_core::settings::Peer;
        let mut settings = Settings::empty();
        assert_eq!(openings(&settings), Vec::<String>::new());
        settings.trusted.push("10.0.0.0/8".parse().unwrap());
        settings.domains[0].any_user = true;
        let mut gate = Peer::named("gate", DeviceName::parse("SIP/gate").unwrap());
        gate.authentication = Authentication::Address;
        gate.host = Host::Fixed { address: "192.0.2.7:5060".parse().unwrap(), any_port: false };
        settings.peers.insert("gate".to_owned(), gate);
        let said = openings(&settings).join("\n");
        for part in ["10.0.0.0/8", "`gate`", "192.0.2.7:5060", "localhost"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn all_errors_are_told_together() {
        let error = |line: usize| Diagnostic {
            severity: Severity::Error,
            file: "sip.conf".into(),
            line,
            column: 1,
            text: "contxt=default".to_owned(),
            width: 6,
            cause: "unknown key `contxt`".to_owned(),
            fix: "did you mean `context`?".to_owned(),
        };
        let said = errors(&[error(2), error(7)]);
        let text = &said.text;
        assert!(text.contains("sip.conf:2:1") && text.contains("sip.conf:7:1"), "{text}");
        assert!(text.ends_with("\n2 errors; nothing was loaded"), "{text}");
        let warning = Diagnostic { severity: Severity::Warning, ..error(9) };
        assert!(errors(&[error(2), warning]).text.ends_with("\n1 error, 1 warning; nothing was loaded"));
        assert_eq!(said.diagnostics[1]["line"], 7);
        assert_eq!(said.diagnostics[0]["fix"], "did you mean `context`?");
    }
}
