//! Why a layer cannot be unpacked.

use rustix::io::Errno;

use crate::tar::TarError;

/// A layer that was not unpacked. What it has written so far stays for the caller to remove.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The archive itself is wrong.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The file system does not take it.
    #[error("cannot {operation} `{}`: {source}", .path.escape_ascii())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Path in the image.
        path: Vec<u8>,
        /// What the kernel says.
        source: Errno,
    },
    /// Something that is no directory is used as one.
    #[error("`{}` is within something that is not a directory", .path.escape_ascii())]
    NotADirectory {
        /// Path in the image.
        path: Vec<u8>,
    },
    /// A whiteout that names nothing.
    #[error("`{}` is a whiteout of nothing", .path.escape_ascii())]
    Whiteout {
        /// Path in the image.
        path: Vec<u8>,
    },
    /// A hard link to nothing.
    #[error("`{}` is a hard link to `{}`, which is not in this layer nor in those below", .path.escape_ascii(), .target.escape_ascii())]
    HardLink {
        /// Path in the image.
        path: Vec<u8>,
        /// What it should be another name of.
        target: Vec<u8>,
    },
    /// More than the limits allow.
    #[error("{what} is more than the limit of {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

impl UnpackError {
    /// Whether the disk is full, or its quota: no fault of the image.
    pub fn is_no_space(&self) -> bool {
        matches!(self, UnpackError::Io { source: Errno::NOSPC | Errno::DQUOT, .. })
    }
}

/// Adds what was done to which path.
pub(super) trait During<T> {
    fn during(self, operation: &'static str, path: &[u8]) -> Result<T, UnpackError>;
}

impl<T> During<T> for Result<T, Errno> {
    fn during(self, operation: &'static str, path: &[u8]) -> Result<T, UnpackError> {
        self.map_err(|source| UnpackError::Io { operation, path: path.to_vec(), source })
    }
}
