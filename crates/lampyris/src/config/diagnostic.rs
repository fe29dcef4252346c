//! What is wrong with a configuration: where, why, and how to mend it.
//!
//! In: spans and words. Out: [`Diagnostic`]s, which print as text with a caret under what was typed. Secrets on the
//! line shown are masked.

use super::source::{Sources, Span};
use std::fmt;
use std::path::PathBuf;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// It is used, and probably not as meant.
    Warning,
}

impl Severity {
    /// The word printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong. [`fmt::Display`] prints it whole, over several lines and without colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file as it was named.
    pub file: PathBuf,
    /// From 1; 0 where it is about the file as a whole.
    pub line: usize,
    /// From 1, in characters; 0 where it is about the file as a whole.
    pub column: usize,
    /// The line, with secrets masked.
    pub text: String,
    /// Characters to mark from `column` on.
    pub width: usize,
    /// The cause.
    pub cause: String,
    /// What to do about it.
    pub fix: String,
}

impl Diagnostic {
    /// One about a whole file, or about one that cannot be read.
    pub(crate) fn about_file(file: PathBuf, cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file,
            line: 0,
            column: 0,
            text: String::new(),
            width: 0,
            cause: cause.into(),
            fix: fix.into(),
        }
    }

    /// Prints it with ANSI colours.
    pub fn coloured(&self) -> String {
        self.render(true)
    }

    fn render(&self, colour: bool) -> String {
        let paint = |code: &str, text: &str| {
            if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
        };
        let code = if self.severity == Severity::Error { "1;31" } else { "1;33" };
        let head = format!("{}: {}", paint(code, self.severity.name()), paint("1", &self.cause));
        let fix = if self.fix.is_empty() {
            String::new()
        } else {
            format!("\n  {} {}", paint("36", "fix:"), self.fix)
        };
        if self.line == 0 {
            return format!("{head}\n  --> {}{fix}", self.file.display());
        }
        let gutter = " ".repeat(self.line.to_string().len());
        // Why: a tab before the caret must be a tab below it too, or the caret stands elsewhere.
        let lead: String =
            self.text.chars().take(self.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let caret = paint(code, &"^".repeat(self.width.max(1)));
        format!(
            "{head}\n{gutter}--> {}:{}:{}\n{gutter} |\n{} | {}\n{gutter} | {lead}{caret}{fix}",
            self.file.display(),
            self.line,
            self.column,
            self.line,
            self.text
        )
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// Everything found so far; loading goes on after an error, so that all are told at once.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) sources: Sources,
    found: Vec<(Span, Diagnostic)>,
}

impl Report {
    pub(crate) fn error(&mut self, span: Span, cause: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Error, span, cause.into(), fix.into());
    }

    pub(crate) fn warning(&mut self, span: Span, cause: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Warning, span, cause.into(), fix.into());
    }

    /// An error whose span is a secret: the line ends where it begins.
    pub(crate) fn secret_error(&mut self, span: Span, cause: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Error, span, cause.into(), fix.into());
        let place = self.sources.place(span);
        let kept: String = place.text.chars().take(place.column.saturating_sub(1)).collect();
        let column = place.column;
        let (masked, _) = mask_secrets(&kept);
        if let Some((_, last)) =
            self.found.last_mut().filter(|(at, known)| *at == span && known.column == column)
        {
            (last.text, last.width) = (format!("{masked}***"), 3);
        }
    }

    pub(crate) fn file_error(&mut self, file: PathBuf, cause: impl Into<String>, fix: impl Into<String>) {
        self.found.push((Span::default(), Diagnostic::about_file(file, cause, fix)));
    }

    fn add(&mut self, severity: Severity, span: Span, cause: String, fix: String) {
        let place = self.sources.place(span);
        let (text, shown) = mask_secrets(place.text);
        let (column, width) = match shown {
            Some(shown) => {
                let column = place.column.min(shown + 1);
                (column, place.width.min((text.chars().count() + 1).saturating_sub(column)).max(1))
            }
            None => (place.column, place.width),
        };
        let diagnostic = Diagnostic {
            severity,
            file: place.path.to_owned(),
            line: place.line,
            column,
            text,
            width,
            cause,
            fix,
        };
        // Why: an `#include`d file read twice, or a template used twice, has its error once.
        if !self.found.iter().any(|(_, known)| *known == diagnostic) {
            self.found.push((span, diagnostic));
        }
    }

    /// Errors, then warnings, each in the order of the files.
    pub(crate) fn finish(mut self) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        self.found.sort_by_key(|(span, _)| *span);
        self.found.into_iter().map(|(_, found)| found).partition(|found| found.severity == Severity::Error)
    }
}

/// Keys whose values are never shown, in either dialect.
const SECRET_KEYS: [&str; 8] =
    ["secret", "md5secret", "remotesecret", "ha1", "password", "auth", "register", "mwi"];

/// The line with everything after the first secret's key hidden, and how many characters are still as typed.
fn mask_secrets(line: &str) -> (String, Option<usize>) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut at = 0;
    for piece in line.split_inclusive(|c: char| !is_word(c)) {
        let word = piece.trim_end_matches(|c: char| !is_word(c));
        let after = line.get(at + word.len()..).unwrap_or_default();
        let value = after.trim_start_matches(['"', '\'', ' ', '\t']);
        if SECRET_KEYS.iter().any(|key| word.eq_ignore_ascii_case(key)) && value.starts_with(['=', '+']) {
            let value = value.trim_start_matches(['+', '=', '>', ' ', '\t']);
            if value.is_empty() {
                return (line.to_owned(), None);
            }
            let kept = line.get(..line.len() - value.len()).unwrap_or_default();
            return (format!("{kept}***"), Some(kept.chars().count()));
        }
        // Why: an HA1 on a line of its own, in an array over several lines.
        if word.len() >= 32 && word.bytes().all(|b| b.is_ascii_hexdigit()) {
            let kept = line.get(..at).unwrap_or_default();
            return (format!("{kept}***"), Some(kept.chars().count()));
        }
        at += piece.len();
    }
    (line.to_owned(), None)
}

/// The one of `known` that `typed` most likely meant, if any is near.
pub(crate) fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_ascii_lowercase();
    let score = |name: &str| strsim::jaro_winkler(&typed, &name.to_ascii_lowercase());
    let near = known.into_iter().map(|name| (score(name), name)).filter(|(score, _)| *score > 0.8);
    near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_diagnostic_shows_file_line_column_caret_cause_and_fix() {
        let mut report = Report::default();
        let file = report.sources.add(Path::new("sip.conf"), "[general]\n\tcontxt=default\n".to_owned());
        report.error(file.span(11, 17), "unknown key `contxt`", "did you mean `context`?");
        let (errors, warnings) = report.finish();
        assert!(warnings.is_empty());
        assert_eq!(
            errors[0].to_string(),
            "error: unknown key `contxt`\n --> sip.conf:2:2\n  |\n2 | \tcontxt=default\n  | \t^^^^^^\n  \
             fix: did you mean `context`?"
        );
        assert!(errors[0].coloured().contains("\x1b[1;31merror\x1b[0m"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let rows = [
            ("secret=hunter2", "secret=***"),
            ("  md5secret => 0123", "  md5secret => ***"),
            ("alice = { secret = \"x\", nat = 3 }", "alice = { secret = ***"),
            ("\"ha1\" = \"x\"", "\"ha1\" = ***"),
            ("secret_file = \"a\"", "secret_file = \"a\""),
            ("register => bob:pw@host", "register => ***"),
            ("secret=", "secret="),
            ("  \"md5:0123456789abcdef0123456789abcdef\",", "  \"md5:***"),
            ("; the secret of bob", "; the secret of bob"),
        ];
        for (line, shown) in rows {
            assert_eq!(mask_secrets(line).0, shown);
        }
        let mut report = Report::default();
        let file = report.sources.add(Path::new("a"), "secret = \"hunter2\" x".to_owned());
        report.error(file.span(19, 20), "cause", "fix");
        let printed = report.finish().0[0].to_string();
        assert!(!printed.contains("hunter2") && printed.contains("         ^"), "{printed}");
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_not() {
        let known = ["context", "callcounter", "secret"];
        let rows = [("contxt", Some("context")), ("CallCountr", Some("callcounter")), ("zzz", None)];
        for (typed, meant) in rows {
            assert_eq!(did_you_mean(typed, known), meant, "{typed}");
        }
    }
}
