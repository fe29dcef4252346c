//! Takes credentials out of SIP messages before somebody looks at them: traces, captures, the web console.
//!
//! In: a message as text. Out: the same with `***` for what a password could be guessed from: `response`, `nonce` and `cnonce`
//! of a digest (RFC 3261 §22.4), all of any other scheme. Everything else stays as it is, so that it still dissects; the
//! Content-Length counts the body alone and stays true.

/// What stands for what was taken out.
const MASK: &str = "***";
/// Parameters of a digest that are hashed with the password, and its answer.
const DIGEST: [&str; 4] = ["response", "nonce", "cnonce", "rspauth"];

/// The message without credentials.
pub(crate) fn credentials(text: &str) -> String {
    let (head, body) = match text.find("\r\n\r\n") {
        Some(end) => text.split_at(end),
        None => (text, ""),
    };
    let mut out = String::with_capacity(text.len());
    let mut is_secret = false;
    for line in head.split_inclusive('\n') {
        let is_folded = line.starts_with([' ', '\t']);
        if is_folded && is_secret {
            out.push_str(&value(line, true));
            continue;
        }
        let Some((name, rest)) = line.split_once(':').filter(|_| !is_folded) else {
            out.push_str(line);
            continue;
        };
        let name_alone = name.trim().to_ascii_lowercase();
        is_secret =
            ["authorization", "proxy-authorization", "authentication-info"].contains(&name_alone.as_str());
        out.push_str(name);
        out.push(':');
        out.push_str(&if is_secret {
            value(rest, name_alone == "authentication-info")
        } else {
            rest.to_owned()
        });
    }
    // A body may quote a message, as message/sipfrag does.
    out.push_str(&answers(body));
    answers(&out)
}

/// A header's value; `is_digest` where its scheme stands elsewhere.
fn value(text: &str, is_digest: bool) -> String {
    let scheme = text.trim_start();
    let is_digest = is_digest || scheme.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("digest"));
    if is_digest {
        return DIGEST.iter().fold(text.to_owned(), |text, name| parameter(&text, name));
    }
    let words = scheme.split_whitespace().next().unwrap_or_default();
    let line_end = text.len() - text.trim_end().len();
    let end = text.get(text.len() - line_end..).unwrap_or_default();
    format!(" {words} {MASK}{end}")
}

/// A parameter's value, quoted or not.
fn parameter(text: &str, name: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let lower = text.to_ascii_lowercase();
    while let Some(at) = lower.get(text.len() - rest.len()..).and_then(|rest| rest.find(name)) {
        let (before, found) = rest.split_at(at);
        let is_name = !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
        let after = found.get(name.len()..).unwrap_or_default();
        let value = after.trim_start().strip_prefix('=').map(str::trim_start).filter(|_| is_name);
        out.push_str(before);
        out.push_str(found.get(..name.len()).unwrap_or_default());
        rest = after;
        if let Some(value) = value {
            let end = match value.strip_prefix('"') {
                Some(quoted) => quoted.find('"').map_or(value.len(), |end| end + 2),
                None => value.find([',', ' ', '\r', '\n']).unwrap_or(value.len()),
            };
            out.push_str("=\"");
            out.push_str(MASK);
            out.push('"');
            rest = value.get(end..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

/// Answers of digests wherever they stand.
fn answers(text: &str) -> String {
    if text.contains("response=\"") { parameter(text, "response") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_and_the_rest_stays() {
        let rows = [
            (
                "REGISTER sip:x SIP/2.0\r\nAuthorization: Digest username=\"a\", nonce=\"n\", response=\"abc\", uri=\"sip:x\"\r\nX: 1\r\n\r\n",
                "REGISTER sip:x SIP/2.0\r\nAuthorization: Digest username=\"a\", nonce=\"***\", response=\"***\", uri=\"sip:x\"\r\nX: 1\r\n\r\n",
            ),
            (
                "a\r\nproxy-authorization : digest Response = abc , cnonce=d,nc=1\r\n\r\n",
                "a\r\nproxy-authorization : digest Response=\"***\" , cnonce=\"***\",nc=1\r\n\r\n",
            ),
            (
                "a\r\nAuthorization: Digest username=\"nonce\",\r\n response=\"abc\"\r\nTo: <sip:response@x>\r\n\r\n",
                "a\r\nAuthorization: Digest username=\"nonce\",\r\n response=\"***\"\r\nTo: <sip:response@x>\r\n\r\n",
            ),
            ("a\r\nAuthorization: Bearer abc.def\r\n\r\n", "a\r\nAuthorization: Bearer ***\r\n\r\n"),
            (
                "a\r\nAuthentication-Info: nextnonce=\"x\", rspauth=\"abc\"\r\n\r\n",
                "a\r\nAuthentication-Info: nextnonce=\"x\", rspauth=\"***\"\r\n\r\n",
            ),
            (
                "SIP/2.0 401 x\r\nWWW-Authenticate: Digest nonce=\"n\"\r\n\r\n",
                "SIP/2.0 401 x\r\nWWW-Authenticate: Digest nonce=\"n\"\r\n\r\n",
            ),
            (
                "a\r\n\r\nAuthorization: Digest response=\"abc\"",
                "a\r\n\r\nAuthorization: Digest response=\"***\"",
            ),
            ("response=\"unfinished", "response=\"***\""),
            ("nothing", "nothing"),
            ("", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(credentials(text), expected);
            assert_eq!(credentials(expected), expected, "once is enough");
        }
    }
}
