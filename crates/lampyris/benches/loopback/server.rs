//! The real server as a child process, and what the system says it used.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running server; dropped, it and its directory are gone.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

/// CPU time, in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Cpu {
    /// All threads, as the scheduler counts.
    pub(crate) all_us: f64,
    /// The thread that runs the node.
    pub(crate) engine_us: f64,
    /// In user space, to a clock tick.
    pub(crate) user_us: f64,
    /// In the kernel, to a clock tick.
    pub(crate) system_us: f64,
}

impl std::ops::Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            all_us: self.all_us - before.all_us,
            engine_us: self.engine_us - before.engine_us,
            user_us: self.user_us - before.user_us,
            system_us: self.system_us - before.system_us,
        }
    }
}

impl Server {
    /// Starts `program` on a free port, with these lines at the top of its configuration and behind its domain.
    pub(crate) fn start(program: &str, durability: &str, top: &str, domain: &str) -> Self {
        static STARTED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = STARTED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("lampyris-loopback-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let file = directory.join("bench.toml");
        let text = format!(
            "{top}[server]\nlisten = \"udp:127.0.0.1:0\"\ndurability = \"{durability}\"\nlog = \"warn\"\n\
             [domains.\"bench.example\"]\nusers = \"any\"\n{domain}"
        );
        std::fs::write(&file, text).expect("a configuration");
        let mut child = Command::new(program)
            .args(["run".as_ref(), file.as_os_str(), "--data".as_ref(), directory.join("data").as_os_str()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = lines
            .find_map(|line| line.ok()?.strip_prefix("listening udp:")?.parse().ok())
            .expect("the server says where it listens");
        // Why: nobody reads on; what it prints later is not much.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, directory }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CPU time used so far.
    pub(crate) fn cpu(&self) -> Cpu {
        let pid = self.child.id();
        let (mut all_us, mut engine_us) = (0.0, 0.0);
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).expect("the server runs").flatten() {
            let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let ns: f64 = read("schedstat").split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0.0);
            all_us += ns / 1000.0;
            if read("comm").trim() == "engine" {
                engine_us += ns / 1000.0;
            }
        }
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the server runs");
        // Behind the name in brackets: utime and stime are the 14th and 15th of all, in ticks of 10 ms.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks =
            |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) * 10_000.0;
        let (user_us, system_us) = (ticks(11), ticks(12));
        // Where the kernel keeps no schedstat, ticks have to do.
        let all_us = if all_us > 0.0 { all_us } else { user_us + system_us };
        Cpu { all_us, engine_us, user_us, system_us }
    }

    /// Memory that is neither file nor shared: heap and stacks.
    pub(crate) fn anonymous_bytes(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or("0");
        line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
