//! The unix socket that the daemon serves: bound with care, or passed on by systemd.
//!
//! Owns who may hold the socket's path and when it goes away. Relies on the file system's locks for the one-daemon
//! rule. Never speaks gRPC.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use bound::BoundSocket;
pub use error::SocketError;

mod activation;
mod bind;
mod bound;
mod error;
mod lock;
mod probe;

/// A listening socket and its place in the file system.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    place: SocketPlace,
}

/// Keeps other daemons off the path of a socket; when dropped, unlinks the path and gives it free.
///
/// Kept apart from the listener, which a daemon closes when it stops accepting, while it keeps the place until its last
/// call is answered: a daemon that starts meanwhile would find work of the old one half done.
#[derive(Debug)]
pub struct SocketPlace {
    path: PathBuf,
    bound: Option<BoundSocket>,
}

impl SocketPlace {
    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it came from systemd, which then keeps it when the daemon goes.
    pub fn is_activated(&self) -> bool {
        self.bound.is_none()
    }
}

impl Socket {
    /// Takes the socket that systemd passed on, or else binds `path`.
    ///
    /// A bound socket has mode 0600 from its first instant, and the directory of it is made where it is missing (mode
    /// 0755). A socket that nobody listens on is replaced, which is what a daemon that was killed leaves behind.
    ///
    /// # Errors
    /// [`SocketError`]: someone listens there, or is about to; the path is something other than a socket; the system
    /// refuses. Nothing there is changed then.
    pub fn open(path: &Path) -> Result<Socket, SocketError> {
        if let Some(listener) = activation::passed_socket()? {
            let path = activation::path_of(&listener).unwrap_or_else(|| path.to_owned());
            return Ok(Socket { listener, place: SocketPlace { path, bound: None } });
        }
        Socket::bind(path)
    }

    /// Binds `path` whatever systemd passed on, with the care of [`Socket::open`].
    ///
    /// # Errors
    /// As [`Socket::open`].
    pub fn bind(path: &Path) -> Result<Socket, SocketError> {
        let (listener, bound) = bind::bind(path)?;
        Ok(Socket { listener, place: SocketPlace { path: path.to_owned(), bound: Some(bound) } })
    }

    /// A listener for tokio, and the socket's place to hold until the daemon is done.
    ///
    /// # Errors
    /// The descriptor cannot be made non-blocking or be registered.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn into_parts(self) -> io::Result<(tokio::net::UnixListener, SocketPlace)> {
        self.listener.set_nonblocking(true)?;
        Ok((tokio::net::UnixListener::from_std(self.listener)?, self.place))
    }
}
