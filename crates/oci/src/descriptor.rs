//! The descriptor: media type, digest and size of a blob (OCI image-spec 1.1, descriptor.md).

use std::collections::BTreeMap;

use refparse::Digest;
use serde::Deserialize;

use crate::Platform;
use crate::lenient::null_default;

/// A blob as another document names it: what it is, its digest and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Media type; may be empty inside old documents.
    pub media_type: String,
    /// Digest of the blob's bytes.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub size: u64,
    /// Platform, in an index's entries.
    pub platform: Option<Platform>,
    /// Annotations, in key order.
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor without platform and annotations.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.into(),
            digest,
            size,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }
}

/// Why a descriptor inside a document is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// The `digest` field is no digest that this node can verify.
    #[error("descriptor with digest `{0}`")]
    Digest(String, #[source] refparse::DigestError),
    /// The `size` field is negative.
    #[error("descriptor `{digest}` with negative size `{size}`")]
    Size {
        /// The descriptor's digest.
        digest: String,
        /// The size as written.
        size: i64,
    },
}

/// The JSON form. Fields that are read by nobody here (`urls`, `data`, `artifactType`) are skipped: fetching from
/// URLs that a manifest names would let a manifest author make the node's root daemon request any address.
#[derive(Deserialize)]
pub(crate) struct RawDescriptor {
    #[serde(rename = "mediaType", default, deserialize_with = "null_default")]
    media_type: String,
    #[serde(default, deserialize_with = "null_default")]
    digest: String,
    #[serde(default, deserialize_with = "null_default")]
    size: i64,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default, deserialize_with = "null_default")]
    annotations: BTreeMap<String, String>,
}

impl TryFrom<RawDescriptor> for Descriptor {
    type Error = DescriptorError;

    fn try_from(raw: RawDescriptor) -> Result<Descriptor, DescriptorError> {
        let digest = Digest::parse(&raw.digest)
            .map_err(|source| DescriptorError::Digest(shortened(&raw.digest), source))?;
        let size = u64::try_from(raw.size)
            .map_err(|_| DescriptorError::Size { digest: digest.to_string(), size: raw.size })?;
        Ok(Descriptor {
            media_type: raw.media_type,
            digest,
            size,
            platform: raw.platform,
            annotations: raw.annotations,
        })
    }
}

/// Peer text for an error line: no control characters, at most 140 characters (a sha512 digest fits).
fn shortened(text: &str) -> String {
    text.chars().take(140).flat_map(char::escape_debug).collect()
}
