//! Each maker's snippet: the documented names, well-formed, escaped.

use super::super::tests::ran;
use super::template::vendors;
use super::*;
use lampyris_core::body::xml::Document;

/// What a maker's documentation calls the parameters.
const NAMES: [(&str, &[&str]); 14] = [
    (
        "yealink",
        &[
            "linekey.2.type = 16\n",
            "linekey.2.value = 6001\n",
            "linekey.2.line = 1\n",
            "linekey.2.pickup_value = **6001\n",
            "linekey.3.value = 6002\n",
            "account.1.blf.blf_list_uri = board@example.com\n",
            "account.1.blf_list_code = **\n",
            "phone_setting.auto_blf_list_enable = 1\n",
            "linekey.4.type = 39\n",
            "account.1.blf.subscribe_period = 1800\n",
            "account.1.blf.subscribe_event = 0\n",
            "account.1.user_name = alice\n",
        ],
    ),
    (
        "snom",
        &[
            "<fkey idx=\"0\" context=\"active\" label=\"6001\" perm=\"\">blf sip:6001@example.com</fkey>",
            "<fkey idx=\"1\" context=\"active\" label=\"6002\" perm=\"\">blf sip:6002@example.com</fkey>",
            "BW-ServerBLF",
            "<user_event_list_uri idx=\"1\" perm=\"\">sip:board@example.com</user_event_list_uri>",
            "user_presence_subscription",
            "user_presence_buddy_list_uri",
        ],
    ),
    (
        "polycom",
        &[
            "attendant.uri=\"board\"",
            "attendant.reg=\"1\"",
            "attendant.resourceList.1.address=\"6001@example.com\"",
            "attendant.resourceList.2.address=\"6002@example.com\"",
            "attendant.resourceList.1.type=\"normal\"",
            "attendant.resourceList.1.label=\"6001\"",
            "attendant.resourceList.1.proceedingIsRecipient=\"1\"",
            "reg.1.server.1.subscribe.expires=\"3600\"",
            "MAC-directory.xml",
            "<ct>6001</ct>",
            "<sd>1</sd>",
            "<bw>1</bw>",
            "feature.1.name=\"presence\"",
            "feature.1.enabled=\"1\"",
            "pres.reg=\"1\"",
        ],
    ),
    ("poly-edge-b", &["X_BLFSubscribeExpires", "X_DialogSubscribeExpires", "X_AcceptDialogSubscription"]),
    (
        "grandstream",
        &[
            "P134 = board@example.com\n",
            "P188 = 1\n",
            "P444",
            "account.1.sip.blf.eventlist.uri = board@example.com\n",
            "account.1.sip.blf.callPickup.prefix = **\n",
            "account.1.sip.publishForPresence = Yes\n",
        ],
    ),
    (
        "cisco-spa",
        &[
            "<Extension_2_>Disabled</Extension_2_>",
            "<Share_Call_Appearance_2_>shared</Share_Call_Appearance_2_>",
            "fnc=blf+sd+cp;sub=6001@example.com;usr=6001@example.com;nme=6001",
            "<Extended_Function_3_>",
            "<Unit_1_Key_1>",
            "<Server_Type>Asterisk</Server_Type>",
            "<Subscribe_Expires>",
            "<BLF_List_URI>board@example.com</BLF_List_URI>",
        ],
    ),
    (
        "cisco-79xx",
        &[
            "<line button=\"2\">",
            "<featureID>21</featureID>",
            "<featureLabel>6001</featureLabel>",
            "<speedDialNumber>6001</speedDialNumber>",
            "SEPMAC.cnf.xml",
            "TCP",
        ],
    ),
    ("cisco-88xx", &["<line button=\"3\">", "<featureID>21</featureID>", "cpim-pidf", "TCP"]),
    (
        "fanvil",
        &[
            "<EnableBLFList>1</EnableBLFList>",
            "<BLFListUri>board@example.com</BLFListUri>",
            "<BLFServer>",
            "<BLFDialogMatch>1</BLFDialogMatch>",
            "<PresenceMode>0</PresenceMode>",
            "<BLFRingText>early</BLFRingText>",
            "<BLFTalkingText>confirmed</BLFTalkingText>",
        ],
    ),
    (
        "aastra",
        &[
            "softkey1 type: blf\n",
            "softkey1 value: 6001\n",
            "softkey2 value: 6002\n",
            "softkey1 line: 1\n",
            "softkey1 label: 6001\n",
            "softkey3 type: list\n",
            "list uri: board\n",
        ],
    ),
    (
        "linphone",
        &[
            "[sip]\nrls_uri=sip:board@example.com\n",
            "rls_presence_expires=3600\n",
            "[net]\nfriendlist_subscription_enabled=1\n",
            "[proxy_0]\npublish=1\n",
        ],
    ),
    (
        "zoiper",
        &[
            "<SIP_use_blf>true</SIP_use_blf>",
            "<SIP_publish_presence>true</SIP_publish_presence>",
            "<SIP_subscribe_presence>true</SIP_subscribe_presence>",
            "PresenceMappingType=Service\n",
        ],
    ),
    ("microsip", &["[Account1]\npublish=1\n", "username=alice\n", "Presence\n6001,6001,1\n6002,6002,1\n"]),
    (
        "baresip",
        &[
            "module presence.so\n",
            "<sip:alice@example.com>;pubint=600\n",
            "\"6001\" <sip:6001@example.com>;presence=p2p\n",
        ],
    ),
];

#[test]
fn every_snippet_has_the_documented_names() {
    let known: Vec<String> = vendors().unwrap().into_iter().map(|vendor| vendor.name).collect();
    assert_eq!(known, NAMES.map(|(vendor, _)| vendor));
    for (vendor, names) in NAMES {
        let args = ["phone", vendor, "--ext", "6001", "--ext", "6002", "--list", "board", "--user", "alice"];
        let ran = ran(&args);
        assert_eq!((ran.code, ran.errors.as_str()), (0, ""), "{vendor}");
        for name in names {
            assert!(ran.out.contains(name), "{vendor}: {name} is missing:\n{}", ran.out);
        }
        assert!(!ran.out.contains(['{', '}']), "{vendor}: a placeholder is left:\n{}", ran.out);
        assert!(ran.out.contains("lampyris treats it by the profile `"), "{vendor}");
    }
}

#[test]
fn every_xml_part_is_well_formed_whatever_the_values_hold() {
    let nasty = ["6001", "a&b", "o'neil", "x<y>\"z\"", "--", "]]>", "M\u{fc}ller 7", "{ext}{list}"];
    let mut count = 0;
    for vendor in vendors().unwrap() {
        for user in [None, Some("o'b&<--")] {
            for list in [None, Some("b<&\"'oard@[2001:db8::1]:5070")] {
                let values = values(&PhoneArgs {
                    vendor: None,
                    extensions: nasty.map(str::to_owned).to_vec(),
                    list: list.map(str::to_owned),
                    server: "pbx.example.com:5070".to_owned(),
                    user: user.map(str::to_owned),
                });
                for snippet in vendor.snippets(&values.unwrap()) {
                    let text = snippet.commented(&snippet.r#where) + &snippet.text;
                    if snippet.format == template::Format::Xml {
                        assert!(Document::parse(text.as_bytes()).is_ok(), "{}:\n{text}", vendor.name);
                        count += 1;
                    }
                    assert!(text.is_ascii() && !text.contains("\n\n"), "{}:\n{text}", vendor.name);
                }
            }
        }
    }
    assert!(count > 40, "{count}");
    for vendor in vendors().unwrap() {
        let profile = built_in_profiles().into_iter().find(|profile| profile.name == vendor.profile).unwrap();
        for note in vendor.notes.iter().chain(&remarks(&profile)).chain([&vendor.title]) {
            assert!(!note.contains("--"), "stands in an XML comment: {note}");
        }
    }
}

#[test]
fn values_are_escaped_for_the_place_they_stand_in() {
    for (args, expected) in [
        (
            ["phone", "cisco-spa", "--ext", "a;b&c"],
            "fnc=blf+sd+cp;sub=a%3Bb&amp;c@example.com;usr=a%3Bb&amp;c@",
        ),
        (
            ["phone", "snom", "--ext", "o'neil"],
            "label=\"o&#39;neil\" perm=\"\">blf sip:o&#39;neil@example.com<",
        ),
        (["phone", "yealink", "--ext", "*97"], "linekey.2.value = *97\n"),
        (["phone", "microsip", "--ext", "a,b\nc"], "a%2Cb%0Ac,a%2Cb%0Ac,1\n"),
        (["phone", "aastra", "--ext", "park+701"], "softkey1 value: park+701\n"),
        (["phone", "yealink", "--list", "sip:sales@b.example"], "blf_list_uri = sales@b.example\n"),
    ] {
        let ran = ran(&args);
        assert!(ran.out.contains(expected), "{expected} is missing:\n{}{}", ran.out, ran.errors);
    }
}

#[test]
fn only_what_was_asked_for_is_printed_and_an_example_of_both_where_nothing_was() {
    let lamps = ran(&["phone", "yealink", "--ext", "6001"]).out;
    assert!(lamps.contains("linekey.2.value") && !lamps.contains("blf_list") && !lamps.contains("user_name"));
    let list = ran(&["phone", "yealink", "--list", "board"]).out;
    assert!(
        !list.contains("linekey.2.value")
            && list.contains("blf_list_uri")
            && list.contains("linekey.2.type = 39")
    );
    let both = ran(&["phone", "yealink"]).out;
    assert!(both.contains("linekey.2.value = 6001") && both.contains("blf_list_uri = board@example.com"));
    let directory = ran(&["phone", "polycom", "--list", "board"]).out;
    assert!(!directory.contains("<directory>") && directory.contains("attendant.uri"), "{directory}");
}

#[test]
fn vendors_are_listed_and_a_mistyped_one_is_put_right() {
    let list = ran(&["phone"]);
    assert_eq!(list.out.lines().count(), NAMES.len() + 1, "{}", list.out);
    let json = ran(&["phone", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json[0]["vendor"], "yealink");
    for (typed, said) in [
        ("yealnik", "did you mean `yealink`?"),
        ("polycon", "did you mean `polycom`?"),
        ("zzz", "`lampyris phone` lists those there are"),
    ] {
        let ran = ran(&["phone", typed]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""));
        assert!(ran.errors.contains(said), "{}", ran.errors);
    }
    assert_eq!(ran(&["phone", "Yealink"]).code, 0);
    let wrong = ran(&["phone", "yealnik", "--json"]);
    let wrong: serde_json::Value = serde_json::from_str(&wrong.out).unwrap();
    assert_eq!(wrong["error"]["code"], "usage");
    for args in [
        ["phone", "snom", "--server", "x;lr"],
        ["phone", "snom", "--server", "a@b"],
        ["phone", "snom", "--server", "a b"],
        ["phone", "snom", "--ext", ""],
        ["phone", "snom", "--list", "@x"],
        ["phone", "snom", "--list", "board@x/y"],
    ] {
        assert_eq!(ran(&args).code, 2, "{args:?}");
    }
}

#[test]
fn programs_get_every_part() {
    let ran = ran(&["phone", "polycom", "--ext", "6001", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&value["vendor"], &value["profile"], &value["pickup"]),
        (&"polycom".into(), &"polycom".into(), &"replaces".into())
    );
    let parts = value["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 3);
    for part in parts {
        assert_eq!(part["format"], "xml");
        assert!(Document::parse(part["text"].as_str().unwrap().as_bytes()).is_ok(), "{part}");
    }
    assert_eq!(value["auto_answer"][0], "Alert-Info: Ring Answer");
}

#[test]
fn every_vendor_has_a_profile_and_every_profile_of_a_phone_that_is_provisioned_a_vendor() {
    let profiles = built_in_profiles();
    let vendors = vendors().unwrap();
    for vendor in &vendors {
        assert!(profiles.iter().any(|profile| profile.name == vendor.profile), "{}", vendor.name);
    }
    // Known by what they send, with no provisioning documented that would make them watch.
    let without = [
        "cisco",
        "thomson",
        "jin302",
        "gigaset",
        "digium",
        "bria",
        "browser",
        "chan_sip",
        "pjsip",
        "freeswitch",
        "default",
    ];
    for profile in profiles {
        let provisioned = vendors.iter().any(|vendor| vendor.profile == profile.name);
        assert!(provisioned || without.contains(&profile.name.as_str()), "{}", profile.name);
    }
}
