//! Whether images can be served: what the daemon says of itself while containerd is away.

use imagestore::Readiness;
use tokio::sync::watch;

use crate::notify;

/// One line for systemd's status and for `/readyz`.
pub(crate) fn line(readiness: &Readiness) -> String {
    match readiness {
        Readiness::Waiting { reason } => format!("waiting: {reason}"),
        Readiness::Ready => "ready".to_owned(),
    }
}

/// Says the present state in the log and to systemd.
pub(crate) fn report(readiness: &mut watch::Receiver<Readiness>) {
    let now = readiness.borrow_and_update().clone();
    match &now {
        Readiness::Waiting { reason } => tracing::warn!(%reason, "not ready"),
        Readiness::Ready => tracing::info!("ready"),
    }
    notify::status(&line(&now));
}

/// Says every state that comes after the last that was reported. Ends with the sender.
///
/// # Cancel safety
/// Dropping it loses nothing but what it would have said.
pub(crate) async fn report_changes(mut readiness: watch::Receiver<Readiness>) {
    while readiness.changed().await.is_ok() {
        report(&mut readiness);
    }
}
