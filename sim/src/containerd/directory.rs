//! Snapshots as real directories, for fakes whose client writes into upper directories itself.
//!
//! Owns the layout `<root>/snapshots/<id>/{fs,work}` of the overlay snapshotter and the translation between such
//! a directory and a [`Tree`]. Nothing here mounts anything. Without the privilege to change owners, owners are
//! left as they are; every other failure is an error.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};

use super::mounts;
use super::shared::Shared;
use super::state::Kind;
use super::tree::{Entry, Node, Tree};

/// Marks a directory that hides the lower ones. The kernel reads it in the `trusted` namespace, which needs
/// privilege; `user` is what overlay mounts with `userxattr` read.
const OPAQUE_ATTRIBUTES: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];

/// Extended attributes of one file, names and values each.
const ATTRIBUTE_BYTES_MAX: usize = 64 << 10;

fn root(shared: &Shared, snapshotter: &str) -> Option<String> {
    shared.options().directory.as_ref()?;
    Some(shared.options().snapshotter_root(snapshotter))
}

/// Makes the directories of a new snapshot.
pub(crate) fn create(shared: &Shared, snapshotter: &str, id: u64, kind: Kind) -> io::Result<()> {
    let Some(root) = root(shared, snapshotter) else { return Ok(()) };
    let directory = PathBuf::from(root).join("snapshots").join(id.to_string());
    fs::create_dir_all(&directory)?;
    fs::DirBuilder::new().mode(0o755).create(directory.join("fs"))?;
    if kind == Kind::Active {
        fs::DirBuilder::new().mode(0o711).create(directory.join("work"))?;
    }
    Ok(())
}

/// Removes the directories that no record names any more.
pub(crate) fn sweep(shared: &Shared) {
    let abandoned = std::mem::take(&mut shared.lock().abandoned_directories);
    for snapshotter in &shared.options().snapshotters {
        let Some(root) = root(shared, snapshotter) else { return };
        for id in &abandoned {
            // containerd logs and goes on: a directory that stays costs space only.
            let _left = fs::remove_dir_all(Path::new(&root).join("snapshots").join(id.to_string()));
        }
    }
}

/// Bytes on disk and inodes; `None` when the fake keeps no directories.
pub(crate) fn usage(shared: &Shared, snapshotter: &str, id: u64) -> io::Result<Option<(i64, i64)>> {
    let Some(root) = root(shared, snapshotter) else { return Ok(None) };
    measure(Path::new(&mounts::upper(&root, id))).map(Some)
}

fn measure(path: &Path) -> io::Result<(i64, i64)> {
    let metadata = fs::symlink_metadata(path)?;
    let blocks = i64::try_from(metadata.blocks()).map_err(io::Error::other)?;
    let (mut bytes, mut inodes) = (blocks * 512, 1);
    if metadata.is_dir() {
        for child in fs::read_dir(path)? {
            let (child_bytes, child_inodes) = measure(&child?.path())?;
            bytes += child_bytes;
            inodes += child_inodes;
        }
    }
    Ok((bytes, inodes))
}

/// Reads the upper directory of a snapshot; `None` when the fake keeps no directories.
pub(crate) fn load(shared: &Shared, snapshotter: &str, id: u64) -> io::Result<Option<Tree>> {
    let Some(root) = root(shared, snapshotter) else { return Ok(None) };
    let mut tree = Tree::default();
    read_below(Path::new(&mounts::upper(&root, id)), "", &mut tree.0)?;
    Ok(Some(tree))
}

fn read_below(directory: &Path, prefix: &str, entries: &mut BTreeMap<String, Entry>) -> io::Result<()> {
    for child in fs::read_dir(directory)? {
        let child = child?;
        let path = format!("{prefix}{}", child.file_name().to_string_lossy());
        let on_disk = child.path();
        let metadata = fs::symlink_metadata(&on_disk)?;
        let mut attributes = read_attributes(&on_disk)?;
        let kind = FileType::from_raw_mode(metadata.mode());
        let device = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
        let node = match kind {
            FileType::Directory => {
                let marks = OPAQUE_ATTRIBUTES.map(|name| attributes.remove(name).is_some());
                Node::Directory { opaque: marks.contains(&true) }
            }
            FileType::RegularFile => Node::File(Bytes::from(fs::read(&on_disk)?)),
            FileType::Symlink => Node::Symlink(fs::read_link(&on_disk)?.to_string_lossy().into_owned()),
            FileType::CharacterDevice if device == (0, 0) => Node::Whiteout,
            FileType::CharacterDevice => Node::Special { kind: b'3', device },
            FileType::BlockDevice => Node::Special { kind: b'4', device },
            FileType::Fifo => Node::Special { kind: b'6', device: (0, 0) },
            other => return Err(io::Error::other(format!("{path}: unexpected file type {other:?}"))),
        };
        let is_directory = kind == FileType::Directory;
        let entry = Entry {
            node,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid().into(),
            gid: metadata.gid().into(),
            modified: u64::try_from(metadata.mtime()).unwrap_or(0),
            attributes,
        };
        entries.insert(path.clone(), entry);
        if is_directory {
            read_below(&on_disk, &format!("{path}/"), entries)?;
        }
    }
    Ok(())
}

fn read_attributes(path: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut names = vec![0; ATTRIBUTE_BYTES_MAX];
    let length = match rustix::fs::llistxattr(path, &mut names[..]) {
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        length => length?,
    };
    let mut attributes = BTreeMap::new();
    for name in names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let name = String::from_utf8_lossy(name).into_owned();
        let mut value = vec![0; ATTRIBUTE_BYTES_MAX];
        let length = rustix::fs::lgetxattr(path, name.as_str(), &mut value[..])?;
        value.truncate(length);
        attributes.insert(name, value);
    }
    Ok(attributes)
}

/// Makes the upper directory of a snapshot hold `tree`, and nothing else.
pub(crate) fn store(shared: &Shared, snapshotter: &str, id: u64, tree: &Tree) -> io::Result<()> {
    let Some(root) = root(shared, snapshotter) else { return Ok(()) };
    let upper = PathBuf::from(mounts::upper(&root, id));
    for child in fs::read_dir(&upper)? {
        let child = child?.path();
        if fs::symlink_metadata(&child)?.is_dir() {
            fs::remove_dir_all(child)?
        } else {
            fs::remove_file(child)?
        }
    }
    for (path, entry) in &tree.0 {
        write(&upper.join(path), entry)?;
    }
    // Directories get their times last, after what is written into them.
    for (path, entry) in tree.0.iter().rev() {
        let at = Timespec { tv_sec: i64::try_from(entry.modified).unwrap_or(0), tv_nsec: 0 };
        let times = Timestamps { last_access: at, last_modification: at };
        rustix::fs::utimensat(CWD, upper.join(path), &times, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

fn write(path: &Path, entry: &Entry) -> io::Result<()> {
    let mknod = |kind: FileType, (major, minor): (u32, u32)| {
        rustix::fs::mknodat(
            CWD,
            path,
            kind,
            Mode::from_raw_mode(entry.mode),
            rustix::fs::makedev(major, minor),
        )
    };
    match &entry.node {
        Node::Directory { .. } => fs::create_dir(path)?,
        Node::File(bytes) => fs::write(path, bytes)?,
        Node::Symlink(target) => std::os::unix::fs::symlink(target, path)?,
        Node::Whiteout => mknod(FileType::CharacterDevice, (0, 0))?,
        Node::Special { kind: b'3', device } => mknod(FileType::CharacterDevice, *device)?,
        Node::Special { kind: b'4', device } => mknod(FileType::BlockDevice, *device)?,
        Node::Special { .. } => mknod(FileType::Fifo, (0, 0))?,
    }
    if let (Ok(uid), Ok(gid)) = (u32::try_from(entry.uid), u32::try_from(entry.gid)) {
        let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        match rustix::fs::chownat(CWD, path, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW) {
            Err(rustix::io::Errno::PERM) => {}
            changed => changed?,
        }
    }
    if !matches!(entry.node, Node::Symlink(_) | Node::Whiteout) {
        fs::set_permissions(path, fs::Permissions::from_mode(entry.mode))?;
    }
    for (name, value) in &entry.attributes {
        rustix::fs::lsetxattr(path, name.as_str(), value, XattrFlags::empty())?;
    }
    if entry.node == (Node::Directory { opaque: true }) {
        let [trusted, user] = OPAQUE_ATTRIBUTES;
        rustix::fs::lsetxattr(path, trusted, b"y", XattrFlags::empty())
            .or_else(|_| rustix::fs::lsetxattr(path, user, b"y", XattrFlags::empty()))?;
    }
    Ok(())
}
