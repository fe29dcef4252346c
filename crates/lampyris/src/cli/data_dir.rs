//! Where a server keeps its store and its admin socket, and so where every verb finds it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The environment variable that names the directory.
pub(crate) const VARIABLE: &str = "LAMPYRIS_DATA";

/// How the directory is chosen, for the documentation.
pub(crate) const RULE: &str = "--data DIR, else LAMPYRIS_DATA, else /var/lib/lampyris for root, \
                               else $XDG_STATE_HOME/lampyris, else ~/.local/state/lampyris";

/// What the choice depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) variable: Option<OsString>,
    pub(crate) root: bool,
    pub(crate) xdg_state_home: Option<OsString>,
    pub(crate) home: Option<OsString>,
}

impl Surroundings {
    /// As this process finds them.
    pub(crate) fn of_process() -> Self {
        Self {
            variable: std::env::var_os(VARIABLE),
            root: nix::unistd::geteuid().is_root(),
            xdg_state_home: std::env::var_os("XDG_STATE_HOME"),
            home: std::env::var_os("HOME"),
        }
    }
}

/// The data directory that somebody named: by flag, else in the environment. Empty variables count as unset.
pub(crate) fn named(flag: Option<&Path>, around: &Surroundings) -> Option<PathBuf> {
    flag.map(Path::to_owned).or_else(|| set(&around.variable))
}

fn set(value: &Option<OsString>) -> Option<PathBuf> {
    value.clone().filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The data directory where nobody named one.
pub(crate) fn default(around: &Surroundings) -> PathBuf {
    if around.root {
        return PathBuf::from("/var/lib/lampyris");
    }
    if let Some(state) = set(&around.xdg_state_home) {
        return state.join("lampyris");
    }
    set(&around.home).unwrap_or_else(|| PathBuf::from(".")).join(".local/state/lampyris")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_wish_wins() {
        let all = Surroundings {
            variable: Some("/v".into()),
            root: true,
            xdg_state_home: Some("/x".into()),
            home: Some("/h".into()),
        };
        let rows = [
            (Some("/f"), all.clone(), "/f"),
            (None, all.clone(), "/v"),
            (None, Surroundings { variable: None, ..all.clone() }, "/var/lib/lampyris"),
            (None, Surroundings { variable: Some("".into()), root: false, ..all.clone() }, "/x/lampyris"),
            (
                None,
                Surroundings { home: Some("/h".into()), ..Surroundings::default() },
                "/h/.local/state/lampyris",
            ),
        ];
        for (flag, around, expected) in rows {
            let chosen = named(flag.map(Path::new), &around).unwrap_or_else(|| default(&around));
            assert_eq!(chosen, Path::new(expected), "{around:?}");
        }
    }
}
