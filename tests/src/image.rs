//! Images built here from the machine's files: layers, config, manifest and index, written with the `oci-spec` crate.
//!
//! The daemon under test reads them with its own code, so neither can hide the other's mistake.

mod busybox;
mod layer;
mod layout;

use std::collections::BTreeMap;

use anyhow::Context as _;
use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, DescriptorBuilder, Digest, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, Os, PlatformBuilder, RootFsBuilder, SCHEMA_VERSION,
};
use sha2::{Digest as _, Sha256};

pub(crate) use busybox::pause;
pub use busybox::{SIX_LAYERS_OUTPUT, busybox_layer, incompressible, six_layers, small};
pub use layer::{Compression, LayerBuilder};

/// Some bytes and what a descriptor says of them.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The media type.
    pub media_type: String,
    /// `sha256:` and the hash of the bytes.
    pub digest: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Blob {
    /// Hashes `bytes`.
    pub fn new(media_type: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { media_type: media_type.into(), digest: sha256(&bytes), bytes }
    }

    fn descriptor(&self) -> anyhow::Result<Descriptor> {
        let digest: Digest = self.digest.parse()?;
        let media_type = MediaType::from(self.media_type.as_str());
        Ok(DescriptorBuilder::default().media_type(media_type).digest(digest).size(self.bytes.len() as u64).build()?)
    }
}

/// One image: a manifest and what it names.
#[derive(Clone, Debug)]
pub struct Image {
    /// The manifest.
    pub manifest: Blob,
    /// The config; its digest is the image id.
    pub config: Blob,
    /// The layers, base first.
    pub layers: Vec<Blob>,
}

impl Image {
    /// The image id that the CRI must report.
    pub fn id(&self) -> &str {
        &self.config.digest
    }

    /// All blobs, the manifest among them.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        [&self.manifest, &self.config].into_iter().chain(&self.layers)
    }

    /// The CRI's size: what one platform's descriptors add up to.
    pub fn size_bytes(&self) -> u64 {
        self.blobs().map(|blob| blob.bytes.len() as u64).sum()
    }
}

/// Puts an image together.
#[derive(Debug, Default)]
pub struct ImageBuilder {
    layers: Vec<(Blob, String)>,
    entrypoint: Vec<String>,
    environment: Vec<String>,
    user: String,
    labels: BTreeMap<String, String>,
}

impl ImageBuilder {
    /// An image of no layers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `layer` on top, compressed so.
    ///
    /// # Errors
    /// Where the archive cannot be finished.
    pub fn layer(mut self, layer: LayerBuilder, compression: Compression) -> anyhow::Result<Self> {
        let tar = layer.finish()?;
        let diff_id = sha256(&tar);
        self.layers.push((Blob::new(compression.media_type(), compression.apply(tar)?), diff_id));
        Ok(self)
    }

    /// Adds bytes of any media type as a layer.
    pub fn raw_layer(mut self, media_type: &str, bytes: Vec<u8>) -> Self {
        let diff_id = sha256(&bytes);
        self.layers.push((Blob::new(media_type, bytes), diff_id));
        self
    }

    /// The program that a container runs.
    pub fn entrypoint(mut self, words: &[&str]) -> Self {
        self.entrypoint = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// The config's user, `1000:1000` or a name.
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// A label, which makes the config and so the image id another one.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Writes the documents.
    ///
    /// # Errors
    /// Where `oci-spec` refuses them.
    pub fn build(self) -> anyhow::Result<Image> {
        let (layers, diff_ids): (Vec<Blob>, Vec<String>) = self.layers.into_iter().unzip();
        let mut run = ConfigBuilder::default()
            .entrypoint(self.entrypoint)
            .env(self.environment)
            .labels(self.labels.into_iter().collect::<std::collections::HashMap<_, _>>());
        if !self.user.is_empty() {
            run = run.user(self.user);
        }
        let config = ImageConfigurationBuilder::default()
            .architecture(Arch::default())
            .os(Os::default())
            .config(run.build()?)
            .rootfs(RootFsBuilder::default().typ("layers").diff_ids(diff_ids).build()?)
            .history(Vec::new())
            .build()?;
        let config = Blob::new(MediaType::ImageConfig.to_string(), config.to_string()?.into_bytes());
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(config.descriptor()?)
            .layers(layers.iter().map(Blob::descriptor).collect::<anyhow::Result<Vec<_>>>()?)
            .build()?;
        let manifest = Blob::new(MediaType::ImageManifest.to_string(), manifest.to_string()?.into_bytes());
        Ok(Image { manifest, config, layers })
    }
}

/// Several images under one tag, each for its platform.
#[derive(Clone, Debug)]
pub struct Index {
    /// The index document.
    pub document: Blob,
    /// Its images, in the index's order.
    pub images: Vec<Image>,
}

impl Index {
    /// An index of images for `os/architecture[/variant]`.
    ///
    /// # Errors
    /// Where a platform is not of that form or `oci-spec` refuses the document.
    pub fn new(images: Vec<(&str, Image)>) -> anyhow::Result<Self> {
        let mut descriptors = Vec::new();
        for (platform, image) in &images {
            let mut parts = platform.split('/');
            let (os, architecture) = parts.next().zip(parts.next()).context("a platform is `os/architecture`")?;
            let mut platform = PlatformBuilder::default().os(os).architecture(architecture);
            if let Some(variant) = parts.next() {
                platform = platform.variant(variant);
            }
            let mut descriptor = image.manifest.descriptor()?;
            descriptor.set_platform(Some(platform.build()?));
            descriptors.push(descriptor);
        }
        let document = ImageIndexBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageIndex)
            .manifests(descriptors)
            .build()?;
        let document = Blob::new(MediaType::ImageIndex.to_string(), document.to_string()?.into_bytes());
        Ok(Self { document, images: images.into_iter().map(|(_, image)| image).collect() })
    }
}

fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
