//! Owner, extended attributes, mode and times, in the order in which none undoes another: a change of owner clears
//! setuid bits and capabilities.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod, fchown, fsetxattr,
    futimens, lsetxattr, utimensat,
};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};

use super::UnpackError;
use super::error::During as _;
use crate::tar::{Entry, Kind, Time};

/// Attributes only the kernel's overlay and its administrator may set: an archive that had them would decide what is seen
/// of the layers below.
pub(super) const ADMINISTRATORS: &[u8] = b"trusted.";

pub(super) fn timestamps(modified: Time) -> Timestamps {
    let modified = modified.bounded();
    let time = Timespec { tv_sec: modified.seconds, tv_nsec: modified.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// Who owns a file that was just made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    /// What this process makes.
    pub(super) fn of_process() -> Owner {
        Owner { uid: geteuid().as_raw(), gid: getegid().as_raw() }
    }

    /// Whether a new file in a directory of the group `above` is already owned as `entry` wants. A file has the group of
    /// its maker or of its directory, by the directory's mode and the file system's options: both must be the wanted one.
    pub(super) fn is_right_for(self, entry: &Entry, above: u32) -> bool {
        entry.uid == self.uid && entry.gid == self.gid && entry.gid == above
    }
}

/// Sets all attributes of an open regular file, the owner where that is not right yet. Answers how many extended attributes
/// were left out.
pub(super) fn of_file(file: BorrowedFd<'_>, entry: &Entry, is_owner_right: bool) -> Result<u64, UnpackError> {
    let path = &entry.path;
    if !is_owner_right {
        fchown(file, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))
            .during("change the owner of", path)?;
    }
    let skipped = xattrs(entry, |name, value| fsetxattr(file, name, value, XattrFlags::empty()))?;
    fchmod(file, Mode::from_raw_mode(entry.mode)).during("change the mode of", path)?;
    futimens(file, &timestamps(entry.modified)).during("set the times of", path)?;
    Ok(skipped)
}

/// Sets all attributes of what lies at `name`, which is not followed where it is a link. Answers how many extended
/// attributes were left out.
pub(super) fn of_name(parent: impl AsFd, name: &[u8], entry: &Entry) -> Result<u64, UnpackError> {
    let (parent, path) = (parent.as_fd(), &entry.path);
    let owner = (Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)));
    chownat(parent, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW).during("change the owner of", path)?;
    let skipped = match entry.xattrs.is_empty() {
        true => 0,
        false => {
            let by_name = through(parent, name);
            xattrs(entry, |attribute, value| {
                lsetxattr(by_name.as_slice(), attribute, value, XattrFlags::empty())
            })?
        }
    };
    let is_link = match entry.kind {
        Kind::Symlink(_) => true,
        Kind::HardLink(_) => is_symlink(parent, name).during("stat", path)?,
        _ => false,
    };
    if !is_link {
        chmodat(parent, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())
            .during("change the mode of", path)?;
    }
    // Those of directories are set at the end, for each file that comes into one changes them.
    if entry.kind != Kind::Directory {
        utimensat(parent, name, &timestamps(entry.modified), AtFlags::SYMLINK_NOFOLLOW)
            .during("set the times of", path)?;
    }
    Ok(skipped)
}

/// A hard link may be another name of a symbolic link.
fn is_symlink(parent: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Errno> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Symlink)
}

/// A path to `name` for calls that take no directory. The link of procfs leads to the directory that is held open.
pub(super) fn through(parent: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    [format!("/proc/self/fd/{}/", parent.as_raw_fd()).as_bytes(), name].concat()
}

fn xattrs(entry: &Entry, set: impl Fn(&[u8], &[u8]) -> Result<(), Errno>) -> Result<u64, UnpackError> {
    let mut skipped = 0;
    for (name, value) in &entry.xattrs {
        if name.starts_with(ADMINISTRATORS) {
            skipped += 1;
            continue;
        }
        match set(name, value) {
            Ok(()) => {}
            Err(Errno::OPNOTSUPP) => skipped += 1,
            // Only files and directories have attributes of users (xattr(7)).
            Err(Errno::PERM) if name.starts_with(b"user.") && !has_users(&entry.kind) => skipped += 1,
            Err(error) => return Err(error).during("set an extended attribute of", &entry.path),
        }
    }
    Ok(skipped)
}

fn has_users(kind: &Kind) -> bool {
    matches!(kind, Kind::Regular | Kind::Directory)
}
