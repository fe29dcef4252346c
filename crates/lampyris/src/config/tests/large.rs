//! Large configurations: time grows with the size, not with its square.

use super::{load_asterisk, load_toml, printed};
use std::time::Duration;

/// Four times as many hints may take this many times longer: 4 and some noise; 16 is the square.
const TIMES_MAX: u32 = 9;
const FEW: u32 = 5_000;

/// CPU time of this thread so far, whatever else the machine does.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

fn spent(work: impl FnOnce()) -> Duration {
    let before = cpu();
    work();
    cpu() - before
}

fn grows_with_size(name: &str, load: impl Fn(u32)) {
    let (few, many) = (spent(|| load(FEW)), spent(|| load(4 * FEW)));
    assert!(!few.is_zero(), "{name}: this system counts no CPU time");
    assert!(many < few * TIMES_MAX, "{name}: {few:?}, and {many:?} for four times as many hints");
}

#[test]
fn hints_are_read_in_time_that_grows_with_their_number() {
    grows_with_size("toml", |count| {
        let hints: String = (0..count).map(|n| format!("\"{n}\" = \"Custom:l{n}\"\n")).collect();
        let loaded =
            load_toml(&format!("[hints]\n{hints}")).unwrap_or_else(|found| panic!("{}", printed(&found)));
        assert_eq!(loaded.settings.dialplan.hints().count(), count as usize);
    });
    grows_with_size("extensions.conf", |count| {
        let hints: String = (0..count).map(|n| format!("exten => {n},hint,Custom:l{n}\n")).collect();
        let extensions = format!("[default]\n{hints}");
        let loaded = load_asterisk("[general]\n", &extensions, None)
            .unwrap_or_else(|found| panic!("{}", printed(&found)));
        assert_eq!(loaded.settings.dialplan.hints().count(), count as usize);
    });
}
