//! File trees in memory, in the form of an overlay's upper directory.
//!
//! Owns what a snapshot contains when the fake keeps no directories. A whiteout is an entry of its own and a
//! directory may be opaque, so that one tree says both what a layer adds and what it hides.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Node {
    /// A directory; an opaque one hides everything below it in lower layers.
    Directory {
        /// Whether lower layers are hidden.
        opaque: bool,
    },
    /// A regular file and its bytes.
    File(Bytes),
    /// A symbolic link and its target.
    Symlink(String),
    /// A character or block device, or a fifo (major and minor 0).
    Special {
        /// The tar type flag: `3` character, `4` block, `6` fifo.
        kind: u8,
        /// Device numbers.
        device: (u32, u32),
    },
    /// Hides the path in lower layers.
    Whiteout,
}

/// A node with its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub node: Node,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Modification time in seconds since the Unix epoch.
    pub modified: u64,
    /// Extended attributes.
    pub attributes: BTreeMap<String, Vec<u8>>,
}

impl Entry {
    /// An entry of `node` with mode 0755 that belongs to root.
    pub(crate) fn plain(node: Node) -> Entry {
        Entry { node, mode: 0o755, uid: 0, gid: 0, modified: 0, attributes: BTreeMap::new() }
    }

    fn is_directory(&self) -> bool {
        matches!(self.node, Node::Directory { .. })
    }
}

/// Entries by path, without a leading slash; the root has no entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(pub(crate) BTreeMap<String, Entry>);

impl Tree {
    /// The entry at `path`, written without a leading slash.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.0.get(path)
    }

    /// All entries by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes in files, and entries plus the root.
    pub(crate) fn usage(&self) -> (i64, i64) {
        let bytes: usize = self
            .0
            .values()
            .map(|entry| match &entry.node {
                Node::File(bytes) => bytes.len(),
                _ => 0,
            })
            .sum();
        let count = |number: usize| i64::try_from(number).expect("memory holds fewer than 2^63 bytes");
        (count(bytes), count(self.0.len() + 1))
    }

    /// Removes `path` and everything below it.
    pub(crate) fn remove_all(&mut self, path: &str) {
        self.remove_below(path, &BTreeSet::new());
        self.0.remove(path);
    }

    /// Removes what is below `path`, except for `kept`.
    pub(crate) fn remove_below(&mut self, path: &str, kept: &BTreeSet<String>) {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        self.0.retain(|name, _| !name.starts_with(&prefix) || kept.contains(name));
    }

    /// What is seen when `upper` lies on top of this tree.
    pub(crate) fn with_upper(mut self, upper: &Tree) -> Tree {
        for (path, entry) in &upper.0 {
            let merges = entry.is_directory() && self.0.get(path).is_some_and(Entry::is_directory);
            if !merges || entry.node == (Node::Directory { opaque: true }) {
                self.remove_all(path);
            }
            match &entry.node {
                Node::Whiteout => {}
                Node::Directory { .. } => {
                    let seen = Entry { node: Node::Directory { opaque: false }, ..entry.clone() };
                    self.0.insert(path.clone(), seen);
                }
                _ => {
                    self.0.insert(path.clone(), entry.clone());
                }
            }
        }
        self
    }
}
