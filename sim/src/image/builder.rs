//! An image of one platform.

use oci_spec::image::{
    Config, ConfigBuilder, Descriptor, Digest, HistoryBuilder, ImageConfigurationBuilder,
    ImageManifestBuilder, MediaType, RootFsBuilder,
};

use super::layer::Layer;
use super::{Blob, Pushable, chain_id};
use crate::containerd::Platform;

/// Which media types the documents carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// OCI image-spec v1.
    #[default]
    Oci,
    /// Docker image manifest version 2, schema 2.
    Docker,
}

impl Format {
    pub(super) fn manifest(self) -> &'static str {
        match self {
            Format::Oci => "application/vnd.oci.image.manifest.v1+json",
            Format::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    pub(super) fn index(self) -> &'static str {
        match self {
            Format::Oci => "application/vnd.oci.image.index.v1+json",
            Format::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    fn config(self) -> &'static str {
        match self {
            Format::Oci => "application/vnd.oci.image.config.v1+json",
            Format::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }
}

/// Collects what an image is made of.
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    format: Format,
    platform: Platform,
    variant: Option<String>,
    layers: Vec<Layer>,
    user: Option<String>,
    env: Vec<String>,
    command: Vec<String>,
    comment: Option<String>,
}

impl Default for ImageBuilder {
    fn default() -> ImageBuilder {
        ImageBuilder::new()
    }
}

impl ImageBuilder {
    /// An OCI image without layers for this machine's platform.
    pub fn new() -> ImageBuilder {
        ImageBuilder {
            format: Format::Oci,
            platform: Platform::host(),
            variant: None,
            layers: Vec::new(),
            user: None,
            env: Vec::new(),
            command: Vec::new(),
            comment: None,
        }
    }

    /// Sets the kind of documents.
    #[must_use]
    pub fn format(self, format: Format) -> ImageBuilder {
        ImageBuilder { format, ..self }
    }

    /// Sets the platform, in Go's names.
    #[must_use]
    pub fn platform(self, os: &str, architecture: &str) -> ImageBuilder {
        let platform = Platform { os: os.to_owned(), architecture: architecture.to_owned() };
        ImageBuilder { platform, ..self }
    }

    /// Sets the variant of the architecture.
    #[must_use]
    pub fn variant(self, variant: &str) -> ImageBuilder {
        ImageBuilder { variant: Some(variant.to_owned()), ..self }
    }

    /// Puts a layer on top.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> ImageBuilder {
        self.layers.push(layer);
        self
    }

    /// Sets the user, `user[:group]`.
    #[must_use]
    pub fn user(self, user: &str) -> ImageBuilder {
        ImageBuilder { user: Some(user.to_owned()), ..self }
    }

    /// Adds `NAME=value` to the environment.
    #[must_use]
    pub fn env(mut self, variable: &str) -> ImageBuilder {
        self.env.push(variable.to_owned());
        self
    }

    /// Sets the command.
    #[must_use]
    pub fn command(self, command: &[&str]) -> ImageBuilder {
        ImageBuilder { command: command.iter().map(|&part| part.to_owned()).collect(), ..self }
    }

    /// Sets a comment, which makes the config, and so the image, another one.
    #[must_use]
    pub fn comment(self, comment: &str) -> ImageBuilder {
        ImageBuilder { comment: Some(comment.to_owned()), ..self }
    }

    /// Writes config and manifest.
    pub fn build(self) -> Image {
        let config = Blob::new(self.format.config(), self.config_json());
        let layers: Vec<Blob> = self.layers.iter().map(|layer| layer.blob(self.format)).collect();
        let manifest = ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::from(self.format.manifest()))
            .config(descriptor(&config))
            .layers(layers.iter().map(descriptor).collect::<Vec<_>>())
            .build()
            .expect("every required field is set");
        let manifest = Blob::new(self.format.manifest(), to_json(&manifest));
        Image {
            platform: self.platform,
            variant: self.variant,
            config,
            manifest,
            layer_blobs: layers,
            layers: self.layers,
        }
    }

    fn config_json(&self) -> Vec<u8> {
        let diff_ids: Vec<String> = self.layers.iter().map(|layer| layer.diff_id().to_owned()).collect();
        let rootfs =
            RootFsBuilder::default().typ("layers").diff_ids(diff_ids).build().expect("every field is set");
        let mut history = HistoryBuilder::default().created("2026-01-01T00:00:00Z");
        if let Some(comment) = &self.comment {
            history = history.comment(comment.clone());
        }
        let mut configuration = ImageConfigurationBuilder::default()
            .created("2026-01-01T00:00:00Z")
            .os(self.platform.os.as_str())
            .architecture(self.platform.architecture.as_str())
            .config(self.runtime_config())
            .rootfs(rootfs)
            .history(vec![history.build().expect("every field is optional")]);
        if let Some(variant) = &self.variant {
            configuration = configuration.variant(variant.clone());
        }
        to_json(&configuration.build().expect("every required field is set"))
    }

    fn runtime_config(&self) -> Config {
        let mut config = ConfigBuilder::default().env(self.env.clone()).cmd(self.command.clone());
        if let Some(user) = &self.user {
            config = config.user(user.clone());
        }
        config.build().expect("every field is optional")
    }
}

/// An image of one platform, ready to be pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    platform: Platform,
    variant: Option<String>,
    config: Blob,
    manifest: Blob,
    layer_blobs: Vec<Blob>,
    layers: Vec<Layer>,
}

impl Image {
    /// Its platform.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Variant of the architecture.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// The config; its digest is the image id.
    pub fn config(&self) -> &Blob {
        &self.config
    }

    /// The manifest.
    pub fn manifest(&self) -> &Blob {
        &self.manifest
    }

    /// The layers as stored, base first.
    pub fn layer_blobs(&self) -> &[Blob] {
        &self.layer_blobs
    }

    /// The layers, base first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Names of the committed snapshots, base first.
    pub fn chain_ids(&self) -> Vec<String> {
        (1..=self.layers.len())
            .map(|count| chain_id(self.layers[..count].iter().map(Layer::diff_id)))
            .collect()
    }
}

impl Pushable for Image {
    fn target(&self) -> Blob {
        self.manifest.clone()
    }

    fn manifests(&self) -> Vec<Blob> {
        vec![self.manifest.clone()]
    }

    fn blobs(&self) -> Vec<Blob> {
        [self.config.clone()].into_iter().chain(self.layer_blobs.iter().cloned()).collect()
    }
}

pub(super) fn descriptor(blob: &Blob) -> Descriptor {
    let digest: Digest = blob.digest().parse().expect("computed here");
    Descriptor::new(MediaType::from(blob.media_type()), blob.size(), digest)
}

pub(super) fn to_json(document: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("documents of strings and numbers serialize")
}
