//! Configuration files without what must not leave the machine.
//!
//! In: a file as it stands. Out: its keys, and the values that are no secret. A value is kept only where its key is known to be
//! harmless by name; comments go, since old passwords live there. What cannot be read is left out whole.

use quick_xml::Reader;
use quick_xml::events::Event;

/// What stands instead.
pub(crate) const HIDDEN: &str = "***";

/// A key with one of these in its name has a secret as its value.
const SECRET_WORDS: [&str; 12] = [
    "secret",
    "passw",
    "ha1",
    "token",
    "auth",
    "credential",
    "register",
    "callback",
    "private",
    "pwd",
    "pin",
    "key",
];

/// Whether the value of this key must not be shown.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
}

/// An address without what stands behind its host or before it: user, password, path and query can each be a secret.
fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let hidden = if host.len() == rest.len() { "" } else { "/***" };
    format!("{scheme}://{host}{hidden}")
}

/// A TOML file; comments are not in it.
pub(crate) fn toml(text: &str) -> Option<String> {
    let mut table: toml::Table = text.parse().ok()?;
    for (key, value) in &mut table {
        hide(key, value);
    }
    toml::to_string(&table).ok()
}

fn hide(key: &str, value: &mut toml::Value) {
    match value {
        toml::Value::Table(table) => table.iter_mut().for_each(|(key, value)| hide(key, value)),
        toml::Value::Array(values) => values.iter_mut().for_each(|value| hide(key, value)),
        _ if is_secret(key) => *value = toml::Value::String(HIDDEN.to_owned()),
        toml::Value::String(text) => *text = without_credentials(text),
        _ => {}
    }
}

/// A file of Asterisk's dialect: sections, and `key = value` or `key => value`; everything else goes.
pub(crate) fn ini(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        // Why at the first: a secret with a semicolon in it is hidden anyway, and a comment never begins later.
        let line = line.split(';').next().unwrap_or("").trim();
        if line.is_empty() {
            continue;
        }
        if line.starts_with('[') || line.starts_with("#include") {
            out.push_str(&format!("{line}\n"));
        } else if let Some((key, value)) = line.split_once('=') {
            let key = key.trim();
            let value = value.trim_start_matches('>').trim();
            let shown = if is_secret(key) { HIDDEN.to_owned() } else { without_credentials(value) };
            out.push_str(&format!("{key} = {shown}\n"));
        }
    }
    out
}

/// A gateway file of FreeSWITCH: the names of its elements, and of its parameters those that are no secret.
pub(crate) fn xml(text: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    let mut out = String::new();
    loop {
        let (element, end) = match reader.read_event().ok()? {
            Event::Start(element) => (element, ""),
            Event::Empty(element) => (element, "/"),
            Event::End(element) => {
                out.push_str(&format!("</{}>\n", element.name().as_ref()));
                continue;
            }
            Event::Eof => return Some(out),
            _ => continue,
        };
        let mut attributes = Vec::new();
        for attribute in element.attributes() {
            let attribute = attribute.ok()?;
            let key = attribute.key.as_ref().to_owned();
            attributes.push((key, attribute.value.clone().into_owned()));
        }
        let hides = attributes.iter().any(|(key, value)| key == "name" && is_secret(value));
        out.push_str(&format!("<{}", element.name().as_ref()));
        for (key, value) in attributes {
            let hidden = is_secret(&key) || (hides && key != "name");
            let shown = if hidden { HIDDEN.to_owned() } else { without_credentials(&value) };
            out.push_str(&format!(" {key}=\"{shown}\""));
        }
        out.push_str(&format!("{end}>\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: [&str; 7] =
        ["s3cret-1", "s3cret-2", "s3cret-3", "s3cret-4", "s3cret-5", "s3cret-6", "s3cret-7"];

    fn has_none(text: &str) {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} is in:\n{text}");
        }
    }

    #[test]
    fn toml_loses_its_secrets_and_keeps_the_rest() {
        // A key that stands twice is no TOML, and then nothing of the file is shown.
        assert_eq!(toml("secret = \"s3cret-1\"\nsecret = \"s3cret-2\"\n"), None);
        let shown = toml(
            "# was: s3cret-1\n[peers.alice]\nsecret = \"\"\"s3cret-2\"\"\"\ndisplay = \"Alice\"\n[peers.bob]\nha1 = [\"MD5:s3cret-3\"]\n\
             [webhooks.crm]\nurl = \"https://u:s3cret-4@h.example/s3cret-5?t=s3cret-6\"\n\"token\" = 's3cret-7'\n",
        )
        .expect("TOML");
        has_none(&shown);
        for kept in ["Alice", "peers.bob", "https://h.example/***"] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
    }

    #[test]
    fn asterisks_files_lose_theirs() {
        let shown = ini(
            "[general] ; s3cret-1\nregister => 1000:s3cret-2@host\ncallcounter=yes\n; secret=s3cret-3\n[alice](!)\n\
             secret => s3cret-4;and more\nremotesecret=s3cret-5\nmd5secret = s3cret-6\nauth=a:s3cret-7@realm\ncontext=office\n",
        );
        has_none(&shown);
        assert!(
            shown.contains("callcounter = yes")
                && shown.contains("context = office")
                && shown.contains("[alice](!)"),
            "{shown}"
        );
    }

    #[test]
    fn gateway_files_lose_theirs() {
        let shown = xml(
            "<include><!-- s3cret-1 --><gateway name=\"fs2\"><param name=\"password\" value=\"s3cret-2\"/>\
             <param value=\"s3cret-3\" name=\"auth-token\"/><param name=\"realm\" value=\"r\"/>s3cret-4</gateway></include>",
        )
        .expect("XML");
        has_none(&shown);
        assert!(shown.contains("value=\"r\"") && shown.contains("fs2"), "{shown}");
        assert_eq!(xml("<a b=s3cret-5>"), None);
    }
}
