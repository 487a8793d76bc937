//! What a layer needs of those below it, done once they are there.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat,
    fstat, getxattr, lgetxattr, linkat, llistxattr, lsetxattr, mknodat, open, openat, readlinkat, statat,
    symlinkat, utimensat,
};
use rustix::io::Errno;

use super::attributes::{self, through, timestamps};
use super::error::{During as _, UnpackError};
use super::path::{clean, join};
use super::places::{Implied, Places, is_directory, is_whiteout, open_inside};
use crate::tar::{Entry, Kind, Time};

/// Directories that a layer has without an entry take mode, owner, times and attributes from below; a hard link to a
/// file of a lower layer needs that file copied up.
#[derive(Debug)]
pub struct Deferred {
    pub(super) root: Arc<OwnedFd>,
    pub(super) implied: Vec<(u64, Implied)>,
    pub(super) links: Vec<Link>,
    /// Paths of directories with an entry, and their times.
    pub(super) times: Vec<(Vec<u8>, Time)>,
}

/// A hard link whose target is not in the layer.
#[derive(Debug)]
pub(super) struct Link {
    parent: u64,
    entry: Box<Entry>,
}

impl Link {
    pub(super) fn new(parent: u64, entry: Box<Entry>) -> Link {
        Link { parent, entry }
    }

    /// Whether it is called `name` in this directory.
    pub(super) fn is_at(&self, parent: u64, name: &[u8]) -> bool {
        self.parent == parent && clean(&self.entry.path).last() == Some(&name)
    }
}

impl Deferred {
    /// Whether nothing is left to do.
    pub fn is_empty(&self) -> bool {
        self.implied.is_empty() && self.links.is_empty()
    }

    /// Does what was put off. `lower` are the directories of the layers below, the next one first.
    ///
    /// # Errors
    /// [`UnpackError`], among them [`UnpackError::HardLink`] where no layer has the target.
    pub fn settle(mut self, lower: &[PathBuf]) -> Result<(), UnpackError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open_layer = |path: &PathBuf| {
            open(path, flags, Mode::empty()).during("open layer", path.as_os_str().as_encoded_bytes())
        };
        let lower: Vec<OwnedFd> = lower.iter().map(open_layer).collect::<Result<_, _>>()?;
        if !self.links.is_empty() {
            self.make_links(&lower)?;
            self.set_times()?;
        }
        // The deepest first: to set a directory's attributes does not change those of the one above, but to make
        // anything in it does, and all is made.
        for (inode, implied) in self.implied.iter().rev() {
            self.take_from_below(*inode, implied, &lower)?;
        }
        Ok(())
    }

    /// Sets the times of the directories that had an entry.
    pub(super) fn set_times(&mut self) -> Result<(), UnpackError> {
        for (path, modified) in std::mem::take(&mut self.times) {
            let directory = match open_inside(&self.root, &path) {
                Ok(directory) => directory,
                // Replaced or removed since.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(error) => return Err(error).during("open", &path),
            };
            let stat = fstat(&directory).during("stat", &path)?;
            if is_directory(&stat) {
                utimensat(&directory, ".", &timestamps(modified), AtFlags::empty())
                    .during("set the times of", &path)?;
            }
        }
        Ok(())
    }

    fn make_links(&mut self, lower: &[OwnedFd]) -> Result<(), UnpackError> {
        let root = self.root.try_clone().map_err(|error| UnpackError::Io {
            operation: "open",
            path: Vec::new(),
            source: Errno::from_io_error(&error).unwrap_or(Errno::MFILE),
        })?;
        let mut places = Places::new(root);
        for Link { entry, .. } in std::mem::take(&mut self.links) {
            let Kind::HardLink(target) = &entry.kind else { continue };
            let missing = || UnpackError::HardLink { path: entry.path.clone(), target: target.clone() };
            let components = clean(target);
            let (target_name, target_parents) = components.split_last().ok_or_else(missing)?;
            let path = clean(&entry.path);
            let (name, parents) = path.split_last().ok_or_else(missing)?;
            let from = places.make(target_parents)?;
            match statat(&from, *target_name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => {}
                Err(Errno::NOENT) => {
                    let (below, stat) = find(lower, target_parents, target_name)?.ok_or_else(missing)?;
                    copy_up(&below, &stat, from.as_fd(), target_name, target)?;
                }
                Err(error) => return Err(error).during("stat the target of", &entry.path),
            }
            let to = places.make(parents)?;
            linkat(&from, *target_name, &to, *name, AtFlags::empty()).during("link", &entry.path)?;
            attributes::of_name(&to, name, &entry)?;
        }
        self.implied.extend(places.into_implied().1);
        self.implied.sort_by(|a, b| a.1.path.cmp(&b.1.path));
        Ok(())
    }

    /// Gives an implied directory the attributes that it has below.
    fn take_from_below(&self, inode: u64, implied: &Implied, lower: &[OwnedFd]) -> Result<(), UnpackError> {
        let path = &implied.path;
        let here = match open_inside(&self.root, path) {
            Ok(here) => here,
            // Replaced or removed since.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(error) => return Err(error).during("open", path),
        };
        if fstat(&here).during("stat", path)?.st_ino != inode {
            return Ok(());
        }
        for layer in lower {
            let below = match open_inside(layer, path) {
                Ok(below) => below,
                Err(Errno::NOENT) => continue,
                Err(Errno::NOTDIR | Errno::LOOP) => return Ok(()),
                Err(error) => return Err(error).during("open below", path),
            };
            let stat = fstat(&below).during("stat below", path)?;
            if !is_directory(&stat) {
                // Something else was there: the directory replaces it and owes it nothing.
                return Ok(());
            }
            let (from, to) = (through(below.as_fd(), b"."), through(here.as_fd(), b"."));
            if implied.is_explicit {
                // The entry's own attributes count; containerd keeps those from below beside them.
                return copy_xattrs(&from, &to, XattrFlags::CREATE, path);
            }
            chownat(
                &here,
                ".",
                Some(Uid::from_raw(stat.st_uid)),
                Some(Gid::from_raw(stat.st_gid)),
                AtFlags::empty(),
            )
            .during("change the owner of", path)?;
            chmodat(&here, ".", Mode::from_raw_mode(stat.st_mode), AtFlags::empty())
                .during("change the mode of", path)?;
            copy_xattrs(&from, &to, XattrFlags::empty(), path)?;
            return utimensat(&here, ".", &times_of(&stat), AtFlags::empty())
                .during("set the times of", path);
        }
        Ok(())
    }
}

fn times_of(stat: &Stat) -> Timestamps {
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

/// The directory in the uppermost layer that has the file, with what the file is.
fn find(lower: &[OwnedFd], parents: &[&[u8]], name: &[u8]) -> Result<Option<(OwnedFd, Stat)>, UnpackError> {
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
fn is_hidden(layer: &OwnedFd, parents: &[&[u8]]) -> Result<bool, UnpackError> {
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
fn copy_up(
    below: &OwnedFd,
    stat: &Stat,
    to: BorrowedFd<'_>,
    name: &[u8],
    path: &[u8],
) -> Result<(), UnpackError> {
    let mode = Mode::from_raw_mode(stat.st_mode);
    let kind = FileType::from_raw_mode(stat.st_mode);
    match kind {
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source = openat(below, name, flags, Mode::empty()).during("open below", path)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let copy = openat(to, name, flags, Mode::from_raw_mode(0o600)).during("create", path)?;
            std::io::copy(&mut File::from(source), &mut File::from(copy)).map_err(|error| {
                UnpackError::Io {
                    operation: "copy up",
                    path: path.to_vec(),
                    source: Errno::from_io_error(&error).unwrap_or(Errno::IO),
                }
            })?;
        }
        FileType::Symlink => {
            let target = readlinkat(below, name, Vec::new()).during("read link below", path)?;
            symlinkat(target.as_c_str(), to, name).during("create", path)?;
        }
        FileType::Directory => {
            return Err(Errno::ISDIR).during("make a hard link to", path);
        }
        kind => mknodat(to, name, kind, Mode::from_raw_mode(0o600), stat.st_rdev).during("create", path)?,
    }
    let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
    chownat(to, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW).during("change the owner of", path)?;
    copy_xattrs(&through(below.as_fd(), name), &through(to, name), XattrFlags::empty(), path)?;
    if kind != FileType::Symlink {
        chmodat(to, name, mode, AtFlags::empty()).during("change the mode of", path)?;
    }
    utimensat(to, name, &times_of(stat), AtFlags::SYMLINK_NOFOLLOW).during("set the times of", path)
}

/// Copies extended attributes between two paths that are not followed, but for the administrator's.
fn copy_xattrs(from: &[u8], to: &[u8], flags: XattrFlags, path: &[u8]) -> Result<(), UnpackError> {
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
    for name in names.filter(|name| !name.is_empty() && !name.starts_with(b"trusted.")) {
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
