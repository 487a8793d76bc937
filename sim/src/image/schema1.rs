//! A docker image manifest of version 2, schema 1: the form before configs had digests.

use serde_json::json;

use super::builder::{Format, to_json};
use super::layer::Layer;
use super::{Blob, Pushable};
use crate::containerd::Platform;

/// An unsigned schema 1 manifest and its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema1 {
    manifest: Blob,
    layers: Vec<Blob>,
}

impl Schema1 {
    /// The image `name:tag` of these layers, base first; the manifest lists them the other way round.
    pub fn new(name: &str, tag: &str, layers: &[Layer]) -> Schema1 {
        let platform = Platform::host();
        let blobs: Vec<Blob> = layers.iter().map(|layer| layer.blob(Format::Docker)).collect();
        let id = |index: usize| format!("{:064x}", index + 1);
        let history: Vec<_> = (0..layers.len())
            .rev()
            .map(|index| {
                let mut image = json!({
                    "id": id(index),
                    "created": "2026-01-01T00:00:00Z",
                    "os": platform.os,
                    "architecture": platform.architecture,
                    "config": {},
                });
                if index > 0 {
                    image["parent"] = json!(id(index - 1));
                }
                json!({ "v1Compatibility": image.to_string() })
            })
            .collect();
        let fs_layers: Vec<_> = blobs.iter().rev().map(|blob| json!({ "blobSum": blob.digest() })).collect();
        let manifest = json!({
            "schemaVersion": 1,
            "name": name,
            "tag": tag,
            "architecture": platform.architecture,
            "fsLayers": fs_layers,
            "history": history,
        });
        let media_type = "application/vnd.docker.distribution.manifest.v1+json";
        Schema1 { manifest: Blob::new(media_type, to_json(&manifest)), layers: blobs }
    }
}

impl Pushable for Schema1 {
    fn target(&self) -> Blob {
        self.manifest.clone()
    }

    fn manifests(&self) -> Vec<Blob> {
        vec![self.manifest.clone()]
    }

    fn blobs(&self) -> Vec<Blob> {
        self.layers.clone()
    }
}
