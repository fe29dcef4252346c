//! What the documentation says is true: every configuration in it goes through `check`, every command line of it is run against
//! a server on the configuration of the first page, every link and heading it names is there.
//!
//! A fenced block whose first line is a comment with a file's name is that file; a block of TOML without is a fragment, which
//! gets what it does not say itself of a small office, that of the first page. In a block of `sh`, each line is a command that has to succeed; those
//! that go on until Ctrl-C are interrupted and have to end well then. `text` is neither.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_lampyris");
const PATIENCE: Duration = Duration::from_secs(30);

/// Verbs that go on until Ctrl-C where no end is given.
const STREAMS: [&[&str]; 2] = [&["events"], &["sip", "debug", "on"]];

/// What a fragment needs where it does not say it itself.
const OFFICE: [(&str, &str); 4] = [
    ("[domains.", "[domains.\"example.com\"]\n"),
    ("[peers.alice]", "[peers.alice]\nsecret = \"a\"\n"),
    ("[peers.bob]", "[peers.bob]\nsecret = \"b\"\n"),
    ("[hints]", "[hints]\n6001 = \"SIP/bob\"\n"),
];

struct Block {
    page: String,
    line: usize,
    language: String,
    text: String,
}

impl Block {
    /// The file that its first line names.
    fn file(&self) -> Option<&str> {
        let first = self.text.lines().next()?;
        let name =
            first.trim_start_matches(['#', ';', ' ']).trim_start_matches("<!-- ").trim_end_matches(" -->");
        let comment = first.starts_with(['#', ';']) || first.starts_with("<!--");
        let is_name = [".toml", ".conf", ".xml"].iter().any(|end| name.ends_with(end)) && !name.contains(' ');
        (comment && is_name).then_some(name)
    }

    fn at(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pages that are written by hand; what is generated is compared elsewhere.
fn pages() -> Vec<(String, String)> {
    ["start", "recipes", "operate", "fix", "understand"]
        .map(|name| {
            (format!("docs/{name}.md"), fs::read_to_string(root().join(format!("docs/{name}.md"))).unwrap())
        })
        .into_iter()
        .collect()
}

fn blocks(page: &str, text: &str) -> Vec<Block> {
    let (mut out, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                let (page, language) = (page.to_owned(), language.to_owned());
                open = Some(Block { page, line: number + 1, language, text: String::new() });
            }
            (Some(_), Some(_)) => out.extend(open.take()),
            (Some(block), None) => block.text.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: a block has no end");
    out
}

fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("docs-{name}"));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn checked(what: &str, args: &[&Path]) {
    let mut command = Command::new(BINARY);
    command.arg("check").arg(args[0]);
    if let Some(beside) = args.get(1) {
        command.arg("--beside").arg(beside);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_configuration_is_good() {
    let mut count = 0;
    for (page, text) in pages() {
        let here = directory(&format!("check-{}", page.replace('/', "-")));
        // A certificate, for those that name one.
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        fs::write(here.join("server.pem"), certificate.pem()).unwrap();
        fs::write(here.join("server.key"), key.serialize_pem()).unwrap();
        let blocks = blocks(&page, &text);
        for block in &blocks {
            if let Some(file) = block.file() {
                fs::write(here.join(file), &block.text).unwrap();
            }
        }
        for block in &blocks {
            match (block.language.as_str(), block.file()) {
                ("toml", Some("secrets.toml")) => checked(&block.at(), &[&here, &here.join("secrets.toml")]),
                ("toml", Some(file)) => checked(&block.at(), &[&here.join(file)]),
                ("toml", None) => {
                    let rest =
                        OFFICE.iter().filter(|(head, _)| !block.text.contains(head)).map(|(_, text)| *text);
                    let whole = format!("{}\n{}", block.text, rest.collect::<String>());
                    fs::write(here.join("fragment.toml"), whole).unwrap();
                    checked(&block.at(), &[&here.join("fragment.toml")]);
                }
                ("ini" | "xml", file) => assert!(file.is_some(), "{}: a file without a name", block.at()),
                ("sh" | "text", _) => continue,
                (other, _) => panic!("{}: what is `{other}`?", block.at()),
            }
            count += 1;
        }
    }
    assert!(count > 10, "{count} configurations");
}

/// The server of the first page; killed where the test fails.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command line with its quoted words.
fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => out.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            c => word.push(c),
        }
    }
    out.extend(Some(word).filter(|word| !word.is_empty()));
    out
}

/// Runs a line of the documentation in this directory; one that goes on is interrupted.
fn run(line: &str, here: &Path) -> Output {
    let words = words(line);
    assert_eq!(words[0], "lampyris", "{line}");
    let mut verb: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    if verb.first() == Some(&"--data") {
        verb.drain(..2);
    }
    let mut command = Command::new(BINARY);
    command.args(&words[1..]).current_dir(here).env_remove("LAMPYRIS_DATA").env_remove("LAMPYRIS_PASSWORD");
    if !STREAMS.iter().any(|stream| verb.starts_with(stream)) {
        return command.output().unwrap();
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The first line is said when the server has agreed.
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    said.read_line(&mut first).unwrap();
    assert!(!first.is_empty(), "{line}: it ended without a word");
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn every_command_does_what_it_says() {
    use std::os::unix::process::ExitStatusExt as _;
    let here = directory("run");
    let all = pages();
    let start = blocks(&all[0].0, &all[0].1);
    let office =
        start.iter().find(|block| block.file() == Some("office.toml")).expect("the first configuration");
    // The ports of the documentation may be taken here.
    let text = office.text.replace(":5060", ":0").replace("[server]\n", "[server]\nhttp = \"off\"\n");
    // What the recipes add, each a fragment that was checked by itself.
    let text = format!(
        "{text}\n[people.bob]\npeers = [\"bob\"]\nextensions = [\"6001\"]\n[lists.team]\nmembers = [\"alice\", \"bob\", \"6001\"]\n\
         [mailboxes.\"100@default\"]\nwatchers = [\"alice\"]\n"
    );
    let http = text.replace("http = \"off\"", "http = \"127.0.0.1:0\"");
    fs::write(here.join("office.toml"), http).unwrap();
    fs::write(here.join("alice.secret"), "alices-password\n").unwrap();
    let mut server = Command::new(BINARY)
        .args(["run", "office.toml"])
        .current_dir(&here)
        .stdout(Stdio::piped())
        .stderr(fs::File::create(here.join("log")).unwrap())
        .env_remove("LAMPYRIS_DATA")
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let _server = Server(server);
    let printed: Vec<String> = lines.take_while(|line| !line.starts_with("data ")).collect();
    let port = |transport: &str| {
        let line =
            printed.iter().find_map(|line| line.strip_prefix(&format!("listening {transport}:127.0.0.1:")));
        line.unwrap_or_else(|| panic!("{printed:?}")).to_owned()
    };
    let (udp, tcp) = (port("udp"), port("tcp"));
    let (began, mut count) = (Instant::now(), 0);
    for (page, text) in &all {
        for block in blocks(page, text).iter().filter(|block| block.language == "sh") {
            for line in block.text.lines() {
                let there = line
                    .replace("udp:127.0.0.1:5060", &format!("udp:127.0.0.1:{udp}"))
                    .replace("tcp:127.0.0.1:5060", &format!("tcp:127.0.0.1:{tcp}"));
                // A token is revoked by the id that its listing says.
                let there = match there.strip_suffix("token revoke wall") {
                    Some(before) => {
                        let listed = run(&format!("{before}token list --json"), &here);
                        let rows: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
                        let row = rows.as_array().unwrap().iter().find(|row| row["name"] == "wall").unwrap();
                        format!("{before}token revoke {}", row["id"].as_str().unwrap())
                    }
                    None => there,
                };
                let output = run(&there, &here);
                let ended = output.status.success() || output.status.signal() == Some(2);
                let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                assert!(ended, "{}: {line}\n{}{}", block.at(), said(&output.stdout), said(&output.stderr));
                count += 1;
            }
        }
        assert!(began.elapsed() < PATIENCE * 4, "{page} takes too long");
    }
    assert!(count > 30, "{count} commands");
}
