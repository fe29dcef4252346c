//! The demo's board: a line per person with a lamp, and what happened last; redrawn in place on a terminal, or a line per
//! change elsewhere.

use super::office::PEOPLE;
use lampyris_core::body::dialog_info::{Dialog, DialogInfo, DialogState, Direction};
use lampyris_core::body::pidf::Pidf;
use std::collections::VecDeque;
use std::fmt::Write as _;

/// Notes that say what the lamp says anyway.
const REPEATS: [&str; 6] = ["Ready", "Ringing", "On the phone", "On hold", "Unavailable", "Available"];
/// Happenings that are shown at once.
const SHOWN: usize = 5;
/// Most characters of a happening: a line of a terminal of 80 columns must not wrap.
const WIDTH: usize = 74;

/// A lamp as a phone would show it; the last of several that apply is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lamp {
    Unknown,
    Idle,
    OnHold,
    InUse,
    Ringing,
}

impl Lamp {
    /// What a dialog document says: of several dialogs, the one that most wants to be seen.
    pub(super) fn of_dialogs(body: &str) -> Self {
        let Ok(info) = DialogInfo::decode(body.as_bytes()) else { return Self::Unknown };
        let live = info.dialogs.iter().filter(|dialog| dialog.state != DialogState::Terminated);
        let lamp = |dialog: &Dialog| match dialog.state {
            DialogState::Confirmed if dialog.is_held() => Self::OnHold,
            DialogState::Confirmed => Self::InUse,
            // Whoever calls is in use while it rings at the other side.
            _ if dialog.direction == Some(Direction::Initiator) => Self::InUse,
            _ => Self::Ringing,
        };
        live.map(lamp).max().unwrap_or(Self::Idle)
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
}

/// The board.
pub(super) struct Board {
    rows: Vec<Row>,
    happened: VecDeque<String>,
    live: bool,
    drawn: usize,
}

impl Board {
    /// An empty board; `live` redraws in place.
    pub(super) fn new(live: bool) -> Self {
        let row = Row { lamp: Lamp::Unknown, note: String::new() };
        Self { rows: vec![row; PEOPLE.len()], happened: VecDeque::new(), live, drawn: 0 }
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
        let row = row.clone();
        Some(if self.live { self.draw() } else { line(index, &row, false) + "\n" })
    }

    /// Takes a happening; what is to be printed now.
    pub(super) fn happens(&mut self, what: &str) -> String {
        let what: String = what.chars().filter(|c| !c.is_control()).take(WIDTH).collect();
        if !self.live {
            return format!("- {what}\n");
        }
        if self.happened.len() == SHOWN {
            self.happened.pop_front();
        }
        self.happened.push_back(what);
        self.draw()
    }

    /// Whose lamp is lit.
    pub(super) fn lit(&self) -> Vec<&'static str> {
        let lit = self.rows.iter().zip(PEOPLE).filter(|(row, _)| row.lamp != Lamp::Idle);
        lit.map(|(_, person)| person.name).collect()
    }

    /// The whole board, over the last one where it is live.
    pub(super) fn draw(&mut self) -> String {
        let mut lines: Vec<_> =
            self.rows.iter().enumerate().map(|(index, row)| line(index, row, self.live)).collect();
        if self.live {
            lines.push(String::new());
            let past = (0..SHOWN).map(|index| self.happened.get(index).map_or("", String::as_str));
            lines.extend(past.map(|what| format!("  {what}")));
        }
        let mut text = String::new();
        if self.live && self.drawn > 0 {
            let _ = write!(text, "\x1b[{}A", self.drawn);
        }
        for line in &lines {
            if self.live {
                text.push_str("\x1b[2K");
            }
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = lines.len();
        text
    }
}

fn line(index: usize, row: &Row, colour: bool) -> String {
    let Some(person) = PEOPLE.get(index) else { return String::new() };
    let (code, shape, word) = row.lamp.looks();
    let (on, off) = if colour { (format!("\x1b[{code}m"), "\x1b[0m") } else { (String::new(), "") };
    let line =
        format!("  {on}{shape} {word:<8}{off} {:<5} {:<8} {}", person.extension, person.name, row.note);
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::documents::{CONTENT_TYPE, presence};
    use super::*;
    use lampyris_core::body::dialog_info;

    fn dialog(state: &str, held: bool) -> String {
        let target = if held {
            "<local><target uri=\"sip:a@b\"><param pname=\"+sip.rendering\" pvalue=\"no\"/></target></local>"
        } else {
            ""
        };
        format!(
            "<?xml version=\"1.0\"?><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" \
             state=\"full\" entity=\"sip:a@b\"><dialog id=\"1\"><state>{state}</state>{target}</dialog></dialog-info>"
        )
    }

    #[test]
    fn the_board_shows_what_the_documents_say_and_only_changes() {
        let mut board = Board::new(false);
        for (state, held, word) in [
            ("early", false, Some("ringing")),
            ("confirmed", false, Some("in use")),
            ("confirmed", true, Some("on hold")),
            ("confirmed", true, None),
            ("confirmed", false, Some("in use")),
            ("terminated", false, Some("idle")),
        ] {
            let told = board.take("6001", dialog_info::CONTENT_TYPE, &dialog(state, held));
            assert_eq!(told.is_some(), word.is_some(), "{state} {held}");
            assert!(told.unwrap_or_default().contains(word.unwrap_or("")), "{state} {held}");
            assert_eq!(board.lit().contains(&"Bob"), state != "terminated");
        }
        let body = presence("sip:Bob-desk@127.0.0.1", "away", "Lunch");
        assert!(board.take("6001", CONTENT_TYPE, &body).unwrap().ends_with("Lunch\n"));
        let calls = dialog("early", false).replace("id=\"1\"", "id=\"1\" direction=\"initiator\"");
        assert!(board.take("6001", dialog_info::CONTENT_TYPE, &calls).unwrap().contains("in use"));
        assert_eq!(board.take("9999", CONTENT_TYPE, &body), None);
    }

    #[test]
    fn a_live_board_keeps_its_height_and_width() {
        let mut board = Board::new(true);
        let height = board.draw().lines().count();
        for number in 0..20 {
            let drawn = board.happens(&format!("{number} {}", "x".repeat(200)));
            assert_eq!(drawn.lines().count(), height);
            assert!(drawn.starts_with(&format!("\x1b[{height}A")));
            assert!(drawn.lines().last().unwrap().chars().count() < 84);
        }
    }
}
