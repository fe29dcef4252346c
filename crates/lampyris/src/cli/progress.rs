//! How far a long work is, on standard error: a bar on a terminal, a line now and then elsewhere (in a log).

use super::client::Client;
use super::failure::Failure;
use crate::admin::protocol::{Request, Response};
use crate::bench::progress::bar;
use serde_json::Value;
use std::io::{IsTerminal as _, Write};
use std::time::{Duration, Instant};

/// From one bar to the next, and from one line to the next.
const BAR_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(1);

/// How far it is; the bar is taken away when dropped.
pub(crate) struct Progress {
    what: &'static str,
    unit: &'static str,
    said: Instant,
    is_terminal: bool,
    is_drawn: bool,
}

impl Progress {
    pub(crate) fn new(what: &'static str, unit: &'static str) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { what, unit, said: Instant::now(), is_terminal, is_drawn: false }
    }

    /// So much of so much is done.
    pub(crate) fn step(&mut self, done: u64, total: u64) {
        if self.said.elapsed() >= if self.is_terminal { BAR_EVERY } else { LINE_EVERY } {
            self.said = Instant::now();
            self.is_drawn = self.is_terminal;
            // Nothing can be done where nobody reads it.
            let _ = std::io::stderr().write_all(self.text(done, total).as_bytes());
        }
    }

    fn text(&self, done: u64, total: u64) -> String {
        if !self.is_terminal {
            return format!("{}: {done} of {total} {}\n", self.what, self.unit);
        }
        let share = done as f64 / total.max(1) as f64;
        format!("\r{} {}  {done} of {total} {}\x1b[K", self.what, bar(share), self.unit)
    }

    /// A server's answer to a request that takes long.
    pub(crate) fn request(
        &mut self,
        client: &mut Client,
        request: &Request,
    ) -> Result<Response<Value>, Failure> {
        let mut answer = client.request(request)?;
        while let Response::Progress { done, total } = answer {
            self.step(done, total);
            answer = client.next()?;
        }
        Ok(answer)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_drawn {
            let _ = std::io::stderr().write_all(b"\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_has_a_bar_and_a_log_has_lines() {
        let mut progress = Progress {
            what: "backup",
            unit: "records",
            said: Instant::now(),
            is_terminal: true,
            is_drawn: false,
        };
        assert_eq!(
            progress.text(5, 10),
            "\rbackup [###############               ]  50 %  5 of 10 records\u{1b}[K"
        );
        assert!(progress.text(0, 0).contains("  0 %"));
        progress.is_terminal = false;
        assert_eq!(progress.text(5, 10), "backup: 5 of 10 records\n");
    }
}
