//! Why an artifact cannot be laid out as files.

use refparse::Digest;

use crate::{Descriptor, JsonFault};

/// Most characters of a blob's name that an error shows.
const SHOWN_CHARS_MAX: usize = 200;

/// An artifact of which no image can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// Nothing in it says that it is a file. So are Helm charts, signatures and attestations.
    #[error(
        "no file in an artifact of {blobs} blobs: none has the annotation `org.opencontainers.image.title` or \
         `org.cncf.model.filepath`"
    )]
    NoFiles {
        /// How many blobs it has.
        blobs: usize,
    },
    /// A blob whose name is not the path of a file that an image can have.
    #[error("artifact with blob `{blob}` called `{name}`, {fault}")]
    Path {
        /// Digest of the blob.
        blob: Digest,
        /// Its name, cut and escaped.
        name: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// What is made of it is longer than a document may be: nobody could read it back.
    #[error("the {what} of the converted artifact has {bytes} bytes, more than {max}")]
    TooLarge {
        /// The document.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// What it may have.
        max: u64,
    },
    /// Serialization failed, which no input is known to do.
    #[error("cannot write the {what} of the converted artifact")]
    Write {
        /// The document.
        what: &'static str,
        /// What is wrong.
        #[source]
        source: JsonFault,
    },
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathFault {
    /// Nothing is left of it.
    Empty,
    /// It begins with a slash.
    Absolute,
    /// It leads upwards.
    Parent,
    /// It has a control character, NUL for instance.
    Control,
    /// Unpackers would take it for the removal of another file.
    Whiteout,
    /// It is longer than this many bytes.
    Long(usize),
    /// One of its components is longer than this many bytes.
    LongPart(usize),
    /// Another blob has the same one.
    Twice,
    /// One of its directories is another blob's file.
    BelowFile,
}

impl std::fmt::Display for PathFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PathFault::Empty => f.write_str("which names no file"),
            PathFault::Absolute => f.write_str("which is absolute"),
            PathFault::Parent => f.write_str("which has `..`"),
            PathFault::Control => f.write_str("which has a control character"),
            PathFault::Whiteout => f.write_str("which layers take for a removal (`.wh.`)"),
            PathFault::Long(max) => write!(f, "which is longer than {max} bytes"),
            PathFault::LongPart(max) => write!(f, "of which a part is longer than {max} bytes"),
            PathFault::Twice => f.write_str("as another blob is"),
            PathFault::BelowFile => f.write_str("which is below another blob's file"),
        }
    }
}

impl ArtifactError {
    pub(super) fn path(blob: &Descriptor, name: &str, fault: PathFault) -> ArtifactError {
        let name = name.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
        ArtifactError::Path { blob: blob.digest.clone(), name, fault }
    }
}
