//! Media types of the OCI image specification 1.1 and of Docker schema 2, and what each says of a blob.

/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image config.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// OCI image layer, not compressed.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// The two bytes `{}`, in the place of a config or a layer that says nothing.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Docker schema 2 manifest list.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker schema 2 manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker schema 2 image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker schema 1 manifest, unsigned.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// Docker schema 1 manifest, signed.
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// Whether `media_type` announces a Docker schema 1 manifest, signed or not.
pub fn is_schema1(media_type: &str) -> bool {
    matches!(media_type, DOCKER_SCHEMA1 | DOCKER_SCHEMA1_SIGNED)
}

/// Whether `media_type` announces an image config. So do no type at all, and the one that says nothing, which old docker
/// wrote (containerd v2.3.4 `client/pull.go`, `ConvertManifest`).
pub fn is_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG | "" | "application/octet-stream")
}

/// Which of the two documents a media type announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// A list of manifests, one a platform.
    Index,
    /// One image: config and layers.
    Manifest,
}

impl DocumentKind {
    /// The kind that `media_type` announces; `None` for everything that is no index and no manifest.
    pub fn of(media_type: &str) -> Option<DocumentKind> {
        match media_type {
            OCI_INDEX | DOCKER_INDEX => Some(DocumentKind::Index),
            OCI_MANIFEST | DOCKER_MANIFEST => Some(DocumentKind::Manifest),
            _ => None,
        }
    }
}

/// How a layer's tar stream is compressed, as far as its media type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerCompression {
    /// A plain tar stream.
    None,
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames.
    Zstd,
    /// Docker's uncompressed type, which in the wild also labels compressed layers: the first bytes decide.
    Sniff,
}

impl LayerCompression {
    /// The compression of a layer with `media_type`; `None` where that is no layer that containerd can unpack
    /// (encrypted layers, artifacts, Helm charts).
    pub fn of(media_type: &str) -> Option<LayerCompression> {
        let oci = [
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
        ];
        for base in oci {
            if let Some(suffix) = media_type.strip_prefix(base) {
                return match suffix {
                    "" => Some(LayerCompression::None),
                    "+gzip" => Some(LayerCompression::Gzip),
                    "+zstd" => Some(LayerCompression::Zstd),
                    _ => None,
                };
            }
        }
        match media_type {
            "application/vnd.docker.image.rootfs.diff.tar"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar" => Some(LayerCompression::Sniff),
            "application/vnd.docker.image.rootfs.diff.tar.gzip"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => Some(LayerCompression::Gzip),
            "application/vnd.docker.image.rootfs.diff.tar.zstd" => Some(LayerCompression::Zstd),
            _ => None,
        }
    }
}

/// Whether blobs of `media_type` may not be given away by registries (OCI's nondistributable and Docker's foreign layers),
/// so that a descriptor's URLs say where they are.
pub fn is_nondistributable(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.layer.nondistributable.v1.tar")
        || media_type.starts_with("application/vnd.docker.image.rootfs.foreign.diff.tar")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(media_type: &str, document: Option<DocumentKind>, layer: Option<LayerCompression>) {
        assert_eq!(
            (DocumentKind::of(media_type), LayerCompression::of(media_type)),
            (document, layer),
            "{media_type}"
        );
    }

    #[test]
    fn each_media_type_says_what_the_blob_is() {
        check(OCI_INDEX, Some(DocumentKind::Index), None);
        check(DOCKER_INDEX, Some(DocumentKind::Index), None);
        check(OCI_MANIFEST, Some(DocumentKind::Manifest), None);
        check(DOCKER_MANIFEST, Some(DocumentKind::Manifest), None);
        check(DOCKER_SCHEMA1, None, None);
        assert!(
            is_schema1(DOCKER_SCHEMA1) && is_schema1(DOCKER_SCHEMA1_SIGNED) && !is_schema1(DOCKER_MANIFEST)
        );
        check("application/vnd.oci.image.layer.v1.tar", None, Some(LayerCompression::None));
        check("application/vnd.oci.image.layer.v1.tar+gzip", None, Some(LayerCompression::Gzip));
        check("application/vnd.oci.image.layer.v1.tar+zstd", None, Some(LayerCompression::Zstd));
        check("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", None, None);
        check("application/vnd.docker.image.rootfs.diff.tar", None, Some(LayerCompression::Sniff));
        check(
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            None,
            Some(LayerCompression::Gzip),
        );
        check("application/vnd.cncf.helm.chart.content.v1.tar+gzip", None, None);
    }

    #[test]
    fn names_are_those_of_oci_spec() {
        use oci_spec::image::MediaType;
        assert_eq!(MediaType::ImageIndex.to_string(), OCI_INDEX);
        assert_eq!(MediaType::ImageManifest.to_string(), OCI_MANIFEST);
        assert_eq!(MediaType::ImageConfig.to_string(), OCI_CONFIG);
    }
}
