//! Binds a socket at a path that may hold another one.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{Mode, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::SocketError;
use super::bound::BoundSocket;
use super::lock::Lock;
use super::probe::{Found, probe};

/// Clients that may wait to be accepted. The kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 128;

/// Takes the lock, clears away a stale socket, binds and listens.
pub(super) fn bind(path: &Path) -> Result<(UnixListener, BoundSocket), SocketError> {
    create_directory(path)?;
    let lock = Lock::take(path)?;
    // Under the lock no other daemon is between these two steps, so what is stale now cannot come alive in between.
    match probe(path).map_err(SocketError::io("look at", path))? {
        Found::Nothing => {}
        Found::Stale => fs::remove_file(path).map_err(SocketError::io("remove the stale socket", path))?,
        Found::Live => return Err(SocketError::InUse { path: path.to_owned() }),
        Found::NotASocket => return Err(SocketError::NotASocket { path: path.to_owned() }),
    }
    let listener = listen(path)?;
    let bound = BoundSocket::new(path, lock).map_err(SocketError::io("look at", path))?;
    Ok((listener, bound))
}

fn create_directory(path: &Path) -> Result<(), SocketError> {
    let Some(directory) = path.parent() else { return Ok(()) };
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)
        .map_err(SocketError::io("create the directory", directory))
}

fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    let step = SocketError::io("bind", path);
    let socket = || -> rustix::io::Result<_> {
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // Linux gives the file that bind(2) makes the mode of the socket, less the umask: so nobody else can connect
        // in the time between bind and a chmod of the path, and the umask of the whole process is left alone.
        fchmod(&socket, Mode::from_raw_mode(0o600))?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(socket)
    };
    socket().map(UnixListener::from).map_err(step)
}
