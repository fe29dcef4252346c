//! Signals: SIGTERM and SIGINT stop gracefully, SIGHUP reads the configuration again.

use super::reload::Reloader;
use crate::engine::inbox::{Happening, Mailbox};
use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Listens for signals until the runtime ends.
///
/// # Errors
/// The system does not let us.
pub(crate) fn listen(mailbox: Mailbox, reloader: Reloader) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => { mailbox.put(Happening::Stop); }
                _ = interrupt.recv() => { mailbox.put(Happening::Stop); }
                // The outcome is in the log; there is nobody else to tell.
                _ = hangup.recv() => drop(reloader.reload().await),
            }
        }
    });
    Ok(())
}
