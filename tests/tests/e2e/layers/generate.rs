//! Stacks of layers from random drafts. A draft that containerd could not unpack is left out, by a model of what the layer
//! holds; what it does unpack is to be the same tree.

use std::collections::BTreeSet;

use layer::tar::{Entry, Kind, Time};
use layer_testing::{Archive, Tree, entry};
use proptest::collection::vec;
use proptest::prelude::*;

use super::model::{Have, Layer, below, parent};

/// An entry before it is known whether it fits.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    what: What,
    path: Vec<u8>,
    /// How the path is written.
    style: u8,
    mode: u32,
    owner: (u32, u32),
    modified: (i64, u32),
    xattrs: u8,
}

#[derive(Clone, Debug)]
enum What {
    Directory,
    Opaque,
    File(Vec<u8>),
    Symlink { target: Vec<u8>, is_absolute: bool },
    HardLink(Vec<u8>),
    Fifo,
    Device(u8, u8),
    Whiteout,
}

/// Few names, so that entries meet; the last two are as long as names may be.
fn name(number: u8) -> String {
    match number {
        0..=2 => ["a", "b", "c"][usize::from(number)].to_owned(),
        3 => "\u{fc} \n\\".to_owned(),
        4 => "l".repeat(255),
        _ => "m".repeat(255),
    }
}

fn path_of(numbers: &[u8]) -> String {
    numbers.iter().map(|number| name(*number)).collect::<Vec<_>>().join("/")
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    let number = || prop_oneof![10 => 0..3u8, 1 => 3..6u8];
    prop_oneof![20 => vec(number(), 1..5), 1 => vec(number(), 10..16)]
}

fn draft() -> impl Strategy<Value = Draft> {
    let what = prop_oneof![
        6 => Just(What::Directory),
        2 => Just(What::Opaque),
        6 => vec(any::<u8>(), 0..700).prop_map(What::File),
        3 => (path(), any::<bool>()).prop_map(|(target, is_absolute)| What::Symlink { target, is_absolute }),
        4 => path().prop_map(What::HardLink),
        1 => Just(What::Fifo),
        1 => (1..9u8, 0..9u8).prop_map(|(major, minor)| What::Device(major, minor)),
        4 => Just(What::Whiteout),
    ];
    let mode = prop_oneof![Just(0o644u32), Just(0o755), Just(0), 0..0o10000u32];
    let owner = prop_oneof![Just((0u32, 0u32)), Just((1000, 1000)), (0..70_000u32, 0..70_000u32)];
    let modified = (0..2_000_000_000i64, 0..1_000_000_000u32);
    (what, path(), 0..7u8, mode, owner, modified, any::<u8>()).prop_map(
        |(what, path, style, mode, owner, modified, xattrs)| Draft {
            what,
            path,
            style,
            mode,
            owner,
            modified,
            xattrs,
        },
    )
}

pub(crate) fn drafts() -> impl Strategy<Value = Vec<Vec<Draft>>> {
    vec(vec(draft(), 0..14), 1..5)
}

/// A stack of archives.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    pub(crate) archives: Vec<Vec<u8>>,
    layers: Vec<Layer>,
}

impl Stack {
    pub(crate) fn new(drafts: &[Vec<Draft>]) -> Stack {
        let mut stack = Stack::default();
        for drafts in drafts {
            let mut layer = Layer::default();
            let mut archive = Archive::new();
            for draft in drafts {
                if let Some(next) = stack.add(&mut layer, &archive, draft) {
                    archive = next;
                }
            }
            stack.archives.push(archive.finish());
            stack.layers.push(layer);
        }
        stack
    }

    /// Takes out of a tree what containerd and we are known to have different: the times of directories that the uppermost
    /// layer that has them has without an entry, and of files that replaced a directory with one.
    pub(crate) fn comparable(&self, mut tree: Tree) -> Tree {
        for (path, node) in &mut tree.nodes {
            let path = String::from_utf8_lossy(path).into_owned();
            let have = self.layers.iter().rev().find_map(|layer| Some((layer, layer.files.get(&path)?)));
            let is_known = match have {
                Some((_, Have::Directory { is_explicit: false })) => true,
                Some((layer, _)) => layer.replaced.contains(&path),
                None => false,
            };
            if is_known {
                node.modified = Time::default();
            }
        }
        tree
    }

    /// Appends the draft where containerd can unpack it.
    fn add(&self, layer: &mut Layer, archive: &Archive, draft: &Draft) -> Option<Archive> {
        let is_lowest = self.layers.is_empty();
        let path = path_of(&draft.path);
        let directory = layer.resolve(parent(&path).unwrap_or_default())?;
        let last = path.rsplit('/').next()?;
        let place = below(&directory, last);
        // The layers below must not have a file in the way of a directory that is implied here.
        let implied = Layer::parents(&place);
        let in_the_way = |parent: &&str| self.layers.iter().any(|below| below.resolve(parent).is_none());
        if implied.iter().any(in_the_way) && implied.iter().any(|parent| !layer.files.contains_key(*parent)) {
            return None;
        }
        let present = layer.files.get(&place).cloned();
        let entry = |name: &str, kind: Kind| Entry {
            mode: draft.mode,
            uid: draft.owner.0,
            gid: draft.owner.1,
            modified: Time { seconds: draft.modified.0, nanoseconds: draft.modified.1 },
            xattrs: xattrs(draft, &kind),
            ..entry(styled(draft.style, parent(&path), name, kind == Kind::Directory), kind)
        };
        let mut next = layer.clone();
        next.imply(&place);
        let appended = match &draft.what {
            What::Directory => {
                if !matches!(present, Some(Have::Directory { .. })) {
                    next.remove(&place);
                }
                next.files.insert(place, Have::Directory { is_explicit: true });
                archive.clone().entry(&entry(last, Kind::Directory), b"")
            }
            What::Opaque => {
                if is_lowest {
                    return None;
                }
                archive.clone().entry(&entry(".wh..wh..opq", Kind::Regular), b"")
            }
            What::Whiteout => {
                let is_explicit = matches!(present, Some(Have::Directory { is_explicit: true }));
                if present.is_some() && (!is_lowest || is_explicit || layer.has_explicit_below(&place)) {
                    return None;
                }
                next.remove(&place);
                if !is_lowest {
                    next.files.insert(place, Have::Whiteout);
                }
                let name = format!(".wh.{}", last.get(..251).unwrap_or(last));
                if name.len() < last.len() + 4 {
                    return None;
                }
                archive.clone().entry(&entry(&name, Kind::Regular), b"")
            }
            other => {
                if layer.has_explicit_below(&place) {
                    return None;
                }
                let is_explicit = present == Some(Have::Directory { is_explicit: true });
                let was_replaced = is_explicit || layer.replaced.contains(&place);
                next.remove(&place);
                let (kind, bytes, have): (Kind, &[u8], Have) = match other {
                    What::File(bytes) => (Kind::Regular, bytes, Have::File),
                    What::Symlink { target, is_absolute } => {
                        if was_replaced {
                            return None;
                        }
                        let target = format!("{}{}", if *is_absolute { "/" } else { "" }, path_of(target));
                        (Kind::Symlink(target.clone().into_bytes()), b"", Have::Symlink(target))
                    }
                    What::HardLink(target) => {
                        let target = path_of(target);
                        let directory = layer.resolve(parent(&target).unwrap_or_default())?;
                        let target_place = below(&directory, target.rsplit('/').next()?);
                        // What makes room for the link must not remove its target.
                        let have = next.files.get(&target_place)?.clone();
                        if !matches!(have, Have::File | Have::Symlink(_))
                            || was_replaced
                            || next.replaced.contains(&target_place)
                        {
                            return None;
                        }
                        (Kind::HardLink(target.into_bytes()), b"", have)
                    }
                    What::Device(major, minor) => {
                        let (major, minor) = ((*major).into(), (*minor).into());
                        (Kind::Character { major, minor }, b"", Have::File)
                    }
                    _ => (Kind::Fifo, b"", Have::File),
                };
                if was_replaced {
                    next.replaced.insert(place.clone());
                }
                next.files.insert(place, have);
                archive.clone().entry(&entry(last, kind), bytes)
            }
        };
        *layer = next;
        Some(appended)
    }

    /// How much of what can differ there is, to see that the generator makes it.
    pub(crate) fn kinds(&self) -> BTreeSet<&'static str> {
        let mut kinds = BTreeSet::new();
        for have in self.layers.iter().flat_map(|layer| layer.files.values()) {
            kinds.insert(match have {
                Have::Directory { is_explicit: true } => "directory",
                Have::Directory { is_explicit: false } => "implied directory",
                Have::File => "file",
                Have::Symlink(_) => "symbolic link",
                Have::Whiteout => "whiteout",
            });
        }
        kinds
    }
}

fn styled(style: u8, parent: Option<&str>, name: &str, is_directory: bool) -> String {
    let plain = parent.map_or_else(|| name.to_owned(), |parent| format!("{parent}/{name}"));
    match style {
        0 => format!("./{plain}"),
        1 => format!("/{plain}"),
        2 => format!("elsewhere/../{plain}"),
        3 => format!("../../{plain}"),
        4 => plain.replace('/', "/.//"),
        5 if is_directory => format!("{plain}/"),
        _ => plain,
    }
}

fn xattrs(draft: &Draft, kind: &Kind) -> Vec<(Vec<u8>, Vec<u8>)> {
    // Version 2, CAP_NET_BIND_SERVICE, effective.
    const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut xattrs = Vec::new();
    let mut add = |name: &str, value: &[u8]| xattrs.push((name.as_bytes().to_vec(), value.to_vec()));
    let bits = draft.xattrs;
    if bits & 3 == 3 {
        add("user.one", b"value\0with zeros");
    }
    if bits & 12 == 12 {
        add(&format!("user.{}", bits >> 6), &[bits]);
    }
    if bits & 48 == 48 && *kind == Kind::Regular {
        add("security.capability", &CAPABILITY);
    }
    if bits & 21 == 21 {
        // No archive may say what the overlay shows.
        add("trusted.overlay.opaque", b"y");
        add("trusted.other", b"x");
    }
    xattrs
}
