//! The ladder on a screen: keys in, a picture out.
//!
//! ```text
//!  Trace  12 messages                                        12:51:09 UTC  live
//!                lampyris            192.0.2.7:5060             192.0.2.8:5060
//!  12:51:09.120  ├◀─ SUBSCRIBE 6001 ─┤                          │
//!  12:51:09.121  ├── 200 OK (SUBS…) ▶┤                          │
//!  12:51:09.121  ├───────────────────┼─ NOTIFY 6001 dialog ────▶┤
//! ```
//!
//! The server's line of life stands left, one for each peer in sight beside it; peers for whom there is no room share the last.
//! A bar in front of a message has the colour of its Call-ID. Messages come to it without credentials.

use super::message::{Seen, time_of_day};
use super::{News, create, unwritable};
use crate::cli::screen::paint::{Paint, Tone};
use crate::cli::screen::popup::Popup;
use crate::cli::screen::prompt::Prompt;
use crate::cli::screen::{Next, View};
use crate::cli::text;
use crate::cli::trace::packet::Own;
use lampyris_core::time::UnixTime;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;

/// Messages that are kept, and their bytes; the oldest go first.
const KEPT_MAX: usize = 20_000;
const KEPT_BYTES_MAX: usize = 64 << 20;
/// Columns of the time of day with its bar, and the least from one line of life to the next.
const TIME_WIDTH: u16 = 15;
const LANE_WIDTH_MIN: u16 = 28;
/// From this width on a message stands beside the ladder and not below it.
const BESIDE_WIDTH_MIN: u16 = 150;
/// Colours of Call-IDs.
const CALL_COLOURS: [Color; 6] =
    [Color::Cyan, Color::Magenta, Color::Yellow, Color::Green, Color::Blue, Color::Red];

const HELP: &str = "\
up down, k j      from message to message
PgUp PgDn         a page up or down; in an open message its text
Home End          the first message; the newest, and follow what comes
Enter             the message itself; Esc closes it
c                 only this Call-ID
p                 only this peer
/                 search: words in Call-ID, peer, method or extension
Esc               everything again
o                 OPTIONS too
space             pause: what comes meanwhile is shown afterwards
w                 write the messages in the ladder to a capture file
x                 forget the messages
?                 this
q, Ctrl-C         leave";

#[derive(Debug)]
enum Link {
    Connecting,
    Live,
    Lost(String),
    Over(String),
}

/// What is typed at the foot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Search,
    File,
}

/// The ladder.
pub(super) struct Ladder {
    paint: Paint,
    kept: VecDeque<Seen>,
    bytes: usize,
    /// What came during a pause.
    held: Option<VecDeque<Seen>>,
    /// Messages that this program was too slow for.
    left_out: u64,
    search: Prompt,
    file: Prompt,
    asked: Asked,
    with_pings: bool,
    /// The message the cursor stands on, counted from the first there ever was; `None` follows the newest.
    picked: Option<u64>,
    /// How many were forgotten: the number of the first that is kept.
    forgotten: u64,
    /// Rows that were seen when it was drawn last, and whose lines of life, in their order.
    page: usize,
    order: Vec<SocketAddr>,
    detail: Option<Popup>,
    help: Option<Popup>,
    copies: String,
    /// What was done last, to be said once.
    said: String,
    link: Link,
}

impl Ladder {
    pub(super) fn new(paint: Paint, copies: String) -> Self {
        Self {
            paint,
            kept: VecDeque::new(),
            bytes: 0,
            held: None,
            left_out: 0,
            search: Prompt::default(),
            file: Prompt::of("lampyris.pcap"),
            asked: Asked::Search,
            with_pings: false,
            picked: None,
            forgotten: 0,
            page: 1,
            order: Vec::new(),
            detail: None,
            help: None,
            copies,
            said: String::new(),
            link: Link::Connecting,
        }
    }

    fn keep(&mut self, seen: Seen) {
        self.left_out += seen.message.dropped;
        self.bytes += seen.message.text.len();
        self.kept.push_back(seen);
        while self.kept.len() > KEPT_MAX || self.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.message.text.len();
            self.forgotten += 1;
        }
    }

    /// The messages that are asked for, by their numbers.
    fn shown(&self) -> Vec<(u64, &Seen)> {
        let words = self.search.words();
        let wanted =
            |seen: &Seen| (self.with_pings || !words.is_empty() || !seen.is_ping()) && seen.has(&words);
        (self.forgotten..).zip(&self.kept).filter(|(_, seen)| wanted(seen)).collect()
    }

    /// Where the cursor stands among those shown; the newest where it follows.
    fn cursor(&self, shown: &[(u64, &Seen)]) -> usize {
        let last = shown.len().saturating_sub(1);
        self.picked.map_or(last, |picked| shown.partition_point(|(number, _)| *number < picked).min(last))
    }

    fn current(&self) -> Option<&Seen> {
        let shown = self.shown();
        shown.get(self.cursor(&shown)).map(|(_, seen)| *seen)
    }

    fn move_to(&mut self, step: impl Fn(usize) -> usize) {
        let shown = self.shown();
        let last = shown.len().saturating_sub(1);
        let to = step(self.cursor(&shown)).min(last);
        let number = shown.get(to).map(|(number, _)| *number);
        // Why: who stands on the newest follows what comes, but not away from a message that is read.
        self.picked = number.filter(|_| to < last || self.detail.is_some());
        self.detail_follows();
    }

    /// Shows the message under the cursor, if one is shown.
    fn detail_follows(&mut self) {
        if self.detail.is_some() {
            self.detail = self.current().map(|seen| detail(self.paint, seen));
        }
    }

    fn only(&mut self, what: impl Fn(&Seen) -> String) {
        let Some((number, text)) = self.current().map(|seen| {
            let shown = self.shown();
            (shown.get(self.cursor(&shown)).map(|(number, _)| *number), what(seen))
        }) else {
            return;
        };
        self.search = Prompt::of(&text);
        self.picked = number;
    }

    fn write(&mut self) {
        let path = self.file.text().to_owned();
        let written = create(Path::new(&path)).and_then(|mut pcap| {
            let mut own = Own::default();
            for (_, seen) in self.shown() {
                let packet = own.packet(&seen.message, &seen.call_id);
                pcap.write(&packet).map_err(|error| unwritable(&path, &error))?;
            }
            Ok(pcap.packets)
        });
        self.said = match written {
            Ok(1) => format!("1 message is in {path}"),
            Ok(count) => format!("{count} messages are in {path}"),
            Err(failure) => failure.to_string(),
        };
    }

    fn prompt_key(&mut self, key: KeyEvent) {
        if self.asked == Asked::Search {
            self.search.key(key);
            self.detail_follows();
            return;
        }
        self.file.key(key);
        if key.code == KeyCode::Enter && !self.file.text().is_empty() {
            self.write();
        }
    }

    fn detail_key(&mut self, key: KeyEvent) -> bool {
        let Some(popup) = &mut self.detail else { return false };
        match key.code {
            KeyCode::Esc | KeyCode::Enter => self.detail = None,
            KeyCode::PageUp | KeyCode::PageDown => {
                popup.key(key);
            }
            _ => return false,
        }
        true
    }

    fn list_key(&mut self, key: KeyEvent) -> Next {
        let page = self.page;
        match key.code {
            KeyCode::Char('q') => return Next::Leave,
            KeyCode::Up | KeyCode::Char('k') => self.move_to(|at| at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.move_to(|at| at + 1),
            KeyCode::PageUp => self.move_to(|at| at.saturating_sub(page)),
            KeyCode::PageDown => self.move_to(|at| at + page),
            KeyCode::Home | KeyCode::Char('g') => self.move_to(|_| 0),
            KeyCode::End | KeyCode::Char('G') => {
                self.picked = None;
                self.detail_follows();
            }
            KeyCode::Enter => {
                let shown = self.shown();
                let picked = shown.get(self.cursor(&shown)).map(|(number, _)| *number);
                self.picked = picked;
                self.detail = self.current().map(|seen| detail(self.paint, seen));
            }
            KeyCode::Char('c') => self.only(|seen| seen.call_id.clone()),
            KeyCode::Char('p') => self.only(|seen| seen.message.remote.to_string()),
            KeyCode::Char('/') => {
                self.asked = Asked::Search;
                self.search.open();
            }
            KeyCode::Char('w') => {
                self.asked = Asked::File;
                if self.file.text().is_empty() {
                    self.file = Prompt::of("lampyris.pcap");
                }
                self.file.open();
            }
            KeyCode::Char('o') => self.with_pings = !self.with_pings,
            KeyCode::Char(' ') => match self.held.take() {
                Some(held) => held.into_iter().for_each(|seen| self.keep(seen)),
                None => self.held = Some(VecDeque::new()),
            },
            KeyCode::Char('x') => {
                self.forgotten += self.kept.len() as u64;
                self.kept.clear();
                (self.bytes, self.left_out, self.picked) = (0, 0, None);
            }
            KeyCode::Char('?') => self.help = Some(Popup::of_text("Keys".into(), HELP)),
            KeyCode::Esc => self.search.clear(),
            _ => {}
        }
        Next::Stay
    }

    fn head(&self, to: &mut Buffer, area: Rect, shown: usize, now_ms: u64) {
        let (paint, Rect { x, y, width, .. }) = (self.paint, area);
        let faint = paint.style(Tone::Faint);
        let (tone, link) = match (&self.link, &self.held) {
            (Link::Lost(_), _) => (Tone::Bad, "lost".to_owned()),
            (Link::Over(_), _) => (Tone::Bad, "over".to_owned()),
            (_, Some(held)) => (Tone::Early, format!("paused, {} more", held.len())),
            (Link::Connecting, None) => (Tone::Early, "connecting".to_owned()),
            (Link::Live, None) => (Tone::Good, "live".to_owned()),
        };
        let end = paint.put_right(to, (x, y), width - 1, &link, paint.style(tone));
        let all = self.kept.len();
        let mut says =
            if shown == all { format!("{all} messages") } else { format!("{shown} of {all} messages") };
        if !self.with_pings && self.search.text().is_empty() {
            says.push_str(", without OPTIONS");
        }
        if self.left_out > 0 {
            says.push_str(&format!(", {} left out: this terminal is too slow", self.left_out));
        }
        if !self.copies.is_empty() {
            says.push_str(&format!("   {}", self.copies));
        }
        let clock = UnixTime::from_millis(now_ms).rfc3339();
        let clock = format!("{} UTC  ", clock.get(11..19).unwrap_or_default());
        let at = paint.put(to, (x + 1, y), width - 1, "Trace", paint.style(Tone::Head));
        let at = paint.put(to, (at + 2, y), end.saturating_sub(at + 3), &paint.clean(&says), faint);
        if usize::from(end.saturating_sub(at)) > clock.len() {
            paint.put_right(to, (at, y), end - at, &clock, faint);
        }
    }

    fn foot(&self, to: &mut Buffer, area: Rect) {
        let (paint, at) = (self.paint, (area.x + 1, area.bottom() - 1));
        let width = area.width.saturating_sub(1);
        for (prompt, mark) in [(&self.search, "/"), (&self.file, "write to: ")] {
            if prompt.is_open() {
                let end = paint.put(to, at, width, &format!("{mark}{}", prompt.text()), Style::new());
                paint.put(to, (end, at.1), 1, " ", paint.style(Tone::Picked));
                return;
            }
        }
        let trouble = match &self.link {
            Link::Lost(cause) => format!("trying again: {}", cause.lines().next().unwrap_or_default()),
            Link::Over(cause) => cause.clone(),
            _ => String::new(),
        };
        if !trouble.is_empty() {
            paint.put(to, at, width, &paint.clean(&trouble), paint.style(Tone::Bad));
            return;
        }
        if !self.said.is_empty() {
            paint.put(to, at, width, &paint.clean(&self.said), Style::new());
            return;
        }
        let search = match self.search.text() {
            "" => "search".to_owned(),
            text => format!("search: {}", paint.clean(text)),
        };
        let pause = if self.held.is_some() { "go on" } else { "pause" };
        paint.keys(
            to,
            at,
            width,
            &[
                ("/", &search),
                ("Enter", "message"),
                ("c", "Call-ID"),
                ("p", "peer"),
                ("space", pause),
                ("w", "write"),
                ("?", "keys"),
                ("q", "leave"),
            ],
        );
    }

    /// Draws the ladder; whose lines of life it has comes back.
    fn rungs(&self, to: &mut Buffer, area: Rect, shown: &[(u64, &Seen)]) -> Vec<SocketAddr> {
        let cursor = self.cursor(shown);
        let rows = usize::from(area.height.saturating_sub(1));
        // The newest are at the foot; whoever reads further up has the cursor in the middle.
        let from = match self.picked {
            None => shown.len().saturating_sub(rows),
            Some(_) => cursor.saturating_sub(rows / 2).min(shown.len().saturating_sub(rows)),
        };
        let page: Vec<&(u64, &Seen)> = shown.iter().skip(from).take(rows).collect();
        let lanes = Lanes::of(area, &self.order, page.iter().map(|(_, seen)| seen.message.remote));
        lanes.heads(to, area, self.paint);
        for (row, (place, (_, seen))) in (area.y + 1..).zip((from..).zip(page)) {
            self.rung(to, Rect { y: row, height: 1, ..area }, seen, &lanes, place == cursor);
        }
        lanes.remotes
    }

    fn rung(&self, to: &mut Buffer, area: Rect, seen: &Seen, lanes: &Lanes, is_picked: bool) {
        let (paint, y) = (self.paint, area.y);
        let bar = if paint.colour { Style::new().fg(colour_of(&seen.call_id)) } else { Style::new() };
        paint.put(to, (area.x, y), 1, if paint.colour { paint.pick("▌", "|") } else { " " }, bar);
        let clock = time_of_day(seen.message.at_ms);
        let style = if is_picked { Tone::Picked } else { Tone::Faint };
        paint.put(to, (area.x + 1, y), area.width.saturating_sub(1).min(12), &clock, paint.style(style));
        let tone = paint.style(seen.tone());
        let Some((at, shared)) = lanes.lane(seen.message.remote) else {
            // No room for lines of life.
            let arrow = if seen.is_received() { paint.pick("→", ">") } else { paint.pick("←", "<") };
            let label = format!("{arrow} {}", paint.clean(&seen.label()));
            paint.put(to, (area.x + 14, y), area.right().saturating_sub(area.x + 14), &label, tone);
            return;
        };
        let (line, cross) = (paint.pick("│", "|"), paint.pick("┼", "+"));
        lanes.lines().for_each(|x| {
            paint.put(to, (x, y), 1, line, paint.style(Tone::Faint));
        });
        let (own, far) = (lanes.own, lanes.x(at));
        paint.put(to, (own + 1, y), far - own - 1, &paint.across().repeat(usize::from(far - own - 1)), tone);
        lanes.lines().filter(|x| (own + 1..far).contains(x)).for_each(|x| {
            paint.put(to, (x, y), 1, cross, tone);
        });
        if seen.is_received() {
            paint.put(to, (own + 1, y), 1, paint.pick("◀", "<"), tone);
        } else {
            paint.put(to, (far - 1, y), 1, paint.pick("▶", ">"), tone);
        }
        let label = match shared {
            true => format!(" {} {} ", seen.message.remote, paint.clean(&seen.label())),
            false => format!(" {} ", paint.clean(&seen.label())),
        };
        let from = if at == 0 { own } else { lanes.x(at - 1) };
        let room = (far - from).saturating_sub(5);
        let need = u16::try_from(Span::raw(label.as_str()).width()).unwrap_or(u16::MAX).min(room);
        paint.put(to, (from + 3 + (room - need) / 2, y), need, &label, tone);
    }
}

/// The lines of life.
struct Lanes {
    /// Where the server's stands.
    own: u16,
    width: u16,
    remotes: Vec<SocketAddr>,
    /// How many of them have a line of their own; the others share the last.
    count: usize,
    is_shared: bool,
}

impl Lanes {
    /// Who was there before keeps its place, so that the ladder stands still while messages go by.
    fn of(area: Rect, before: &[SocketAddr], remotes: impl Iterator<Item = SocketAddr>) -> Self {
        let remotes: Vec<SocketAddr> = remotes.collect();
        let mut known: Vec<SocketAddr> =
            before.iter().copied().filter(|remote| remotes.contains(remote)).collect();
        for remote in remotes {
            if !known.contains(&remote) {
                known.push(remote);
            }
        }
        let own = area.x + TIME_WIDTH + 2;
        let room = area.right().saturating_sub(own + 1);
        let most = usize::from(room / LANE_WIDTH_MIN);
        let count = most.min(known.len());
        // A few peers need not be far apart.
        let width =
            if count == 0 { 0 } else { (room / u16::try_from(count).unwrap_or(1)).min(2 * LANE_WIDTH_MIN) };
        Self { own, width, is_shared: known.len() > count, remotes: known, count }
    }

    fn x(&self, lane: usize) -> u16 {
        self.own + self.width * (u16::try_from(lane).unwrap_or(0) + 1)
    }

    /// Its lane, and whether others are in it; `None` where there are none.
    fn lane(&self, remote: SocketAddr) -> Option<(usize, bool)> {
        let at = self.remotes.iter().position(|known| *known == remote)?;
        let last = self.count.checked_sub(1)?;
        Some((at.min(last), self.is_shared && at >= last))
    }

    /// Every line of life, the server's first.
    fn lines(&self) -> impl Iterator<Item = u16> {
        std::iter::once(self.own).chain((0..self.count).map(|lane| self.x(lane)))
    }

    fn heads(&self, to: &mut Buffer, area: Rect, paint: Paint) {
        let faint = paint.style(Tone::Faint);
        paint.put(to, (area.x + 1, area.y), area.width.saturating_sub(1), "UTC", faint);
        if self.count == 0 {
            return;
        }
        let centred = |to: &mut Buffer, x: u16, room: u16, text: &str, style: Style| {
            let need = u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX).min(room);
            let from = x.saturating_sub(need / 2).min(area.right().saturating_sub(need));
            paint.put(to, (from, area.y), need, text, style);
        };
        centred(to, self.own, TIME_WIDTH, "lampyris", paint.style(Tone::Head));
        for (lane, remote) in self.remotes.iter().take(self.count).enumerate() {
            let more = self.remotes.len() - self.count;
            let text = match self.is_shared && lane + 1 == self.count {
                true => format!("{remote}, +{more}"),
                false => remote.to_string(),
            };
            // The last stands at the edge, and must not reach the one before.
            centred(to, self.x(lane), self.width * 2 / 3, &text, paint.style(Tone::Head));
        }
    }
}

/// The colour of a Call-ID: the same for all its messages.
fn colour_of(call_id: &str) -> Color {
    let sum = call_id.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    CALL_COLOURS.get(sum % CALL_COLOURS.len()).copied().unwrap_or(Color::Reset)
}

/// The message itself.
fn detail(paint: Paint, seen: &Seen) -> Popup {
    let message = &seen.message;
    let way = if seen.is_received() { "from" } else { "to" };
    let title = format!("{} {way} {} {}", seen.label(), message.transport.via(), message.remote);
    let shown = text::lines(&message.text);
    let mut in_head = true;
    let lines = shown.lines().enumerate().map(|(number, line)| {
        let line = paint.clean(&line.replace('\t', "    "));
        in_head &= !line.is_empty();
        match line.split_once(':') {
            _ if number == 0 => Line::styled(line, paint.style(seen.tone()).patch(paint.style(Tone::Head))),
            Some((name, value)) if in_head => Line::from(vec![
                Span::styled(format!("{name}:"), paint.style(Tone::Key)),
                Span::raw(value.to_owned()),
            ]),
            _ => Line::raw(line),
        }
    });
    Popup::new(paint.clean(&title), lines.collect())
}

impl View for Ladder {
    type Data = News;

    fn take(&mut self, news: News) {
        match news {
            News::Message(seen) => match &mut self.held {
                Some(held) if held.len() < KEPT_MAX => held.push_back(*seen),
                Some(_) => self.left_out += 1,
                None => self.keep(*seen),
            },
            News::Copies(count) => self.copies = count,
            News::Live => self.link = Link::Live,
            News::Lost(cause) => self.link = Link::Lost(cause),
            News::Over(cause) => self.link = Link::Over(cause),
        }
    }

    fn key(&mut self, key: KeyEvent) -> Next {
        self.said.clear();
        if let Some(help) = &mut self.help {
            if !help.key(key) {
                self.help = None;
            }
        } else if self.search.is_open() || self.file.is_open() {
            self.prompt_key(key);
        } else if !self.detail_key(key) {
            return self.list_key(key);
        }
        Next::Stay
    }

    fn draw(&mut self, frame: &mut Frame<'_>, now_ms: u64) {
        let area = frame.area();
        if area.width < 2 || area.height < 3 {
            return;
        }
        let body = Rect { y: area.y + 1, height: area.height - 2, ..area };
        let (rungs, message) = match &self.detail {
            None => (body, None),
            Some(_) if area.width >= BESIDE_WIDTH_MIN => {
                let width = area.width / 2;
                let beside = Rect { x: area.right() - width, width, ..body };
                (Rect { width: area.width - width, ..body }, Some(beside))
            }
            Some(_) => {
                let height = body.height * 3 / 5;
                let below = Rect { y: body.bottom() - height, height, ..body };
                (Rect { height: body.height - height, ..body }, Some(below))
            }
        };
        self.page = usize::from(rungs.height.saturating_sub(1).max(1));
        let shown = self.shown();
        let to = frame.buffer_mut();
        self.head(to, area, shown.len(), now_ms);
        if shown.is_empty() {
            let why = match (self.kept.is_empty(), &self.link) {
                (true, Link::Connecting) => "asking the server ...",
                (true, _) => "nothing has gone by yet",
                (false, _) => "nothing that went by fits; Esc shows everything, o OPTIONS too",
            };
            self.paint.put(to, (rungs.x + 1, rungs.y), rungs.width - 1, why, self.paint.style(Tone::Faint));
        } else {
            self.order = self.rungs(to, rungs, &shown);
        }
        self.foot(to, area);
        if let (Some(popup), Some(place)) = (&mut self.detail, message) {
            popup.draw_in(frame, place, self.paint);
        }
        if let Some(help) = &mut self.help {
            help.draw(frame, area, self.paint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::seen;
    use super::*;
    use crate::admin::protocol::Direction;
    use crate::cli::screen::stage::{ASCII, FULL, buffer, key, letter, picture};
    use ratatui::style::Modifier;

    /// 12:51:09 of some day.
    const NOW: u64 = 1_000 * 86_400_000 + 46_269_000;
    const ALICE: &str = "192.0.2.7:5060";
    const BOB: &str = "192.0.2.8:5060";

    fn request(method: &str, call_id: &str, more: &str) -> String {
        format!("{method} sip:6001@x SIP/2.0\nCall-ID: {call_id}\nCSeq: 1 {method}\n{more}\nbody")
    }

    fn response(line: &str, method: &str, call_id: &str) -> String {
        format!("SIP/2.0 {line}\nCall-ID: {call_id}\nCSeq: 1 {method}\n\n")
    }

    /// A subscription of Alice's, a ping, and a NOTIFY to Bob that he refuses.
    fn story(paint: Paint) -> Ladder {
        let mut ladder = Ladder::new(paint, String::new());
        ladder.take(News::Live);
        let (received, sent) = (Direction::Received, Direction::Sent);
        for (direction, remote, text) in [
            (received, ALICE, request("SUBSCRIBE", "alice", "Event: dialog\n")),
            (sent, ALICE, response("200 OK", "SUBSCRIBE", "alice")),
            (sent, BOB, request("OPTIONS", "ping", "")),
            (received, BOB, response("200 OK", "OPTIONS", "ping")),
            (sent, BOB, request("NOTIFY", "bob", "Event: dialog\nSubscription-State: active\n")),
            (received, BOB, response("481 Gone", "NOTIFY", "bob")),
        ] {
            ladder.take(News::Message(Box::new(seen(direction, remote, &text))));
        }
        ladder
    }

    fn drawn(ladder: &mut Ladder, width: u16, height: u16) -> Vec<String> {
        picture(width, height, |frame| ladder.draw(frame, NOW))
    }

    fn press(ladder: &mut Ladder, code: KeyCode) {
        assert_eq!(ladder.key(key(code)), Next::Stay);
    }

    #[test]
    fn messages_are_rungs_between_lines_of_life() {
        let mut ladder = story(FULL);
        assert_eq!(
            drawn(&mut ladder, 90, 9),
            [
                " Trace  4 of 6 messages, without OPTIONS                               12:51:09 UTC  live",
                " UTC         lampyris                         192.0.2.7:5060                192.0.2.8:5060",
                "▌00:00:01.500    │◀───── SUBSCRIBE 6001 dialog ──────│                                   │",
                "▌00:00:01.500    │─────── 200 OK (SUBSCRIBE) ───────▶│                                   │",
                "▌00:00:01.500    │───────────────────────────────────┼──── NOTIFY 6001 dialog active ───▶│",
                "▌00:00:01.500    │◀──────────────────────────────────┼──────── 481 Gone (NOTIFY) ────────│",
                "",
                "",
                " / search  Enter message  c Call-ID  p peer  space pause  w write  ? keys  q leave",
            ]
        );
        ladder.key(letter('o'));
        assert!(drawn(&mut ladder, 90, 9)[0].starts_with(" Trace  6 messages  "));
    }

    #[test]
    fn colours_are_those_of_what_happened() {
        let mut ladder = story(FULL);
        let buffer = buffer(90, 9, |frame| ladder.draw(frame, NOW));
        let tones = [(20, 2), (20, 3), (20, 4), (20, 5)].map(|at| buffer[at].fg);
        assert_eq!(tones, [Color::Cyan, Color::Green, Color::Cyan, Color::Red]);
        assert_eq!(buffer[(0, 2)].fg, buffer[(0, 3)].fg, "of one Call-ID");
        assert!(buffer[(1, 5)].modifier.contains(Modifier::REVERSED), "the newest is under the cursor");
    }

    #[test]
    fn ascii_and_no_colour_are_enough() {
        let mut ladder = story(ASCII);
        let picture = buffer(90, 9, |frame| ladder.draw(frame, NOW));
        assert!(picture.content.iter().all(|cell| cell.symbol().is_ascii() && cell.fg == Color::Reset));
        let lines = drawn(&mut ladder, 90, 9);
        assert_eq!(
            lines[2],
            " 00:00:01.500    |<----- SUBSCRIBE 6001 dialog ------|                                   |"
        );
    }

    #[test]
    fn peers_without_room_share_a_line_and_small_terminals_have_none() {
        let mut ladder = story(FULL);
        let lines = drawn(&mut ladder, 60, 9);
        assert!(lines[1].contains("192.0.2.7:5060, +1"), "{lines:#?}");
        assert!(lines[4].contains(" 192.0.2.8:5060 NOTIFY 6001 dialog"), "{lines:#?}");
        let lines = drawn(&mut ladder, 40, 9);
        assert_eq!(lines[2], "▌00:00:01.500 → SUBSCRIBE 6001 dialog");
        assert_eq!(lines[3], "▌00:00:01.500 ← 200 OK (SUBSCRIBE)");
        for (width, height) in [(0, 0), (1, 1), (2, 3), (3, 3), (10, 4), (20, 5), (46, 3), (300, 3), (47, 20)]
        {
            let mut ladder = story(FULL);
            drawn(&mut ladder, width, height);
            press(&mut ladder, KeyCode::Enter);
            drawn(&mut ladder, width, height);
            press(&mut ladder, KeyCode::Char('?'));
            drawn(&mut ladder, width, height);
        }
    }

    #[test]
    fn a_message_opens_below_or_beside() {
        let mut ladder = story(FULL);
        press(&mut ladder, KeyCode::Up);
        press(&mut ladder, KeyCode::Enter);
        let lines = drawn(&mut ladder, 90, 20);
        assert!(lines[9].starts_with("╭ NOTIFY 6001 dialog active to UDP 192.0.2.8:5060 ─"), "{lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("│ Event: dialog ")), "{lines:#?}");
        press(&mut ladder, KeyCode::Down);
        assert!(drawn(&mut ladder, 200, 20)[1].contains("╭ 481 Gone (NOTIFY) from UDP 192.0.2.8:5060 ─"));
        let more = seen(Direction::Sent, ALICE, &request("NOTIFY", "alice", ""));
        ladder.take(News::Message(Box::new(more)));
        assert!(drawn(&mut ladder, 200, 20)[1].contains("╭ 481 Gone"), "it stays while it is read");
        press(&mut ladder, KeyCode::Esc);
        assert!(!drawn(&mut ladder, 200, 20).join("").contains('╭'));
    }

    #[test]
    fn filters_leave_one_call_or_peer() {
        let mut ladder = story(FULL);
        press(&mut ladder, KeyCode::Home);
        ladder.key(letter('c'));
        assert_eq!((ladder.search.text(), ladder.shown().len()), ("alice", 2));
        press(&mut ladder, KeyCode::Esc);
        press(&mut ladder, KeyCode::End);
        ladder.key(letter('p'));
        assert_eq!((ladder.search.text(), ladder.shown().len()), (BOB, 4), "pings of that peer too");
        press(&mut ladder, KeyCode::Esc);
        "/notify 481".chars().for_each(|c| press(&mut ladder, KeyCode::Char(c)));
        assert!(drawn(&mut ladder, 90, 9)[8].starts_with(" /notify 481"));
        press(&mut ladder, KeyCode::Enter);
        assert_eq!(ladder.shown().len(), 1);
        assert_eq!(ladder.key(letter('q')), Next::Leave);
    }

    #[test]
    fn the_newest_are_followed_until_the_cursor_leaves_them() {
        let mut ladder = story(FULL);
        let more = |ladder: &mut Ladder, from: u64, to: u64| {
            for n in from..to {
                let text = request("NOTIFY", &format!("call-{n}."), "");
                ladder.take(News::Message(Box::new(seen(Direction::Sent, ALICE, &text))));
            }
        };
        more(&mut ladder, 0, 50);
        let newest = |ladder: &Ladder| ladder.current().map(|seen| seen.call_id.clone()).unwrap_or_default();
        assert_eq!(newest(&ladder), "call-49.");
        press(&mut ladder, KeyCode::Up);
        more(&mut ladder, 50, 60);
        assert_eq!(newest(&ladder), "call-48.");
        press(&mut ladder, KeyCode::End);
        more(&mut ladder, 60, 61);
        assert_eq!(newest(&ladder), "call-60.");
    }

    #[test]
    fn a_pause_keeps_what_comes_for_later() {
        let mut ladder = story(FULL);
        ladder.key(letter(' '));
        let text = request("NOTIFY", "late", "");
        ladder.take(News::Message(Box::new(seen(Direction::Sent, ALICE, &text))));
        assert!(drawn(&mut ladder, 90, 9)[0].ends_with("paused, 1 more"));
        assert_eq!(ladder.kept.len(), 6);
        ladder.key(letter(' '));
        assert_eq!(ladder.kept.len(), 7);
        ladder.key(letter('x'));
        assert_eq!(drawn(&mut ladder, 90, 9)[1], " nothing has gone by yet");
    }

    #[test]
    fn memory_is_bounded() {
        let mut ladder = story(FULL);
        let large = seen(Direction::Sent, ALICE, &"x".repeat(KEPT_BYTES_MAX / 10));
        press(&mut ladder, KeyCode::Home);
        (0..20).for_each(|_| ladder.keep(large.clone()));
        assert!(ladder.bytes <= KEPT_BYTES_MAX && ladder.kept.len() < 11, "{}", ladder.kept.len());
        assert_eq!(ladder.forgotten + ladder.kept.len() as u64, 26);
        drawn(&mut ladder, 90, 9);
        ladder.keep(Seen::of(crate::admin::protocol::SipMessage { dropped: 3, ..large.message }));
        assert!(drawn(&mut ladder, 120, 9)[0].contains("3 left out"));
    }

    #[test]
    fn what_is_in_the_ladder_can_be_written() {
        let mut ladder = story(FULL);
        let path = std::env::temp_dir().join(format!("lampyris-ladder-{}.pcap", std::process::id()));
        ladder.key(letter('w'));
        assert_eq!(drawn(&mut ladder, 90, 9)[8], " write to: lampyris.pcap");
        ladder.key(KeyEvent::new(KeyCode::Char('u'), ratatui::crossterm::event::KeyModifiers::CONTROL));
        path.display().to_string().chars().for_each(|c| press(&mut ladder, KeyCode::Char(c)));
        press(&mut ladder, KeyCode::Enter);
        assert!(ladder.said.starts_with("4 messages are in "), "{}", ladder.said);
        assert!(std::fs::metadata(&path).is_ok_and(|file| file.len() > 24 + 4 * (16 + 28)));
        std::fs::remove_file(&path).expect("removed");
        ladder.file = Prompt::of("/nonexistent/x.pcap");
        ladder.write();
        assert!(ladder.said.contains("cannot be written"), "{}", ladder.said);
    }

    #[test]
    fn the_end_of_the_stream_is_said() {
        let mut ladder = story(FULL);
        ladder.take(News::Lost("no server\nstart one".into()));
        let lines = drawn(&mut ladder, 90, 9);
        assert!(lines[0].ends_with("lost") && lines[8] == " trying again: no server", "{lines:#?}");
        ladder.take(News::Over("switched off by `sip debug off`".into()));
        assert_eq!(drawn(&mut ladder, 90, 9)[8], " switched off by `sip debug off`");
        ladder.take(News::Copies("x.pcap: 7".into()));
        assert!(drawn(&mut ladder, 90, 9)[0].contains("x.pcap: 7"));
    }
}
