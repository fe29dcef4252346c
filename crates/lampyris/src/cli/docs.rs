//! `lampyris docs`: the documentation that is in the binary, so that it is always that of this version.

use super::failure::Failure;
use super::{Context, Verb};
use crate::documents::{self, PAGES, title};
use clap::{Args, FromArgMatches};
use serde_json::{Value, json};

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "docs",
    about: "Read the documentation of this version: list its pages, print one, or search them all",
    examples: &[
        ("docs", "the pages, and what each is for"),
        ("docs start", "one page, as Markdown; pipe it into a pager"),
        ("docs --search pickup", "every line that has the word"),
    ],
    args: DocsArgs::augment_args,
    run: |matches, context| run(&DocsArgs::from_arg_matches(matches)?, context),
};

#[derive(Debug, clap::Args)]
struct DocsArgs {
    /// As in start; without it the pages are listed
    #[arg(value_name = "PAGE", conflicts_with = "search")]
    page: Option<String>,
    /// Print every line that has this in it, in any case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

fn run(args: &DocsArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    match (&args.page, &args.search) {
        (Some(name), _) => {
            let text = find(name)?;
            if context.json {
                return context.print_json(&json!({ "page": name, "markdown": text }));
            }
            context.print(text)
        }
        (None, Some(wanted)) => search(wanted, context),
        (None, None) => list(context),
    }
}

/// The text of a page.
fn find(name: &str) -> Result<&'static str, Failure> {
    documents::find(name).ok_or_else(|| {
        let bare = name.trim_end_matches(".md");
        let near = crate::config::did_you_mean(bare, PAGES.iter().map(|(known, _)| *known));
        let fix = near.map_or_else(
            || "`lampyris docs` lists them".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        Failure::Usage(format!("there is no page `{name}`; {fix}"))
    })
}

fn list(context: &mut Context<'_>) -> Result<(), Failure> {
    if context.json {
        let rows: Vec<Value> =
            PAGES.iter().map(|(name, text)| json!({"page": name, "title": title(text)})).collect();
        return context.print_json(&rows.into());
    }
    let width = PAGES.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let rows: String = PAGES.iter().map(|(name, text)| format!("{name:width$}  {}\n", title(text))).collect();
    context.print(&rows)
}

fn search(wanted: &str, context: &mut Context<'_>) -> Result<(), Failure> {
    let wanted = wanted.to_lowercase();
    let mut found = Vec::new();
    for (name, text) in PAGES {
        for (number, line) in text.lines().enumerate() {
            if line.to_lowercase().contains(&wanted) {
                found.push((*name, number + 1, line));
            }
        }
    }
    if found.is_empty() {
        return Err(Failure::Refused(format!("no page has `{wanted}` in it")));
    }
    if context.json {
        let rows: Vec<Value> = found
            .iter()
            .map(|(page, line, text)| json!({"page": page, "line": line, "text": text}))
            .collect();
        return context.print_json(&rows.into());
    }
    let rows: String =
        found.iter().map(|(page, line, text)| format!("{page}:{line}: {}\n", text.trim())).collect();
    context.print(&rows)
}

#[cfg(test)]
mod tests {
    use super::super::tests::ran;
    use super::*;

    #[test]
    fn pages_are_listed_printed_and_searched() {
        let listed = ran(&["docs"]);
        assert_eq!(listed.code, 0);
        assert_eq!(listed.out.lines().count(), PAGES.len());
        assert!(ran(&["docs", "start"]).out.starts_with("# Start\n"));
        assert!(ran(&["docs", "START.md"]).out.starts_with("# Start\n"));
        let lost = ran(&["docs", "strat"]);
        assert!(lost.code == 2 && lost.errors.contains("did you mean `start`?"), "{}", lost.errors);
        let found = ran(&["docs", "--search", "PICKUP_CODE"]);
        assert!(found.code == 0 && found.out.contains("config:"), "{}", found.out);
        assert_eq!(ran(&["docs", "--search", "no such words anywhere"]).code, 1);
        let json: Value = serde_json::from_str(&ran(&["docs", "--json"]).out).expect("JSON");
        assert_eq!(json.as_array().map(Vec::len), Some(PAGES.len()));
    }
}
