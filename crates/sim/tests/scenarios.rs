//! Every `.scn` file on virtual time. `LAMPYRIS_SCENARIO=part-of-a-path` plays only those.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

mod settings;

use lampyris_sim::scenario::virtual_stage::VirtualStage;
use lampyris_sim::scenario::{parse, run};
use std::path::{Path, PathBuf};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "scn") {
            found.push(path);
        }
    }
}

fn play(path: &Path) -> Result<(), String> {
    let script = parse::parse(&std::fs::read_to_string(path).unwrap())?;
    let base = script.settings.base.clone();
    let load = |toml: &str| settings::load(base.as_deref(), toml);
    let mut stage = VirtualStage::new(&script, &load)?;
    let outcome = run(&script, &mut stage)?;
    if outcome.skipped == 0 { Ok(()) } else { Err("steps were skipped on virtual time".to_owned()) }
}

#[test]
fn every_scenario_holds() {
    let mut all = Vec::new();
    files(&settings::scenarios(), &mut all);
    let wanted = std::env::var("LAMPYRIS_SCENARIO").unwrap_or_default();
    let mut failures = Vec::new();
    for path in all.iter().filter(|path| path.display().to_string().contains(&wanted)) {
        // Why: a panic of one scenario must not hide the others.
        let played =
            std::panic::catch_unwind(|| play(path)).unwrap_or_else(|_| Err("it panicked".to_owned()));
        if let Err(why) = played {
            failures.push(format!("{}: {why}", path.strip_prefix(settings::scenarios()).unwrap().display()));
        }
    }
    println!("{} scenarios", all.len());
    assert!(all.len() >= 80, "the scenarios are not where they should be");
    assert!(failures.is_empty(), "{} of {} fail:\n\n{}", failures.len(), all.len(), failures.join("\n\n"));
}
