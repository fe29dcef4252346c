//! Three pieces of work, so often as the command line says, for callgrind to count their instructions.
//!
//! Times are noisy and instruction counts are not: the same binary executes the same ones each time, since the node's
//! randomness has a seed and its clock is virtual. `scripts/instructions` runs this with two numbers, so that what is
//! done once falls out, and compares with `benches/instructions.txt`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark may end where something is not right"
)]

use bytes::Bytes;
use std::hint::black_box;

#[path = "../../sip/tests/messages/fields.rs"]
#[allow(unreachable_pub)]
mod fields;
#[allow(dead_code, reason = "`node` uses the rest")]
#[path = "node/rig.rs"]
mod rig;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (Some(work), Some(count)) = (arguments.next(), arguments.next()) else {
        // Why: `cargo bench` and `cargo test` run every benchmark, and this one has nothing to say of itself.
        return;
    };
    let count: u64 = count.parse().expect("how often");
    match work.as_str() {
        "parse" => {
            for _ in 0..count {
                black_box(fields::read_fields(Bytes::from_static(fields::SUBSCRIBE)));
            }
        }
        "subscribe" => drop(black_box(rig::subscribing(count, "presence"))),
        "notify" => drop(black_box(rig::notifying(count))),
        other => panic!("there is no `{other}`: parse, subscribe, notify"),
    }
}
