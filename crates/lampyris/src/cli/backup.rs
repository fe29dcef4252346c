//! `lampyris backup [FILE]`: a backup of the store, of a running server or of none.

use super::client::{Client, unexpected};
use super::failure::Failure;
use super::progress::Progress;
use super::{Context, Verb, text};
use crate::admin::protocol::{BackedUp, Request, Response};
use crate::config::ShellSettings;
use crate::store::{self, Walker, offline};
use clap::{Args, FromArgMatches};
use serde_json::json;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "backup",
    about: "Write all that the store keeps to one file, while the server runs or not",
    examples: &[
        ("backup", "to `backups` in the data directory, of which the newest are kept"),
        ("backup /var/backups/lampyris.backup", "to a file, which is replaced when the new one is whole"),
    ],
    args: BackupArgs::augment_args,
    run: |matches, context| run(&BackupArgs::from_arg_matches(matches)?, context),
};

#[derive(Debug, clap::Args)]
struct BackupArgs {
    /// Where to; a file of that name is replaced
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

fn run(args: &BackupArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut progress = Progress::new("backup", "records");
    let made = match Client::connect(&context.data) {
        Ok(client) => of_server(client, args.file.as_deref(), &mut progress)?,
        Err(Failure::NoServer { .. }) => {
            let kept = ShellSettings::defaults().backups_kept;
            let to = args.file.as_deref();
            let mut step = |done, total| progress.step(done, total);
            let made = offline::back_up(&context.data, to, kept, &Walker::own(), &mut step);
            let made = made.map_err(|fault| Failure::Refused(fault.to_string()))?;
            BackedUp {
                path: made.path,
                bytes: made.bytes,
                records: made.rows,
                damaged: made.damaged,
                made_ms: made.made_at.as_millis(),
            }
        }
        Err(other) => return Err(other),
    };
    drop(progress);
    if context.json {
        let made = serde_json::to_value(made).map_err(|error| Failure::Refused(error.to_string()))?;
        return context.print_json(&json!({ "backup": made }));
    }
    let damaged = match made.damaged {
        0 => String::new(),
        count => format!("; {count} damaged records of the store are not in it, see `lampyris store check`"),
    };
    let path = text::line(&made.path.display().to_string());
    context.print(&format!("{path}: {}, {} bytes{damaged}\n", records(made.records), made.bytes))
}

/// Has the server write it, and fetches it where it is to be elsewhere.
fn of_server(mut client: Client, to: Option<&Path>, progress: &mut Progress) -> Result<BackedUp, Failure> {
    let made = match progress.request(&mut client, &Request::Backup { take_away: to.is_some() })? {
        Response::BackedUp(made) => made,
        other => return Err(unexpected(&other)),
    };
    let Some(to) = to else { return Ok(made) };
    let fetched = fetch(&made.path, to);
    let _ = std::fs::remove_file(&made.path);
    fetched?;
    Ok(BackedUp { path: to.to_owned(), ..made })
}

/// Copies a backup to where it was asked for; it takes its name when it is whole and was read again.
fn fetch(from: &Path, to: &Path) -> Result<(), Failure> {
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let copied = copy(from, &partial).map_err(|cause| {
        Failure::Refused(format!(
            "the backup {} cannot be written: {cause}",
            text::line(&to.display().to_string())
        ))
    });
    let named = copied.and_then(|()| {
        store::backup::verify(&partial).map_err(|fault| Failure::Refused(fault.to_string()))?;
        Ok(std::fs::rename(&partial, to)?)
    });
    if named.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    named
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut source = std::fs::File::open(from)?;
    let mut target =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    std::io::copy(&mut source, &mut target)?;
    target.sync_all()
}

/// So many of them, in words.
pub(crate) fn records(count: u64) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}
