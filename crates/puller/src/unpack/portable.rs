//! Layers fetched side by side into the content store, unpacked one on top of the other by containerd's differ.

use containerd::labels::UNCOMPRESSED;
use futures::{StreamExt as _, stream};
use tokio::sync::mpsc;

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
        let (done, fetched) = mpsc::unbounded_channel();
        let mut fetching = Ok(());
        // Where fetching fails, what containerd unpacks at that moment is still waited for.
        let fetch_all = async {
            fetching = self.fetch_all(missing, done).await;
            Ok(())
        };
        tokio::try_join!(fetch_all, self.unpack_all(fetched, first))?;
        fetching
    }

    async fn fetch_all(
        &self,
        missing: &[Layer],
        done: mpsc::UnboundedSender<Layer>,
    ) -> Result<(), PullError> {
        let mut fetched = stream::iter(missing.to_vec())
            .map(|layer| async move {
                self.fetch(&layer).await?;
                Ok::<Layer, PullError>(layer)
            })
            .buffered(FETCHED_AT_ONCE);
        while let Some(layer) = fetched.next().await {
            // The receiver lives as long as this: both end together.
            let _ = done.send(layer?);
        }
        Ok(())
    }

    async fn fetch(&self, layer: &Layer) -> Result<(), PullError> {
        let Unpack { reference, lease, session, .. } = self.unpack;
        let _held = self.unpack.lock_blob(&layer.descriptor.digest).await;
        let labels = gc_labels::first_source(reference);
        fetch::layer(lease.client(), session, &layer.descriptor, &labels).await.map(drop)
    }

    /// Unpacks the layers that come, in their order.
    async fn unpack_all(
        &self,
        mut fetched: mpsc::UnboundedReceiver<Layer>,
        first: Active,
    ) -> Result<(), PullError> {
        let mut first = Some(first);
        while let Some(layer) = fetched.recv().await {
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
        // No layer came.
        if let Some(first) = first {
            self.snapshotting.remove(&first).await;
        }
        Ok(())
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
