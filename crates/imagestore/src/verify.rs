//! Whether an image in the index is ready: asked of containerd, for content and snapshots vanish without an event.

use std::collections::BTreeSet;
use std::sync::Arc;

use containerd::SnapshotKind;
use futures::future::try_join_all;

use crate::{Image, ImageStore, StoreError};

/// How often a name is looked up that moves from image to image while each is found to be removed.
const LOOKUPS_MAX: usize = 16;

impl ImageStore {
    /// The ready image that `image` leads to.
    ///
    /// # Errors
    /// [`StoreError::Lookup`] for an empty or ambiguous name, [`StoreError::NotReady`] while containerd is away.
    pub async fn status(&self, image: &str) -> Result<Option<Arc<Image>>, StoreError> {
        self.check_ready()?;
        let mut found = self.find(image)?;
        for _ in 0..LOOKUPS_MAX {
            let Some(candidate) = found else { return Ok(None) };
            let Some(missing) = self.missing(&candidate).await? else { return Ok(Some(candidate)) };
            found = self.find(image)?;
            // The name may have moved to another image, and the one that had it may be removed since: the name was never
            // without an image then (found by the simulator, 2026-11-27).
            if found.as_ref().is_none_or(|now| now.id() == candidate.id()) {
                tracing::warn!(image = %candidate.id(), %missing, "an image with records but without this part: reported absent");
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// All ready images in the order of their ids. One listing of snapshots and one of content, whatever the number
    /// of images.
    ///
    /// # Errors
    /// [`StoreError::NotReady`] while containerd is away.
    pub async fn list(&self) -> Result<Vec<Arc<Image>>, StoreError> {
        self.check_ready()?;
        let client = &self.shared.client;
        let snapshots = client.snapshots(&self.shared.config.snapshotter).list().await?;
        let committed: BTreeSet<String> = snapshots
            .into_iter()
            .filter(|snapshot| snapshot.kind == SnapshotKind::Committed)
            .map(|snapshot| snapshot.name)
            .collect();
        let blobs: BTreeSet<_> = client.content().list().await?.into_iter().map(|info| info.digest).collect();
        // The index is read after the listings: an image that was committed in between has all its parts, so it is
        // left out of this answer rather than shown half.
        let index = self.index();
        let ready = index.images().filter(|image| {
            let details = &image.details;
            details.documents.iter().all(|digest| blobs.contains(digest))
                && details.chain_id.as_ref().is_none_or(|chain_id| committed.contains(chain_id.as_str()))
        });
        Ok(ready.cloned().collect())
    }

    /// What an image lacks; `None` where it is ready. The topmost snapshot stands for the chain: containerd does not
    /// remove a snapshot that has children.
    pub(crate) async fn missing(&self, image: &Image) -> Result<Option<String>, StoreError> {
        let client = &self.shared.client;
        let content = client.content();
        let documents = image.details.documents.iter().map(|digest| {
            let content = content.clone();
            async move {
                match content.info(digest).await {
                    Ok(_) => Ok(None),
                    Err(error) if error.is_not_found() => Ok(Some(format!("content {digest}"))),
                    Err(error) => Err(error),
                }
            }
        });
        let mut missing = try_join_all(documents).await?;
        if let Some(chain_id) = &image.details.chain_id {
            let snapshots = client.snapshots(&self.shared.config.snapshotter);
            missing.push(match snapshots.stat(chain_id.as_str()).await {
                Ok(info) if info.kind == SnapshotKind::Committed => None,
                Ok(_) => Some(format!("snapshot {chain_id} is not committed")),
                Err(error) if error.is_not_found() => Some(format!("snapshot {chain_id}")),
                Err(error) => return Err(error.into()),
            });
        }
        Ok(missing.into_iter().flatten().next())
    }
}
