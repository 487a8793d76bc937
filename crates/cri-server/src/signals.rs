//! The signals that end the daemon.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// A future that ends with SIGTERM (systemd) or SIGINT (a terminal). From the call on, neither kills the process.
///
/// # Errors
/// The handlers cannot be installed.
///
/// # Panics
/// Outside of a tokio runtime.
pub(crate) fn termination() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            biased;
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
    })
}
