//! The battery every backend passes, and what only the embedded one promises.

use super::directory::DataDirectory;
use super::health::Shown;
use super::lmdb::Lmdb;
use super::memory::Memory;
use super::tables::How;
use super::{Decision, Deliver, Journal, Loaded, StoreFault, Walker};
use crate::config::Durability;
use lampyris_core::journal::{Counts, DeviceRecord, Key, Kind, MailboxRecord, Record, Value};
use lampyris_core::output::Ticket;
use lampyris_core::time::UnixTime;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// A directory that goes when this does.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("lampyris-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("temp dir");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) const BYTES_MAX: u64 = 1 << 30;

/// A store under test, its decisions, and the tickets given out.
pub(super) struct Bench {
    pub(super) journal: Box<dyn Journal>,
    decisions: Receiver<Vec<Decision>>,
    next: u64,
}

impl Bench {
    pub(super) fn over(open: impl FnOnce(Deliver) -> Box<dyn Journal>) -> Self {
        let (sender, decisions) = mpsc::channel();
        let journal = open(Arc::new(move |batch| drop(sender.send(batch))));
        Self { journal, decisions, next: 1 }
    }

    pub(super) fn lmdb(path: &Path, durability: Durability) -> Self {
        Self::over(|deliver| Box::new(open(path, durability, BYTES_MAX, deliver).expect("opens")))
    }

    /// Submits, flushes, and waits for every decision.
    pub(super) fn write(&mut self, records: Vec<Record>) -> Vec<Decision> {
        let last = self.next + records.len() as u64 - 1;
        for record in records {
            self.journal.submit(Ticket(self.next), record);
            self.next += 1;
        }
        self.journal.flush();
        let mut decided = Vec::new();
        while decided.last().is_none_or(|(ticket, _)| *ticket != Ticket(last)) {
            decided.extend(self.decisions.recv_timeout(Duration::from_secs(30)).expect("a decision"));
        }
        decided
    }

    pub(super) fn load(&mut self, now: u64) -> (BTreeMap<Key, Value>, Loaded) {
        let (mut rows, mut loaded) = (BTreeMap::new(), Loaded::default());
        for kind in Kind::ALL {
            let mut each = |key, value| assert_eq!(rows.insert(key, value), None, "a row twice");
            loaded =
                loaded.plus(self.journal.load(kind, UnixTime::from_millis(now), &mut each).expect("loads"));
        }
        (rows, loaded)
    }
}

pub(super) fn open(
    path: &Path,
    durability: Durability,
    bytes_max: u64,
    deliver: Deliver,
) -> Result<Lmdb, StoreFault> {
    let how = How { durability, bytes_max };
    Lmdb::open(Arc::new(DataDirectory::take(path)?), how, Some(&walker()), deliver, Shown::default())
}

/// The process that walks a store first is this test program, by `walk_child`.
pub(super) fn walker() -> Walker {
    Walker::new(|store| {
        let mut command = std::process::Command::new(std::env::current_exe().expect("this test"));
        command
            .args(["--exact", "store::tests::walk_child", "--nocapture", "--test-threads=1"])
            .env("LAMPYRIS_STORE_WALK_CHILD", store)
            .stderr(std::process::Stdio::null());
        command
    })
}

/// What `lampyris store walk` is to the binary: does nothing unless started by a walker.
#[test]
#[allow(clippy::print_stdout)]
fn walk_child() {
    let Some(store) = std::env::var_os("LAMPYRIS_STORE_WALK_CHILD") else { return };
    println!("\n{}", super::walk::said(Path::new(&store), &mut |_, _| {}));
}

pub(super) fn device_key(slot: u64) -> Key {
    Key { kind: Kind::Device, slot }
}

pub(super) fn device(name: &str, until: Option<u64>) -> Value {
    Value::Device(DeviceRecord {
        device: name.into(),
        state: "INUSE".into(),
        until: until.map(UnixTime::from_millis),
        set_at: UnixTime::from_millis(1),
    })
}

pub(super) fn mailbox(name: &str) -> Value {
    Value::Mailbox(MailboxRecord { mailbox: name.into(), counts: Counts { new: 2, ..Counts::default() } })
}

pub(super) fn up(slot: u64, value: Value) -> Record {
    Record::Upsert(Key { kind: value.kind(), slot }, value)
}

/// What every backend promises: each ticket decided once, in order; `keeps` says whether rows are there afterwards.
fn battery(reopen: impl Fn() -> Bench, keeps: bool) {
    let mut bench = reopen();
    assert_eq!(bench.load(0), (BTreeMap::new(), Loaded::default()), "a new store is empty");
    let decided = bench.write(vec![
        up(0, device("Custom:a", None)),
        up(1, device("Custom:b", Some(5000))),
        up(2, device("Custom:c", Some(100))),
        up(0, mailbox("100@default")),
        Record::Delete(device_key(9)),
    ]);
    let tickets: Vec<_> = decided.iter().map(|(ticket, _)| ticket.0).collect();
    assert_eq!(tickets, [1, 2, 3, 4, 5]);
    assert!(decided.iter().all(|(_, result)| result.is_ok()), "{decided:?}");
    // Slot 0 is freed and taken again in one batch, slot 1 is refreshed.
    bench.write(vec![
        Record::Delete(device_key(0)),
        up(0, device("Custom:d", None)),
        up(1, device("Custom:b", Some(9000))),
    ]);
    assert_eq!(bench.journal.written().records, 8);
    bench.journal.submit(Ticket(bench.next), up(3, device("Custom:last", None)));
    bench.journal.close().expect("closes");
    let last: Vec<Decision> = bench.decisions.try_iter().flatten().collect();
    assert_eq!(last, [(Ticket(9), Ok(()))], "close decides what was submitted");

    let mut bench = reopen();
    let (rows, loaded) = bench.load(200);
    if keeps {
        let expected = BTreeMap::from([
            (device_key(0), device("Custom:d", None)),
            (device_key(1), device("Custom:b", Some(9000))),
            (device_key(3), device("Custom:last", None)),
            (Key { kind: Kind::Mailbox, slot: 0 }, mailbox("100@default")),
        ]);
        assert_eq!(rows, expected);
        assert_eq!(loaded, Loaded { live: 4, expired: 1, damaged: 0 });
    } else {
        assert_eq!(loaded, Loaded::default());
    }
    // The expired row's slot 2 is taken by a new record; freeing the old must not free the new.
    bench.write(vec![up(2, device("Custom:new", None))]);
    bench.write(vec![up(4, device("Custom:newer", None))]);
    bench.journal.close().expect("closes");

    if keeps {
        let mut bench = reopen();
        let (rows, loaded) = bench.load(200);
        assert_eq!(rows.get(&device_key(2)), Some(&device("Custom:new", None)));
        assert_eq!(loaded, Loaded { live: 6, expired: 0, damaged: 0 });
    }
}

#[test]
fn battery_power() {
    let temp = TempDir::new();
    battery(|| Bench::lmdb(temp.path(), Durability::Power), true);
}

#[test]
fn battery_process() {
    let temp = TempDir::new();
    battery(|| Bench::lmdb(temp.path(), Durability::Process), true);
}

#[test]
fn battery_memory() {
    battery(|| Bench::over(|deliver| Box::new(Memory::new(deliver))), false);
}

#[test]
fn a_damaged_row_is_skipped_counted_and_its_place_used_again() {
    let temp = TempDir::new();
    let mut bench = Bench::lmdb(temp.path(), Durability::Power);
    bench.write((0..3).map(|slot| up(slot, device(&format!("Custom:{slot}"), None))).collect());
    bench.journal.close().expect("closes");
    let store = open(temp.path(), Durability::Power, BYTES_MAX, Arc::new(drop)).expect("opens");
    store.scribble(device_key(1), |row| *row.last_mut().expect("bytes") ^= 1);
    drop(store);

    let mut bench = Bench::lmdb(temp.path(), Durability::Power);
    let (rows, loaded) = bench.load(0);
    assert_eq!(loaded, Loaded { live: 2, expired: 0, damaged: 1 });
    assert!(!rows.contains_key(&device_key(1)));
    bench.write(vec![up(7, device("Custom:7", None))]);
    bench.journal.close().expect("closes");
    let store = open(temp.path(), Durability::Power, BYTES_MAX, Arc::new(drop)).expect("opens");
    assert_eq!(store.rows_in_file(Kind::Device), 3, "the damaged row went with the first commit");
}

#[test]
fn a_row_of_a_newer_version_stops_the_start() {
    let temp = TempDir::new();
    let mut bench = Bench::lmdb(temp.path(), Durability::Power);
    bench.write(vec![up(0, device("Custom:0", None))]);
    bench.journal.close().expect("closes");
    let mut store = open(temp.path(), Durability::Power, BYTES_MAX, Arc::new(drop)).expect("opens");
    store.scribble(device_key(0), |row| row[0] = 9);
    let fault = store.load(Kind::Device, UnixTime::from_millis(0), &mut |_, _| {}).expect_err("refused");
    let said = fault.to_string();
    let program = concat!("(", env!("CARGO_PKG_VERSION"), ", schema 9); this is lampyris ");
    assert!(said.contains(program) && said.contains("schemas 1 to 2"), "{said}");
}

#[test]
fn a_full_store_refuses_what_does_not_fit_and_takes_what_frees_it() {
    let temp = TempDir::new();
    let mut bench = Bench::over(|deliver| {
        Box::new(open(temp.path(), Durability::Power, 1 << 20, deliver).expect("opens"))
    });
    let large = "x".repeat(3000);
    let mut stored = Vec::new();
    for slot in 0..400 {
        let decided = bench.write(vec![up(slot, device(&large, None))]);
        match &decided[0].1 {
            Ok(()) => stored.push(slot),
            Err(error) => {
                assert!(error.reason.contains("store_bytes_max"), "{error:?}");
                break;
            }
        }
    }
    assert!((50..400).contains(&stored.len()), "{} rows in 1 MiB", stored.len());
    // In one batch with an upsert that cannot fit, the deletes still count.
    let mut batch: Vec<Record> =
        stored.iter().take(40).map(|slot| Record::Delete(device_key(*slot))).collect();
    batch.push(up(500, device(&"y".repeat(2 << 20), None)));
    let decided = bench.write(batch);
    assert!(decided[..40].iter().all(|(_, result)| result.is_ok()), "{decided:?}");
    assert!(decided[40].1.is_err());
    // LMDB gives pages out again from the second commit after the one that freed them.
    bench.write(vec![Record::Delete(device_key(900))]);
    bench.write(vec![Record::Delete(device_key(901))]);
    let decided = bench.write((600..610).map(|slot| up(slot, device(&large, None))).collect());
    assert!(decided.iter().all(|(_, result)| result.is_ok()), "room again: {decided:?}");
    bench.journal.close().expect("closes");
    let (rows, _) = Bench::lmdb(temp.path(), Durability::Power).load(0);
    assert_eq!(rows.len(), stored.len() - 40 + 10);
}

#[test]
fn how_it_was_left_is_known() {
    let temp = TempDir::new();
    let reopen = || open(temp.path(), Durability::Power, BYTES_MAX, Arc::new(drop)).expect("opens");
    let store = reopen();
    assert!(store.previous().clean && store.previous().last_commit.is_none());
    drop(store);
    let store = reopen();
    assert!(!store.previous().clean, "dropped without close");
    Box::new(store).close().expect("closes");
    assert!(reopen().previous().clean);
}

#[test]
fn a_store_that_a_newer_program_has_used_is_refused_before_anything_is_read() {
    let temp = TempDir::new();
    let mut bench = Bench::lmdb(temp.path(), Durability::Power);
    bench.write(vec![up(0, device("Custom:0", None))]);
    bench.journal.close().expect("closes");
    let store = open(temp.path(), Durability::Power, BYTES_MAX, Arc::new(drop)).expect("opens");
    let tables = store.shared().tables().expect("open");
    let mut txn = tables.env.write_txn().expect("txn");
    tables.meta.put(&mut txn, "schema", &7).expect("put");
    tables.meta.put(&mut txn, "program", &(3 << 32 | 2 << 16 | 1)).expect("put");
    txn.commit().expect("commit");
    drop((tables, store));
    let fault = open(temp.path(), Durability::Power, BYTES_MAX, Arc::new(drop)).err().expect("refused");
    let expected = concat!(
        "written by a newer version of lampyris (3.2.1, schema 7); this is lampyris ",
        env!("CARGO_PKG_VERSION"),
        ", which reads schemas 1 to 2"
    );
    assert!(fault.to_string().contains(expected), "{fault}");
}

#[test]
fn a_store_of_an_older_schema_opens_and_is_rewritten_as_it_is_used() {
    let temp = TempDir::new();
    let mut bench = Bench::lmdb(temp.path(), Durability::Power);
    bench.write((0..2).map(|slot| up(slot, mailbox(&format!("{slot}@default")))).collect());
    bench.journal.close().expect("closes");
    let store = open(temp.path(), Durability::Power, BYTES_MAX, Arc::new(drop)).expect("opens");
    let key = Key { kind: Kind::Mailbox, slot: 1 };
    // The record as schema 1 wrote it: its number before it, and the checksum over that.
    store.scribble(key, |row| {
        let body = [&[4], row.get(13..).expect("a body")].concat();
        *row = super::codec::seal_as(key, 1, &body);
    });
    drop(store);
    let found = super::check::check_file(
        &temp.path().join("store/data.mdb"),
        UnixTime::from_millis(0),
        &mut |_, _| {},
    );
    assert_eq!(found.expect("reads").rows().older, 1);
    let mut bench = Bench::lmdb(temp.path(), Durability::Power);
    let (rows, loaded) = bench.load(0);
    assert_eq!((loaded.live, loaded.damaged), (2, 0));
    assert_eq!(rows.get(&key), Some(&mailbox("1@default")));
    bench.write(vec![up(1, mailbox("1@default"))]);
    bench.journal.close().expect("closes");
    let found = super::check::check_file(
        &temp.path().join("store/data.mdb"),
        UnixTime::from_millis(0),
        &mut |_, _| {},
    );
    assert_eq!(found.expect("reads").rows().older, 0);
}

/// Fails the next commit as the disk would, and says what became of a record and of the one after.
fn failing_once(fault: fn() -> heed::Error) -> (Vec<Decision>, super::Health, Vec<Decision>, super::Health) {
    let temp = TempDir::new();
    let (sender, decisions) = mpsc::channel();
    let deliver: Deliver = Arc::new(move |batch| drop(sender.send(batch)));
    let store = open(temp.path(), Durability::Power, BYTES_MAX, deliver).expect("opens");
    let (shared, health) = (store.shared(), store.health());
    let mut bench = Bench { journal: Box::new(store), decisions, next: 1 };
    bench.write(vec![up(0, device("Custom:before", None))]);
    *shared.injected.lock().expect("not poisoned") = Some(fault);
    let first = bench.write(vec![up(1, device("Custom:1", None))]);
    let ill = health.get();
    let second = bench.write(vec![up(2, device("Custom:2", None))]);
    let well = health.get();
    bench.journal.close().expect("closes");
    drop(shared);
    let (rows, _) = Bench::lmdb(temp.path(), Durability::Power).load(0);
    let stored = |slot| rows.contains_key(&device_key(slot));
    assert_eq!((stored(0), stored(1), stored(2)), (true, first[0].1.is_ok(), true), "as was said");
    (first, ill, second, well)
}

#[test]
fn what_the_disk_refuses_is_said_and_forgotten_when_it_takes_again() {
    let full = || heed::Error::Io(std::io::Error::from_raw_os_error(nix::errno::Errno::ENOSPC as i32));
    let (first, ill, second, well) = failing_once(full);
    let reason = first[0].1.as_ref().expect_err("refused").reason.clone();
    assert!(reason.contains("the disk is full"), "{reason}");
    let failing = ill.failing.expect("said");
    assert_eq!((failing.refused, failing.reason), (1, reason));
    assert!(second[0].1.is_ok() && well.failing.is_none());
    let readonly = || heed::Error::Io(std::io::Error::from_raw_os_error(nix::errno::Errno::EROFS as i32));
    let reason = failing_once(readonly).0[0].1.as_ref().expect_err("refused").reason.clone();
    assert!(reason.contains("read-only"), "{reason}");
}

#[test]
fn an_environment_that_lmdb_gave_up_on_is_opened_again() {
    let (first, ill, second, _) = failing_once(|| heed::Error::Mdb(heed::MdbError::Panic));
    assert!(first[0].1.is_ok() && second[0].1.is_ok(), "{first:?} {second:?}");
    assert_eq!(ill.failing, None);
}

/// The other half of `a_kill_loses_nothing_that_was_acknowledged`: does nothing unless started by it.
#[test]
fn kill_child() {
    let Ok(path) = std::env::var("LAMPYRIS_STORE_KILL_CHILD") else { return };
    let durability = if std::env::var_os("LAMPYRIS_STORE_PROCESS").is_some() {
        Durability::Process
    } else {
        Durability::Power
    };
    let mut bench = Bench::lmdb(Path::new(&path), durability);
    for slot in 0.. {
        bench.write(vec![up(slot, device(&format!("Custom:{slot}"), None))]);
        std::fs::write(format!("{path}/acknowledged.new"), slot.to_string()).expect("note");
        std::fs::rename(format!("{path}/acknowledged.new"), format!("{path}/acknowledged")).expect("note");
    }
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged() {
    for process in [false, true] {
        let temp = TempDir::new();
        let mut command = std::process::Command::new(std::env::current_exe().expect("this test"));
        command
            .args(["--exact", "store::tests::kill_child", "--test-threads=1"])
            .env("LAMPYRIS_STORE_KILL_CHILD", temp.path())
            .stdout(std::process::Stdio::null());
        if process {
            command.env("LAMPYRIS_STORE_PROCESS", "1");
        }
        let mut child = command.spawn().expect("child");
        let acknowledged = || -> u64 {
            std::fs::read_to_string(temp.path().join("acknowledged"))
                .ok()
                .and_then(|n| n.parse().ok())
                .unwrap_or(0)
        };
        while acknowledged() < 20 {
            assert!(child.try_wait().expect("wait").is_none(), "the child ended by itself");
            std::thread::yield_now();
        }
        child.kill().expect("kill -9");
        child.wait().expect("reaped");
        let acknowledged = acknowledged();
        let durability = if process { Durability::Process } else { Durability::Power };
        let (rows, loaded) = Bench::lmdb(temp.path(), durability).load(0);
        assert_eq!(loaded.damaged, 0);
        for slot in 0..=acknowledged {
            assert_eq!(
                rows.get(&device_key(slot)),
                Some(&device(&format!("Custom:{slot}"), None)),
                "slot {slot}"
            );
        }
    }
}

/// The other half of `a_disk_that_takes_no_more_fails_its_own_tickets_only`: does nothing unless started by it.
#[test]
fn full_disk_child() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok(path) = std::env::var("LAMPYRIS_STORE_FULL_DISK_CHILD") else { return };
    // Why: a file that may not grow is the nearest to a full disk that a test can have; the write fails likewise.
    let ignored = nix::sys::signal::SigSet::from_iter([nix::sys::signal::Signal::SIGXFSZ]);
    ignored.thread_block().expect("blocked");
    let mut bench = Bench::lmdb(Path::new(&path), Durability::Power);
    bench.write(vec![up(0, device("Custom:before", None))]);
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).expect("limit");
    setrlimit(Resource::RLIMIT_FSIZE, 64 << 10, hard).expect("set");
    let decided = bench.write((1..40).map(|slot| up(slot, device(&"x".repeat(3000), None))).collect());
    assert!(decided.iter().all(|(_, result)| result.is_err()), "{decided:?}");
    setrlimit(Resource::RLIMIT_FSIZE, hard, hard).expect("set");
    let decided = bench.write((50..90).map(|slot| up(slot, device(&"y".repeat(3000), None))).collect());
    assert!(decided.iter().all(|(_, result)| result.is_ok()), "{decided:?}");
    bench.journal.close().expect("closes");
    assert_eq!(Bench::lmdb(Path::new(&path), Durability::Power).load(0).1.live, 41);
    std::fs::write(format!("{path}/done"), "").expect("note");
}

#[test]
fn a_disk_that_takes_no_more_fails_its_own_tickets_only() {
    let temp = TempDir::new();
    let status = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "store::tests::full_disk_child", "--test-threads=1"])
        .env("LAMPYRIS_STORE_FULL_DISK_CHILD", temp.path())
        .status()
        .expect("child");
    assert!(status.success());
    assert!(temp.path().join("done").exists(), "the child did its half");
}
