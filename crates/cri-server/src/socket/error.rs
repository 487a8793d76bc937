//! Why a socket could not be had.

use std::io;
use std::path::PathBuf;

/// Why a socket could not be had. An operator meets it at start; none goes away by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// A program answers on it.
    #[error("socket `{path}` is in use: a program listens on it")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Another daemon holds the lock of it: it serves it, or is between its first look and its bind.
    #[error("socket `{path}` is in use: another cri-imaged holds the lock `{lock}`")]
    Locked {
        /// The socket.
        path: PathBuf,
        /// Its lock file.
        lock: PathBuf,
    },
    /// What is there is not ours to replace.
    #[error("`{path}` exists and is not a socket")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The system refused a step.
    #[error("cannot {step} `{path}`")]
    Io {
        /// What was attempted.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// systemd passed on more than one socket, and nothing says which is which.
    #[error("systemd passed on {count} sockets where one is served")]
    TooManyPassed {
        /// How many.
        count: usize,
    },
    /// systemd passed on something else than a listening unix socket.
    #[error("what systemd passed on is not a unix stream socket")]
    NotAUnixSocket(#[source] io::Error),
}

impl SocketError {
    /// For `map_err`: a failed `step` on `path`.
    pub(super) fn io<E: Into<io::Error>>(
        step: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(E) -> SocketError {
        move |source| SocketError::Io { step, path: path.to_owned(), source: source.into() }
    }
}
