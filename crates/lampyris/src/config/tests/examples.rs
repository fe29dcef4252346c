//! The example files, and the generated document.

use super::*;
use crate::config::document;
use crate::config::options::{OPTIONS, Table};

/// Every TOML example that is loaded by itself.
const ALONE: [&str; 3] = ["minimal.toml", "office.toml", "laboratory.toml"];

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() { copy(&path, &target) } else { std::fs::copy(&path, &target).map(|_| ()).unwrap() }
    }
}

#[test]
fn every_example_loads() {
    for name in ALONE {
        let loaded =
            load(&examples().join(name), None).unwrap_or_else(|errors| panic!("{}", printed(&errors)));
        assert!(loaded.warnings.is_empty(), "{name}: {}", printed(&loaded.warnings));
    }
    let there =
        std::fs::read_dir(examples()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for name in there.filter(|name| name.ends_with(".toml")) {
        assert!(ALONE.contains(&name.as_str()), "{name} is not loaded by a test");
    }
}

/// The lines of a TOML file after which a new key would stand in another table: the start, and each table's head.
fn tables(text: &str) -> Vec<usize> {
    let heads = text.lines().enumerate().filter(|(_, line)| line.starts_with('[')).map(|(at, _)| at + 1);
    std::iter::once(0).chain(heads).collect()
}

#[test]
fn an_unknown_key_in_any_table_of_any_example_is_an_error_where_it_stands() {
    let cases: [(&str, &str, Option<&str>); 5] = [
        ("minimal.toml", "minimal.toml", None),
        ("office.toml", "office.toml", None),
        ("office.toml", "office/peers.toml", None),
        ("laboratory.toml", "laboratory.toml", None),
        ("asterisk-seed", "asterisk-seed/secrets.toml", Some("asterisk-seed/secrets.toml")),
    ];
    let mut planted = 0;
    for (loaded, changed, beside) in cases {
        let folder = Folder::new(&[]);
        copy(&examples(), &folder.0);
        let original = std::fs::read_to_string(folder.path(changed)).unwrap();
        for at in tables(&original) {
            let mut lines: Vec<_> = original.lines().collect();
            // Why: any key is right in a table of hints, so what is wrong there is the value.
            lines.insert(at, "planted_key = 1");
            std::fs::write(folder.path(changed), lines.join("\n")).unwrap();
            let errors =
                load(&folder.path(loaded), beside.map(|name| folder.path(name)).as_deref()).unwrap_err();
            let told = errors.iter().find(|error| error.line == at + 1 && error.file.ends_with(changed));
            let told = told.unwrap_or_else(|| panic!("{changed}:{}: {}", at + 1, printed(&errors)));
            assert!(told.cause.contains("planted_key"), "{told}");
            planted += 1;
        }
    }
    assert!(planted > 20, "{planted}");
}

#[test]
fn an_unknown_key_in_any_section_of_the_asterisk_example_is_an_error() {
    let beside = examples().join("asterisk-seed/secrets.toml");
    for file in ["sip.conf", "extensions.conf"] {
        let folder = Folder::new(&[]);
        copy(&examples().join("asterisk-seed"), &folder.0);
        let original = std::fs::read_to_string(folder.path(file)).unwrap();
        for at in tables(&original).into_iter().skip(1) {
            let mut lines: Vec<_> = original.lines().collect();
            lines.insert(at, "planted_key = 1");
            std::fs::write(folder.path(file), lines.join("\n")).unwrap();
            let errors = load(&folder.0, Some(&beside)).unwrap_err();
            assert!(
                errors
                    .iter()
                    .any(|e| e.line == at + 1 && e.file.ends_with(file) && e.cause.contains("planted_key")),
                "{}",
                printed(&errors)
            );
        }
    }
}

#[test]
fn the_document_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
    let fresh = document();
    // `LAMPYRIS_WRITE_DOCS=1 cargo test` writes it.
    if std::env::var_os("LAMPYRIS_WRITE_DOCS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == fresh, "docs/config.md is old: run the tests with LAMPYRIS_WRITE_DOCS=1");
}

/// A file in which one option is typed with this value, and everything it needs beside it.
fn with_option(table: Table, name: &str, value: &str) -> String {
    let line = format!("{name} = {value}\n");
    let secret =
        if ["secret", "secret_file", "ha1", "open"].contains(&name) { "" } else { "secret = \"y\"\n" };
    let placed = |here: Table| if here == table { line.as_str() } else { "" };
    let keys = [("certificate", "a.pem"), ("key", "a.key")].into_iter();
    let asked = [("client_auth", "request"), ("client_ca", "a.pem")].into_iter();
    let keys = keys
        .chain(asked.filter(|_| table == Table::Federation))
        .filter(|(key, _)| *key != name)
        .map(|(key, file)| format!("{key} = \"{file}\"\n"));
    let keys: String = keys.collect();
    let hook = [("url", "https://example.com"), ("secret", "z")].into_iter();
    let hook = hook.filter(|(key, _)| table != Table::Webhook || *key != name);
    let hook: String = hook.map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
    let at = |here: Table| if (table, name) == (here, "gateway") { "" } else { "gateway = \"net\"\n" };
    format!(
        "{}[server]\n{}[tls]\n{keys}{}[limits]\n{}[calls]\n{}[domains.\"a.example\"]\n{}[domains.\"second.example.com\"]\n\
         [peers.alice]\n{secret}{}[people.bob]\n{}[lists.new]\n{}[composition.own]\n{}[contexts.default.hints]\n6001 = \"Custom:a\"\n\
         [contexts.default]\n{}[contexts.office]\n[contexts.lamps]\n[contexts.shared]\n\
         [mailboxes.\"100\"]\n{}[gateways.fs2]\n[gateways.net]\n{}[subscriptions.own]\n{}{}[publications.own]\n{}{}[federation.\"b.example\"]\n{}[profiles.new]\n{}[webhooks.new]\n{hook}{}",
        placed(Table::Top),
        placed(Table::Server),
        placed(Table::Tls),
        placed(Table::Limits),
        placed(Table::Calls),
        placed(Table::Domain),
        placed(Table::Peer),
        placed(Table::Person),
        placed(Table::List),
        placed(Table::Composition),
        placed(Table::Context),
        placed(Table::Mailbox),
        placed(Table::Gateway),
        at(Table::Subscription),
        placed(Table::Subscription),
        at(Table::Publication),
        placed(Table::Publication),
        placed(Table::Federation),
        placed(Table::Profile),
        placed(Table::Webhook),
    )
}

#[test]
fn every_option_does_something_and_its_typed_default_does_nothing() {
    let own = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
    let (certificate, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let load = |text: &str| {
        let folder = Folder::new(&[
            ("office.toml", text),
            ("more.toml", "stop = \"end\"\n"),
            ("alice.secret", "pw\n"),
            ("asterisk/sip.conf", "[b]\ntype=friend\nsecret=x\n"),
            ("asterisk/extensions.conf", ""),
            ("a.pem", &certificate),
            ("fullchain.pem", &certificate),
            ("phones-ca.pem", &certificate),
            ("office-ca.pem", &certificate),
            ("a.key", &key),
            ("privkey.pem", &key),
            (
                "lists/board.xml",
                "<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list/></resource-lists>",
            ),
            ("sip_profiles/external/fs2.xml", "<include><gateway name=\"fs2\"/></include>"),
            (
                "documents/alice.xml",
                "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:alice@a.example\"/>",
            ),
            ("rules/alice.xml", "<ruleset xmlns=\"urn:ietf:params:xml:ns:common-policy\"/>"),
        ]);
        let loaded = super::load(&folder.path("office.toml"), None);
        let loaded = loaded.unwrap_or_else(|errors| panic!("{text}\n{}", printed(&errors)));
        let mut shell = loaded.shell;
        shell.data = shell.data.map(|path| path.strip_prefix(&folder.0).unwrap().to_owned());
        let files = &mut shell.door.files;
        for path in [&mut files.certificate, &mut files.key, &mut files.client_ca, &mut files.roots] {
            *path = path.take().map(|path| path.strip_prefix(&folder.0).unwrap().to_owned());
        }
        (loaded.settings, shell)
    };
    let mut checked = 0;
    for option in OPTIONS {
        // The retry's time and the period of OPTIONS need the other option; a port
        // needs a host; and passwords are compared by the tests of HA1s.
        let value = match option.name {
            "secret" | "secret_file" | "ha1" => continue,
            "otel" if !cfg!(feature = "otel") => continue,
            "retry_after_s" => "60\non_timeout = \"retry\"".to_owned(),
            "register_expires_s" => "600\nregister = true".to_owned(),
            "retry_s" if option.table == Table::Gateway => "60\nregister = true".to_owned(),
            "qualify_every_s" => "30\nqualify = true".to_owned(),
            "group" => "\"lampyris\"\nuser = \"lampyris\"".to_owned(),
            "default_route" => "\"alice\"".to_owned(),
            "client_auth" => "\"require\"\nclient_ca = \"phones-ca.pem\"".to_owned(),
            "any_port" => "true\nhost = \"192.0.2.7\"".to_owned(),
            _ => option.example.to_owned(),
        };
        let needed = value.split_once('\n').map(|(_, needed)| needed);
        let without = match needed.and_then(|needed| needed.split_once(" = ")) {
            Some((name, value)) => with_option(option.table, name, value),
            None => with_option(option.table, "", "").replace(" = \n", ""),
        };
        let plain = load(&without);
        assert_ne!(load(&with_option(option.table, option.name, &value)), plain, "{option:?}");
        let default_is_typed = option.default.parse::<u32>().is_ok()
            || option.default.starts_with(['"', '['])
            || option.default == "true";
        if default_is_typed
            && !option.default.contains("NAME")
            && !option.default.contains("VERSION")
            && !option.default.contains(", which")
        {
            let value = value.replacen(option.example, option.default, 1);
            assert_eq!(load(&with_option(option.table, option.name, &value)), plain, "{option:?}");
            checked += 1;
        }
    }
    assert!(checked > 25, "{checked}");
}
