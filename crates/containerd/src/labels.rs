//! Labels by which containerd's collector, its CRI plugin and its clients know objects (CONTAINERD facts: v2.3.4
//! `core/metadata/gc.go`, `internal/cri/labels/labels.go`, `core/snapshots/snapshotter.go`).

/// An instant (RFC 3339) after which the collector may take the object, or the lease no longer protects.
pub const GC_EXPIRE: &str = "containerd.io/gc.expire";
/// Prefix of the references from one blob to another; any suffix, kept apart by it.
pub const GC_REF_CONTENT: &str = "containerd.io/gc.ref.content";
/// Prefix of the reference from a blob to a snapshot; the snapshotter's name follows.
pub const GC_REF_SNAPSHOT: &str = "containerd.io/gc.ref.snapshot";
/// On a layer's blob: the digest of the uncompressed bytes.
pub const UNCOMPRESSED: &str = "containerd.io/uncompressed";
/// Prefix on a blob: the registry it came from follows, the value lists the repositories.
pub const DISTRIBUTION_SOURCE: &str = "containerd.io/distribution.source";
/// On a snapshot: the name under which it is going to be committed.
pub const SNAPSHOT_REF: &str = "containerd.io/snapshot.ref";
/// On an image record: the CRI plugin takes care of it.
pub const CRI_IMAGE: &str = "io.cri-containerd.image";
/// Value of [`CRI_IMAGE`].
pub const CRI_IMAGE_MANAGED: &str = "managed";
/// On an image record: the kubelet must not collect the image.
pub const CRI_PINNED: &str = "io.cri-containerd.pinned";
/// Value of [`CRI_PINNED`].
pub const CRI_PINNED_PINNED: &str = "pinned";

/// On an image record: digest of the Docker schema 1 manifest that its target was made of (v1.7.34 `images/labels.go`).
pub const CONVERTED_SCHEMA1: &str = "io.containerd.image/converted-docker-schema1";
/// On a layer's blob that was measured for such an image: whether it is an archive without entries (v1.7.34
/// `remotes/docker/schema1/converter.go`).
pub const SCHEMA1_EMPTY_LAYER: &str = "containerd.io/docker.schema1.empty-layer";

/// On an image record: digest of the manifest or index of the OCI artifact that its target was made of. Ours, for containerd
/// has none.
pub const CONVERTED_ARTIFACT: &str = "cri-imaged.io/converted-artifact";
/// On a layer's blob that is the archive of a file of an artifact: a digest over what the archive is made of. Ours too.
pub const ARTIFACT_FILE: &str = "cri-imaged.io/artifact-file";

/// Longest key and value together, in bytes (v2.3.4 `pkg/labels/validate.go`).
pub const LABEL_BYTES_MAX: usize = 4096;
