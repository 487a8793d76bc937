//! Applies a layer's tar stream to a tree, as containerd's differ does for an overlay upper directory.
//!
//! Rules of core/diff/apply and pkg/archive, v2.3.4: a plain OCI layer is not decompressed, any other known layer
//! type is looked at by magic number; whiteouts become overlay whiteouts where there is a lower layer and plain
//! removals where there is none; parents that the archive does not name are copied up from below or made.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tar::EntryType;

use super::tree::{Entry, Node, Tree};

const WHITEOUT_PREFIX: &str = ".wh.";
const OPAQUE_WHITEOUT: &str = ".wh..wh..opq";
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b, 0x08];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Uncompressed bytes of one layer, against decompression bombs in tests that mean to make one.
const UNCOMPRESSED_BYTES_MAX: u64 = 4 << 30;

/// Symbolic links followed on the way to one path.
const LINKS_MAX: u32 = 255;

/// How a media type says that a layer is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Detect,
}

impl Encoding {
    /// `None` for what is not a layer.
    pub(crate) fn of(media_type: &str) -> Option<Encoding> {
        match media_type {
            "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar" => Some(Encoding::Plain),
            "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.oci.image.layer.v1.tar+zstd"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.diff.tar"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => Some(Encoding::Detect),
            _ => None,
        }
    }
}

/// Digest and size of the uncompressed bytes.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) digest: String,
    pub(crate) size: i64,
}

/// Applies `blob` to `upper`. `lower` is what is seen below; `None` when there is no lower layer at all.
pub(crate) fn apply(
    blob: &[u8],
    encoding: Encoding,
    upper: &mut Tree,
    lower: Option<&Tree>,
) -> io::Result<Applied> {
    let mut reader = Counted {
        inner: decompress(blob, encoding)?.take(UNCOMPRESSED_BYTES_MAX),
        hash: Sha256::new(),
        size: 0,
    };
    let mut target = Target { upper, lower, unpacked: BTreeSet::new() };
    {
        let mut archive = tar::Archive::new(&mut reader);
        for entry in archive.entries()? {
            target.add(entry?)?;
        }
    }
    // What follows the end marker belongs to the digest.
    io::copy(&mut reader, &mut io::sink())?;
    let digest = crate::digest::format_sha256(&reader.hash.finalize());
    Ok(Applied { digest, size: reader.size })
}

fn decompress(blob: &[u8], encoding: Encoding) -> io::Result<Box<dyn Read + '_>> {
    Ok(match encoding {
        Encoding::Detect if blob.starts_with(GZIP_MAGIC) => Box::new(flate2::read::MultiGzDecoder::new(blob)),
        Encoding::Detect if blob.starts_with(ZSTD_MAGIC) => Box::new(zstd::stream::read::Decoder::new(blob)?),
        Encoding::Detect | Encoding::Plain => Box::new(blob),
    })
}

struct Counted<R> {
    inner: R,
    hash: Sha256,
    size: i64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hash.update(&buffer[..length]);
        self.size += i64::try_from(length).map_err(io::Error::other)?;
        Ok(length)
    }
}

struct Target<'a> {
    upper: &'a mut Tree,
    lower: Option<&'a Tree>,
    /// Paths of this archive, which its own opaque whiteouts spare.
    unpacked: BTreeSet<String>,
}

impl Target<'_> {
    fn add<R: Read>(&mut self, mut entry: tar::Entry<'_, R>) -> io::Result<()> {
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        let Some(path) = clean(&entry.path_bytes()) else { return Ok(()) };
        let (parent, base) = path.rsplit_once('/').unwrap_or(("", &path));
        let parent = self.resolve(parent)?;
        let path = if parent.is_empty() { base.to_owned() } else { format!("{parent}/{base}") };
        let parent = parent.as_str();
        self.make_parents(parent);
        if base == OPAQUE_WHITEOUT {
            self.hide_directory(parent);
            return Ok(());
        }
        if let Some(hidden) = base.strip_prefix(WHITEOUT_PREFIX) {
            let hidden = if parent.is_empty() { hidden.to_owned() } else { format!("{parent}/{hidden}") };
            self.hide(hidden);
            return Ok(());
        }
        let made = self.read(&mut entry, kind, &path)?;
        let merges = matches!(made.node, Node::Directory { .. })
            && matches!(self.upper.get(&path), Some(Entry { node: Node::Directory { .. }, .. }));
        if merges {
            self.upper.0.insert(path.clone(), Entry { node: self.upper.0[&path].node.clone(), ..made });
        } else {
            // A directory that replaces a whiteout of this layer must keep hiding what the whiteout hid.
            let opaque = matches!(self.upper.get(&path), Some(Entry { node: Node::Whiteout, .. }));
            self.upper.remove_all(&path);
            let node = match made.node {
                Node::Directory { .. } => Node::Directory { opaque },
                node => node,
            };
            self.upper.0.insert(path.clone(), Entry { node, ..made });
        }
        self.unpacked.insert(path);
        Ok(())
    }

    fn read<R: Read>(&self, entry: &mut tar::Entry<'_, R>, kind: EntryType, path: &str) -> io::Result<Entry> {
        let node = match kind {
            EntryType::Directory => Node::Directory { opaque: false },
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                Node::File(Bytes::from(bytes))
            }
            EntryType::Symlink => Node::Symlink(link(entry)?),
            EntryType::Link => {
                let source = clean(link(entry)?.as_bytes()).unwrap_or_default();
                return self.seen(&source).cloned().ok_or_else(|| {
                    io::Error::new(io::ErrorKind::NotFound, format!("link {path}: no such file: {source}"))
                });
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                let major = entry.header().device_major()?.unwrap_or(0);
                let minor = entry.header().device_minor()?.unwrap_or(0);
                Node::Special { kind: kind.as_byte(), device: (major, minor) }
            }
            other => return Err(io::Error::other(format!("unhandled tar header type {}", other.as_byte()))),
        };
        let mut attributes = BTreeMap::new();
        if let Some(extensions) = entry.pax_extensions()? {
            for extension in extensions {
                let extension = extension?;
                if let Some(name) = extension.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr.")) {
                    attributes.insert(name.to_owned(), extension.value_bytes().to_vec());
                }
            }
        }
        let header = entry.header();
        Ok(Entry {
            node,
            mode: header.mode()? & 0o7777,
            uid: header.uid()?,
            gid: header.gid()?,
            modified: header.mtime()?,
            attributes,
        })
    }

    /// What is seen at `path` with this layer on top.
    fn seen(&self, path: &str) -> Option<&Entry> {
        match self.upper.get(path) {
            Some(Entry { node: Node::Whiteout, .. }) => None,
            Some(entry) => Some(entry),
            None => self.lower.and_then(|lower| lower.get(path)),
        }
    }

    /// Follows the symbolic links that this layer has on the way, never those of lower layers, as the differ does
    /// that is bound to the upper directory.
    fn resolve(&self, directory: &str) -> io::Result<String> {
        let mut pending: Vec<String> = directory.rsplit('/').map(str::to_owned).collect();
        let mut resolved: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = pending.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    resolved.pop();
                    continue;
                }
                _ => resolved.push(part),
            }
            if let Some(Entry { node: Node::Symlink(target), .. }) = self.upper.get(&resolved.join("/")) {
                links += 1;
                if links > LINKS_MAX {
                    return Err(io::Error::other(format!("too many links in {directory}")));
                }
                resolved.pop();
                if target.starts_with('/') {
                    resolved.clear();
                }
                pending.extend(target.rsplit('/').map(str::to_owned));
            }
        }
        Ok(resolved.join("/"))
    }

    fn make_parents(&mut self, parent: &str) {
        let ends = parent.match_indices('/').map(|(at, _)| at).chain([parent.len()]);
        for path in ends.map(|end| &parent[..end]).filter(|path| !path.is_empty()) {
            if matches!(self.upper.get(path), Some(Entry { node: Node::Directory { .. }, .. })) {
                continue;
            }
            let from_below = self
                .lower
                .filter(|_| self.upper.get(path).is_none())
                .and_then(|lower| lower.get(path))
                .filter(|entry| matches!(entry.node, Node::Directory { .. }));
            let made = from_below.cloned().unwrap_or_else(|| Entry::plain(Node::Directory { opaque: false }));
            self.upper.0.insert(path.to_owned(), made);
        }
    }

    fn hide(&mut self, path: String) {
        self.upper.remove_all(&path);
        if self.lower.is_some() {
            self.upper.0.insert(path, Entry::plain(Node::Whiteout));
        }
    }

    fn hide_directory(&mut self, path: &str) {
        let Some(lower) = self.lower else {
            return self.upper.remove_below(path, &self.unpacked);
        };
        if !path.is_empty() {
            self.mark_opaque(path);
            return;
        }
        // The root has no entry to mark: everything directly below it is hidden one by one.
        for (name, _) in lower.iter().filter(|(name, _)| !name.contains('/')) {
            if self.upper.get(name).is_some() {
                self.mark_opaque(name);
            } else {
                self.upper.0.insert(name.to_owned(), Entry::plain(Node::Whiteout));
            }
        }
    }

    fn mark_opaque(&mut self, path: &str) {
        if let Some(Entry { node: Node::Directory { opaque }, .. }) = self.upper.0.get_mut(path) {
            *opaque = true;
        }
    }
}

fn link<R: Read>(entry: &tar::Entry<'_, R>) -> io::Result<String> {
    let target = entry.link_name_bytes().ok_or_else(|| io::Error::other("link without a target"))?;
    Ok(String::from_utf8_lossy(&target).into_owned())
}

/// Resolves `.`, `..` and repeated slashes against the root; `None` for the root itself.
fn clean(path: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(path);
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}
