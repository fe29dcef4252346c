//! Holding a message against a pattern: start line, listed headers in any order, absent headers, body.

use super::pattern::{Values, fill, matches};
use lampyris_core::body::xml::canonical;
use lampyris_sip::{Message, Name};

/// What is wrong with a message, `None` where it is as expected.
///
/// # Errors
/// The pattern itself is wrong.
pub(super) fn differs(
    message: &Message,
    pattern: &str,
    values: &mut Values,
) -> Result<Option<String>, String> {
    let pattern = fill(pattern, values)?;
    let (head, body) = pattern.split_once("\n\n").unwrap_or((&pattern, ""));
    let mut lines = head.lines();
    let wanted = lines.next().ok_or("nothing is expected")?;
    let raw = String::from_utf8_lossy(message.raw()).into_owned();
    let start = raw.lines().next().unwrap_or("");
    if !matches(wanted, start, values) {
        return Ok(Some(format!("`{wanted}` expected, `{start}` came")));
    }
    for line in lines {
        if let Some(name) = line.strip_prefix('!') {
            if let Some(found) = headers(message, name).first() {
                return Ok(Some(format!("`{name}` is not to be there: `{found}`")));
            }
            continue;
        }
        let (name, wanted) = line.split_once(':').ok_or_else(|| format!("not a header: {line}"))?;
        let found = headers(message, name.trim());
        if !found.iter().any(|value| matches(wanted.trim(), value, values)) {
            return Ok(Some(format!("`{line}` expected, {found:?} came")));
        }
    }
    Ok(body_differs(&String::from_utf8_lossy(&message.body()), body.trim(), values))
}

/// Every value of a header, by its long or its compact name.
fn headers(message: &Message, name: &str) -> Vec<String> {
    let wanted = Name::find(name.as_bytes());
    let is_it = |found: &str| match wanted {
        Some(wanted) => Name::find(found.as_bytes()) == Some(wanted),
        None => found.eq_ignore_ascii_case(name),
    };
    let lines = message.header_lines().filter(|(found, _)| is_it(found));
    lines.map(|(_, value)| String::from_utf8_lossy(value).trim().to_owned()).collect()
}

fn body_differs(body: &str, wanted: &str, values: &mut Values) -> Option<String> {
    if wanted.is_empty() {
        return None;
    }
    if wanted == "(no body)" {
        return (!body.is_empty()).then(|| format!("no body expected, came:\n{body}"));
    }
    if wanted.starts_with('<') {
        let (wanted, found) = (canonical(wanted), canonical(body));
        return (!matches(&wanted, &found, values)).then(|| format!("expected:\n{wanted}\ncame:\n{found}"));
    }
    for line in wanted.lines() {
        let (ok, what) = if let Some(text) = line.strip_prefix("contains ") {
            (matches(&format!("{{any}}{text}{{any}}"), body, values), text)
        } else if let Some(text) = line.strip_prefix("lacks ") {
            (!body.contains(text), text)
        } else {
            (body.lines().any(|found| matches(line, found.trim_end(), values)), line)
        };
        if !ok {
            return Some(format!("body: `{what}` is not as expected in:\n{body}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTIFY: &[u8] = b"NOTIFY sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.100;branch=z9hG4bK1\r\n\
        From: <sip:b@x>;tag=2\r\nTo: <sip:a@x>;tag=1\r\ni: c\r\nCSeq: 7 NOTIFY\r\no: presence\r\n\r\n<a x=\"1\" y=\"2\"><b/></a>";

    #[test]
    fn what_is_listed_counts_and_the_rest_does_not() {
        let message = Message::parse(bytes::Bytes::from_static(NOTIFY)).unwrap();
        let rows = [
            ("NOTIFY {any} SIP/2.0\nCSeq: {number} NOTIFY\nEvent: presence\n!Content-Type", true),
            ("NOTIFY {any} SIP/2.0\nCall-ID: c\n\n<a y='2' x='1'> <b></b> </a>", true),
            ("NOTIFY {any} SIP/2.0\n\n<a y='3' x='1'><b/></a>", false),
            ("NOTIFY {any} SIP/2.0\n\ncontains x=\"1\"\nlacks <c", true),
            ("NOTIFY {any} SIP/2.0\n\nlacks <b", false),
            ("NOTIFY {any} SIP/2.0\n\n(no body)", false),
            ("SIP/2.0 200 OK", false),
            ("NOTIFY {any} SIP/2.0\n!Event", false),
            ("NOTIFY {any} SIP/2.0\nEvent: dialog", false),
        ];
        for (pattern, same) in rows {
            let found = differs(&message, pattern, &mut Values::new()).unwrap();
            assert_eq!(found.is_none(), same, "{pattern}: {found:?}");
        }
    }
}
