//! `-rx "core show hints"`: the way Asterisk's console is used from shells and scripts.
//!
//! In goes a command line, out comes the one that the verbs' parser reads, and whether `-rx` was there.

use std::ffi::OsString;

/// A command line without `-rx`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expanded {
    pub(crate) args: Vec<OsString>,
    /// Whether it came with `-rx`: verbs known to both then answer in Asterisk's wording.
    pub(crate) asterisk: bool,
}

/// Puts the words of `-rx "..."` where they would stand without it. Only options may come before it.
///
/// # Errors
/// Where `-rx` has no command, or `-r` asks for a console, which there is none of.
pub(crate) fn expand(args: Vec<OsString>) -> Result<Expanded, String> {
    let mut position = None;
    let mut expect_value = false;
    for (index, arg) in args.iter().enumerate().skip(1) {
        if std::mem::take(&mut expect_value) {
            continue;
        }
        match arg.to_str() {
            Some("-rx" | "-x" | "-r") => {
                position = Some(index);
                break;
            }
            Some("--data") => expect_value = true,
            Some(option) if option.starts_with('-') => {}
            _ => break,
        }
    }
    let Some(position) = position else {
        return Ok(Expanded { args, asterisk: false });
    };
    let mut rest = args.iter().skip(position);
    if rest.next().is_some_and(|flag| flag == "-r") && rest.next().is_none_or(|flag| flag != "-x") {
        return Err(
            "there is no console; give the command, as in lampyris -rx \"core show hints\"".to_owned()
        );
    }
    let command = rest.next().ok_or("-rx needs a command, as in lampyris -rx \"core show hints\"")?;
    let text = command.to_str().ok_or("the command after -rx is not UTF-8")?;
    let mut expanded: Vec<OsString> = args.iter().take(position).cloned().collect();
    expanded.extend(words(text)?.into_iter().map(OsString::from));
    expanded.extend(rest.cloned());
    Ok(Expanded { args: expanded, asterisk: true })
}

/// Words between spaces; double quotes keep spaces, a backslash keeps the next character.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut current: Option<String> = None;
    let mut quoted = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                current.get_or_insert_default();
            }
            '\\' => current.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() && !quoted => words.extend(current.take()),
            c => current.get_or_insert_default().push(c),
        }
    }
    words.extend(current);
    if quoted {
        return Err(format!("a double quote is missing in `{text}`"));
    }
    if words.is_empty() {
        Err("-rx needs a command, as in lampyris -rx \"core show hints\"".to_owned())
    } else {
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_stand_where_they_belong() {
        type Words = &'static [&'static str];
        let rows: [(Words, Option<(Words, bool)>); 13] = [
            (&["core", "show", "hints"], Some((&["core", "show", "hints"], false))),
            (&["-rx", "core show hints"], Some((&["core", "show", "hints"], true))),
            (&["-rx", "core show hints", "--json"], Some((&["core", "show", "hints", "--json"], true))),
            (&["-rx", "core", "show", "hints"], Some((&["core", "show", "hints"], true))),
            (&["--data", "/d", "-rx", "sip reload"], Some((&["--data", "/d", "sip", "reload"], true))),
            (
                &["--data=/d", "--json", "-r", "-x", "sip reload"],
                Some((&["--data=/d", "--json", "sip", "reload"], true)),
            ),
            (
                &["-x", "devstate change \"Custom:a b\" BUSY"],
                Some((&["devstate", "change", "Custom:a b", "BUSY"], true)),
            ),
            (&["devstate", "set", "-rx"], Some((&["devstate", "set", "-rx"], false))),
            (&["--data", "-rx", "stop"], Some((&["--data", "-rx", "stop"], false))),
            (&["-rx"], None),
            (&["-rx", "  "], None),
            (&["-r"], None),
            (&["-rx", "core \"show"], None),
        ];
        for (args, expected) in rows {
            let line = |words: &[&str]| {
                std::iter::once("lampyris")
                    .chain(words.iter().copied())
                    .map(OsString::from)
                    .collect::<Vec<_>>()
            };
            let found = expand(line(args)).ok();
            let expected = expected.map(|(words, asterisk)| Expanded { args: line(words), asterisk });
            assert_eq!(found, expected, "{args:?}");
        }
    }
}
