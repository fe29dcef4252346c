//! `lampyris run CONFIG`: the server itself, in the foreground, until it is stopped.
//!
//! What is typed wins over what is configured. Results (where it listens) go to standard output, remarks about the
//! configuration to standard error, the log too. SIGHUP and `reload` read the same files again.

use super::check::{self, ConfigArgs};
use super::failure::Failure;
use super::{Context, Verb, text};
use crate::config::{self, Loaded};
use crate::handover;
use crate::privileges;
use crate::server::{self, Options, Program, Reload, Reloaded, Running};
use crate::store::Walker;
use crate::tracer::{self, Exporting};
use clap::{Args, FromArgMatches};
use lampyris_core::node::Node;
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "run",
    about: "Run the server on a configuration of your own, in the foreground",
    examples: &[
        ("run lampyris.toml", "a file of our own"),
        (
            "run /etc/asterisk --beside secrets.toml",
            "sip.conf and extensions.conf, and the secrets they lack",
        ),
        (
            "run lampyris.toml --data /srv/lampyris --listen udp:127.0.0.1:5070 --listen tcp:127.0.0.1:5070",
            "with a directory and sockets other than configured",
        ),
    ],
    args: RunArgs::augment_args,
    run: |matches, context| run(RunArgs::from_arg_matches(matches)?, context),
};

#[derive(Debug, clap::Args)]
struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where to listen instead of where the configuration says, as in udp:127.0.0.1:5060 or tcp:0.0.0.0:5060; may be
    /// given several times
    #[arg(long, value_name = "TRANSPORT:ADDR:PORT", value_parser = config::Listen::parse)]
    listen: Vec<config::Listen>,
    /// Take over from the process at the other end of standard input; `lampyris upgrade` types this
    #[arg(long, hide = true)]
    take_over: bool,
}

fn run(args: RunArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut loaded = args.config.load()?;
    let configured = loaded.shell.clone();
    if !args.listen.is_empty() {
        loaded.shell.listen = args.listen;
    }
    let _exporting = log_as(&loaded)?;
    log_remarks(&loaded);
    if loaded.shell.account.is_none() && privileges::is_root() {
        tracing::warn!(
            "running as root: set `user` in `[server]`, and it gives that up once its sockets are bound"
        );
    }
    let data = data_of(context, &loaded);
    loaded.shell.data = Some(data.clone());
    let options = Options {
        reload: Some(reload_of(args.config, configured)),
        signals: true,
        walker: Some(Walker::own()),
        program: program(),
    };
    let settings = Arc::new(loaded.settings);
    let make = |listeners, seed, now| Node::new(settings, listeners, seed, now);
    let started = if args.take_over {
        let taken = handover::take::take().map_err(|error| {
            Failure::Refused(format!("nobody hands over on standard input ({error}); use `lampyris upgrade`"))
        })?;
        server::take_over(&loaded.shell, &options, taken, make)
    } else {
        server::start_with(&loaded.shell, &options, make)
    };
    let running = started.map_err(|error| Failure::Refused(error.to_string()))?;
    let announced = announce(context, &running, &data);
    if !args.take_over {
        announced?; // Why not else: whoever read what the old process printed may be gone, and the service goes on.
    }
    running.wait().map_err(|error| Failure::Refused(format!("the server did not stop well: {error:#}")))
}

/// What an upgrade starts: the file this process was started from, with the same arguments.
fn program() -> Option<Program> {
    let args = std::env::args_os().skip(1).filter(|arg| arg != "--take-over").collect();
    Some(Program { path: std::env::current_exe().ok()?, args })
}

/// The directory typed, else the one in the environment, else the configured one, else the default.
fn data_of(context: &Context<'_>, loaded: &Loaded) -> PathBuf {
    match &loaded.shell.data {
        Some(configured) if context.data_is_default => configured.clone(),
        _ => context.data.clone(),
    }
}

/// Reads the same files again. What only a restart can change is said.
fn reload_of(args: ConfigArgs, at_start: config::ShellSettings) -> Reload {
    Arc::new(move || {
        let mut loaded = args.read().map_err(|found| check::errors(&found))?;
        let mut warnings = check::warnings(&loaded);
        let door = std::mem::replace(&mut loaded.shell.door, at_start.door.clone());
        if loaded.shell != at_start {
            warnings
                .text
                .push_str("sockets, store, user, log and limits on streams and memory are read at the start only; restart to change them\n");
        }
        Ok(Reloaded { settings: Arc::new(loaded.settings), door, warnings })
    })
}

/// Logs to standard error from here on, and tells a collector where there is one.
fn log_as(loaded: &Loaded) -> Result<Exporting, Failure> {
    let filter = EnvFilter::try_new(&loaded.shell.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match loaded.shell.log_format {
        config::LogFormat::Text => lines.with_filter(filter).boxed(),
        config::LogFormat::Json => lines.json().with_filter(filter).boxed(),
    };
    let (spans, exporting) = tracer::layer(&loaded.shell).map_err(Failure::Refused)?;
    // Why: a second server in one process (tests) logs where the first one does.
    let _ = tracing_subscriber::registry().with(lines).with(spans).try_init();
    Ok(exporting)
}

/// What `check` would print, as events of the log.
fn log_remarks(loaded: &Loaded) {
    for warning in &loaded.warnings {
        let at = format!("{}:{}:{}", warning.file.display(), warning.line, warning.column);
        tracing::warn!(at, fix = warning.fix, "{}", warning.cause);
    }
    for opening in check::openings(&loaded.settings) {
        tracing::warn!("open: {opening}");
    }
    for ignored in &loaded.ignored {
        tracing::info!(key = ignored.key, times = ignored.times, "ignored: {}", ignored.reason);
    }
}

/// Says where it listens: the ports are known now, also those the system chose.
fn announce(context: &mut Context<'_>, running: &Running, data: &Path) -> Result<(), Failure> {
    let listening: Vec<String> = running.listeners().iter().map(ToString::to_string).collect();
    let data = data.display().to_string();
    let (site, link) = (running.site(), running.admin_link());
    if context.json {
        let said = json!({ "listening": listening, "http": site, "link": link, "data": data });
        return context.print(&format!("{}\n", text::json_line(&said)));
    }
    let mut lines: String = listening.iter().map(|listen| format!("listening {listen}\n")).collect();
    for (word, said) in [("http", site), ("link", link)] {
        lines.extend(said.map(|said| format!("{word} {said}\n")));
    }
    // Why: in one piece and with the directory last, for whoever waits for that line.
    context.print(&format!("{lines}data {}\n", text::line(&data)))
}
