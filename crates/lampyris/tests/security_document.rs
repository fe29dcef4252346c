//! `docs/security.md` names tests that are there, and no library is one with a hole that is known.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::path::{Path, PathBuf};

fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "py") {
            text.push_str(&std::fs::read_to_string(path).unwrap_or_default());
        }
    }
}

#[test]
fn every_test_it_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let mut code = String::new();
    sources(&root.join("crates"), &mut code);
    let (mut files, mut tests) = (0, 0);
    let table =
        document.split("## Known attacks").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let column = row.split(" | ").nth(2).unwrap();
        let mut scenarios = PathBuf::new();
        for word in column.split([' ', ',', '|']).filter(|word| !word.is_empty()) {
            let name = word.trim_matches('`');
            if name.ends_with(".scn") {
                // Why: a name without its folder is in that of the one before.
                let at = root.join("crates/sim/scenarios");
                let there = at.join(name).exists() || at.join(&scenarios).join(name).exists();
                assert!(there, "{name}: {row}");
                scenarios = Path::new(name).parent().unwrap().to_owned();
                files += 1;
            } else if name.ends_with(".rs") {
                assert!(root.join("crates").join(name).exists(), "{name}: {row}");
                files += 1;
            } else if name.matches('_').count() > 2 {
                let is_there =
                    [format!("fn {name}("), format!("def {name}(")].iter().any(|f| code.contains(f));
                assert!(is_there, "{name}: {row}");
                tests += 1;
            }
        }
        assert!(files + tests > 0, "{row}");
    }
    assert!(files > 25 && tests > 12, "{files} files, {tests} tests");
}

/// The first version without the hole, of what advisories have named in this field (RUSTSEC-2026-0194, -0195, -0118, -0119, -0104,
/// -0007, -0009; 2024-0336, -0399, -0421; 2023-0052, -0065). `None`: it is not to be there at all (2024-0003 and its like, 2023-0027).
const MENDED: [(&str, Option<[u64; 3]>); 12] = [
    ("quick-xml", Some([0, 41, 0])),
    ("tungstenite", Some([0, 20, 1])),
    ("hickory-proto", Some([0, 26, 1])),
    ("hickory-resolver", Some([0, 26, 1])),
    ("rustls", Some([0, 23, 18])),
    ("rustls-webpki", Some([0, 103, 13])),
    ("bytes", Some([1, 11, 1])),
    ("time", Some([0, 3, 47])),
    ("idna", Some([1, 0, 0])),
    ("h2", None),
    ("webpki", None),
    ("async-nats", None),
];

#[test]
fn no_library_is_older_than_its_advisories() {
    let lock =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock")).unwrap();
    let value = |package: &str, name: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(&format!("{name} = \"")))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    let mut seen = 0;
    for package in lock.split("[[package]]") {
        let Some((name, version)) = value(package, "name").zip(value(package, "version")) else { continue };
        let Some((_, least)) = MENDED.iter().find(|(known, _)| *known == name) else { continue };
        let version: Vec<u64> = version.split(['.', '-', '+']).take(3).map(|n| n.parse().unwrap()).collect();
        assert!(least.is_some_and(|least| version >= least.to_vec()), "{name} {version:?}: {least:?}");
        seen += 1;
    }
    assert!(seen >= 8, "{seen}");
}
