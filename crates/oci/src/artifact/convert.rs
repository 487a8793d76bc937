//! From an artifact and its files' archives to config and manifest.

use std::collections::BTreeMap;

use refparse::Digest;
use serde::Serialize;

use super::{Artifact, ArtifactError};
use crate::converted::{Blob, Manifest, Rootfs};
use crate::media_type::OCI_LAYER;
use crate::{Converted, DOCUMENT_BYTES_MAX, Platform};

/// Labels of the config: digest of the artifact's manifest, and its type. They tell apart the images of artifacts with the
/// same files, and tell whoever looks at the image what it is.
const LABEL_ARTIFACT: &str = "cri-imaged.io/artifact";
const LABEL_ARTIFACT_TYPE: &str = "cri-imaged.io/artifact-type";

/// The archive of a file: an uncompressed layer, so that this is its diff id too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactLayer {
    /// Digest of the archive.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

#[derive(Serialize)]
struct Config<'a> {
    architecture: &'a str,
    os: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    variant: &'a str,
    config: Run<'a>,
    rootfs: Rootfs<'a>,
}

#[derive(Serialize)]
struct Run<'a> {
    #[serde(rename = "Labels")]
    labels: BTreeMap<&'a str, &'a str>,
}

impl Artifact {
    /// Makes config and manifest for a node of `platform`. `layers` are the archives of [`Artifact::files`], in that order;
    /// the same input gives the same bytes.
    ///
    /// # Errors
    /// [`ArtifactError::TooLarge`] where a document would be longer than [`DOCUMENT_BYTES_MAX`].
    pub fn convert(&self, platform: &Platform, layers: &[ArtifactLayer]) -> Result<Converted, ArtifactError> {
        let labels = [(LABEL_ARTIFACT, self.digest.as_str()), (LABEL_ARTIFACT_TYPE, &self.artifact_type)];
        let config = Config {
            architecture: &platform.architecture,
            os: &platform.os,
            variant: &platform.variant,
            config: Run { labels: labels.into_iter().collect() },
            rootfs: Rootfs::new(layers.iter().map(|layer| layer.digest.as_str()).collect()),
        };
        Converted::around(write("config", &config)?, |config| {
            let layers = layers.iter().map(|layer| Blob {
                media_type: OCI_LAYER,
                digest: layer.digest.as_str(),
                size: layer.size,
            });
            write("manifest", &Manifest::new(config, layers.collect()))
        })
    }
}

fn write(what: &'static str, document: &impl Serialize) -> Result<Vec<u8>, ArtifactError> {
    let bytes =
        serde_json::to_vec(document).map_err(|error| ArtifactError::Write { what, source: error.into() })?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(ArtifactError::TooLarge { what, bytes: bytes.len(), max: DOCUMENT_BYTES_MAX });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::{OCI_EMPTY, OCI_MANIFEST};
    use crate::{Descriptor, Document, ImageConfig, ImageId, sha256};

    fn artifact(of: &[u8], artifact_type: &str) -> Artifact {
        let mut blob = Descriptor::new("application/octet-stream", sha256(b"blob"), 4);
        blob.annotations.insert(super::super::TITLE.to_owned(), "a/b".to_owned());
        let config = Descriptor::new(OCI_EMPTY, sha256(b"{}"), 2);
        let artifact_type = artifact_type.to_owned();
        let manifest = crate::Manifest { config, layers: vec![blob], artifact_type };
        Artifact::new(sha256(of), &manifest).unwrap()
    }

    fn layers() -> [ArtifactLayer; 1] {
        [ArtifactLayer { digest: sha256(b"archive"), size: 2048 }]
    }

    #[test]
    fn what_is_made_of_an_artifact_is_an_image_and_always_the_same() {
        let platform = Platform::new("linux", "arm", "v7");
        let artifact = artifact(b"one", "application/vnd.example");
        let made = artifact.convert(&platform, &layers()).unwrap();
        assert_eq!(made, artifact.convert(&platform, &layers()).unwrap());
        let document = Document::parse(&made.manifest_descriptor.media_type, &made.manifest).unwrap();
        let Document::Manifest(manifest) = document else { panic!("{document:?}") };
        assert_eq!(made.manifest_descriptor.media_type, OCI_MANIFEST);
        assert!(!manifest.is_artifact());
        assert_eq!(manifest.config, made.config_descriptor);
        assert_eq!(manifest.layers, [Descriptor::new(OCI_LAYER, sha256(b"archive"), 2048)]);
        let config = ImageConfig::parse(&made.config).unwrap();
        assert_eq!(config.platform, platform);
        assert_eq!(config.diff_ids, [crate::DiffId::new(sha256(b"archive"))]);
        config.check_layers(&manifest).unwrap();
        expect_test::expect![[r#"{"architecture":"arm","os":"linux","variant":"v7","config":{"Labels":{"cri-imaged.io/artifact":"sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed","cri-imaged.io/artifact-type":"application/vnd.example"}},"rootfs":{"type":"layers","diff_ids":["sha256:0eb3e36bfb24dcd9bb1d1bece1531216b59539a8fde17ee80224af0653c92aa3"]}}"#]].assert_eq(&String::from_utf8(made.config).unwrap());
    }

    #[test]
    fn artifacts_with_the_same_files_are_different_images() {
        let platform = Platform::new("linux", "amd64", "");
        let id = |artifact: Artifact| {
            ImageId::new(artifact.convert(&platform, &layers()).unwrap().config_descriptor.digest)
        };
        assert_ne!(id(artifact(b"one", "")), id(artifact(b"two", "")));
    }

    #[test]
    fn an_image_that_nobody_could_read_back_is_not_made() {
        let long = "x".repeat(usize::try_from(DOCUMENT_BYTES_MAX).unwrap());
        let made = artifact(b"one", &long).convert(&Platform::new("linux", "amd64", ""), &layers());
        assert!(matches!(made, Err(ArtifactError::TooLarge { .. })), "{made:?}");
    }
}
