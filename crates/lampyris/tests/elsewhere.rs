//! `watch`, `publish` and `probe` against a running server: over every transport, with and without a password.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod lab;

use lab::{Lab, PATIENCE};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Instant;

const CAROL: &str = "[peers.carol]\nsecret = \"carols-secret\"\n";

fn lab(name: &str) -> Lab {
    Lab::start(
        &format!("elsewhere-{name}"),
        &["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "tls:127.0.0.1:0"],
        CAROL,
    )
}

/// A verb at a lab, over this transport.
fn verb(lab: &Lab, transport: &str, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lampyris"));
    command.args(words).arg("--server").arg(format!("{transport}:{}", lab.address(transport)));
    command.arg("--ca").arg(lab.directory.join("ca.pem")).env_remove("LAMPYRIS_PASSWORD");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal")
}

/// A verb that goes on until it is told to end.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn next(&mut self) -> Value {
        let line = self.lines.next().expect("a line").unwrap();
        serde_json::from_str(&line).expect("JSON")
    }

    /// As by Ctrl-C; what it prints last, and its exit code.
    fn interrupt(mut self) -> (Value, i32) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        let last = self.next();
        (last, self.child.wait().unwrap().code().expect("no signal of its own"))
    }
}

#[test]
fn a_lamp_is_watched_over_every_transport() {
    let lab = lab("transports");
    lab.lamp("INUSE");
    for transport in ["udp", "tcp", "tls"] {
        let words =
            ["watch", "sip:7000@example.com", "--from", "alice@example.com", "--once", "--event", "dialog"];
        let output = verb(&lab, transport, &words).output().unwrap();
        assert_eq!(code(&output), 0, "{transport}: {}", text(&output.stderr));
        assert!(
            text(&output.stdout).ends_with("7000@example.com  on the phone\n"),
            "{}",
            text(&output.stdout)
        );
    }
    // Whoever does not vouch for the server is not believed.
    let mut command = Command::new(env!("CARGO_BIN_EXE_lampyris"));
    let server = format!("tls:{}", lab.address("tls"));
    let output = command.args(["watch", "7000@example.com", "--once", "--server", &server]).output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(text(&output.stderr).contains("certificate"), "{}", text(&output.stderr));
}

#[test]
fn changes_are_told_until_it_is_interrupted() {
    let lab = lab("changes");
    let words = ["watch", "7000@example.com", "--from", "sip:alice@example.com", "--json"];
    let mut watch = Running::start(verb(&lab, "udp", &words));
    let first = watch.next();
    assert_eq!(
        (&first["kind"], &first["event"], &first["expires_s"]),
        (&"subscribed".into(), &"presence".into(), &3600.into())
    );
    for (device, state) in
        [(None, "unavailable"), (Some("INUSE"), "on the phone"), (Some("NOT_INUSE"), "available")]
    {
        if let Some(device) = device {
            lab.lamp(device);
        }
        let told = watch.next();
        let found = told["state"].as_str().unwrap();
        assert!(found.contains(state) || device.is_none(), "{told}");
        assert_eq!(told["resource"], "sip:7000@example.com", "{told}");
    }
    assert!(text(&lab.ask(&["show", "subscriptions"]).stdout).contains("7000"));
    let (last, exit) = watch.interrupt();
    assert_eq!((last["kind"].as_str(), exit), (Some("unsubscribed"), 0));
    assert!(text(&lab.ask(&["show", "subscriptions"]).stdout).contains("no subscriptions"));
}

#[test]
fn a_password_is_asked_for_and_given() {
    let lab = lab("password");
    let words = ["watch", "7000@example.com", "--from", "carol@example.com", "--once"];
    let output = verb(&lab, "tcp", &words).output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(text(&output.stderr).contains("give --user"), "{}", text(&output.stderr));
    for (password, expected) in [("wrong", 1), ("carols-secret", 0)] {
        let mut command = verb(&lab, "tcp", &words);
        let output = command.args(["--user", "carol"]).env("LAMPYRIS_PASSWORD", password).output().unwrap();
        assert_eq!(code(&output), expected, "{}", text(&output.stderr));
        assert!(!text(&output.stderr).contains(password), "a password was printed");
    }
    let file = lab.directory.join("secret");
    std::fs::write(&file, "carols-secret\n").unwrap();
    let mut command = verb(&lab, "udp", &words);
    let output = command.args(["--user", "carol", "--password-file"]).arg(&file).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
}

#[test]
fn a_state_is_published_kept_and_taken_back() {
    let lab = lab("publish");
    let seen = |wanted: &str| {
        let began = Instant::now();
        loop {
            let output =
                verb(&lab, "udp", &["watch", "alice@example.com", "--from", "bob@example.com", "--once"])
                    .output()
                    .unwrap();
            if text(&output.stdout).contains(wanted) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{wanted}: {}{}", text(&output.stdout), text(&output.stderr));
        }
    };
    let words =
        ["publish", "alice@example.com", "away", "--note", "Lunch", "--from", "alice@example.com", "--json"];
    let mut publish = Running::start(verb(&lab, "tls", &words));
    let first = publish.next();
    assert!(
        first["kind"] == "published" && first["etag"].as_str().is_some_and(|etag| !etag.is_empty()),
        "{first}"
    );
    seen("away  \"Lunch\"");
    let (last, exit) = publish.interrupt();
    assert_eq!((last["kind"].as_str(), exit), (Some("removed"), 0));
    let held = || text(&lab.ask(&["show", "publications"]).stdout);
    assert!(held().contains("no publications"), "{}", held());

    let words = [
        "publish",
        "alice@example.com",
        "available",
        "--activity",
        "meeting",
        "--once",
        "--from",
        "alice@example.com",
        "--json",
    ];
    let output = verb(&lab, "udp", &words).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let told: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    seen("meeting");
    let etag = told["etag"].as_str().unwrap();
    let words = ["publish", "alice@example.com", "--remove", "--etag", etag, "--from", "alice@example.com"];
    let output = verb(&lab, "udp", &words).output().unwrap();
    assert_eq!(
        (code(&output), text(&output.stdout).as_str()),
        (0, "taken back\n"),
        "{}",
        text(&output.stderr)
    );
    assert!(held().contains("no publications"), "{}", held());
    let output = verb(&lab, "udp", &words).output().unwrap();
    assert_eq!(code(&output), 1, "twice");
}

#[test]
fn a_server_is_looked_at() {
    let lab = lab("probe");
    let words = ["probe", "7000@example.com", "--from", "alice@example.com", "--json"];
    let output = verb(&lab, "tls", &words).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let report: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    let tls = &report["addresses"][0]["tls"];
    assert_eq!(tls["version"], "TLSv1_3", "{report}");
    let names = tls["certificate"]["names"].as_array().unwrap();
    assert!(names.contains(&"localhost".into()) && names.contains(&"127.0.0.1".into()), "{report}");
    assert!(tls["certificate"]["left_s"].as_i64().is_some_and(|left| left > 0), "{report}");
    assert_eq!(report["options"]["status"], 200, "{report}");
    let packages = report["packages"].as_array().unwrap();
    assert!(packages.contains(&"presence".into()) && packages.contains(&"dialog".into()), "{report}");
    let tried = report["subscriptions"].as_array().unwrap();
    assert_eq!(tried.len(), 3, "{report}");
    assert!(
        tried[0]["status"] == 200
            && tried[0]["notify_ms"].is_number()
            && !tried[0]["said"][0]["state"].is_null(),
        "{report}"
    );
    assert!(
        text(&lab.ask(&["show", "subscriptions"]).stdout).contains("no subscriptions"),
        "it leaves nothing"
    );

    let words = ["probe", "nobody@example.com", "--from", "alice@example.com", "--event", "presence"];
    let output = verb(&lab, "udp", &words).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("404") && said.contains("nobody of this name is there"), "{said}");
}

#[test]
fn nobody_there_is_said_at_once() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for transport in ["udp", "tcp", "tls"] {
        let began = Instant::now();
        let server = format!("{transport}:{closed}");
        let output = Command::new(env!("CARGO_BIN_EXE_lampyris"))
            .args(["probe", "7000@example.com", "--server", &server])
            .output()
            .unwrap();
        assert_eq!(code(&output), 1, "{}", text(&output.stdout));
        assert!(text(&output.stdout).to_lowercase().contains("refused"), "{}", text(&output.stdout));
        assert!(began.elapsed() < PATIENCE, "{transport}");
    }
    let wrong =
        Command::new(env!("CARGO_BIN_EXE_lampyris")).args(["watch", "a b@example.com"]).output().unwrap();
    assert_eq!(code(&wrong), 2, "{}", text(&wrong.stderr));
}
