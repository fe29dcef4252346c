//! `lampyris bench`: load for a SIP presence server, ours or another, and what it costs the server.
//!
//! In: a [`Plan`]: where the server is, how many watchers and presentities, which operations, how fast. Out: a [`Report`]:
//! for each part its rate and latencies, the server's CPU time and memory by its process id, and everything that was not
//! as it must be. One thread makes the load and takes the answers; it is written to cost less than a server does.
//!
//! ```text
//! driver ── how fast ──> presence, calls      what is asked, what must come   (write, scan, requests, account)
//!    └──── messages ───> wire                 sockets                         (wire::udp, wire::stream)
//! process, tally, report                      what it cost, what was counted
//! ```
//!
//! It follows no routes but those of calls, and one account answers all challenges.

mod account;
mod calls;
mod driver;
pub(crate) mod limits;
mod presence;
mod process;
pub(crate) mod progress;
mod report;
mod requests;
mod scan;
mod tally;
#[cfg(test)]
mod tests;
mod wire;
mod write;

pub(crate) use account::Account;
pub(crate) use presence::Shape;
pub(crate) use report::{Report, Row};

use crate::config::Listen;
use driver::{Amount, drive};
use presence::{Part, Presence};
use process::{Memory, Usage};
use progress::Progress;
use report::Measured;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;
use wire::Wire;

/// Where the load goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its socket.
    pub(crate) server: Listen,
    /// Domain of all users.
    pub(crate) domain: String,
    /// Authorities that vouch for its certificate; the system's where `None`.
    pub(crate) ca: Option<PathBuf>,
    /// The processes that are measured, with their descendants.
    pub(crate) pids: Vec<u32>,
}

impl Target {
    /// The name its certificate must show.
    fn tls_name(&self) -> String {
        self.domain.clone()
    }
}

/// How fast operations come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many under way; the next when one is over.
    Window(usize),
    /// So many per second, whatever the server does.
    Rate(f64),
}

/// Which load.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// New subscriptions.
    Subscribe,
    /// Refreshes, in creation order or any.
    Refresh {
        /// In any order.
        random: bool,
    },
    /// Changes that nobody watches.
    Publish,
    /// Changes that are watched.
    Fanout,
    /// All of these together.
    Mixed,
    /// Calls through a proxy, each held so many milliseconds.
    Calls {
        /// Milliseconds from ACK to BYE.
        hold_ms: u64,
    },
    /// The cost of each operation as subscriptions and watchers grow.
    Growth {
        /// Subscriptions held.
        sizes: Vec<usize>,
        /// Watchers of one presentity.
        fan_outs: Vec<usize>,
    },
}

/// A whole benchmark.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) work: Work,
    pub(crate) watchers: usize,
    pub(crate) presentities: usize,
    pub(crate) count: Option<u64>,
    pub(crate) seconds: Option<u64>,
    pub(crate) pace: Pace,
    pub(crate) flows: usize,
    pub(crate) account: Option<Account>,
    pub(crate) shape: Shape,
    /// Whether subscriptions are left as they are.
    pub(crate) leave: bool,
    /// Seconds between the last operation and the look at the memory.
    pub(crate) settle_s: u64,
}

/// Why a benchmark ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A socket.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Nothing ever came.
    #[error("nothing answers at that address; is the server running there, and for that domain?")]
    Silent,
    /// A connection ended.
    #[error("the server closed a connection")]
    Closed,
    /// A stream made no sense.
    #[error("what the server sent cannot be read: {0}")]
    Unreadable(String),
    /// No TLS.
    #[error("TLS: {0}")]
    Tls(String),
    /// The process that was to be measured.
    #[error("there is no process {0}")]
    NoProcess(u32),
}

/// Runs the plan; a line of progress goes to `terminal`, if there is one.
///
/// # Errors
/// The server cannot be reached, or goes away. That it does something wrong is no error but stands in the report.
pub(crate) fn run(plan: &Plan, terminal: Option<&mut dyn Write>) -> Result<Report, BenchError> {
    // Why: callers and callees are not on the same flow.
    let least = if matches!(plan.work, Work::Calls { .. }) { 2 } else { 1 };
    let wire = wire::open(&plan.target, plan.flows.max(least))?;
    let mut bench = Bench {
        report: Report::new(&plan.target, plan.pace, wire.flows()),
        wire,
        plan,
        progress: Progress::new(terminal),
    };
    // Why: a server keeps what an earlier run left; the run's number keeps the two apart.
    let run = getrandom::u32().map_err(|error| io::Error::other(error.to_string()))?;
    match &plan.work {
        Work::Calls { hold_ms } => bench.calls(run, *hold_ms)?,
        _ => bench.presence(run)?,
    }
    Ok(bench.report)
}

struct Bench<'p, 't> {
    plan: &'p Plan,
    wire: Box<dyn Wire>,
    progress: Progress<'t>,
    report: Report,
}

/// Usage before a part: the server's processes and theirs, if known, and ours.
struct Before {
    server: Option<(Vec<u32>, Usage, Memory)>,
    own: Usage,
}

impl Bench<'_, '_> {
    fn presence(&mut self, run: u32) -> Result<(), BenchError> {
        let plan = self.plan;
        let mut world =
            Presence::new(&plan.target, self.wire.as_ref(), plan.shape.clone(), plan.account.clone(), run)?;
        let (watchers, presentities) = (plan.watchers, plan.presentities);
        let everyone = Part::Subscribe { first: 0, presentities };
        let changes = Part::Publish { first: 0, presentities };
        let own = |otherwise: usize| report::amount(plan.count, plan.seconds, otherwise);
        match &plan.work {
            Work::Subscribe => {
                self.part(&mut world, "subscribe", everyone, own(watchers))?;
                self.hold(&mut world)?;
            }
            Work::Refresh { random } => {
                self.prepare(&mut world, "subscribe", everyone, watchers)?;
                let name = if *random { "refresh, random order" } else { "refresh" };
                self.part(&mut world, name, Part::Refresh { random: *random }, own(watchers))?;
            }
            Work::Publish => {
                self.prepare(&mut world, "publish, first", changes, presentities)?;
                self.part(&mut world, "publish, change", changes, own(presentities))?;
            }
            Work::Fanout => {
                self.prepare(&mut world, "publish, first", changes, presentities)?;
                self.prepare(&mut world, "subscribe", everyone, watchers)?;
                let name = format!("fanout {presentities} x {}", watchers / presentities.max(1));
                self.part(&mut world, &name, changes, own(presentities.max(100)))?;
            }
            Work::Mixed => {
                self.prepare(&mut world, "publish, first", changes, presentities)?;
                self.prepare(&mut world, "subscribe", everyone, watchers)?;
                self.part(&mut world, "mixed", Part::Mixed, own(watchers))?;
            }
            Work::Growth { sizes, fan_outs } => self.growth(&mut world, sizes, fan_outs)?,
            Work::Calls { .. } => {}
        }
        if !plan.leave && world.active() > 0 {
            let active = world.active();
            self.prepare(&mut world, "end", Part::End, active)?;
        }
        Ok(())
    }

    /// Each operation at each size, then each fan-out; what was made for one size stays for the next.
    fn growth(
        &mut self,
        world: &mut Presence,
        sizes: &[usize],
        fan_outs: &[usize],
    ) -> Result<(), BenchError> {
        let circle = self.plan.watchers.max(1) / self.plan.presentities.max(1);
        let circle = circle.max(1);
        let sample = report::amount(self.plan.count, None, 20_000);
        let mut first = 0;
        for size in sizes {
            let more = size.saturating_sub(world.active());
            let presentities = (more / circle).max(1);
            let name = |what: &str| format!("{what} at {size}");
            let all = Amount::Count(more as u64);
            self.part(world, &name("subscribe"), Part::Subscribe { first, presentities }, all)?;
            first += presentities;
            self.hold(world)?;
            self.part(world, &name("refresh"), Part::Refresh { random: false }, sample)?;
            self.part(world, &name("refresh, random"), Part::Refresh { random: true }, sample)?;
            let alone = self.plan.presentities;
            let lonely = Part::Publish { first, presentities: alone };
            self.prepare(world, "publish, first", lonely, alone)?;
            self.part(world, &name("publish"), lonely, sample)?;
            first += alone;
        }
        for fan_out in fan_outs {
            // As many presentities as give all the watchers, so that each row sends about as many NOTIFYs.
            let presentities = (self.plan.watchers / fan_out.max(&1)).max(1);
            let (circle, changes) =
                (Part::Subscribe { first, presentities }, Part::Publish { first, presentities });
            self.prepare(world, "publish, first", changes, presentities)?;
            self.prepare(world, "subscribe", circle, presentities * fan_out)?;
            let count = Amount::Count((presentities * 10) as u64);
            self.part(world, &format!("fanout {presentities} x {fan_out}"), changes, count)?;
            first += presentities;
        }
        Ok(())
    }

    fn calls(&mut self, run: u32, hold_ms: u64) -> Result<(), BenchError> {
        let plan = self.plan;
        let mut world = calls::Calls::new(
            &plan.target,
            self.wire.as_ref(),
            plan.account.clone(),
            (&plan.shape.presentity, plan.presentities),
            Duration::from_millis(hold_ms),
            run,
        )?;
        let callees = Amount::Count(plan.presentities.max(1) as u64);
        self.progress.begin("register");
        world.begin(calls::Part::Register)?;
        drive(self.wire.as_mut(), &mut world, Pace::Window(64), callees, &mut self.progress)?;
        let failed = world.counts().0;
        if failed.failures() > 0 {
            let row = self.measured("register", &world.counts(), 0, Default::default(), self.before()?)?;
            self.report.push(row, &failed);
            return Ok(());
        }
        world.begin(calls::Part::Call)?;
        self.progress.begin("calls");
        let before = self.before()?;
        let amount = report::amount(plan.count, plan.seconds, 1000);
        let took = drive(self.wire.as_mut(), &mut world, plan.pace, amount, &mut self.progress)?;
        let row = self.measured("calls", &world.counts(), 0, took, before)?;
        self.report.push(row, &world.counts().0);
        self.progress.begin("unregister");
        world.begin(calls::Part::Unregister)?;
        drive(self.wire.as_mut(), &mut world, Pace::Window(64), callees, &mut self.progress)?;
        Ok(())
    }

    /// A row of what the server costs, and how much memory it holds, while nothing is asked of it.
    fn hold(&mut self, world: &mut Presence) -> Result<(), BenchError> {
        if self.plan.settle_s == 0 {
            return Ok(());
        }
        let name = format!("held for {} s", self.plan.settle_s);
        world.begin(Part::Hold)?;
        self.progress.begin(&name);
        let before = self.before()?;
        driver::settle(self.wire.as_mut(), world, Duration::from_secs(self.plan.settle_s))?;
        let counts = world.counts();
        let row = self.measured(&name, &counts, world.active(), Duration::ZERO, before)?;
        self.report.push(row, &counts.0);
        Ok(())
    }

    /// A part that is not measured; that it went well is.
    fn prepare(
        &mut self,
        world: &mut Presence,
        name: &str,
        part: Part,
        count: usize,
    ) -> Result<(), BenchError> {
        let at = self.report.rows.len();
        // Why: the most a server is known to take at once, so that what is prepared does not fail for haste.
        let pace = Pace::Window(limits::PREPARE_WINDOW);
        self.paced(world, name, part, Amount::Count(count as u64), pace)?;
        let clean =
            self.report.rows.get(at).is_some_and(|row| row.failed.is_empty() && row.faults.sum() == 0);
        if clean {
            self.report.rows.truncate(at);
        }
        Ok(())
    }

    fn part(
        &mut self,
        world: &mut Presence,
        name: &str,
        part: Part,
        amount: Amount,
    ) -> Result<(), BenchError> {
        self.paced(world, name, part, amount, self.plan.pace)
    }

    fn paced(
        &mut self,
        world: &mut Presence,
        name: &str,
        part: Part,
        amount: Amount,
        pace: Pace,
    ) -> Result<(), BenchError> {
        world.begin(part)?;
        self.progress.begin(name);
        let before = self.before()?;
        let took = drive(self.wire.as_mut(), world, pace, amount, &mut self.progress)?;
        let counts = world.counts();
        let row = self.measured(name, &counts, world.active(), took, before)?;
        self.report.push(row, &counts.0);
        Ok(())
    }

    fn before(&self) -> Result<Before, BenchError> {
        let named = &self.plan.target.pids;
        let mut server = None;
        if !named.is_empty() {
            let pids: Vec<u32> = named.iter().flat_map(|pid| process::family(*pid)).collect();
            let usage = usage_of(&pids, named)?;
            let memory = process::memory(&pids);
            server = Some((pids, usage, memory));
        }
        Ok(Before { server, own: own_usage() })
    }

    fn measured(
        &self,
        name: &str,
        (tally, sent_again): &(tally::Tally, u64),
        subscriptions: usize,
        took: Duration,
        before: Before,
    ) -> Result<Row, BenchError> {
        let own = own_usage().since(&before.own);
        let server = match before.server {
            None => None,
            Some((pids, usage, memory)) => {
                let used = usage_of(&pids, &self.plan.target.pids)?.since(&usage);
                Some((used, memory, process::memory(&pids)))
            }
        };
        let measured = Measured { took, server, own, subscriptions, sent_again: *sent_again };
        Ok(Row::new(name.to_owned(), &measured, tally))
    }
}

/// What these have used, of whom none of the `named` may be gone.
fn usage_of(pids: &[u32], named: &[u32]) -> Result<Usage, BenchError> {
    match named.iter().find(|pid| process::usage(&[**pid]).is_none()) {
        Some(gone) => Err(BenchError::NoProcess(*gone)),
        None => Ok(process::usage(pids).unwrap_or_default()),
    }
}

fn own_usage() -> Usage {
    process::usage(&[std::process::id()]).unwrap_or_default()
}
