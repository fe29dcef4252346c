//! Patterns of one line: literal text, `{any}`, `{capture name}`, `{above name}`, `{number}`; and `${name}` filled in.

use std::collections::BTreeMap;

/// Captured values and addresses, by name.
pub(super) type Values = BTreeMap<String, String>;

enum Piece<'p> {
    Literal(&'p str),
    Any,
    Capture(&'p str),
    Number,
    Above(&'p str),
}

/// Fills in every `${name}`.
pub(super) fn fill(template: &str, values: &Values) -> Result<String, String> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let end = rest[at..].find('}').ok_or("`${` without `}`")? + at;
        let name = &rest[at + 2..end];
        out.push_str(values.get(name).ok_or_else(|| format!("nothing is called {name}"))?);
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether `text` matches `pattern` as a whole; captures count only if it does.
pub(super) fn matches(pattern: &str, text: &str, values: &mut Values) -> bool {
    let mut found = values.clone();
    let is_match = matches_from(&pieces(pattern), text, &mut found);
    if is_match {
        *values = found;
    }
    is_match
}

fn pieces(pattern: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        let special = rest.starts_with('{').then(|| rest.find('}')).flatten().and_then(|end| {
            let piece = match rest[1..end].split_once(' ') {
                None if &rest[1..end] == "any" => Piece::Any,
                None if &rest[1..end] == "number" => Piece::Number,
                Some(("capture", name)) => Piece::Capture(name),
                Some(("above", name)) => Piece::Above(name),
                _ => return None,
            };
            Some((piece, end + 1))
        });
        let (piece, length) = special.unwrap_or_else(|| {
            let end = rest[1..].find('{').map_or(rest.len(), |at| at + 1);
            (Piece::Literal(&rest[..end]), end)
        });
        pieces.push(piece);
        rest = &rest[length..];
    }
    pieces
}

fn matches_from(pieces: &[Piece<'_>], text: &str, values: &mut Values) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return text.is_empty() };
    match first {
        Piece::Literal(literal) => {
            text.strip_prefix(literal).is_some_and(|text| matches_from(rest, text, values))
        }
        Piece::Any | Piece::Capture(_) => {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            for end in ends {
                let mut found = values.clone();
                if let Piece::Capture(name) = first {
                    found.insert((*name).to_owned(), text[..end].to_owned());
                }
                if matches_from(rest, &text[end..], &mut found) {
                    *values = found;
                    return true;
                }
            }
            false
        }
        Piece::Number | Piece::Above(_) => {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            let Ok(number) = text[..end].parse::<u64>() else { return false };
            if let Piece::Above(name) = first {
                let Some(before) = values.get(*name).and_then(|value| value.parse::<u64>().ok()) else {
                    return false;
                };
                if number <= before {
                    return false;
                }
                values.insert((*name).to_owned(), number.to_string());
            }
            matches_from(rest, &text[end..], values)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_a_whole() {
        let rows = [
            ("200 OK", "200 OK", true),
            ("200", "200 OK", false),
            ("a{any}c", "abc", true),
            ("a{any}c", "ac", true),
            ("a{any}c", "abcd", false),
            ("{number} NOTIFY", "12 NOTIFY", true),
            ("{number} NOTIFY", "x NOTIFY", false),
            ("{above n}", "11", true),
            ("{above n}", "10", false),
            ("{unknown}", "{unknown}", true),
        ];
        for (pattern, text, expected) in rows {
            let mut values = Values::from([("n".to_owned(), "10".to_owned())]);
            assert_eq!(matches(pattern, text, &mut values), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn captures_are_kept_and_filled_in() {
        let mut values = Values::new();
        assert!(matches("<{any}>;tag={capture tag};x", "<sip:a>;tag=7-a;x", &mut values));
        assert_eq!(fill("tag=${tag}!", &values).unwrap(), "tag=7-a!");
        assert!(fill("${no}", &values).is_err());
        assert!(!matches("{capture tag}b", "zz", &mut values));
        assert_eq!(values.get("tag").map(String::as_str), Some("7-a"), "a failed match captures nothing");
    }
}
