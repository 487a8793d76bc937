//! An OCI artifact: a manifest of files instead of an image.

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use super::builder::{Format, to_json};
use super::schema1::{Manifest, Rootfs};
use super::{Blob, Compression, File, Layer, Pushable};
use crate::containerd::Platform;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const TYPE: &str = "application/vnd.example.files";

/// An artifact, and the image that the daemon makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    manifest: Blob,
    blobs: Vec<Blob>,
    layers: Vec<Layer>,
    config: Blob,
    converted: Blob,
}

impl Artifact {
    /// An artifact of these files, by their titles, with the empty config.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, impl Into<Bytes>)>) -> Artifact {
        let config = Blob::new("application/vnd.oci.empty.v1+json", "{}");
        let blobs = files.into_iter().map(|(title, bytes)| {
            let annotations = vec![("org.opencontainers.image.title".to_owned(), title.to_owned())];
            (Blob::new("application/octet-stream", bytes), annotations)
        });
        Artifact::with(config, blobs.collect())
    }

    /// An artifact with this config and these blobs, each with its annotations. Its image has the files of those that have
    /// any, by the first one.
    pub fn with(config: Blob, blobs: Vec<(Blob, Vec<(String, String)>)>) -> Artifact {
        let layers: Vec<_> = blobs
            .iter()
            .map(|(blob, annotations)| {
                let annotations: serde_json::Map<_, _> =
                    annotations.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
                json!({
                    "mediaType": blob.media_type(), "digest": blob.digest(), "size": blob.size(),
                    "annotations": annotations,
                })
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": TYPE,
            "config": { "mediaType": config.media_type(), "digest": config.digest(), "size": config.size() },
            "layers": layers,
        });
        let manifest = Blob::new(MANIFEST, to_json(&manifest));
        let named = blobs.iter().filter_map(|(blob, annotations)| Some((&annotations.first()?.1, blob)));
        let layers: Vec<Layer> = named.map(|(path, blob)| layer(path, blob.bytes())).collect();
        let blobs = blobs.into_iter().map(|(blob, _)| blob).chain([config]).collect();
        let config = made_config(manifest.digest(), &layers);
        let converted = made_manifest(&config, &layers);
        Artifact { manifest, blobs, layers, config, converted }
    }

    /// The layers of the image that is made of it, a file each.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The config that is made of it; its digest is the image id.
    pub fn config(&self) -> &Blob {
        &self.config
    }

    /// The manifest that is made of it.
    pub fn converted(&self) -> &Blob {
        &self.converted
    }
}

impl Pushable for Artifact {
    fn target(&self) -> Blob {
        self.manifest.clone()
    }

    fn manifests(&self) -> Vec<Blob> {
        vec![self.manifest.clone()]
    }

    fn blobs(&self) -> Vec<Blob> {
        self.blobs.clone()
    }
}

fn layer(path: &str, bytes: &Bytes) -> Layer {
    let directories = path.match_indices('/').map(|(at, _)| File::directory(&path[..at]).modified(0));
    let file = File::regular(path, bytes.clone()).modified(0);
    Layer::new(directories.chain([file]), Compression::None)
}

/// Members in this order.
#[derive(Serialize)]
struct Config<'a> {
    architecture: &'a str,
    os: &'a str,
    config: serde_json::Value,
    rootfs: Rootfs<'a>,
}

fn made_config(artifact: &str, layers: &[Layer]) -> Blob {
    let platform = Platform::host();
    let config = Config {
        architecture: &platform.architecture,
        os: &platform.os,
        config: json!({ "Labels": { "cri-imaged.io/artifact": artifact, "cri-imaged.io/artifact-type": TYPE } }),
        rootfs: Rootfs { r#type: "layers", diff_ids: layers.iter().map(Layer::diff_id).collect() },
    };
    Blob::new("application/vnd.oci.image.config.v1+json", to_json(&config))
}

fn made_manifest(config: &Blob, layers: &[Layer]) -> Blob {
    let layers: Vec<Blob> = layers.iter().map(|layer| layer.blob(Format::Oci)).collect();
    Blob::new(MANIFEST, to_json(&Manifest::new(config, &layers)))
}
