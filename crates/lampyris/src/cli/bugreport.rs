//! `lampyris bugreport`: one file for whoever helps, and no secret in it.
//!
//! A tar archive of small texts: versions, the machine and its limits, what a running server says of itself, the last events,
//! and configuration files as `redact` leaves them. SIP messages are not in it, nor is the store.

mod redact;

use super::check::ConfigArgs;
use super::client::Client;
use super::failure::Failure;
use super::{Context, Verb, check, text};
use crate::admin::protocol::{Request, Response};
use crate::config;
use clap::{Args, FromArgMatches};
use lampyris_core::command::Command;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "bugreport",
    about: "Pack what somebody needs who looks for a fault into one file, without any secret",
    examples: &[
        ("bugreport", "of the running server, into a file in this directory"),
        (
            "bugreport --config /etc/lampyris/lampyris.toml --out report.tar",
            "with its configuration, secrets left out",
        ),
    ],
    args: ReportArgs::augment_args,
    run: |matches, context| run(&ReportArgs::from_arg_matches(matches)?, context),
};

/// How long events are listened for.
const EVENTS_FOR: Duration = Duration::from_secs(2);
/// Most of them.
const EVENTS_MAX: usize = 1000;
/// Longest configuration file that is packed, in bytes.
const FILE_BYTES_MAX: usize = 4 << 20;

#[derive(Debug, clap::Args)]
struct ReportArgs {
    /// The configuration: a TOML file, or a directory with sip.conf and extensions.conf
    #[arg(long, value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// A TOML file that adds to it
    #[arg(long, value_name = "FILE", requires = "config")]
    beside: Option<PathBuf>,
    /// Where it is written; lampyris-bugreport-TIME.tar where not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn run(args: &ReportArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut parts = vec![("version.txt".to_owned(), version()), ("machine.txt".to_owned(), machine())];
    parts.extend(server(context));
    if let Some(config) = &args.config {
        parts.extend(configuration(config, args.beside.as_deref()));
    }
    let stamp = crate::remote::probe::now().rfc3339().replace([':', '-'], "");
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("lampyris-bugreport-{stamp}.tar")));
    let refused = |error: std::io::Error| Failure::Refused(format!("{}: {error}", out.display()));
    let mut file = private(&out).map_err(refused)?;
    file.write_all(&archive(&parts).map_err(refused)?).map_err(refused)?;
    let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
    if context.json {
        return context.print_json(&serde_json::json!({ "file": out.display().to_string(), "parts": names }));
    }
    let rows: String = names.iter().map(|name| format!("  {name}\n")).collect();
    context.print(&format!(
        "{} has:\n{rows}Passwords, hashes and tokens are not in it; names, addresses and numbers are. Look before you send it.\n",
        out.display()
    ))
}

/// A new file that only its owner reads.
fn private(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn archive(parts: &[(String, String)]) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in parts {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(crate::remote::probe::now().as_secs());
        header.set_cksum();
        builder.append_data(&mut header, format!("lampyris-bugreport/{name}"), text.as_bytes())?;
    }
    builder.into_inner()
}

fn version() -> String {
    format!("lampyris {}\n{} {}\n", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH)
}

/// The machine: kernel, memory, limits. No environment, which holds secrets.
fn machine() -> String {
    let files = [
        "/proc/version",
        "/proc/meminfo",
        "/proc/loadavg",
        "/proc/self/limits",
        "/proc/sys/net/core/rmem_max",
        "/proc/sys/net/core/rmem_default",
        "/proc/sys/net/core/somaxconn",
        "/proc/net/sockstat",
        "/etc/os-release",
    ];
    let mut out = String::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| format!("{error}\n"));
        out.push_str(&format!("== {file}\n{text}\n"));
    }
    out
}

/// What a running server says; why not, where there is none.
fn server(context: &Context<'_>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut push = |name: &str, outcome: Result<Value, Failure>| {
        let text = match outcome {
            Ok(value) => text::json(&value),
            Err(failure) => failure.to_string(),
        };
        out.push((format!("server/{name}"), format!("{text}\n")));
    };
    let mut client = match Client::connect(&context.data) {
        Ok(client) => client,
        Err(failure) => {
            push("none.txt", Err(failure));
            return out;
        }
    };
    push("status.json", client.command(Command::Status));
    let own = client.request(&Request::Server).map(|response| match response {
        Response::Server(server) => serde_json::to_value(server).unwrap_or_default(),
        _ => Value::Null,
    });
    push("process.json", own);
    push("limits.json", client.command(Command::Limits));
    push("gateways.json", client.command(Command::Gateways));
    push("events.json", events(&context.data));
    out
}

/// What happens just now.
fn events(data: &Path) -> Result<Value, Failure> {
    let mut client = Client::connect(data)?;
    client.done(&Request::Events { on: true })?;
    client.wait_at_most(EVENTS_FOR)?;
    let (began, mut found) = (Instant::now(), Vec::new());
    while began.elapsed() < EVENTS_FOR && found.len() < EVENTS_MAX {
        match client.next() {
            Ok(Response::Event(mut event)) => {
                redact::event(&mut event);
                found.push(event);
            }
            // Nothing happens, or the server went.
            _ => break,
        }
    }
    Ok(Value::Array(found))
}

/// Every file of the configuration, redacted, and what `check` says of it.
fn configuration(config: &Path, beside: Option<&Path>) -> Vec<(String, String)> {
    let files = config::files(config, beside);
    // Why: nothing of a path but its end is told, and two directories may have the same end.
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    let mut out: Vec<(String, String)> = Vec::new();
    for (path, text) in files {
        let name = file_name(&path);
        let count = used.entry(name.clone()).or_default();
        *count += 1;
        let text = match name.rsplit('.').next() {
            _ if text.len() > FILE_BYTES_MAX => None,
            Some("xml") => redact::xml(&text),
            Some("toml") => redact::toml(&text),
            Some("conf") => Some(redact::ini(&text)),
            _ if config.is_dir() => Some(redact::ini(&text)),
            _ => redact::toml(&text),
        };
        let text = text.unwrap_or_else(|| "left out: too long, or not what its name says\n".to_owned());
        let before = if *count > 1 { format!("{count}-") } else { String::new() };
        out.push((format!("config/{before}{name}"), text));
    }
    let args = ConfigArgs { config: config.to_owned(), beside: beside.map(Path::to_owned) };
    // Why not the rendered errors: they show the lines that are wrong, whatever stands there.
    let said = match args.read() {
        Ok(loaded) => format!("good\n{}\n", check::openings(&loaded.settings).join("\n")),
        Err(found) => {
            let rows = found
                .iter()
                .map(|found| format!("{}:{}:{}\n", file_name(&found.file), found.line, found.column));
            format!("wrong at\n{}", rows.collect::<String>())
        }
    };
    out.push(("config/check.txt".to_owned(), said));
    out
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
