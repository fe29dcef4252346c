//! Settings of scenarios, made by the binary's own loader from a base beside the scenarios and the TOML typed in them.

use lampyris_core::settings::Settings;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the scenarios are.
pub(crate) fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Loads `base` (relative to `scenarios/settings`) with `toml` over it.
pub(crate) fn load(base: Option<&str>, toml: &str) -> Result<Settings, String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("lampyris-sim-{}-{}.toml", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let typed = std::env::temp_dir().join(name);
    std::fs::write(&typed, toml).map_err(|error| error.to_string())?;
    let loaded = match base.map(|base| scenarios().join("settings").join(base)) {
        Some(base) => lampyris::config::load(&base, Some(&typed)),
        None => lampyris::config::load(&typed, None),
    };
    let _ = std::fs::remove_file(&typed);
    let said = |found: Vec<lampyris::config::Diagnostic>| {
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    loaded.map(|loaded| loaded.settings).map_err(said)
}
