//! The rules of this repository that a compiler does not check: sizes, names, dependencies, promises of the documents.
//!
//! Reads the tree as it lies on disk, without `target`, `.git` and test data of other origin. Each rule is one test and
//! names every place that breaks it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Most lines of a source file before its tests; files aim at 80 to 400.
const FILE_LINES_MAX: usize = 1000;

/// Names that say nothing about what is inside.
const BANNED_NAMES: [&str; 8] =
    ["utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"];

/// Crates that would bring I/O, clocks, entropy or untyped data into the core.
const BANNED_IN_CORE: [&str; 6] = ["tokio", "mio", "socket2", "getrandom", "serde_json", "anyhow"];

/// Directories of data that came from elsewhere and stays byte for byte as it was.
const DATA_DIRECTORIES: [&str; 4] = ["torture", "fixtures", "data", "seeds"];

/// A file of the repository.
struct File {
    /// From the repository's root, with `/`.
    path: String,
    text: String,
}

impl File {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_data(&self) -> bool {
        self.path.split('/').any(|part| DATA_DIRECTORIES.contains(&part))
    }

    /// Whether the whole file is tests or benchmarks.
    fn is_test(&self) -> bool {
        let in_test_directory = self.path.split('/').any(|part| matches!(part, "tests" | "benches"));
        in_test_directory || self.name() == "tests.rs"
    }

    /// The lines, numbered from 1, that stand before the file's unit tests.
    fn lines_before_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let end = lines
            .windows(2)
            .position(|pair| pair[0].trim() == "#[cfg(test)]" && pair[1].trim_start().starts_with("mod "))
            .unwrap_or(lines.len());
        lines.into_iter().take(end).enumerate().map(|(index, line)| (index + 1, line))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository's root")
}

/// All text files of the repository.
fn files() -> Vec<File> {
    fn walk(root: &Path, directory: &Path, out: &mut Vec<File>) {
        let mut entries: Vec<_> = fs::read_dir(directory)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        entries.sort();
        for path in entries {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name == ".git" {
                continue; // a directory, or in a linked work tree a file
            }
            if path.is_dir() {
                if !matches!(name, "target" | "node_modules" | "__pycache__" | "artifacts" | "corpus") {
                    walk(root, &path, out);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                let path =
                    path.strip_prefix(root).expect("inside the root").to_string_lossy().replace('\\', "/");
                out.push(File { path, text });
            }
        }
    }
    let root = root();
    let mut out = Vec::new();
    walk(&root, &root, &mut out);
    assert!(out.iter().any(|file| file.path == "Cargo.toml"), "the walk found the repository");
    out
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails with every offence on its own line.
fn none(rule: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[test]
fn files_are_short_enough_to_read() {
    let offences = files()
        .iter()
        .filter(|file| file.is_rust() && !file.is_test())
        .map(|file| (file, file.lines_before_tests().count()))
        .filter(|(_, lines)| *lines >= FILE_LINES_MAX)
        .map(|(file, lines)| format!("{}: {lines} lines before its tests", file.path))
        .collect();
    none("a file has fewer than 1000 lines before its tests: split it by idea", offences);
}

#[test]
fn names_say_what_is_inside() {
    let mut offences = Vec::new();
    for file in files() {
        let parts = file.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
        offences.extend(
            parts.filter(|part| BANNED_NAMES.contains(part)).map(|part| format!("{}: {part}", file.path)),
        );
        if file.is_rust() {
            for (number, line) in file.text.lines().enumerate() {
                let declared = line.trim().trim_end_matches(['{', ';', ' ']);
                let declared = declared.rsplit_once("mod ").map_or("", |(_, name)| name);
                if BANNED_NAMES.contains(&declared) {
                    offences.push(format!("{}:{}: mod {declared}", file.path, number + 1));
                }
            }
        }
    }
    none("modules, files and directories are named for what they hold", offences);
}

#[test]
fn every_source_file_says_what_it_is() {
    let offences = files()
        .iter()
        .filter(|file| file.is_rust() && file.path.starts_with("crates/") && !file.is_data())
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| file.path.clone())
        .collect();
    none("a source file begins with a `//!` header", offences);
}

#[test]
fn core_depends_on_no_io() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["tree", "-p", "lampyris-core", "-e", "normal", "--prefix", "none", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("UTF-8");
    let crates: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains(&"lampyris-sip"), "the tree lists what core does depend on: {tree}");
    let offences =
        BANNED_IN_CORE.iter().filter(|name| crates.contains(name)).map(ToString::to_string).collect();
    none("lampyris-core is free of I/O: `cargo tree -i NAME -p lampyris-core` shows the way in", offences);
}

#[test]
fn package_names_stand_only_in_their_package() {
    const ALLOWED: [&str; 3] =
        ["crates/core/src/packages/", "crates/core/src/body/", "crates/core/src/composition/"];
    let mut offences = Vec::new();
    for file in files() {
        let elsewhere = file.path.starts_with("crates/core/src/")
            && !ALLOWED.iter().any(|dir| file.path.starts_with(dir));
        if !elsewhere || !file.is_rust() || file.is_test() {
            continue;
        }
        for (number, line) in file.lines_before_tests() {
            let code = line.split("//").next().unwrap_or(line);
            for name in ["presence", "dialog", "message-summary", "reg", "as-feature-event"] {
                if code.contains(&format!("\"{name}\"")) {
                    offences.push(format!("{}:{number}: \"{name}\"", file.path));
                }
            }
        }
    }
    none("the generic core names no event package: ask the package table", offences);
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    // Why: put together here, so that this file does not offend itself.
    let banned = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];
    let mut offences = Vec::new();
    for file in files().iter().filter(|file| file.is_rust()) {
        for (number, line) in file.text.lines().enumerate() {
            offences.extend(
                banned
                    .iter()
                    .filter(|word| line.contains(**word))
                    .map(|word| format!("{}:{}: {word}", file.path, number + 1)),
            );
        }
    }
    none("no placeholder and no test that is switched off", offences);
}

#[test]
fn no_path_of_one_machine() {
    let banned = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let mut offences = Vec::new();
    for file in files().iter().filter(|file| !file.is_data()) {
        for (number, line) in file.text.lines().enumerate() {
            let hits = banned.iter().filter(|path| {
                // A longer path that only ends like this, as in `/frame/work/x`, is no path of a machine.
                line.match_indices(**path).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric()))
            });
            offences.extend(hits.map(|path| format!("{}:{}: {path}", file.path, number + 1)));
        }
    }
    none("the repository works wherever it lies", offences);
}

#[test]
fn no_trailing_whitespace() {
    let mut offences = Vec::new();
    for file in files().iter().filter(|file| !file.is_data()) {
        let extension = file.name().rsplit_once('.').map_or("", |(_, extension)| extension);
        if !matches!(extension, "" | "rs" | "md" | "toml" | "sh" | "py" | "lock" | "service") {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                offences.push(format!("{}:{}", file.path, number + 1));
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            offences.push(format!("{}: no newline at its end", file.path));
        }
    }
    none("no trailing whitespace, and a newline at the end", offences);
}

#[test]
fn the_documents_keep_their_promises() {
    let readme = read("README.md");
    let first_screen: Vec<&str> = readme.lines().take(30).collect();
    for command in ["cargo run --release -- demo", "./scripts/test"] {
        assert!(
            first_screen.iter().any(|line| line.trim() == command),
            "README's first screen has `{command}`"
        );
    }
    assert!(
        read("CHANGELOG.md").lines().any(|line| line == "## [Unreleased]"),
        "CHANGELOG has an Unreleased section"
    );
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(read(document).lines().count() > 10, "{document} says something");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut offences = Vec::new();
    for file in files().iter().filter(|file| file.path.ends_with(".md") && !file.is_data()) {
        let directory = root().join(&file.path).parent().expect("a file has a directory").to_owned();
        for link in file.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or(link);
            if !path.is_empty() && !link.contains("://") && !directory.join(path).exists() {
                offences.push(format!("{}: {link}", file.path));
            }
        }
    }
    none("a link leads to a file of the repository", offences);
}

#[test]
fn ci_runs_the_tests() {
    assert!(
        read(".ci/run")
            .lines()
            .any(|line| !line.trim_start().starts_with('#') && line.contains("./scripts/test")),
        ".ci/run calls scripts/test"
    );
    #[cfg(unix)]
    for script in [".ci/run", "scripts/test", "scripts/fuzz", "scripts/install-test-tools"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(root().join(script)).expect(script).permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} is executable");
    }
}
