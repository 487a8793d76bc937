//! What an archive says of one file.

use std::fmt;

/// A point in time as archives give it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since the Unix epoch.
    pub seconds: i64,
    /// Nanoseconds after that, below one thousand million.
    pub nanoseconds: u32,
}

impl Time {
    /// The same time, or the epoch where it is before it or after the year 2262, which is what containerd does.
    #[must_use]
    pub fn bounded(self) -> Time {
        const NANOSECONDS_MAX: i128 = i64::MAX as i128;
        let nanoseconds = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanoseconds);
        if (0..=NANOSECONDS_MAX).contains(&nanoseconds) { self } else { Time::default() }
    }
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file; its bytes follow.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link with this target.
    Symlink(Vec<u8>),
    /// Another name of the file with this path in the image.
    HardLink(Vec<u8>),
    /// A character device.
    Character {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// One entry, without its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path as written, which may be absolute, contain `..`, and end in a slash.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Size of a regular file in bytes, with the holes of a sparse one.
    pub size: u64,
    /// Permission, setuid, setgid and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last modification.
    pub modified: Time,
    /// Extended attributes in the order of the archive.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("path", &self.path.escape_ascii().to_string())
            .field("kind", &self.kind)
            .field("size", &self.size)
            .field("mode", &format_args!("{:o}", self.mode))
            .finish_non_exhaustive()
    }
}
