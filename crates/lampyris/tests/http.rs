//! The HTTP API of the real binary: who gets in, what is answered, and streams of events that can be resumed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is a test")]

mod lab;

use lab::Lab;
use serde_json::{Value, json};

const HTTP: &str = "http = \"127.0.0.1:0\"\n";

fn lab(name: &str) -> Lab {
    Lab::start(&format!("http-{name}"), &["udp:127.0.0.1:0"], HTTP)
}

#[test]
fn views_are_those_of_the_command_line() {
    let lab = lab("views");
    let token = lab.token(&["admin"]);
    lab.lamp("INUSE");
    for (path, words) in [
        ("hints", &["show", "hints"][..]),
        ("devices", &["show", "devices"]),
        ("subscriptions", &["show", "subscriptions"]),
        ("publications", &["show", "publications"]),
        ("registrations", &["show", "registrations"]),
        ("calls", &["show", "calls"]),
        ("peers", &["show", "peers"]),
        ("profiles", &["show", "profiles"]),
    ] {
        let mut words = words.to_vec();
        words.push("--json");
        let said = lab.ask(&words);
        assert!(said.status.success(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
        let said: Value = serde_json::from_slice(&said.stdout).unwrap();
        let answer = lab.get(&format!("/api/v1/{path}"), &token);
        assert_eq!((answer.status, answer.json()), (200, said), "{path}");
    }
    let why = lab.get("/api/v1/why/7000", &token).json();
    assert_eq!((&why[0]["resource"], &why[0]["state"]), (&json!("7000@default"), &json!("InUse")), "{why}");
    let extensions = lab.get("/api/v1/extensions", &token).json();
    assert_eq!(extensions[0]["resource"], "7000@default");
    assert_eq!(
        (&extensions[0]["state"], &extensions[0]["devices"]),
        (&json!("InUse"), &json!(["Custom:lamp"]))
    );
    let people = lab.get("/api/v1/people", &token).json();
    let names: Vec<_> =
        people.as_array().unwrap().iter().map(|row| row["resource"].as_str().unwrap()).collect();
    assert_eq!(names, ["sip:alice@example.com", "sip:bob@example.com"]);
}

#[test]
fn a_token_is_good_for_its_scopes_and_until_it_is_revoked() {
    let lab = lab("scopes");
    let tokens = [&["admin"][..], &["board:read"], &["state:write:lamp"]].map(|scopes| lab.token(scopes));
    let [admin, board, state] = tokens.each_ref().map(String::as_str);
    for (path, expected) in [
        ("/api/v1/extensions", [200, 200, 403, 401, 401]),
        ("/api/v1/people", [200, 200, 403, 401, 401]),
        ("/api/v1/subscriptions", [200, 403, 403, 401, 401]),
        ("/api/v1/registrations", [200, 403, 403, 401, 401]),
        ("/api/v1/events?kinds=registration", [0, 403, 403, 401, 401]),
        ("/api/v1/why/7000", [200, 403, 403, 401, 401]),
        ("/api/v1/token", [200, 200, 200, 401, 401]),
        ("/healthz", [200; 5]),
        ("/readyz", [200; 5]),
        ("/openapi.json", [200; 5]),
        ("/presence.js", [200; 5]),
        ("/", [200; 5]),
        ("/nowhere", [404; 5]),
    ] {
        for (token, expected) in [admin, board, state, "", "lampyris_nonsense"].into_iter().zip(expected) {
            // A stream does not end.
            if expected > 0 {
                let answer = lab.get(path, token);
                assert_eq!(answer.status, expected, "{path} {token}: {}", answer.body);
            }
        }
    }
    let listed: Value = serde_json::from_slice(&lab.ask(&["token", "list", "--json"]).stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert!(!listed.to_string().contains(admin));
    assert!(lab.ask(&["token", "revoke", listed[1]["id"].as_str().unwrap()]).status.success());
    assert_eq!(lab.get("/api/v1/extensions", board).status, 401);
    assert_eq!(lab.get("/api/v1/extensions", admin).status, 200);
}

#[test]
fn the_first_start_prints_a_link_that_is_good_once() {
    let lab = lab("link");
    let (site, code) = lab.printed("link").unwrap().split_once("/#link=").unwrap();
    assert_eq!(Some(site), lab.printed("http"));
    let body = json!({ "code": code }).to_string();
    let made = lab.send("POST", "/api/v1/link", "", &body).json();
    assert_eq!(lab.get("/api/v1/status", made["token"].as_str().unwrap()).status, 200);
    let again = lab.send("POST", "/api/v1/link", "", &body);
    assert_eq!(again.status, 403, "{}", again.body);
    let log = std::fs::read_to_string(lab.directory.join("log")).unwrap();
    assert!(!log.contains(code), "the code is in no log");
}

#[test]
fn refusals_are_problems_and_every_answer_is_guarded() {
    let lab = lab("problems");
    let token = &lab.token(&["admin"]);
    let long = "x".repeat(70_000);
    let rows = [
        (lab.get("/nowhere", token), 404),
        (lab.get("/api/v1/why/nobody", token), 404),
        (lab.get("/api/v1/why/%ff", token), 400),
        (lab.get("/api/v1/subscriptions?nonsense=1", token), 400),
        (lab.get("/api/v1/events?kinds=lamps", token), 400),
        (lab.http("DELETE", "/api/v1/hints", token, "", ""), 405),
        (lab.http("POST", "/api/v1/link", "", "", "{}"), 415),
        (lab.send("POST", "/api/v1/link", "", "{"), 400),
        (lab.send("POST", "/api/v1/link", "", &long), 413),
        (lab.http("GET", "/api/v1/hints", token, "Origin: https://evil.example\r\n", ""), 403),
    ];
    for (answer, status) in rows {
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.head.contains("content-type: application/problem+json"), "{}", answer.head);
        let problem = answer.json();
        assert_eq!((&problem["status"], &problem["type"]), (&json!(status), &json!("about:blank")));
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        for header in ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff"] {
            assert!(answer.head.contains(header), "{}", answer.head);
        }
        assert!(!answer.head.contains("access-control-allow"), "{}", answer.head);
        assert!(!answer.head.contains("set-cookie"), "{}", answer.head);
    }
    let large = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "y".repeat(20_000));
    assert_eq!(lab.raw(large.as_bytes()).status, 431);
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(70));
    assert_eq!(lab.raw(many.as_bytes()).status, 431);
}

#[test]
fn pages_of_configured_origins_may_ask() {
    let options = format!("{HTTP}http_origins = [\"https://intranet.example.com\"]\n");
    let lab = Lab::start("http-cors", &["udp:127.0.0.1:0"], &options);
    let token = lab.token(&["board:read"]);
    let origin = "Origin: https://intranet.example.com\r\n";
    let answer = lab.http("GET", "/api/v1/hints", &token, origin, "");
    assert_eq!(answer.status, 200);
    assert!(
        answer.head.contains("access-control-allow-origin: https://intranet.example.com"),
        "{}",
        answer.head
    );
    let asks = format!("{origin}Access-Control-Request-Method: GET\r\n");
    let preflight = lab.http("OPTIONS", "/api/v1/hints", "", &asks, "");
    assert_eq!(preflight.status, 204);
    assert!(preflight.head.contains("access-control-allow-headers: authorization"), "{}", preflight.head);
}

#[test]
fn a_stream_begins_with_a_snapshot_and_is_resumed_by_id() {
    let lab = lab("events");
    let token = lab.token(&["board:read"]);
    let mut events = lab.events("/api/v1/events?kinds=extension&extensions=7000", &token, None);
    let snapshot = events.next();
    assert_eq!((snapshot.kind.as_str(), &snapshot.data["id"]), ("snapshot", &json!(snapshot.id)));
    let rows = snapshot.data["presentities"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| &row["resource"]).collect::<Vec<_>>(), ["7000@default"]);
    let was = rows[0]["state"].as_str().unwrap().to_owned();

    let states = [("INUSE", "InUse"), ("RINGING", "Ringing"), ("NOT_INUSE", "Idle"), ("BUSY", "Busy")];
    states.iter().for_each(|(state, _)| lab.lamp(state));
    let seen: Vec<_> = states.iter().map(|_| events.next()).collect();
    let mut before = was;
    for (event, (_, word)) in seen.iter().zip(states) {
        assert_eq!((event.kind.as_str(), &event.data["id"]), ("extension", &json!(event.id)));
        assert_eq!((&event.data["extension"], &event.data["state"]), (&json!("7000@default"), &json!(word)));
        assert_eq!(event.data["was"], json!(before));
        word.clone_into(&mut before);
    }
    drop(events);

    // What came after an id, without a snapshot; while nobody was connected, too.
    lab.lamp("ONHOLD");
    let mut again = lab.events("/api/v1/events?kinds=extension", &token, Some(&seen[1].id));
    let rest: Vec<_> = (0..3).map(|_| again.next()).collect();
    let words: Vec<_> = rest.iter().map(|event| event.data["state"].as_str().unwrap()).collect();
    assert_eq!(words, ["Idle", "Busy", "Hold"]);
    assert_eq!(rest[0].id, seen[2].id);

    // An id of another process, or none at all: a gap, then a snapshot.
    for id in ["1-5", "nonsense"] {
        let mut lost = lab.events("/api/v1/events", &token, Some(id));
        assert_eq!(lost.next().kind, "gap");
        assert_eq!(lost.next().kind, "snapshot");
        lab.lamp("INUSE");
        assert_eq!(lost.of("extension").data["state"], "InUse");
        lab.lamp("ONHOLD");
    }
}

#[test]
fn the_admin_socket_gives_the_same_events() {
    use std::io::{BufRead as _, BufReader};
    let lab = lab("socket");
    let token = lab.token(&["board:read"]);
    let mut events = lab.events("/api/v1/events?kinds=extension", &token, None);
    assert_eq!(events.next().kind, "snapshot");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_lampyris"))
        .arg("--data")
        .arg(lab.directory.join("data"))
        .args(["events", "--json", "--kind", "extension"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (said, first) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || said.send(lines.next().unwrap().unwrap()));
    // Why: nobody says when the command line has begun to listen.
    let line = (0..200).find_map(|n| {
        lab.lamp(if n % 2 == 0 { "INUSE" } else { "RINGING" });
        first.recv_timeout(std::time::Duration::from_millis(100)).ok()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap().unwrap();
    let line: Value = serde_json::from_str(&line.expect("an event")).unwrap();
    let same = std::iter::repeat_with(|| events.next()).find(|event| event.data["id"] == line["id"]);
    assert_eq!(same.unwrap().data, line);
}

#[test]
fn states_are_set_and_removed_by_whom_they_belong_to() {
    let lab = lab("write");
    let admin = &lab.token(&["admin"]);
    let [all, lamp, bob] = ["state:write:*", "state:write:lamp", "state:write:bob"]
        .map(|scope| lab.token(&[scope, "board:read"]));
    let custom = "/api/v1/sources/Custom:lamp";
    let busy = "{\"state\":\"BUSY\"}";
    let rows: &[(&str, &str, &str, &str, u16)] = &[
        ("PUT", custom, &bob, busy, 403),
        ("PUT", custom, &lamp, busy, 200),
        ("PUT", custom, &all, "{\"state\":\"INUSE\",\"for_s\":600}", 200),
        ("PUT", custom, admin, "{\"state\":\"sleeping\"}", 422),
        ("PUT", custom, admin, "{\"state\":\"BUSY\",\"for_s\":0}", 400),
        ("PUT", custom, admin, "{\"state\":\"BUSY\",\"for_s\":18446744073709551615}", 400),
        ("PUT", custom, admin, "{\"state\":\"BUSY\",\"note\":\"x\"}", 400),
        ("PUT", custom, admin, "{\"state\":\"BUSY\",\"more\":1}", 400),
        ("PUT", custom, admin, "[]", 400),
        ("PUT", "/api/v1/sources/a%26b", admin, busy, 422),
        ("PUT", "/api/v1/sources/SIP%2Fbob", &bob, busy, 200),
        ("PUT", "/api/v1/sources/CustomPresence:bob", &bob, "{\"state\":\"away\",\"note\":\"lunch\"}", 200),
        (
            "PUT",
            "/api/v1/mailboxes/100@default",
            admin,
            "{\"new\":2,\"old\":0,\"urgent_new\":0,\"urgent_old\":0}",
            200,
        ),
        (
            "PUT",
            "/api/v1/mailboxes/100@default",
            &bob,
            "{\"new\":2,\"old\":0,\"urgent_new\":0,\"urgent_old\":0}",
            403,
        ),
        ("PUT", "/api/v1/features/bob/dnd", &bob, "{}", 200),
        ("PUT", "/api/v1/features/bob/sleep", admin, "{}", 400),
        ("PUT", "/api/v1/features/bob/forward-busy", &bob, "{}", 422),
        ("PUT", "/api/v1/features/nobody/dnd", admin, "{}", 422),
        ("POST", "/api/v1/subscriptions/nudge", &all, "{\"all\":true}", 403),
        ("POST", "/api/v1/subscriptions/nudge", admin, "{\"all\":true}", 200),
        ("POST", "/api/v1/subscriptions/nudge", admin, "{}", 400),
        ("POST", "/api/v1/subscriptions/drop", admin, "{\"resource\":\"7000\"}", 200),
        ("POST", "/api/v1/subscriptions/drop", admin, "{\"resource\":\"7000\",\"all\":true}", 400),
        ("POST", "/api/v1/reload", admin, "", 200),
    ];
    for (method, path, token, body, status) in rows {
        let answer = lab.send(method, path, token, body);
        assert_eq!(answer.status, *status, "{method} {path} {body}: {}", answer.body);
    }
    let sources = lab.get("/api/v1/sources", &bob).json();
    let set: Vec<_> = sources.as_array().unwrap().iter().map(|row| (&row["device"], &row["state"])).collect();
    assert_eq!(
        set,
        [
            (&json!("Custom:lamp"), &json!("INUSE")),
            (&json!("CustomPresence:bob"), &json!("away")),
            (&json!("SIP/bob"), &json!("BUSY"))
        ]
    );
    assert!(sources[0]["for_s"].as_u64().unwrap() > 590);
    assert_eq!(lab.get("/api/v1/features", &bob).json()[0]["feature"], "dnd");
    for (path, token, status) in [
        (custom, &bob, 403),
        (custom, &lamp, 200),
        (custom, &lamp, 404),
        ("/api/v1/features/bob/dnd", &bob, 200),
        ("/api/v1/sources/Custom:never", admin, 404),
    ] {
        assert_eq!(lab.http("DELETE", path, token, "", "").status, status, "{path}");
    }
}

/// A person of several names, a list and what is secret, beside the office.
const PEOPLE: &str = "http = \"127.0.0.1:0\"\n[people.robert]\ndisplay = \"Robert\"\npeers = [\"bob\"]\naliases = [\"rob\"]\ndevices = [\"SIP/bob\"]\n\
                      [lists.board]\nmembers = [\"7000\", \"alice\"]\n\
                      [peers.carol]\nsecret = \"hunter2-carol\"\n\
                      [webhooks.wall]\nurl = \"http://me:hunter2-user@127.0.0.1:9/x?token=hunter2-query\"\nsecret = \"hunter2-wall\"\n\
                      [gateways.far]\nproxy = \"127.0.0.1:9\"\nrealm = \"far.example\"\nusername = \"1000\"\n\
                      secret = \"hunter2-far\"\n";

#[test]
fn a_person_is_one_row_and_says_a_status_by_any_name() {
    let lab = Lab::start("http-people", &["udp:127.0.0.1:0"], PEOPLE);
    let admin = &lab.token(&["admin"]);
    let [rob, alice] =
        ["state:write:rob", "state:write:alice"].map(|scope| lab.token(&[scope, "board:read"]));
    let row = || {
        let people = lab.get("/api/v1/people", &rob).json();
        let people = people.as_array().unwrap();
        let names: Vec<_> = people.iter().map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["alice", "carol", "robert"], "bob is a name of robert's");
        people[2].clone()
    };
    assert_eq!((&row()["display"], &row()["peers"]), (&json!("Robert"), &json!(["bob"])));
    assert_eq!(row()["devices"], json!(["SIP/bob"]), "its peer's, named once more, is one");
    let mut events = lab.events("/api/v1/events?people=robert", &rob, None);
    assert_eq!(events.next().data["presentities"][0]["resource"], "sip:robert@example.com");

    // Nobody watches; the board follows all the same.
    let was = row()["state"].clone();
    assert_eq!(lab.send("PUT", "/api/v1/sources/SIP%2Fbob", admin, "{\"state\":\"INUSE\"}").status, 200);
    let told = events.of("extension").data;
    assert_eq!(
        (&told["extension"], &told["state"], &told["was"]),
        (&json!("sip:robert@example.com"), &json!("InUse"), &was)
    );
    assert_eq!(row()["state"], "InUse");

    let status = "/api/v1/people/rob/status";
    let body = "{\"status\":\"meeting\",\"note\":\"Plans\",\"for_s\":600}";
    for (method, path, token, body, expected) in [
        ("PUT", status, &alice, body, 403),
        ("PUT", status, &rob, "{\"status\":\"juggling\"}", 422),
        ("PUT", status, &rob, "{\"status\":\"away\",\"for_s\":0}", 400),
        ("PUT", "/api/v1/people/nobody/status", admin, body, 422),
        ("PUT", status, &rob, body, 200),
    ] {
        let answer = lab.send(method, path, token, body);
        assert_eq!(answer.status, expected, "{path} {body}: {}", answer.body);
    }
    let told = events.of("status").data;
    assert_eq!(
        (&told["person"], &told["status"], &told["note"]),
        (&json!("sip:robert@example.com"), &json!("meeting"), &json!("Plans"))
    );
    assert_eq!((&row()["presence"], &row()["note"]), (&json!("meeting"), &json!("Plans")));
    for name in ["robert", "bob", "rob@example.com"] {
        let person = lab.get(&format!("/api/v1/people/{name}"), &alice).json();
        assert_eq!(
            (&person["person"], &person["status"], &person["presence"]),
            (&json!("robert@example.com"), &json!("meeting"), &json!("meeting")),
            "{name}"
        );
        assert!((590..=600).contains(&person["left_s"].as_u64().unwrap()), "{person}");
    }
    assert_eq!(lab.get("/api/v1/statuses", &alice).json().as_array().unwrap().len(), 1);
    let why = lab.get("/api/v1/why/robert", admin).json();
    let kinds: Vec<_> =
        why[0]["presence"]["sources"].as_array().unwrap().iter().map(|row| &row["kind"]).collect();
    assert!(kinds.contains(&&json!("manual")), "{why}");
    for (path, token, expected, count) in [
        (status, &alice, 403, None),
        (status, &rob, 200, Some(1)),
        (status, &rob, 200, Some(0)),
        ("/api/v1/people/nobody/status", admin, 404, None),
    ] {
        let answer = lab.http("DELETE", path, token, "", "");
        assert_eq!((answer.status, answer.json()["count"].as_u64()), (expected, count), "{path}");
    }
    assert_eq!(events.of("status").data["status"], "none");
    assert_eq!(row()["presence"], "not_set");
    assert_eq!(lab.get("/api/v1/people/nobody", admin).status, 404);
}

#[test]
fn watchers_wait_until_they_are_approved_or_blocked() {
    let lab = Lab::start("http-pending", &["tcp:127.0.0.1:0"], HTTP);
    let admin = &lab.token(&["admin"]);
    let board = &lab.token(&["board:read", "state:write:*"]);
    lab.edit("[domains.\"example.com\"]\n", "[domains.\"example.com\"]\nwatch = \"confirm\"\n");
    assert_eq!(lab.send("POST", "/api/v1/reload", admin, "").status, 200);
    let stream = std::net::TcpStream::connect(lab.address("tcp")).unwrap();
    stream.set_read_timeout(Some(lab::PATIENCE)).unwrap();
    let mut phone = lab::Sip::new(stream, "TCP");
    let more = "Contact: <sip:alice@x7.invalid;transport=tcp>\r\nEvent: presence\r\nExpires: 600\r\n";
    phone.request("SUBSCRIBE", "sip:bob@example.com", more);
    assert!(phone.read().unwrap().starts_with("SIP/2.0 20"));
    assert!(phone.notified().contains("Subscription-State: pending"));

    let pending = lab.get("/api/v1/pending", admin).json();
    assert_eq!(
        (&pending[0]["user"], &pending[0]["watcher"], &pending[0]["status"]),
        (&json!("bob@example.com"), &json!("alice"), &json!("pending"))
    );
    let watchers = lab.get("/api/v1/people/bob/watchers", admin).json();
    assert_eq!(
        (&watchers["pending"][0]["watcher"], &watchers["watchers"][0]["package"]),
        (&json!("alice"), &json!("presence"))
    );
    assert_eq!(watchers["classes"][0]["handling"], "confirm", "{watchers}");

    let alice = "/api/v1/people/bob/watchers/alice";
    let ruling = |handling: &str| json!({ "handling": handling }).to_string();
    for (token, body, expected) in [
        (board, ruling("allow"), 403),
        (admin, ruling("perhaps"), 400),
        (admin, "{}".to_owned(), 400),
        (admin, ruling("allow"), 200),
    ] {
        assert_eq!(lab.send("PUT", alice, token, &body).status, expected, "{body}");
    }
    assert!(phone.notified().contains("Subscription-State: active"));
    assert_eq!(lab.get("/api/v1/pending", admin).json(), json!([]));
    let rules = lab.get("/api/v1/people/bob/rules", admin).json();
    let handlings: Vec<_> =
        rules[0]["rules"].as_array().unwrap().iter().map(|row| &row["handling"]).collect();
    assert!(handlings.contains(&&json!("allow")), "{rules}");
    assert_eq!(lab.send("PUT", alice, admin, &ruling("block")).status, 200);
    assert!(phone.notified().contains("Subscription-State: terminated;reason=rejected"));
    for (method, path, expected, count) in [
        ("DELETE", alice, 200, 1),
        ("DELETE", alice, 200, 0),
        ("PUT", alice, 200, 1),
        ("PUT", alice, 200, 0),
        ("DELETE", "/api/v1/people/bob/rules", 200, 1),
        ("DELETE", "/api/v1/people/bob/rules", 200, 0),
    ] {
        let answer = lab.send(method, path, admin, &ruling("polite-block"));
        assert_eq!((answer.status, &answer.json()["count"]), (expected, &json!(count)), "{method} {path}");
    }
    for path in ["/api/v1/people/nobody/watchers", "/api/v1/people/nobody/rules"] {
        assert_eq!(lab.get(path, admin).status, 404, "{path}");
    }
}

#[test]
fn lists_domains_limits_and_the_configuration_without_secrets() {
    let lab = Lab::start("http-lists", &["udp:127.0.0.1:0"], PEOPLE);
    let (admin, board) = (&lab.token(&["admin"]), &lab.token(&["board:read"]));
    for (path, words) in
        [("lists", &["lists"][..]), ("gateways", &["gateways"]), ("limits", &["show", "limits"])]
    {
        let mut words = words.to_vec();
        words.push("--json");
        let said: Value = serde_json::from_slice(&lab.ask(&words).stdout).unwrap();
        assert_eq!(lab.get(&format!("/api/v1/{path}"), admin).json(), said, "{path}");
        assert_eq!(lab.get(&format!("/api/v1/{path}"), board).status, 403, "{path}");
    }
    let list = lab.get("/api/v1/lists/board", admin).json();
    let members: Vec<_> = list["members"].as_array().unwrap().iter().map(|row| &row["resource"]).collect();
    assert_eq!(members, [&json!("7000@default"), &json!("sip:alice@example.com")]);
    assert_eq!(list["members"][1]["state"], "Unavailable", "nobody watches her");
    let domains = lab.get("/api/v1/domains", board).json();
    assert_eq!(
        (&domains[0]["name"], &domains[0]["people"], &domains[0]["everybody"]),
        (&json!("example.com"), &json!(3), &json!("sip:example.com"))
    );
    assert_eq!(lab.get("/api/v1/domains/example.com", board).json().as_array().unwrap().len(), 3);
    for path in ["lists/none", "domains/none", "events?lists=none", "events?domains=none"] {
        assert_eq!(lab.get(&format!("/api/v1/{path}"), admin).status, 404, "{path}");
    }
    let names = |query: &str| {
        let snapshot = lab.events(&format!("/api/v1/events?{query}"), board, None).next();
        let rows = snapshot.data["presentities"].as_array().unwrap().clone();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("lists=board"), ["7000", "alice"]);
    assert_eq!(names("domains=example.com"), ["alice", "carol", "robert"]);
    assert_eq!(names("lists=board&people=robert"), ["7000", "alice", "robert"]);

    let config = lab.get("/api/v1/config", admin);
    assert!(!config.body.contains("hunter2"), "{}", config.body);
    let config = config.json();
    for (pointer, value) in [
        ("/peers/carol/secret", json!("***")),
        ("/peers/alice/authentication", json!("open")),
        ("/people/robert/peers", json!(["bob"])),
        ("/server/webhooks/wall/secret", json!("***")),
        ("/server/webhooks/wall/url", json!("http://127.0.0.1:9/x?***")),
        ("/gateways/far/password", json!("***")),
        ("/hints/0/extension", json!("7000")),
        ("/subscription_expires_s/default", json!(3600)),
    ] {
        assert_eq!(config.pointer(pointer), Some(&value), "{pointer}: {config:#}");
    }
    assert_eq!(lab.get("/api/v1/config", board).status, 403);
}

#[test]
fn metrics_are_open_to_this_machine_and_count_what_happened() {
    let lab = lab("metrics");
    let (metrics, board) = (lab.token(&["metrics:read"]), lab.token(&["board:read"]));
    let phone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.set_read_timeout(Some(lab::PATIENCE)).unwrap();
    let options = lab::request("OPTIONS", "sip:example.com", "UDP", 1, "");
    phone.send_to(options.as_bytes(), lab.address("udp")).unwrap();
    let mut answer = [0; 2048];
    let (len, _) = phone.recv_from(&mut answer).unwrap();
    assert!(answer[..len].starts_with(b"SIP/2.0 200 "));
    let routes = "Record-Route: <sip:x.invalid;lr>\r\n".repeat(100);
    let routes = format!("Contact: <sip:alice@127.0.0.1>\r\nEvent: presence\r\n{routes}");
    let over = lab::request("SUBSCRIBE", "sip:bob@example.com", "UDP", 2, &routes);
    phone.send_to(over.as_bytes(), lab.address("udp")).unwrap();
    let (len, _) = phone.recv_from(&mut answer).unwrap();
    assert!(answer[..len].starts_with(b"SIP/2.0 400 "), "{}", String::from_utf8_lossy(&answer[..len]));
    lab.lamp("INUSE");
    for (token, more, status) in [
        ("", "", 200),
        ("", "X-Forwarded-For: 192.0.2.1\r\n", 401),
        (&metrics, "X-Forwarded-For: 192.0.2.1\r\n", 200),
        (&board, "", 403),
    ] {
        assert_eq!(lab.http("GET", "/metrics", token, more, "").status, status, "{token} {more}");
    }
    let page = lab.get("/metrics", "").body;
    for line in [
        "lampyris_requests_received_total{method=\"OPTIONS\",transport=\"udp\"} 1",
        "lampyris_responses_sent_total{class=\"2xx\",transport=\"udp\"} 1",
        "lampyris_limits_hit_total{limit=\"routes\"} 1",
        "lampyris_limits_hit_total{limit=\"message_bytes\"} 0",
        "lampyris_lamps_stale 0",
        "lampyris_bugs_total 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    let value = |name: &str| {
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name}\n{page}")).parse::<f64>().unwrap()
    };
    assert!(
        value("lampyris_store_commit_seconds_count") >= 1.0
            && value("lampyris_store_commit_seconds_sum") > 0.0
    );
    assert!(value("lampyris_inbox_waiting") < 10.0 && value("process_threads") >= 2.0);
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn who_asks_too_often_is_told_when_to_ask_again_and_is_counted() {
    let lab = lab("rate");
    let asked = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(8000);
    let last = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answers = lab.pipelined(&[asked.as_str(), last].concat());
    let (_, refused) = answers.split_once("HTTP/1.1 429 Too Many Requests\r\n").unwrap();
    let (head, _) = refused.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\nretry-after: 1\r\n"), "{head}");
    let limits: Value = serde_json::from_slice(&lab.ask(&["show", "limits", "--json"]).stdout).unwrap();
    let rate = limits.as_array().unwrap().iter().find(|row| row["name"] == "http_requests_per_s").unwrap();
    assert_eq!((&rate["answer"], rate["hits"].as_u64() > Some(0)), (&json!(429), true), "{rate}");
}

/// Who never finishes a head, or a body shorter than was announced, costs nothing for long.
#[test]
fn slow_heads_and_bodies_are_closed() {
    let lab = lab("slow");
    let body = b"POST /api/v1/link HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    std::thread::scope(|scope| {
        for bytes in [&b"GET / HTTP/1.1\r\nHost: local"[..], body] {
            scope.spawn(|| {
                let begun = std::time::Instant::now();
                let answer = lab.raw(bytes);
                let took = begun.elapsed();
                assert!([0, 408].contains(&answer.status), "{}", answer.head);
                assert!((8..18).contains(&took.as_secs()), "{took:?}");
            });
        }
    });
}

/// What is refused, for each reason that there is, leaves no memory behind: a leak would grow in every round.
#[test]
fn refused_requests_leave_nothing() {
    const ROUND_KIB_MAX: u64 = 512;
    let lab = lab("refused");
    let token = &lab.token(&["admin"]);
    let long = "x".repeat(70_000);
    let round = || {
        for _ in 0..300 {
            for answer in [
                lab.send("PUT", "/api/v1/sources/SIP%2Fbob", token, "{\"state\": ["),
                lab.send("POST", "/api/v1/link", "", &long),
                lab.get("/api/v1/subscriptions?nonsense=1", token),
            ] {
                // 400 or 413, and 429 when it was too often.
                assert!((400..500).contains(&answer.status), "{}", answer.body);
            }
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", lab.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let mut kib = round();
    let grew = |_| {
        let before = std::mem::replace(&mut kib, round());
        kib > before + ROUND_KIB_MAX
    };
    assert!(!(1..=4).all(grew), "every round leaves something behind");
}

/// HTTP/2 has floods of its own (resets, CONTINUATION, empty frames): it is not spoken.
#[test]
fn http_2_is_not_spoken() {
    let lab = lab("two");
    let mut begun = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    begun.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let answer = lab.raw(&begun);
    assert!([0, 400, 505].contains(&answer.status), "{}", answer.head);
    let upgrade = "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let answer = lab.http("GET", "/api/v1/extensions", "", upgrade, "");
    assert_eq!(answer.status, 401, "{}", answer.head);
}
