//! The image config: what of it this project reads, and the whole of it as it came.

use serde::Deserialize;

use crate::document::DocumentError;
use crate::lenient::null_default;
use crate::{DiffId, Manifest, Platform};

/// The image config (OCI image-spec 1.1, config.md).
#[derive(Clone, Debug)]
pub struct ImageConfig {
    /// Platform that the image is for.
    pub platform: Platform,
    /// `config.User`: `user`, `uid`, `user:group` or `uid:gid`; empty where unset.
    pub user: String,
    /// Digests of the uncompressed layers from the base up.
    pub diff_ids: Vec<DiffId>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(flatten)]
    platform: Platform,
    #[serde(default, deserialize_with = "null_default")]
    config: RawRun,
    #[serde(default, deserialize_with = "null_default")]
    rootfs: RawRootfs,
}

#[derive(Default, Deserialize)]
struct RawRun {
    #[serde(rename = "User", default, deserialize_with = "null_default")]
    user: String,
}

#[derive(Default, Deserialize)]
struct RawRootfs {
    #[serde(default, deserialize_with = "null_default")]
    diff_ids: Vec<String>,
}

impl ImageConfig {
    /// Reads a config.
    ///
    /// # Errors
    /// [`DocumentError`] for bytes that are no config, or a diff id that is no digest.
    pub fn parse(bytes: &[u8]) -> Result<ImageConfig, DocumentError> {
        let raw: Raw = serde_json::from_slice(bytes).map_err(|e| DocumentError::Json("image config", e))?;
        let mut diff_ids = Vec::with_capacity(raw.rootfs.diff_ids.len());
        for (number, text) in raw.rootfs.diff_ids.iter().enumerate() {
            diff_ids.push(DiffId::parse(text).map_err(|e| DocumentError::DiffId(number, e))?);
        }
        Ok(ImageConfig { platform: raw.platform, user: raw.config.user, diff_ids })
    }

    /// Checks that config and manifest speak of the same layers.
    ///
    /// # Errors
    /// [`DocumentError::LayerCount`].
    pub fn check_layers(&self, manifest: &Manifest) -> Result<(), DocumentError> {
        if self.diff_ids.len() == manifest.layers.len() {
            return Ok(());
        }
        Err(DocumentError::LayerCount { layers: manifest.layers.len(), diff_ids: self.diff_ids.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_absent_fields_are_defaults() {
        for text in [
            "{}",
            r#"{"config":null,"rootfs":null}"#,
            r#"{"config":{"User":null},"rootfs":{"diff_ids":null}}"#,
        ] {
            let config = ImageConfig::parse(text.as_bytes()).expect(text);
            assert_eq!((config.user.as_str(), config.diff_ids.len()), ("", 0), "{text}");
        }
    }

    #[test]
    fn a_diff_id_that_is_no_digest_is_refused_by_its_number() {
        let error =
            ImageConfig::parse(br#"{"rootfs":{"diff_ids":["sha256:00"]}}"#).expect_err("a short digest");
        assert_eq!(error.to_string(), "image config with diff id number 0");
    }
}
