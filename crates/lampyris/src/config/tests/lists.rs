//! Lists: what is typed, and documents in a directory.

use super::*;
use lampyris_core::lists::What;

const PEERS: &str = "[domains.\"a.example\"]\n[peers.alice]\nsecret = \"x\"\n[peers.bob]\nsecret = \"y\"\ncall_groups = [\"sales\"]\n[hints]\n6001 = \"SIP/bob\"\n";

#[test]
fn a_list_is_read_with_all_its_kinds_of_members() {
    let text = format!(
        "{PEERS}[lists.board]\nmembers = [\"bob\", \"6001\", \"_60XX\", \"group:sales\", \"context:default\", \"list:rest\", \
         \"sip:eve@b.example\"]\nowner = \"alice\"\nnotification_batch_interval = 200\nfull_state = true\n\
         [lists.rest]\nmembers = [\"alice\"]\nwatchers = [\"bob\"]\n"
    );
    let loaded = load_toml(&text).unwrap_or_else(|errors| panic!("{}", printed(&errors)));
    assert!(loaded.warnings.is_empty(), "{}", printed(&loaded.warnings));
    let lists = loaded.settings.lists;
    let board = &lists.named[&(0, "board".to_owned())];
    assert_eq!(board.members.len(), 7);
    assert_eq!(board.members[5].what, What::List("rest".into()));
    assert_eq!((board.batch.as_millis(), board.full_state), (200, true));
    assert_eq!(&lists.own["sip:alice@a.example"], board);
    assert_eq!(lists.named[&(0, "rest".to_owned())].watchers, ["sip:bob@a.example"]);
}

#[test]
fn slips_of_the_pen_are_named() {
    for (list, cause) in [
        ("[lists.l]\nmembers = [\"bbo\"]", "there is no user or extension `bbo`"),
        (
            "[lists.l]\nmembers = [\"list:rset\"]\n[lists.rest]\nmembers = [\"bob\"]",
            "there is no list `list:rset`",
        ),
        ("[lists.l]\nmembers = [\"context:ofice\"]", "there is no context `context:ofice`"),
        ("[lists.l]\nmembers = [\"_60[\"]", "not a pattern"),
        ("[lists.bob]\nmembers = [\"alice\"]", "`bob` is a user too"),
        ("[lists.\"a;b\"]\nmembers = [\"alice\"]", "this cannot name a list"),
        ("[lists.l]\nmembers = [\"bob\"]\nowner = \"alcie\"", "there is no user `alcie`"),
        ("[lists.l]\nmembers = [\"bob\"]\nwatchers = [\"eve\"]", "there is no user `eve`"),
        ("[lists.l]\nmembers = [\"bob\"]\ndomain = \"b.example\"", "there is no domain `b.example`"),
    ] {
        let errors = load_toml(&format!("{PEERS}{list}\n")).err().unwrap_or_default();
        assert!(errors.iter().any(|error| error.cause.contains(cause)), "{list}: {}", printed(&errors));
    }
}

#[test]
fn documents_are_lists_own_lists_and_services() {
    let list = |uri: &str| {
        format!(
            "<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list><entry uri=\"{uri}\"/></list></resource-lists>"
        )
    };
    let services = "<rls-services xmlns=\"urn:ietf:params:xml:ns:rls-services\" xmlns:rl=\"urn:ietf:params:xml:ns:resource-lists\">\
        <service uri=\"sip:marketing@a.example\"><list><rl:entry uri=\"sip:bob@a.example\"/></list><packages>\
        <package>presence</package></packages></service></rls-services>";
    let top = format!("resource_lists = \"lists\"\n{PEERS}");
    let (board, own) = (list("sip:bob@a.example"), list("sip:eve@b.example"));
    let files = [
        ("office.toml", top.as_str()),
        ("lists/board.xml", &board),
        ("lists/alice.xml", &own),
        ("lists/s.xml", services),
    ];
    let folder = Folder::new(&files);
    let loaded =
        load(&folder.path("office.toml"), None).unwrap_or_else(|errors| panic!("{}", printed(&errors)));
    let lists = loaded.settings.lists;
    let names: Vec<_> = lists.named.keys().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["board", "marketing"]);
    assert_eq!(lists.named[&(0, "marketing".to_owned())].packages, ["presence"]);
    let own = &lists.own["sip:alice@a.example"].members[0];
    assert_eq!(own.what, What::Uri("sip:eve@b.example".into()));

    let away = services.replace("marketing@a.example", "marketing@b.example");
    for (name, text, cause) in [
        ("lists/bad.xml", "<x/>", "not a resource list"),
        ("lists/eve@a.example.xml", board.as_str(), "is called after no user"),
        ("lists/t.xml", &away, "is at no domain of this server"),
        ("lists/t.xml", services, "there is a list `marketing` already"),
    ] {
        let folder = Folder::new(&[files[0], files[3], (name, text)]);
        let errors = load(&folder.path("office.toml"), None).err().unwrap_or_default();
        assert!(errors.iter().any(|error| error.cause.contains(cause)), "{name}: {}", printed(&errors));
    }
}
