//! The scenarios of `crates/sim/scenarios` over real sockets, against the real binary on ports the system chooses.
//!
//! Time is real here: a scenario ends where it would wait for more than three seconds (or needs a store that fails), and
//! what is left of it is printed as SKIPPED; all of it is played on virtual time by `lampyris-sim`.
//! `LAMPYRIS_SCENARIO=part-of-a-path` plays only those.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

use bytes::Bytes;
use lampyris_sim::scenario::parse::Action;
use lampyris_sim::scenario::zone::Zone;
use lampyris_sim::scenario::{Script, Stage, Transport, Way, parse, run};
use lampyris_sip::{Frame, Framer};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The longest time a scenario may wait here.
const LONGEST: Duration = Duration::from_secs(3);
/// Scenarios played at once; most of the time each waits.
const AT_ONCE: usize = 8;

/// The running binary.
struct Server {
    child: Child,
    udp: SocketAddr,
    tcp: SocketAddr,
}

impl Server {
    /// Starts it; port 0 lets the system choose.
    fn start(config: &[String], data: &Path, udp: SocketAddr, tcp: SocketAddr) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lampyris"))
            .arg("--data")
            .arg(data)
            .arg("run")
            .args(config)
            .args(["--listen", &format!("udp:{udp}"), "--listen", &format!("tcp:{tcp}")])
            .stdout(Stdio::piped())
            .stderr(Stdio::from(std::fs::File::create(data.join("log")).unwrap()))
            .spawn()
            .unwrap();
        let (mut at_udp, mut at_tcp) = (None, None);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(address) = line.strip_prefix("listening udp:") {
                at_udp = address.parse().ok();
            } else if let Some(address) = line.strip_prefix("listening tcp:") {
                at_tcp = address.parse().ok();
            }
            if at_udp.is_some() && at_tcp.is_some() {
                break;
            }
        }
        match (at_udp, at_tcp) {
            (Some(udp), Some(tcp)) => Self { child, udp, tcp },
            _ => panic!("it did not start: {}", std::fs::read_to_string(data.join("log")).unwrap()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A party's socket.
enum Socket {
    Udp(UdpSocket),
    /// It listens at its Contact, and connects when it sends first.
    Tcp {
        server: SocketAddr,
        listener: TcpListener,
        stream: Option<(TcpStream, Framer)>,
    },
}

struct RealStage {
    config: Vec<String>,
    typed: PathBuf,
    data: PathBuf,
    server: Option<Server>,
    sockets: BTreeMap<String, Socket>,
}

impl RealStage {
    fn new(script: &Script, data: PathBuf) -> Self {
        let _ = std::fs::remove_dir_all(&data);
        std::fs::create_dir_all(&data).unwrap();
        let typed = data.join("typed.toml");
        std::fs::write(&typed, &script.settings.toml).unwrap();
        let typed_text = typed.to_str().unwrap().to_owned();
        let config = match &script.settings.base {
            Some(base) => {
                let base = scenarios().join("settings").join(base);
                vec![base.to_str().unwrap().to_owned(), "--beside".to_owned(), typed_text]
            }
            None => vec![typed_text],
        };
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let server = Server::start(&config, &data, any, any);
        let mut sockets = BTreeMap::new();
        for party in &script.parties {
            let socket = match party.transport {
                Transport::Udp => Socket::Udp(UdpSocket::bind(any).unwrap()),
                Transport::Tcp => {
                    let listener = TcpListener::bind(any).unwrap();
                    listener.set_nonblocking(true).unwrap();
                    Socket::Tcp { server: server.tcp, listener, stream: None }
                }
            };
            sockets.insert(party.name.clone(), socket);
        }
        Self { config, typed, data, server: Some(server), sockets }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// Runs the command line against the server: its standard output, or what it said of its refusal.
    fn command(&self, words: &[&str]) -> Result<String, String> {
        let output = Command::new(env!("CARGO_BIN_EXE_lampyris"))
            .arg("--data")
            .arg(&self.data)
            .args(words)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

fn framed(stream: TcpStream) -> (TcpStream, Framer) {
    stream.set_nonblocking(false).unwrap();
    stream.set_nodelay(true).unwrap();
    (stream, Framer::new(65_535, 65_535))
}

impl Stage for RealStage {
    fn address(&mut self, party: &str) -> SocketAddr {
        match &self.sockets[party] {
            Socket::Udp(socket) => socket.local_addr().unwrap(),
            Socket::Tcp { listener, .. } => listener.local_addr().unwrap(),
        }
    }

    fn server(&self, transport: Transport) -> SocketAddr {
        match transport {
            Transport::Udp => self.server().udp,
            Transport::Tcp => self.server().tcp,
        }
    }

    fn send(&mut self, party: &str, bytes: Bytes) {
        let to = self.server().udp;
        match self.sockets.get_mut(party).unwrap() {
            Socket::Udp(socket) => {
                socket.send_to(&bytes, to).unwrap();
            }
            Socket::Tcp { server, stream, .. } => {
                let (stream, _) = stream.get_or_insert_with(|| framed(TcpStream::connect(*server).unwrap()));
                stream.write_all(&bytes).unwrap();
            }
        }
    }

    fn receive(&mut self, party: &str, wait: Duration) -> Option<Bytes> {
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            match self.sockets.get_mut(party).unwrap() {
                Socket::Udp(socket) => {
                    socket.set_read_timeout(Some(left)).unwrap();
                    let mut buffer = vec![0; 65_535];
                    if let Ok(length) = socket.recv(&mut buffer) {
                        buffer.truncate(length);
                        return Some(buffer.into());
                    }
                }
                Socket::Tcp { stream: Some((stream, framer)), .. } => {
                    match framer.next_frame() {
                        Some(Ok(Frame::Message(bytes))) => return Some(bytes),
                        Some(Ok(_)) => continue,
                        Some(Err(error)) => panic!("not a SIP stream: {error:?}"),
                        None => {}
                    }
                    stream.set_read_timeout(Some(left)).unwrap();
                    let mut buffer = [0; 8192];
                    match stream.read(&mut buffer) {
                        Ok(0) => return None,
                        Ok(length) => framer.push(&buffer[..length]),
                        Err(_) => {}
                    }
                }
                Socket::Tcp { listener, stream, .. } => match listener.accept() {
                    Ok((accepted, _)) => *stream = Some(framed(accepted)),
                    Err(_) => std::thread::sleep(left.min(Duration::from_millis(5))),
                },
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn longest_pass(&self) -> Option<Duration> {
        Some(LONGEST)
    }

    fn admin(&mut self, words: &str) -> Result<(), String> {
        self.command(&words.split_whitespace().collect::<Vec<_>>()).map(|_| ())
    }

    fn crash_and_restart(&mut self) {
        let old = self.server.take().unwrap();
        let (udp, tcp) = (old.udp, old.tcp);
        drop(old);
        self.server = Some(Server::start(&self.config, &self.data, udp, tcp));
    }

    fn set_clock(&mut self, _by: Duration, _way: Way) -> bool {
        false
    }

    fn close(&mut self, party: &str) {
        if let Some(Socket::Tcp { stream, .. }) = self.sockets.get_mut(party)
            && let Some((stream, _)) = stream.take()
        {
            stream.shutdown(Shutdown::Both).unwrap();
        }
    }

    fn reload(&mut self, toml: &str) -> Result<(), String> {
        std::fs::write(&self.typed, toml).unwrap();
        self.command(&["reload"]).map(|_| ())
    }

    fn fail_store(&mut self) -> bool {
        false
    }

    fn set_dns(&mut self, _zone: &Zone) -> bool {
        false
    }

    fn count(&mut self, what: &str) -> Option<usize> {
        let status = self.command(&["status", "--json"]).ok()?;
        let status: serde_json::Value = serde_json::from_str(&status).ok()?;
        find(&status, what)
    }
}

/// The number under this key, at whatever depth.
fn find(value: &serde_json::Value, key: &str) -> Option<usize> {
    let object = value.as_object()?;
    let here = object.get(key).and_then(serde_json::Value::as_u64).and_then(|n| usize::try_from(n).ok());
    here.or_else(|| object.values().find_map(|inner| find(inner, key)))
}

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sim/scenarios")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "scn") {
            found.push(path);
        }
    }
}

/// Plays one; how many steps were skipped.
fn play(path: &Path, number: usize) -> Result<usize, String> {
    let script = parse::parse(&std::fs::read_to_string(path).unwrap())?;
    let asks_dns = script.steps.iter().any(|step| matches!(step.action, Action::Dns(_)));
    if asks_dns || script.settings.toml.contains("192.0.2.") {
        // Why: its configuration names hosts or addresses that the parties have in virtual time only.
        return Ok(script.steps.len());
    }
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("scn-{number}"));
    let outcome = {
        let mut stage = RealStage::new(&script, data.clone());
        run(&script, &mut stage)
    };
    let outcome = outcome.map_err(|why| {
        let log = std::fs::read_to_string(data.join("log")).unwrap_or_default();
        let last: Vec<_> = log.lines().rev().take(5).collect();
        format!("{why}\n--- log, newest first ---\n{}", last.join("\n"))
    })?;
    let _ = std::fs::remove_dir_all(&data);
    Ok(outcome.skipped)
}

#[test]
fn every_scenario_holds_over_real_sockets() {
    let mut all = Vec::new();
    files(&scenarios(), &mut all);
    assert!(all.len() >= 80, "the scenarios are not where they should be");
    let wanted = std::env::var("LAMPYRIS_SCENARIO").unwrap_or_default();
    all.retain(|path| path.display().to_string().contains(&wanted));
    all.sort();
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(path) = all.get(number) else { return };
                    let played = std::panic::catch_unwind(|| play(path, number));
                    let played = played.unwrap_or_else(|_| Err("it panicked".to_owned()));
                    results.lock().unwrap().push((path, played));
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    let (mut failures, mut skipped, mut whole) = (Vec::new(), 0, 0);
    for (path, result) in results {
        let name = path.file_name().unwrap().to_string_lossy();
        match result {
            Ok(0) => whole += 1,
            Ok(steps) => {
                skipped += 1;
                println!("the last {steps} steps of {name} need virtual time or addresses");
            }
            Err(why) => failures.push(format!("{name}: {why}")),
        }
    }
    println!("{whole} scenarios played whole");
    if skipped > 0 {
        println!(
            "SKIPPED {skipped} scenarios over real sockets: what is left of them needs virtual time or addresses"
        );
    }
    assert!(failures.is_empty(), "{} of {} fail:\n\n{}", failures.len(), all.len(), failures.join("\n\n"));
}
