//! Tables for rules and documents, and what must hold whatever the rules are.

use super::common_policy::{Circumstances, Condition, Rule, Watcher, Who};
use super::edit;
use super::pres_rules::{Grant, Handling, PresRules, Verdict};
use super::provided::{Attribute, Identifier, Parts, Provided};
use super::reveal::cut;
use crate::body::pidf::Pidf;
use crate::body::presence_document::DateTime;
use crate::body::{Style, Variant};
use crate::command::{Command, Reply};
use crate::composition::extension::Presence;
use crate::device_state::DeviceName;
use crate::hint::Hint;
use crate::journal::{Key, Kind, RulesRecord, Value};
use crate::node::Node;
use crate::output::{Event, Output};
use crate::packages::{Audience, Class, PackageId, Subject};
use crate::resource::ResourceKey;
use crate::settings::{Domain, Peer, Settings};
use crate::time::{Instant, Now, UnixTime};
use crate::view_of::View;
use proptest::prelude::*;
use std::sync::Arc;

fn settings() -> Settings {
    let mut settings = Settings::empty();
    settings.domains = vec![Domain::named("example.com"), Domain::named("other.example")];
    settings.domains[0].aliases = vec!["alias.example".into()];
    for name in ["bob", "carol"] {
        settings
            .peers
            .insert(name.into(), Peer::named(name, DeviceName::parse(&format!("SIP/{name}")).unwrap()));
    }
    settings
}

fn document(rules: &str) -> String {
    format!(
        "<ruleset xmlns=\"urn:ietf:params:xml:ns:common-policy\" xmlns:pr=\"urn:ietf:params:xml:ns:pres-rules\">{rules}</ruleset>"
    )
}

fn rule(id: &str, conditions: &str, handling: &str, shows: &str) -> String {
    format!(
        "<rule id=\"{id}\"><conditions>{conditions}</conditions><actions><pr:sub-handling>{handling}</pr:sub-handling></actions>\
         <transformations>{shows}</transformations></rule>"
    )
}

fn at(text: &str) -> UnixTime {
    DateTime::parse(text).unwrap().unix()
}

fn decide(rules: &PresRules, who: &str, sphere: Option<&str>, now: &str, configured: Handling) -> Verdict {
    let watcher = Watcher::called(&settings(), who);
    rules.decide(&Circumstances { watcher: &watcher, sphere, now: at(now) }, configured)
}

const NOW: &str = "2003-12-24T17:15:00+01:00";

#[test]
fn rfc4745_10_3_the_rules_that_apply_are_combined() {
    let validity =
        |from: &str, until: &str| format!("<validity><from>{from}</from><until>{until}</until></validity>");
    let (a1, a2, a3) =
        ("2003-12-24T17:00:00+01:00", "2003-12-24T21:00:00+01:00", "2003-12-24T23:30:00+01:00");
    let (b1, b2) = ("2003-12-22T17:00:00+01:00", "2003-12-23T17:00:00+01:00");
    let one = |id: &str| format!("<identity><one id=\"sip:{id}@example.com\"/></identity>");
    let sphere = |value: &str| format!("<sphere value=\"{value}\"/>");
    let text = document(
        &[
            rule(
                "r1",
                &(one("bob") + &sphere("home") + &validity(a1, a2)),
                "allow",
                "<pr:provide-mood>1</pr:provide-mood>",
            ),
            rule("r2", &(one("alice") + &sphere("work") + &validity(a1, a2)), "allow", ""),
            rule(
                "r3",
                &(one("bob") + &sphere("Work lunch") + &validity(a1, a2)),
                "confirm",
                "<pr:provide-note>true</pr:provide-note>",
            ),
            rule("r4", &(one("tom") + &sphere("work") + &validity(a1, a2)), "allow", ""),
            rule(
                "r5",
                &(one("bob") + &sphere("work") + &validity(a1, a3)),
                "polite-block",
                "<pr:provide-sphere>true</pr:provide-sphere>",
            ),
            rule("r6", &(one("bob") + &sphere("work") + &validity(b1, b2)), "allow", ""),
        ]
        .concat(),
    );
    let rules = PresRules::read(&text).unwrap();
    let verdict = decide(&rules, "bob", Some("work"), NOW, Handling::Allow);
    assert_eq!(
        (verdict.handling, verdict.rules),
        (Handling::PoliteBlock, vec!["r3".to_owned(), "r5".to_owned()])
    );
    let shown = [Attribute::Note, Attribute::Sphere, Attribute::Mood].map(|a| verdict.shows.has(a));
    assert_eq!(shown, [true, true, false]);
    for (who, sphere, now, handling) in [
        ("bob", Some("home"), NOW, Handling::Allow),
        ("bob", None, NOW, Handling::Block),
        ("bob", Some("work"), a2, Handling::PoliteBlock),
        ("bob", Some("work"), a3, Handling::Block),
        ("bob", Some("work"), b1, Handling::Allow),
        ("bob", Some("work"), b2, Handling::Block),
        ("sip:tom@example.com", Some("WORK"), a1, Handling::Allow),
        ("carol", Some("work"), NOW, Handling::Block),
    ] {
        assert_eq!(
            decide(&rules, who, sphere, now, Handling::Allow).handling,
            handling,
            "{who} {sphere:?} {now}"
        );
    }
    assert_eq!(rules.next_change(at(NOW)), Some(at(a2)));
    assert_eq!(rules.next_change(at(a3)), None);
    assert!(rules.asks_for_sphere() && rules.asks_for_time());
}

#[test]
fn who_is_meant_by_an_identity() {
    for (identity, meant) in [
        ("<one id='sip:bob@example.com'/>", "bob"),
        ("<one id='sip:%62ob@ALIAS.example'/>", "bob"),
        ("<one id='sips:bob@example.com'/>", ""),
        ("<one id='tel:bob'/><one id='sip:x@far.example'/>", "far"),
        ("<one id='sip:bob@example.com'><x xmlns='urn:x'/></one>", ""),
        ("<many/>", "bob carol other far"),
        ("<many domain='Example.com'/>", "bob carol"),
        ("<many domain='alias.example'><except id='sip:bob@example.com'/></many>", "carol"),
        ("<many><except domain='example.com'/><except id='sip:x@far.example'/></many>", "other"),
        ("<many><except xmlns='urn:x' id='sip:bob@example.com'/></many>", ""),
        (
            "<configured xmlns='urn:lampyris:rules'><except id='sip:carol@example.com'/></configured>",
            "bob other far",
        ),
        ("<group xmlns='urn:x'/>", ""),
        ("", ""),
    ] {
        let rules =
            PresRules::read(&document(&rule("a", &format!("<identity>{identity}</identity>"), "allow", "")))
                .unwrap();
        let all = [
            ("bob", "bob"),
            ("carol", "carol"),
            ("other", "sip:bob@other.example"),
            ("far", "sip:x@far.example"),
        ];
        let met: Vec<_> = all
            .iter()
            .filter(|(_, who)| decide(&rules, who, None, NOW, Handling::Allow).handling == Handling::Allow)
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(met.join(" "), meant, "{identity}");
    }
    let mut settings = settings();
    settings.domains[0].any_user = true;
    for (name, uri, is_bob) in [
        ("bob", "sip:bob@example.com", true),
        ("sip:bob@example.com", "sip:bob@example.com", true),
        // A user part that was unescaped once is not to be unescaped again.
        ("sip:%62ob@example.com", "sip:%2562ob@example.com", false),
        ("sip:bob@far.example@example.com", "sip:bob%40far.example@example.com", false),
        ("sip:%62ob@far.example", "sip:%62ob@far.example", false),
    ] {
        let watcher = Watcher::called(&settings, name);
        assert_eq!((watcher.uri.as_str(), watcher.is("sip:bob@example.com")), (uri, is_bob), "{name}");
        assert!(watcher.is(uri), "{name}");
    }
    let no_conditions =
        document("<rule id='a'><actions><pr:sub-handling>confirm</pr:sub-handling></actions></rule>");
    let rules = PresRules::read(&no_conditions).unwrap();
    assert_eq!(decide(&rules, "bob", None, NOW, Handling::Allow).handling, Handling::Confirm);
    let unknown = document(&rule("a", "<weather xmlns='urn:x'>good</weather>", "allow", ""));
    assert_eq!(
        decide(&PresRules::read(&unknown).unwrap(), "bob", None, NOW, Handling::Allow).handling,
        Handling::Block
    );
}

#[test]
fn what_is_malformed_is_refused_whole() {
    let cases = [
        "<ruleset/>".to_owned(),
        "no XML".to_owned(),
        document("<rule/>"),
        document("<rule id='1'/>"),
        document("<rule id='a'/><rule id='a'/>"),
        document("<rule id='a'><conditions><identity><one/></identity></conditions></rule>"),
        document("<rule id='a'><conditions><identity><all/></identity></conditions></rule>"),
        document("<rule id='a'><conditions><identity><many><except/></many></identity></conditions></rule>"),
        document("<rule id='a'><conditions><sphere/></conditions></rule>"),
        document(
            "<rule id='a'><conditions><validity><from>2003-12-24T17:00:00Z</from></validity></conditions></rule>",
        ),
        document(
            "<rule id='a'><conditions><validity><until>2003-12-24T17:00:00Z</until><from>2003-12-24T17:00:00Z</from></validity></conditions></rule>",
        ),
        document("<rule id='a'><conditions><vallidity/></conditions></rule>"),
        document("<rule id='a'><actions/><actions/></rule>"),
        document(&rule("a", "", "alow", "")),
        document(&rule("a", "", "allow", "<pr:provide-note>yes</pr:provide-note>")),
        document(&rule("a", "", "allow", "<pr:provide-everything>true</pr:provide-everything>")),
        document(&rule("a", "", "allow", "<pr:provide-user-input>true</pr:provide-user-input>")),
        document(&rule(
            "a",
            "",
            "allow",
            "<pr:provide-persons><pr:deviceID>x</pr:deviceID></pr:provide-persons>",
        )),
        document(&rule(
            "a",
            "",
            "allow",
            "<pr:provide-unknown-attribute name='x'>true</pr:provide-unknown-attribute>",
        )),
    ];
    for text in cases {
        assert!(PresRules::read(&text).is_err(), "{text}");
    }
}

#[test]
fn a_document_edited_by_command_says_what_was_typed() {
    let settings = settings();
    let everybody = document(&rule("all", "", "allow", ""));
    for (start, steps) in [
        (
            None,
            vec![
                ("bob", Some(Handling::Block), "block allow"),
                ("carol", Some(Handling::Confirm), "block confirm"),
            ],
        ),
        (
            None,
            vec![
                ("bob", Some(Handling::PoliteBlock), "polite-block allow"),
                ("bob", Some(Handling::Allow), "allow allow"),
            ],
        ),
        (Some(everybody), vec![("bob", Some(Handling::Block), "block allow"), ("bob", None, "allow allow")]),
    ] {
        let mut rules = start.map(|text| PresRules::read(&text).unwrap());
        for (who, handling, expected) in steps {
            rules = edit::with(rules.as_ref(), &Watcher::called(&settings, who), handling).unwrap();
            let read = PresRules::read(rules.as_ref().unwrap().text()).unwrap();
            assert_eq!(Some(&read.rules), rules.as_ref().map(|rules| &rules.rules));
            let got =
                ["bob", "carol"].map(|who| decide(&read, who, None, NOW, Handling::Allow).handling.name());
            assert_eq!(got.join(" "), expected, "{}", read.text());
        }
    }
    let rules = edit::with(None, &Watcher::called(&settings, "bob"), Some(Handling::Block)).unwrap();
    let forgotten = edit::with(rules.as_ref(), &Watcher::called(&settings, "bob"), None).unwrap();
    assert_eq!(forgotten, None, "nothing but the default is left");
    let strange = PresRules::read(&document(&rule("a", "<weather xmlns='urn:x'/>", "allow", ""))).unwrap();
    assert!(edit::with(Some(&strange), &Watcher::called(&settings, "bob"), Some(Handling::Allow)).is_err());
}

fn parts() -> impl Strategy<Value = Parts> {
    let some = proptest::collection::btree_set(
        prop_oneof!["[ab]".prop_map(Identifier::Class), "[ab]".prop_map(Identifier::Occurrence)],
        0..3,
    );
    prop_oneof![1 => Just(Parts::All), 3 => some.prop_map(Parts::Some)]
}

prop_compose! {
    fn provided()(persons in parts(), services in parts(), devices in parts(), note in any::<bool>(), mood in any::<bool>(),
        all_attributes in proptest::bool::weighted(0.2)) -> Provided {
        let mut provided = Provided { persons, services, devices, all_attributes, ..Provided::default() };
        if note { provided.attributes.insert(Attribute::Note); }
        if mood { provided.attributes.insert(Attribute::Mood); }
        provided
    }
}

fn who() -> impl Strategy<Value = Who> {
    let id = prop_oneof![Just("sip:bob@example.com".to_owned()), Just("sip:carol@example.com".to_owned())];
    prop_oneof![
        id.clone().prop_map(Who::One),
        id.clone().prop_map(|id| Who::Many(None, vec![super::common_policy::Except::Id(id)])),
        id.prop_map(|id| Who::Configured(vec![super::common_policy::Except::Id(id)])),
        Just(Who::Many(Some("example.com".into()), Vec::new())),
    ]
}

prop_compose! {
    fn some_rule()(who in proptest::collection::vec(who(), 0..3), sphere in proptest::option::of("work|home"),
        handling in proptest::option::of(proptest::sample::select(&Handling::ALL[..])), shows in provided()) -> Rule<Grant> {
        let mut conditions = vec![Condition::Identity(who)];
        conditions.extend(sphere.map(|value| Condition::Sphere(vec![value])));
        Rule { id: "r".into(), conditions, grant: Grant { handling, shows: Arc::new(shows) } }
    }
}

/// Whether `more` shows at least what `less` does.
fn covers(more: &Provided, less: &Provided) -> bool {
    let (a, b) = (Arc::new(more.clone()), Arc::new(less.clone()));
    let both = Provided::union(&a, &b);
    let attributes = [Attribute::Note, Attribute::Mood];
    (&both.persons, &both.services, &both.devices) == (&more.persons, &more.services, &more.devices)
        && attributes.into_iter().all(|attribute| more.has(attribute) || !less.has(attribute))
        && more.user_input() >= less.user_input()
}

proptest! {
    #[test]
    fn removing_a_rule_never_reveals_more(
        rules in proptest::collection::vec(some_rule(), 1..6), gone in any::<prop::sample::Index>(),
        who in "bob|carol", sphere in proptest::option::of("work|home"),
        configured in proptest::sample::select(&Handling::ALL[..]),
    ) {
        let named = |(at, rule): (usize, &Rule<Grant>)| Rule { id: format!("r{at}"), ..rule.clone() };
        let all: Vec<_> = rules.iter().enumerate().map(named).collect();
        let mut fewer = all.clone();
        fewer.remove(gone.index(fewer.len()));
        let (all, fewer) = (PresRules::of(all), PresRules::of(fewer));
        let more = decide(&all, &who, sphere.as_deref(), NOW, configured);
        let less = decide(&fewer, &who, sphere.as_deref(), NOW, configured);
        prop_assert!(more.handling >= less.handling);
        prop_assert!(covers(&more.shows, &less.shows), "{:?} {:?}", more.shows, less.shows);
    }

    #[test]
    fn what_is_written_is_read_back(rules in proptest::collection::vec(some_rule(), 0..4)) {
        let named = |(at, rule): (usize, &Rule<Grant>)| Rule { id: format!("r{at}"), ..rule.clone() };
        let written = PresRules::of(rules.iter().enumerate().map(named).collect());
        let read = PresRules::read(written.text()).unwrap();
        prop_assert_eq!(written.rules, read.rules);
    }

    #[test]
    fn what_all_owners_show_is_no_more_than_each_shows(a in provided(), b in provided()) {
        let (a, b) = (Arc::new(a), Arc::new(b));
        let narrow = Provided::narrower(&a, &b);
        prop_assert!(covers(&a, &narrow) && covers(&b, &narrow), "{:?}", narrow);
        prop_assert!(covers(&Provided::union(&a, &b), &a));
    }
}

/// Whoever is politely blocked is shown what there is of somebody who is not there, in every format and shape.
#[test]
fn somebody_withheld_looks_like_somebody_who_is_not_there() {
    let mut settings = settings();
    let hint = Hint::parse("SIP/bob,CustomPresence:bob");
    settings.dialplan.add_hint("default", "6001", hint).unwrap();
    settings.domains[0].any_user = true;
    let now = Now { mono: Instant::default(), wall: at(NOW) };
    let mut node = Node::new(Arc::new(settings), Vec::new(), [0; 32], now);
    let mut compared = 0;
    for key in ["6001@default", "sip:bob@example.com", "sip:zoe@example.com"] {
        let key = ResourceKey::parse(key).unwrap();
        let id = node.resource(now, &key);
        for package in PackageId::all().filter(|p| matches!(p.get().audience(), Audience::Colleagues(_))) {
            let view =
                View::new(&node.facts, &node.subscriptions, node.facts.resources.get(id).unwrap(), package);
            let (offline, withheld) = (package.get().compose(&view), package.get().withheld(&view));
            assert_eq!(package.get().word(&offline), package.get().word(&withheld));
            for (format, variant) in
                (0..package.get().format_count()).flat_map(|f| Variant::ALL.map(|v| (f, v)))
            {
                for digium in [false, true] {
                    let style = Style { digium, offline_presence: true, pickup: true, ..Style::of(variant) };
                    let subject = Subject { name: key.name(), class: Class::default() };
                    let [a, b] = [&offline, &withheld]
                        .map(|state| package.get().encode(state, format, subject, style));
                    assert_eq!(a, b, "{key} {} {variant:?}", package.content_type(format));
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 3 * (5 + 1) * Variant::ALL.len() * 2);
}

/// What is left of a document with every attribute, each with a word of its own, under these transformations.
fn left(transformations: &str) -> String {
    const TIMES: &str = "last-input='2026-01-01T00:00:00Z' idle-threshold='77'";
    let rpid = |w: &str| {
        format!(
            "<r:activities><r:note>{w}activities</r:note><r:away/></r:activities><r:class>{w}class</r:class>\
             <r:mood><r:note>{w}mood</r:note><r:happy/></r:mood><r:place-is><r:note>{w}place-is</r:note></r:place-is>\
             <r:place-type><r:other>{w}place-type</r:other></r:place-type><r:privacy><r:note>{w}privacy</r:note><r:text/></r:privacy>\
             <r:relationship><r:note>{w}relationship</r:note><r:self/></r:relationship>\
             <r:service-class><r:note>{w}service-class</r:note><r:postal/></r:service-class>\
             <r:sphere><r:home/></r:sphere><r:status-icon>{w}status-icon</r:status-icon>\
             <r:time-offset description='{w}time-offset'>60</r:time-offset><r:user-input {TIMES}>idle</r:user-input>\
             <x:foo>{w}foo</x:foo><x:bar>{w}bar</x:bar>"
        )
    };
    let body = format!(
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' \
         xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' xmlns:x='urn:x' entity='sip:a@b'>\
         <tuple id='t1'><status><basic>open</basic></status>{}<d:deviceID>urn:t-device</d:deviceID><contact>sip:t-contact@b</contact>\
         <note>t-note</note></tuple><d:person id='p1'>{}<d:note>p-note</d:note></d:person>\
         <d:device id='d1'>{}<d:deviceID>urn:d-device</d:deviceID><d:note>d-note</d:note></d:device>\
         <note>root-note</note><x:root>root-foo</x:root></presence>",
        rpid("t-"),
        rpid("p-"),
        rpid("d-")
    );
    let published = vec![Arc::new(Pidf::decode(body.as_bytes()).unwrap())];
    let presence = Presence { published, ..Presence::default() };
    let rules = PresRules::read(&document(&rule("a", "", "allow", transformations))).unwrap();
    let shown = cut(&presence, "a", &rules.rules[0].grant.shows);
    let bytes = Pidf::encode(&shown, "a", Style::of(Variant::Rfc)).fill(&Default::default());
    let text = String::from_utf8(bytes).unwrap();
    let words = [
        "activities",
        "class",
        "mood",
        "place-is",
        "place-type",
        "privacy",
        "relationship",
        "service-class",
        "status-icon",
        "time-offset",
        "foo",
        "bar",
        "device",
        "contact",
        "note",
    ];
    let all = ["t-", "p-", "d-", "root-"]
        .iter()
        .flat_map(|part| words.iter().map(move |word| format!("{part}{word}")));
    let mut found: Vec<String> = all.filter(|word| text.contains(word.as_str())).collect();
    for (word, name) in [
        ("<rpid:home/>", "sphere"),
        ("idle</", "input"),
        ("idle-threshold", "threshold"),
        ("last-input", "last"),
    ] {
        found.extend((0..text.matches(word).count()).map(|_| name.to_owned()));
    }
    found.join(" ")
}

#[test]
fn rfc5025_3_3_each_transformation_shows_just_what_it_is_about() {
    let parts = "<pr:provide-services><pr:all-services/></pr:provide-services><pr:provide-persons><pr:all-persons/></pr:provide-persons>\
                 <pr:provide-devices><pr:all-devices/></pr:provide-devices>";
    let always = "t-service-class t-contact d-device";
    // The person of our documents is written without a service class, which its schema gives to services only.
    for (transformation, more) in [
        ("", ""),
        ("<pr:provide-note>true</pr:provide-note>", "t-note p-note d-note root-note"),
        ("<pr:provide-mood>true</pr:provide-mood>", "t-mood p-mood d-mood"),
        ("<pr:provide-mood>false</pr:provide-mood>", ""),
        ("<pr:provide-deviceID>1</pr:provide-deviceID>", "t-device"),
        ("<pr:provide-sphere>true</pr:provide-sphere>", "sphere sphere sphere"),
        ("<pr:provide-user-input>bare</pr:provide-user-input>", "input input input"),
        (
            "<pr:provide-user-input>thresholds</pr:provide-user-input>",
            "input input input threshold threshold threshold",
        ),
        (
            "<pr:provide-user-input>full</pr:provide-user-input>",
            "input input input threshold threshold threshold last last last",
        ),
        (
            "<pr:provide-unknown-attribute name='foo' ns='urn:x'>true</pr:provide-unknown-attribute>",
            "t-foo p-foo d-foo",
        ),
        ("<pr:provide-unknown-attribute name='foo' ns='urn:y'>true</pr:provide-unknown-attribute>", ""),
    ] {
        let found = left(&format!("{parts}{transformation}"));
        let mut found: Vec<_> = found.split(' ').filter(|word| !word.ends_with("service-class")).collect();
        let mut expected: Vec<_> =
            always.split(' ').chain(more.split(' ')).filter(|w| !w.is_empty()).collect();
        expected.retain(|word| !word.ends_with("service-class"));
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{transformation}");
    }
    let everything = left(&format!("{parts}<pr:provide-all-attributes/>"));
    for word in [
        "t-foo",
        "p-bar",
        "d-status-icon",
        "t-place-is",
        "p-relationship",
        "root-foo",
        "t-privacy",
        "d-time-offset",
    ] {
        assert!(everything.contains(word), "{word}: {everything}");
    }
    for (services, shown) in [
        ("<pr:class>t-class</pr:class>", true),
        ("<pr:occurrence-id>t1</pr:occurrence-id>", true),
        ("<pr:service-uri>sip:t-contact@B</pr:service-uri>", true),
        ("<pr:service-uri-scheme>sip</pr:service-uri-scheme>", true),
        ("<pr:service-uri-scheme>mailto</pr:service-uri-scheme>", false),
        ("<pr:class>p-class</pr:class>", false),
        ("<all-services xmlns='urn:x'/>", false),
    ] {
        let found = left(&format!("<pr:provide-services>{services}</pr:provide-services>"));
        assert_eq!(found.contains("t-contact"), shown, "{services}");
        assert!(!found.contains("p-") && !found.contains("d-"), "{found}");
    }
}

#[test]
fn a_stored_document_that_cannot_be_read_lets_nobody_in_until_it_is_cleared() {
    let now = Now { mono: Instant::default(), wall: at(NOW) };
    let mut node = Node::new(Arc::new(settings()), Vec::new(), [0; 32], now);
    let (user, document) = ("sip:bob@example.com".to_owned(), "<ruleset".to_owned());
    let record = RulesRecord { user: user.clone(), document, modified_at: now.wall };
    node.restore(now, Key { kind: Kind::Rules, slot: 3 }, Value::Rules(record));
    node.restored(now, true);
    let package = PackageId::all().find(|p| matches!(p.get().audience(), Audience::Colleagues(_))).unwrap();
    let key = ResourceKey::parse(&user).unwrap();
    let decided = |node: &Node| node.facts.decide(now.wall, "carol", &key, package).handling;
    assert_eq!(decided(&node), Handling::Block);
    let told = std::iter::from_fn(|| match node.poll_output(now) {
        Output::Timeout(_) => None,
        output => Some(output),
    });
    let is_told = |output: &Output| matches!(output, Output::Event(Event::Rules { by, .. }) if by == "store");
    assert_eq!(told.filter(is_told).count(), 1);
    let (bob, carol) = ("bob".to_owned(), "carol".to_owned());
    let allow = Command::Rule { user: bob.clone(), watcher: carol, handling: Some(Handling::Allow) };
    assert!(matches!(node.handle_command(now, allow), Reply::Refused { .. }));
    assert!(matches!(node.handle_command(now, Command::ClearRules(bob)), Reply::Done { count: 1 }));
    assert_eq!(decided(&node), Handling::Allow);
}
