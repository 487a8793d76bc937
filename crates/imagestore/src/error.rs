//! Why the store could not answer.

/// A store operation that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The name that was asked for is none, or not one.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The index is not (or no longer) built from containerd.
    #[error("images are not known yet: {0}")]
    NotReady(String),
    /// A call to containerd failed.
    #[error(transparent)]
    Containerd(#[from] containerd::CallError),
    /// A record was deleted and created by others faster than it could be written.
    #[error("image record `{name}` kept changing under {attempts} attempts to write it")]
    Contended {
        /// Name of the record.
        name: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// An image kept getting new names while it was removed.
    #[error("image `{image}` kept getting new names while it was removed")]
    RemoveContended {
        /// The image as it was asked for.
        image: String,
    },
    /// A document of an image cannot be read as one.
    #[error("image document `{digest}`")]
    Document {
        /// Digest of the document.
        digest: String,
        /// What is wrong with it.
        #[source]
        source: oci::DocumentError,
    },
}

/// A name that does not lead to one image.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupError {
    /// The empty string. containerd's own plugin takes it for a prefix of every id.
    #[error("the image is empty: give a reference, an image id or the beginning of one")]
    Empty,
    /// A prefix of several image ids.
    #[error(
        "`{prefix}` is the beginning of {count} image ids, among them {first} and {second}: give more of it"
    )]
    Ambiguous {
        /// The prefix as given.
        prefix: String,
        /// How many images it fits.
        count: usize,
        /// One of them.
        first: String,
        /// Another.
        second: String,
    },
}
