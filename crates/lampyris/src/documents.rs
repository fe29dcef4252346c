//! The documentation that is in the binary, so that it is always that of this version: `docs/`, page by page.
//!
//! Out: Markdown, for `lampyris docs` and for the web console's server.

macro_rules! pages {
    ($($name:literal),+ $(,)?) => {
        /// Every page: its name, and its text.
        pub(crate) const PAGES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../docs/", $name, ".md")))),+];
    };
}

pages![
    "index",
    "start",
    "recipes",
    "phones",
    "understand",
    "presence",
    "console",
    "operate",
    "fix",
    "reliability",
    "security",
    "performance",
    "config",
    "cli",
    "api",
    "metrics",
    "events",
    "errors",
];

/// The text of a page, by its name, in any case, maybe with its `.md`.
pub(crate) fn find(name: &str) -> Option<&'static str> {
    let bare = name.trim_end_matches(".md");
    PAGES.iter().find(|(known, _)| known.eq_ignore_ascii_case(bare)).map(|(_, text)| *text)
}

/// A page's heading.
pub(crate) fn title(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every page of the folder is in the binary and on the index.
    #[test]
    fn no_page_is_left_out() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
        let index = find("index").expect("the index");
        for entry in std::fs::read_dir(folder).expect("docs/") {
            let file = entry.expect("an entry").file_name().into_string().expect("UTF-8");
            let Some(name) = file.strip_suffix(".md") else { continue };
            assert!(PAGES.iter().any(|(known, _)| *known == name), "{file} is not in the binary");
            assert!(name == "index" || index.contains(&format!("]({file})")), "{file} is not on the index");
        }
        for (name, text) in PAGES {
            assert!(!title(text).is_empty(), "{name} has no heading");
        }
    }
}
