//! The office's day in a hurry: whatever happens at once, at the end every lamp is true.

use super::board::Board;
use super::desk::{Pace, Told};
use super::open::Office;
use super::{day, free_port, serve, user_of};
use crate::store::tests::TempDir;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A tenth of a second of the day in a few milliseconds: tens of calls, many of them at once.
const HURRY: Pace = Pace(Duration::from_millis(3));
const DAY: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn after_the_last_call_every_lamp_is_idle() {
    let data = TempDir::new();
    let (address, running) = serve(data.path(), free_port(0)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (office, mut told) = Office::open(address, HURRY).await.unwrap();
        let mut board = Board::new(false);
        let mut printed = String::new();
        let mut show = |board: &mut Board, told: Told| match told {
            Told::Happened(what) => printed += &board.happens(&what),
            Told::Notified(notified) => {
                let text = board.take(user_of(&notified.resource), &notified.content_type, &notified.body);
                printed += &text.unwrap_or_default();
            }
        };
        let day = tokio::spawn(day::spend(office.colleagues.clone(), HURRY));
        let evening = Instant::now() + DAY;
        while let Ok(Some(told)) = timeout_at(evening, told.recv()).await {
            show(&mut board, told);
        }
        day.abort();
        office.hang_up().await;
        let late = Instant::now() + PATIENCE;
        while !board.lit().is_empty()
            && let Ok(Some(told)) = timeout_at(late, told.recv()).await
        {
            show(&mut board, told);
        }
        assert_eq!(board.lit(), [""; 0], "{printed}");
        for word in ["ringing", "in use", "on hold", "picks up", "gives up", "declines"] {
            assert!(printed.contains(word), "nobody {word}:\n{printed}");
        }
        assert!(!printed.contains("cannot"), "{printed}");
        office.close().await;
    });
    running.stop().unwrap();
}
