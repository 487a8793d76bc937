//! Snapshots of a pull: begun, finished, and held by its lease.

use containerd::{Mount, Prepared, Snapshots};
use imagestore::PullLease;

use super::plan::Layer;
use crate::PullError;
use crate::gc_labels::Labels;

/// How often a snapshot is tried to be made while another client makes and removes it.
const ATTEMPTS_MAX: usize = 3;

/// Where a pull's snapshots are made.
#[derive(Clone, Copy)]
pub(super) struct Snapshotting<'a> {
    pub(super) lease: &'a PullLease,
    pub(super) snapshotter: &'a str,
}

/// An active snapshot.
pub(super) struct Active {
    pub(super) key: String,
    pub(super) mounts: Vec<Mount>,
}

impl Snapshotting<'_> {
    /// Begins the snapshot of `layer`; `None` where it is there, and now under the lease.
    pub(super) async fn prepare(&self, layer: &Layer) -> Result<Option<Active>, PullError> {
        let labels = layer.snapshot_labels();
        let parent = layer.parent.as_ref().map(oci::ChainId::as_str).unwrap_or_default();
        for attempt in 0..ATTEMPTS_MAX {
            let unique = self.lease.unique(layer.number * ATTEMPTS_MAX + attempt);
            // containerd's clients know by this form that it is an unpack and what it is going to be.
            let key = format!("extract-{unique} {}", layer.chain_id);
            match self.snapshots().prepare(&key, parent, &labels).await? {
                Prepared::Active(mounts) => return Ok(Some(Active { key, mounts })),
                Prepared::Exists => {
                    if self.lease.hold_snapshot(self.snapshotter, layer.chain_id.as_str()).await? {
                        return Ok(None);
                    }
                    // Removed since, or the key was taken: try with another one.
                }
            }
        }
        Err(contended(layer, ATTEMPTS_MAX))
    }

    /// Begins a snapshot that is never finished, for its directory.
    pub(super) async fn stage(&self) -> Result<Active, PullError> {
        let key = format!("extract-{}", self.lease.unique("staging"));
        match self.snapshots().prepare(&key, "", &Labels::new()).await? {
            Prepared::Active(mounts) => Ok(Active { key, mounts }),
            Prepared::Exists => Err(PullError::SnapshotContended { chain_id: key, attempts: 1 }),
        }
    }

    /// Finishes the snapshot of `layer`, or finds that another client was faster; either way it is under the lease.
    pub(super) async fn commit(&self, layer: &Layer, active: &Active) -> Result<(), PullError> {
        let snapshots = self.snapshots();
        match snapshots.commit(layer.chain_id.as_str(), &active.key, &layer.snapshot_labels()).await {
            Ok(()) => Ok(()),
            // Its snapshot has the same content. Ours is only in the way.
            Err(error) if error.is_already_exists() => {
                snapshots.remove(&active.key).await?;
                match self.lease.hold_snapshot(self.snapshotter, layer.chain_id.as_str()).await? {
                    true => Ok(()),
                    false => Err(contended(layer, 1)),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an active snapshot. Where that fails, the collector takes it once it has no lease: whatever the caller does
    /// matters more.
    pub(super) async fn remove(&self, active: &Active) {
        if let Err(error) = self.snapshots().remove(&active.key).await
            && !error.is_not_found()
        {
            tracing::debug!(%error, "active snapshot not removed");
            self.lease.leave_to_collector();
        }
    }

    fn snapshots(&self) -> Snapshots {
        self.lease.client().snapshots(self.snapshotter)
    }
}

fn contended(layer: &Layer, attempts: usize) -> PullError {
    PullError::SnapshotContended { chain_id: layer.chain_id.to_string(), attempts }
}
