//! The way down from the target: indexes, manifest, config; and their keeping in the content store, beside the layers'.

use bytes::Bytes;
use containerd::Client;
use futures::future;
use oci::{
    DOCUMENT_BYTES_MAX, Descriptor, Document, DocumentKind, ImageConfig, LayerCompression, Manifest,
    PlatformMatcher,
};
use refparse::{Digest, Reference};
use registry::{Resolved, Session};

use crate::gc_labels::{self, Labels};
use crate::puller::Layers;
use crate::{PullError, fetch};

/// Indexes that are followed into each other. No registry nests deeper than two.
const INDEX_DEPTH_MAX: usize = 4;

/// An image's documents; all that were met on the way are to be [kept](Way::keep).
#[derive(Debug)]
pub(crate) struct Documents {
    pub(crate) manifest: Manifest,
    pub(crate) config: ImageConfig,
    met: Vec<Met>,
}

/// A document as it goes into the content store.
#[derive(Debug)]
struct Met {
    what: &'static str,
    descriptor: Descriptor,
    bytes: Bytes,
    /// Those to its children.
    labels: Labels,
}

/// Where the way down ends.
#[derive(Debug)]
pub(crate) enum Down {
    /// At an image.
    Image(Documents),
    /// At an artifact, whose manifest, with this digest, is in no content store.
    Artifact(Digest, Manifest),
}

/// What the way down needs at each step.
pub(crate) struct Way<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) platform: &'a PlatformMatcher,
    pub(crate) client: &'a Client,
    pub(crate) session: &'a Session,
    pub(crate) snapshotter: &'a str,
    pub(crate) layers: Layers,
    /// Whether the documents were made here: no registry has them.
    pub(crate) is_converted: bool,
}

impl Way<'_> {
    /// Follows `resolved` down to the image, or artifact, for this platform.
    pub(crate) async fn down(&self, resolved: &Resolved) -> Result<Down, PullError> {
        let mut descriptor = resolved.descriptor.clone();
        let mut in_hand = resolved.body.clone();
        let mut met = Vec::new();
        let mut depth = 0;
        let manifest = loop {
            let (document, document_met) = self.document(descriptor, in_hand.take()).await?;
            descriptor = match document {
                Document::Manifest(manifest) if manifest.is_artifact() => {
                    // What is kept of an artifact is made of it.
                    return Ok(Down::Artifact(document_met.descriptor.digest, manifest));
                }
                Document::Manifest(manifest) => {
                    met.push(document_met);
                    break manifest;
                }
                Document::Index(index) => {
                    depth += 1;
                    if depth > INDEX_DEPTH_MAX {
                        let reference = self.reference.clone();
                        return Err(PullError::TooDeep { reference, max: INDEX_DEPTH_MAX });
                    }
                    let selected = self.platform.select(&index.manifests);
                    let selected = selected.ok_or_else(|| self.no_platform())?.clone();
                    met.push(document_met);
                    selected
                }
            };
        };
        let (config, config_met) = self.config(&manifest).await?;
        let has_platform = met.last().is_some_and(|met| met.descriptor.platform.is_some());
        // An index entry without a platform is for whatever its config says.
        if depth > 0 && !has_platform && !self.platform.matches(&config.platform) {
            return Err(self.no_platform());
        }
        met.push(config_met);
        Ok(Down::Image(Documents { manifest, config, met }))
    }

    /// Brings all documents into the content store, with the labels that say what the collector must keep with them.
    ///
    /// # Errors
    /// [`PullError::Containerd`], [`PullError::IngestStalled`].
    ///
    /// # Cancel safety
    /// Unfinished writes go with the lease.
    pub(crate) async fn keep(&self, documents: &Documents) -> Result<(), PullError> {
        future::try_join_all(documents.met.iter().map(|met| self.store(met))).await.map(drop)
    }

    /// One index or manifest.
    async fn document(
        &self,
        descriptor: Descriptor,
        in_hand: Option<Bytes>,
    ) -> Result<(Document, Met), PullError> {
        let what = match DocumentKind::of(&descriptor.media_type) {
            Some(DocumentKind::Index) => "index",
            _ => "manifest",
        };
        let bytes = self.bytes(what, &descriptor, in_hand).await?;
        let document = Document::parse(&descriptor.media_type, &bytes)
            .map_err(|source| PullError::Document { what, digest: descriptor.digest.to_string(), source })?;
        let labels = gc_labels::children(&document, self.layers);
        Ok((document, Met { what, descriptor, bytes, labels }))
    }

    async fn config(&self, manifest: &Manifest) -> Result<(ImageConfig, Met), PullError> {
        const WHAT: &str = "config";
        let descriptor = &manifest.config;
        let malformed =
            |source| PullError::Document { what: WHAT, digest: descriptor.digest.to_string(), source };
        let bytes = self.bytes(WHAT, descriptor, None).await?;
        let config = ImageConfig::parse(&bytes).map_err(malformed)?;
        config.check_layers(manifest).map_err(malformed)?;
        for layer in &manifest.layers {
            if LayerCompression::of(&layer.media_type).is_none() {
                let (digest, media_type) = (layer.digest.to_string(), layer.media_type.clone());
                return Err(PullError::LayerMediaType { digest, media_type });
            }
        }
        let labels = gc_labels::snapshots(&config, self.snapshotter);
        Ok((config, Met { what: WHAT, descriptor: descriptor.clone(), bytes, labels }))
    }

    /// A document's verified bytes: those in hand, those in the content store, or the registry's.
    async fn bytes(
        &self,
        what: &'static str,
        descriptor: &Descriptor,
        in_hand: Option<Bytes>,
    ) -> Result<Bytes, PullError> {
        if let Some(bytes) = in_hand {
            return Ok(bytes);
        }
        match self.client.content().read(&descriptor.digest, DOCUMENT_BYTES_MAX).await {
            Ok(bytes) => return Ok(bytes),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        self.session.manifest(descriptor).await.map_err(|source| PullError::Fetch { what, source })
    }

    async fn store(&self, met: &Met) -> Result<(), PullError> {
        let Met { what, descriptor, bytes, labels } = met;
        let mut new = labels.clone();
        new.extend(self.origin(&Labels::new()));
        if !fetch::document(self.client, what, descriptor, bytes.clone(), &new).await? {
            return Ok(());
        }
        // Only now, when the lease holds it, do the labels that it has say anything: one that was read before could be
        // collected with its document, which would then be written anew without it, and the collector would take all
        // beneath (found by the simulator, 2026-11-24).
        let content = self.client.content();
        let present = content.info(&descriptor.digest).await?.labels;
        let mut missing = labels.clone();
        missing.extend(self.origin(&present));
        missing.retain(|key, value| present.get(key) != Some(value));
        content.set_labels(&descriptor.digest, &missing).await?;
        Ok(())
    }

    /// The label that says where a document came from.
    fn origin(&self, present: &Labels) -> Option<(String, String)> {
        if self.is_converted { None } else { gc_labels::source(self.reference, present) }
    }

    fn no_platform(&self) -> PullError {
        let platform = self.platform.platform().to_string();
        PullError::NoPlatform { reference: self.reference.clone(), platform }
    }
}
