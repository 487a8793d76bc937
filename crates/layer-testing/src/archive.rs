//! Writes archives, the pax way: what a header cannot say stands in records.

use layer::tar::{Entry, Kind, Time};
use rustix::process::{getgid, getuid};

use crate::Header;
use crate::header::type_flag;

/// 2026-01-01T00:00:00.123456789Z: a time whose nanoseconds are seen to arrive.
const MODIFIED: Time = Time { seconds: 1_767_225_600, nanoseconds: 123_456_789 };

/// An entry of the caller's own user and group, so that anyone may unpack it.
pub fn entry(path: impl AsRef<[u8]>, kind: Kind) -> Entry {
    Entry {
        path: path.as_ref().to_vec(),
        mode: if kind == Kind::Directory { 0o755 } else { 0o644 },
        kind,
        size: 0,
        uid: getuid().as_raw(),
        gid: getgid().as_raw(),
        modified: MODIFIED,
        xattrs: Vec::new(),
    }
}

/// An archive that grows at its end.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
}

impl Archive {
    /// An empty one.
    pub fn new() -> Archive {
        Archive::default()
    }

    /// Appends `bytes` as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Archive {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends a header.
    #[must_use]
    pub fn header(self, header: &Header) -> Archive {
        self.raw(&header.sealed())
    }

    /// Appends `bytes`, filled up to whole blocks.
    #[must_use]
    pub fn body(self, bytes: &[u8]) -> Archive {
        let mut archive = self.raw(bytes);
        archive.bytes.resize(archive.bytes.len().next_multiple_of(512), 0);
        archive
    }

    /// Appends an extension entry: `x` or `g` with records, `L` or `K` with a long name.
    #[must_use]
    pub fn extension(self, type_flag: u8, bytes: &[u8]) -> Archive {
        self.header(&Header::new(type_flag, b"extension", bytes.len() as u64)).body(bytes)
    }

    /// Appends an extended header with these records.
    #[must_use]
    pub fn records<'r>(self, records: impl IntoIterator<Item = (&'r str, &'r [u8])>) -> Archive {
        let mut bytes = Vec::new();
        for (key, value) in records {
            bytes.extend(record(key.as_bytes(), value));
        }
        self.extension(b'x', &bytes)
    }

    /// Appends an entry with all that it says, and its bytes.
    #[must_use]
    pub fn entry(self, entry: &Entry, bytes: &[u8]) -> Archive {
        let Time { seconds, nanoseconds } = entry.modified;
        let mut records = record(b"path", &entry.path);
        records.extend(record(b"mtime", format!("{seconds}.{nanoseconds:09}").as_bytes()));
        if let Kind::HardLink(target) | Kind::Symlink(target) = &entry.kind {
            records.extend(record(b"linkpath", target));
        }
        for (name, value) in &entry.xattrs {
            records.extend(record(&[b"SCHILY.xattr.", name.as_slice()].concat(), value));
        }
        let mut header = Header::new(type_flag(&entry.kind), &entry.path, bytes.len() as u64)
            .octal(100, 8, entry.mode.into())
            .octal(108, 8, entry.uid.into())
            .octal(116, 8, entry.gid.into());
        if let Kind::Character { major, minor } | Kind::Block { major, minor } = entry.kind {
            header = header.octal(329, 8, major.into()).octal(337, 8, minor.into());
        }
        self.extension(b'x', &records).header(&header).body(bytes)
    }

    /// Appends a regular file.
    #[must_use]
    pub fn file(self, path: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) -> Archive {
        self.entry(&entry(path, Kind::Regular), bytes.as_ref())
    }

    /// Appends a directory.
    #[must_use]
    pub fn directory(self, path: impl AsRef<[u8]>) -> Archive {
        self.entry(&entry(path, Kind::Directory), b"")
    }

    /// Appends a symbolic link.
    #[must_use]
    pub fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Archive {
        self.entry(&entry(path, Kind::Symlink(target.as_ref().to_vec())), b"")
    }

    /// Appends a hard link.
    #[must_use]
    pub fn hard_link(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Archive {
        self.entry(&entry(path, Kind::HardLink(target.as_ref().to_vec())), b"")
    }

    /// Without the blocks that end it.
    pub fn cut(self) -> Vec<u8> {
        self.bytes
    }

    /// With the blocks that end it.
    pub fn finish(self) -> Vec<u8> {
        self.raw(&[0; 1024]).bytes
    }
}

/// A record with its own length in front, which counts its own digits too.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} ").as_bytes(), key, b"=", value, b"\n"].concat()
}
