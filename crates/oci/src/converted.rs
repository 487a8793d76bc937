//! The documents of an image that is made here, of something that is none.

use serde::Serialize;

use crate::media_type::{OCI_CONFIG, OCI_MANIFEST};
use crate::{Descriptor, sha256};

/// A converted image: two documents, each with its descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// Of the manifest: the image's target.
    pub manifest_descriptor: Descriptor,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// Of the config: its digest is the image id.
    pub config_descriptor: Descriptor,
    /// The config.
    pub config: Vec<u8>,
}

impl Converted {
    /// The image of `config`, whose manifest `write` makes of the config's descriptor.
    pub(crate) fn around<E>(
        config: Vec<u8>,
        write: impl FnOnce(&Descriptor) -> Result<Vec<u8>, E>,
    ) -> Result<Converted, E> {
        let config_descriptor = Descriptor::new(OCI_CONFIG, sha256(&config), config.len() as u64);
        let manifest = write(&config_descriptor)?;
        let manifest_descriptor = Descriptor::new(OCI_MANIFEST, sha256(&manifest), manifest.len() as u64);
        Ok(Converted { manifest_descriptor, manifest, config_descriptor, config })
    }
}

#[derive(Serialize)]
pub(crate) struct Rootfs<'a> {
    r#type: &'static str,
    diff_ids: Vec<&'a str>,
}

impl<'a> Rootfs<'a> {
    pub(crate) fn new(diff_ids: Vec<&'a str>) -> Rootfs<'a> {
        Rootfs { r#type: "layers", diff_ids }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest<'a> {
    schema_version: u8,
    config: Blob<'a>,
    layers: Vec<Blob<'a>>,
}

impl<'a> Manifest<'a> {
    pub(crate) fn new(config: &'a Descriptor, layers: Vec<Blob<'a>>) -> Manifest<'a> {
        let Descriptor { media_type, digest, size, .. } = config;
        Manifest {
            schema_version: 2,
            config: Blob { media_type, digest: digest.as_str(), size: *size },
            layers,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Blob<'a> {
    pub(crate) media_type: &'a str,
    pub(crate) digest: &'a str,
    pub(crate) size: u64,
}
