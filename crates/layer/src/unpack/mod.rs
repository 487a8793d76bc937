//! From a tar stream to a directory, in the form that overlayfs takes for a layer.
//!
//! What an entry means where the OCI image specification (v1.1, "Image Layer Filesystem Changeset") leaves it open is
//! what containerd's differ makes of it, so that an image is the same tree whoever unpacked it. Layers are unpacked
//! without a look at those below; what needs them is put off: see [`Deferred`].

mod attributes;
mod below;
mod budget;
mod deferred;
mod error;
mod links;
mod path;
mod places;
mod remove;

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Dev, FileType, Gid, Mode, OFlags, Uid, XattrFlags, chownat, ftruncate, linkat, makedev, mkdirat,
    mknodat, openat, setxattr, symlinkat,
};
use rustix::io::{Errno, pwrite};

use crate::Limits;
use crate::tar::{Entry, Event, Kind, Parser, Time};
use attributes::Owner;
use error::During as _;
use links::Links;
use path::{clean, join};
use places::{Place, Places, is_directory, is_whiteout, look};

pub use deferred::Deferred;
pub use error::UnpackError;

const WHITEOUT_PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What a layer is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The lowest layer: there is nothing that a whiteout could hide, so it removes what the same layer has put there.
    Lowest,
    /// A layer above others: whiteouts become character devices 0/0, opaque directories have `trusted.overlay.opaque=y`.
    Overlay,
}

/// Unpacks one layer. Blocking: every call may wait for the disk.
#[derive(Debug)]
pub struct Unpacker {
    parser: Parser,
    form: Form,
    limits: Limits,
    places: Places,
    owner: Owner,
    file: Option<OpenFile>,
    times: Vec<(Vec<u8>, Time)>,
    links: Links,
    unpacked: Counts,
}

/// How much was unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// Extended attributes that were left out: of the administrator's namespace, or not supported here.
    pub skipped_xattrs: u64,
}

/// A regular file that is being written.
#[derive(Debug)]
struct OpenFile {
    entry: Box<Entry>,
    /// `None`: its bytes belong nowhere.
    file: Option<OwnedFd>,
    is_owner_right: bool,
    end: u64,
}

impl Unpacker {
    /// For a layer that is to fill the empty `directory`.
    pub fn new(directory: OwnedFd, form: Form, limits: Limits) -> Unpacker {
        Unpacker {
            parser: Parser::new(limits),
            form,
            limits,
            places: Places::new(Arc::new(directory), limits),
            owner: Owner::of_process(),
            file: None,
            times: Vec::new(),
            links: Links::default(),
            unpacked: Counts::default(),
        }
    }

    /// Takes the next bytes of the archive.
    ///
    /// # Errors
    /// [`UnpackError`]; the unpacker is then of no further use, and what it wrote stays.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), UnpackError> {
        while let Some(event) = self.parser.next(&mut bytes)? {
            match event {
                Event::Entry(entry) => self.entry(entry)?,
                Event::Data { offset, bytes } => self.data(offset, bytes)?,
                Event::Done => self.done()?,
                Event::End => {}
            }
        }
        Ok(())
    }

    /// Ends the layer; what is put off is the caller's to settle, at once for [`Form::Lowest`].
    ///
    /// # Errors
    /// [`UnpackError`].
    pub fn finish(self) -> Result<(Counts, Deferred), UnpackError> {
        self.parser.finish()?;
        let (root, implied) = self.places.into_implied();
        let limits = self.limits;
        let mut deferred = Deferred { root, implied, links: self.links, times: self.times, limits };
        if deferred.links.is_empty() {
            // No more file comes into any directory but those of which the attributes are put off as well.
            deferred.set_times()?;
        }
        Ok((self.unpacked, deferred))
    }

    fn entry(&mut self, entry: Box<Entry>) -> Result<(), UnpackError> {
        self.unpacked.entries += 1;
        self.unpacked.bytes = self.unpacked.bytes.saturating_add(entry.size);
        if self.unpacked.bytes > self.limits.bytes_max {
            let limit = self.limits.bytes_max;
            return Err(UnpackError::Limit { what: "the size of all files together", limit });
        }
        let path = entry.path.clone();
        let components = clean(&path);
        // The root is not the layer's to describe: containerd leaves such entries out.
        let Some((name, parents)) = components.split_last() else { return self.skip(entry) };
        let place = self.places.make(parents)?;
        if *name == OPAQUE {
            self.opaque(&place, &path)?;
            return self.skip(entry);
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT_PREFIX) {
            if matches!(hidden, b"" | b"." | b"..") {
                return Err(UnpackError::Whiteout { path });
            }
            self.whiteout(&place, hidden, &entry)?;
            return self.skip(entry);
        }
        self.links.forget(place.inode, name);
        self.place(&place, name, entry)
    }

    /// Leaves an entry out, with its bytes if it has some.
    fn skip(&mut self, entry: Box<Entry>) -> Result<(), UnpackError> {
        if entry.kind == Kind::Regular {
            self.file = Some(OpenFile { entry, file: None, is_owner_right: false, end: 0 });
        }
        Ok(())
    }

    fn place(&mut self, place: &Place, name: &[u8], entry: Box<Entry>) -> Result<(), UnpackError> {
        let path = &entry.path;
        match &entry.kind {
            Kind::Regular => {
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let create = || openat(place, name, flags, Mode::from_raw_mode(0o600));
                let file = self.replacing(place, name, path, create)?;
                let is_owner_right = self.owner.is_right_for(&entry, place.group);
                self.file = Some(OpenFile { entry, file: Some(file), is_owner_right, end: 0 });
                return Ok(());
            }
            Kind::Directory => self.directory(place, name, path)?,
            Kind::Symlink(target) => {
                self.replacing(place, name, path, || symlinkat(target.as_slice(), place, name))?;
            }
            Kind::HardLink(target) => {
                if !self.link(place, name, path, target)? {
                    self.places.budget().keep_entry(&entry)?;
                    self.links.add(place.inode, name, entry);
                    return Ok(());
                }
            }
            Kind::Character { major, minor } => {
                self.node(place, name, path, FileType::CharacterDevice, makedev(*major, *minor))?;
            }
            Kind::Block { major, minor } => {
                self.node(place, name, path, FileType::BlockDevice, makedev(*major, *minor))?;
            }
            Kind::Fifo => self.node(place, name, path, FileType::Fifo, 0)?,
        }
        self.unpacked.skipped_xattrs += attributes::of_name(place, name, &entry)?;
        if entry.kind == Kind::Directory {
            let path = join(&clean(path));
            self.places.budget().keep(&path)?;
            self.times.push((path, entry.modified));
        }
        Ok(())
    }

    /// Makes something new, after removing what is in its place.
    fn replacing<T>(
        &mut self,
        place: &Place,
        name: &[u8],
        path: &[u8],
        make: impl Fn() -> Result<T, Errno>,
    ) -> Result<T, UnpackError> {
        match make() {
            Err(Errno::EXIST) => {
                self.remove(place, name, path)?;
                make().during("create", path)
            }
            other => other.during("create", path),
        }
    }

    fn remove(&mut self, place: &Place, name: &[u8], path: &[u8]) -> Result<(), UnpackError> {
        self.places.forget();
        let (places, links) = (&mut self.places, &mut self.links);
        let removed = |inode| {
            places.removed(inode);
            links.forget_all_in(inode);
        };
        remove::remove_all(place, name, removed).during("replace", path)
    }

    fn node(
        &mut self,
        place: &Place,
        name: &[u8],
        path: &[u8],
        kind: FileType,
        device: Dev,
    ) -> Result<(), UnpackError> {
        let make = || mknodat(place, name, kind, Mode::from_raw_mode(0o600), device);
        self.replacing(place, name, path, make)
    }

    /// A directory that is there stays with what is in it; its attributes become those of the entry.
    fn directory(&mut self, place: &Place, name: &[u8], path: &[u8]) -> Result<(), UnpackError> {
        let make = || mkdirat(place, name, Mode::from_raw_mode(0o700));
        match make() {
            Err(Errno::EXIST) => match look(place, name).during("stat", path)? {
                Some(stat) if is_directory(&stat) => {
                    self.places.is_explicit(stat.st_ino);
                    Ok(())
                }
                _ => {
                    self.remove(place, name, path)?;
                    make().during("make directory", path)
                }
            },
            other => other.during("make directory", path),
        }
    }

    /// Makes `name` another name of `target`; `false` where that is not in this layer but may be below it.
    fn link(&mut self, place: &Place, name: &[u8], path: &[u8], target: &[u8]) -> Result<bool, UnpackError> {
        let missing = || UnpackError::HardLink { path: path.to_vec(), target: target.to_vec() };
        let components = clean(target);
        let (target_name, parents) = components.split_last().ok_or_else(missing)?;
        let found = match self.places.find(&join(parents)) {
            Ok(found) => found,
            Err(Errno::NOTDIR | Errno::LOOP) => None,
            Err(error) => return Err(error).during("open the target of", path),
        };
        let file = match &found {
            Some(parent) => look(parent, target_name).during("stat the target of", path)?,
            None => None,
        };
        let is_hidden = self.form == Form::Overlay && file.as_ref().is_some_and(is_whiteout);
        let (Some(parent), Some(file), false) = (&found, file, is_hidden) else {
            if self.form == Form::Lowest {
                return Err(missing());
            }
            self.remove(place, name, path)?;
            return Ok(false);
        };
        if look(place, name).during("stat", path)?.is_some_and(|present| present.st_ino == file.st_ino) {
            return Ok(true);
        }
        let make = || linkat(parent, *target_name, place, name, AtFlags::empty());
        self.replacing(place, name, path, make)?;
        Ok(true)
    }

    /// Hides `name` of the layers below. What this layer itself has there stays, as the specification says.
    fn whiteout(&mut self, place: &Place, name: &[u8], entry: &Entry) -> Result<(), UnpackError> {
        let path = &entry.path;
        if self.form == Form::Lowest {
            return self.remove(place, name, path);
        }
        if self.links.is_at(place.inode, name) {
            return Ok(());
        }
        let device = makedev(0, 0);
        match mknodat(place, name, FileType::CharacterDevice, Mode::empty(), device) {
            Ok(()) => {
                let owner = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                chownat(place, name, Some(owner.0), Some(owner.1), flags).during("change the owner of", path)
            }
            Err(Errno::EXIST) => match look(place, name).during("stat", path)? {
                Some(stat) if is_directory(&stat) => make_opaque(place, name, path),
                _ => Ok(()),
            },
            Err(error) => Err(error).during("make a whiteout for", path),
        }
    }

    /// Hides all that the layers below have in this directory.
    fn opaque(&mut self, place: &Place, path: &[u8]) -> Result<(), UnpackError> {
        match self.form {
            // There is nothing below.
            Form::Lowest => Ok(()),
            Form::Overlay => make_opaque(place, b".", path),
        }
    }

    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), UnpackError> {
        let Some(OpenFile { entry, file: Some(file), end, .. }) = &mut self.file else { return Ok(()) };
        let (mut offset, mut bytes) = (offset, bytes);
        while !bytes.is_empty() {
            let written = match pwrite(&*file, bytes, offset) {
                Err(Errno::INTR) => continue,
                Ok(0) => return Err(Errno::IO).during("write", &entry.path),
                other => other.during("write", &entry.path)?,
            };
            offset += written as u64;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        *end = offset;
        Ok(())
    }

    fn done(&mut self) -> Result<(), UnpackError> {
        let Some(OpenFile { entry, file: Some(file), is_owner_right, end }) = self.file.take() else {
            return Ok(());
        };
        if end < entry.size {
            ftruncate(&file, entry.size).during("extend", &entry.path)?;
        }
        self.unpacked.skipped_xattrs += attributes::of_file(file.as_fd(), &entry, is_owner_right)?;
        Ok(())
    }
}

fn make_opaque(place: &Place, name: &[u8], path: &[u8]) -> Result<(), UnpackError> {
    let directory = attributes::through(place.as_fd(), name);
    setxattr(directory, "trusted.overlay.opaque", b"y", XattrFlags::empty()).during("make opaque", path)
}
