//! Tells systemd where the daemon stands (sd_notify(3)); says nothing where nobody listens.

use sd_notify::NotifyState;

/// The socket is served.
pub(crate) fn ready() {
    send(&NotifyState::Ready);
}

/// The daemon drains and will end.
pub(crate) fn stopping() {
    send(&NotifyState::Stopping);
}

/// A line for `systemctl status`.
pub(crate) fn status(line: &str) {
    // A line break would begin another variable of the protocol.
    send(&NotifyState::Status(&line.replace(['\n', '\r'], " ")));
}

fn send(state: &NotifyState<'_>) {
    // Not fatal: systemd will miss READY=1 and end the daemon by its own timeout, with this line as the explanation.
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}
