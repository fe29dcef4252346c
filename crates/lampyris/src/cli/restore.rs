//! `lampyris restore FILE`: puts a backup in the place of the store of a server that does not run.

use super::backup::records;
use super::failure::Failure;
use super::progress::Progress;
use super::{Context, Verb, text};
use crate::config::ShellSettings;
use crate::store::offline;
use clap::{Args, FromArgMatches};
use lampyris_core::time::UnixTime;
use serde_json::json;
use std::path::PathBuf;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "restore",
    about: "Put a backup in the place of the store; the server must be stopped",
    examples: &[(
        "restore /var/backups/lampyris.backup",
        "the store that was there is kept under another name, which is printed",
    )],
    args: RestoreArgs::augment_args,
    run: |matches, context| run(&RestoreArgs::from_arg_matches(matches)?, context),
};

#[derive(Debug, clap::Args)]
struct RestoreArgs {
    /// What `lampyris backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

fn run(args: &RestoreArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut progress = Progress::new("restore", "records");
    let mut step = |done, total| progress.step(done, total);
    let bytes_max = ShellSettings::defaults().store_bytes_max;
    let restored = offline::restore(&context.data, &args.file, bytes_max, &mut step)
        .map_err(|fault| Failure::Refused(fault.to_string()))?;
    drop(progress);
    let made_at: UnixTime = restored.summary.made_at;
    let aside = restored.aside.map(|path| path.display().to_string());
    if context.json {
        return context.print_json(&json!({
            "data": context.data.display().to_string(),
            "records": restored.summary.rows,
            "made_ms": made_at.as_millis(),
            "aside": aside,
        }));
    }
    let aside = aside.map_or_else(String::new, |aside| {
        format!("the store that was there is now {}\n", text::line(&aside))
    });
    context.print(&format!(
        "{} of the backup of {} in place; start the server\n{aside}",
        records(restored.summary.rows),
        made_at.rfc3339()
    ))
}
