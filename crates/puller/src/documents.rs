//! The way down from the target: indexes, manifest, config; each in the content store when this is done.

use bytes::Bytes;
use containerd::Client;
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

/// An image's documents, all of them in the content store.
#[derive(Debug)]
pub(crate) struct Documents {
    pub(crate) manifest: Manifest,
    pub(crate) config: ImageConfig,
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
    pub(crate) layers: Layers,
    /// Whether the documents were made here: no registry has them.
    pub(crate) is_converted: bool,
}

impl Way<'_> {
    /// Follows `resolved` down to the image, or artifact, for this platform.
    pub(crate) async fn down(&self, resolved: &Resolved) -> Result<Down, PullError> {
        let mut descriptor = resolved.descriptor.clone();
        let mut in_hand = resolved.body.clone();
        let mut depth = 0;
        let manifest = loop {
            match self.document(&descriptor, in_hand.take()).await? {
                Document::Manifest(manifest) if manifest.is_artifact() => {
                    return Ok(Down::Artifact(descriptor.digest, manifest));
                }
                Document::Manifest(manifest) => break manifest,
                Document::Index(index) => {
                    depth += 1;
                    if depth > INDEX_DEPTH_MAX {
                        let reference = self.reference.clone();
                        return Err(PullError::TooDeep { reference, max: INDEX_DEPTH_MAX });
                    }
                    descriptor =
                        self.platform.select(&index.manifests).ok_or_else(|| self.no_platform())?.clone();
                }
            }
        };
        let config = self.config(&manifest).await?;
        // An index entry without a platform is for whatever its config says.
        if depth > 0 && descriptor.platform.is_none() && !self.platform.matches(&config.platform) {
            return Err(self.no_platform());
        }
        Ok(Down::Image(Documents { manifest, config }))
    }

    /// One index or manifest with its collector labels. Not that of an artifact: what is kept of it is made of it.
    async fn document(&self, descriptor: &Descriptor, in_hand: Option<Bytes>) -> Result<Document, PullError> {
        let what = match DocumentKind::of(&descriptor.media_type) {
            Some(DocumentKind::Index) => "index",
            _ => "manifest",
        };
        let bytes = self.bytes(what, descriptor, in_hand).await?;
        let document = Document::parse(&descriptor.media_type, &bytes)
            .map_err(|source| PullError::Document { what, digest: descriptor.digest.to_string(), source })?;
        let is_kept = !matches!(&document, Document::Manifest(manifest) if manifest.is_artifact());
        if is_kept {
            self.store(what, descriptor, bytes, gc_labels::children(&document, self.layers)).await?;
        }
        Ok(document)
    }

    async fn config(&self, manifest: &Manifest) -> Result<ImageConfig, PullError> {
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
        self.store(WHAT, descriptor, bytes, Labels::new()).await?;
        Ok(config)
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

    async fn store(
        &self,
        what: &'static str,
        descriptor: &Descriptor,
        bytes: Bytes,
        mut labels: Labels,
    ) -> Result<(), PullError> {
        let mut new = labels.clone();
        new.extend(self.origin(&Labels::new()));
        if !fetch::document(self.client, what, descriptor, bytes, &new).await? {
            return Ok(());
        }
        // Only now, when the lease holds it, do the labels that it has say anything: one that was read before could be
        // collected with its document, which would then be written anew without it, and the collector would take all
        // beneath (found by the simulator, 2026-11-24).
        let content = self.client.content();
        let present = content.info(&descriptor.digest).await?.labels;
        labels.extend(self.origin(&present));
        labels.retain(|key, value| present.get(key) != Some(value));
        content.set_labels(&descriptor.digest, &labels).await?;
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
