//! The running binary with little: no root, no descriptors; and connections by the thousand that come to nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "this is a test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const OFFICE: &str = "[domains.\"example.com\"]\n[peers.alice]\nopen = true\n";

fn options(transport: &str) -> String {
    format!(
        "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/{transport} x;branch=z9hG4bK1;rport\r\nFrom: <sip:a@x>;tag=1\r\n\
         To: <sip:example.com>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

struct Server {
    child: Child,
    data: PathBuf,
    udp: SocketAddr,
    tcp: SocketAddr,
}

/// What a round of connections may leave behind in memory: 256 bytes for each of 2,000.
const ROUND_KIB_MAX: u64 = 500;
/// How many rounds there are to see whether memory stops growing.
const ROUNDS: usize = 10;

/// A directory that every user may look into.
fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("lampyris-hardened-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn start(name: &str, options: &str, before: &str) -> Server {
    let directory = directory(name);
    let (config, data) = (directory.join("lampyris.toml"), directory.join("data"));
    let listen = "listen = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]";
    std::fs::write(&config, format!("[server]\n{listen}\n{options}\n{OFFICE}")).unwrap();
    let mut child = Command::new("sh")
        .args(["-c", &format!("{before} exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_lampyris"), "run"])
        .arg(&config)
        .arg("--data")
        .arg(&data)
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(directory.join("log")).unwrap())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut listening = |transport: &str| {
        let line = lines.next().map_or_else(String::new, |line| line.unwrap());
        let at = line.strip_prefix(&format!("listening {transport}:")).and_then(|at| at.parse().ok());
        at.unwrap_or_else(|| panic!("{}", std::fs::read_to_string(directory.join("log")).unwrap()))
    };
    let (udp, tcp) = (listening("udp"), listening("tcp"));
    Server { child, data, udp, tcp }
}

impl Server {
    fn ask(&self, words: &[&str]) -> String {
        let output =
            Command::new(env!("CARGO_BIN_EXE_lampyris")).arg("--data").arg(&self.data).args(words).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    fn hits(&self, limit: &str) -> u64 {
        let rows: serde_json::Value = serde_json::from_str(&self.ask(&["show", "limits", "--json"])).unwrap();
        let row = rows.as_array().unwrap().iter().find(|row| row["name"] == limit).unwrap();
        row["hits"].as_u64().unwrap()
    }

    /// Whether it answers an OPTIONS by datagram.
    fn answers(&self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        (0..5).any(|_| {
            socket.send_to(options("UDP").as_bytes(), self.udp).unwrap();
            socket.recv(&mut [0; 2000]).is_ok()
        })
    }

    /// Whether it answers an OPTIONS on a new connection.
    fn answers_on_a_stream(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.tcp) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(options("TCP").as_bytes()).is_ok()
            && stream.read(&mut [0; 2000]).is_ok_and(|length| length > 0)
    }

    /// Connections it has open by its own count, its descriptors, and what it holds in memory of its own (KiB).
    fn holds(&self) -> (u64, usize, u64) {
        let status: serde_json::Value = serde_json::from_str(&self.ask(&["status", "--json"])).unwrap();
        let open = status["server"]["counters"]["streams_open"].as_u64().unwrap();
        let of_process = format!("/proc/{}", self.child.id());
        let descriptors = std::fs::read_dir(format!("{of_process}/fd")).unwrap().count();
        let text = std::fs::read_to_string(format!("{of_process}/status")).unwrap();
        let line = text.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        (open, descriptors, line.split_whitespace().nth(1).unwrap().parse().unwrap())
    }

    /// Seconds of processor time used so far.
    fn processor_s(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let after = text.rsplit_once(") ").unwrap().1;
        let fields: Vec<f64> = after.split(' ').skip(11).take(2).map(|n| n.parse().unwrap()).collect();
        fields.iter().sum::<f64>() / 100.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(self.data.parent().unwrap_or(Path::new("")));
    }
}

#[test]
fn without_descriptors_it_waits_and_does_not_spin() {
    let server = start("descriptors", "", "ulimit -n 48;");
    let held: Vec<_> = (0..80).filter_map(|_| TcpStream::connect(server.tcp).ok()).collect();
    let deadline = Instant::now() + Duration::from_secs(10);
    // Why: strangers make room for each other and are closed after 5 s, so it lasts only as long as they stay.
    while !std::fs::read_to_string(server.data.parent().unwrap().join("log"))
        .unwrap()
        .contains("cannot be accepted")
    {
        assert!(Instant::now() < deadline, "it never ran out of descriptors");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (began, used) = (Instant::now(), server.processor_s());
    assert!(server.answers(), "datagrams are answered all the while");
    std::thread::sleep(Duration::from_secs(2));
    let share = (server.processor_s() - used) / began.elapsed().as_secs_f64();
    assert!(share < 0.5, "it is busy {share} of the time");
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(15);
    while server.hits("descriptors") == 0 {
        assert!(Instant::now() < deadline, "nobody counted it, or nobody can ask");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(server.answers());
}

#[test]
fn it_gives_root_up() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED 1 it_gives_root_up: only root can");
        return;
    }
    let server = start("root", "user = \"nobody\"", "");
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let ids = |name: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_ascii_whitespace().map(|id| id.parse().unwrap()).collect()
    };
    assert!(ids("Uid:").iter().chain(&ids("Gid:")).chain(&ids("Groups:")).all(|id| *id != 0), "{status}");
    assert!(ids("Uid:").len() == 4 && server.answers());
    assert!(server.ask(&["status"]).contains("Subscriptions"), "its store and socket are its own");
}

/// Connects so many times: says nothing, half a message or a keep-alive, and leaves, or breaks the connection off (RST).
/// Returns what the server holds (descriptors, KiB) once it has closed them all and is back at `idle` descriptors.
fn come_and_go(server: &Server, times: usize, idle: usize) -> (usize, u64) {
    for number in 0..times {
        let Ok(stream) = TcpStream::connect(server.tcp) else { continue };
        if number % 2 == 0 {
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        let said: &[u8] = [&b""[..], b"SUBSCRIBE sip:a@exa", b"\r\n\r\n"][number % 3];
        let _ = (&stream).write_all(said);
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    // Why: connections are accepted in their order, so once a later one is answered none of ours waits in the backlog,
    // where neither the server's count nor its descriptors show it.
    while !server.answers_on_a_stream() {
        assert!(Instant::now() < deadline, "a stream is not answered");
    }
    loop {
        let (open, descriptors, kib) = server.holds();
        if open == 0 && descriptors <= idle {
            return (descriptors, kib);
        }
        assert!(Instant::now() < deadline, "{open} connections, {descriptors} descriptors, {idle} when idle");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn connections_that_come_and_go_leave_nothing() {
    let effort = std::env::var("LAMPYRIS_EFFORT").ok().and_then(|effort| effort.parse().ok()).unwrap_or(1);
    let server = start("connections", "", "");
    // Why: the asking itself opens a descriptor of the admin socket, and closes it when it pleases.
    let idle = server.holds().1 + 2;
    let (_, mut kib) = come_and_go(&server, 2000, idle);
    // Why rounds: how many are open at once is chance, and sets the most that is ever held; what leaks grows in every round.
    let grew = |round: usize| {
        let before = std::mem::replace(&mut kib, come_and_go(&server, 2000 * effort, idle).1);
        println!("round {round}: {before} KiB, then {kib}");
        kib > before + ROUND_KIB_MAX
    };
    assert!(!(1..=ROUNDS).all(grew), "every round leaves something behind");
    assert!(server.answers());
}
