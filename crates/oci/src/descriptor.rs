//! The descriptor: media type, digest and size of a blob (OCI image-spec 1.1, descriptor.md).

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use refparse::Digest;
use serde::Deserialize;

use crate::Platform;
use crate::lenient::null_default;
use crate::media_type::is_nondistributable;

/// Most URLs of a descriptor that are kept, and the longest of them in bytes.
const URLS_MAX: usize = 4;
const URL_BYTES_MAX: usize = 4096;

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
    /// Where a layer that may not be distributed is to be had beside the registry; empty for every other blob, however
    /// many its document names: whoever writes a manifest must not make the node's daemon request any address.
    pub urls: Vec<String>,
    /// The blob itself, where the document holds it; its digest is for the reader to check.
    pub data: Option<Vec<u8>>,
}

impl Descriptor {
    /// A descriptor without platform, annotations, URLs and data.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.into(),
            digest,
            size,
            platform: None,
            annotations: BTreeMap::new(),
            urls: Vec::new(),
            data: None,
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

/// The JSON form. Fields that are read by nobody here (`artifactType`) are skipped.
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
    #[serde(default, deserialize_with = "null_default")]
    urls: Vec<String>,
    #[serde(default, deserialize_with = "null_default")]
    data: String,
}

impl TryFrom<RawDescriptor> for Descriptor {
    type Error = DescriptorError;

    fn try_from(raw: RawDescriptor) -> Result<Descriptor, DescriptorError> {
        let digest = Digest::parse(&raw.digest)
            .map_err(|source| DescriptorError::Digest(shortened(&raw.digest), source))?;
        let size = u64::try_from(raw.size)
            .map_err(|_| DescriptorError::Size { digest: digest.to_string(), size: raw.size })?;
        let mut urls = raw.urls;
        urls.retain(|url| url.len() <= URL_BYTES_MAX);
        urls.truncate(if is_nondistributable(&raw.media_type) { URLS_MAX } else { 0 });
        // What is no base64 is to be had from the registry.
        let data =
            BASE64_STANDARD.decode(&raw.data).ok().filter(|data| data.len() as u64 == size && size > 0);
        Ok(Descriptor {
            media_type: raw.media_type,
            digest,
            size,
            platform: raw.platform,
            annotations: raw.annotations,
            urls,
            data,
        })
    }
}

/// Peer text for an error line: no control characters, at most 140 characters (a sha512 digest fits).
fn shortened(text: &str) -> String {
    text.chars().take(140).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Descriptor {
        serde_json::from_str::<RawDescriptor>(json).unwrap().try_into().unwrap()
    }

    #[test]
    fn urls_count_for_layers_that_may_not_be_distributed_only() {
        let of = |media_type: &str| {
            let digest = crate::sha256(b"");
            let urls = r#"["https://a.test/1", "https://a.test/2", "3", "4", "5"]"#;
            read(&format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":3,"urls":{urls}}}"#))
                .urls
        };
        assert_eq!(of("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip").len(), URLS_MAX);
        assert_eq!(of("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd").len(), URLS_MAX);
        assert!(of("application/vnd.oci.image.layer.v1.tar+gzip").is_empty());
        assert!(of("application/vnd.oci.image.config.v1+json").is_empty());
    }

    #[test]
    fn data_counts_where_it_is_as_long_as_the_blob() {
        let of = |size: u64, data: &str| {
            let digest = crate::sha256(b"{}");
            read(&format!(r#"{{"digest":"{digest}","size":{size},"data":{data}}}"#)).data
        };
        assert_eq!(of(2, r#""e30=""#).as_deref(), Some(&b"{}"[..]));
        assert_eq!(of(3, r#""e30=""#), None);
        assert_eq!(of(2, r#""!!!!""#), None);
        assert_eq!(of(0, r#""""#), None);
        assert_eq!(of(2, "null"), None);
    }
}
