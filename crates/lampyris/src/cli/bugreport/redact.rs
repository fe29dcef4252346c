//! Configuration files, and events, without what must not leave the machine.
//!
//! In: a file as it stands. Out: the names in it, and those values that are known to be harmless: of a key that the readers of
//! `config` know, in the table where they know it, of the kind that it takes, and not of a secret. Whatever else stands there,
//! a misspelt `secert` too, is hidden; comments go, since old passwords live there. What cannot be read is left out whole.
//! Of events everything stays but what people wrote to each other.

use crate::config::options::{self, Kind, Table};
use crate::config::toml::table_named;
use crate::config::{asterisk, freeswitch};
use quick_xml::Reader;
use quick_xml::events::Event;
use toml::Value;

/// What stands instead.
const HIDDEN: &str = "***";

/// A text that may be shown, without credentials in an address: `scheme://` keeps its host alone, since user, password, path
/// and query can each be a secret, and `sip:user:password@host` loses the password.
fn without_credentials(text: &str) -> String {
    if let Some((scheme, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let hidden = if host.len() == rest.len() { "" } else { "/***" };
        return format!("{scheme}://{host}{hidden}");
    }
    let Some((before, host)) = text.rsplit_once('@') else { return text.to_owned() };
    let user_at = before.find("sip:").or_else(|| before.find("sips:")).map_or(0, |at| at + "sips:".len());
    match before.get(user_at..).and_then(|user| user.find(':')) {
        Some(colon) => {
            let kept = before.get(..user_at + colon).unwrap_or_default();
            format!("{kept}:{HIDDEN}@{host}")
        }
        None => text.to_owned(),
    }
}

/// A TOML file; comments are not in it.
pub(crate) fn toml(text: &str) -> Option<String> {
    let mut file: toml::Table = text.parse().ok()?;
    for (name, value) in &mut file {
        match (table_named(name), value) {
            (
                Some(kind @ (Table::Server | Table::Tls | Table::Limits | Table::Calls)),
                Value::Table(table),
            ) => {
                options_of(kind, table);
            }
            (Some(Table::Hints), Value::Table(table)) => hints(table),
            (Some(kind), Value::Table(named)) => {
                for (_, value) in named {
                    match value {
                        Value::Table(table) => options_of(kind, table),
                        other => hide(other),
                    }
                }
            }
            (_, value) => option(Table::Top, name, value),
        }
    }
    toml::to_string(&file).ok()
}

fn options_of(kind: Table, table: &mut toml::Table) {
    for (name, value) in table {
        match value {
            Value::Table(inner) if kind == Table::Context && name == "hints" => hints(inner),
            value => option(kind, name, value),
        }
    }
}

/// Extensions and their devices.
fn hints(table: &mut toml::Table) {
    for (_, value) in table {
        show(Kind::Text, value);
    }
}

fn option(table: Table, name: &str, value: &mut Value) {
    match options::find(table, name).filter(|option| !option.is_secret()) {
        Some(option) => show(option.kind, value),
        None => hide(value),
    }
}

/// Leaves a value of this kind as it is, and hides any other.
fn show(kind: Kind, value: &mut Value) {
    match (kind, value) {
        (Kind::Boolean | Kind::BooleanOrInteger(..), Value::Boolean(_))
        | (Kind::Integer(..) | Kind::Integers(..) | Kind::BooleanOrInteger(..), Value::Integer(_)) => {}
        (Kind::Choice(words), Value::String(text)) if words.contains(&text.as_str()) => {}
        (Kind::Text | Kind::Texts, Value::String(text)) => *text = without_credentials(text),
        (Kind::Texts | Kind::Integers(..), Value::Array(values)) => {
            values.iter_mut().for_each(|value| show(kind, value));
        }
        (_, other) => hide(other),
    }
}

/// Hides every value in this one; names of tables and keys stay.
fn hide(value: &mut Value) {
    match value {
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| hide(value)),
        Value::Array(values) => values.iter_mut().for_each(hide),
        other => *other = Value::String(HIDDEN.to_owned()),
    }
}

/// A file of Asterisk's dialect: sections, and `key = value` or `key => value`; everything else goes.
pub(crate) fn ini(text: &str) -> String {
    let mut out = String::new();
    let mut are_globals = false;
    for line in text.lines() {
        // Why at the first: a value with a semicolon in it loses its end, and a comment never begins later.
        let line = line.split(';').next().unwrap_or("").trim();
        if line.starts_with('[') {
            are_globals = line.to_ascii_lowercase().starts_with("[globals]");
            let end = line.rfind([']', ')']).map_or(line.len(), |end| end + 1);
            out.push_str(&format!("{}\n", line.get(..end).unwrap_or(line)));
        } else if line.starts_with("#include") {
            out.push_str(&format!("{line}\n"));
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim(), value.trim_start_matches('>').trim());
            let shown = match key.to_ascii_lowercase().as_str() {
                _ if are_globals => HIDDEN.to_owned(),
                "include" => value.to_owned(),
                "exten" => priority(value, 2),
                "same" => priority(value, 1),
                key if asterisk::is_harmless(key) || asterisk::keys::DIALPLAN_GENERAL.contains(&key) => {
                    without_credentials(value)
                }
                _ => HIDDEN.to_owned(),
            };
            out.push_str(&format!("{key} = {shown}\n"));
        }
    }
    out
}

/// The first parts of a dialplan's line, and the rest of it where it is a hint: an application's arguments may be secrets.
fn priority(value: &str, parts: usize) -> String {
    let found: Vec<&str> = value.splitn(parts + 1, ',').collect();
    let (head, rest) = found.split_at(parts.min(found.len()));
    let is_hint = head.last().is_some_and(|priority| priority.trim().eq_ignore_ascii_case("hint"));
    match rest.first() {
        Some(devices) if is_hint => format!("{},{devices}", head.join(",")),
        Some(_) => format!("{},{HIDDEN}", head.join(",")),
        // Why: `same => Set(PIN=1234)` forgot its priority.
        None => HIDDEN.to_owned(),
    }
}

/// A gateway file of FreeSWITCH: names of elements and attributes, of gateways and parameters, and the values of parameters
/// that are read and no secret.
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
        let name = element.name();
        let is_read = attributes
            .iter()
            .any(|(key, value)| key == "name" && freeswitch::HARMLESS.contains(&value.as_ref()));
        out.push_str(&format!("<{}", name.as_ref()));
        for (key, value) in attributes {
            let is_shown = matches!(
                (name.as_ref(), key.as_str()),
                ("gateway" | "param", "name") | ("subscription", "event")
            ) || (name.as_ref() == "param" && key == "value" && is_read);
            let shown = if is_shown { without_credentials(&value) } else { HIDDEN.to_owned() };
            out.push_str(&format!(" {key}=\"{shown}\""));
        }
        out.push_str(&format!("{end}>\n"));
    }
}

/// Fields of events that hold what people, or others' servers, say in their own words.
const WORDS: [&str; 3] = ["note", "pl_data", "Call-Info"];

/// An event, as JSON.
pub(crate) fn event(event: &mut serde_json::Value) {
    let Some(fields) = event.as_object_mut() else { return };
    let is_presence_in = fields.get("event").is_some_and(|kind| kind == "presence_in");
    for (name, value) in fields {
        let is_said = WORDS.contains(&name.as_str()) || (is_presence_in && name == "status");
        if is_said && value.as_str() != Some("") {
            *value = HIDDEN.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text with this in it is a secret.
    const SECRET: &str = "s3cret";

    fn has_none(shown: &str) {
        assert!(!shown.contains(SECRET), "a secret is in:\n{shown}");
    }

    fn has_all(shown: &str, kept: &[&str]) {
        kept.iter().for_each(|kept| assert!(shown.contains(kept), "{kept}:\n{shown}"));
    }

    #[test]
    fn toml_loses_its_secrets_and_keeps_the_rest() {
        // A key that stands twice is no TOML, and then nothing of the file is shown.
        assert_eq!(toml("secret = \"s3cret-1\"\nsecret = \"s3cret-2\"\n"), None);
        let shown = toml(
            "# was: s3cret\ntrusted = [\"10.0.0.0/8\"]\nwatch = \"confirm\"\n[peers.alice]\nsecret = \"\"\"s3cret\"\"\"\n\
             display = \"Alice\"\ncall_limit = 30\n[peers.bob]\nha1 = [\"MD5:s3cret\"]\n\
             [webhooks.crm]\nurl = \"https://u:s3cret@h.example/s3cret?t=s3cret\"\n\"token\" = 's3cret'\n\
             [gateways.a]\nsecret = \"s3cret\"\nproxy = \"sip:me:s3cret@sip.example.net\"\n\
             [hints]\n6001 = \"SIP/bob\"\n[contexts.sales.hints]\n_7X = \"SIP/${EXTEN}\"\n",
        )
        .expect("TOML");
        has_none(&shown);
        has_all(
            &shown,
            &[
                "10.0.0.0/8",
                "confirm",
                "Alice",
                "30",
                "peers.bob",
                "https://h.example/***",
                "sip:me:***@sip.example.net",
                "SIP/bob",
                "SIP/${EXTEN}",
            ],
        );
    }

    #[test]
    fn what_nobody_knows_is_hidden() {
        for text in [
            "secert = \"s3cret\"",
            "[tokens]\nwall = \"s3cret\"",
            "[tokens]\nwall = [1, { of = \"s3cret\" }]",
            "[peers.alice]\npasword = \"s3cret\"",
            // A key that another table knows.
            "[server]\ndisplay = \"s3cret\"",
            // In the wrong place, or of the wrong kind.
            "[peers]\nsecret = \"s3cret\"",
            "[peers.alice]\ntype = \"s3cret\"",
            "[peers.alice]\ndisplay = { secret = \"s3cret\" }",
            "[peers.alice]\ncall_limit = \"s3cret\"",
            "[peers.alice.secret]\ndisplay = \"s3cret\"",
            "[hints]\n6001 = [\"s3cret\"]",
            "[[peers]]\ndisplay = \"s3cret\"",
            "peers = \"s3cret\"",
        ] {
            let shown = toml(text).expect("TOML");
            has_none(&shown);
            has_all(&shown, &[HIDDEN]);
        }
    }

    #[test]
    fn asterisks_files_lose_theirs() {
        let shown = ini(
            "[general] ; s3cret\nregister => 1000:s3cret@host\nmwi => 1000:s3cret@host\ncallcounter=yes\n; secret=s3cret\n\
             [alice](!)\nsecret => s3cret;and more\nremotesecret=s3cret\nmd5secret = s3cret\nauth=a:s3cret@realm\n\
             secert = s3cret\nsetvar=PIN=s3cret\ncontext=office\n;--\ns3cret\n--;\n",
        );
        has_none(&shown);
        has_all(&shown, &["callcounter = yes", "context = office", "[alice](!)", "secert = ***"]);
        let shown = ini(
            "[general]\nstatic=yes\n[globals]\nhost=s3cret\n[office](+) s3cret\nexten => 6001,hint,SIP/bob\n\
             exten => 6001,1,Authenticate(s3cret)\nsame => n,Set(PIN=s3cret)\nsame => Set(PIN=s3cret)\nexten => s3cret\n\
             same => hint,SIP/alice\n#exec /bin/of --password s3cret\ninclude => other\n",
        );
        has_none(&shown);
        has_all(
            &shown,
            &[
                "static = yes",
                "6001,hint,SIP/bob",
                "6001,1,***",
                "n,***",
                "hint,SIP/alice",
                "include = other",
            ],
        );
    }

    #[test]
    fn gateway_files_lose_theirs() {
        let shown = xml(
            "<include><!-- s3cret --><X-PRE-PROCESS cmd=\"set\" data=\"default_password=s3cret\"/>\
             <gateway name=\"fs2\" token=\"s3cret\"><param name=\"password\" value=\"s3cret\"/>\
             <param value=\"s3cret\" name=\"auth-token\"/><param name=\"pasword\" value=\"s3cret\"/>\
             <param name=\"realm\" value=\"r\" secret=\"s3cret\"/><variable name=\"realm\" value=\"s3cret\"/>s3cret\
             <subscriptions><subscription event=\"presence\"/></subscriptions></gateway></include>",
        )
        .expect("XML");
        has_none(&shown);
        has_all(&shown, &["value=\"r\"", "fs2", "pasword", "event=\"presence\""]);
        assert_eq!(xml("<a b=s3cret>"), None);
    }

    #[test]
    fn events_lose_what_people_say() {
        for mut told in [
            serde_json::json!({ "event": "status", "person": "p", "status": "away", "note": "s3cret" }),
            serde_json::json!({ "event": "notify_in", "gateway_name": "p", "pl_data": "s3cret", "Call-Info": "s3cret" }),
            serde_json::json!({ "event": "presence_in", "from": "p", "status": "s3cret" }),
        ] {
            event(&mut told);
            has_none(&told.to_string());
            assert!(told.to_string().contains("\"p\""), "{told}");
            assert_ne!(told["status"], if told["event"] == "status" { HIDDEN } else { "" });
        }
    }

    #[test]
    fn addresses_lose_their_passwords() {
        for (text, shown) in [
            ("sip:bob@example.net", "sip:bob@example.net"),
            ("7* = sips:7*:s3cret@example.net", "7* = sips:7*:***@example.net"),
            ("me:s3cret@example.net", "me:***@example.net"),
            ("udp:[::1]:5060", "udp:[::1]:5060"),
            ("http://127.0.0.1:8470", "http://127.0.0.1:8470"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }
}
