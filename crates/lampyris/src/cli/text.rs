//! Text from the network, made safe for a terminal.
//!
//! A display name, a User-Agent or a whole SIP message is whatever its sender wrote. In goes that, out comes text without
//! escape sequences and without characters that reorder what stands beside them. JSON keeps the value and escapes it.

/// Whether a character moves the cursor, changes the terminal or reorders text.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// One line of text: control characters are removed.
pub(crate) fn line(text: &str) -> String {
    text.chars().filter(|c| !is_unsafe(*c)).collect()
}

/// Several lines: line feeds and tabs stay, carriage returns go, other control characters are written as `\x1b`.
pub(crate) fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => {}
            c if is_unsafe(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// Its lines, broken between words where they are longer than `width`; a word that is longer stays whole.
pub(crate) fn wrapped(text: &str, width: Option<usize>) -> Vec<String> {
    let mut out = Vec::new();
    for given in lines(text).lines() {
        let mut line = String::new();
        for word in given.split_whitespace() {
            let length = line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && width.is_some_and(|width| length > width) {
                out.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        out.push(line);
    }
    out
}

/// JSON text over several lines, with every unsafe character escaped, so that it can be shown too.
pub(crate) fn json(value: &serde_json::Value) -> String {
    escape(&format!("{value:#}"))
}

/// The same on one line.
pub(crate) fn json_line(value: &serde_json::Value) -> String {
    escape(&value.to_string())
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_unsafe(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_removed() {
        let rows = [
            ("Alice", "Alice"),
            ("a\u{1b}[31mb", "a[31mb"),
            ("a\r\nb", "ab"),
            ("a\u{9b}2Jb", "a2Jb"),
            ("a\u{202e}b", "ab"),
            ("a\u{7f}b\u{0}", "ab"),
            ("Zoë", "Zoë"),
        ];
        for (from, to) in rows {
            assert_eq!(line(from), to, "{from:?}");
        }
    }

    #[test]
    fn messages_keep_their_lines() {
        assert_eq!(lines("a: b\r\n\tc\u{1b}]0;x\u{7}\r\n"), "a: b\n\tc\\u{1b}]0;x\\u{7}\n");
    }

    #[test]
    fn json_is_printable_and_means_the_same() {
        let value = serde_json::json!({"agent": "x\u{9b}\u{1b}\u{202e}y\n"});
        let text = json(&value);
        assert!(!json_line(&value).contains('\n'));
        assert!(text.chars().all(|c| c == '\n' || !is_unsafe(c)), "{text:?}");
        let back: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(back, value);
    }
}
