//! How fast load comes: so many operations under way at a time, or so many per second whatever the server does.
//!
//! In: a [`Load`], which knows what the next operation is. Out: the time it took. At a rate, an operation's latency counts
//! from when it was due, so that a server that falls behind cannot hide it ("coordinated omission").

use super::limits::{SETTLE, SILENCE, TICK};
use super::progress::Progress;
use super::wire::Wire;
use super::{BenchError, Pace};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// Most operations begun before what has come is read.
const BURST: u32 = 32;

/// Something that makes requests and takes what comes.
pub(crate) trait Load {
    /// Begins the next operation; false where that cannot be yet.
    fn start(&mut self, intended: Instant, now: Instant) -> bool;
    /// Takes a message.
    fn on_message(&mut self, flow: usize, bytes: &[u8], now: Instant);
    /// Looks at its timers.
    fn on_tick(&mut self, now: Instant);
    /// Operations under way.
    fn open(&self) -> usize;
    /// Operations that are over, well or not.
    fn finished(&self) -> u64;
    /// Messages to send, each with its flow.
    fn outbox(&mut self) -> &mut Vec<(usize, Bytes)>;
}

/// When a part of the load is long enough.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Amount {
    /// After so many operations.
    Count(u64),
    /// After this time no more are begun.
    Time(Duration),
}

/// Runs one part of the load to its end.
pub(crate) fn drive(
    wire: &mut dyn Wire,
    load: &mut dyn Load,
    pace: Pace,
    amount: Amount,
    progress: &mut Progress<'_>,
) -> Result<Duration, BenchError> {
    let began = Instant::now();
    let (mut started, mut heard, mut next_tick) = (0_u64, false, began + TICK);
    let mut ended = began;
    loop {
        let now = Instant::now();
        let more = match amount {
            Amount::Count(count) => started < count,
            Amount::Time(time) => now.saturating_duration_since(began) < time,
        };
        let mut due_in = TICK;
        for burst in 0..=BURST {
            let left = !matches!(amount, Amount::Count(count) if started >= count);
            let intended = match pace {
                Pace::Window(window) => (load.open() < window).then_some(now),
                Pace::Rate(rate) => {
                    let due = began + Duration::from_secs_f64(started as f64 / rate);
                    due_in = due.saturating_duration_since(now);
                    (due <= now).then_some(due)
                }
            };
            let Some(intended) = intended.filter(|_| more && left) else { break };
            if burst == BURST {
                due_in = Duration::ZERO;
                break;
            }
            if !load.start(intended, now) {
                due_in = TICK;
                break;
            }
            started += 1;
        }
        send(wire, load)?;
        if load.open() == 0
            && (!more || started == 0 || matches!(amount, Amount::Count(count) if started >= count))
        {
            break;
        }
        wire.receive(due_in.min(next_tick.saturating_duration_since(now)), &mut |flow, bytes| {
            heard = true;
            ended = Instant::now();
            load.on_message(flow, bytes, ended);
        })?;
        send(wire, load)?;
        let now = Instant::now();
        if now >= next_tick {
            next_tick = now + TICK;
            load.on_tick(now);
            send(wire, load)?;
            progress.show(load.finished(), amount, now.saturating_duration_since(began));
            if !heard && now.saturating_duration_since(began) > SILENCE {
                return Err(BenchError::Silent);
            }
        }
    }
    progress.clear();
    settle(wire, load, SETTLE)?;
    Ok(ended.saturating_duration_since(began))
}

/// Takes what may still come and was not asked for.
pub(crate) fn settle(wire: &mut dyn Wire, load: &mut dyn Load, time: Duration) -> Result<(), BenchError> {
    let until = Instant::now() + time;
    loop {
        let now = Instant::now();
        if now >= until {
            return Ok(());
        }
        let wait = TICK.min(until - now);
        wire.receive(wait, &mut |flow, bytes| load.on_message(flow, bytes, Instant::now()))?;
        load.on_tick(now);
        send(wire, load)?;
    }
}

fn send(wire: &mut dyn Wire, load: &mut dyn Load) -> Result<(), BenchError> {
    for (flow, message) in load.outbox().drain(..) {
        wire.queue(flow, message);
    }
    wire.flush()
}

/// Numbers without order, the same in every run (xorshift64*).
pub(crate) struct Shuffle(u64);

impl Default for Shuffle {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Shuffle {
    /// A number below `bound`; 0 where that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(number).unwrap_or(0).checked_rem(bound).unwrap_or(0)
    }
}
