//! A line that is typed at the foot of the screen: a search.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Longest text that is taken, in characters.
const CHARS_MAX: usize = 120;

/// What is typed, and whether it is being typed now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prompt {
    text: String,
    open: bool,
}

impl Prompt {
    /// A text that nobody types now.
    pub(crate) fn of(text: &str) -> Self {
        Self { text: text.to_owned(), open: false }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }

    /// Takes keys from now on.
    pub(crate) fn open(&mut self) {
        self.open = true;
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.open = false;
    }

    /// Takes a key: Enter keeps the text, Esc drops it.
    pub(crate) fn key(&mut self, key: KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter | KeyCode::Up | KeyCode::Down => self.open = false,
            KeyCode::Esc => self.clear(),
            KeyCode::Backspace => {
                self.text.pop();
            }
            KeyCode::Char('u') if control => self.text.clear(),
            KeyCode::Char('w') if control => {
                let kept = self.text.trim_end().rfind(' ').map_or(0, |at| at + 1);
                self.text.truncate(kept);
            }
            KeyCode::Char(c) if !control && self.text.chars().count() < CHARS_MAX => self.text.push(c),
            _ => {}
        }
    }

    /// The words that are looked for, in small letters.
    pub(crate) fn words(&self) -> Vec<String> {
        self.text.to_lowercase().split_whitespace().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_make_a_text() {
        let mut prompt = Prompt::default();
        prompt.open();
        let key = |code| KeyEvent::new(code, KeyModifiers::NONE);
        "Bob  De x".chars().for_each(|c| prompt.key(key(KeyCode::Char(c))));
        prompt.key(KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL));
        assert_eq!(prompt.text(), "Bob  De ");
        prompt.key(key(KeyCode::Backspace));
        prompt.key(key(KeyCode::Enter));
        assert_eq!((prompt.words(), prompt.is_open()), (vec!["bob".into(), "de".into()], false));
        prompt.open();
        prompt.key(key(KeyCode::Esc));
        assert_eq!((prompt.text(), prompt.is_open()), ("", false));
        "x".repeat(2 * CHARS_MAX).chars().for_each(|c| prompt.key(key(KeyCode::Char(c))));
        assert_eq!(prompt.text().len(), CHARS_MAX);
        prompt.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert_eq!(prompt.text(), "");
    }
}
