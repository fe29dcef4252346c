//! The binary's command line from outside: what it prints where, and the exit codes.
//!
//! Servers are started on ports and in directories of their own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const SIP_CONF: &str = "\
[general]
callcounter=yes

[Alice]
type=friend
subscribecontext=default
allowsubscribe=yes

[Bob-mobile]
type=friend
busylevel=1

[Bob-desk]
type=friend
busylevel=1
";
const EXTENSIONS_CONF: &str = "[default]\nexten = 6001,hint,SIP/Bob-mobile&SIP/Bob-desk\n";
const SECRETS: &str = "\
[peers.Alice]
secret = \"a\"
[peers.Bob-mobile]
secret = \"b\"
[peers.Bob-desk]
secret = \"c\"
";

/// An empty directory of this test's own.
fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a directory");
    path
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
}

fn lampyris(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lampyris"))
        .args(args)
        .env_remove("LAMPYRIS_DATA")
        .output()
        .expect("the binary runs")
}

/// Exit code, standard output, standard error.
fn ran(args: &[&str]) -> (i32, String, String) {
    let output = lampyris(args);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn check_takes_the_founding_files_and_the_secrets_beside_them() {
    let here = directory("good");
    write(&here.join("sip.conf"), SIP_CONF);
    write(&here.join("extensions.conf"), EXTENSIONS_CONF);
    let secrets = here.join("secrets.toml");
    write(&secrets, SECRETS);
    let (code, out, errors) = ran(&["check", path(&here), "--beside", path(&secrets)]);
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    assert!(out.contains("is good: 1 domain, 3 peers, 1 hint, "), "{out}");
    let (code, out, _) = ran(&["check", path(&here), "--beside", path(&secrets), "--json"]);
    assert_eq!(code, 0);
    let value: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&value["peers"], &value["hints"]), (&3.into(), &1.into()), "{out}");
}

#[test]
fn check_prints_every_error_with_its_place_and_the_fix() {
    let here = directory("bad");
    write(&here.join("sip.conf"), &SIP_CONF.replace("subscribecontext", "subscribecontxt"));
    write(&here.join("extensions.conf"), EXTENSIONS_CONF);
    let (code, out, errors) = ran(&["check", path(&here)]);
    assert_eq!((code, out.as_str()), (4, ""), "{errors}");
    for expected in
        ["sip.conf:6:1", "^^^^", "`subscribecontext`", "`Alice`", "`Bob-mobile`", "`Bob-desk`", "4 errors"]
    {
        assert!(errors.contains(expected), "{expected} is missing:\n{errors}");
    }
    let (code, out, errors) = ran(&["check", path(&here), "--json"]);
    assert_eq!((code, errors.as_str()), (4, ""), "{out}");
    let value: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(value["error"]["code"], "configuration");
    let diagnostics = value["error"]["diagnostics"].as_array().expect("diagnostics");
    assert_eq!(diagnostics.len(), 4, "{out}");
    assert!(diagnostics.iter().any(|found| found["line"] == 6 && found["column"] == 1), "{out}");
}

#[test]
fn check_of_nothing_is_an_error_of_the_configuration() {
    let here = directory("nothing");
    let (code, _, errors) = ran(&["check", path(&here.join("absent.toml"))]);
    assert_eq!(code, 4, "{errors}");
    assert!(errors.contains("absent.toml"), "{errors}");
}

#[test]
fn verbs_without_a_server_say_so() {
    let here = directory("no-server");
    for args in
        [&["show", "hints"][..], &["status"], &["core", "show", "hints"], &["-rx", "sip show subscriptions"]]
    {
        let line: Vec<&str> = ["--data", path(&here)].iter().chain(args).copied().collect();
        let (code, out, errors) = ran(&line);
        assert_eq!((code, out.as_str()), (3, ""), "{args:?}: {errors}");
        assert!(errors.contains("no lampyris server is running on "), "{errors}");
        assert!(errors.contains(path(&here)), "{errors}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_lampyris"))
        .args(["stop", "--json"])
        .env("LAMPYRIS_DATA", &here)
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(3));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(value["error"]["code"], "no_server");
    assert!(value["error"]["message"].as_str().is_some_and(|text| text.contains(path(&here))), "{value}");
}

#[test]
fn a_wrong_command_line_is_usage() {
    for args in [&["shwo"][..], &["check"], &["drop"], &["core", "show", "applications"], &["-rx"]] {
        let (code, out, errors) = ran(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {errors}");
        assert!(!errors.is_empty());
    }
}

/// A server of this test's own; killed if the test fails.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_running_server_is_found_asked_reloaded_and_stopped() {
    let here = directory("run");
    let config = here.join("asterisk");
    std::fs::create_dir(&config).expect("a directory");
    write(&config.join("sip.conf"), SIP_CONF);
    write(&config.join("extensions.conf"), EXTENSIONS_CONF);
    let secrets = here.join("secrets.toml");
    write(&secrets, SECRETS);
    let data = here.join("data");
    let mut server = Server(
        Command::new(env!("CARGO_BIN_EXE_lampyris"))
            .args(["run", path(&config), "--beside", path(&secrets), "--data", path(&data)])
            .args(["--listen", "udp:127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs"),
    );
    let stdout = server.0.stdout.take().expect("piped");
    let mut printed = BufReader::new(stdout).lines().map(|line| line.expect("a line"));
    let listening = printed.next().expect("a first line");
    assert!(listening.starts_with("listening udp:127.0.0.1:") && !listening.ends_with(":0"), "{listening}");
    // Lines about HTTP come between where its port was free.
    let told = printed.find(|line| line.starts_with("data "));
    assert_eq!(told, Some(format!("data {}", path(&data))));

    let asked = |args: &[&str]| {
        let line: Vec<&str> = ["--data", path(&data)].iter().chain(args).copied().collect();
        ran(&line)
    };
    let hint = "                   6001@default             : SIP/Bob-mobile&SIP/B  State:Unavailable     Watchers  0\n";
    let (code, out, errors) = asked(&["-rx", "core show hints"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    assert!(out.contains(hint), "{out}");
    let (code, out, _) = asked(&["status", "--json"]);
    assert_eq!(code, 0, "{out}");
    let status: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(status["server"]["pid"], server.0.id());
    let (code, out, errors) = asked(&["devstate", "set", "Custom:night", "inuse"]);
    assert_eq!((code, out.as_str()), (0, "Custom:night is INUSE\n"), "{errors}");
    let (code, out, _) = asked(&["devstate", "list"]);
    assert!(code == 0 && out.contains("Custom:night  INUSE"), "{out}");

    assert_eq!(asked(&["sip", "reload"]), (0, " Reloading SIP\n".to_owned(), String::new()));
    write(&config.join("sip.conf"), &SIP_CONF.replace("subscribecontext", "subscribecontxt"));
    let (code, _, errors) = asked(&["reload"]);
    assert!(code == 4 && errors.contains("sip.conf:6:1"), "{code} {errors}");
    let (_, out, errors) = asked(&["reload", "--json"]);
    let refused: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{errors}"));
    let found = &refused["error"]["diagnostics"][0];
    assert_eq!((&found["line"], &found["column"]), (&6.into(), &1.into()), "{refused}");
    assert!(found["file"].as_str().is_some_and(|file| file.ends_with("sip.conf")), "{refused}");
    assert!(found["cause"].is_string() && found["fix"].is_string(), "{refused}");
    assert!(asked(&["core", "show", "hints"]).1.contains(hint), "a bad file changed something");

    assert_eq!(asked(&["stop"]), (0, "stopped\n".to_owned(), String::new()));
    assert!(server.0.wait().expect("it ends").success());
    assert_eq!(asked(&["status"]).0, 3);
}
