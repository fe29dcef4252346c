//! A line on standard error that says how far the load is; nothing where that is no terminal.

use super::driver::Amount;
use std::io::Write;
use std::time::Duration;

/// Characters of the bar.
const BAR: usize = 30;

/// The line.
pub(crate) struct Progress<'a> {
    out: Option<&'a mut dyn Write>,
    name: String,
}

impl<'a> Progress<'a> {
    /// Writes to `out`, if anywhere.
    pub(crate) fn new(out: Option<&'a mut dyn Write>) -> Self {
        Self { out, name: String::new() }
    }

    /// Names the part that runs.
    pub(crate) fn begin(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// Draws the line.
    pub(crate) fn show(&mut self, finished: u64, amount: Amount, passed: Duration) {
        let Some(out) = &mut self.out else { return };
        let share = match amount {
            Amount::Count(count) => finished as f64 / count.max(1) as f64,
            Amount::Time(time) => passed.as_secs_f64() / time.as_secs_f64().max(0.001),
        };
        // Why: a line that cannot be drawn is no reason to end what it tells of.
        let _ = write!(out, "\r{}", line(&self.name, share, finished, passed));
        let _ = out.flush();
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if let Some(out) = &mut self.out {
            let _ = write!(out, "\r\x1b[K");
            let _ = out.flush();
        }
    }
}

/// A bar that is as full as `share` of 1, and that in percent.
pub(crate) fn bar(share: f64) -> String {
    let filled = (0..BAR).filter(|at| (*at as f64) < share * BAR as f64).count();
    format!("[{:<BAR$}] {:3.0} %", "#".repeat(filled), (share * 100.0).min(100.0))
}

fn line(name: &str, share: f64, finished: u64, passed: Duration) -> String {
    let rate = finished as f64 / passed.as_secs_f64().max(0.001);
    format!("{name:<24} {}  {finished} done, {rate:.0}/s\x1b[K", bar(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_full_as_the_load_is_done() {
        let text = line("fanout", 0.5, 500, Duration::from_secs(2));
        assert_eq!(text.matches('#').count(), BAR / 2);
        assert!(text.contains(" 50 %  500 done, 250/s"), "{text}");
        assert_eq!(line("x", 7.0, 1, Duration::ZERO).matches('#').count(), BAR, "no longer than its frame");
    }

    #[test]
    fn where_there_is_no_terminal_nothing_is_written() {
        let mut out = Vec::new();
        let mut progress = Progress::new(Some(&mut out));
        progress.begin("x");
        progress.show(1, Amount::Count(2), Duration::from_secs(1));
        assert!(!out.is_empty());
        Progress::new(None).show(1, Amount::Count(2), Duration::from_secs(1));
    }
}
