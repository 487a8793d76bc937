//! Images made of what is none: Docker schema 1 manifests and OCI artifacts.
//!
//! What a conversion makes is an image like any other, so that unpacking, records and recovery know nothing of it. It
//! follows from the document alone: the next pull makes the same bytes. The record of its id says what it was made of, by
//! which the next pull knows it.

mod artifact;
mod schema1;

use imagestore::{ConvertedFrom, ImageStore, KeyedLocks, PullLease};
use oci::{Converted, Document, ImageConfig, Manifest, chain_ids, media_type};
use refparse::Reference;
use registry::{Resolved, Session};

use crate::gc_labels::Labels;
use crate::workers::Turns;
use crate::{PullError, UnpackConfig, fetch};

/// Blobs of one pull that are fetched at the same time, as containerd does by default.
const FETCHED_AT_ONCE: usize = 3;

/// What a conversion needs at each step.
pub(crate) struct Conversion<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) store: &'a ImageStore,
    pub(crate) lease: &'a PullLease,
    pub(crate) session: &'a Session,
    pub(crate) turns: &'a Turns,
    pub(crate) how: UnpackConfig,
    /// Files of artifacts that are being fetched, by their ids, so that two pulls do not fetch the same.
    pub(crate) fetching: &'a KeyedLocks,
}

/// What is pulled in the place of what the reference resolved to.
pub(crate) struct Made {
    pub(crate) target: Resolved,
    pub(crate) from: ConvertedFrom,
    /// Whether its layers were brought into the content store on the way to it.
    pub(crate) is_fetched: bool,
}

impl Conversion<'_> {
    /// What an earlier pull has made of `resolved`, or what is made of it now where its type alone says that it must be.
    pub(crate) async fn of(&self, resolved: &Resolved) -> Result<Option<Made>, PullError> {
        if let Some(known) = self.known(resolved).await? {
            return Ok(Some(known));
        }
        if media_type::is_schema1(&resolved.descriptor.media_type) {
            return self.schema1(resolved).await.map(Some);
        }
        Ok(None)
    }

    /// What `resolved` was converted to by an earlier pull, where that is all here: now under the lease.
    async fn known(&self, resolved: &Resolved) -> Result<Option<Made>, PullError> {
        let index = self.store.index();
        let known = index.converted(&resolved.descriptor.digest);
        let Some((target, from)) = known.map(|(target, from)| (target.clone(), from.clone())) else {
            return Ok(None);
        };
        if self.lease.hold_blob(&target.digest).await?.is_none() {
            return Ok(None);
        }
        let content = self.lease.client().content();
        let body = content.read(&target.digest, oci::DOCUMENT_BYTES_MAX).await?;
        let Ok(Document::Manifest(manifest)) = Document::parse(&target.media_type, &body) else {
            return Ok(None);
        };
        if self.lease.hold_blob(&manifest.config.digest).await?.is_none() {
            return Ok(None);
        }
        // Those of schema 1 are the registry's.
        if matches!(from, ConvertedFrom::Artifact(_)) && !self.has_layers(&manifest).await? {
            return Ok(None);
        }
        let target = Resolved { descriptor: target, body: Some(body), host: resolved.host.clone() };
        Ok(Some(Made { target, from, is_fetched: false }))
    }

    /// Whether the layers of an image that was made here are here, unpacked or not: now under the lease. No registry has
    /// them.
    async fn has_layers(&self, manifest: &Manifest) -> Result<bool, PullError> {
        let content = self.lease.client().content();
        let config = content.read(&manifest.config.digest, oci::DOCUMENT_BYTES_MAX).await?;
        let Ok(config) = ImageConfig::parse(&config) else { return Ok(false) };
        if let Some(top) = chain_ids(&config.diff_ids).last()
            && self.lease.hold_snapshot(&self.store.config().snapshotter, top.as_str()).await?
        {
            return Ok(true);
        }
        for layer in &manifest.layers {
            if self.lease.hold_blob(&layer.digest).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Puts the config into the content store, where the layers are already, and answers the manifest.
    async fn made(
        &self,
        resolved: &Resolved,
        from: ConvertedFrom,
        converted: Converted,
    ) -> Result<Made, PullError> {
        tracing::debug!(from = %from.digest(), to = %converted.manifest_descriptor.digest, "converted");
        let (client, config) = (self.lease.client(), converted.config_descriptor);
        fetch::document(client, "config", &config, converted.config.into(), &Labels::new()).await?;
        let target = Resolved {
            descriptor: converted.manifest_descriptor,
            body: Some(converted.manifest.into()),
            host: resolved.host.clone(),
        };
        Ok(Made { target, from, is_fetched: true })
    }
}
