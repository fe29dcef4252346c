//! `lampyris bugreport` of a running server that has secrets wherever there can be one: none is in the archive.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is a test")]

mod lab;

use lab::Lab;
use std::process::{Command, Stdio};

/// Every secret of the configuration and of people's words has this in it.
const SECRET: &str = "s3cret";

/// What the server runs with: no key of it is wrong.
const OPTIONS: &str = "http = \"127.0.0.1:0\"
# The old password was s3cret-comment.
[peers.carol]
secret = \"s3cret-carol\"
[peers.dave]
secret_file = \"dave.secret\"
[peers.erin]
ha1 = [\"MD5:5e3c2e70000000000000000000000000\"]
[webhooks.wall]
url = \"http://me:s3cret-user@127.0.0.1:9/s3cret-path?token=s3cret-query\"
secret = \"s3cret-webhook\"
[gateways.far]
realm = \"far.example\"
username = \"us\"
secret = \"s3cret-gateway\"
proxy = \"127.0.0.1:9\"
register = true
";

/// What somebody wrote beside it, and got wrong.
const BESIDE: &str = "include = [\"included.toml\"]
[peers.carol]
secert = \"s3cret-misspelt\"
[tokens]
wall = \"s3cret-wall\"
";

#[test]
fn no_secret_of_a_running_server_is_in_its_bundle() {
    let lab = Lab::start("bugreport", &["udp:127.0.0.1:0"], OPTIONS.split_once("# The").unwrap().0);
    // Why by hand: the secret's file has to be there before it is read.
    std::fs::write(lab.directory.join("dave.secret"), "s3cret-file\n").unwrap();
    let (_, more) = OPTIONS.split_once('\n').unwrap();
    lab.edit("[tls]", &format!("{more}[tls]"));
    std::fs::write(lab.directory.join("beside.toml"), BESIDE).unwrap();
    std::fs::write(lab.directory.join("included.toml"), "[peers.frank]\nsecret = \"s3cret-included\"\n")
        .unwrap();
    assert!(lab.ask(&["reload"]).status.success());
    let said = |output: std::process::Output| {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let mut secrets = vec![SECRET.to_owned(), "5e3c2e70000000000000000000000000".to_owned()];
    for scope in ["admin", "board:read"] {
        secrets.push(said(lab.ask(&["token", "create", scope, "--scope", scope])));
    }
    let link = said(lab.ask(&["token", "link"]));
    secrets.push(link.rsplit(['=', '/', '#']).next().unwrap().to_owned());
    assert!(secrets.iter().all(|secret| secret.len() >= SECRET.len()), "{secrets:?}");

    let out = lab.directory.join("report.tar");
    let mut report = Command::new(env!("CARGO_BIN_EXE_lampyris"))
        .arg("--data")
        .arg(lab.directory.join("data"))
        .args(["bugreport", "--config"])
        .arg(lab.directory.join("lampyris.toml"))
        .arg("--beside")
        .arg(lab.directory.join("beside.toml"))
        .arg("--out")
        .arg(&out)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut round = 0;
    let code = loop {
        if let Some(code) = report.try_wait().unwrap() {
            break code;
        }
        // What happens meanwhile is told, so that the events' part is not empty.
        round += 1;
        said(lab.ask(&["presence", "set", "alice", "away", "--note", &format!("s3cret-note-{round}")]));
    };
    assert!(code.success());
    let archive = String::from_utf8_lossy(&std::fs::read(&out).unwrap()).into_owned();
    for secret in &secrets {
        let at = archive.find(secret.as_str());
        let around = at.map(|at| archive[at.saturating_sub(200)..].chars().take(400).collect::<String>());
        assert_eq!(around, None, "{secret} is in the bundle");
    }
    for kept in [
        "secert",
        "wall",
        "carol",
        "config/included.toml",
        "frank",
        "far.example",
        "http://127.0.0.1:9/***",
        "\"note\": \"***\"",
        "wrong at",
    ] {
        assert!(archive.contains(kept), "{kept} is not in the bundle:\n{archive}");
    }
}
