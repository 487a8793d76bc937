//! A path that holds our socket, and goes when we go.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::lock::Lock;

/// Unlinks the path when dropped, if what is there is still the socket that was bound.
#[derive(Debug)]
pub(super) struct BoundSocket {
    path: PathBuf,
    identity: Identity,
    /// Declared last, so given free last: a daemon that starts meanwhile finds either the lock or a free path.
    _lock: Lock,
}

/// Device and inode.
type Identity = (u64, u64);

impl BoundSocket {
    /// Remembers what `path` holds now as ours.
    pub(super) fn new(path: &Path, lock: Lock) -> io::Result<BoundSocket> {
        Ok(BoundSocket { path: path.to_owned(), identity: identity(path)?, _lock: lock })
    }
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        // An operator or another program may have put its own socket there, lock or no lock. Nothing makes compare and
        // unlink one step; what is left of the race needs someone to replace the path within these microseconds.
        match identity(&self.path) {
            Ok(found) if found == self.identity => {
                if let Err(error) = fs::remove_file(&self.path) {
                    tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
                }
            }
            Ok(_) => {
                tracing::warn!(path = %self.path.display(), "the socket was replaced, so it is left alone")
            }
            Err(_) => {}
        }
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = path.symlink_metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}
