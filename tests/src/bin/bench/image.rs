//! The images as OCI image layouts below xtask's folder, built once.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::corpus::Corpus;
use crate::layer::{self, Layer};
use crate::shape::{Codec, Shape};

/// Changes whenever the same shape would become another image.
const RECIPE: u32 = 2;

const FACTS: &str = "bench.json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A built image.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) shape: Shape,
    /// The folder of its layout.
    pub(crate) layout: PathBuf,
    pub(crate) layers: Vec<Layer>,
}

impl Image {
    /// Its name in the registry.
    pub(crate) fn name(&self) -> String {
        format!("bench/{}", self.shape.name)
    }

    /// What goes over the wire.
    pub(crate) fn compressed_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.compressed_bytes).sum()
    }

    /// What is unpacked.
    pub(crate) fn bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.bytes).sum()
    }

    /// Files and links of all layers.
    pub(crate) fn files(&self) -> u64 {
        self.layers.iter().map(|layer| layer.files).sum()
    }

    /// These and folders.
    pub(crate) fn entries(&self) -> u64 {
        self.layers.iter().map(|layer| layer.entries).sum()
    }
}

/// The image of `shape`, from `folder` where it is there already.
pub(crate) async fn build(folder: &Path, shape: Shape) -> anyhow::Result<Image> {
    let layout = folder.join("images").join(shape.name);
    if let Some(layers) = read_facts(&layout.join(FACTS), shape) {
        return Ok(Image { shape, layout, layers });
    }
    crate::table::progress(&format!("building the image `{}` from /usr", shape.name));
    tokio::task::spawn_blocking(move || write(&layout, shape)).await?
}

fn write(layout: &Path, shape: Shape) -> anyhow::Result<Image> {
    let unfinished = layout.with_extension("unfinished");
    for folder in [layout, &unfinished] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
    }
    let blobs = unfinished.join("blobs/sha256");
    fs::create_dir_all(&blobs).with_context(|| format!("cannot make {}", blobs.display()))?;
    let mut corpus = Corpus::read(shape.seed, shape.bytes / shape.files)?;
    let whole: u64 = shape.shares.iter().sum();
    let mut layers = Vec::new();
    for share in shape.shares {
        let files = corpus.take(shape.bytes * share / whole, (shape.files * share / whole).max(1));
        let path = blobs.join("layer");
        let layer = layer::write(&files, shape.codec, &path)?;
        fs::rename(&path, blob_path(&blobs, &layer.digest))?;
        layers.push(layer);
    }
    write_documents(&unfinished, &blobs, shape.codec, &layers)?;
    fs::write(unfinished.join(FACTS), facts(shape, &layers).to_string())?;
    fs::rename(&unfinished, layout)?;
    Ok(Image { shape, layout: layout.to_owned(), layers })
}

/// Writes the config, the manifest and what makes a folder of blobs a layout.
pub(crate) fn write_documents(
    layout: &Path,
    blobs: &Path,
    codec: Codec,
    layers: &[Layer],
) -> anyhow::Result<()> {
    let blob = |media_type: &str, document: &Value| -> anyhow::Result<Value> {
        let text = document.to_string();
        let digest = layer::hex(digest(&SHA256, text.as_bytes()).as_ref());
        fs::write(blob_path(blobs, &digest), &text)?;
        Ok(json!({ "mediaType": media_type, "digest": digest, "size": text.len() }))
    };
    let diff_ids: Vec<&str> = layers.iter().map(|layer| &*layer.diff_id).collect();
    let config = json!({
        "architecture": architecture(), "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let suffix = match codec {
        Codec::Gzip => "gzip",
        Codec::Zstd => "zstd",
    };
    let media_type = format!("application/vnd.oci.image.layer.v1.tar+{suffix}");
    let described = layers.iter().map(
        |layer| json!({ "mediaType": media_type, "digest": layer.digest, "size": layer.compressed_bytes }),
    );
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": blob(CONFIG, &config)?, "layers": described.collect::<Vec<_>>(),
    });
    let index = json!({ "schemaVersion": 2, "manifests": [blob(MANIFEST, &manifest)?] });
    fs::write(layout.join("index.json"), index.to_string())?;
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(())
}

pub(crate) fn blob_path(blobs: &Path, digest: &str) -> PathBuf {
    blobs.join(digest.trim_start_matches("sha256:"))
}

/// The platform's name as the image specification has it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn recipe(shape: Shape) -> String {
    format!("{RECIPE} {shape:?}")
}

fn facts(shape: Shape, layers: &[Layer]) -> Value {
    let layers = layers.iter().map(|layer| {
        json!({
            "digest": layer.digest, "compressed_bytes": layer.compressed_bytes,
            "diff_id": layer.diff_id, "bytes": layer.bytes,
            "files": layer.files, "entries": layer.entries,
        })
    });
    json!({ "recipe": recipe(shape), "layers": layers.collect::<Vec<_>>() })
}

/// The layers of an image that was built before by the same recipe.
fn read_facts(path: &Path, shape: Shape) -> Option<Vec<Layer>> {
    let facts: Value = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
    let layers = facts["layers"].as_array()?.iter().map(|layer| {
        Some(Layer {
            digest: layer["digest"].as_str()?.to_owned(),
            compressed_bytes: layer["compressed_bytes"].as_u64()?,
            diff_id: layer["diff_id"].as_str()?.to_owned(),
            bytes: layer["bytes"].as_u64()?,
            files: layer["files"].as_u64()?,
            entries: layer["entries"].as_u64()?,
        })
    });
    layers.collect::<Option<_>>().filter(|_| facts["recipe"].as_str() == Some(&*recipe(shape)))
}
