//! Calls of the user agent through the running binary: what lamps show meanwhile, by NOTIFY and by `show hints`.
//!
//! Nothing here sleeps for a state to come: a NOTIFY, or an answer of `show hints`, is waited for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is a test")]

use lampyris::ua::{Account, Call, CallState, Heard, Phone};
use lampyris_core::flow::Transport;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);
const SECRETS: &str = "[peers.Alice]\nsecret = \"Alice\"\n[peers.Bob-mobile]\nsecret = \"Bob-mobile\"\n\
                       [peers.Bob-desk]\nsecret = \"Bob-desk\"\n";

/// The running binary on a port of the system's choosing.
struct Server {
    child: Child,
    data: PathBuf,
    address: SocketAddr,
}

impl Server {
    /// With the founding files; `change` is made to `sip.conf`.
    fn start(name: &str, change: (&str, &str)) -> Self {
        let here = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("calls-{name}"));
        let _ = std::fs::remove_dir_all(&here);
        let (office, data) = (here.join("office"), here.join("data"));
        std::fs::create_dir_all(&office).unwrap();
        std::fs::create_dir_all(&data).unwrap();
        let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/asterisk-seed");
        let sip_conf = std::fs::read_to_string(seed.join("sip.conf")).unwrap();
        std::fs::write(office.join("sip.conf"), sip_conf.replace(change.0, change.1)).unwrap();
        std::fs::copy(seed.join("extensions.conf"), office.join("extensions.conf")).unwrap();
        let secrets = here.join("secrets.toml");
        std::fs::write(&secrets, SECRETS).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_lampyris"))
            .arg("run")
            .args([&office, Path::new("--beside"), &secrets, Path::new("--data"), &data])
            .args(["--listen", "udp:127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address = lines.find_map(|line| line.strip_prefix("listening udp:")?.parse().ok());
        Self { child, data, address: address.expect("it listens") }
    }

    /// What `show hints` says of 6001.
    fn hint(&self) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_lampyris"))
            .arg("--data")
            .arg(&self.data)
            .args(["show", "hints", "--json"])
            .output()
            .unwrap();
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let found = find(&value, "6001").unwrap_or_else(|| panic!("no hint 6001 in {value}"));
        found["state"].as_str().unwrap().to_owned()
    }

    async fn shows(&self, state: &str) {
        let until = Instant::now() + PATIENCE;
        while self.hint() != state {
            assert!(Instant::now() < until, "6001 shows {} and not {state}", self.hint());
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn phone(&self, name: &str) -> (Phone, UnboundedReceiver<Heard>) {
        let account = Account {
            user: name.to_owned(),
            login: None,
            domain: self.address.to_string(),
            password: Some(name.to_owned()),
            display: String::new(),
        };
        let (phone, heard) = Phone::start(account, Transport::Udp, self.address).await.unwrap();
        phone.register(600).await.unwrap();
        (phone, heard)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The object that names this extension, at whatever depth.
fn find<'v>(value: &'v serde_json::Value, extension: &str) -> Option<&'v serde_json::Value> {
    if value.get("extension").and_then(serde_json::Value::as_str) == Some(extension) {
        return Some(value);
    }
    let inner: Vec<_> = match value {
        serde_json::Value::Array(all) => all.iter().collect(),
        serde_json::Value::Object(all) => all.values().collect(),
        _ => Vec::new(),
    };
    inner.into_iter().find_map(|inner| find(inner, extension))
}

/// The next call that rings.
async fn rings(heard: &mut UnboundedReceiver<Heard>) -> Call {
    let next = async {
        loop {
            if let Heard::Called(call) = heard.recv().await.expect("the phone runs") {
                return call;
            }
        }
    };
    timeout(PATIENCE, next).await.expect("a call comes in")
}

async fn reached(call: &Call, state: CallState) {
    let now = timeout(PATIENCE, call.reached(state)).await;
    let now = now.unwrap_or_else(|_| panic!("it is {:?} and not {state:?}", call.state()));
    let is_there =
        now == state || (matches!(state, CallState::Ended(_)) && matches!(now, CallState::Ended(_)));
    assert!(is_there, "{now:?}, not {state:?}");
}

/// One call to Bob's desk; what `show hints` says when it is up, and when Bob holds it.
async fn one_call(name: &str, change: (&str, &str), up: &str, held: &str) {
    let server = Server::start(name, change);
    server.shows("Unavailable").await;
    let (alice, _alice_heard) = server.phone("Alice").await;
    let (_bob, mut bob_heard) = server.phone("Bob-desk").await;
    server.shows("Idle").await;
    let call = alice.call("6001");
    reached(&call, CallState::Ringing).await;
    let at_bob = rings(&mut bob_heard).await;
    assert_eq!(at_bob.other_side(), "Alice");
    server.shows("Ringing").await;
    at_bob.answer().await;
    reached(&call, CallState::Up).await;
    server.shows(up).await;
    at_bob.hold().await.unwrap();
    server.shows(held).await;
    at_bob.resume().await.unwrap();
    server.shows(up).await;
    call.hang_up().await;
    reached(&at_bob, CallState::Ended(None)).await;
    server.shows("Idle").await;
}

#[tokio::test]
async fn the_founding_files_show_busy_for_one_call() {
    one_call("busy", ("", ""), "Busy", "Busy").await;
}

#[tokio::test]
async fn without_busylevel_one_call_is_in_use() {
    one_call("in-use", ("busylevel=1", ""), "InUse", "InUse").await;
}

#[tokio::test]
async fn with_notifyhold_a_held_call_is_on_hold() {
    one_call("hold", ("callcounter=yes", "callcounter=yes\nnotifyhold=yes"), "Busy", "Hold").await;
}

/// The states a watcher is told, one NOTIFY each.
#[tokio::test]
async fn a_watcher_is_told_each_state_of_a_call_once_and_in_order() {
    let server = Server::start("watched", ("callcounter=yes", "callcounter=yes\nnotifyhold=yes"));
    let (alice, mut told) = server.phone("Alice").await;
    let (_bob, mut bob_heard) = server.phone("Bob-desk").await;
    let subscription = alice.subscribe("6001", "presence", "application/pidf+xml", 600).await.unwrap();
    let mut next = async |word: &str| {
        let notified = timeout(PATIENCE, told.recv()).await.unwrap_or_else(|_| panic!("{word} is not told"));
        let Some(Heard::Notified(notified)) = notified else { panic!("{word} is not told") };
        assert_eq!(notified.call_id, subscription.call_id());
        assert!(notified.body.contains(word), "{word} expected, told was\n{}", notified.body);
    };
    next("Ready").await;
    let call = alice.call("6001");
    let at_bob = rings(&mut bob_heard).await;
    next("Ringing").await;
    at_bob.answer().await;
    next("On the phone").await;
    reached(&call, CallState::Up).await;
    call.hold().await.unwrap();
    at_bob.hold().await.unwrap();
    next("On hold").await;
    at_bob.resume().await.unwrap();
    next("On the phone").await;
    at_bob.hang_up().await;
    next("Ready").await;
    reached(&call, CallState::Ended(None)).await;
    // Called off before it is answered, and refused.
    let call = alice.call("6001");
    let at_bob = rings(&mut bob_heard).await;
    next("Ringing").await;
    call.hang_up().await;
    assert_eq!(call.state(), CallState::Ended(Some(487)));
    reached(&at_bob, CallState::Ended(None)).await;
    next("Ready").await;
    let call = alice.call("6001");
    let at_bob = rings(&mut bob_heard).await;
    next("Ringing").await;
    at_bob.refuse(486).await;
    reached(&call, CallState::Ended(None)).await;
    assert_eq!(call.state(), CallState::Ended(Some(486)));
    next("Ready").await;
}

#[tokio::test]
async fn alice_picks_up_what_rings_at_bobs() {
    let server = Server::start("pickup", ("", ""));
    let (alice, _alice_heard) = server.phone("Alice").await;
    let (mobile, mut mobile_heard) = server.phone("Bob-mobile").await;
    let (desk, mut desk_heard) = server.phone("Bob-desk").await;
    let call = mobile.call("6001");
    let at_desk = rings(&mut desk_heard).await;
    let picked = alice.call("**6001");
    // Bob-mobile gets an INVITE that replaces the one it has sent, takes it and calls its own off.
    let instead = rings(&mut mobile_heard).await;
    reached(&picked, CallState::Up).await;
    assert_eq!((instead.state(), instead.other_side().as_str()), (CallState::Up, "Alice"));
    reached(&call, CallState::Ended(None)).await;
    reached(&at_desk, CallState::Ended(None)).await;
    assert!(desk.calls().is_empty());
    server.shows("Busy").await;
    picked.hang_up().await;
    reached(&instead, CallState::Ended(None)).await;
    server.shows("Idle").await;
}

/// The demo's office, until everything was seen; then Ctrl-C.
#[test]
fn the_demos_lamps_are_all_idle_when_everybody_has_hung_up() {
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("calls-demo");
    let _ = std::fs::remove_dir_all(&data);
    let mut child = Command::new(env!("CARGO_BIN_EXE_lampyris"))
        .arg("--data")
        .arg(&data)
        .args(["demo", "--seconds", "60"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut wanted =
        vec!["ringing  6001", "in use   6001", "on hold  6003", "**6005", "in use   6006", "Lunch"];
    let mut printed = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    for line in lines.by_ref() {
        wanted.retain(|word| !line.contains(word));
        printed += &format!("{line}\n");
        if wanted.is_empty() {
            break;
        }
    }
    assert!(wanted.is_empty(), "{wanted:?} never came:\n{printed}");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    printed.extend(lines.map(|line| line + "\n"));
    assert!(child.wait().unwrap().success(), "{printed}");
    assert!(printed.ends_with("every phone has hung up, every lamp is idle\nstopped\n"), "{printed}");
    assert!(!printed.contains("cannot"), "{printed}");
}
