//! The demo's board: a line per person with a lamp, redrawn in place on a terminal, or a line per change elsewhere.

use super::office::PEOPLE;
use lampyris_core::body::dialog_info::{DialogInfo, DialogState};
use lampyris_core::body::pidf::Pidf;
use std::fmt::Write as _;

/// Notes that say what the lamp says anyway.
const REPEATS: [&str; 6] = ["Ready", "Ringing", "On the phone", "On hold", "Unavailable", "Available"];

/// A lamp as a phone would show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lamp {
    Unknown,
    Idle,
    Ringing,
    InUse,
    OnHold,
}

impl Lamp {
    /// What a dialog document says.
    pub(super) fn of_dialogs(body: &str) -> Self {
        let Ok(info) = DialogInfo::decode(body.as_bytes()) else { return Self::Unknown };
        let live = info.dialogs.iter().filter(|dialog| dialog.state != DialogState::Terminated);
        let lamp = |dialog: &lampyris_core::body::dialog_info::Dialog| match dialog.state {
            DialogState::Early | DialogState::Proceeding | DialogState::Trying => Self::Ringing,
            _ if dialog.is_held() => Self::OnHold,
            _ => Self::InUse,
        };
        live.map(lamp).next().unwrap_or(Self::Idle)
    }

    /// Colour (an SGR code), shape and word: never colour alone.
    const fn looks(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Unknown => ("90", "·", "unknown"),
            Self::Idle => ("32", "○", "idle"),
            Self::Ringing => ("33;5", "◐", "ringing"),
            Self::InUse => ("31", "●", "in use"),
            Self::OnHold => ("35", "◫", "on hold"),
        }
    }
}

/// What the board shows of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    lamp: Lamp,
    note: String,
    changes: u32,
}

/// The board.
pub(super) struct Board {
    rows: Vec<Row>,
    live: bool,
    drawn: usize,
}

impl Board {
    /// An empty board; `live` redraws in place.
    pub(super) fn new(live: bool) -> Self {
        let row = Row { lamp: Lamp::Unknown, note: String::new(), changes: 0 };
        Self { rows: vec![row; PEOPLE.len()], live, drawn: 0 }
    }

    /// Takes a document about an extension; what is to be printed now, if anything.
    pub(super) fn take(&mut self, extension: &str, content_type: &str, body: &str) -> Option<String> {
        let index = PEOPLE.iter().position(|person| person.extension == extension)?;
        let row = self.rows.get_mut(index)?;
        let before = row.clone();
        if content_type.contains("dialog-info") {
            row.lamp = Lamp::of_dialogs(body);
        } else if let Ok(document) = Pidf::decode(body.as_bytes()) {
            let note = document.first_note().filter(|note| !REPEATS.contains(note)).unwrap_or("");
            row.note = note.chars().filter(|c| !c.is_control()).collect();
        }
        if *row == before {
            return None;
        }
        row.changes += 1;
        let row = row.clone();
        if self.live { Some(self.draw()) } else { Some(line(index, &row, false)) }
    }

    /// The whole board, over the last one where it is live.
    pub(super) fn draw(&mut self) -> String {
        let mut text = String::new();
        if self.live && self.drawn > 0 {
            let _ = write!(text, "\x1b[{}A", self.drawn);
        }
        for (index, row) in self.rows.iter().enumerate() {
            if self.live {
                text.push_str("\x1b[2K");
            }
            text.push_str(&line(index, row, self.live));
            text.push('\n');
        }
        self.drawn = self.rows.len();
        text
    }
}

fn line(index: usize, row: &Row, colour: bool) -> String {
    let Some(person) = PEOPLE.get(index) else { return String::new() };
    let (code, shape, word) = row.lamp.looks();
    let (on, off) = if colour { (format!("\x1b[{code}m"), "\x1b[0m") } else { (String::new(), "") };
    format!("  {on}{shape} {word:<8}{off} {:<5} {:<8} {}", person.extension, person.name, row.note)
}

#[cfg(test)]
mod tests {
    use super::super::documents::publication;
    use super::super::office::Act;
    use super::*;

    #[test]
    fn the_board_shows_what_the_documents_say_and_only_changes() {
        let mut board = Board::new(false);
        for (act, word) in [
            (Act::Ring, Some("ringing")),
            (Act::Answer, Some("in use")),
            (Act::Hold, Some("on hold")),
            (Act::Hold, None),
            (Act::Resume, Some("in use")),
            (Act::HangUp, Some("idle")),
        ] {
            let (_, content_type, body) = publication("sip:Bob-desk@127.0.0.1", act);
            let told = board.take("6001", content_type, &body);
            assert_eq!(told.is_some(), word.is_some(), "{act:?}");
            assert!(told.unwrap_or_default().contains(word.unwrap_or("")), "{act:?}");
        }
        let (_, content_type, body) = publication("sip:Bob-desk@127.0.0.1", Act::Away("Lunch"));
        assert!(board.take("6001", content_type, &body).unwrap().ends_with("Lunch"));
        assert_eq!(board.take("9999", content_type, &body), None);
    }
}
