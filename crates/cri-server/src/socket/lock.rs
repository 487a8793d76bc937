//! The lock beside a socket: who holds it may replace and unlink the socket.
//!
//! Two daemons that start at once both find the socket stale; without a lock the second unlinks what the first has
//! just bound, and the first serves a socket that has no path. The kernel gives a lock of `flock` free with its
//! process, so a killed daemon leaves none behind. The file itself stays for ever: unlinking it would let two daemons
//! hold locks on two files of the same name.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;

use super::SocketError;

/// Holds the lock until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the socket `path`, without waiting for another holder.
    pub(super) fn take(path: &Path) -> Result<Lock, SocketError> {
        let lock = lock_path(path);
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = open(&lock, flags, Mode::from_raw_mode(0o600)).map_err(SocketError::io("open", &lock))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock { _file: file.into() }),
            Err(Errno::WOULDBLOCK) => Err(SocketError::Locked { path: path.to_owned(), lock }),
            Err(error) => Err(SocketError::io("lock", &lock)(error)),
        }
    }
}

/// `cri-imaged.sock.lock` beside `cri-imaged.sock`.
fn lock_path(socket: &Path) -> PathBuf {
    let mut path: OsString = socket.into();
    path.push(".lock");
    path.into()
}
