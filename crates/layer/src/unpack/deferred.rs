//! What a layer needs of those below it, done once they are there.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Uid, XattrFlags, chmodat, chownat, fstat, linkat, open, utimensat,
};
use rustix::io::Errno;

use super::attributes::{self, through, timestamps};
use super::below::{copy_up, copy_xattrs, directory_below, find, is_hidden, times_of};
use super::error::{During as _, UnpackError};
use super::links::Links;
use super::path::{clean, join};
use super::places::{Implied, Place, Places, is_directory, is_whiteout, look, open_inside};
use crate::Limits;
use crate::tar::{Entry, Kind, Time};

/// Directories that a layer has without an entry take mode, owner, times and attributes from below; a hard link to a
/// file of a lower layer needs that file copied up.
#[derive(Debug)]
pub struct Deferred {
    pub(super) root: Arc<OwnedFd>,
    pub(super) implied: Vec<(u64, Implied)>,
    pub(super) links: Links,
    /// Paths of directories with an entry, and their times.
    pub(super) times: Vec<(Vec<u8>, Time)>,
    pub(super) limits: Limits,
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
        // All is made: to set a directory's attributes does not change those of the one above.
        for (inode, implied) in &self.implied {
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

    /// Makes the links in the order of the archive. The target of each is what the layers below have at its path, whatever
    /// this layer did there after the link; or a link that was made here.
    fn make_links(&mut self, lower: &[OwnedFd]) -> Result<(), UnpackError> {
        let mut places = Places::new(Arc::clone(&self.root), self.limits);
        let mut made = Made::default();
        for entry in std::mem::take(&mut self.links).into_entries() {
            let Kind::HardLink(target) = &entry.kind else { continue };
            let missing = || UnpackError::HardLink { path: entry.path.clone(), target: target.clone() };
            let components = clean(target);
            let (target_name, target_parents) = components.split_last().ok_or_else(missing)?;
            let path = clean(&entry.path);
            let (name, parents) = path.split_last().ok_or_else(missing)?;
            let to = places.make(parents)?;
            let here = self.here(&places, target_parents, target_name)?;
            let below = find(lower, target_parents, target_name)?;
            match (here, below) {
                (Here::File(from), below)
                    if below.is_none() || made.names.contains(&(from.inode, target_name.to_vec())) =>
                {
                    link(&from, target_name, &to, name, &entry)?;
                }
                (Here::Nothing, Some((below, stat))) => {
                    let from = places.make(target_parents)?;
                    copy_up((&below, target_name, &stat), from.as_fd(), target_name, target)?;
                    link(&from, target_name, &to, name, &entry)?;
                    made.names.insert((from.inode, target_name.to_vec()));
                }
                (Here::File(_) | Here::Hidden, Some((below, stat))) => {
                    match made.apart.get(&(stat.st_dev, stat.st_ino)) {
                        Some((from, first)) => link(from, first, &to, name, &entry)?,
                        None => {
                            copy_up((&below, target_name, &stat), to.as_fd(), name, &entry.path)?;
                            made.apart.insert((stat.st_dev, stat.st_ino), (to.clone(), name.to_vec()));
                        }
                    }
                }
                (_, None) => return Err(missing()),
            }
            attributes::of_name(&to, name, &entry)?;
            made.names.insert((to.inode, name.to_vec()));
        }
        self.implied.extend(places.into_implied().1);
        self.implied.sort_by(|a, b| a.1.path.cmp(&b.1.path));
        Ok(())
    }

    /// What this layer has at a path.
    fn here(&self, places: &Places, parents: &[&[u8]], name: &[u8]) -> Result<Here, UnpackError> {
        let path = join(parents);
        let place = match places.find(&path) {
            Ok(place) => place,
            // A whiteout is no directory either.
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Here::Hidden),
            Err(error) => return Err(error).during("open", &path),
        };
        if let Some(place) = place
            && let Some(stat) = look(&place, name).during("stat the target in", &path)?
        {
            return Ok(if is_whiteout(&stat) { Here::Hidden } else { Here::File(place) });
        }
        Ok(if is_hidden(&self.root, parents)? { Here::Hidden } else { Here::Nothing })
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
        let Some((below, stat)) = directory_below(lower, path)? else {
            return self.take_group_from_above(&here, implied, lower);
        };
        let (from, to) = (through(below.as_fd(), b"."), through(here.as_fd(), b"."));
        if implied.is_explicit {
            // The entry's own attributes count; containerd keeps those from below beside them.
            return copy_xattrs(&from, &to, XattrFlags::CREATE, path);
        }
        let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
        chownat(&here, ".", owner.0, owner.1, AtFlags::empty()).during("change the owner of", path)?;
        chmodat(&here, ".", Mode::from_raw_mode(stat.st_mode), AtFlags::empty())
            .during("change the mode of", path)?;
        copy_xattrs(&from, &to, XattrFlags::empty(), path)?;
        utimensat(&here, ".", &times_of(&stat), AtFlags::empty()).during("set the times of", path)
    }

    /// A directory that is made in one with the setgid bit has its group. Where that one had its bit from below when it
    /// was made, as containerd gives it at once, ours did not have it yet.
    fn take_group_from_above(
        &self,
        here: &OwnedFd,
        implied: &Implied,
        lower: &[OwnedFd],
    ) -> Result<(), UnpackError> {
        if implied.is_explicit || !implied.is_in_implied {
            return Ok(());
        }
        let components = clean(&implied.path);
        let (_, parents) = components.split_last().unwrap_or((&b"".as_slice(), &[]));
        match directory_below(lower, &join(parents))? {
            Some((_, stat)) if Mode::from_raw_mode(stat.st_mode).contains(Mode::SGID) => {
                chownat(here, ".", None, Some(Gid::from_raw(stat.st_gid)), AtFlags::empty())
                    .during("change the owner of", &implied.path)
            }
            _ => Ok(()),
        }
    }
}

/// What a layer has at the path of a link's target.
enum Here {
    /// A file, in this directory.
    File(Place),
    /// What is below is not to be seen.
    Hidden,
    /// Nothing: what is below is seen, and a copy may stand for it.
    Nothing,
}

/// What was made for links.
#[derive(Default)]
struct Made {
    /// Directory and name of every link and every copy.
    names: BTreeSet<(u64, Vec<u8>)>,
    /// Copies of files below that are not seen at their own path, by device and inode of the file.
    apart: BTreeMap<(u64, u64), (Place, Vec<u8>)>,
}

fn link(from: &Place, target: &[u8], to: &Place, name: &[u8], entry: &Entry) -> Result<(), UnpackError> {
    linkat(from, target, to, name, AtFlags::empty()).during("link", &entry.path)
}
