//! Docker image manifest version 2, schema 1: read, and converted to an OCI manifest and config.
//!
//! Such a document has neither config nor sizes nor diff ids. It lists blobs, the newest first, and for each a piece of
//! JSON about the image that ended there ("v1 compatibility"). The newest one has the config. What is missing must be
//! measured on the layers, so that a conversion has three steps: [`Schema1::parse`], bring and measure the blobs of
//! [`Schema1::layers`], [`Schema1::convert`].
//!
//! The result is that of containerd 1.6 and 1.7 (`remotes/docker/schema1/converter.go`), byte for byte, so that an image
//! keeps its id on a node that moves from one to the other: the same fields in the same order, times and characters as
//! Go writes them. The specification is distribution v2.8 `docs/spec/manifest-v2-1.md`.

mod convert;
mod error;
mod go_object;
mod go_time;
mod go_writer;
mod signature;
mod v1;

use std::collections::BTreeSet;

use refparse::Digest;
use serde::Deserialize;
use serde::de::IgnoredAny;

pub use convert::Schema1Layer;
pub use error::{Schema1Error, SignatureError};
pub use signature::payload;

use crate::lenient::null_default;
use v1::{Compatibility, Image};

/// Most entries of a document. Docker builds at most 127 layers; the rest is room for entries without one.
const ENTRIES_MAX: usize = 1024;

/// Longest text about one entry, in bytes. They are a few KiB; labels make them longer.
const COMPATIBILITY_BYTES_MAX: usize = 1 << 20;

/// The blob of an entry that changed no file: the gzip of two empty tar blocks, always these 32 bytes. Registries do not
/// always have it (distribution v2.8.3 `manifest/schema1/config_builder.go`).
const EMPTY_LAYER: &str = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4";

/// A schema 1 document.
#[derive(Clone, Debug)]
pub struct Schema1 {
    /// The oldest first.
    entries: Vec<Entry>,
    image: Image,
    /// Blobs that are empty layers, as far as the document alone can say.
    empty: BTreeSet<Digest>,
}

#[derive(Clone, Debug)]
struct Entry {
    blob: Digest,
    compatibility: Compatibility,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "schemaVersion", default, deserialize_with = "null_default")]
    schema_version: u64,
    #[serde(rename = "fsLayers", default, deserialize_with = "null_default")]
    fs_layers: Vec<RawLayer>,
    #[serde(default, deserialize_with = "null_default")]
    history: Vec<RawHistory>,
    #[serde(default)]
    config: Option<IgnoredAny>,
    #[serde(default)]
    layers: Option<IgnoredAny>,
    #[serde(default)]
    manifests: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct RawLayer {
    #[serde(rename = "blobSum", default, deserialize_with = "null_default")]
    blob_sum: String,
}

#[derive(Deserialize)]
struct RawHistory {
    #[serde(rename = "v1Compatibility", default, deserialize_with = "null_default")]
    compatibility: String,
}

impl Schema1 {
    /// Reads a document from its [`payload`].
    ///
    /// # Errors
    /// [`Schema1Error`]; never worth a retry, since the digest has already proved that these are the bytes.
    pub fn parse(payload: &[u8]) -> Result<Schema1, Schema1Error> {
        let raw: Raw = serde_json::from_slice(payload).map_err(|error| Schema1Error::Json(error.into()))?;
        raw.check()?;
        let mut entries = Vec::with_capacity(raw.history.len());
        for (number, (layer, history)) in raw.fs_layers.iter().zip(&raw.history).enumerate() {
            let blob =
                Digest::parse(&layer.blob_sum).map_err(|source| Schema1Error::Digest { number, source })?;
            let compatibility = serde_json::from_str(&history.compatibility)
                .map_err(|error| Schema1Error::Compatibility { number, source: error.into() })?;
            entries.push(Entry { blob, compatibility });
        }
        let newest = raw.history.first().ok_or(Schema1Error::NoEntries)?;
        let image = serde_json::from_str(&newest.compatibility)
            .map_err(|error| Schema1Error::Compatibility { number: 0, source: error.into() })?;
        let empty = empty_blobs(&entries);
        entries.reverse();
        Ok(Schema1 { entries, image, empty })
    }

    /// The blobs that must be had for the conversion, each once, the lowest layer first. Those that the document says are
    /// empty are not among them.
    pub fn layers(&self) -> Vec<&Digest> {
        let mut seen = BTreeSet::new();
        let blobs = self.entries.iter().map(|entry| &entry.blob);
        blobs.filter(|blob| !self.empty.contains(*blob) && seen.insert(*blob)).collect()
    }
}

impl Raw {
    fn check(&self) -> Result<(), Schema1Error> {
        // A document that is two things names different images to different readers (CVE-2021-41190).
        let others = [("config", &self.config), ("layers", &self.layers), ("manifests", &self.manifests)];
        for (field, other) in others {
            if other.is_some() {
                return Err(Schema1Error::Confused(field));
            }
        }
        if self.schema_version != 1 {
            return Err(Schema1Error::Version(self.schema_version));
        }
        let (layers, history) = (self.fs_layers.len(), self.history.len());
        if layers != history {
            return Err(Schema1Error::Counts { layers, history });
        }
        if history > ENTRIES_MAX {
            return Err(Schema1Error::Entries { count: history, max: ENTRIES_MAX });
        }
        let is_long = |entry: &RawHistory| entry.compatibility.len() > COMPATIBILITY_BYTES_MAX;
        match self.history.iter().position(is_long) {
            Some(number) => Err(Schema1Error::Long { number, max: COMPATIBILITY_BYTES_MAX }),
            None => Ok(()),
        }
    }
}

/// Blobs that are empty layers by what the newest entry that has them says, as in containerd: what older entries say of
/// the same blob does not count.
fn empty_blobs(newest_first: &[Entry]) -> BTreeSet<Digest> {
    let mut seen = BTreeSet::new();
    let mut empty = BTreeSet::new();
    for Entry { blob, compatibility } in newest_first {
        let is_first = seen.insert(blob);
        if is_first && (compatibility.is_empty_layer() || blob.as_str() == EMPTY_LAYER) {
            empty.insert(blob.clone());
        }
    }
    empty
}

#[cfg(test)]
mod tests;
