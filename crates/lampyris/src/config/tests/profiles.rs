//! The built-in phone profiles: which phone gets which, and what each promises.

use super::{load_toml, printed};
use crate::config::options::{Kind, Table, find};
use lampyris_core::body::Variant;
use lampyris_core::settings::{OnTimeout, Pickup, Profile};

fn profiles(text: &str) -> Vec<Profile> {
    let loaded = load_toml(text).unwrap_or_else(|errors| panic!("{}", printed(&errors)));
    loaded.settings.profiles
}

fn chosen<'p>(profiles: &'p [Profile], agent: &str) -> &'p Profile {
    profiles.iter().find(|profile| profile.matches(agent)).unwrap()
}

#[test]
fn every_phone_finds_its_profile_by_what_it_says_of_itself() {
    let profiles = profiles("");
    let rows = [
        ("PolycomVVX-VVX_410-UA/5.9.0.9373", "polycom"),
        ("PolycomSoundPointIP-SPIP_601-UA/3.1.3", "polycom"),
        ("PolyEdge-Edge_E450-UA/8.0.1", "polycom"),
        ("Yealink SIP-T46S 66.85.0.5", "yealink"),
        ("Yealink W60B 77.83.0.85", "yealink"),
        ("snom370/8.7.5.35", "snom"),
        ("snomD785/10.1.54.13", "snom"),
        ("Grandstream GXP2160 1.0.9.132", "grandstream"),
        ("Grandstream GXP2000 1.0.1.13", "grandstream"),
        ("Linksys/SPA962-6.1.5(a)", "linksys"),
        ("Cisco/SPA504G-7.6.2b", "linksys"),
        ("Sipura/SPA841-3.1.4", "linksys"),
        ("Cisco/CP-8841-3PCC-11.0", "linksys"),
        ("Cisco-CP7965G/9.4.2", "cisco-79xx"),
        ("Cisco-CP7945G/8.5.4", "cisco-79xx"),
        ("Cisco-CP8845/12.8.1", "cisco-88xx"),
        ("Cisco-CP7841/12.8.1", "cisco-88xx"),
        ("Cisco-CP6921/9.4.1", "cisco"),
        ("Aastra 6757i/3.3.1.4358", "aastra"),
        ("Aastra 480i/1.4.3", "aastra"),
        ("Mitel 6867i/5.1.0.1024", "aastra"),
        ("Fanvil X6 2.12.1", "fanvil"),
        ("Thomson ST2030 hw5 fw2.72 00-14-7F-00-00-01", "thomson"),
        ("Jin302", "jin302"),
        ("Gigaset C610A IP/42.245.00.000.000", "gigaset"),
        ("Gigaset N870 IP PRO/83.V2.43.0+build.5f0a106;7C2F80000000", "gigaset"),
        ("Digium D65 2_9_0", "digium"),
        ("Sangoma P310/4.3.8", "digium"),
        ("LinphoneiOS/4.5.1 (iPhone) LinphoneSDK/5.0", "linphone"),
        ("Linphone Desktop/4.3.2 (Debian) Qt5.15 LinphoneCore/5.0", "linphone"),
        ("Z 3.2.21357 r21103", "zoiper"),
        ("Zoiper rv2.10.11.7", "zoiper"),
        ("MicroSIP/3.20.5", "microsip"),
        ("baresip v1.0.0 (x86_64/linux)", "baresip"),
        ("Bria 4 release 4.8.1 stamp 84963", "bria"),
        ("X-Lite release 4.9.8 stamp 84253", "bria"),
        ("X-Lite release 1011s stamp 41150", "bria"),
        ("eyeBeam release 1102q stamp 51814", "bria"),
        ("JsSIP 3.10.0", "browser"),
        ("SIP.js/0.20.0", "browser"),
        ("Asterisk PBX 22.0.0", "default"),
        ("Blitz 3", "default"),
        ("", "default"),
    ];
    for (agent, name) in rows {
        assert_eq!(chosen(&profiles, agent).name, name, "{agent}");
    }
    let by_name = |profile: &Profile| profile.user_agents == [Profile::BY_NAME_ONLY];
    for profile in profiles.iter().filter(|profile| !by_name(profile)) {
        assert!(rows.iter().any(|(_, name)| *name == profile.name), "no phone for {}", profile.name);
    }
}

#[test]
fn every_built_in_profile_has_a_reason_and_sound_values() {
    let types = ["application/pidf+xml", "application/xpidf+xml", "application/cpim-pidf+xml"];
    for profile in profiles("") {
        assert!(profile.reason.len() > 10, "{}", profile.name);
        for preferred in &profile.prefer {
            assert!(types.contains(&preferred.as_str()), "{}: {preferred}", profile.name);
        }
        for (name, _) in &profile.auto_answer {
            assert!(["Alert-Info", "Call-Info", "Answer-Mode"].contains(&name.as_str()), "{}", profile.name);
        }
    }
}

#[test]
fn the_quirks_are_where_they_were_seen() {
    let profiles = profiles("");
    let of = |agent: &str| chosen(&profiles, agent);
    for agent in ["Linksys/SPA962", "snom370", "Polycom"] {
        let retries = matches!(of(agent).on_timeout, OnTimeout::Retry(after) if after.as_secs() == 32);
        assert!(retries, "{agent}: one 408 must not end its lamp");
    }
    assert_eq!(of("Yealink SIP-T46S").on_timeout, OnTimeout::Remove);
    assert_eq!(of("Polycom").retry_statuses, [450]);
    assert_eq!(of("Polycom").prefer, ["application/xpidf+xml"]);
    for agent in ["Yealink", "Aastra", "Grandstream", "Bria"] {
        assert!(of(agent).idle_dialog, "{agent}");
    }
    assert!(of("Yealink").single_dialog && !of("Polycom").single_dialog);
    assert!(of("Digium D65").digium && !of("Yealink").digium);
    assert!(!of("Zoiper rv2").end_notify && of("Linphone/4").end_notify);
    for agent in ["Cisco-CP8845/12.8.1", "Cisco-CP7965G/9.4.2"] {
        assert_eq!((of(agent).variant, of(agent).buggy_mwi), (Variant::Cisco, true), "{agent}");
        assert_eq!(of(agent).prefer, ["application/cpim-pidf+xml"], "{agent}");
    }
    assert_eq!((of("snom370").pickup, of("MicroSIP/3").pickup), (Pickup::Replaces, Pickup::Code));
    assert_eq!(of("snom370").auto_answer[0].0, "Alert-Info");
    assert!(profiles.iter().all(|profile| !profile.partial_dialogs), "off unless somebody asks for it");
}

#[test]
fn a_file_overrides_a_built_in_profile_key_by_key() {
    let changed = profiles(
        "[profiles.yealink]\nidle_dialog = false\npartial_dialogs = true\nauto_answer = \"X-Answer : now: please\"\n\
         pickup = \"replaces\"\nvariant = \"freeswitch\"\nreason = \"ours\"\n[profiles.zoiper]\nend_notify = true\n",
    );
    let yealink = chosen(&changed, "Yealink SIP-T46S");
    assert!(!yealink.idle_dialog && yealink.partial_dialogs && yealink.single_dialog);
    assert_eq!(yealink.auto_answer, [("X-Answer".to_owned(), "now: please".to_owned())]);
    assert_eq!((yealink.pickup, yealink.variant), (Pickup::Replaces, Variant::FreeSwitch));
    assert_eq!(yealink.reason, "ours");
    assert!(chosen(&changed, "Z 5.6").end_notify);
}

#[test]
fn the_options_name_every_variant() {
    let Some(Kind::Choice(words)) = find(Table::Profile, "variant").map(|option| option.kind) else {
        panic!()
    };
    assert_eq!(words, Variant::ALL.map(Variant::name));
}
