//! `lampyris store check`: everything that can be known of a store, whether a server uses it or not.
//!
//! `lampyris store walk DIR` is the half of it that may die of what it reads (`store::walk`), and no verb for people.

use super::client::{Client, unexpected};
use super::failure::Failure;
use super::progress::Progress;
use super::table::{self, Column};
use super::{Context, Verb, text};
use crate::admin::protocol::{Request, Response};
use crate::store::check::Findings;
use crate::store::{Walker, offline, walk};
use clap::{FromArgMatches, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "store",
    about: "Check the store and its backups: structure, checksums, versions",
    examples: &[
        ("store check", "of a running server, or of none; exit code 1 where something is wrong"),
        ("store check --json", "for monitoring"),
    ],
    args: StoreVerb::augment_subcommands,
    run: |matches, context| match StoreVerb::from_arg_matches(matches)? {
        StoreVerb::Check => check(context),
        StoreVerb::Walk { directory, progress } => {
            let mut progress = progress.then(progress_bar);
            let mut step = |done, total| progress.iter_mut().for_each(|progress| progress.step(done, total));
            let said = walk::said(&directory, &mut step);
            drop(progress);
            context.print(&format!("{said}\n"))
        }
    },
};

#[derive(Debug, clap::Subcommand)]
enum StoreVerb {
    /// Read all of the store and its backups, and say what is wrong with them
    Check,
    /// Walk a store's file, in a process of its own
    #[command(hide = true)]
    Walk {
        /// The directory of LMDB's file
        directory: PathBuf,
        /// Say how far it is
        #[arg(long)]
        progress: bool,
    },
}

fn progress_bar() -> Progress {
    Progress::new("store check", "KiB")
}

fn check(context: &mut Context<'_>) -> Result<(), Failure> {
    let (findings, is_running) = match Client::connect(&context.data) {
        Ok(mut client) => match progress_bar().request(&mut client, &Request::StoreCheck)? {
            Response::StoreChecked(findings) => (findings, true),
            other => return Err(unexpected(&other)),
        },
        Err(Failure::NoServer { .. }) => {
            let findings = offline::check(&context.data, &Walker::telling());
            (findings.map_err(|fault| Failure::Refused(fault.to_string()))?, false)
        }
        Err(other) => return Err(other),
    };
    let report = Report::of(&context.data, findings, is_running);
    if report.is_sound() {
        return if context.json { context.print_json(&report.json()) } else { context.print(&report.text()) };
    }
    Err(Failure::Unsound { rendered: report.text(), report: report.json() })
}

/// A backup's records, and when it was made.
type Counted = (u64, String);

struct Report {
    data: String,
    is_running: bool,
    findings: Findings,
    backups: Vec<(String, Result<Counted, String>)>,
    asides: Vec<String>,
}

impl Report {
    fn of(data: &Path, findings: Findings, is_running: bool) -> Self {
        let backups = offline::backups(data).into_iter().map(|(path, found)| {
            let found = found.map(|summary| (summary.rows, summary.made_at.rfc3339()));
            (path.display().to_string(), found.map_err(|fault| fault.to_string()))
        });
        Self {
            data: data.display().to_string(),
            is_running,
            findings,
            backups: backups.collect(),
            asides: offline::asides(data).iter().map(|path| path.display().to_string()).collect(),
        }
    }

    fn is_sound(&self) -> bool {
        self.findings.is_sound() && self.backups.iter().all(|(_, found)| found.is_ok())
    }

    fn json(&self) -> Value {
        let backups: Vec<Value> = self
            .backups
            .iter()
            .map(|(path, found)| match found {
                Ok((records, made_at)) => json!({ "path": path, "records": records, "made_at": made_at }),
                Err(fault) => json!({ "path": path, "fault": fault }),
            })
            .collect();
        json!({
            "data": self.data,
            "running": self.is_running,
            "sound": self.is_sound(),
            "store": self.findings,
            "backups": backups,
            "aside": self.asides,
        })
    }

    fn text(&self) -> String {
        let found = &self.findings;
        let mut out = match &found.structure {
            Some(what) => format!(
                "the store's file is damaged: {}\nfix: start the server, which sets it aside and begins with its last \
                 backup, or take another one: `lampyris restore FILE`\n",
                text::line(what)
            ),
            None => format!(
                "the store's file is sound: {} pages, {} used, {} free\n",
                found.pages, found.used, found.free
            ),
        };
        let columns = [
            Column::Text("Kind"),
            Column::Number("Live"),
            Column::Number("Expired"),
            Column::Number("Damaged"),
            Column::Number("Of an older version"),
        ];
        let rows = found.kinds.iter().map(|(kind, rows)| {
            let counts = [rows.live, rows.expired, rows.damaged, rows.older];
            std::iter::once(kind.clone()).chain(counts.iter().map(u64::to_string)).collect()
        });
        let rows: Vec<Vec<String>> = rows.collect();
        if !rows.is_empty() {
            out.push_str(&table::render(&columns, &rows, None));
        }
        if found.rows().damaged > 0 {
            out.push_str(
                "damaged records are left out at the next start, and their places used again; phones whose records \
                 they were have to register or subscribe again\n",
            );
        }
        if let Some(schema) = found.newer_schema {
            out.push_str(&format!(
                "a newer version of lampyris wrote it (schema {schema}); this one reads up to {}: use the newer one\n",
                crate::store::SCHEMA
            ));
        }
        for (path, found) in &self.backups {
            out.push_str(&match found {
                Ok((records, made_at)) => {
                    format!(
                        "backup {}: {}, of {made_at}\n",
                        text::line(path),
                        super::backup::records(*records)
                    )
                }
                Err(fault) => format!("backup: {}\n", text::line(fault)),
            });
        }
        if self.backups.is_empty() {
            out.push_str("there is no backup in the data directory; `lampyris backup` makes one\n");
        }
        for aside in &self.asides {
            let aside = text::line(aside);
            out.push_str(&format!("set aside: {aside} (remove it when nobody needs it any more)\n"));
        }
        out
    }
}
