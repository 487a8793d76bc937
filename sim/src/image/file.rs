//! One entry of a layer.

use bytes::Bytes;

/// Modification time of every entry that does not say otherwise: 2026-01-01T00:00:00Z.
const MODIFIED: u64 = 1_767_225_600;

/// An entry of a layer, built with [`File::regular`] and its siblings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) modified: u64,
    pub(super) attributes: Vec<(String, Vec<u8>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File(Bytes),
    Symlink(String),
    Hardlink(String),
    Fifo,
    Character(u32, u32),
    Block(u32, u32),
}

impl File {
    fn new(path: impl Into<String>, kind: Kind, mode: u32) -> File {
        File { path: path.into(), kind, mode, uid: 0, gid: 0, modified: MODIFIED, attributes: Vec::new() }
    }

    /// A directory, mode 0755.
    pub fn directory(path: impl Into<String>) -> File {
        File::new(path, Kind::Directory, 0o755)
    }

    /// A regular file, mode 0644.
    pub fn regular(path: impl Into<String>, bytes: impl Into<Bytes>) -> File {
        File::new(path, Kind::File(bytes.into()), 0o644)
    }

    /// A symbolic link.
    pub fn symlink(path: impl Into<String>, target: impl Into<String>) -> File {
        File::new(path, Kind::Symlink(target.into()), 0o777)
    }

    /// Another name of the file at `target`, a path within the image.
    pub fn hardlink(path: impl Into<String>, target: impl Into<String>) -> File {
        File::new(path, Kind::Hardlink(target.into()), 0o644)
    }

    /// A named pipe, mode 0644.
    pub fn fifo(path: impl Into<String>) -> File {
        File::new(path, Kind::Fifo, 0o644)
    }

    /// A character device, mode 0600.
    pub fn character_device(path: impl Into<String>, major: u32, minor: u32) -> File {
        File::new(path, Kind::Character(major, minor), 0o600)
    }

    /// A block device, mode 0600.
    pub fn block_device(path: impl Into<String>, major: u32, minor: u32) -> File {
        File::new(path, Kind::Block(major, minor), 0o600)
    }

    /// Hides `path` of the layers below.
    pub fn whiteout(path: &str) -> File {
        let name = match path.rsplit_once('/') {
            Some((parent, base)) => format!("{parent}/.wh.{base}"),
            None => format!(".wh.{path}"),
        };
        File::regular(name, Bytes::new())
    }

    /// Hides everything that the layers below have in `directory`.
    pub fn opaque(directory: &str) -> File {
        File::regular(format!("{directory}/.wh..wh..opq"), Bytes::new())
    }

    /// Sets the permission bits, set-id and sticky included.
    #[must_use]
    pub fn mode(self, mode: u32) -> File {
        File { mode, ..self }
    }

    /// Sets owner and group.
    #[must_use]
    pub fn owner(self, uid: u64, gid: u64) -> File {
        File { uid, gid, ..self }
    }

    /// Sets the modification time, in seconds since the Unix epoch.
    #[must_use]
    pub fn modified(self, modified: u64) -> File {
        File { modified, ..self }
    }

    /// Adds an extended attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> File {
        self.attributes.push((name.into(), value.into()));
        self
    }
}
