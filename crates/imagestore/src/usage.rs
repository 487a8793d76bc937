//! Disk use of images: blobs, unfinished blobs and snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use containerd::{CallError, SnapshotInfo, SnapshotKind, SnapshotUsage, Snapshots};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::{ImageStore, StoreError};

/// How old an answer may be. The kubelet asks every ten seconds, and so often does containerd's own plugin measure.
const AGE_MAX: Duration = Duration::from_secs(10);

/// Snapshots measured at the same time: an active one makes its snapshotter walk a directory.
const MEASURED_AT_ONCE: usize = 8;

/// Disk use of everything that images have on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Directory of the snapshotter, by which the kubelet finds the file system.
    pub mountpoint: PathBuf,
    /// Bytes of snapshots, blobs and unfinished blobs.
    pub bytes: u64,
    /// Inodes of snapshots, one a blob.
    pub inodes: u64,
}

/// The last answer, and what never changes: the use of committed snapshots.
#[derive(Clone, Debug, Default)]
pub(crate) struct UsageCache {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    committed: BTreeMap<String, SnapshotUsage>,
    last: Option<(Instant, Usage)>,
}

impl ImageStore {
    /// Disk use, at most ten seconds old.
    ///
    /// # Errors
    /// [`StoreError::Containerd`]; [`StoreError::NotReady`] while containerd is away.
    pub async fn usage(&self) -> Result<Usage, StoreError> {
        self.check_ready()?;
        // Held while measuring, so that callers who come meanwhile share the answer.
        let mut state = self.shared.usage.state.lock().await;
        if let Some((at, usage)) = &state.last
            && at.elapsed() < AGE_MAX
        {
            return Ok(usage.clone());
        }
        let client = &self.shared.client;
        let snapshotter = &self.shared.config.snapshotter;
        let plugin = client.introspection().snapshotter(snapshotter).await?;
        let snapshots = client.snapshots(snapshotter);
        let listed = snapshots.list().await?;
        let measured = measure(&snapshots, &listed, &state.committed).await?;
        let blobs = client.content().list().await?;
        let ingests = client.content().ingests().await?;
        let of_snapshots = measured.values();
        let bytes = of_snapshots.clone().map(|usage| usage.bytes).sum::<u64>()
            + blobs.iter().map(|blob| blob.size).sum::<u64>()
            + ingests.iter().map(|ingest| ingest.offset).sum::<u64>();
        let inodes = of_snapshots.map(|usage| usage.inodes).sum::<u64>() + blobs.len() as u64;
        let mountpoint = plugin.root.unwrap_or_else(|| PathBuf::from("/"));
        let usage = Usage { mountpoint, bytes, inodes };
        let committed: BTreeSet<String> = listed
            .into_iter()
            .filter(|snapshot| snapshot.kind == SnapshotKind::Committed)
            .map(|snapshot| snapshot.name)
            .collect();
        state.committed = measured.into_iter().filter(|(name, _)| committed.contains(name)).collect();
        state.last = Some((Instant::now(), usage.clone()));
        Ok(usage)
    }
}

async fn measure(
    snapshots: &Snapshots,
    listed: &[SnapshotInfo],
    known: &BTreeMap<String, SnapshotUsage>,
) -> Result<BTreeMap<String, SnapshotUsage>, CallError> {
    let names: Vec<String> = listed.iter().map(|info| info.name.clone()).collect();
    let each = names.into_iter().map(|name| {
        let known = known.get(&name).copied();
        let snapshots = snapshots.clone();
        async move {
            if let Some(usage) = known {
                return Ok(Some((name, usage)));
            }
            match snapshots.usage(&name).await {
                Ok(usage) => Ok(Some((name, usage))),
                // Removed since it was listed.
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error),
            }
        }
    });
    let found: Vec<_> = stream::iter(each).buffered(MEASURED_AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}
