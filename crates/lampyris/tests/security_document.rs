//! `docs/security.md` names tests that are there.

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
