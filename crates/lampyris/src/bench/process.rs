//! What a process used, as the system counts it: CPU time of all its threads and descendants, and memory.
//!
//! In: a process id. Out: [`Usage`] from `/proc` (proc(5)). Servers that fork are counted with all their processes.
//! CPU time comes from the scheduler's own counters, to the nanosecond; the split into user and system from clock ticks.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Microseconds of one clock tick of `/proc/PID/stat`: USER_HZ is 100 on every system Linux runs on.
const TICK_US: u64 = 10_000;

/// What was used up to a moment, or between two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// CPU microseconds of all threads.
    pub(crate) cpu_us: f64,
    /// In user space, to a tick.
    pub(crate) user_us: f64,
    /// In the kernel, to a tick.
    pub(crate) system_us: f64,
    /// CPU microseconds by name of thread.
    pub(crate) threads: BTreeMap<String, f64>,
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    /// Heap and stacks of all processes.
    pub(crate) anonymous: u64,
    /// Shared among its processes, as the largest of them sees it.
    pub(crate) shared: u64,
    /// Mapped files, as the largest of them sees it: the store of ours, and programs.
    pub(crate) file: u64,
}

/// A process and its descendants.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let parent = stat_fields(child).and_then(|fields| fields.get(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(child);
        }
    }
    let (mut found, mut todo) = (Vec::new(), vec![pid]);
    while let Some(pid) = todo.pop() {
        found.push(pid);
        todo.extend(children.remove(&pid).unwrap_or_default());
    }
    found
}

/// What the processes have used so far; `None` where the first is gone.
pub(crate) fn usage(pids: &[u32]) -> Option<Usage> {
    let mut usage = Usage::default();
    for (at, pid) in pids.iter().enumerate() {
        let Some(fields) = stat_fields(*pid) else {
            if at == 0 {
                return None;
            }
            continue;
        };
        let ticks = |field: usize| {
            let ticks = fields.get(field).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            (ticks * TICK_US) as f64
        };
        usage.user_us += ticks(11);
        usage.system_us += ticks(12);
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let us = schedstat_us(&task.path());
            usage.cpu_us += us;
            let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            *usage.threads.entry(name.trim().to_owned()).or_default() += us;
        }
    }
    if usage.cpu_us == 0.0 {
        // A kernel without schedstat.
        usage.cpu_us = usage.user_us + usage.system_us;
    }
    Some(usage)
}

/// The memory the processes hold now.
pub(crate) fn memory(pids: &[u32]) -> Memory {
    let mut memory = Memory::default();
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok());
            kib.unwrap_or(0) * 1024
        };
        memory.anonymous += bytes("RssAnon:");
        memory.shared = memory.shared.max(bytes("RssShmem:"));
        memory.file = memory.file.max(bytes("RssFile:"));
    }
    memory
}

impl Usage {
    /// What was used since.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let threads = self
            .threads
            .iter()
            .map(|(name, us)| (name.clone(), us - before.threads.get(name).copied().unwrap_or(0.0)));
        Self {
            cpu_us: self.cpu_us - before.cpu_us,
            user_us: self.user_us - before.user_us,
            system_us: self.system_us - before.system_us,
            threads: threads.collect(),
        }
    }
}

/// The fields of `/proc/PID/stat` behind the name in brackets: the first is the state.
fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().map(ToOwned::to_owned).collect())
}

fn schedstat_us(task: &Path) -> f64 {
    let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    let ns = text.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    ns as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_process_is_seen_to_work() {
        let pids = [std::process::id()];
        let before = usage(&pids).expect("this process");
        let until = Instant::now() + Duration::from_millis(50);
        while Instant::now() < until {
            std::hint::black_box(family(std::process::id()));
        }
        let used = usage(&pids).expect("this process").since(&before);
        assert!(used.cpu_us > 1000.0, "{used:?}");
        assert!(memory(&pids).anonymous > 100_000);
    }

    #[test]
    fn a_child_is_of_the_family_and_who_is_gone_is_not() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        assert!(family(std::process::id()).contains(&child.id()));
        child.kill().expect("killed");
        child.wait().expect("gone");
        assert!(!family(std::process::id()).contains(&child.id()));
        assert!(usage(&[child.id()]).is_none());
    }
}
