//! Stores that were cut, overwritten and mixed up: whatever lies there, one opens, and what it gives back was written.

use super::backup;
use super::structure::{self, FileSource, Flaw, Source};
use super::tests::{BYTES_MAX, Bench, TempDir, device, mailbox, up};
use super::{Journal as _, check, shelf, tables, tests};
use crate::config::Durability;
use lampyris_core::journal::{Key, Kind, Record, Value};
use lampyris_core::time::UnixTime;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

const NOW: UnixTime = UnixTime::from_millis(0);

/// xorshift64*: faults that repeat exactly.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }
}

/// `LAMPYRIS_EFFORT` times this.
fn effort(count: u64) -> u64 {
    let effort = std::env::var("LAMPYRIS_EFFORT").ok().and_then(|text| text.parse().ok());
    count * effort.unwrap_or(1).max(1)
}

/// A store with trees of several levels, rows with pages of their own, and free pages; its bytes and its rows.
fn original() -> (Vec<u8>, BTreeMap<Key, Value>) {
    let temp = TempDir::new();
    let mut bench = Bench::lmdb(temp.path(), Durability::Process);
    let name =
        |slot: u64| format!("Custom:{slot}-{}", "x".repeat(if slot.is_multiple_of(50) { 9000 } else { 100 }));
    bench.write((0..1500).map(|slot| up(slot, device(&name(slot), None))).collect());
    bench.write((0..1500).map(|slot| up(slot, mailbox(&format!("{slot}@default")))).collect());
    bench.write((0..400).map(|slot| Record::Delete(Key { kind: Kind::Device, slot: slot * 3 })).collect());
    bench.write((0..30).map(|slot| up(slot * 3, device(&name(slot * 3), None))).collect());
    let (rows, _) = bench.load(0);
    bench.journal.close().expect("closes");
    (std::fs::read(temp.path().join("store/data.mdb")).expect("read"), rows)
}

fn lay(data: &Path, bytes: &[u8]) {
    let _ = std::fs::remove_dir_all(data);
    std::fs::create_dir_all(data.join("store")).expect("made");
    std::fs::write(data.join("store/data.mdb"), bytes).expect("written");
}

/// Opens what lies there, takes its rows, writes one, closes, opens again; returns how many rows were given back, and
/// whether the file was set aside.
fn comes_up(data: &Path, rows: &BTreeMap<Key, Value>, what: &str) -> (usize, bool) {
    let began = Instant::now();
    let store = tests::open(data, Durability::Power, BYTES_MAX, std::sync::Arc::new(drop));
    let store = store.unwrap_or_else(|fault| panic!("{what}: {fault}"));
    let is_aside = store.health().get().rescue.is_some();
    Box::new(store).close().expect("closes");
    let mut bench = Bench::lmdb(data, Durability::Power);
    let (found, _) = bench.load(0);
    for (key, value) in &found {
        assert_eq!(rows.get(key), Some(value), "{what}: {key:?} was never written");
    }
    let decided = bench.write(vec![up(9_999_999, device("Custom:after", None))]);
    assert!(decided.iter().all(|(_, result)| result.is_ok()), "{what}: {decided:?}");
    bench.journal.close().expect("closes");
    assert!(began.elapsed() < Duration::from_secs(60), "{what}: took {:?}", began.elapsed());
    (found.len(), is_aside)
}

#[test]
fn a_store_comes_up_whatever_was_done_to_its_file() {
    let (bytes, rows) = original();
    let temp = TempDir::new();
    let mut random = Random(0x5eed);
    let len = bytes.len();
    let mut faults: Vec<(String, Vec<u8>)> = Vec::new();
    for cut in [0, 1, 100, 4095, 4096, 8191, 8192, 8193, len / 2, len - 4096, len - 1] {
        faults.push((format!("cut to {cut}"), bytes[..cut].to_vec()));
    }
    for _ in 0..effort(8) {
        let cut = usize::try_from(random.below(len as u64)).expect("fits");
        faults.push((format!("cut to {cut}"), bytes[..cut].to_vec()));
    }
    for (at, what) in [(16, "magic"), (4096 + 16, "second magic"), (20, "version"), (10, "kind of the head")]
    {
        let mut bad = bytes.clone();
        bad[at] ^= 0xff;
        faults.push((format!("wrong {what}"), bad));
    }
    for _ in 0..effort(12) {
        let page = usize::try_from(random.below(len as u64 / 4096)).expect("fits");
        let mut bad = bytes.clone();
        bad[page * 4096..(page + 1) * 4096].fill(0);
        faults.push((format!("page {page} zeroed"), bad));
    }
    for n in 0..effort(40) {
        let page = usize::try_from(random.below(len as u64 / 4096)).expect("fits");
        // Half of them where it hurts: in a page's head and its list of nodes.
        let within = usize::try_from(random.below(if n % 2 == 0 { 64 } else { 4096 })).expect("fits");
        let bit = random.below(8);
        let mut bad = bytes.clone();
        bad[page * 4096 + within] ^= 1 << bit;
        faults.push((format!("page {page} byte {within} bit {bit} flipped"), bad));
    }
    faults.push(("nothing".into(), bytes.clone()));
    faults.push(("no LMDB at all".into(), vec![0x5a; 16384]));
    let (mut asides, mut whole) = (0, 0);
    for (what, bad) in &faults {
        lay(temp.path(), bad);
        let (found, is_aside) = comes_up(temp.path(), &rows, what);
        asides += u64::from(is_aside);
        whole += u64::from(found == rows.len());
        assert!(!is_aside || found == 0, "{what}: there was no backup");
        assert!(what != "nothing" || found == rows.len(), "an undamaged store is taken as it is");
    }
    assert!(asides >= 20 && whole >= 1, "{asides} of {} set aside, {whole} whole", faults.len());
}

#[test]
fn a_damaged_store_is_replaced_by_its_last_whole_backup() {
    let temp = TempDir::new();
    let data = temp.path();
    let mut bench = Bench::lmdb(data, Durability::Power);
    bench.write((0..300).map(|slot| up(slot, device(&format!("Custom:{slot}"), None))).collect());
    bench.journal.close().expect("closes");
    let store = tests::open(data, Durability::Power, BYTES_MAX, std::sync::Arc::new(drop)).expect("opens");
    let early = UnixTime::from_millis(1_000_000);
    let late = UnixTime::from_millis(2_000_000);
    let good = shelf::make(&store.shared(), data, 3, early, &mut |_, _| {}).expect("made");
    let bad = shelf::make(&store.shared(), data, 3, late, &mut |_, _| {}).expect("made");
    assert_eq!((good.rows, shelf::list(data).expect("lists").len()), (300, 2));
    Box::new(store).close().expect("closes");
    let cut = std::fs::read(&bad.path).expect("read");
    std::fs::write(&bad.path, &cut[..cut.len() - 9]).expect("cut");
    let file = data.join("store/data.mdb");
    let whole = std::fs::read(&file).expect("read");
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("cut");

    let store = tests::open(data, Durability::Power, BYTES_MAX, std::sync::Arc::new(drop)).expect("opens");
    let rescue = store.health().get().rescue.expect("rescued");
    assert_eq!(rescue.records, 300);
    assert_eq!(rescue.backup, Some((good.path.display().to_string(), 1_000_000)));
    assert_eq!(
        std::fs::read(Path::new(&rescue.aside).join("data.mdb")).expect("kept").len(),
        whole.len() / 2
    );
    assert!(!store.previous().clean, "what a backup says is older than what was sent");
    Box::new(store).close().expect("closes");
    let (rows, loaded) = Bench::lmdb(data, Durability::Power).load(0);
    assert_eq!((rows.len(), loaded.damaged), (300, 0));
}

#[test]
fn a_restore_that_was_interrupted_is_ended_or_begun_again() {
    let temp = TempDir::new();
    let data = temp.path().join("data");
    let mut bench = Bench::lmdb(&data, Durability::Power);
    bench.write((0..10).map(|slot| up(slot, device(&format!("Custom:{slot}"), None))).collect());
    bench.journal.close().expect("closes");
    let store = tests::open(&data, Durability::Power, BYTES_MAX, std::sync::Arc::new(drop)).expect("opens");
    let made = backup::write(&store.shared(), &temp.path().join("b"), NOW, &mut |_, _| {}).expect("made");
    drop(store);
    // The machine lost its power between the two renames.
    super::rescue::stage(&made.path, &data, BYTES_MAX, &mut |_, _| {}).expect("staged");
    std::fs::rename(data.join("store"), data.join("store.damaged-x")).expect("renamed");
    let mut bench = Bench::lmdb(&data, Durability::Power);
    assert_eq!(bench.load(0).1.live, 10);
    bench.journal.close().expect("closes");
    // And while the new store was being made.
    std::fs::create_dir(data.join("store.restoring")).expect("made");
    std::fs::write(data.join("store.restoring/data.mdb"), "half").expect("written");
    std::fs::rename(data.join("store"), data.join("store.damaged-y")).expect("renamed");
    assert_eq!(Bench::lmdb(&data, Durability::Power).load(0).1.live, 0);
}

#[test]
fn every_cut_and_every_flipped_byte_of_a_backup_is_found() {
    let temp = TempDir::new();
    let mut bench = Bench::lmdb(&temp.path().join("data"), Durability::Process);
    bench.write((0..5).map(|slot| up(slot, device(&format!("Custom:{slot}"), None))).collect());
    bench.write(vec![up(7, device("Custom:over", Some(5)))]);
    bench.journal.close().expect("closes");
    let store =
        tests::open(&temp.path().join("data"), Durability::Power, BYTES_MAX, std::sync::Arc::new(drop));
    let store = store.expect("opens");
    let path = temp.path().join("b");
    let now = UnixTime::from_millis(77);
    let made = backup::write(&store.shared(), &path, now, &mut |_, _| {}).expect("made");
    assert_eq!((made.rows, made.damaged), (5, 0), "what has expired is left out");
    let summary = backup::verify(&path).expect("whole");
    assert_eq!((summary.rows, summary.made_at, summary.schema), (5, now, super::SCHEMA));
    let bytes = std::fs::read(&path).expect("read");
    assert_eq!(made.bytes, bytes.len() as u64);
    let judge = |bytes: &[u8]| backup::read::<backup::BackupFault>(&path, bytes, &mut |_, _| Ok(()));
    for cut in 0..bytes.len() {
        assert!(judge(&bytes[..cut]).is_err(), "cut to {cut}");
    }
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        assert!(judge(&bad).is_err(), "byte {at}");
    }
    assert!(judge(&[&bytes[..], b"x"].concat()).is_err(), "something follows");
}

/// What LMDB makes of thousands of changes passes the walk, and every page it names is accounted for.
#[test]
fn whatever_lmdb_writes_is_sound() {
    let temp = TempDir::new();
    let store =
        tests::open(temp.path(), Durability::Process, BYTES_MAX, std::sync::Arc::new(drop)).expect("opens");
    let shared = store.shared();
    let tables = shared.tables().expect("open");
    let mut random = Random(7);
    for round in 0..effort(60) {
        let mut txn = tables.env.write_txn().expect("txn");
        for _ in 0..random.below(200) {
            let rows = tables.rows(if random.below(2) == 0 { Kind::Device } else { Kind::Subscription });
            let slot = random.below(2000);
            if random.below(3) == 0 {
                rows.delete(&mut txn, &slot).expect("deleted");
            } else {
                let most = if random.below(20) == 0 { 20_000 } else { 600 };
                let bytes = usize::try_from(random.below(most)).expect("fits");
                rows.put(&mut txn, &slot, &vec![7; bytes]).expect("put");
            }
        }
        txn.commit().expect("commit");
        let txn = tables.env.read_txn().expect("txn");
        let counted: u64 = Kind::ALL.iter().map(|kind| tables.rows(*kind).len(&txn).expect("len")).sum();
        let source = FileSource::open(&shared.path.join(tables::DATA_FILE)).expect("opens");
        let walked = structure::walk(&source, Some(txn.id() as u64), &mut |_, _, _| {});
        let walked = walked.unwrap_or_else(|flaw| panic!("round {round}: {flaw}"));
        assert_eq!(walked.rows, counted, "round {round}");
    }
}

struct Bytes(Vec<u8>);

impl Source for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        let begin = usize::try_from(offset).expect("fits");
        into.copy_from_slice(self.0.get(begin..begin + into.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Thousands of damaged files: the walk ends on each, reads nothing outside of it, and gives back only what was written.
#[test]
fn the_walk_ends_on_anything_and_invents_nothing() {
    let (bytes, rows) = original();
    let sound = check::check(&Bytes(bytes.clone()), None, NOW, &mut |_, _| {}).expect("reads");
    assert!(sound.is_sound(), "{sound:?}");
    assert_eq!(sound.rows().live, rows.len() as u64);
    let mut random = Random(11);
    let mut found = 0;
    for round in 0..effort(400) {
        let mut bad = bytes.clone();
        for _ in 0..=random.below(3) {
            let page = random.below(bad.len() as u64 / 4096) * 4096;
            let at =
                usize::try_from(page + random.below(if round % 3 == 0 { 4096 } else { 48 })).expect("fits");
            bad[at] = u8::try_from(random.below(256)).expect("fits");
        }
        if round % 5 == 0 {
            bad.truncate(usize::try_from(random.below(bytes.len() as u64)).expect("fits"));
        }
        match check::check(&Bytes(bad), None, NOW, &mut |_, _| {}) {
            Ok(findings) => {
                found += u64::from(!findings.is_sound());
                assert!(findings.rows().live <= rows.len() as u64);
            }
            Err(Flaw::Unreadable(cause)) => panic!("round {round}: it read outside of the file: {cause}"),
            Err(other) => panic!("round {round}: {other}"),
        }
    }
    assert!(found > 60, "only {found} were found");
}
