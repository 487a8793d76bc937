//! What the documents under a record's target say of the image, for this host's platform.

use bytes::Bytes;
use containerd::Content;
use oci::{
    ChainId, DOCUMENT_BYTES_MAX, Descriptor, Document, ImageConfig, ImageId, Manifest, PlatformMatcher,
    chain_ids,
};
use refparse::Digest;

use crate::StoreError;

/// Indexes that may name another index. No registry nests deeper than two.
const INDEX_DEPTH_MAX: usize = 8;

/// An image as its documents describe it. Immutable: everything follows from the target's digest and the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// Digest of the config.
    pub image_id: ImageId,
    /// Name of the topmost snapshot; `None` for an image without layers.
    pub chain_id: Option<ChainId>,
    /// Index, manifest and config sizes and all layers' compressed sizes, in bytes.
    pub size_bytes: u64,
    /// `config.User`.
    pub user: String,
    /// Digests of the documents that must be readable: indexes, manifest, config.
    pub documents: Vec<Digest>,
}

impl Details {
    /// Reads the documents under `target`. `None` where they do not make an image for `platform`: one of them is not
    /// in the content store, or no entry of the index fits.
    ///
    /// # Errors
    /// [`StoreError::Document`] where a document is malformed; [`StoreError::Containerd`] where a call fails.
    pub async fn read(
        content: &Content,
        platform: &PlatformMatcher,
        target: &Descriptor,
    ) -> Result<Option<Details>, StoreError> {
        match read(content, platform, target).await {
            Err(StoreError::Containerd(error)) if error.is_not_found() => Ok(None),
            other => other,
        }
    }
}

async fn read(
    content: &Content,
    platform: &PlatformMatcher,
    target: &Descriptor,
) -> Result<Option<Details>, StoreError> {
    let mut documents = Vec::new();
    let mut size_bytes = 0u64;
    let mut descriptor = target.clone();
    let manifest = loop {
        size_bytes = size_bytes.saturating_add(descriptor.size);
        documents.push(descriptor.digest.clone());
        let bytes = content.read(&descriptor.digest, DOCUMENT_BYTES_MAX).await?;
        match parse(&descriptor, &bytes)? {
            Document::Manifest(manifest) => break manifest,
            Document::Index(index) => match platform.select(&index.manifests) {
                Some(entry) if documents.len() < INDEX_DEPTH_MAX => descriptor = entry.clone(),
                _ => return Ok(None),
            },
        }
    };
    let config = read_config(content, &manifest).await?;
    // An index entry without a platform is for whatever its config says.
    let from_index = documents.len() > 1;
    if from_index && descriptor.platform.is_none() && !platform.matches(&config.platform) {
        return Ok(None);
    }
    documents.push(manifest.config.digest.clone());
    size_bytes = size_bytes.saturating_add(manifest.config.size);
    size_bytes = manifest.layers.iter().fold(size_bytes, |sum, layer| sum.saturating_add(layer.size));
    Ok(Some(Details {
        image_id: ImageId::new(manifest.config.digest),
        chain_id: chain_ids(&config.diff_ids).pop(),
        size_bytes,
        user: config.user,
        documents,
    }))
}

async fn read_config(content: &Content, manifest: &Manifest) -> Result<ImageConfig, StoreError> {
    let digest = &manifest.config.digest;
    let bytes: Bytes = content.read(digest, DOCUMENT_BYTES_MAX).await?;
    ImageConfig::parse(&bytes).map_err(|source| StoreError::Document { digest: digest.to_string(), source })
}

fn parse(descriptor: &Descriptor, bytes: &[u8]) -> Result<Document, StoreError> {
    Document::parse(&descriptor.media_type, bytes)
        .map_err(|source| StoreError::Document { digest: descriptor.digest.to_string(), source })
}

/// Whether an error of reading details belongs to this record alone, so that the record is kept as unreadable. One
/// broken record must not keep all others from being known; a containerd that is away must not make all unreadable.
pub(crate) fn is_of_the_record(error: &StoreError) -> bool {
    match error {
        StoreError::Document { .. } => true,
        StoreError::Containerd(error) => !error.is_unanswered(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_everything_makes_no_record_unreadable() {
        assert!(!is_of_the_record(&StoreError::NotReady("containerd is away".to_owned())));
    }
}
