//! Removing what an entry replaces.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

/// Removes `name` and all below it; links are not followed. Uses two descriptors at any depth.
pub(super) fn remove_all(parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    match unlinkat(&parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    let mut names = vec![name.to_vec()];
    let mut at = open(&parent, name)?;
    loop {
        if let Some(child) = first_directory(&at)? {
            at = open(&at, &child)?;
            names.push(child);
            continue;
        }
        let Some(empty) = names.pop() else { return Ok(()) };
        if names.is_empty() {
            return unlinkat(&parent, &empty, AtFlags::REMOVEDIR);
        }
        at = open(&at, b"..")?;
        unlinkat(&at, &empty, AtFlags::REMOVEDIR)?;
    }
}

fn open(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Removes all files up to the first directory, whose name it answers.
fn first_directory(directory: &OwnedFd) -> Result<Option<Vec<u8>>, Errno> {
    let mut entries = Dir::read_from(directory)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            return Ok(Some(name.to_vec()));
        }
        match unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) => {}
            // A file system that does not tell types.
            Err(Errno::ISDIR) => return Ok(Some(name.to_vec())),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
