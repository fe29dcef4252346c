//! `top` on a screen: samples in, a picture out.
//!
//! ```text
//!  Top  lampyris 0.1.0, up 1h01m, 50 subscriptions                12:51:09 UTC  live
//!  Requests       12.0/s  most 40.0    ▁▁▃▅▂▁▁▁▂▃
//!  NOTIFYs        33.5/s  most 80.2    ▁▂▃▅▂▁▁▁▂▃
//!  Change to NOTIFY     50 % ≤ 1 ms   99 % ≤ 5 ms       Stale lamps 0   Own bugs 0   Not stored 0
//!  Subscriptions 50 ────────────────  Biggest watchers ────────────────
//!  dialog udp       ██████████   40   Alice       ██████████████     30
//! ```
//!
//! Below the figures stand tables, side by side where there is room; each gets its share of the rows.

use super::News;
use super::sample::{History, KEPT_MAX, Quantile, Sample, by, total};
use crate::cli::screen::paint::{Paint, Tone, look};
use crate::cli::screen::popup::Popup;
use crate::cli::screen::{Next, View};
use crate::cli::span;
use lampyris_core::time::UnixTime;
use lampyris_core::view::{Histogram, Metrics};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Sparkline, Widget as _};

/// How a counter or a latency is found.
pub(super) type Counter = fn(&Metrics) -> u64;
pub(super) type Latency = fn(&Metrics) -> &Histogram;

/// What is shown per second: for people, for programs, and how it is found.
pub(super) const RATES: [(&str, &str, Counter); 4] = [
    ("Requests", "requests", |metrics| total(&metrics.requests_received)),
    ("NOTIFYs", "notifies", |metrics| metrics.status.notifies),
    ("Responses sent", "responses_sent", |metrics| total(&metrics.responses_sent)),
    ("Requests refused", "requests_refused", |metrics| metrics.status.rejects),
];
/// Latencies of the last minute.
pub(super) const LATENCIES: [(&str, &str, Latency); 2] = [
    ("Change to NOTIFY", "change_to_notify", |metrics| &metrics.change_to_sent),
    ("NOTIFY to answer", "notify_to_answer", |metrics| &metrics.sent_to_answered),
];

/// Columns of a table at least, and of its bars at most.
const TABLE_WIDTH_MIN: u16 = 38;
const BAR_MAX: u16 = 16;
/// Below this many rows there is no room for tables.
const HEIGHT_WITH_TABLES_MIN: u16 = 11;

const HELP: &str = "\
space             pause, and go on
?                 this
q, Ctrl-C         leave

Rates are those since the look before; latencies those of the last minute, as
bounds of the buckets in which they are counted. Stale lamps, own bugs and
records that could not be stored must be 0.";

/// A table: its title, and rows of a name and a number, with a tone.
struct Table {
    title: String,
    rows: Vec<(String, u64, Tone)>,
}

/// The screen.
pub(super) struct TopView {
    paint: Paint,
    every_s: u64,
    history: History,
    is_paused: bool,
    help: Option<Popup>,
    lost: Option<String>,
}

impl TopView {
    pub(super) fn new(paint: Paint, every_s: u64) -> Self {
        Self { paint, every_s, history: History::default(), is_paused: false, help: None, lost: None }
    }

    fn head(&self, to: &mut Buffer, area: Rect, now_ms: u64) {
        let (paint, Rect { x, y, width, .. }) = (self.paint, area);
        let (tone, link) = match (&self.lost, self.is_paused, self.history.newest()) {
            (Some(_), ..) => (Tone::Bad, "lost"),
            (_, true, _) => (Tone::Early, "paused"),
            (.., None) => (Tone::Early, "connecting"),
            _ => (Tone::Good, "live"),
        };
        let end = paint.put_right(to, (x, y), width - 1, link, paint.style(tone));
        let says = self.history.newest().map_or_else(String::new, |sample| {
            let status = &sample.metrics.status;
            format!(
                "lampyris {}, process {}, up {}, {} subscriptions, {} bindings, {} calls",
                sample.server.version,
                sample.server.pid,
                span::show(status.up_s),
                status.subscriptions,
                status.bindings,
                status.calls
            )
        });
        let clock = UnixTime::from_millis(now_ms).rfc3339();
        let clock = format!("{} UTC  ", clock.get(11..19).unwrap_or_default());
        let at = paint.put(to, (x + 1, y), width - 1, "Top", paint.style(Tone::Head));
        let at = paint.put(
            to,
            (at + 2, y),
            end.saturating_sub(at + 3),
            &paint.clean(&says),
            paint.style(Tone::Faint),
        );
        if usize::from(end.saturating_sub(at)) > clock.len() {
            paint.put_right(to, (at, y), end - at, &clock, paint.style(Tone::Faint));
        }
    }

    /// A rate with its curve.
    fn rate(&self, to: &mut Buffer, area: Rect, name: &str, of: Counter) {
        let (paint, Rect { x, y, .. }) = (self.paint, area);
        let rates = self.history.rates(of);
        let most = rates.iter().copied().fold(0.0, f64::max);
        let end = area.right();
        paint.put(to, (x + 1, y), end.saturating_sub(x + 1).min(17), name, Style::new());
        let now = format!("{:.1}/s", self.history.rate(of));
        if x + 28 <= end {
            paint.put_right(to, (x + 18, y), 10, &now, paint.style(Tone::Head));
        }
        let curve_at = x + 44;
        if curve_at > end {
            return;
        }
        paint.put(to, (x + 30, y), 13, &format!("most {most:.1}"), paint.style(Tone::Faint));
        let room = Rect { x: curve_at, y, width: end.saturating_sub(curve_at + 1), height: 1 };
        // The newest at the right end, one cell for each look.
        let seen = rates.len().min(usize::from(room.width));
        let latest = rates.iter().skip(rates.len() - seen).map(|rate| (rate * 100.0).round().max(0.0));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, not negative")]
        let data: Vec<u64> = latest.map(|rate| rate as u64).collect();
        let width = u16::try_from(data.len()).unwrap_or(room.width);
        let place = Rect { x: room.right() - width, width, ..room };
        Sparkline::default()
            .data(data)
            .bar_set(paint.bars())
            .style(paint.style(Tone::Request))
            .render(place, to);
    }

    fn latency(&self, to: &mut Buffer, area: Rect, name: &str, of: Latency) {
        let (paint, Rect { x, y, .. }) = (self.paint, area);
        let end = area.right();
        let mut at = paint.put(to, (x + 1, y), end.saturating_sub(x + 1), name, Style::new()).max(x + 19);
        for (part, label) in [(0.5, "50 %"), (0.99, "99 %")] {
            at = paint.put(to, (at, y), end.saturating_sub(at), label, paint.style(Tone::Faint));
            let text = quantile(self.history.latency(part, of), !paint.unicode);
            at = paint.put(to, (at + 1, y), end.saturating_sub(at + 1), &text, paint.style(Tone::Head)) + 3;
        }
    }

    /// What must be 0.
    fn alarms(&self, to: &mut Buffer, area: Rect, sample: &Sample) {
        let (paint, mut at) = (self.paint, area.x + 1);
        let counts = [
            ("Stale lamps", sample.metrics.stale),
            ("Own bugs", sample.metrics.status.bugs),
            ("Not stored", sample.server.counters.records_failed),
        ];
        for (name, count) in counts {
            at = paint.put(to, (at, area.y), area.right().saturating_sub(at), name, Style::new());
            let tone = if count == 0 { Tone::Good } else { Tone::Bad };
            let room = area.right().saturating_sub(at + 1);
            at = paint.put(to, (at + 1, area.y), room, &count.to_string(), paint.style(tone)) + 3;
        }
    }

    fn tables(&self, sample: &Sample) -> Vec<Table> {
        let metrics = &sample.metrics;
        let plain = |rows: Vec<(String, u64)>| {
            rows.into_iter().map(|(name, value)| (name, value, Tone::Request)).collect()
        };
        let labels = |row: &lampyris_core::view::Sample| {
            let words = row.labels.iter().map(|(_, value)| value.as_str()).filter(|value| *value != "active");
            (words.collect::<Vec<_>>().join(" "), row.value, Tone::Request)
        };
        let mut subscriptions: Vec<_> = metrics.subscriptions.iter().map(labels).collect();
        subscriptions.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let watchers = sample.biggest.watchers.iter().map(|row| {
            (format!("{}  {}", row.watcher, row.user_agent), row.subscriptions as u64, Tone::Request)
        });
        let watched = sample.biggest.watched.iter().map(|row| {
            let look = look(&row.state);
            (format!("{} {}", self.paint.shape(look), row.resource), row.watchers as u64, look.tone)
        });
        let mut refused: Vec<(String, u64, Tone)> = plain(by(&metrics.refused, "code"));
        refused.iter_mut().for_each(|row| row.2 = Tone::Early);
        refused.extend(
            by(&metrics.notify_failed, "code")
                .into_iter()
                .map(|(code, count)| (format!("NOTIFY {code}"), count, Tone::Bad)),
        );
        let counters = &sample.server.counters;
        let store = [
            ("records stored", counters.records_stored),
            ("commits", counters.commits),
            ("records waiting", metrics.status.unpersisted as u64),
            ("messages held", counters.held),
        ];
        let table = |title: String, rows| Table { title, rows };
        vec![
            table(format!("Subscriptions {}", total(&metrics.subscriptions)), subscriptions),
            table("Biggest watchers".into(), watchers.collect()),
            table("Most watched".into(), watched.collect()),
            table("Requests received".into(), plain(by(&metrics.requests_received, "method"))),
            table("Refused, NOTIFYs failed".into(), refused),
            table(
                format!("Store ({})", sample.server.durability),
                store.iter().map(|(name, value)| ((*name).to_owned(), *value, Tone::Request)).collect(),
            ),
        ]
    }

    /// The tables in columns, each with as many rows as there is room for.
    fn grid(&self, to: &mut Buffer, area: Rect, tables: &[Table]) {
        let columns = (area.width / TABLE_WIDTH_MIN).clamp(1, 3);
        let width = area.width / columns;
        let in_columns = usize::from(columns);
        let deep = tables.len().div_ceil(in_columns);
        for column in 0..in_columns {
            let own: Vec<&Table> = tables.iter().skip(column).step_by(in_columns).take(deep).collect();
            let x = area.x + width * u16::try_from(column).unwrap_or(0);
            let mut room = area.height;
            for (number, table) in own.iter().enumerate() {
                // What is left is shared; a table that needs less leaves more to those below it.
                let left = u16::try_from(own.len() - number).unwrap_or(1);
                let need = u16::try_from(table.rows.len().max(1)).unwrap_or(u16::MAX).saturating_add(2);
                let height = if left == 1 { room } else { need.min(room / left) };
                self.table(to, Rect { x, y: area.bottom() - room, width: width - 1, height }, table);
                room -= height;
            }
        }
    }

    fn table(&self, to: &mut Buffer, area: Rect, table: &Table) {
        let (paint, Rect { x, y, .. }) = (self.paint, area);
        if area.height < 2 {
            return;
        }
        let end = area.right();
        let at = paint.put(to, (x + 1, y), end.saturating_sub(x + 1), &table.title, paint.style(Tone::Head));
        let rest = paint.across().repeat(usize::from(end.saturating_sub(at + 1)));
        paint.put(to, (at + 1, y), end.saturating_sub(at + 1), &rest, paint.style(Tone::Faint));
        if table.rows.is_empty() {
            paint.put(to, (x + 1, y + 1), end.saturating_sub(x + 1), "none", paint.style(Tone::Faint));
        }
        let most = table.rows.iter().map(|row| row.1).max().unwrap_or(0).max(1);
        let digits = u16::try_from(most.to_string().len()).unwrap_or(20).max(4);
        let bar = (area.width / 3).min(BAR_MAX);
        let rows = usize::from(area.height.saturating_sub(1));
        for (row, (name, value, tone)) in (y + 1..).zip(table.rows.iter().take(rows)) {
            paint.put_right(to, (x, row), area.width, &value.to_string(), Style::new());
            let bar_at = end.saturating_sub(digits + 1 + bar);
            let filled =
                u16::try_from(u64::from(bar) * value / most).unwrap_or(bar).max(u16::from(*value > 0));
            paint.put(
                to,
                (bar_at, row),
                bar,
                &paint.pick("■", "#").repeat(usize::from(filled)),
                paint.style(*tone),
            );
            paint.put(to, (x + 1, row), bar_at.saturating_sub(x + 2), &paint.clean(name), Style::new());
        }
    }
}

/// A latency in words; `plain` for ASCII.
pub(super) fn quantile(quantile: Quantile, plain: bool) -> String {
    let ms = |us: u64| {
        if us.is_multiple_of(1000) { (us / 1000).to_string() } else { format!("{:.1}", us as f64 / 1000.0) }
    };
    match (quantile, plain) {
        (Quantile::None, _) => "-".to_owned(),
        (Quantile::Within(us), true) => format!("<= {} ms", ms(us)),
        (Quantile::Within(us), false) => format!("≤ {} ms", ms(us)),
        (Quantile::Beyond(us), _) => format!("> {} ms", ms(us)),
    }
}

impl View for TopView {
    type Data = News;

    fn take(&mut self, news: News) {
        match news {
            News::Sample(sample) => {
                self.lost = None;
                if !self.is_paused {
                    self.history.push(*sample);
                }
            }
            News::Lost(cause) => self.lost = Some(cause),
        }
    }

    fn key(&mut self, key: KeyEvent) -> Next {
        if let Some(help) = &mut self.help {
            if !help.key(key) {
                self.help = None;
            }
            return Next::Stay;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Next::Leave,
            KeyCode::Char(' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('?') => self.help = Some(Popup::of_text("Keys".into(), HELP)),
            _ => {}
        }
        Next::Stay
    }

    fn draw(&mut self, frame: &mut Frame<'_>, now_ms: u64) {
        let (area, paint) = (frame.area(), self.paint);
        if area.width < 2 || area.height == 0 {
            return;
        }
        let to = frame.buffer_mut();
        self.head(to, area, now_ms);
        if let Some(sample) = self.history.newest() {
            let mut rows = (area.y + 2..area.bottom()).map(|y| Rect { y, height: 1, ..area });
            for ((name, _, of), row) in RATES.into_iter().zip(rows.by_ref()) {
                self.rate(to, row, name, of);
            }
            for ((name, _, of), row) in LATENCIES.into_iter().zip(rows.by_ref()) {
                self.latency(to, row, name, of);
            }
            if let Some(row) = rows.next() {
                self.alarms(to, row, sample);
            }
            let from = area.y + 10;
            if area.height > HEIGHT_WITH_TABLES_MIN {
                let room = Rect { y: from, height: area.bottom() - from - 1, ..area };
                self.grid(to, room, &self.tables(sample));
            }
        }
        let (foot, width) = ((area.x + 1, area.bottom() - 1), area.width - 1);
        if area.height > 3 {
            to.set_style(Rect { y: foot.1, height: 1, ..area }, Style::new());
            match &self.lost {
                Some(cause) => {
                    let cause = cause.lines().next().unwrap_or_default();
                    let text = paint.clean(&format!("trying again: {cause}"));
                    paint.put(to, foot, width, &text, paint.style(Tone::Bad));
                }
                None => {
                    let every = format!("pause ({} s from look to look, {} kept)", self.every_s, KEPT_MAX);
                    paint.keys(to, foot, width, &[("space", &every), ("?", "keys"), ("q", "leave")]);
                }
            }
        }
        if let Some(help) = &mut self.help {
            help.draw(frame, area, paint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::tests::sample;
    use super::*;
    use crate::cli::screen::stage::{ASCII, FULL, buffer, key, letter, picture};
    use ratatui::style::Color;

    /// 12:51:09 of some day.
    const NOW: u64 = 1_000 * 86_400_000 + 46_269_000;

    fn busy(paint: Paint) -> TopView {
        let mut top = TopView::new(paint, 2);
        for (at, requests, notifies) in [(0, 0, 0), (2, 10, 40), (4, 40, 60)] {
            let sample = sample(NOW - 4000 + at * 1000, requests, notifies, [requests, 0, requests / 40]);
            top.take(News::Sample(Box::new(sample)));
        }
        top
    }

    fn drawn(top: &mut TopView, width: u16, height: u16) -> Vec<String> {
        picture(width, height, |frame| top.draw(frame, NOW))
    }

    #[test]
    fn figures_stand_over_tables() {
        let mut top = busy(FULL);
        let lines = drawn(&mut top, 110, 24);
        let expected = [
            " Top  lampyris 1.2.3, process 7, up 1h01m, 0 subscriptions, 0 bindings, 0 calls            12:51:09 UTC  live",
            "",
            " Requests             15.0/s  most 15.0                                                                    ▂█",
            " NOTIFYs              10.0/s  most 20.0                                                                    █▄",
            " Responses sent        0.0/s  most 0.0",
            " Requests refused      0.0/s  most 0.0",
            " Change to NOTIFY  50 % ≤ 1 ms   99 % > 5 ms",
            " NOTIFY to answer  50 % ≤ 1 ms   99 % > 5 ms",
            " Stale lamps 0   Own bugs 0   Not stored 0",
            "",
        ];
        assert_eq!(lines[..10], expected.map(str::to_owned));
        assert!(lines[10].starts_with(" Subscriptions 50 ───"), "{lines:#?}");
        assert!(lines[11].starts_with(" dialog udp"), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains(" Alice  Z ") && line.contains("■ ")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains(" ● 6001@default")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains(" 489 ")), "{lines:#?}");
        assert!(lines[23].starts_with(" space pause"), "{lines:#?}");
    }

    #[test]
    fn what_must_be_zero_is_red_where_it_is_not() {
        let mut top = busy(FULL);
        let mut bad = sample(NOW, 40, 60, [0; 3]);
        bad.metrics.stale = 3;
        top.take(News::Sample(Box::new(bad)));
        let buffer = buffer(110, 24, |frame| top.draw(frame, NOW));
        assert_eq!((buffer[(13, 8)].symbol(), buffer[(13, 8)].fg), ("3", Color::Red));
        assert_eq!((buffer[(26, 8)].symbol(), buffer[(26, 8)].fg), ("0", Color::Green));
    }

    #[test]
    fn small_terminals_and_ascii_are_enough() {
        let mut top = busy(ASCII);
        assert!(drawn(&mut top, 110, 24).iter().all(|line| line.is_ascii()));
        for (width, height) in [(0, 0), (1, 1), (2, 2), (9, 30), (30, 12), (44, 13), (77, 9), (300, 80)] {
            let mut top = busy(FULL);
            drawn(&mut top, width, height);
            top.key(letter('?'));
            drawn(&mut top, width, height);
        }
    }

    #[test]
    fn a_pause_shows_what_was() {
        let mut top = busy(FULL);
        assert_eq!(top.key(letter(' ')), Next::Stay);
        top.take(News::Sample(Box::new(sample(NOW, 4000, 60, [0; 3]))));
        assert!(drawn(&mut top, 110, 24)[2].contains(" 15.0/s"));
        assert!(drawn(&mut top, 110, 24)[0].ends_with("paused"));
        top.take(News::Lost("no server\nstart one".into()));
        let lines = drawn(&mut top, 110, 24);
        assert!(lines[0].ends_with("lost") && lines[23] == " trying again: no server", "{lines:#?}");
        assert_eq!(top.key(key(KeyCode::Char('q'))), Next::Leave);
    }
}
