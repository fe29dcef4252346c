//! Asterisk's extension patterns: `_1XX`, sets, wildcards, their best-match order, and `${EXTEN:n:m}`.
//!
//! In: a pattern as typed, an extension as asked for. Out: whether they match, which of two patterns is more specific,
//! and text with the extension filled in. It does no early (incomplete number) matching: nobody dials here.

use std::cmp::Ordering;

/// Whether an extension name is a pattern.
pub(crate) fn is_pattern(extension: &str) -> bool {
    extension.starts_with('_')
}

/// A compiled pattern. Its order is Asterisk's: what sorts first is tried first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    typed: String,
    places: Vec<Place>,
}

/// One place of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// One of these characters, sorted. Invariant: not empty.
    One(Vec<char>),
    /// `.`: everything that follows, at least one character.
    Some,
    /// `!`: everything that follows, maybe nothing.
    Any,
}

/// Why a pattern is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// A `[` without its `]`.
    SetNotClosed,
    /// `[]`.
    SetEmpty,
    /// A range such as `[9-1]`.
    RangeReversed(char, char),
    /// `.` or `!` before the end.
    WildcardNotLast,
    /// Nothing after the underscore.
    Empty,
}

impl std::fmt::Display for PatternError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SetNotClosed => f.write_str("a set is opened with `[` and not closed with `]`"),
            Self::SetEmpty => f.write_str("a set `[]` with nothing in it matches nothing"),
            Self::RangeReversed(from, to) => write!(f, "the range `{from}-{to}` runs backwards"),
            Self::WildcardNotLast => f.write_str("`.` and `!` stand for all that follows and must come last"),
            Self::Empty => f.write_str("nothing follows the underscore"),
        }
    }
}

impl std::error::Error for PatternError {}

impl Pattern {
    /// Compiles a pattern, underscore included.
    ///
    /// # Errors
    /// It is not one.
    pub(crate) fn parse(typed: &str) -> Result<Self, PatternError> {
        let mut places = Vec::new();
        let mut rest = typed.strip_prefix('_').unwrap_or(typed).chars();
        while let Some(c) = rest.next() {
            if matches!(places.last(), Some(Place::Some | Place::Any)) {
                return Err(PatternError::WildcardNotLast);
            }
            places.push(match c {
                'X' | 'x' => Place::One(('0'..='9').collect()),
                'Z' | 'z' => Place::One(('1'..='9').collect()),
                'N' | 'n' => Place::One(('2'..='9').collect()),
                '.' => Place::Some,
                '!' => Place::Any,
                '[' => {
                    let inside = rest.as_str();
                    let end = inside.find(']').ok_or(PatternError::SetNotClosed)?;
                    rest = inside[end + 1..].chars();
                    Place::One(set(&inside[..end])?)
                }
                // Why: separators for the eye only, in pattern and number alike.
                '-' | ' ' => continue,
                literal => Place::One(vec![literal]),
            });
        }
        if places.is_empty() {
            Err(PatternError::Empty)
        } else {
            Ok(Self { typed: typed.to_owned(), places })
        }
    }

    /// As typed.
    pub(crate) fn as_typed(&self) -> &str {
        &self.typed
    }

    /// Whether this extension is one of those meant.
    pub(crate) fn matches(&self, extension: &str) -> bool {
        let mut asked = extension.chars().filter(|c| *c != '-').peekable();
        for place in &self.places {
            match place {
                Place::Any => return true,
                Place::Some => return asked.peek().is_some(),
                Place::One(set) => match asked.next() {
                    Some(c) if set.contains(&c) => {}
                    _ => return false,
                },
            }
        }
        asked.peek().is_none()
    }
}

impl Ord for Pattern {
    /// Place by place: the smaller set first, of equal ones that with the lower character; then `.`; then `!`; a
    /// pattern that ends sorts before one that goes on.
    fn cmp(&self, other: &Self) -> Ordering {
        let weights = |pattern: &Self| -> Vec<(u8, usize, Vec<char>)> {
            let weight = |place: &Place| match place {
                Place::One(set) => (0, set.len(), set.clone()),
                Place::Some => (1, 0, Vec::new()),
                Place::Any => (2, 0, Vec::new()),
            };
            pattern.places.iter().map(weight).collect()
        };
        weights(self).cmp(&weights(other)).then_with(|| self.typed.cmp(&other.typed))
    }
}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The characters of `[...]`: single ones, ranges `a-z`, `\` before a character that is meant itself.
fn set(inside: &str) -> Result<Vec<char>, PatternError> {
    let mut chars = inside.chars().peekable();
    let mut set = Vec::new();
    while let Some(c) = chars.next() {
        let from = if c == '\\' { chars.next().unwrap_or(c) } else { c };
        let mut ahead = chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(to)) => {
                if to < from {
                    return Err(PatternError::RangeReversed(from, to));
                }
                set.extend(from..=to);
                chars = ahead;
            }
            _ => set.push(from),
        }
    }
    set.sort_unstable();
    set.dedup();
    if set.is_empty() { Err(PatternError::SetEmpty) } else { Ok(set) }
}

/// `text` with `${EXTEN}`, `${EXTEN:from}` and `${EXTEN:from:length}` filled in; other variables stay as they are.
///
/// A negative `from` counts from the end; a negative `length` leaves off that many characters at the end.
pub(crate) fn substitute_exten(text: &str, extension: &str) -> String {
    let mut out = String::with_capacity(text.len() + extension.len());
    let mut rest = text;
    while let Some(start) = rest.find("${EXTEN") {
        let (before, variable) = rest.split_at(start);
        out.push_str(before);
        let after = &variable["${EXTEN".len()..];
        match after.split_once('}').and_then(|(range, tail)| Some((substring(extension, range)?, tail))) {
            Some((value, tail)) => {
                out.push_str(&value);
                rest = tail;
            }
            None => {
                out.push_str("${EXTEN");
                rest = after;
            }
        }
    }
    out + rest
}

/// The part of `extension` that `""`, `":from"` or `":from:length"` names; `None` where it is none of these.
fn substring(extension: &str, range: &str) -> Option<String> {
    if range.is_empty() {
        return Some(extension.to_owned());
    }
    let mut numbers = range.strip_prefix(':')?.split(':');
    let from: i64 = numbers.next()?.trim().parse().ok()?;
    let length: Option<i64> = numbers.next().map(|n| n.trim().parse()).transpose().ok()?;
    let chars: Vec<char> = extension.chars().collect();
    let len = i64::try_from(chars.len()).ok()?;
    let start = if from < 0 { len.saturating_add(from).max(0) } else { from.min(len) };
    let end = match length {
        None => len,
        Some(length) if length < 0 => len.saturating_add(length).max(start),
        Some(length) => start.saturating_add(length).min(len),
    };
    let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
    Some(chars.get(start..end)?.iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_asterisk() {
        let rows: [(&str, &[&str], &[&str]); 10] = [
            ("_1XX", &["100", "199", "1-00"], &["10", "1000", "200", "1AA", ""]),
            ("_NXZ", &["201", "999"], &["101", "200"]),
            ("_nxz", &["201"], &["200"]),
            ("_60[1-35]", &["601", "603", "605"], &["604", "60", "6011"]),
            ("_[a-c]X", &["a1"], &["A1", "d1"]),
            ("_9.", &["91", "9x"], &["9", "8"]),
            ("_9!", &["9", "91"], &["8", ""]),
            ("_.", &["a", "6001"], &[""]),
            ("_555-1XXX", &["5551234", "555-1234"], &["555123"]),
            (r"_[\-1]", &["1"], &["2"]),
        ];
        for (pattern, yes, no) in rows {
            let pattern = Pattern::parse(pattern).unwrap();
            yes.iter().for_each(|exten| assert!(pattern.matches(exten), "{pattern:?} {exten}"));
            no.iter().for_each(|exten| assert!(!pattern.matches(exten), "{pattern:?} {exten}"));
        }
    }

    #[test]
    fn the_more_specific_pattern_sorts_first() {
        let sorted = [
            "_12", "_12.", "_12!", "_1[2-3]", "_1N", "_1Z", "_1X", "_1.", "_1!", "_[1-2]5", "_X5", "_.", "_!",
        ];
        let mut shuffled: Vec<_> = sorted.iter().rev().map(|p| Pattern::parse(p).unwrap()).collect();
        shuffled.sort();
        assert_eq!(shuffled.iter().map(Pattern::as_typed).collect::<Vec<_>>(), sorted);
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        let rows = [
            ("_", PatternError::Empty),
            ("_1[2", PatternError::SetNotClosed),
            ("_1[]", PatternError::SetEmpty),
            ("_[9-1]", PatternError::RangeReversed('9', '1')),
            ("_1.2", PatternError::WildcardNotLast),
        ];
        for (pattern, error) in rows {
            assert_eq!(Pattern::parse(pattern), Err(error), "{pattern}");
        }
    }

    #[test]
    fn the_extension_is_filled_in() {
        let rows = [
            ("SIP/${EXTEN}", "SIP/6001"),
            ("SIP/${EXTEN:1}&SIP/m${EXTEN:2}", "SIP/001&SIP/m01"),
            ("${EXTEN:-2}", "01"),
            ("${EXTEN:1:2}", "00"),
            ("${EXTEN:0:-1}", "600"),
            ("${EXTEN:9}x", "x"),
            ("${EXTEN:-9:99}", "6001"),
            ("${EXTENSION}", "${EXTENSION}"),
            ("${EXTEN:a}", "${EXTEN:a}"),
            ("${EXTEN", "${EXTEN"),
            ("${EXTEN:9223372036854775807:9223372036854775807}", ""),
        ];
        for (text, filled) in rows {
            assert_eq!(substitute_exten(text, "6001"), filled, "{text}");
        }
    }
}
