//! Text in a frame over the picture, which scrolls: an explanation, a message, the keys.

use super::paint::{Paint, Tone};
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Margin, Rect};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Clear, Paragraph};

/// The frame takes a column and a row on each side.
const FRAME: u16 = 2;

/// A framed text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Popup {
    title: String,
    lines: Vec<Line<'static>>,
    scroll: u16,
    /// Rows that could be seen when it was drawn last.
    seen: u16,
}

impl Popup {
    pub(crate) fn new(title: String, lines: Vec<Line<'static>>) -> Self {
        Self { title, lines, scroll: 0, seen: 1 }
    }

    /// A popup of plain text.
    pub(crate) fn of_text(title: String, text: &str) -> Self {
        Self::new(title, text.lines().map(|line| Line::raw(line.to_owned())).collect())
    }

    /// What it says from now on; the place stays.
    pub(crate) fn say(&mut self, text: &str) {
        self.lines = text.lines().map(|line| Line::raw(line.to_owned())).collect();
    }

    /// Scrolls; `false` for keys that are not its own.
    pub(crate) fn key(&mut self, key: KeyEvent) -> bool {
        let page = self.seen.max(1);
        let most = u16::try_from(self.lines.len()).unwrap_or(u16::MAX).saturating_sub(page);
        self.scroll = match key.code {
            KeyCode::Up | KeyCode::Char('k') => self.scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll.saturating_add(1),
            KeyCode::PageUp => self.scroll.saturating_sub(page),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll.saturating_add(page),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => most,
            _ => return false,
        }
        .min(most);
        true
    }

    /// Draws it over `area`, no larger than it needs.
    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>, area: Rect, paint: Paint) {
        let need = self.lines.iter().map(Line::width).max().unwrap_or(0).max(self.title.chars().count() + 2);
        let width = u16::try_from(need).unwrap_or(u16::MAX).saturating_add(FRAME + 2).min(area.width);
        let rows = u16::try_from(self.lines.len()).unwrap_or(u16::MAX).saturating_add(FRAME);
        let height = rows.min(area.height);
        let place = Rect {
            x: area.x + (area.width - width) / 2,
            y: area.y + (area.height - height) / 2,
            width,
            height,
        };
        frame.render_widget(Clear, place);
        self.draw_in(frame, place, paint);
    }

    /// Draws it into all of `area`.
    pub(crate) fn draw_in(&mut self, frame: &mut Frame<'_>, area: Rect, paint: Paint) {
        self.seen = area.height.saturating_sub(FRAME);
        let rows = u16::try_from(self.lines.len()).unwrap_or(u16::MAX);
        self.scroll = self.scroll.min(rows.saturating_sub(self.seen));
        let mut block = Block::bordered()
            .border_set(paint.border())
            .border_style(paint.style(Tone::Faint))
            .title(Line::styled(format!(" {} ", self.title), paint.style(Tone::Head)));
        if rows > self.seen {
            let last = (self.scroll + self.seen).min(rows);
            block = block.title_bottom(
                Line::styled(format!(" {last} of {rows} "), paint.style(Tone::Faint)).right_aligned(),
            );
        }
        frame.render_widget(block, area);
        let inside = area.inner(Margin::new(FRAME, 1));
        let text = Text::from(self.lines.clone());
        frame.render_widget(Paragraph::new(text).scroll((self.scroll, 0)), inside);
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{ASCII, key, picture};
    use super::*;

    #[test]
    fn it_is_as_large_as_its_text_and_scrolls_where_it_cannot_be() {
        let mut popup = Popup::of_text("Keys".into(), "one\ntwo\nthree\nfour\nfive");
        let drawn = picture(20, 9, |frame| popup.draw(frame, frame.area(), ASCII));
        assert_eq!(drawn[1..3], ["     + Keys --+", "     | one    |"].map(str::to_owned));
        let drawn = picture(14, 4, |frame| popup.draw(frame, frame.area(), ASCII));
        assert_eq!(drawn[1..], ["  | one    |", "  | two    |", "  + 2 of 5 +"].map(str::to_owned));
        assert!(popup.key(key(KeyCode::End)));
        let drawn = picture(14, 4, |frame| popup.draw(frame, frame.area(), ASCII));
        assert_eq!(drawn[1], "  | four   |");
        assert!(popup.key(key(KeyCode::Down)), "at the end it stays");
        assert!(popup.key(key(KeyCode::Home)));
        assert!(!popup.key(key(KeyCode::Esc)));
    }

    #[test]
    fn no_place_is_no_trouble() {
        let mut popup = Popup::of_text("Keys".into(), "one");
        for (width, height) in [(1, 1), (2, 2), (3, 1), (0, 0)] {
            picture(width, height, |frame| popup.draw(frame, frame.area(), ASCII));
        }
    }
}
