//! Whole configurations: the examples, broken ones, and the document.

mod asterisk;
mod broken;
mod examples;
mod large;
mod lists;
mod own;
mod profiles;

use super::{Diagnostic, Loaded, load};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The example configurations of the repository.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// A directory of files that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("lampyris-config-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).unwrap();
        for (name, text) in files {
            let path = folder.0.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Loads one TOML file with this text.
fn load_toml(text: &str) -> Result<Loaded, Vec<Diagnostic>> {
    let folder = Folder::new(&[("office.toml", text)]);
    load(&folder.path("office.toml"), None)
}

/// Loads a directory with these two files, and maybe a TOML file beside it.
fn load_asterisk(sip: &str, extensions: &str, beside: Option<&str>) -> Result<Loaded, Vec<Diagnostic>> {
    let folder = Folder::new(&[
        ("etc/sip.conf", sip),
        ("etc/extensions.conf", extensions),
        ("beside.toml", beside.unwrap_or_default()),
    ]);
    load(&folder.path("etc"), beside.map(|_| folder.path("beside.toml")).as_deref())
}

/// What was found, one line each, for messages of failed tests.
fn printed(found: &[Diagnostic]) -> String {
    found.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n")
}
