//! Layers fetched side by side into the content store, unpacked one on top of the other by containerd's differ.

use containerd::labels::UNCOMPRESSED;
use futures::{StreamExt as _, stream};

use super::Unpack;
use super::plan::Layer;
use super::snapshot::{Active, Snapshotting};
use crate::gc_labels::{self, Labels};
use crate::{PullError, fetch};

/// Layers fetched at the same time, as containerd and docker do by default: more is impolite to registries that
/// count connections.
const FETCHED_AT_ONCE: usize = 3;

pub(super) struct Portable<'a> {
    pub(super) unpack: &'a Unpack<'a>,
    pub(super) snapshotting: Snapshotting<'a>,
}

impl Portable<'_> {
    /// Makes the snapshots of the `missing` layers; `first` is that of the first one.
    pub(super) async fn all(&self, missing: &[Layer], first: Active) -> Result<(), PullError> {
        let mut first = Some(first);
        let mut fetched = stream::iter(missing.to_vec())
            .map(|layer| async move {
                self.fetch(&layer).await?;
                Ok::<Layer, PullError>(layer)
            })
            .buffered(FETCHED_AT_ONCE);
        while let Some(fetching) = fetched.next().await {
            let layer = match fetching {
                Ok(layer) => layer,
                Err(error) => {
                    if let Some(first) = first {
                        self.snapshotting.remove(&first).await;
                    }
                    return Err(error);
                }
            };
            let active = match first.take() {
                Some(first) => Some(first),
                None => self.snapshotting.prepare(&layer).await?,
            };
            if let Some(active) = active {
                let outcome = self.apply_and_commit(&layer, &active).await;
                if outcome.is_err() {
                    self.snapshotting.remove(&active).await;
                }
                outcome?;
            }
        }
        Ok(())
    }

    async fn fetch(&self, layer: &Layer) -> Result<(), PullError> {
        let Unpack { reference, lease, session, .. } = self.unpack;
        let labels = gc_labels::first_source(reference);
        fetch::layer(lease.client(), session, &layer.descriptor, &labels).await.map(drop)
    }

    async fn apply_and_commit(&self, layer: &Layer, active: &Active) -> Result<(), PullError> {
        let client = self.unpack.lease.client();
        let actual = client.diff().apply(&layer.descriptor, active.mounts.clone()).await?;
        if actual != layer.diff_id {
            return Err(PullError::DiffId {
                layer: layer.descriptor.digest.to_string(),
                expected: layer.diff_id.to_string(),
                actual: actual.to_string(),
            });
        }
        self.snapshotting.commit(layer, active).await?;
        let uncompressed = Labels::from([(UNCOMPRESSED.to_owned(), layer.diff_id.to_string())]);
        Ok(client.content().set_labels(&layer.descriptor.digest, &uncompressed).await?)
    }
}
