//! Whether images can be served: what the daemon says of itself while containerd is away.

use tokio::sync::watch;

use crate::notify;

/// Whether containerd answers and the index of its images is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not now; the daemon serves all the same, and its calls answer UNAVAILABLE.
    Waiting {
        /// What is waited for, as a line for an operator; holds no secret.
        reason: String,
    },
    /// Yes.
    Ready,
}

impl Readiness {
    /// One line for systemd's status and for `/readyz`.
    pub(crate) fn line(&self) -> String {
        match self {
            Readiness::Waiting { reason } => format!("waiting: {reason}"),
            Readiness::Ready => "ready".to_owned(),
        }
    }
}

/// Says the present state in the log and to systemd.
pub(crate) fn report(readiness: &mut watch::Receiver<Readiness>) {
    let now = readiness.borrow_and_update().clone();
    match &now {
        Readiness::Waiting { reason } => tracing::warn!(%reason, "not ready"),
        Readiness::Ready => tracing::info!("ready"),
    }
    notify::status(&now.line());
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
