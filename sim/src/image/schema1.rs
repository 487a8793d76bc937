//! A docker image manifest of version 2, schema 1: the form before configs had digests.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::json;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::builder::{Format, to_json};
use super::layer::Layer;
use super::{Blob, Pushable};
use crate::containerd::Platform;
use crate::digest::sha256;

const CREATED: &str = "2026-01-01T00:00:00Z";

/// What every registry that made such manifests of newer ones put in the place of a layer without files.
const EMPTY_LAYER: &str = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4";

/// A schema 1 manifest and its layers. Its newest entry changed no file, and names a blob that no registry has here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema1 {
    manifest: Blob,
    layers: Vec<Blob>,
    config: Blob,
    converted: Blob,
}

impl Schema1 {
    /// The unsigned image `name:tag` of these layers, base first; the manifest lists them the other way round.
    pub fn new(name: &str, tag: &str, layers: &[Layer]) -> Schema1 {
        let platform = Platform::host();
        let blobs: Vec<Blob> = layers.iter().map(|layer| layer.blob(Format::Docker)).collect();
        let id = |index: usize| format!("{:064x}", index + 1);
        let history: Vec<_> = (0..=layers.len())
            .rev()
            .map(|index| {
                let mut image = json!({
                    "id": id(index),
                    "created": CREATED,
                    "os": platform.os,
                    "architecture": platform.architecture,
                    "config": {},
                });
                if index > 0 {
                    image["parent"] = json!(id(index - 1));
                }
                if index == layers.len() {
                    image["throwaway"] = json!(true);
                }
                json!({ "v1Compatibility": image.to_string() })
            })
            .collect();
        let digests = blobs.iter().rev().map(Blob::digest);
        let fs_layers: Vec<_> =
            [EMPTY_LAYER].into_iter().chain(digests).map(|digest| json!({ "blobSum": digest })).collect();
        let manifest = json!({
            "schemaVersion": 1,
            "name": name,
            "tag": tag,
            "architecture": platform.architecture,
            "fsLayers": fs_layers,
            "history": history,
        });
        let media_type = "application/vnd.docker.distribution.manifest.v1+json";
        let config = config(&platform, layers);
        let converted = converted(&config, &blobs);
        Schema1 { manifest: Blob::new(media_type, to_json(&manifest)), layers: blobs, config, converted }
    }

    /// The same with a signature, which is no part of what the digest names. Nobody could verify it.
    #[must_use]
    pub fn signed(mut self) -> Schema1 {
        let payload = self.manifest.bytes().clone();
        let length = payload.len() - 1;
        let header = json!({ "formatLength": length, "formatTail": BASE64_URL_SAFE_NO_PAD.encode("}") });
        let protected = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
        let signatures = json!([{ "header": { "alg": "ES256" }, "signature": "AA", "protected": protected }]);
        let mut bytes = payload.slice(..length).to_vec();
        bytes.extend_from_slice(format!(",\"signatures\":{signatures}}}").as_bytes());
        self.manifest = Blob {
            media_type: "application/vnd.docker.distribution.manifest.v1+prettyjws".to_owned(),
            digest: sha256(&payload),
            bytes: bytes.into(),
        };
        self
    }

    /// The config that containerd 1.x makes of it; its digest is the image id.
    pub fn config(&self) -> &Blob {
        &self.config
    }

    /// The manifest that containerd 1.x makes of it.
    pub fn converted(&self) -> &Blob {
        &self.converted
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

/// Members in this order.
#[derive(Serialize)]
struct Config<'a> {
    created: &'a str,
    architecture: &'a str,
    os: &'a str,
    config: Nothing,
    rootfs: Rootfs<'a>,
    history: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
pub(super) struct Rootfs<'a> {
    pub(super) r#type: &'a str,
    pub(super) diff_ids: Vec<&'a str>,
}

#[derive(Serialize)]
struct Entry<'a> {
    created: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    empty_layer: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest<'a> {
    schema_version: u8,
    config: Descriptor<'a>,
    layers: Vec<Descriptor<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'a str,
    digest: &'a str,
    size: u64,
}

fn config(platform: &Platform, layers: &[Layer]) -> Blob {
    let of_layers = layers.iter().map(|_| Entry { created: CREATED, empty_layer: None });
    let newest = Entry { created: CREATED, empty_layer: Some(true) };
    let config = Config {
        created: CREATED,
        architecture: &platform.architecture,
        os: &platform.os,
        config: Nothing {},
        rootfs: Rootfs { r#type: "layers", diff_ids: layers.iter().map(Layer::diff_id).collect() },
        history: of_layers.chain([newest]).collect(),
    };
    Blob::new("application/vnd.oci.image.config.v1+json", indented(&config))
}

impl<'a> Manifest<'a> {
    pub(super) fn new(config: &'a Blob, layers: &'a [Blob]) -> Manifest<'a> {
        fn descriptor(blob: &Blob) -> Descriptor<'_> {
            Descriptor { media_type: blob.media_type(), digest: blob.digest(), size: blob.size() }
        }
        let layers = layers.iter().map(descriptor).collect();
        Manifest { schema_version: 2, config: descriptor(config), layers }
    }
}

fn converted(config: &Blob, layers: &[Blob]) -> Blob {
    Blob::new("application/vnd.oci.image.manifest.v1+json", indented(&Manifest::new(config, layers)))
}

/// As Go's `json.MarshalIndent` with three spaces.
fn indented(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let formatter = PrettyFormatter::with_indent(b"   ");
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, formatter))
        .expect("these structs have no map with keys that are no strings");
    bytes
}
