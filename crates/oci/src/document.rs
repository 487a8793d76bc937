//! Index and manifest: parsing with the guard against documents that pretend to be both.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::descriptor::RawDescriptor;
use crate::lenient::null_default;
use crate::{Descriptor, DescriptorError, DocumentKind, media_type, sha256};

/// Largest index, manifest or config that is read, in bytes. Registries take manifests of at least 4 MiB
/// (distribution-spec 1.1, "Pushing Manifests"), and most no larger ones; configs with a long history can be.
pub const DOCUMENT_BYTES_MAX: u64 = 8 << 20;

/// Most layers of an image: overlayfs stacks no more (`OVL_MAX_STACK`, Linux 6.12).
pub const LAYERS_MAX: usize = 500;

/// Most manifests of an index that are looked at; those that are published have some dozens.
pub const INDEX_ENTRIES_MAX: usize = 4096;

/// An index or a manifest.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a pull has one or two of them at a time")]
pub enum Document {
    /// One manifest a platform.
    Index(Index),
    /// One image.
    Manifest(Manifest),
}

/// A list of manifests, one a platform (OCI image-spec 1.1, image-index.md; Docker manifest list).
#[derive(Clone, Debug)]
pub struct Index {
    /// The entries in the order of the document, which is the order of preference among equals.
    pub manifests: Vec<Descriptor>,
}

/// One image (OCI image-spec 1.1, manifest.md; Docker schema 2 manifest).
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The image config; its digest is the image id.
    pub config: Descriptor,
    /// The layers from the base up; the blobs of an artifact.
    pub layers: Vec<Descriptor>,
    /// `artifactType`, empty where there is none.
    pub artifact_type: String,
}

/// Why bytes are no image document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The media type announces neither an index nor a manifest.
    #[error("media type `{0}` is neither an image index nor an image manifest")]
    MediaType(String),
    /// A Docker schema 1 manifest under another media type.
    #[error("a Docker schema 1 manifest (`fsLayers`) announced as `{0}`")]
    Schema1(String),
    /// The content contradicts the media type. Such documents name different images to different readers
    /// (CVE-2021-41190).
    #[error("announced as `{media_type}` but the document has `{field}`")]
    Confused {
        /// The media type that the document came with.
        media_type: String,
        /// The field that has no place in it.
        field: &'static str,
    },
    /// No JSON, or fields of the wrong type.
    #[error("malformed {0}")]
    Json(&'static str, #[source] serde_json::Error),
    /// An entry is no descriptor.
    #[error("malformed {0}")]
    Descriptor(&'static str, #[source] DescriptorError),
    /// More entries than can be of use.
    #[error("{what} with {count} entries; at most {max} can be used")]
    Entries {
        /// The document.
        what: &'static str,
        /// How many it has.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A diff id is no digest.
    #[error("image config with diff id number {0}")]
    DiffId(usize, #[source] refparse::DigestError),
    /// The manifest lists other layers than the config.
    #[error("the manifest lists {layers} layers but the image config lists {diff_ids} diff ids")]
    LayerCount {
        /// Layers in the manifest.
        layers: usize,
        /// Diff ids in the config.
        diff_ids: usize,
    },
}

#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "mediaType", default, deserialize_with = "null_default")]
    media_type: String,
    #[serde(default)]
    config: Option<IgnoredAny>,
    #[serde(default)]
    layers: Option<IgnoredAny>,
    #[serde(default)]
    manifests: Option<IgnoredAny>,
    #[serde(rename = "fsLayers", default)]
    fs_layers: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct RawIndex {
    #[serde(default, deserialize_with = "null_default")]
    manifests: Vec<RawDescriptor>,
}

#[derive(Deserialize)]
struct RawManifest {
    config: RawDescriptor,
    #[serde(default, deserialize_with = "null_default")]
    layers: Vec<RawDescriptor>,
    #[serde(rename = "artifactType", default, deserialize_with = "null_default")]
    artifact_type: String,
}

impl Document {
    /// Reads the document that was announced as `media_type`.
    ///
    /// # Errors
    /// [`DocumentError`]; never worth a retry, since the digest has already proved that these are the bytes.
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Document, DocumentError> {
        let kind =
            DocumentKind::of(media_type).ok_or_else(|| DocumentError::MediaType(media_type.to_owned()))?;
        check_shape(kind, media_type, bytes)?;
        Ok(match kind {
            DocumentKind::Index => Document::Index(Index::parse(bytes)?),
            DocumentKind::Manifest => Document::Manifest(Manifest::parse(bytes)?),
        })
    }
}

impl Index {
    fn parse(bytes: &[u8]) -> Result<Index, DocumentError> {
        const WHAT: &str = "image index";
        let raw: RawIndex = serde_json::from_slice(bytes).map_err(|e| DocumentError::Json(WHAT, e))?;
        Ok(Index { manifests: descriptors(WHAT, raw.manifests, INDEX_ENTRIES_MAX)? })
    }
}

impl Manifest {
    fn parse(bytes: &[u8]) -> Result<Manifest, DocumentError> {
        const WHAT: &str = "image manifest";
        let raw: RawManifest = serde_json::from_slice(bytes).map_err(|e| DocumentError::Json(WHAT, e))?;
        let config = Descriptor::try_from(raw.config).map_err(|e| DocumentError::Descriptor(WHAT, e))?;
        let layers = descriptors(WHAT, raw.layers, LAYERS_MAX)?;
        Ok(Manifest { config, layers, artifact_type: raw.artifact_type })
    }

    /// Whether this is an artifact and no image: its config is of another type than those of images, or says nothing. An
    /// `artifactType` beside an image config makes no artifact of an image: it has all that an image needs (CRI-O
    /// 1.37 `internal/storage/image.go`, `shouldTryArtifact`: an artifact only where there is no image).
    pub fn is_artifact(&self) -> bool {
        !media_type::is_config(&self.config.media_type) || self.config.digest == sha256(b"{}")
    }
}

fn descriptors(
    what: &'static str,
    raw: Vec<RawDescriptor>,
    max: usize,
) -> Result<Vec<Descriptor>, DocumentError> {
    if raw.len() > max {
        return Err(DocumentError::Entries { what, count: raw.len(), max });
    }
    raw.into_iter()
        .map(|entry| Descriptor::try_from(entry).map_err(|e| DocumentError::Descriptor(what, e)))
        .collect()
}

fn check_shape(kind: DocumentKind, media_type: &str, bytes: &[u8]) -> Result<(), DocumentError> {
    let shape: Shape = serde_json::from_slice(bytes).map_err(|e| DocumentError::Json("image document", e))?;
    if shape.fs_layers.is_some() {
        return Err(DocumentError::Schema1(media_type.to_owned()));
    }
    let other = DocumentKind::of(&shape.media_type).is_some_and(|inner| inner != kind);
    let field = match kind {
        _ if other => Some("mediaType"),
        DocumentKind::Manifest if shape.manifests.is_some() => Some("manifests"),
        DocumentKind::Index if shape.config.is_some() => Some("config"),
        DocumentKind::Index if shape.layers.is_some() => Some("layers"),
        _ => None,
    };
    match field {
        Some(field) => Err(DocumentError::Confused { media_type: media_type.to_owned(), field }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::media_type::{DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[track_caller]
    fn check(media_type: &str, text: &str, expected: Expect) {
        let text = text.replace("DIGEST", DIGEST);
        let got = match Document::parse(media_type, text.as_bytes()) {
            Ok(Document::Index(index)) => format!("index of {}", index.manifests.len()),
            Ok(Document::Manifest(manifest)) => format!("manifest with {} layers", manifest.layers.len()),
            Err(error) => {
                let mut line = error.to_string();
                let mut source = std::error::Error::source(&error);
                while let Some(cause) = source {
                    line = format!("{line}: {cause}");
                    source = cause.source();
                }
                line
            }
        };
        expected.assert_eq(&got);
    }

    #[test]
    fn what_go_reads_is_read() {
        check(OCI_INDEX, r#"{"manifests":null}"#, expect!["index of 0"]);
        check(OCI_INDEX, r#"{}"#, expect!["index of 0"]);
        check(
            OCI_MANIFEST,
            r#"{"config":{"digest":"DIGEST"},"layers":null}"#,
            expect!["manifest with 0 layers"],
        );
        check(
            DOCKER_MANIFEST,
            r#"{"schemaVersion":2,"config":{"digest":"DIGEST","size":3},"layers":[{"digest":"DIGEST","size":1}]}"#,
            expect!["manifest with 1 layers"],
        );
    }

    #[test]
    fn an_artifact_is_told_by_its_config() {
        let is_artifact = |config: &str, more: &str| {
            let text = format!(r#"{{"config":{config},"layers":[]{more}}}"#).replace("DIGEST", DIGEST);
            match Document::parse(OCI_MANIFEST, text.as_bytes()) {
                Ok(Document::Manifest(manifest)) => manifest.is_artifact(),
                other => panic!("{other:?}"),
            }
        };
        let of_type = |name: &str| format!(r#"{{"mediaType":"application/{name}","digest":"DIGEST"}}"#);
        for name in [
            "vnd.oci.empty.v1+json",
            "vnd.unknown.config.v1+json",
            "vnd.cncf.model.config.v1+json",
            "vnd.cncf.helm.config.v1+json",
        ] {
            assert!(is_artifact(&of_type(name), ""), "{name}");
        }
        for name in ["vnd.oci.image.config.v1+json", "vnd.docker.container.image.v1+json", "octet-stream"] {
            assert!(!is_artifact(&of_type(name), ""), "{name}");
            assert!(!is_artifact(&of_type(name), r#","artifactType":"application/vnd.example""#), "{name}");
        }
        assert!(!is_artifact(r#"{"digest":"DIGEST"}"#, ""));
        // Tools of before the specification had a type for it.
        let empty = of_type("vnd.oci.image.config.v1+json").replace("DIGEST", sha256(b"{}").as_str());
        assert!(is_artifact(&empty, ""));
    }

    #[test]
    fn a_document_that_is_two_things_is_refused() {
        check(
            OCI_INDEX,
            r#"{"manifests":[],"layers":[]}"#,
            expect!["announced as `application/vnd.oci.image.index.v1+json` but the document has `layers`"],
        );
        check(
            OCI_MANIFEST,
            r#"{"config":{"digest":"DIGEST"},"manifests":[]}"#,
            expect![
                "announced as `application/vnd.oci.image.manifest.v1+json` but the document has `manifests`"
            ],
        );
        check(
            OCI_MANIFEST,
            r#"{"mediaType":"application/vnd.oci.image.index.v1+json","config":{"digest":"DIGEST"}}"#,
            expect![
                "announced as `application/vnd.oci.image.manifest.v1+json` but the document has `mediaType`"
            ],
        );
        check(
            OCI_MANIFEST,
            r#"{"fsLayers":[]}"#,
            expect![
                "a Docker schema 1 manifest (`fsLayers`) announced as `application/vnd.oci.image.manifest.v1+json`"
            ],
        );
    }

    #[test]
    fn more_entries_than_can_be_used_are_refused() {
        let entries = |count: usize| vec![r#"{"digest":"DIGEST","size":1}"#; count].join(",");
        check(
            OCI_MANIFEST,
            &format!(r#"{{"config":{{"digest":"DIGEST"}},"layers":[{}]}}"#, entries(LAYERS_MAX + 1)),
            expect!["image manifest with 501 entries; at most 500 can be used"],
        );
        check(
            OCI_INDEX,
            &format!(r#"{{"manifests":[{}]}}"#, entries(INDEX_ENTRIES_MAX + 1)),
            expect!["image index with 4097 entries; at most 4096 can be used"],
        );
    }

    #[test]
    fn peer_values_are_checked() {
        check(
            "text/html",
            "<html>",
            expect!["media type `text/html` is neither an image index nor an image manifest"],
        );
        check(
            OCI_MANIFEST,
            r#"{"config":{"digest":"DIGEST","size":-1}}"#,
            expect![
                "malformed image manifest: descriptor `sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` with negative size `-1`"
            ],
        );
    }
}
