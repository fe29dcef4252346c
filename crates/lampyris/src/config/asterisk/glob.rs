//! File name patterns of `#include`: `*`, `?` and `[...]`, in any part of the path.
//!
//! In: a directory and a pattern. Out: the paths, sorted; a pattern without wildcards is one path, whether it exists or
//! not. Names that start with a dot match only a pattern that does.

use std::path::{Component, Path, PathBuf};

/// The paths that `pattern` means, seen from `directory`.
pub(crate) fn glob(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    for component in Path::new(pattern).components() {
        match component {
            Component::Normal(name) if name.to_string_lossy().contains(['*', '?', '[']) => {
                let name = name.to_string_lossy();
                found = found.iter().flat_map(|parent| matching(parent, &name)).collect();
            }
            other => found.iter_mut().for_each(|path| path.push(other)),
        }
    }
    found.sort();
    found
}

fn matching(parent: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let pattern: Vec<char> = pattern.chars().collect();
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    names
        .filter(|name| !name.starts_with('.') || pattern.first() == Some(&'.'))
        .filter(|name| matches(&pattern, &name.chars().collect::<Vec<_>>()))
        .map(|name| parent.join(name))
        .collect()
}

fn matches(pattern: &[char], name: &[char]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => {
            matches(rest, name) || name.split_first().is_some_and(|(_, tail)| matches(pattern, tail))
        }
        (Some(('?', rest)), Some((_, tail))) => matches(rest, tail),
        (Some(('[', rest)), Some((c, tail))) => match rest.iter().position(|p| *p == ']') {
            Some(end) => {
                in_set(rest.get(..end).unwrap_or_default(), *c)
                    && matches(rest.get(end + 1..).unwrap_or_default(), tail)
            }
            None => *c == '[' && matches(rest, tail),
        },
        (Some((p, rest)), Some((c, tail))) => p == c && matches(rest, tail),
        _ => false,
    }
}

fn in_set(set: &[char], c: char) -> bool {
    let (negated, set) = match set.split_first() {
        Some(('!' | '^', rest)) => (true, rest),
        _ => (false, set),
    };
    let mut at = 0;
    let mut found = false;
    while let Some(from) = set.get(at) {
        match (set.get(at + 1), set.get(at + 2)) {
            (Some('-'), Some(to)) => {
                found |= (*from..=*to).contains(&c);
                at += 3;
            }
            _ => {
                found |= *from == c;
                at += 1;
            }
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_a_shell_matches_them() {
        let rows = [
            ("*.conf", "sip.conf", true),
            ("*.conf", "sip.conf.bak", false),
            ("sip_*_?.conf", "sip_a_1.conf", true),
            ("sip[0-9a].conf", "sip7.conf", true),
            ("sip[!0-9].conf", "sip7.conf", false),
            ("a*b*c", "aXbYbZc", true),
            ("?", "", false),
        ];
        for (pattern, name, expected) in rows {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(matches(&chars(pattern), &chars(name)), expected, "{pattern} {name}");
        }
    }
}
