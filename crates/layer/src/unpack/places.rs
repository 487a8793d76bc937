//! Where entries go: directories below the root, found without ever leaving it.
//!
//! Safety does not rest on the archive: every directory is reached from the root's descriptor, either by `openat2` with
//! `RESOLVE_IN_ROOT` (Linux 5.6), for which absolute links and `..` end at the root, or component by component without
//! following links in the kernel. What is made, changed or removed is then one name in a directory that is held open.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, mkdirat, openat, openat2, readlinkat, statat,
};
use rustix::io::Errno;

use super::UnpackError;
use super::budget::Budget;
use super::error::During as _;
use super::path::{clean, join};
use crate::Limits;

/// Links that a path may lead through, as in Go's `fs.RootPath` of containerd.
const LINKS_MAX: usize = 255;

/// Directory handles below one root.
#[derive(Debug)]
pub(super) struct Places {
    root: Arc<OwnedFd>,
    /// The parent that was asked for last; archives have the files of a directory in a row.
    last: Option<(Vec<u8>, Place)>,
    implied: BTreeMap<u64, Implied>,
    budget: Budget,
}

/// A directory.
#[derive(Clone, Debug)]
pub(super) struct Place {
    directory: Arc<OwnedFd>,
    /// Tells directories apart: all are on one file system.
    pub(super) inode: u64,
    /// Its group, which new files in it may have.
    pub(super) group: u32,
}

/// A directory that was made because an entry needed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Implied {
    /// Path without links.
    pub(super) path: Vec<u8>,
    /// Whether an entry of its own came later.
    pub(super) is_explicit: bool,
    /// Whether the directory that it was made in had no entry then.
    pub(super) is_in_implied: bool,
}

impl Place {
    fn of(directory: Arc<OwnedFd>) -> Result<Place, Errno> {
        let stat = fstat(&directory)?;
        Ok(Place { directory, inode: stat.st_ino, group: stat.st_gid })
    }
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// Opens what `path` leads to below `root`, links followed; a handle for its attributes and as a directory.
pub(super) fn open_inside(root: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b".".as_slice() } else { path };
    again(|| openat2(&root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), INSIDE))
}

/// `openat2` answers EAGAIN where it cannot be sure because something is renamed anywhere on the machine.
fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

impl Places {
    pub(super) fn new(root: Arc<OwnedFd>, limits: Limits) -> Places {
        Places { root, last: None, implied: BTreeMap::new(), budget: Budget::new(limits) }
    }

    /// What the layer may still make us remember.
    pub(super) fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    /// The directory at `components`; missing ones are made and noted as implied.
    pub(super) fn make(&mut self, components: &[&[u8]]) -> Result<Place, UnpackError> {
        let path = join(components);
        if let Some((known, place)) = &self.last
            && *known == path
        {
            return Ok(place.clone());
        }
        let place = match self.find(&path) {
            Ok(Some(place)) => place,
            // The kernel follows fewer links than we do.
            Ok(None) | Err(Errno::LOOP) => self.walk(&path)?,
            Err(Errno::NOTDIR) => return Err(UnpackError::NotADirectory { path }),
            Err(error) => return Err(error).during("open directory", &path),
        };
        self.last = Some((path, place.clone()));
        Ok(place)
    }

    /// The directory that `path` leads to; `None` where there is nothing.
    pub(super) fn find(&self, path: &[u8]) -> Result<Option<Place>, Errno> {
        if path.is_empty() {
            return Place::of(Arc::clone(&self.root)).map(Some);
        }
        match again(|| openat2(&self.root, path, DIRECTORY, Mode::empty(), INSIDE)) {
            Ok(directory) => Place::of(Arc::new(directory)).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Something may have been removed or replaced: what was found before may not be what its path leads to.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// A directory was removed: its inode may become another file's.
    pub(super) fn removed(&mut self, inode: u64) {
        self.last = None;
        self.implied.remove(&inode);
    }

    /// An entry of its own has come for this directory.
    pub(super) fn is_explicit(&mut self, inode: u64) {
        if let Some(implied) = self.implied.get_mut(&inode) {
            implied.is_explicit = true;
        }
    }

    /// The implied directories in the order of their paths.
    pub(super) fn into_implied(self) -> (Arc<OwnedFd>, Vec<(u64, Implied)>) {
        let mut implied: Vec<_> = self.implied.into_iter().collect();
        implied.sort_by(|a, b| a.1.path.cmp(&b.1.path));
        (self.root, implied)
    }

    /// Goes along `path` and makes what is missing.
    fn walk(&mut self, path: &[u8]) -> Result<Place, UnpackError> {
        let mut todo: VecDeque<Vec<u8>> = clean(path).into_iter().map(<[u8]>::to_vec).collect();
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut at = Arc::clone(&self.root);
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    if names.pop().is_some() {
                        at = Arc::new(
                            openat(&at, "..", DIRECTORY, Mode::empty()).during("open parent of", path)?,
                        );
                    }
                    continue;
                }
                _ => {}
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let found = match openat(&at, &name, flags, Mode::empty()) {
                Ok(found) => found,
                Err(Errno::NOENT) => {
                    names.push(name.clone());
                    at = Arc::new(self.imply(&at, &name, &names.join(&b'/'))?);
                    continue;
                }
                Err(error) => return Err(error).during("open", path),
            };
            let stat = fstat(&found).during("stat", path)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    names.push(name);
                    at = Arc::new(found);
                }
                FileType::Symlink => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Errno::LOOP).during("follow the links of", path);
                    }
                    let target = readlinkat(&found, "", Vec::new()).during("read link", path)?;
                    let target = target.as_bytes();
                    if target.starts_with(b"/") {
                        names.clear();
                        at = Arc::clone(&self.root);
                    }
                    for component in target.split(|byte| *byte == b'/').rev() {
                        todo.push_front(component.to_vec());
                    }
                }
                _ => return Err(UnpackError::NotADirectory { path: path.to_vec() }),
            }
        }
        Place::of(at).during("stat", path)
    }

    /// Makes a directory that no entry has described so far.
    fn imply(&mut self, parent: &OwnedFd, name: &[u8], path: &[u8]) -> Result<OwnedFd, UnpackError> {
        self.budget.imply(path)?;
        let mode = Mode::from_raw_mode(0o755);
        mkdirat(parent, name, mode).during("make directory", path)?;
        // What the process masks is not masked in images.
        rustix::fs::chmodat(parent, name, mode, AtFlags::empty()).during("change the mode of", path)?;
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        let made = openat(parent, name, flags, Mode::empty()).during("open", path)?;
        let inode = fstat(&made).during("stat", path)?.st_ino;
        let above = fstat(parent).during("stat parent of", path)?.st_ino;
        let is_in_implied = self.implied.get(&above).is_some_and(|above| !above.is_explicit);
        let implied = Implied { path: path.to_vec(), is_explicit: false, is_in_implied };
        self.implied.insert(inode, implied);
        Ok(made)
    }
}

/// What lies at `name`, which is not followed; `None` where there is nothing.
pub(super) fn look(place: &Place, name: &[u8]) -> Result<Option<Stat>, Errno> {
    match statat(place, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Whether it hides what the layers below have of that name.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}
