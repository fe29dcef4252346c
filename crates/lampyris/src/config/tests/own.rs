//! Our own format.

use super::*;
use lampyris_core::settings::{Authentication, Host, OnTimeout};
use lampyris_sip::digest::Algorithm;

fn loaded(text: &str) -> Loaded {
    load_toml(text).unwrap_or_else(|errors| panic!("{}", printed(&errors)))
}

#[test]
fn an_empty_file_is_a_server_with_nobody_in_it() {
    let loaded = loaded("");
    let mut expected = lampyris_core::settings::Settings::empty();
    expected.profiles.clone_from(&loaded.settings.profiles);
    expected.domains[0].algorithms = vec![Algorithm::Sha256, Algorithm::Md5];
    assert_eq!((loaded.settings, loaded.shell), (expected, super::super::ShellSettings::defaults()));
}

#[test]
fn what_a_realm_offers_follows_from_what_its_users_can_answer() {
    let md5 = "ha1 = \"MD5:0123456789abcdef0123456789abcdef\"";
    let rows: [(String, &[Algorithm]); 5] = [
        ("[peers.a]\nsecret = \"x\"".into(), &[Algorithm::Sha256, Algorithm::Md5]),
        ("[peers.a]\nsecret = \"x\"\nalgorithms = \"SHA-256\"".into(), &[Algorithm::Sha256]),
        (format!("[peers.a]\nsecret = \"x\"\n[peers.b]\n{md5}"), &[Algorithm::Md5]),
        (format!("[peers.a]\n{md5}"), &[Algorithm::Md5]),
        (
            "[domains.\"a.b\"]\nalgorithms = [\"SHA-512-256\", \"MD5\"]".into(),
            &[Algorithm::Sha512_256, Algorithm::Md5],
        ),
    ];
    for (text, offered) in rows {
        let loaded = loaded(&text);
        assert_eq!(loaded.settings.domains[0].algorithms, offered, "{text}");
        for peer in loaded.settings.peers.values() {
            let Authentication::Digest(hashes) = &peer.authentication else { panic!("{peer:?}") };
            assert!(!hashes.is_empty(), "{text}");
        }
    }
}

#[test]
fn a_file_wins_over_what_it_includes_and_over_the_directory_it_names() {
    let folder = Folder::new(&[
        (
            "office.toml",
            "include = [\"sub/a.toml\"]\nasterisk = \"etc\"\n[server]\nname = \"own\"\n[hints]\n1 = \"SIP/own\"\n[peers.p]\nnat = \"source\"\n",
        ),
        ("sub/a.toml", "include = \"b.toml\"\n[server]\nname = \"a\"\nrealm = \"a\"\n"),
        (
            "sub/b.toml",
            "[server]\nname = \"b\"\nrealm = \"b\"\ncontext = \"b\"\n[peers.own]\nsecret = \"x\"\n",
        ),
        (
            "etc/sip.conf",
            "[general]\nuseragent=etc\ncallcounter=yes\n[p]\ntype=peer\nsecret=x\nbusylevel=3\n",
        ),
        ("etc/extensions.conf", "[default]\nexten => 1,hint,SIP/p\nexten => 2,hint,SIP/p\n"),
    ]);
    let loaded =
        load(&folder.path("office.toml"), None).unwrap_or_else(|errors| panic!("{}", printed(&errors)));
    let settings = &loaded.settings;
    assert_eq!(settings.server_name, "own");
    assert_eq!((settings.domains[0].realm.as_str(), settings.domains[0].context.as_str()), ("a", "b"));
    let hint = |exten: &str| settings.dialplan.lookup("default", exten).unwrap().hint.unwrap().text;
    assert_eq!((hint("1").as_str(), hint("2").as_str()), ("SIP/own", "SIP/p"));
    let peer = &settings.peers["p"];
    assert_eq!(
        (peer.busy_level, peer.call_limit, peer.nat),
        (Some(3), Some(u32::MAX), lampyris_core::settings::Nat::Source)
    );
}

#[test]
fn profiles_are_changed_by_name_and_new_ones_go_first() {
    let loaded = loaded(
        "[profiles.snom]\nretry_after_s = 5\n[profiles.mine]\nuser_agents = [\"snom320\"]\n[profiles.named]\n",
    );
    let profiles = &loaded.settings.profiles;
    let chosen = |agent: &str| profiles.iter().find(|profile| profile.matches(agent)).unwrap();
    assert_eq!(chosen("snom320/8").name, "mine");
    assert_eq!(
        (chosen("Snom710/8").name.as_str(), chosen("Snom710/8").on_timeout),
        ("snom", OnTimeout::Retry(std::time::Duration::from_secs(5)))
    );
    for name in ["chan_sip", "pjsip", "freeswitch"] {
        let profile = profiles.iter().find(|profile| profile.name == name).unwrap();
        assert_eq!(profile.variant.name(), name);
    }
}

#[test]
fn hosts_are_addresses_or_names() {
    let fixed = |address: &str, any_port| Host::Fixed { address: address.parse().unwrap(), any_port };
    let rows = [
        ("\"dynamic\"\nsecret = \"x\"", Host::Dynamic),
        ("\"192.0.2.7\"", fixed("192.0.2.7:5060", false)),
        ("\"[2001:db8::1]:5070\"\nany_port = true", fixed("[2001:db8::1]:5070", true)),
        ("\"gw.example.com\"", Host::Named("gw.example.com".into(), None)),
        ("\"gw.example.com:5070\"", Host::Named("gw.example.com".into(), Some(5070))),
    ];
    for (typed, host) in rows {
        assert_eq!(loaded(&format!("[peers.a]\nhost = {typed}\n")).settings.peers["a"].host, host, "{typed}");
    }
}

#[test]
fn no_secret_is_printed() {
    let folder = Folder::new(&[
        ("office.toml", "[peers.a]\nsecret = \"hunter2-a\"\n[peers.b]\nsecret_file = \"b\"\n"),
        ("b", "hunter2-b\n"),
    ]);
    let printed_settings = format!("{:?}", load(&folder.path("office.toml"), None).unwrap());
    assert!(!printed_settings.contains("hunter2"));
    let broken = "[peers.a]\nsecret = \"hunter2\"\nsecret_file = \"nowhere\"\nha1 = [\n\"hunter2\"]\n";
    let errors = load_toml(broken).unwrap_err();
    assert!(errors.len() >= 3, "{}", printed(&errors));
    assert!(!format!("{errors:?}").contains("hunter2"), "{errors:?}");
}

#[test]
fn how_much_of_a_call_is_shown_is_said_for_all_and_for_one() {
    use lampyris_core::settings::{DialogOffline, DialogReveal, NotifyCid};
    let settings = loaded(
        "dialog_reveal = \"state\"\ndialog_offline = \"presence\"\nnotify_cid = \"ignore-context\"\n\
         [peers.hall]\nsecret = \"x\"\n[peers.reception]\nsecret = \"x\"\ndialog_reveal = \"party\"\n",
    )
    .settings;
    assert_eq!(settings.watch.dialog_reveal, DialogReveal::State);
    assert_eq!(settings.watch.dialog_offline, DialogOffline::Presence);
    assert_eq!(settings.notify_cid, NotifyCid::IgnoreContext);
    let of = |name: &str| settings.peers[name].dialog_reveal;
    assert_eq!((of("hall"), of("reception")), (None, Some(DialogReveal::Party)));
}

#[test]
fn rules_stand_in_files_and_one_mistake_refuses_all() {
    let rule = |handling: &str| {
        format!(
            "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:pr='urn:ietf:params:xml:ns:pres-rules'>\
             <rule id='a'><actions><pr:sub-handling>{handling}</pr:sub-handling></actions></rule></ruleset>"
        )
    };
    let main = "rules = \"who\"\n[domains.\"a.example\"]\nusers = \"any\"\n[peers.alice]\nsecret = \"x\"\n";
    let right = rule("allow");
    let folder = Folder::new(&[
        ("office.toml", main),
        ("who/alice.xml", &right),
        ("who/zoe@A.example.xml", &right),
        ("who/notes.txt", "not a rule"),
    ]);
    let settings = load(&folder.path("office.toml"), None).unwrap().settings;
    let users: Vec<_> = settings.rules.keys().map(String::as_str).collect();
    assert_eq!(users, ["sip:alice@a.example", "sip:zoe@a.example"]);
    assert_eq!(settings.rules["sip:alice@a.example"].text(), right);
    for (name, text, told) in [
        ("who/alice.xml", rule("alow"), "sub-handling is block, confirm, polite-block or allow at line 1"),
        ("who/zoe@b.example.xml", rule("allow"), "there is no user `zoe@b.example`"),
        ("who/alice@a.example.xml", rule("allow"), "for a user who has another file"),
    ] {
        let folder = Folder::new(&[("office.toml", main), ("who/alice.xml", &right), (name, &text)]);
        let errors = load(&folder.path("office.toml"), None).unwrap_err();
        assert!(printed(&errors).contains(told), "{}", printed(&errors));
    }
    assert!(load_toml("rules = \"nowhere\"").is_err());
}

#[test]
fn documents_stand_in_files_for_people_and_one_mistake_refuses_all() {
    let pidf = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:bob@a.example'><note>Gone</note></presence>";
    let main = "documents = \"holds\"\n[domains.\"a.example\"]\n[peers.alice]\nsecret = \"x\"\n\
                [peers.bob-desk]\nsecret = \"x\"\n[people.bob]\npeers = [\"bob-desk\"]\n";
    let folder =
        Folder::new(&[("office.toml", main), ("holds/alice.xml", pidf), ("holds/bob-desk.xml", pidf)]);
    let settings = load(&folder.path("office.toml"), None).unwrap().settings;
    let people: Vec<_> = settings.documents.keys().map(String::as_str).collect();
    assert_eq!(people, ["sip:alice@a.example", "sip:bob@a.example"]);
    for (name, text, told) in [
        ("holds/bob.xml", "<presence", "until then the documents before hold"),
        ("holds/bob.xml", pidf, "for a user who has another file"),
        ("holds/bob@a.example.xml", pidf, "for a user who has another file"),
        ("holds/bbo.xml", pidf, "there is no user `bbo`"),
    ] {
        let files = [("office.toml", main), ("holds/bob-desk.xml", pidf), (name, text)];
        let folder = Folder::new(&files);
        let errors = load(&folder.path("office.toml"), None).unwrap_err();
        assert!(printed(&errors).contains(told), "{}", printed(&errors));
    }
}

#[test]
fn rules_in_a_file_of_one_of_a_persons_peers_are_the_persons() {
    let rules = "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy'/>";
    let main = "rules = \"who\"\n[domains.\"a.example\"]\n[peers.desk]\nsecret = \"x\"\n\
                [people.bob]\npeers = [\"desk\"]\n";
    for name in ["who/desk.xml", "who/bob.xml", "who/desk@a.example.xml", "who/bob@A.example.xml"] {
        let folder = Folder::new(&[("office.toml", main), (name, rules)]);
        let settings = load(&folder.path("office.toml"), None).unwrap().settings;
        assert!(settings.rules.keys().eq(["sip:bob@a.example"]), "{name}: {:?}", settings.rules.keys());
    }
}

#[test]
fn who_may_watch_is_said_for_all_for_a_domain_and_for_calls() {
    use lampyris_core::settings::{Scopes, WatchScope as S};
    let scopes = |text: &str| loaded(&format!("{text}\n[domains.\"b.example\"]\n")).settings.domains[0].watch;
    for (text, presence, calls) in [
        ("[domains.\"a.example\"]", S::SameDomain, S::SameDomain),
        ("watch = \"confirm\"\n[domains.\"a.example\"]", S::Confirm, S::Confirm),
        ("watch_dialog = \"nobody\"\n[domains.\"a.example\"]", S::SameDomain, S::Nobody),
        ("watch_dialog = \"nobody\"\n[domains.\"a.example\"]\nwatch = \"everyone\"", S::Everyone, S::Nobody),
        ("watch = \"nobody\"\n[domains.\"a.example\"]\nwatch_dialog = \"domain\"", S::Nobody, S::SameDomain),
    ] {
        assert_eq!(scopes(text), Scopes { presence, calls }, "{text}");
    }
}
