//! Removing what an entry replaces.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, unlinkat};
use rustix::io::Errno;

/// Names of directories that are remembered at once for each level: few passes over a directory with a million of them,
/// and little memory.
const NAMES_MAX: usize = 4096;

/// Removes `name` and all below it; links are not followed. Uses two descriptors at any depth. Tells `removed` the inode of
/// every directory, which from then on may be another file's.
pub(super) fn remove_all(parent: impl AsFd, name: &[u8], mut removed: impl FnMut(u64)) -> Result<(), Errno> {
    match unlinkat(&parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    let mut at = open(&parent, name)?;
    removed(fstat(&at)?.st_ino);
    // The directories on the way down, each with those in it that are still to be removed.
    let mut levels = vec![(name.to_vec(), remove_files(&at)?)];
    while let Some((name, children)) = levels.last_mut() {
        if let Some(child) = children.pop() {
            at = open(&at, &child)?;
            removed(fstat(&at)?.st_ino);
            let children = remove_files(&at)?;
            levels.push((child, children));
            continue;
        }
        *children = remove_files(&at)?;
        if !children.is_empty() {
            continue;
        }
        let name = std::mem::take(name);
        levels.pop();
        if levels.is_empty() {
            return unlinkat(&parent, &name, AtFlags::REMOVEDIR);
        }
        at = open(&at, b"..")?;
        unlinkat(&at, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

fn open(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Removes all files, and answers the names of some of the directories; of none only where there are none.
fn remove_files(directory: &OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut directories = Vec::new();
    let mut entries = Dir::read_from(directory)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        if entry.file_type() != FileType::Directory {
            match unlinkat(directory, name, AtFlags::empty()) {
                Ok(()) => continue,
                // A file system that does not tell types.
                Err(Errno::ISDIR) => {}
                Err(error) => return Err(error),
            }
        }
        directories.push(name.to_vec());
        if directories.len() >= NAMES_MAX {
            break;
        }
    }
    Ok(directories)
}
