//! For tests: a screen in memory, and keys.

use super::paint::Paint;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Frame, Terminal};

/// Neither colour nor UTF-8.
pub(crate) const ASCII: Paint = Paint { colour: false, unicode: false };
/// All a terminal can do.
pub(crate) const FULL: Paint = Paint { colour: true, unicode: true };

/// A key without modifiers.
pub(crate) fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// A letter.
pub(crate) fn letter(c: char) -> KeyEvent {
    key(KeyCode::Char(c))
}

/// What is drawn on a screen of this size.
pub(crate) fn buffer(width: u16, height: u16, draw: impl FnOnce(&mut Frame<'_>)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen in memory");
    terminal.draw(draw).expect("drawn").buffer.clone()
}

/// The same as lines of text, without the blanks at their ends.
pub(crate) fn picture(width: u16, height: u16, draw: impl FnOnce(&mut Frame<'_>)) -> Vec<String> {
    lines(&buffer(width, height, draw))
}

/// A buffer as lines of text, without the blanks at their ends.
pub(crate) fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width.max(1));
    let rows =
        buffer.content.chunks(width).map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
    rows.map(|row| row.trim_end().to_owned()).collect()
}
