//! A tree of files, read without following links.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use layer::tar::{Kind, Time};
use rustix::fs::{lgetxattr, llistxattr, major, minor};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

/// Everything that a layer says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is; no file here is [`Kind::HardLink`].
    pub kind: Kind,
    /// Permission, setuid, setgid and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last modification.
    pub modified: Time,
    /// Size in bytes of a regular file.
    pub size: u64,
    /// SHA-256 of a regular file's bytes.
    pub digest: Option<[u8; 32]>,
    /// Extended attributes that the caller may see.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first of all names in this tree that the file has, where there are several.
    pub group: Option<Vec<u8>>,
}

/// Files by their path below the root, which is not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The files.
    pub nodes: BTreeMap<Vec<u8>, Node>,
}

impl Tree {
    /// Reads what is below `root`.
    ///
    /// # Errors
    /// Where something cannot be read.
    pub fn read(root: &Path) -> io::Result<Tree> {
        let mut tree = Tree::default();
        let mut names: BTreeMap<(u64, u64), Vec<Vec<u8>>> = BTreeMap::new();
        let mut todo = vec![root.to_owned()];
        while let Some(directory) = todo.pop() {
            for file in fs::read_dir(&directory)? {
                let path = file?.path();
                let below = path.strip_prefix(root).unwrap_or(&path).as_os_str().as_bytes().to_vec();
                let metadata = match fs::symlink_metadata(&path) {
                    Ok(metadata) => metadata,
                    // The kernel's overlay lists a whiteout in a directory that only one layer has, and then has no such
                    // file.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                if metadata.is_dir() {
                    todo.push(path.clone());
                } else if metadata.nlink() > 1 {
                    names.entry((metadata.dev(), metadata.ino())).or_default().push(below.clone());
                }
                tree.nodes.insert(below, node(&path, &metadata)?);
            }
        }
        for mut names in names.into_values().filter(|names| names.len() > 1) {
            names.sort();
            for name in &names {
                if let Some(node) = tree.nodes.get_mut(name) {
                    node.group = names.first().cloned();
                }
            }
        }
        Ok(tree)
    }

    /// What differs from `other`, a line for each file; empty where nothing does.
    pub fn differences(&self, other: &Tree) -> String {
        let mut lines = String::new();
        let paths: std::collections::BTreeSet<_> = self.nodes.keys().chain(other.nodes.keys()).collect();
        for path in paths {
            let (here, there) = (self.nodes.get(path), other.nodes.get(path));
            if here != there {
                // Writing to a String cannot fail.
                let _ = writeln!(lines, "{}:\n    {here:?}\n    {there:?}", path.escape_ascii());
            }
        }
        lines
    }
}

fn node(path: &Path, metadata: &fs::Metadata) -> io::Result<Node> {
    let file_type = metadata.file_type();
    let (major, minor) = (major(metadata.rdev()), minor(metadata.rdev()));
    let kind = match () {
        () if file_type.is_dir() => Kind::Directory,
        () if file_type.is_symlink() => Kind::Symlink(fs::read_link(path)?.as_os_str().as_bytes().to_vec()),
        () if file_type.is_char_device() => Kind::Character { major, minor },
        () if file_type.is_block_device() => Kind::Block { major, minor },
        () if file_type.is_fifo() => Kind::Fifo,
        () => Kind::Regular,
    };
    let is_regular = kind == Kind::Regular;
    let mut hasher = Sha256::new();
    if is_regular {
        let mut writer = Writer(&mut hasher);
        io::copy(&mut File::open(path)?, &mut writer)?;
    }
    Ok(Node {
        kind,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        modified: Time {
            seconds: metadata.mtime(),
            nanoseconds: u32::try_from(metadata.mtime_nsec()).unwrap_or_default(),
        },
        size: if is_regular { metadata.size() } else { 0 },
        digest: is_regular.then(|| hasher.finalize().into()),
        xattrs: xattrs(path)?,
        group: None,
    })
}

struct Writer<'h>(&'h mut Sha256);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn xattrs(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut list = vec![0u8; 64 << 10];
    let length = match llistxattr(path, &mut list) {
        // Some file systems hold more names than the kernel can list (xattr(7)).
        Err(Errno::OPNOTSUPP | Errno::TOOBIG | Errno::RANGE) => 0,
        other => other?,
    };
    let mut found = BTreeMap::new();
    let names = list.get(..length).unwrap_or_default().split(|byte| *byte == 0);
    for name in names.filter(|name| !name.is_empty()) {
        let mut value = vec![0u8; 64 << 10];
        let length = lgetxattr(path, name, &mut value)?;
        value.truncate(length);
        found.insert(name.to_vec(), value);
    }
    Ok(found)
}
