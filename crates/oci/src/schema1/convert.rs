//! From a document and what was measured on its layers to config and manifest.

use std::collections::BTreeMap;

use refparse::Digest;
use serde::Serialize;

use super::go_time::GoTime;
use super::{Entry, Image, Schema1, Schema1Error, go_writer};
use crate::converted::{Blob, Manifest, Rootfs};
use crate::{Converted, DOCUMENT_BYTES_MAX, DiffId};

/// Docker's media types of layers, which containerd gives to those of a converted image.
const LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const LAYER_TAR: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// What was measured on the blob of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema1Layer {
    /// Size of the blob in bytes.
    pub size: u64,
    /// Digest of the uncompressed bytes.
    pub diff_id: DiffId,
    /// Whether the uncompressed bytes are nothing but zeros: an archive without entries.
    pub is_empty: bool,
}

#[derive(Serialize)]
struct Config<'a> {
    #[serde(flatten)]
    image: &'a Image,
    rootfs: Rootfs<'a>,
    history: Vec<History<'a>>,
}

#[derive(Serialize)]
struct History<'a> {
    created: &'a GoTime,
    #[serde(skip_serializing_if = "String::is_empty")]
    created_by: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    author: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    comment: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    empty_layer: bool,
}

impl Schema1 {
    /// Makes config and manifest. `measured` has each of [`Schema1::layers`]; the same input gives the same bytes.
    ///
    /// # Errors
    /// [`Schema1Error::NotMeasured`], and [`Schema1Error::TooLarge`] where a document would be longer than
    /// [`DOCUMENT_BYTES_MAX`].
    pub fn convert(&self, measured: &BTreeMap<Digest, Schema1Layer>) -> Result<Converted, Schema1Error> {
        let mut history = Vec::with_capacity(self.entries.len());
        let mut layers = Vec::new();
        for entry in &self.entries {
            let layer = self.layer(entry, measured)?;
            history.push(entry.history(layer.is_none()));
            layers.extend(layer.map(|layer| (&entry.blob, layer)));
        }
        let diff_ids = layers.iter().map(|(_, layer)| layer.diff_id.as_str()).collect();
        let rootfs = Rootfs::new(diff_ids);
        let config = write("config", &Config { image: &self.image, rootfs, history })?;
        Converted::around(config, |config| {
            let layers = layers.iter().map(|(digest, layer)| layer.blob(digest)).collect();
            write("manifest", &Manifest::new(config, layers))
        })
    }

    /// The layer of an entry; `None` where it is empty.
    fn layer<'a>(
        &self,
        entry: &Entry,
        measured: &'a BTreeMap<Digest, Schema1Layer>,
    ) -> Result<Option<&'a Schema1Layer>, Schema1Error> {
        if self.empty.contains(&entry.blob) {
            return Ok(None);
        }
        let layer = measured.get(&entry.blob).ok_or_else(|| Schema1Error::NotMeasured(entry.blob.clone()))?;
        Ok(Some(layer).filter(|layer| !layer.is_empty))
    }
}

impl Entry {
    fn history(&self, empty_layer: bool) -> History<'_> {
        let compatibility = &self.compatibility;
        let words: Vec<&str> =
            compatibility.container_config.cmd.iter().map(|word| word.0.as_str()).collect();
        History {
            created: &compatibility.created,
            created_by: words.join(" "),
            author: &compatibility.author,
            comment: &compatibility.comment,
            empty_layer,
        }
    }
}

impl Schema1Layer {
    fn blob<'a>(&self, digest: &'a Digest) -> Blob<'a> {
        let is_plain = self.diff_id.digest() == digest;
        let media_type = if is_plain { LAYER_TAR } else { LAYER_GZIP };
        Blob { media_type, digest: digest.as_str(), size: self.size }
    }
}

fn write(what: &'static str, document: &impl Serialize) -> Result<Vec<u8>, Schema1Error> {
    let bytes =
        go_writer::to_vec(document).map_err(|error| Schema1Error::Write { what, source: error.into() })?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(Schema1Error::TooLarge { what, bytes: bytes.len(), max: DOCUMENT_BYTES_MAX });
    }
    Ok(bytes)
}
