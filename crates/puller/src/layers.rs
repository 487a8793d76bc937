//! Layers: fetched side by side, unpacked one on top of the other by containerd's differ.

use containerd::labels::{SNAPSHOT_REF, UNCOMPRESSED};
use containerd::{Client, Mount, Prepared, Snapshots};
use futures::{StreamExt as _, stream};
use imagestore::PullLease;
use oci::{ChainId, Descriptor, DiffId, chain_ids};
use refparse::Reference;
use registry::Session;

use crate::documents::Documents;
use crate::gc_labels::{self, Labels};
use crate::{PullError, fetch};

/// Layers fetched at the same time, as containerd and docker do by default: more is impolite to registries that
/// count connections.
const FETCHED_AT_ONCE: usize = 3;

/// How often a snapshot is tried to be made while another client makes and removes it.
const SNAPSHOT_ATTEMPTS_MAX: usize = 3;

/// One layer: what is fetched, what it unpacks to, where that goes.
#[derive(Clone, Debug)]
struct Layer {
    number: usize,
    descriptor: Descriptor,
    diff_id: DiffId,
    chain_id: ChainId,
    parent: Option<ChainId>,
}

/// What unpacking needs at each step.
pub(crate) struct Unpack<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) lease: &'a PullLease,
    pub(crate) session: &'a Session,
    pub(crate) snapshotter: &'a str,
}

impl Unpack<'_> {
    /// Makes the whole snapshot chain, and answers its topmost name. Layers whose snapshots are there are neither
    /// fetched nor unpacked.
    pub(crate) async fn all(&self, documents: &Documents) -> Result<Option<ChainId>, PullError> {
        let layers = layers(documents);
        let mut missing = layers.as_slice();
        let mut first_active = None;
        while let [layer, above @ ..] = missing {
            match self.prepare(layer).await? {
                None => missing = above,
                active => {
                    first_active = active;
                    break;
                }
            }
        }
        let mut fetched = stream::iter(missing.to_vec())
            .map(|layer| async move {
                self.fetch(&layer).await?;
                Ok::<Layer, PullError>(layer)
            })
            .buffered(FETCHED_AT_ONCE);
        loop {
            let fetching = fetched.next().await.transpose();
            let layer = match fetching {
                Ok(Some(layer)) => layer,
                Ok(None) => break,
                Err(error) => {
                    self.remove(first_active).await;
                    return Err(error);
                }
            };
            let active = match first_active.take() {
                Some(active) => Some(active),
                None => self.prepare(&layer).await?,
            };
            if let Some(active) = active {
                self.unpack(&layer, active).await?;
            }
        }
        Ok(layers.last().map(|layer| layer.chain_id.clone()))
    }

    async fn fetch(&self, layer: &Layer) -> Result<(), PullError> {
        let client = self.lease.client();
        let labels: Labels = gc_labels::source(self.reference, &Labels::new()).into_iter().collect();
        fetch::layer(client, self.session, &layer.descriptor, &labels).await
    }

    /// Begins the snapshot of `layer`; `None` where it is there, and now under the lease.
    async fn prepare(&self, layer: &Layer) -> Result<Option<Active>, PullError> {
        let snapshots = self.snapshots();
        let labels = snapshot_labels(layer);
        let parent = layer.parent.as_ref().map(ChainId::as_str).unwrap_or_default();
        for attempt in 0..SNAPSHOT_ATTEMPTS_MAX {
            let unique = self.lease.unique(layer.number * SNAPSHOT_ATTEMPTS_MAX + attempt);
            // containerd's clients know by this form that it is an unpack and what it is going to be.
            let key = format!("extract-{unique} {}", layer.chain_id);
            match snapshots.prepare(&key, parent, &labels).await? {
                Prepared::Active(mounts) => return Ok(Some(Active { key, mounts })),
                Prepared::Exists => {
                    if self.lease.hold_snapshot(self.snapshotter, layer.chain_id.as_str()).await? {
                        return Ok(None);
                    }
                    // Removed since, or the key was taken: try with another one.
                }
            }
        }
        let chain_id = layer.chain_id.to_string();
        Err(PullError::SnapshotContended { chain_id, attempts: SNAPSHOT_ATTEMPTS_MAX })
    }

    async fn unpack(&self, layer: &Layer, active: Active) -> Result<(), PullError> {
        let outcome = self.apply_and_commit(layer, &active).await;
        if outcome.is_err() {
            self.remove(Some(active)).await;
        }
        outcome
    }

    async fn apply_and_commit(&self, layer: &Layer, active: &Active) -> Result<(), PullError> {
        let client = self.lease.client();
        let actual = client.diff().apply(&layer.descriptor, active.mounts.clone()).await?;
        if actual != layer.diff_id {
            return Err(PullError::DiffId {
                layer: layer.descriptor.digest.to_string(),
                expected: layer.diff_id.to_string(),
                actual: actual.to_string(),
            });
        }
        let snapshots = self.snapshots();
        match snapshots.commit(layer.chain_id.as_str(), &active.key, &snapshot_labels(layer)).await {
            Ok(()) => {}
            // Another pull was faster; its snapshot has the same content. Ours is only in the way.
            Err(error) if error.is_already_exists() => {
                snapshots.remove(&active.key).await?;
                if !self.lease.hold_snapshot(self.snapshotter, layer.chain_id.as_str()).await? {
                    let chain_id = layer.chain_id.to_string();
                    return Err(PullError::SnapshotContended { chain_id, attempts: 1 });
                }
            }
            Err(error) => return Err(error.into()),
        }
        let uncompressed = Labels::from([(UNCOMPRESSED.to_owned(), layer.diff_id.to_string())]);
        client.content().set_labels(&layer.descriptor.digest, &uncompressed).await?;
        Ok(())
    }

    /// Removes a half-written snapshot after an error that matters more than this one's failure: without its lease
    /// the collector takes it anyway.
    async fn remove(&self, active: Option<Active>) {
        let Some(active) = active else { return };
        if let Err(error) = self.snapshots().remove(&active.key).await {
            tracing::debug!(%error, "half-written snapshot not removed");
        }
    }

    fn snapshots(&self) -> Snapshots {
        let client: &Client = self.lease.client();
        client.snapshots(self.snapshotter)
    }
}

/// An active snapshot.
struct Active {
    key: String,
    mounts: Vec<Mount>,
}

fn snapshot_labels(layer: &Layer) -> Labels {
    Labels::from([(SNAPSHOT_REF.to_owned(), layer.chain_id.to_string())])
}

fn layers(documents: &Documents) -> Vec<Layer> {
    let diff_ids = &documents.config.diff_ids;
    let chain = chain_ids(diff_ids);
    let parents = std::iter::once(None).chain(chain.iter().cloned().map(Some));
    let each = documents.manifest.layers.iter().zip(diff_ids).zip(&chain).zip(parents);
    each.enumerate()
        .map(|(number, (((descriptor, diff_id), chain_id), parent))| Layer {
            number,
            descriptor: descriptor.clone(),
            diff_id: diff_id.clone(),
            chain_id: chain_id.clone(),
            parent,
        })
        .collect()
}
