//! Directories in Asterisk's dialect.

use super::*;
use lampyris_core::settings::{Authentication, Host, Nat, NotifyCid, NotifyRinging, Role, Settings};
use lampyris_sip::digest::Algorithm;

fn settings(sip: &str, extensions: &str) -> Settings {
    load_asterisk(sip, extensions, None).unwrap_or_else(|errors| panic!("{}", printed(&errors))).settings
}

#[test]
fn the_founding_files_load_with_three_secrets_beside_them() {
    let directory = examples().join("asterisk-seed");
    let loaded = load(&directory, Some(&directory.join("secrets.toml"))).unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.peers.keys().collect::<Vec<_>>(), ["Alice", "Bob-desk", "Bob-mobile"]);
    assert_eq!((loaded.warnings, loaded.ignored), (vec![], vec![]));
    for peer in settings.peers.values() {
        assert_eq!((peer.role, &peer.host, peer.call_limit), (Role::Friend, &Host::Dynamic, Some(u32::MAX)));
        let Authentication::Digest(hashes) = &peer.authentication else { panic!("{peer:?}") };
        assert_eq!(hashes.len(), 1, "MD5 alone where users come from sip.conf");
        assert_eq!(peer.busy_level, peer.name.starts_with("Bob").then_some(1));
        assert_eq!(peer.device.as_typed(), format!("SIP/{}", peer.name));
    }
    assert_eq!(settings.peers["Alice"].subscribe_context.as_deref(), Some("default"));
    let found = settings.dialplan.lookup("default", "6001").unwrap();
    assert_eq!(found.hint.unwrap().text, "SIP/Bob-mobile&SIP/Bob-desk");
    let domain = &settings.domains[0];
    assert_eq!((domain.realm.as_str(), &domain.algorithms), ("asterisk", &vec![Algorithm::Md5]));
    assert!(!settings.notify_hold, "notifyhold has to be asked for");
    assert_eq!(loaded.shell.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), ["udp:0.0.0.0:5060"]);
    let expires = settings.subscription_expires_s;
    assert_eq!((expires.min, expires.default, expires.max), (60, 120, 3600));
}

#[test]
fn the_founding_files_alone_are_refused_and_each_peer_is_named() {
    let errors = load(&examples().join("asterisk-seed"), None).unwrap_err();
    let told: Vec<_> =
        errors.iter().map(|e| (e.line, e.column, e.cause.split('`').nth(1).unwrap())).collect();
    assert_eq!(told, [(4, 2, "Alice"), (9, 2, "Bob-mobile"), (13, 2, "Bob-desk")]);
    let shown = errors[1].to_string();
    assert!(
        shown.contains("sip.conf:9:2")
            && shown.contains("9 | [Bob-mobile]")
            && shown.contains("|  ^^^^^^^^^^"),
        "{shown}"
    );
}

#[test]
fn general_keys_are_the_peers_defaults_and_templates_are_inherited() {
    let settings = settings(
        "[general]\ncontext=office\ncallcounter=yes\nqualify=yes\nqualifyfreq=30\nnat=no\nnotifyringing=notinuse\n\
         notifyhold=yes\nnotifycid=ignore-context\nrealm=pbx\ndomain=example.com\ndomain=pbx.example.com\nuseragent=Example\nmaxexpiry=7200\n\
         submaxexpiry=900\n\
         [phone](!)\ntype=friend\nsecret=x ; a comment\nbusylevel=2\nmailbox=100\n\
         [a](phone)\ncallerid=\"Ann\" <100>\nmailbox=200@other\n\
         [b](phone)\ncall-limit=3\nnat=force_rport,comedia\nqualify=500\nallowsubscribe=no\ncontext=shop\n",
        "[office]\n[shop]\n",
    );
    let (a, b) = (&settings.peers["a"], &settings.peers["b"]);
    assert_eq!((a.context.as_str(), b.context.as_str()), ("office", "shop"));
    assert_eq!((a.call_limit, b.call_limit, a.busy_level), (Some(u32::MAX), Some(3), Some(2)));
    assert_eq!((a.nat, b.nat), (Nat::Contact, Nat::Source));
    assert_eq!(
        (a.display.as_str(), a.mailboxes.clone()),
        ("Ann", vec!["100@default".to_owned(), "200@other".to_owned()])
    );
    assert_eq!((a.allow_subscribe, b.allow_subscribe), (true, false));
    let qualify =
        |peer: &lampyris_core::settings::Peer| peer.qualify.map(|q| (q.every.as_secs(), q.wait.as_millis()));
    assert_eq!((qualify(a), qualify(b)), (Some((30, 2000)), Some((30, 500))));
    assert_eq!((settings.notify_ringing, settings.notify_hold), (NotifyRinging::NotInUse, true));
    assert_eq!(settings.notify_cid, NotifyCid::IgnoreContext);
    let domain = &settings.domains[0];
    assert_eq!(
        (domain.name.as_str(), domain.realm.as_str(), domain.aliases.len()),
        ("example.com", "pbx", 1)
    );
    assert_eq!(settings.server_name, "Example");
    let (subscription, registration) = (settings.subscription_expires_s, settings.registration_expires_s);
    assert_eq!((subscription.max, registration.max, subscription.min), (900, 7200, 60));
}

#[test]
fn addresses_to_listen_on_are_chan_sips() {
    let rows: [(&str, &[&str]); 9] = [
        ("", &["udp:0.0.0.0:5060"]),
        ("bindport=5070", &["udp:0.0.0.0:5070"]),
        ("bindaddr=127.0.0.1\nbindport=5070", &["udp:127.0.0.1:5070"]),
        ("udpbindaddr=127.0.0.1:5080\nbindport=5070", &["udp:127.0.0.1:5080"]),
        ("bindaddr=127.0.0.1\nudpbindaddr=127.0.0.2", &["udp:127.0.0.2:5060"]),
        ("udpbindaddr=127.0.0.2\nbindaddr=127.0.0.1", &["udp:127.0.0.1:5060"]),
        ("udpbindaddr=::", &["udp:[::]:5060"]),
        ("udpbindaddr=127.0.0.1:5080\ntcpenable=yes", &["udp:127.0.0.1:5080", "tcp:127.0.0.1:5060"]),
        ("tcpenable=yes\ntcpbindaddr=127.0.0.2:5090", &["udp:0.0.0.0:5060", "tcp:127.0.0.2:5090"]),
    ];
    for (keys, expected) in rows {
        let loaded = load_asterisk(&format!("[general]\n{keys}\n"), "", None).unwrap();
        assert_eq!(
            loaded.shell.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
            expected,
            "{keys}"
        );
    }
}

#[test]
fn how_a_peer_proves_who_it_is() {
    let md5 = "md5secret=0123456789abcdef0123456789abcdef";
    let rows: [(&str, &str); 9] = [
        ("secret=x", "digest"),
        (md5, "digest"),
        ("secret=x\nhost=dynamic", "digest"),
        ("secret=x\nhost=192.0.2.7", "digest"),
        ("host=192.0.2.7\nport=5070", "address"),
        ("host=gw.example.com", "address"),
        ("secret=x\nhost=192.0.2.7\ninsecure=port,invite", "address"),
        ("secret=x\ninsecure=invite", "open"),
        ("insecure=very", "open"),
    ];
    for (keys, expected) in rows {
        let settings = settings(&format!("[p]\ntype=peer\n{keys}\n"), "");
        let found = match &settings.peers["p"].authentication {
            Authentication::Digest(hashes) => {
                assert_eq!(hashes.len(), 1, "{keys}");
                "digest"
            }
            Authentication::Address => "address",
            Authentication::Open => "open",
        };
        assert_eq!(found, expected, "{keys}");
    }
    let trusted = load_asterisk("[p]\ntype=friend\n", "", Some("trusted = [\"10.0.0.0/8\"]")).unwrap();
    assert_eq!(trusted.settings.peers["p"].authentication, Authentication::Digest(vec![]));
    assert_eq!(trusted.warnings.len(), 1);
}

#[test]
fn the_dialplan_is_read_as_pbx_config_reads_it() {
    let settings = settings(
        "[general]\n",
        "[general]\nstatic=yes\n[globals]\nBOB=SIP/bob\nBOTH=${BOB}&SIP/desk\n\
         [office]\nexten => 6001,1,Dial(${BOB},20)\n same => n(again),Hangup()\n same => hint,${BOTH},CustomPresence:bob\n\
         exten = 6002/1234,hint,SIP/ann\nexten => _7XX,hint,SIP/${EXTEN:1}\nexten => 600,1,Meetme\n\
         include => shared\nignorepat => 9\nswitch => IAX2/x\n\
         [shared]\nexten => park,hint,park:701@parkedcalls\n[office](+)\nexten => 6003,hint,SIP/c\n",
    );
    let hint = |exten: &str| {
        settings.dialplan.lookup("office", exten).and_then(|found| found.hint).map(|hint| hint.text)
    };
    let rows = [
        ("6001", Some("SIP/bob&SIP/desk,CustomPresence:bob")),
        ("6002", Some("SIP/ann")),
        ("712", Some("SIP/12")),
        ("600", None),
        ("park", Some("park:701@parkedcalls")),
        ("6003", Some("SIP/c")),
    ];
    for (exten, text) in rows {
        assert_eq!(hint(exten).as_deref(), text, "{exten}");
        assert!(settings.dialplan.lookup("office", exten).is_some_and(|found| found.exists), "{exten}");
    }
    let listed: Vec<_> = settings.dialplan.hints().map(|hint| hint.extension).collect();
    assert_eq!(listed, ["6001", "6002", "_7XX", "6003", "park"]);
}

#[test]
fn includes_are_relative_to_the_directory_and_may_be_patterns() {
    let folder = Folder::new(&[
        (
            "sip.conf",
            "[general]\n#include conf.d/general.conf\n#tryinclude nowhere.conf\n#include \"peers/*.conf\"\n",
        ),
        ("conf.d/general.conf", "realm=inner\n#include conf.d/deep.conf\n"),
        ("conf.d/deep.conf", "useragent=deep\n"),
        ("peers/b.conf", "[b]\ntype=friend\nsecret=b\n"),
        ("peers/a.conf", "[a]\ntype=friend\nsecret=a\n"),
        ("peers/c.bak", "[c]\nnonsense=1\n"),
        ("extensions.conf", "#include <hints.conf>\n"),
        ("hints.conf", "[default]\nexten => 1,hint,SIP/a\n"),
    ]);
    let loaded = load(&folder.0, None).unwrap_or_else(|errors| panic!("{}", printed(&errors)));
    assert_eq!(loaded.settings.peers.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(
        (loaded.settings.domains[0].realm.as_str(), loaded.settings.server_name.as_str()),
        ("inner", "deep")
    );
    assert_eq!(loaded.settings.dialplan.hint_count(), 1);
}

#[test]
fn keys_without_a_meaning_are_told_once_each() {
    let sip = "[general]\ndisallow=all\nallow=ulaw\nallow=alaw\n[a]\ntype=friend\nsecret=x\nAllow=g722\ndtmfmode=rfc2833\n";
    let loaded = load_asterisk(sip, "", None).unwrap();
    let told: Vec<_> = loaded.ignored.iter().map(|ignored| (ignored.key.as_str(), ignored.times)).collect();
    assert_eq!(told, [("disallow", 1), ("allow", 3), ("dtmfmode", 1)]);
}

#[test]
fn subscriptions_are_banned_as_a_whole_only_while_nobody_may() {
    let rows = [
        ("[general]\nallowsubscribe=no\n[a]\ntype=friend\nsecret=x\n", false),
        ("[general]\nallowsubscribe=no\n[a]\ntype=friend\nsecret=x\nallowsubscribe=yes\n", true),
        ("[general]\n[a]\ntype=friend\nsecret=x\nallowsubscribe=no\n", true),
    ];
    for (sip, allowed) in rows {
        assert_eq!(settings(sip, "").allow_subscribe, allowed, "{sip}");
    }
}

#[test]
fn permits_and_denies_keep_their_order() {
    let settings = settings(
        "[a]\ntype=friend\nsecret=x\ndeny=0.0.0.0/0.0.0.0\npermit=10.0.0.0/255.0.0.0,!10.1.0.0/16\n",
        "",
    );
    let peer = &settings.peers["a"];
    for (source, permitted) in [([10, 2, 0, 1], true), ([10, 1, 0, 1], false), ([192, 0, 2, 1], false)] {
        assert_eq!(peer.permits(source.into()), permitted, "{source:?}");
    }
}

#[test]
fn whoever_has_a_mailbox_is_told_unless_told_to_subscribe() {
    let peers = "[a]\ntype=friend\nhost=dynamic\nsecret=x\n[b]\ntype=friend\nhost=dynamic\nsecret=x\nsubscribemwi=yes\n\
                 [c]\ntype=friend\nhost=dynamic\nsecret=x\nsubscribemwi=no\n";
    for (general, expected) in [("", [true, false, true]), ("subscribemwi=yes\n", [false, false, true])] {
        let settings = settings(&format!("[general]\n{general}{peers}"), "[default]\n");
        let found: Vec<_> = settings.peers.values().map(|peer| peer.mwi_unsolicited).collect();
        assert_eq!(found, expected, "{general}");
    }
}
