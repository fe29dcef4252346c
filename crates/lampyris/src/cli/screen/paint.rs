//! How things look on a terminal: tones, and shapes that say the same without colour; ASCII where UTF-8 is not spoken.
//!
//! Colours are the terminal's own sixteen, so that they fit its theme, light or dark. Under `NO_COLOR` (no-color.org) the
//! attributes are left: bold, dim, reversed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::{bar, border, line};
use ratatui::text::Span;
use std::ffi::OsString;

/// What is said by how something looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Idle,
    Use,
    Busy,
    Ring,
    Hold,
    Off,
    Odd,
    /// Titles.
    Head,
    /// What matters less.
    Faint,
    /// Words of keys.
    Key,
    /// Requests of a ladder.
    Request,
    Good,
    /// On the way, or to be looked at.
    Early,
    Bad,
    /// Where the cursor stands.
    Picked,
}

/// How a lamp's state looks: never by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// As the server says it.
    pub(crate) state: &'static str,
    pub(crate) word: &'static str,
    shape: &'static str,
    plain: &'static str,
    pub(crate) tone: Tone,
}

const fn row(
    state: &'static str,
    word: &'static str,
    shape: &'static str,
    plain: &'static str,
    tone: Tone,
) -> Look {
    Look { state, word, shape, plain, tone }
}

/// Every state, in the order in which a board offers them; the last is for what has no row.
pub(crate) const LOOKS: [Look; 9] = [
    row("Idle", "idle", "○", "o", Tone::Idle),
    row("InUse", "in use", "●", "*", Tone::Use),
    row("Busy", "busy", "■", "#", Tone::Busy),
    row("Ringing", "ringing", "▲", "!", Tone::Ring),
    row("InUse&Ringing", "in use, ringing", "△", "&", Tone::Ring),
    row("Hold", "on hold", "‖", "=", Tone::Hold),
    row("InUse&Hold", "in use, hold", "◐", "%", Tone::Hold),
    row("Unavailable", "unavailable", "×", "x", Tone::Off),
    row("", "unknown", "◇", "?", Tone::Odd),
];

/// How a state looks.
pub(crate) fn look(state: &str) -> Look {
    let [.., odd] = LOOKS;
    LOOKS.into_iter().find(|look| look.state == state).unwrap_or(odd)
}

/// What this terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint {
    pub(crate) colour: bool,
    pub(crate) unicode: bool,
}

impl Paint {
    /// What the environment says; `ascii` was asked for.
    pub(crate) fn of_environment(ascii: bool) -> Self {
        Self::read(ascii, |name| std::env::var_os(name))
    }

    fn read(ascii: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let said = |name: &str| variable(name).filter(|value| !value.is_empty());
        // The first of them that is set decides (POSIX, "Environment Variables").
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(said);
        let locale = locale.unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let unicode = !ascii && (locale.contains("utf-8") || locale.contains("utf8"));
        Self { colour: said("NO_COLOR").is_none(), unicode }
    }

    /// The style of a tone.
    pub(crate) fn style(self, tone: Tone) -> Style {
        let plain = Style::new();
        if !self.colour {
            return match tone {
                Tone::Ring | Tone::Bad | Tone::Picked => plain.add_modifier(Modifier::REVERSED),
                Tone::Use | Tone::Busy | Tone::Hold | Tone::Head | Tone::Key | Tone::Request => {
                    plain.add_modifier(Modifier::BOLD)
                }
                Tone::Off | Tone::Faint => plain.add_modifier(Modifier::DIM),
                Tone::Idle | Tone::Odd | Tone::Good | Tone::Early => plain,
            };
        }
        match tone {
            Tone::Idle | Tone::Good => plain.fg(Color::Green),
            Tone::Use | Tone::Bad => plain.fg(Color::Red),
            Tone::Busy => plain.fg(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Ring => plain.fg(Color::Yellow).add_modifier(Modifier::BOLD),
            Tone::Hold => plain.fg(Color::Magenta),
            Tone::Off | Tone::Faint => plain.fg(Color::DarkGray),
            Tone::Odd => plain.fg(Color::Blue),
            Tone::Head => plain.add_modifier(Modifier::BOLD),
            Tone::Key | Tone::Request => plain.fg(Color::Cyan),
            Tone::Early => plain.fg(Color::Yellow),
            Tone::Picked => plain.add_modifier(Modifier::REVERSED),
        }
    }

    /// The shape of a look.
    pub(crate) const fn shape(self, look: Look) -> &'static str {
        self.pick(look.shape, look.plain)
    }

    /// One of two ways to draw the same.
    pub(crate) const fn pick(self, unicode: &'static str, plain: &'static str) -> &'static str {
        if self.unicode { unicode } else { plain }
    }

    /// What frames are made of.
    pub(crate) const fn border(self) -> border::Set<'static> {
        if self.unicode {
            return border::ROUNDED;
        }
        border::Set {
            top_left: "+",
            top_right: "+",
            bottom_left: "+",
            bottom_right: "+",
            vertical_left: "|",
            vertical_right: "|",
            horizontal_top: "-",
            horizontal_bottom: "-",
        }
    }

    /// What lines are made of.
    pub(crate) const fn across(self) -> &'static str {
        self.pick(line::HORIZONTAL, "-")
    }

    /// What small curves are made of.
    pub(crate) const fn bars(self) -> bar::Set<'static> {
        if self.unicode {
            return bar::NINE_LEVELS;
        }
        bar::Set {
            full: "#",
            seven_eighths: "#",
            three_quarters: "=",
            five_eighths: "=",
            half: "-",
            three_eighths: "-",
            one_quarter: ".",
            one_eighth: ".",
            empty: " ",
        }
    }

    /// Writes text into at most `width` columns of a row; what is cut ends with a sign. The column behind it comes back.
    pub(crate) fn put(
        self,
        to: &mut Buffer,
        (x, y): (u16, u16),
        width: u16,
        text: &str,
        style: Style,
    ) -> u16 {
        let place = Rect::new(x, y, width, 1).intersection(to.area);
        if place.is_empty() {
            return x;
        }
        let (end, _) = to.set_stringn(x, y, text, usize::from(place.width), style);
        if Span::raw(text).width() > usize::from(place.width)
            && let Some(last) = to.cell_mut((place.right() - 1, y))
        {
            last.set_symbol(self.pick("…", "~")).set_style(style);
            return place.right();
        }
        end
    }

    /// The same, ending at the last of these columns; the column in front of it comes back.
    pub(crate) fn put_right(
        self,
        to: &mut Buffer,
        (x, y): (u16, u16),
        width: u16,
        text: &str,
        style: Style,
    ) -> u16 {
        let need = u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX).min(width);
        self.put(to, (x + width - need, y), need, text, style);
        x + width - need
    }

    /// Keys and what they do, in one row; those that find no room are left out.
    pub(crate) fn keys(self, to: &mut Buffer, (x, y): (u16, u16), width: u16, keys: &[(&str, &str)]) {
        let (end, mut at) = (x + width, x);
        for (key, about) in keys {
            let need = Span::raw(*key).width() + 1 + Span::raw(*about).width();
            if usize::from(end.saturating_sub(at)) < need {
                return;
            }
            at = self.put(to, (at, y), end - at, key, self.style(Tone::Key));
            at = self.put(to, (at + 1, y), end - at - 1, about, self.style(Tone::Faint)) + 2;
        }
    }

    /// Text from elsewhere as this terminal can show it: without control characters, and in ASCII where it must be.
    pub(crate) fn clean(self, text: &str) -> String {
        let text = crate::cli::text::line(text);
        if self.unicode || text.is_ascii() {
            return text;
        }
        text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const PLAIN: Paint = Paint { colour: false, unicode: false };

    #[test]
    fn the_environment_decides() {
        type Set = &'static [(&'static str, &'static str)];
        let rows: [(Set, bool, bool, bool); 8] = [
            (&[], false, true, false),
            (&[("LANG", "C.UTF-8")], false, true, true),
            (&[("LANG", "de_DE.utf8"), ("NO_COLOR", "1")], false, false, true),
            (&[("LANG", "C.UTF-8"), ("NO_COLOR", "")], false, true, true),
            (&[("LANG", "C.UTF-8"), ("LC_ALL", "C")], false, true, false),
            (&[("LANG", "C"), ("LC_ALL", ""), ("LC_CTYPE", "en_US.UTF-8")], false, true, true),
            (&[("LANG", "POSIX")], false, true, false),
            (&[("LANG", "C.UTF-8")], true, true, false),
        ];
        for (set, ascii, colour, unicode) in rows {
            let variable =
                |name: &str| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).into());
            assert_eq!(Paint::read(ascii, variable), Paint { colour, unicode }, "{set:?} {ascii}");
        }
    }

    #[test]
    fn every_state_looks_different_without_colour() {
        let full = Paint { colour: false, unicode: true };
        for (at, look) in LOOKS.iter().enumerate() {
            assert!(PLAIN.shape(*look).is_ascii(), "{look:?}");
            for other in &LOOKS[..at] {
                for paint in [PLAIN, full] {
                    assert_ne!(paint.shape(*look), paint.shape(*other));
                }
                assert_ne!(look.word, other.word);
            }
        }
        assert_eq!(look("InUse&Hold").word, "in use, hold");
        assert_eq!(look("Sleeping").word, "unknown");
    }

    #[test]
    fn no_colour_means_no_colour() {
        for look in LOOKS {
            let style = PLAIN.style(look.tone);
            assert_eq!((style.fg, style.bg), (None, None), "{look:?}");
        }
        let coloured = Paint { colour: true, unicode: true };
        assert_eq!(coloured.style(Tone::Ring).fg, Some(Color::Yellow));
    }

    #[test]
    fn text_of_others_is_made_harmless() {
        assert_eq!(PLAIN.clean("Zoë\u{1b}[2J"), "Zo?[2J");
        assert_eq!(Paint { colour: true, unicode: true }.clean("Zoë\u{202e}x"), "Zoëx");
    }
}
