//! The layers below: what they have at a path, and copies of it.

use std::fs::File;
use std::io::{Read, Seek as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat,
    chownat, fstat, getxattr, lgetxattr, llistxattr, lsetxattr, mknodat, openat, readlinkat, seek, statat,
    symlinkat, utimensat,
};
use rustix::io::Errno;

use super::attributes::{ADMINISTRATORS, through};
use super::error::{During as _, UnpackError};
use super::path::join;
use super::places::{is_directory, is_whiteout, open_inside};

pub(super) fn times_of(stat: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        // Below one thousand million.
        tv_nsec: i64::try_from(nanoseconds).unwrap_or_default(),
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// The directory at `path` in the uppermost layer that has anything there. Where that is something else, a directory that
/// replaces it owes it nothing.
pub(super) fn directory_below(
    lower: &[OwnedFd],
    path: &[u8],
) -> Result<Option<(OwnedFd, Stat)>, UnpackError> {
    for layer in lower {
        let below = match open_inside(layer, path) {
            Ok(below) => below,
            Err(Errno::NOENT) => continue,
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error).during("open below", path),
        };
        let stat = fstat(&below).during("stat below", path)?;
        return Ok(is_directory(&stat).then_some((below, stat)));
    }
    Ok(None)
}

/// The directory in the uppermost layer that has the file, with what the file is.
pub(super) fn find(
    lower: &[OwnedFd],
    parents: &[&[u8]],
    name: &[u8],
) -> Result<Option<(OwnedFd, Stat)>, UnpackError> {
    let path = join(parents);
    for layer in lower {
        let parent = match open_inside(layer, &path) {
            Ok(parent) => parent,
            Err(Errno::NOENT) => continue,
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error).during("open below", &path),
        };
        match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                return Ok((!is_whiteout(&stat)).then_some((parent, stat)));
            }
            Err(Errno::NOENT) => {}
            Err(Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(error).during("stat below", &path),
        }
        if is_hidden(layer, parents)? {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Whether this layer hides what those below it have at the path.
pub(super) fn is_hidden(layer: &OwnedFd, parents: &[&[u8]]) -> Result<bool, UnpackError> {
    for depth in 1..=parents.len() {
        let path = join(parents.get(..depth).unwrap_or_default());
        let Ok(directory) = open_inside(layer, &path) else { return Ok(false) };
        let mut value = [0u8; 1];
        let directory = through(directory.as_fd(), b".");
        if let Ok(1) = getxattr(directory, "trusted.overlay.opaque", &mut value)
            && value == *b"y"
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Copies a file that is no directory from a lower layer, with all its attributes.
pub(super) fn copy_up(
    (below, source_name, stat): (&OwnedFd, &[u8], &Stat),
    to: BorrowedFd<'_>,
    name: &[u8],
    path: &[u8],
) -> Result<(), UnpackError> {
    let mode = Mode::from_raw_mode(stat.st_mode);
    let kind = FileType::from_raw_mode(stat.st_mode);
    match kind {
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source = openat(below, source_name, flags, Mode::empty()).during("open below", path)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let copy = openat(to, name, flags, Mode::from_raw_mode(0o600)).during("create", path)?;
            copy_bytes(File::from(source), File::from(copy)).map_err(|error| UnpackError::Io {
                operation: "copy up",
                path: path.to_vec(),
                source: Errno::from_io_error(&error).unwrap_or(Errno::IO),
            })?;
        }
        FileType::Symlink => {
            let target = readlinkat(below, source_name, Vec::new()).during("read link below", path)?;
            symlinkat(target.as_c_str(), to, name).during("create", path)?;
        }
        FileType::Directory => {
            return Err(Errno::ISDIR).during("make a hard link to", path);
        }
        kind => mknodat(to, name, kind, Mode::from_raw_mode(0o600), stat.st_rdev).during("create", path)?,
    }
    let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
    chownat(to, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW).during("change the owner of", path)?;
    copy_xattrs(&through(below.as_fd(), source_name), &through(to, name), XattrFlags::empty(), path)?;
    if kind != FileType::Symlink {
        chmodat(to, name, mode, AtFlags::empty()).during("change the mode of", path)?;
    }
    utimensat(to, name, &times_of(stat), AtFlags::SYMLINK_NOFOLLOW).during("set the times of", path)
}

/// Copies the bytes; holes stay holes.
fn copy_bytes(mut source: File, mut copy: File) -> std::io::Result<()> {
    let size = source.metadata()?.len();
    let mut offset = 0;
    while offset < size {
        offset = match seek(&source, SeekFrom::Data(offset)) {
            Ok(data) => data,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = seek(&source, SeekFrom::Hole(offset))?;
        source.seek(std::io::SeekFrom::Start(offset))?;
        copy.seek(std::io::SeekFrom::Start(offset))?;
        std::io::copy(&mut Read::by_ref(&mut source).take(end - offset), &mut copy)?;
        offset = end;
    }
    copy.set_len(size)
}

/// Copies extended attributes between two paths that are not followed, but for the administrator's.
pub(super) fn copy_xattrs(from: &[u8], to: &[u8], flags: XattrFlags, path: &[u8]) -> Result<(), UnpackError> {
    // What the kernel's own limits allow (xattr(7)).
    const LIST_BYTES_MAX: usize = 64 << 10;
    let mut list = vec![0u8; LIST_BYTES_MAX];
    let length = match llistxattr(from, &mut list) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error).during("list the attributes of", path),
    };
    let names = list.get(..length).unwrap_or_default().split(|byte| *byte == 0);
    let mut value = vec![0u8; LIST_BYTES_MAX];
    for name in names.filter(|name| !name.is_empty() && !name.starts_with(ADMINISTRATORS)) {
        let length = match lgetxattr(from, name, &mut value) {
            Ok(length) => length,
            Err(Errno::OPNOTSUPP | Errno::NODATA) => continue,
            Err(error) => return Err(error).during("read an attribute of", path),
        };
        match lsetxattr(to, name, value.get(..length).unwrap_or_default(), flags) {
            Ok(()) | Err(Errno::EXIST | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error).during("set an extended attribute of", path),
        }
    }
    Ok(())
}
