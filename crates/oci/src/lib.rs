//! The documents of a container image, read from raw bytes and never written back; those of a [`Schema1`] manifest and
//! of an [`Artifact`] are made anew.
//!
//! An image is four kinds of blob: an [`Index`] names one [`Manifest`] per platform, a manifest names an
//! [`ImageConfig`] and the layers. The digest of the config is the [`ImageId`]; the config's [`DiffId`]s are the
//! digests of the uncompressed layers, and the [`ChainId`]s computed from them name the snapshots.
//!
//! Reading is lenient exactly where Go's `encoding/json` is (absent and `null` lists, absent schema version, absent
//! media types inside a document), because registries hold such documents and containerd starts them. It is strict
//! where leniency is an attack: a document that is both an index and a manifest (CVE-2021-41190), digests that are
//! no digests, negative sizes.
//!
//! ```
//! use oci::{Document, PlatformMatcher, Platform};
//!
//! let index = br#"{"manifests":[
//!   {"mediaType":"application/vnd.oci.image.manifest.v1+json","size":7,
//!    "digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
//!    "platform":{"os":"linux","architecture":"amd64"}}]}"#;
//! let Document::Index(index) = Document::parse("application/vnd.oci.image.index.v1+json", index)? else { panic!() };
//! let matcher = PlatformMatcher::only(Platform::new("linux", "amd64", ""));
//! assert_eq!(matcher.select(&index.manifests).map(|d| d.size), Some(7));
//! # Ok::<(), oci::DocumentError>(())
//! ```
//!
//! No I/O beyond [`Platform::host`] on 32-bit arm (it reads `/proc/cpuinfo`), no containerd, no network.

mod artifact;
mod config;
mod converted;
mod descriptor;
mod document;
mod id;
mod json_fault;
mod lenient;
pub mod media_type;
mod platform;
mod schema1;

pub use artifact::{Artifact, ArtifactError, ArtifactFile, ArtifactLayer, PathFault};
pub use config::ImageConfig;
pub use converted::Converted;
pub use descriptor::{Descriptor, DescriptorError};
pub use document::{
    DOCUMENT_BYTES_MAX, Document, DocumentError, INDEX_ENTRIES_MAX, Index, LAYERS_MAX, Manifest,
};
pub use id::{ChainId, DiffId, ImageId, chain_ids, sha256};
pub use json_fault::JsonFault;
pub use media_type::{DocumentKind, LayerCompression};
pub use platform::{Platform, PlatformMatcher};
pub use schema1::{Schema1, Schema1Error, Schema1Layer, SignatureError, payload as schema1_payload};
