//! A full-screen program on a terminal: the alternate screen, keys, and a picture that follows what a server says.
//!
//! In: keys, and data that threads of the program send. Out: what a [`View`] draws, at most every [`FRAME`]. However it ends
//! (a key, a signal, a bug of ours), the terminal is as it was before. Nothing here knows what is shown.

pub(crate) mod paint;
pub(crate) mod popup;
pub(crate) mod prompt;
#[cfg(test)]
pub(crate) mod stage;

use super::failure::Failure;
use nix::sys::signal::{SigSet, Signal};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, read};
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};
use ratatui::{Frame, Terminal};
use std::io::{BufWriter, IsTerminal as _, Stdout, Write as _, stdin, stdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Shortest time between two pictures: what changes meanwhile is in the next.
const FRAME: Duration = Duration::from_millis(33);
/// Longest time between two pictures: timers count seconds.
const TICK: Duration = Duration::from_secs(1);
/// Most inputs that wait for the view; who brings more waits.
const INPUTS_MAX: usize = 4096;
/// Bytes of a picture that are written at once.
const PICTURE_BYTES: usize = 64 * 1024;

/// What a bug said in a thread that is not the screen's; told when the terminal is a terminal again.
static BUG: Mutex<Option<String>> = Mutex::new(None);

/// What a view does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Stay,
    Leave,
}

/// What is shown, and how it follows keys and data.
pub(crate) trait View {
    /// What threads send it.
    type Data: Send + 'static;

    /// Takes what a thread has sent.
    fn take(&mut self, data: Self::Data);

    /// Takes a key; Ctrl-C never comes here.
    fn key(&mut self, key: KeyEvent) -> Next;

    /// Draws all of it. `now_ms` is in milliseconds since the Unix epoch.
    fn draw(&mut self, frame: &mut Frame<'_>, now_ms: u64);
}

/// What comes to the screen.
enum Input<T> {
    Key(KeyEvent),
    Redraw,
    Data(T),
    End,
}

/// Where threads send data for the view.
pub(crate) struct Feed<T>(SyncSender<Input<T>>);

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static> Feed<T> {
    /// Hands data over; `false` when nobody looks any more.
    pub(crate) fn send(&self, data: T) -> bool {
        self.0.send(Input::Data(data)).is_ok()
    }

    /// Runs work of the program beside the screen; a bug in it ends the screen.
    pub(crate) fn spawn(&self, work: impl FnOnce(Self) + Send + 'static) {
        let feed = self.clone();
        std::thread::spawn(move || {
            let _ending = Ending(feed.0.clone());
            work(feed);
        });
    }
}

/// Ends the screen when its thread panics.
struct Ending<T>(SyncSender<Input<T>>);

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.send(Input::End);
        }
    }
}

/// Whether a full screen can be drawn: output to a terminal that can move its cursor.
pub(crate) fn is_possible() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    stdout().is_terminal() && !dumb
}

/// Shows a view until a key, a signal or a bug ends it. `begin` starts what feeds it.
///
/// # Errors
/// The terminal cannot be used, or a thread of ours broke.
pub(crate) fn show<V: View>(view: &mut V, begin: impl FnOnce(&Feed<V::Data>)) -> Result<(), Failure> {
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    // Why: blocked before the first thread starts, so that only the one that waits for them gets them.
    signals.thread_block().map_err(std::io::Error::from)?;
    let (inputs, queue) = sync_channel(INPUTS_MAX);
    let outcome = {
        let mut screen = Screen::enter()?;
        let feed = Feed(inputs.clone());
        let ends = inputs.clone();
        std::thread::spawn(move || {
            let _ = signals.wait();
            let _ = ends.send(Input::End);
        });
        std::thread::spawn(move || keys(&inputs));
        begin(&feed);
        follow(&mut screen, view, &queue)
    };
    match BUG.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(bug) => Err(Failure::Refused(format!("a bug of ours ended the screen: {bug}"))),
        None => Ok(outcome?),
    }
}

/// Reads the keyboard until nobody wants to know.
fn keys<T>(inputs: &SyncSender<Input<T>>) {
    // Why: without a keyboard (`board </dev/null` in a container) there is still something to see, until a signal comes.
    if !stdin().is_terminal() && std::fs::File::open("/dev/tty").is_err() {
        return;
    }
    loop {
        let input = match read() {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Input::Key(key),
            Ok(Event::Resize(..)) => Input::Redraw,
            Ok(_) => continue,
            Err(_) => Input::End,
        };
        let is_end = matches!(input, Input::End);
        if inputs.send(input).is_err() || is_end {
            return;
        }
    }
}

fn follow<V: View>(
    screen: &mut Screen,
    view: &mut V,
    queue: &Receiver<Input<V::Data>>,
) -> std::io::Result<()> {
    loop {
        screen.draw(view)?;
        let drawn = Instant::now();
        let mut wait = TICK;
        loop {
            match queue.recv_timeout(wait) {
                Ok(Input::Data(data)) => view.take(data),
                Ok(Input::Redraw) => {}
                Ok(Input::Key(key)) => {
                    if is_interrupt(key) || view.key(key) == Next::Leave {
                        return Ok(());
                    }
                }
                Ok(Input::End) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            wait = FRAME.saturating_sub(drawn.elapsed());
        }
    }
}

/// Ctrl-C, which a terminal in raw mode hands over as a key.
fn is_interrupt(key: KeyEvent) -> bool {
    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}

/// The terminal while it is ours; given back when dropped, by a panic too.
struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Screen {
    fn enter() -> std::io::Result<Self> {
        let owner = std::thread::current().id();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |bug| {
            if std::thread::current().id() == owner {
                leave();
                before(bug);
            } else {
                // Why: another thread must not write into the picture; the screen ends and says it.
                *BUG.lock().unwrap_or_else(PoisonError::into_inner) = Some(bug.to_string());
            }
        }));
        enable_raw_mode()?;
        let out = BufWriter::with_capacity(PICTURE_BYTES, stdout());
        // Why: `Terminal::clear` asks the terminal where its cursor is, and not every terminal answers.
        let entered = execute!(stdout(), EnterAlternateScreen, Clear(ClearType::All), cursor::Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(out)));
        match entered {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                leave();
                Err(error)
            }
        }
    }

    fn draw<V: View>(&mut self, view: &mut V) -> std::io::Result<()> {
        let now_ms = now_ms();
        // Terminals that know it show the picture at once, others ignore it.
        execute!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| view.draw(frame, now_ms))?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Gives the terminal back; harmless where it was given back already.
fn leave() {
    let _ = execute!(stdout(), LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
    let _ = stdout().flush();
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_control_c_interrupts() {
        let key = |code, modifiers| KeyEvent::new(code, modifiers);
        assert!(is_interrupt(key(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        assert!(!is_interrupt(key(KeyCode::Char('c'), KeyModifiers::NONE)));
        assert!(!is_interrupt(key(KeyCode::Char('d'), KeyModifiers::CONTROL)));
    }

    #[test]
    fn a_thread_that_breaks_ends_the_screen() {
        let (inputs, queue) = sync_channel(4);
        let feed = Feed(inputs);
        feed.spawn(|feed| {
            assert!(feed.send(7_u32));
        });
        assert!(matches!(queue.recv(), Ok(Input::Data(7))));
        feed.spawn(|_| std::panic::resume_unwind(Box::new("broken")));
        assert!(matches!(queue.recv(), Ok(Input::End)));
    }
}
