//! The board on a screen: keys in, a picture out.
//!
//! ```text
//!  Board  15 lamps                              12:51:09 UTC  live
//!  ○ 11 idle   ● 3 in use   ▲ 1 ringing
//!  default 15 ────────────────────────────────────────────────────
//! ▌● 6001 Bob              ▌○ 6002 Eve              ▌▲ 6003 Ida
//! ▌  in use  Zoe    1m02s  ▌  idle         12m40s   ▌  ringing  3s
//! ```
//!
//! Lamps are cards where all of them fit, else lines; `c` chooses. It asks the server nothing by itself: questions go to a
//! thread, at most one of a kind at a time.

use super::lamps::{Lamp, Lamps};
use super::{News, Question};
use crate::cli::screen::paint::{LOOKS, Paint, Tone, look};
use crate::cli::screen::popup::Popup;
use crate::cli::screen::prompt::Prompt;
use crate::cli::screen::{Next, View};
use crate::cli::span;
use lampyris_core::time::UnixTime;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use std::sync::mpsc::SyncSender;

/// Columns of a card and of a line, the space behind it included.
const CARD_WIDTH_MIN: u16 = 30;
const LINE_WIDTH_MIN: u16 = 44;
/// Rows of a card, the empty one below included.
const CARD_HEIGHT: u16 = 3;
/// Longest name of a line, where something stands behind it.
const NAME_WIDTH_MAX: u16 = 12;
/// Below this many rows there is no room for anything but lamps.
const HEIGHT_WITH_HEAD_MIN: u16 = 8;
/// What events do not say is asked for this long after them, at most once in this time; in milliseconds.
const ALL_AFTER_MS: u64 = 3000;
const CALLS_AFTER_MS: u64 = 400;

const HELP: &str = "\
arrows, h j k l   move from lamp to lamp
PgUp PgDn         a page up or down
Home End          the first lamp, the last
Enter             why the lamp shows what it shows
/                 search: words in name, group or phone; Esc forgets them
s S               only the lamps in one state, the next one, the one before
e                 everything, only extensions, only people
c                 cards or lines
?                 this
q, Ctrl-C         leave";

/// Which lamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Everything,
    Extensions,
    People,
}

#[derive(Debug)]
enum Link {
    Connecting,
    Live,
    Lost(String),
}

/// What is in front of the board.
enum Over {
    Nothing,
    Help(Popup),
    Why(String, Popup),
}

/// A row of the list of lamps: a group's head, or lamps side by side.
enum Band {
    Head {
        group: String,
        count: usize,
    },
    /// `names` is the width of the longest name of the group.
    Row {
        from: usize,
        to: usize,
        names: u16,
    },
}

/// The board.
pub(super) struct BoardView {
    paint: Paint,
    lamps: Lamps,
    search: Prompt,
    state: Option<&'static str>,
    kind: Kind,
    /// Cards, lines, or what fits.
    cards: Option<bool>,
    /// Where the cursor stands.
    picked: Option<String>,
    /// First row of the list that is seen.
    top: u16,
    /// How it was laid out when it was drawn last: lamps side by side, rows of lamps on a page.
    columns: usize,
    page: usize,
    has_cards: bool,
    over: Over,
    link: Link,
    questions: SyncSender<Question>,
    all_due_ms: Option<u64>,
    calls_due_ms: Option<u64>,
    now_ms: u64,
}

impl BoardView {
    pub(super) fn new(paint: Paint, search: String, questions: SyncSender<Question>) -> Self {
        Self {
            paint,
            lamps: Lamps::default(),
            search: Prompt::of(&search),
            state: None,
            kind: Kind::Everything,
            cards: None,
            picked: None,
            top: 0,
            columns: 1,
            page: 1,
            has_cards: true,
            over: Over::Nothing,
            link: Link::Connecting,
            questions,
            all_due_ms: None,
            calls_due_ms: None,
            now_ms: 0,
        }
    }

    /// Whether the question is on its way; one that finds no room is asked with the next picture.
    fn ask(&self, question: Question) -> bool {
        self.questions.try_send(question).is_ok()
    }

    fn ask_what_is_due(&mut self) {
        if self.all_due_ms.is_some_and(|due| due <= self.now_ms) && self.ask(Question::All) {
            self.all_due_ms = None;
        }
        if self.calls_due_ms.is_some_and(|due| due <= self.now_ms) && self.ask(Question::Calls) {
            self.calls_due_ms = None;
        }
    }

    fn something_happened(&mut self, resource: Option<&str>) {
        self.link = Link::Live;
        self.calls_due_ms.get_or_insert(self.now_ms + CALLS_AFTER_MS);
        if let Over::Why(shown, _) = &self.over
            && resource.is_none_or(|resource| resource == shown)
        {
            let _ = self.ask(Question::Why(shown.clone()));
        }
    }

    /// The lamps that are asked for, as places among all.
    fn shown(&self) -> Vec<usize> {
        let words = self.search.words();
        let wanted = |lamp: &Lamp| {
            let kind = match self.kind {
                Kind::Everything => true,
                Kind::Extensions => !lamp.is_person,
                Kind::People => lamp.is_person,
            };
            kind && self.state.is_none_or(|state| look(&lamp.state).state == state) && lamp.has(&words)
        };
        let rows = self.lamps.rows().iter().enumerate();
        rows.filter(|(_, lamp)| wanted(lamp)).map(|(at, _)| at).collect()
    }

    fn lamp(&self, at: usize) -> Option<&Lamp> {
        self.lamps.rows().get(at)
    }

    /// Where the cursor stands among those shown.
    fn cursor(&self, shown: &[usize]) -> usize {
        let picked = self.picked.as_deref();
        let at = |at: &usize| self.lamp(*at).map(|lamp| lamp.resource.as_str()) == picked;
        shown.iter().position(at).unwrap_or(0)
    }

    fn move_to(&mut self, shown: &[usize], to: usize) {
        let last = shown.len().saturating_sub(1);
        let lamp = shown.get(to.min(last)).and_then(|at| self.lamp(*at));
        self.picked = lamp.map(|lamp| lamp.resource.clone());
    }

    /// The next state that some lamp is in, or none of them.
    fn next_state(&self, backwards: bool) -> Option<&'static str> {
        let mut present: Vec<Option<&'static str>> = vec![None];
        let looks = LOOKS.iter().filter(|look| self.count(look.state) > 0 || self.state == Some(look.state));
        present.extend(looks.map(|look| Some(look.state)));
        let at = present.iter().position(|state| *state == self.state).unwrap_or(0);
        let step = if backwards { present.len() - 1 } else { 1 };
        present.get((at + step) % present.len()).copied().flatten()
    }

    fn count(&self, state: &str) -> usize {
        if state.is_empty() {
            let known: usize =
                LOOKS.iter().filter(|l| !l.state.is_empty()).map(|l| self.lamps.count(l.state)).sum();
            return self.lamps.rows().len() - known;
        }
        self.lamps.count(state)
    }

    fn list_key(&mut self, key: KeyEvent) -> Next {
        let shown = self.shown();
        let at = self.cursor(&shown);
        let page = self.columns * self.page;
        match key.code {
            KeyCode::Char('q') => return Next::Leave,
            KeyCode::Left | KeyCode::Char('h') => self.move_to(&shown, at.saturating_sub(1)),
            KeyCode::Right | KeyCode::Char('l') => self.move_to(&shown, at + 1),
            KeyCode::Up | KeyCode::Char('k') => self.move_to(&shown, at.saturating_sub(self.columns)),
            KeyCode::Down | KeyCode::Char('j') => self.move_to(&shown, at + self.columns),
            KeyCode::PageUp => self.move_to(&shown, at.saturating_sub(page)),
            KeyCode::PageDown | KeyCode::Char(' ') => self.move_to(&shown, at + page),
            KeyCode::Home | KeyCode::Char('g') => self.move_to(&shown, 0),
            KeyCode::End | KeyCode::Char('G') => self.move_to(&shown, usize::MAX),
            KeyCode::Char('/') => self.search.open(),
            KeyCode::Char('s') => self.state = self.next_state(false),
            KeyCode::Char('S') => self.state = self.next_state(true),
            KeyCode::Char('e') => {
                self.kind = match self.kind {
                    Kind::Everything => Kind::Extensions,
                    Kind::Extensions => Kind::People,
                    Kind::People => Kind::Everything,
                }
            }
            KeyCode::Char('c') => self.cards = Some(!self.has_cards),
            KeyCode::Char('?') => self.over = Over::Help(Popup::of_text("Keys".into(), HELP)),
            KeyCode::Esc => {
                self.search.clear();
                self.state = None;
                self.kind = Kind::Everything;
            }
            KeyCode::Enter => {
                if let Some(lamp) = shown.get(at).and_then(|at| self.lamp(*at)) {
                    let (resource, name) = (lamp.resource.clone(), self.paint.clean(&lamp.name));
                    self.picked = Some(resource.clone());
                    let _ = self.ask(Question::Why(resource.clone()));
                    let popup = Popup::of_text(format!("Why {name}"), "asking the server ...");
                    self.over = Over::Why(resource, popup);
                }
            }
            _ => {}
        }
        Next::Stay
    }

    fn head(&self, to: &mut Buffer, area: Rect, shown: usize) {
        let Rect { x, y, width, .. } = area;
        let paint = self.paint;
        let faint = paint.style(Tone::Faint);
        let (tone, link) = match &self.link {
            Link::Connecting => (Tone::Early, "connecting".to_owned()),
            Link::Live => (Tone::Good, "live".to_owned()),
            Link::Lost(_) => (Tone::Bad, "lost".to_owned()),
        };
        let end = paint.put_right(to, (x, y), width - 1, &link, paint.style(tone));
        let clock = UnixTime::from_millis(self.now_ms).rfc3339();
        let clock = format!("{} UTC  ", clock.get(11..19).unwrap_or_default());
        let all = self.lamps.rows().len();
        let count = if shown == all { format!("{all} lamps") } else { format!("{shown} of {all} lamps") };
        let kind = match self.kind {
            Kind::Everything => "",
            Kind::Extensions => ", extensions only",
            Kind::People => ", people only",
        };
        let at = paint.put(to, (x + 1, y), width, "Board", paint.style(Tone::Head));
        let at = paint.put(to, (at + 2, y), end.saturating_sub(at + 3), &format!("{count}{kind}"), faint);
        if usize::from(end.saturating_sub(at)) > clock.len() {
            paint.put_right(to, (at, y), end - at, &clock, faint);
        }
        let mut at = x + 1;
        for look in LOOKS {
            let count = self.count(look.state);
            if count == 0 && self.state != Some(look.state) {
                continue;
            }
            let mut style = paint.style(look.tone);
            if self.state == Some(look.state) {
                style = style.add_modifier(Modifier::REVERSED);
            }
            let chip = format!("{} {count} {}", paint.shape(look), look.word);
            at = paint.put(to, (at, y + 1), area.right().saturating_sub(at), &chip, style) + 3;
        }
    }

    fn foot(&self, to: &mut Buffer, area: Rect) {
        let (paint, at) = (self.paint, (area.x + 1, area.bottom() - 1));
        let width = area.width.saturating_sub(1);
        if self.search.is_open() {
            let end = paint.put(to, at, width, &format!("/{}", self.search.text()), Style::new());
            paint.put(to, (end, at.1), 1, " ", paint.style(Tone::Picked));
            return;
        }
        if let Link::Lost(cause) = &self.link {
            let cause = cause.lines().next().unwrap_or_default();
            let text = paint.clean(&format!("trying again: {cause}"));
            paint.put(to, at, width, &text, paint.style(Tone::Bad));
            return;
        }
        let search = match self.search.text() {
            "" => "search".to_owned(),
            text => format!("search: {}", paint.clean(text)),
        };
        paint.keys(
            to,
            at,
            width,
            &[
                ("/", &search),
                ("s", "state"),
                ("e", "kind"),
                ("Enter", "why"),
                ("c", "cards"),
                ("?", "keys"),
                ("q", "leave"),
            ],
        );
    }

    /// The list's rows, and how wide a lamp is.
    fn layout(&self, shown: &[usize], width: u16, least: u16) -> (Vec<Band>, usize, u16) {
        let columns = (width / least).max(1);
        let mut bands = Vec::new();
        let group_of = |place: usize| {
            let lamp = shown.get(place).and_then(|at| self.lamp(*at));
            lamp.map(|lamp| (lamp.is_person, lamp.group.as_str()))
        };
        let mut from = 0;
        while let Some((is_person, group)) = group_of(from) {
            let same = (from..shown.len()).take_while(|at| group_of(*at) == Some((is_person, group)));
            let end = from + same.count();
            let names = shown.get(from..end).unwrap_or_default().iter().filter_map(|at| self.lamp(*at));
            let names = names.map(|lamp| lamp.name.chars().count()).max().unwrap_or(0);
            let names = u16::try_from(names).unwrap_or(u16::MAX);
            let group = if is_person { format!("People at {group}") } else { group.to_owned() };
            bands.push(Band::Head { group: self.paint.clean(&group), count: end - from });
            while from < end {
                let to = end.min(from + usize::from(columns));
                bands.push(Band::Row { from, to, names });
                from = to;
            }
        }
        (bands, usize::from(columns), width / columns)
    }

    fn list(&mut self, to: &mut Buffer, area: Rect, shown: &[usize]) {
        let heights = |bands: &[Band], row: u16| {
            let height = |band: &Band| if matches!(band, Band::Row { .. }) { row } else { 1 };
            bands.iter().map(height).fold(0_u16, u16::saturating_add)
        };
        let (mut bands, mut columns, mut width) = self.layout(shown, area.width, CARD_WIDTH_MIN);
        let mut row = CARD_HEIGHT;
        self.has_cards = self.cards.unwrap_or_else(|| heights(&bands, CARD_HEIGHT) <= area.height + 1);
        if !self.has_cards {
            (bands, columns, width) = self.layout(shown, area.width, LINE_WIDTH_MIN);
            row = 1;
        }
        self.columns = columns;
        self.page = usize::from((area.height / row).max(1));
        let cursor = self.cursor(shown);
        let all = heights(&bands, row);
        // Which rows the cursor's lamp takes; its group's head too where it is the first below it.
        let (mut y, mut is_below_head) = (0_u16, false);
        for band in &bands {
            match band {
                Band::Head { .. } => (y, is_below_head) = (y.saturating_add(1), true),
                Band::Row { from, to, .. } if (*from..*to).contains(&cursor) => break,
                Band::Row { .. } => (y, is_below_head) = (y.saturating_add(row), false),
            }
        }
        let first = y.saturating_sub(u16::from(is_below_head));
        let last = y.saturating_add(row.min(2));
        self.top = self.top.min(first).max(last.saturating_sub(area.height)).min(all.saturating_sub(1));
        let mut y = 0_u16;
        for band in &bands {
            let height = if matches!(band, Band::Row { .. }) { row } else { 1 };
            if y >= self.top.saturating_add(area.height) {
                break;
            }
            if y.saturating_add(height) > self.top && y >= self.top {
                let at = area.y + (y - self.top);
                match band {
                    Band::Head { group, count } => {
                        self.group(to, Rect { y: at, height: 1, ..area }, group, *count)
                    }
                    Band::Row { from, to: end, names } => {
                        for (column, place) in (*from..*end).enumerate() {
                            let Some(lamp) = shown.get(place).and_then(|at| self.lamp(*at)) else { continue };
                            let x = area.x + width * u16::try_from(column).unwrap_or(0);
                            let cell = Rect { x, y: at, width: width - 1, height: row }.intersection(area);
                            if row == 1 {
                                self.line(to, cell, lamp, *names, place == cursor);
                            } else {
                                self.card(to, cell, lamp, place == cursor);
                            }
                        }
                    }
                }
            }
            y = y.saturating_add(height);
        }
    }

    fn group(&self, to: &mut Buffer, area: Rect, group: &str, count: usize) {
        let paint = self.paint;
        let at = paint.put(to, (area.x + 1, area.y), area.width - 1, group, paint.style(Tone::Head));
        let at = paint.put(
            to,
            (at + 1, area.y),
            area.right().saturating_sub(at + 1),
            &count.to_string(),
            paint.style(Tone::Faint),
        );
        let rest = usize::from(area.right().saturating_sub(at + 2));
        paint.put(to, (at + 1, area.y), area.right(), &paint.across().repeat(rest), paint.style(Tone::Faint));
    }

    /// What a lamp says beside its word.
    fn words(&self, lamp: &Lamp) -> (String, String) {
        let word = match lamp.presence.as_str() {
            "" => look(&lamp.state).word.to_owned(),
            presence => format!("{}, {presence}", look(&lamp.state).word),
        };
        // What a person said of themselves matters while they talk with nobody.
        let is_quiet = lamp.with.is_empty() || lamp.state == "Idle";
        (word, self.paint.clean(if is_quiet { &lamp.note } else { &lamp.with }))
    }

    fn timer(&self, lamp: &Lamp) -> String {
        span::show(self.now_ms.saturating_sub(lamp.since_ms) / 1000)
    }

    /// ```text
    /// ▌● 6001 Bob
    /// ▌  in use  Zoe    1m02s
    /// ```
    fn card(&self, to: &mut Buffer, area: Rect, lamp: &Lamp, is_picked: bool) {
        let paint = self.paint;
        let look = look(&lamp.state);
        let tone = paint.style(look.tone);
        let Rect { x, y, width, height } = area;
        for row in y..y + height.min(2) {
            paint.put(to, (x, row), 1, paint.pick("▌", "|"), tone);
        }
        paint.put(
            to,
            (x + 1, y),
            width.saturating_sub(1),
            paint.shape(look),
            tone.add_modifier(Modifier::BOLD),
        );
        let head = if is_picked { Tone::Picked } else { Tone::Head };
        let end = area.right();
        let at =
            paint.put(to, (x + 3, y), end.saturating_sub(x + 3), &paint.clean(&lamp.name), paint.style(head));
        paint.put(to, (at + 1, y), end.saturating_sub(at + 1), &paint.clean(&lamp.title), Style::new());
        if height < 2 {
            return;
        }
        let timer_at = paint.put_right(to, (x, y + 1), width, &self.timer(lamp), paint.style(Tone::Faint));
        let (word, with) = self.words(lamp);
        let at = paint.put(to, (x + 3, y + 1), timer_at.saturating_sub(x + 4), &word, tone);
        paint.put(to, (at + 2, y + 1), timer_at.saturating_sub(at + 3), &with, Style::new());
    }

    /// `● 6001  Bob               in use  Zoe   1m02s`
    fn line(&self, to: &mut Buffer, area: Rect, lamp: &Lamp, name_width: u16, is_picked: bool) {
        let paint = self.paint;
        let look = look(&lamp.state);
        let tone = paint.style(look.tone);
        let (x, y, end) = (area.x, area.y, area.right());
        let most = if lamp.title.is_empty() { area.width / 2 } else { NAME_WIDTH_MAX };
        let name_width = name_width.min(most);
        paint.put(to, (x + 1, y), 1, paint.shape(look), tone.add_modifier(Modifier::BOLD));
        let head = if is_picked { Tone::Picked } else { Tone::Head };
        paint.put(
            to,
            (x + 3, y),
            name_width.min(end.saturating_sub(x + 3)),
            &paint.clean(&lamp.name),
            paint.style(head),
        );
        let title_at = x + 4 + name_width;
        let (word, with) = self.words(lamp);
        let state = if with.is_empty() { word } else { format!("{word}  {with}") };
        // The timer has its place where there is one.
        let (timer, room) = (self.timer(lamp), end.saturating_sub(title_at));
        let timer_at = if room < 24 {
            end
        } else {
            paint.put_right(to, (end - 7, y), 7, &timer, paint.style(Tone::Faint)).min(end - 7)
        };
        let state_at = (title_at + room.saturating_sub(8) / 2).min(timer_at);
        paint.put(
            to,
            (title_at, y),
            state_at.saturating_sub(title_at + 1),
            &paint.clean(&lamp.title),
            Style::new(),
        );
        paint.put(to, (state_at, y), timer_at.saturating_sub(state_at + 1), &state, tone);
    }
}

impl View for BoardView {
    type Data = News;

    fn take(&mut self, news: News) {
        match news {
            News::Change { resource, state, at_ms } => {
                if !self.lamps.change(&resource, &state, at_ms) {
                    self.all_due_ms.get_or_insert(self.now_ms + ALL_AFTER_MS);
                }
                self.something_happened(Some(&resource));
            }
            News::Other => {
                self.all_due_ms.get_or_insert(self.now_ms + ALL_AFTER_MS);
                self.something_happened(None);
            }
            News::All(rows) => {
                self.lamps.replace(rows, crate::cli::screen::now_ms());
                self.link = Link::Live;
            }
            News::Calls(calls) => self.lamps.talk(&calls),
            News::Why(text) => {
                if let Over::Why(_, popup) = &mut self.over {
                    let text: Vec<String> = text.lines().map(|line| self.paint.clean(line)).collect();
                    popup.say(&text.join("\n"));
                }
            }
            News::Live => {
                self.link = Link::Live;
                (self.all_due_ms, self.calls_due_ms) = (Some(0), Some(0));
            }
            News::Lost(cause) => self.link = Link::Lost(cause),
        }
        self.ask_what_is_due();
    }

    fn key(&mut self, key: KeyEvent) -> Next {
        match &mut self.over {
            Over::Help(popup) | Over::Why(_, popup) => {
                if !popup.key(key) {
                    self.over = Over::Nothing;
                }
                Next::Stay
            }
            Over::Nothing if self.search.is_open() => {
                self.search.key(key);
                Next::Stay
            }
            Over::Nothing => self.list_key(key),
        }
    }

    fn draw(&mut self, frame: &mut Frame<'_>, now_ms: u64) {
        self.now_ms = now_ms;
        self.ask_what_is_due();
        let area = frame.area();
        if area.width < 2 || area.height == 0 {
            return;
        }
        let shown = self.shown();
        let mut list = area;
        if area.height >= HEIGHT_WITH_HEAD_MIN {
            self.head(frame.buffer_mut(), area, shown.len());
            self.foot(frame.buffer_mut(), area);
            list = Rect { y: area.y + 3, height: area.height - 4, ..area };
        }
        if shown.is_empty() {
            let why = match (&self.link, self.lamps.rows().is_empty()) {
                (Link::Connecting, true) => "asking the server ...",
                (_, true) => "no lamps: nothing is configured that could be watched",
                (_, false) => "nothing matches; Esc shows everything",
            };
            self.paint.put(
                frame.buffer_mut(),
                (list.x + 1, list.y),
                list.width - 1,
                why,
                self.paint.style(Tone::Faint),
            );
        } else {
            self.list(frame.buffer_mut(), list, &shown);
        }
        match &mut self.over {
            Over::Help(popup) | Over::Why(_, popup) => popup.draw(frame, area, self.paint),
            Over::Nothing => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lamps::tests::{call, row};
    use super::*;
    use crate::cli::screen::stage::{ASCII, FULL, buffer, key, letter, picture};
    use ratatui::style::Color;
    use std::sync::mpsc::{Receiver, sync_channel};

    /// 12:51:09 of some day.
    const NOW: u64 = 1_000 * 86_400_000 + 46_269_000;

    fn office(paint: Paint) -> (BoardView, Receiver<Question>) {
        let (questions, asked) = sync_channel(8);
        let mut board = BoardView::new(paint, String::new(), questions);
        board.now_ms = NOW;
        board.take(News::Live);
        board.take(News::All(vec![
            row("6001@default", "Bob Builder", "Idle", &["Bob"]),
            row("6002@default", "Zoë", "InUse", &["Zoe"]),
            row("6003@default", "", "Ringing", &["Ida"]),
            row("600@sales", "Night bell", "Hold", &[]),
            row("sip:amy@example.com", "", "Unavailable", &[]),
        ]));
        board.take(News::Calls(vec![call("Bob", "Zoe", "confirmed")]));
        board.lamps.change("6001@default", "InUse", NOW - 62_000);
        for at in 1..5 {
            board.lamps.change(
                ["", "6002@default", "6003@default", "600@sales", "sip:amy@example.com"][at],
                "x",
                NOW,
            );
            board.lamps.change(
                ["", "6002@default", "6003@default", "600@sales", "sip:amy@example.com"][at],
                ["", "InUse", "Ringing", "Hold", "Unavailable"][at],
                NOW - 1000 * at as u64,
            );
        }
        (board, asked)
    }

    fn drawn(board: &mut BoardView, width: u16, height: u16) -> Vec<String> {
        picture(width, height, |frame| board.draw(frame, NOW))
    }

    #[test]
    fn lamps_are_cards_where_they_fit() {
        let (mut board, _asked) = office(FULL);
        assert_eq!(
            drawn(&mut board, 72, 18),
            [
                " Board  5 lamps                                      12:51:09 UTC  live",
                " ● 2 in use   ▲ 1 ringing   ‖ 1 on hold   × 1 unavailable",
                "",
                " default 3 ────────────────────────────────────────────────────────────",
                "▌● 6001 Bob Builder                 ▌● 6002 Zoë",
                "▌  in use  Zoe                1m02s ▌  in use  Bob                   1s",
                "",
                "▌▲ 6003 Ida",
                "▌  ringing                       2s",
                "",
                " sales 1 ──────────────────────────────────────────────────────────────",
                "▌‖ 600 Night bell",
                "▌  on hold                       3s",
                "",
                " People at example.com 1 ──────────────────────────────────────────────",
                "▌× amy",
                "▌  unavailable                   4s",
                " / search  s state  e kind  Enter why  c cards  ? keys  q leave",
            ]
        );
    }

    #[test]
    fn colour_is_that_of_the_state() {
        let (mut board, _asked) = office(FULL);
        let colours = |board: &mut BoardView| {
            let buffer = buffer(72, 22, |frame| board.draw(frame, NOW));
            [(1, 4), (1, 7), (1, 11), (1, 15)].map(|at| buffer[at].fg)
        };
        assert_eq!(colours(&mut board), [Color::Red, Color::Yellow, Color::Magenta, Color::DarkGray]);
        board.paint.colour = false;
        assert_eq!(colours(&mut board), [Color::Reset; 4]);
    }

    #[test]
    fn ascii_is_enough() {
        let (mut board, _asked) = office(ASCII);
        let lines = drawn(&mut board, 72, 18);
        assert!(lines.iter().all(|line| line.is_ascii()), "{lines:#?}");
        assert_eq!(lines[4], "|* 6001 Bob Builder                 |* 6002 Zo?");
    }

    #[test]
    fn lamps_are_lines_where_cards_do_not_fit() {
        let (mut board, _asked) = office(FULL);
        let lines = drawn(&mut board, 60, 12);
        assert_eq!(
            lines[3..],
            [
                " default 3 ────────────────────────────────────────────────",
                " ● 6001 Bob Builder          in use  Zoe              1m02s",
                " ● 6002 Zoë                  in use  Bob                 1s",
                " ▲ 6003 Ida                  ringing                     2s",
                " sales 1 ──────────────────────────────────────────────────",
                " ‖ 600 Night bell            on hold                     3s",
                " People at example.com 1 ──────────────────────────────────",
                " × amy                       unavailable                 4s",
                " / search  s state  e kind  Enter why  c cards  ? keys",
            ]
        );
    }

    #[test]
    fn small_terminals_show_what_fits() {
        for (width, height) in [(1, 1), (2, 1), (3, 3), (5, 9), (9, 4), (20, 8), (29, 30), (200, 2), (0, 0)] {
            for cards in [None, Some(true), Some(false)] {
                let (mut board, _asked) = office(FULL);
                board.cards = cards;
                drawn(&mut board, width, height);
                board.key(letter('?'));
                drawn(&mut board, width, height);
            }
        }
        let (mut board, _asked) = office(FULL);
        assert_eq!(drawn(&mut board, 24, 3)[1], " ● 6001 B… in use  Zoe");
    }

    #[test]
    fn the_cursor_moves_and_stays_on_its_lamp() {
        let (mut board, _asked) = office(FULL);
        drawn(&mut board, 72, 40);
        let press = |board: &mut BoardView, code| {
            board.key(key(code));
            drawn(board, 72, 40);
            board.picked.clone().unwrap_or_default()
        };
        assert_eq!(press(&mut board, KeyCode::Right), "6002@default");
        assert_eq!(press(&mut board, KeyCode::Down), "600@sales", "two side by side");
        assert_eq!(press(&mut board, KeyCode::Left), "6003@default");
        assert_eq!(press(&mut board, KeyCode::End), "sip:amy@example.com");
        assert_eq!(press(&mut board, KeyCode::Down), "sip:amy@example.com");
        assert_eq!(press(&mut board, KeyCode::Home), "6001@default");
        press(&mut board, KeyCode::Down);
        let rows = ["6000@default", "6003@default"].map(|resource| row(resource, "", "Idle", &[]));
        board.take(News::All(rows.to_vec()));
        drawn(&mut board, 72, 40);
        assert_eq!(board.picked.as_deref(), Some("6003@default"));
    }

    #[test]
    fn the_list_scrolls_to_the_cursor() {
        let (mut board, _asked) = office(FULL);
        let rows = (100..200).map(|n| row(&format!("{n}@default"), "", "Idle", &[]));
        board.take(News::All(rows.collect()));
        assert!(drawn(&mut board, 40, 12)[4].contains(" 100 "));
        board.key(key(KeyCode::End));
        let lines = drawn(&mut board, 40, 12);
        assert!(lines[10].contains(" 199 "), "{lines:#?}");
        board.key(key(KeyCode::PageUp));
        assert!(drawn(&mut board, 40, 12).iter().any(|line| line.contains(" 191 ")));
        board.key(key(KeyCode::Home));
        assert!(drawn(&mut board, 40, 12)[3].contains("default 100"), "with its group's head");
    }

    #[test]
    fn filters_say_what_they_leave_out() {
        let (mut board, _asked) = office(FULL);
        "/bob".chars().for_each(|c| assert_eq!(board.key(letter(c)), Next::Stay));
        assert_eq!(drawn(&mut board, 72, 16)[15], " /bob");
        board.key(key(KeyCode::Enter));
        let lines = drawn(&mut board, 72, 16);
        assert!(lines[0].starts_with(" Board  1 of 5 lamps"), "{lines:#?}");
        assert!(lines[15].starts_with(" / search: bob  s state"));
        board.key(key(KeyCode::Esc));
        board.key(letter('s'));
        assert_eq!((board.state, board.shown().len()), (Some("InUse"), 2));
        board.key(letter('S'));
        board.key(letter('S'));
        assert_eq!((board.state, board.shown().len()), (Some("Unavailable"), 1));
        board.key(key(KeyCode::Esc));
        board.key(letter('e'));
        board.key(letter('e'));
        assert_eq!(board.shown().len(), 1);
        assert!(drawn(&mut board, 72, 16)[0].starts_with(" Board  1 of 5 lamps, people only"));
        "/nobody".chars().for_each(|c| assert_eq!(board.key(letter(c)), Next::Stay));
        assert_eq!(drawn(&mut board, 72, 16)[3], " nothing matches; Esc shows everything");
        board.key(key(KeyCode::Enter));
        assert_eq!(board.key(letter('q')), Next::Leave);
    }

    #[test]
    fn a_note_is_shown_while_nobody_is_talked_with() {
        let (mut board, _asked) = office(FULL);
        let mut bob = row("6001@default", "Bob", "Idle", &["Bob"]);
        (bob.presence, bob.note) = ("away".into(), "Lunch".into());
        board.take(News::All(vec![bob]));
        assert!(drawn(&mut board, 72, 16)[5].starts_with("▌  idle, away  Lunch "));
        board.lamps.talk(&[call("Bob", "Zoe", "confirmed")]);
        board.lamps.change("6001@default", "InUse", NOW);
        assert!(drawn(&mut board, 72, 16)[5].starts_with("▌  in use, away  Zoe "));
    }

    #[test]
    fn a_change_is_seen_and_asks_for_calls() {
        let (mut board, asked) = office(FULL);
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), [Question::All, Question::Calls]);
        let change =
            |resource: &str| News::Change { resource: resource.into(), state: "Busy".into(), at_ms: NOW };
        board.take(change("6001@default"));
        assert!(drawn(&mut board, 72, 18)[5].starts_with("▌  busy  Zoe"));
        assert_eq!(asked.try_iter().count(), 0, "not at once");
        picture(72, 16, |frame| board.draw(frame, NOW + CALLS_AFTER_MS));
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), [Question::Calls]);
        board.take(change("new@default"));
        picture(72, 16, |frame| board.draw(frame, NOW + 2 * ALL_AFTER_MS));
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), [Question::All, Question::Calls]);
    }

    #[test]
    fn enter_says_why() {
        let (mut board, asked) = office(FULL);
        asked.try_iter().count();
        board.key(key(KeyCode::Right));
        board.key(key(KeyCode::Enter));
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), [Question::Why("6002@default".into())]);
        board.take(News::Why("6002@default: InUse\n\u{1b}[2Jnobody watches".into()));
        let lines = drawn(&mut board, 72, 16).join("\n");
        assert!(lines.contains("╭ Why 6002 ") && lines.contains("│ [2Jnobody watches"), "{lines}");
        board.take(News::Change { resource: "6002@default".into(), state: "Idle".into(), at_ms: NOW });
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), [Question::Why("6002@default".into())]);
        assert_eq!(board.key(key(KeyCode::Esc)), Next::Stay);
        assert!(!drawn(&mut board, 72, 16).join("\n").contains("Why"));
    }

    #[test]
    fn a_lost_server_is_said_and_everything_asked_again() {
        let (mut board, asked) = office(FULL);
        asked.try_iter().count();
        board.take(News::Lost("no lampyris server is running\nstart one".into()));
        let lines = drawn(&mut board, 72, 16);
        assert!(lines[0].ends_with("lost"), "{lines:#?}");
        assert_eq!(lines[15], " trying again: no lampyris server is running");
        board.take(News::Live);
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), [Question::All, Question::Calls]);
        assert!(drawn(&mut board, 72, 16)[0].ends_with("live"));
    }
}
