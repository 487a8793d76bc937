//! Test images: layers from lists of files, manifests and indexes around them, the same bytes in every run.
//!
//! ```
//! use sim::image::{Compression, File, ImageBuilder, Layer};
//!
//! let layer = Layer::new([File::directory("etc"), File::regular("etc/motd", "hello")], Compression::Gzip);
//! let image = ImageBuilder::new().layer(layer).user("1000:1000").build();
//! assert_eq!(image.layers().len(), 1);
//! ```

mod artifact;
mod builder;
mod file;
mod index;
mod layer;
mod schema1;

use bytes::Bytes;

pub use artifact::Artifact;
pub use builder::{Format, Image, ImageBuilder};
pub use file::File;
pub use index::Index;
pub use layer::{Compression, Layer};
pub use schema1::Schema1;

use crate::digest::sha256;

/// Bytes with their media type and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    media_type: String,
    digest: String,
    bytes: Bytes,
}

impl Blob {
    /// Names `bytes` by their sha256.
    pub fn new(media_type: impl Into<String>, bytes: impl Into<Bytes>) -> Blob {
        let bytes = bytes.into();
        Blob { media_type: media_type.into(), digest: sha256(&bytes), bytes }
    }

    /// Media type as a descriptor would give it.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// `sha256:hex`.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// What a registry stores for one pushed thing.
pub trait Pushable {
    /// The document that a tag would point at.
    fn target(&self) -> Blob;
    /// Every manifest and index, the target included.
    fn manifests(&self) -> Vec<Blob>;
    /// Every config and layer.
    fn blobs(&self) -> Vec<Blob>;
}

/// The name of the snapshot that a stack of layers becomes (OCI image-spec v1.1, config.md, "Layer ChainID").
pub fn chain_id<'a>(diff_ids: impl IntoIterator<Item = &'a str>) -> String {
    diff_ids.into_iter().fold(String::new(), |below, diff_id| {
        if below.is_empty() { diff_id.to_owned() } else { sha256(format!("{below} {diff_id}").as_bytes()) }
    })
}
