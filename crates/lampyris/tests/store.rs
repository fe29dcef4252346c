//! The store of the real binary: kills, damage, full disks, backups, and what the command line says of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is a test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A server of this test's own; killed when dropped.
struct Server {
    data: PathBuf,
    config: PathBuf,
    child: Child,
}

fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("store-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn spawn(config: &Path, data: &Path) -> Child {
    let log = std::fs::OpenOptions::new().append(true).create(true).open(config.with_extension("log"));
    Command::new(env!("CARGO_BIN_EXE_lampyris"))
        .arg("run")
        .args([config, Path::new("--data"), data])
        .env("RUST_LOG", "info")
        .stdout(Stdio::piped())
        .stderr(log.unwrap())
        .spawn()
        .unwrap()
}

impl Server {
    /// With these options under `[server]`, and its data in `data`.
    fn start(directory: &Path, data: &Path, options: &str) -> Self {
        let config = directory.join("lampyris.toml");
        let text = format!(
            "[server]\nlisten = [\"udp:127.0.0.1:0\"]\nbackup_every_s = 0\n{options}\n[peers.Alice]\nsecret = \"a\"\n"
        );
        std::fs::write(&config, text).unwrap();
        let child = spawn(&config, data);
        let mut server = Self { data: data.to_owned(), config, child };
        server.is_ready();
        server
    }

    fn is_ready(&mut self) {
        let lines = BufReader::new(self.child.stdout.take().unwrap()).lines();
        let ready = lines.map_while(Result::ok).any(|line| line.starts_with("data "));
        assert!(ready, "{}", self.log());
    }

    fn restart(&mut self) -> Duration {
        let began = Instant::now();
        self.child = spawn(&self.config, &self.data);
        self.is_ready();
        began.elapsed()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.config.with_extension("log")).unwrap_or_default()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn stop(&mut self) {
        assert!(self.says(&["stop"]).0);
        assert!(self.child.wait().unwrap().success(), "{}", self.log());
    }

    /// Whether a verb did what it was asked to, and what it said.
    fn says(&self, words: &[&str]) -> (bool, String) {
        says(&self.data, words)
    }

    fn set(&self, device: &str) -> (bool, String) {
        self.says(&["devstate", "set", device, "inuse"])
    }

    fn has(&self, device: &str) -> bool {
        self.says(&["devstate", "list"]).1.contains(device)
    }

    fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.says(&["status", "--json"]).1).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn says(data: &Path, words: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_lampyris")).arg("--data").arg(data).args(words).output().unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[test]
fn durability_is_what_it_says() {
    for (durability, kept) in [("power", true), ("process", true), ("memory", false)] {
        let directory = directory(&format!("durability-{durability}"));
        let options = format!("durability = {durability:?}");
        let mut server = Server::start(&directory, &directory.join("data"), &options);
        for round in 0..3 {
            assert!(server.set(&format!("Custom:{round}")).0);
            server.kill();
            server.restart();
            for earlier in 0..=round {
                assert_eq!(server.has(&format!("Custom:{earlier}")), kept, "{durability}, {}", server.log());
            }
        }
        assert_eq!(server.log().contains("it is walked first"), kept, "{}", server.log());
        let before = server.log().matches("walked first").count();
        server.stop();
        server.restart();
        assert_eq!(server.log().matches("walked first").count(), before, "not after a stop");
    }
}

#[test]
fn a_damaged_store_never_keeps_the_server_down() {
    let directory = directory("damage");
    let data = directory.join("data");
    let mut server = Server::start(&directory, &data, "");
    for n in 0..20 {
        assert!(server.set(&format!("Custom:{n}")).0);
    }
    let (ok, said) = server.says(&["backup"]);
    assert!(ok && said.contains("20 records"), "{said}");
    assert!(server.set("Custom:late").0);
    let file = data.join("store/data.mdb");
    let mut asides = Vec::new();
    for part in [0.0, 0.0001, 0.1, 0.3, 0.5, 0.9, 0.9999] {
        server.kill();
        let whole = std::fs::metadata(&file).unwrap().len();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let cut = (whole as f64 * part) as u64;
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(cut).unwrap();
        let took = server.restart();
        assert!(took < Duration::from_secs(30), "{took:?}");
        assert!(server.has("Custom:19") && !server.has("Custom:late"), "cut to {cut}: {}", server.log());
        let rescue = &server.status()["server"]["store"]["rescue"];
        assert_eq!(rescue["records"], 20, "{rescue}");
        asides.push(rescue["aside"].as_str().unwrap().to_owned());
        let (_, said) = server.says(&["status"]);
        assert!(said.contains("Store is ill") && said.contains("set aside as"), "{said}");
        // It is a store like any other now, and not set aside again.
        server.kill();
        server.restart();
        assert!(server.status()["server"]["store"]["rescue"].is_null() && server.has("Custom:19"));
    }
    assert!(server.log().contains("the store is damaged: it was set aside"));
    let (_, said) = server.says(&["store", "check"]);
    assert!(asides.iter().all(|aside| said.contains(aside)), "{said}");
}

#[test]
fn check_tells_what_is_wrong_whether_the_server_runs_or_not() {
    let directory = directory("check");
    let data = directory.join("data");
    assert!(!says(&data, &["store", "check"]).0, "there is none yet");
    let mut server = Server::start(&directory, &data, "");
    assert!(server.set("Custom:marker").0);
    let (ok, said) = server.says(&["store", "check"]);
    assert!(ok && said.contains("the store's file is sound") && said.contains("device"), "{said}");
    server.stop();
    assert!(says(&data, &["store", "check"]).0);
    let file = data.join("store/data.mdb");
    let mut bytes = std::fs::read(&file).unwrap();
    // Every copy of it, also those in pages that are free by now.
    let all = bytes.windows(13).enumerate().filter(|(_, part)| *part == b"Custom:marker");
    let all: Vec<usize> = all.map(|(at, _)| at).collect();
    assert!(!all.is_empty());
    for at in all {
        bytes[at] ^= 1;
    }
    std::fs::write(&file, &bytes).unwrap();
    let (ok, said) = says(&data, &["store", "check", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((ok, &report["error"]["report"]["store"]["kinds"]["device"]["damaged"]), (false, &1.into()));
    // Its checksum is wrong: it is skipped, counted, and not made up.
    server.restart();
    assert_eq!(server.status()["server"]["store"]["damaged"], 1);
    assert!(!server.says(&["devstate", "list"]).1.contains("marker"));
    server.stop();
    bytes[4096 * 2..].fill(0);
    std::fs::write(&file, &bytes).unwrap();
    let (ok, said) = says(&data, &["store", "check"]);
    assert!(!ok && said.contains("the store's file is damaged: page") && said.contains("fix:"), "{said}");
}

#[test]
fn a_backup_of_a_running_server_is_restored() {
    let directory = directory("backup");
    let data = directory.join("data");
    let file = directory.join("my.backup");
    let name = file.to_str().unwrap();
    let mut server = Server::start(&directory, &data, "");
    assert!(server.set("Custom:kept").0);
    let (ok, said) = server.says(&["backup", name, "--json"]);
    assert!(ok, "{said}");
    let made: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&made["backup"]["records"], &made["backup"]["path"]), (&1.into(), &name.into()));
    assert_eq!(std::fs::read_dir(data.join("backups")).unwrap().count(), 0, "it was taken away");
    assert!(server.set("Custom:later").0);

    let (ok, said) = server.says(&["restore", name]);
    let pid = server.child.id().to_string();
    assert!(!ok && said.contains("in use by process") && said.contains(&pid), "{said}");
    server.stop();
    let (ok, said) = server.says(&["restore", name]);
    assert!(ok && said.contains("1 record of the backup of") && said.contains("before-restore"), "{said}");
    server.restart();
    assert!(server.has("Custom:kept") && !server.has("Custom:later"));
    server.stop();

    // Without a server too, and only what is whole.
    let (ok, said) = server.says(&["backup"]);
    assert!(ok && said.contains(": 1 record, "), "{said}");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let (ok, said) = server.says(&["restore", name]);
    assert!(!ok && said.contains("it is cut"), "{said}");
    server.restart();
    assert!(server.has("Custom:kept"), "a bad backup changes nothing");
}

#[test]
fn backups_are_made_by_themselves_and_only_some_are_kept() {
    let directory = directory("every");
    let data = directory.join("data");
    let config = "backups_kept = 2";
    let mut server = Server::start(&directory, &data, config);
    server.stop();
    let text = std::fs::read_to_string(&server.config).unwrap();
    std::fs::write(&server.config, text.replace("backup_every_s = 0", "backup_every_s = 1")).unwrap();
    server.restart();
    let shelf = || std::fs::read_dir(data.join("backups")).map_or(0, Iterator::count);
    let until = Instant::now() + Duration::from_secs(60);
    let mut last = serde_json::Value::Null;
    for round in 0..4 {
        assert!(server.set(&format!("Custom:{round}")).0);
        loop {
            let made = server.status()["server"]["store"]["backup_ms"].clone();
            if made != last && !made.is_null() {
                last = made;
                break;
            }
            assert!(Instant::now() < until, "{}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(shelf() <= 3, "a new one may be there beside two");
    }
    assert!(server.says(&["store", "check"]).0, "all of them are whole");
}

#[test]
fn a_second_server_is_told_who_has_the_store() {
    let directory = directory("lock");
    let data = directory.join("data");
    let server = Server::start(&directory, &data, "");
    let output = Command::new(env!("CARGO_BIN_EXE_lampyris"))
        .arg("run")
        .args([&server.config, Path::new("--data"), &data])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    let expected = format!("is in use by process {}; stop that one", server.child.id());
    assert!(said.contains(&expected), "{said}");
    assert!(server.set("Custom:a").0, "and the first one goes on");
}

/// A small file system of this test's own; `None` where that is not allowed.
struct Small(PathBuf);

impl Small {
    fn mount(path: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs"]).arg(&path).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success()).then_some(Self(path))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
#[allow(clippy::print_stdout)]
fn a_full_disk_refuses_what_must_be_stored_and_nothing_else() {
    let directory = directory("full");
    let Some(small) = Small::mount(directory.join("small")) else {
        println!("SKIPPED 1 a full disk: a tmpfs cannot be mounted here (it takes root)");
        return;
    };
    let data = small.0.join("data");
    let mut server = Server::start(&directory, &data, "");
    assert!(server.set("Custom:before").0);
    let ballast = small.0.join("ballast");
    let fill = || {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&ballast).unwrap();
        for block in [65536, 4096] {
            while file.write_all(&vec![0; block]).is_ok() {}
        }
    };
    fill();
    // The store may still have free pages of its own; some change is the first that does not fit.
    let refused = (0..200).find_map(|n| match server.set(&format!("Custom:{n}-{}", "x".repeat(60))) {
        (true, _) => None,
        (false, said) => Some((n, said)),
    });
    let (n, said) = refused.unwrap();
    assert!(said.contains("not stored: the disk is full"), "{said}");
    let refused = format!("Custom:{n}-");
    assert!(!server.has(&refused), "what was refused was undone");
    assert!(server.has("Custom:before") && server.says(&["show", "subscriptions"]).0, "reading goes on");
    let (_, said) = server.says(&["status"]);
    assert!(said.contains("it takes nothing since") && said.contains("the disk is full"), "{said}");
    std::fs::remove_file(&ballast).unwrap();
    assert!(server.set("Custom:after").0, "{}", server.log());
    assert!(server.status()["server"]["store"]["failing"].is_null());
    assert!(server.log().contains("the store takes records again"));
    // It is killed and comes up on a full disk too, with what it has.
    fill();
    server.kill();
    server.restart();
    assert!(server.has("Custom:before") && server.has("Custom:after") && !server.has(&refused));
    std::fs::remove_file(&ballast).unwrap();
    assert!(server.set("Custom:again").0);
    server.stop();
}
