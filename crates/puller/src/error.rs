//! Why a pull ended without an image.

use std::time::Duration;

use refparse::Reference;

/// A pull that failed. Transient faults of the registry were retried already, so nothing here is worth an immediate
/// retry of the whole pull.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The registry does not say what the reference is.
    #[error(transparent)]
    Resolve(#[from] registry::ResolveError),
    /// A document or layer could not be had from the registry.
    #[error("pull {what}")]
    Fetch {
        /// What the blob is: `index`, `manifest`, `config`, `layer`.
        what: &'static str,
        /// The registry's reason.
        #[source]
        source: registry::FetchError,
    },
    /// The registry sent other bytes than it had announced.
    #[error("verify {what}")]
    Verify {
        /// What the blob is.
        what: &'static str,
        /// How the bytes differ.
        #[source]
        source: layer::VerifyError,
    },
    /// A document that is no image document.
    #[error("read {what} `{digest}`")]
    Document {
        /// What the document should be.
        what: &'static str,
        /// Its digest.
        digest: String,
        /// What is wrong with it.
        #[source]
        source: oci::DocumentError,
    },
    /// A Docker schema 1 manifest that cannot be converted.
    #[error("convert manifest `{digest}`")]
    Schema1 {
        /// Its digest.
        digest: String,
        /// What is wrong with it.
        #[source]
        source: oci::Schema1Error,
    },
    /// An OCI artifact of which no image can be made.
    #[error("convert artifact `{digest}`")]
    Artifact {
        /// Digest of its manifest.
        digest: String,
        /// What is wrong with it.
        #[source]
        source: oci::ArtifactError,
    },
    /// A layer of a Docker schema 1 manifest that is larger than what is fetched without knowing.
    #[error(
        "layer `{digest}` has {bytes} bytes, more than the {max} that are fetched of a layer whose manifest tells no size"
    )]
    LayerSize {
        /// Digest of the layer.
        digest: String,
        /// Its size, as the registry tells it.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The index has nothing that this node runs.
    #[error("`{reference}` has no image for {platform}")]
    NoPlatform {
        /// What was to be pulled.
        reference: Reference,
        /// The node's platform.
        platform: String,
    },
    /// Indexes that name indexes that name indexes.
    #[error("`{reference}` nests more than {max} indexes")]
    TooDeep {
        /// What was to be pulled.
        reference: Reference,
        /// How many are followed.
        max: usize,
    },
    /// A layer that containerd cannot unpack.
    #[error("layer `{digest}` has the media type `{media_type}`, which cannot be unpacked here")]
    LayerMediaType {
        /// Digest of the layer.
        digest: String,
        /// Its media type.
        media_type: String,
    },
    /// The uncompressed bytes of a layer are not those that the config names.
    #[error("layer `{layer}` unpacks to `{actual}`, but the image config says `{expected}`")]
    DiffId {
        /// Digest of the layer.
        layer: String,
        /// Diff id in the config.
        expected: String,
        /// Digest of the bytes.
        actual: String,
    },
    /// A layer that does not decompress.
    #[error("decompress layer `{layer}`")]
    Decompress {
        /// Digest of the layer.
        layer: String,
        /// What is wrong with it.
        #[source]
        source: layer::DecompressError,
    },
    /// A layer that is not a usable archive, or that the file system does not take.
    #[error("unpack layer `{layer}`")]
    Unpack {
        /// Digest of the layer.
        layer: String,
        /// What is wrong.
        #[source]
        source: layer::UnpackError,
    },
    /// A directory of containerd's snapshotter that cannot be used although its mounts say so.
    #[error("use the directory of snapshot `{chain_id}`: {reason}")]
    Directory {
        /// Name that the snapshot was to have.
        chain_id: String,
        /// What the kernel says.
        reason: String,
    },
    /// A call to containerd failed.
    #[error(transparent)]
    Containerd(#[from] containerd::CallError),
    /// What an interrupted pull left of a layer cannot be read from containerd's directory.
    #[error("read what was left of layer `{digest}`")]
    Ingest {
        /// Digest of the layer.
        digest: String,
        /// What the kernel says.
        #[source]
        source: std::io::Error,
    },
    /// A task ended without an outcome: a defect of this program.
    #[error("a part of the pull ended early: {0}")]
    Ended(String),
    /// Lease, records or index.
    #[error(transparent)]
    Store(#[from] imagestore::StoreError),
    /// A snapshot vanished or appeared each time it was to be made.
    #[error("snapshot `{chain_id}` kept changing under {attempts} attempts to make it")]
    SnapshotContended {
        /// Name of the snapshot.
        chain_id: String,
        /// How often it was tried.
        attempts: usize,
    },
    /// Another client of containerd began to write the blob and makes no progress.
    #[error("blob `{digest}` is being written by another client of containerd, without progress for {} s", .waited.as_secs())]
    IngestStalled {
        /// Digest of the blob.
        digest: String,
        /// How long there was no progress.
        waited: Duration,
    },
    /// containerd's own CRI plugin does not show the image, so a container could not start from it.
    #[error("containerd's CRI plugin does not show image `{image_id}` {} s after its records were written", .waited.as_secs())]
    NotVisible {
        /// The image id.
        image_id: String,
        /// How long was waited.
        waited: Duration,
        /// What the plugin said last, where it was an error.
        #[source]
        last: Option<containerd::CallError>,
    },
}

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The registry, or the way to it.
    Registry,
    /// containerd.
    Containerd,
    /// What was asked for cannot be had here.
    Image,
}

impl PullError {
    /// Whether another pull may go on where this one ended.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            PullError::Fetch { source, .. } => source.retry() != registry::Retry::Never,
            PullError::Containerd(error) => error.is_unanswered(),
            _ => false,
        }
    }

    /// Whether a disk of containerd is full.
    pub(crate) fn is_no_space(&self) -> bool {
        match self {
            PullError::Containerd(error) | PullError::Store(imagestore::StoreError::Containerd(error)) => {
                error.kind() == containerd::ErrorKind::NoSpace
            }
            PullError::Unpack { source, .. } => source.is_no_space(),
            _ => false,
        }
    }

    /// Who is at fault.
    pub fn origin(&self) -> Origin {
        match self {
            PullError::Resolve(_) | PullError::Fetch { .. } | PullError::Verify { .. } => Origin::Registry,
            PullError::Document { .. }
            | PullError::Schema1 { .. }
            | PullError::Artifact { .. }
            | PullError::LayerSize { .. }
            | PullError::NoPlatform { .. }
            | PullError::TooDeep { .. }
            | PullError::LayerMediaType { .. }
            | PullError::DiffId { .. }
            | PullError::Decompress { .. } => Origin::Image,
            PullError::Unpack { source, .. } => match source {
                layer::UnpackError::Io { .. } => Origin::Containerd,
                _ => Origin::Image,
            },
            PullError::Containerd(_)
            | PullError::Store(_)
            | PullError::Directory { .. }
            | PullError::Ingest { .. }
            | PullError::Ended(_)
            | PullError::SnapshotContended { .. }
            | PullError::IngestStalled { .. }
            | PullError::NotVisible { .. } => Origin::Containerd,
        }
    }
}

#[cfg(test)]
mod tests {
    use layer::UnpackError;
    use rustix::io::Errno;

    use super::*;

    fn io(source: Errno) -> PullError {
        let source = UnpackError::Io { operation: "write", path: b"etc/os".to_vec(), source };
        PullError::Unpack { layer: "sha256:1".to_owned(), source }
    }

    #[test]
    fn a_full_disk_is_told_from_other_trouble() {
        assert!(io(Errno::NOSPC).is_no_space());
        assert!(!io(Errno::IO).is_no_space());
        assert!(!PullError::Ended("a defect".to_owned()).is_no_space());
    }

    #[test]
    fn a_disk_that_fails_is_containerd_s_fault_and_an_archive_the_image_s() {
        assert_eq!(io(Errno::IO).origin(), Origin::Containerd);
        let source = UnpackError::Whiteout { path: b".wh.".to_vec() };
        assert_eq!(PullError::Unpack { layer: "sha256:1".to_owned(), source }.origin(), Origin::Image);
    }

    #[test]
    fn what_is_at_fault_for_good_does_not_pass() {
        assert!(!io(Errno::IO).may_pass());
        assert!(!PullError::Ended("a defect".to_owned()).may_pass());
    }
}
