//! Takes the socket that systemd passed on: the protocol of sd_listen_fds(3).

use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use listenfd::ListenFd;

use super::SocketError;

/// The socket that was passed on, if one was. Its variables name this process, so a child does not take it for its own.
pub(super) fn passed_socket() -> Result<Option<UnixListener>, SocketError> {
    let mut passed = ListenFd::from_env();
    match passed.len() {
        0 => Ok(None),
        1 => passed.take_unix_listener(0).map_err(SocketError::NotAUnixSocket),
        count => Err(SocketError::TooManyPassed { count }),
    }
}

/// Where systemd bound it; `None` for a socket without a path.
pub(super) fn path_of(listener: &UnixListener) -> Option<PathBuf> {
    Some(listener.local_addr().ok()?.as_pathname()?.to_owned())
}
