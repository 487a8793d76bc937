//! Layers written straight into the directories of their snapshots, all at the same time.
//!
//! A snapshot can only be begun on a committed parent, but its directory can be filled before: the first missing layer
//! goes into its own snapshot's directory, each other one into a directory of its own below a staging snapshot, an active
//! one without parent that is never committed. Bottom-up, each layer's snapshot is then begun on its parent and the
//! filled directory renamed onto its empty one. Both lie in the snapshotter's directory, so that is one `rename`; at
//! every instant everything belongs to a snapshot under the pull's lease. The transactions of containerd are as many as
//! its own pull needs, and two for the staging snapshot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::Poll;

use containerd::Ingest;
use containerd::labels::UNCOMPRESSED;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use imagestore::KeyedGuard;
use layer::{Deferred, Form};
use rustix::fs::{AtFlags, CWD, Gid, Mode, Uid, chmodat, chownat, mkdirat, statat};
use tokio::sync::{Semaphore, mpsc};

use super::Unpack;
use super::layer_stream::{LayerStream, Target};
use super::overlay::{self, Upper};
use super::plan::Layer;
use super::snapshot::{Active, Snapshotting};
use crate::gc_labels::{self, Labels};
use crate::layer_ingest::LayerIngest;
use crate::puller::Layers;
use crate::source::Source;
use crate::{PullError, UnpackConfig, fetch};

/// Layers of one pull that are fetched and unpacked at the same time. More than containerd's three, because each also
/// waits for containerd's disk in between; as many as CRI-O fetches.
const LAYERS_AT_ONCE: usize = 6;

/// What becomes of a layer's compressed bytes, once it is unpacked.
enum Bytes {
    /// They are written, and to be made content.
    Ingested(LayerIngest),
    /// They were content before.
    Stored,
    /// They are gone.
    Discarded,
}

pub(super) struct Direct<'a> {
    pub(super) unpack: &'a Unpack<'a>,
    pub(super) snapshotting: Snapshotting<'a>,
}

/// A layer whose turn to be committed may come.
struct Unpacked {
    /// The layer is unpacked in `directory`; `None` where its snapshot was found.
    work: Option<(PathBuf, Deferred)>,
    /// Keeps other pulls from the same layer until it is committed.
    _held: KeyedGuard,
}

impl Direct<'_> {
    /// Makes the snapshots of the `missing` layers; `first` is that of the first one, whose lock is `held`.
    pub(super) async fn all(
        &self,
        missing: &[Layer],
        first: Active,
        upper: Upper,
        held: KeyedGuard,
    ) -> Result<(), PullError> {
        let staging = match missing {
            [] | [_] => None,
            _ => Some(self.snapshotting.stage().await?),
        };
        let outcome = async {
            let staged = match &staging {
                Some(staging) => Some(self.upper(staging).ok_or_else(|| strange(staging))?.directory),
                None => None,
            };
            self.unpack_and_commit(missing, &first, &upper, staged.as_deref(), held).await
        };
        let outcome = outcome.await;
        if outcome.is_err() {
            // What was begun must not write into what is removed.
            self.unpack.turns.idle().await;
            self.snapshotting.remove(&first).await;
        }
        if let Some(staging) = staging {
            self.snapshotting.remove(&staging).await;
        }
        outcome
    }

    async fn unpack_and_commit(
        &self,
        missing: &[Layer],
        first: &Active,
        upper: &Upper,
        staging: Option<&Path>,
        held: KeyedGuard,
    ) -> Result<(), PullError> {
        let permits = Semaphore::new(LAYERS_AT_ONCE);
        let (done, mut unpacked) = mpsc::unbounded_channel();
        let mut held = Some(held);
        let mut unpacking = FuturesUnordered::new();
        for (place, layer) in missing.iter().enumerate() {
            let (held, permits, done) = (held.take(), &permits, done.clone());
            unpacking.push(async move {
                let (unpacked, bytes) = match held {
                    Some(held) => self.fill(layer, upper.directory.clone(), held, permits).await?,
                    None => {
                        let staging = staging.unwrap_or(&upper.directory);
                        self.stage(layer, staging.join(layer.number.to_string()), permits).await?
                    }
                };
                // The receiver lives as long as this: both end together.
                let _ = done.send((place, unpacked));
                // The snapshot need not wait until the bytes are on containerd's disk.
                self.keep(layer, bytes).await
            });
        }
        let unpack_all = async {
            while let Some(kept) = unpacking.next().await {
                kept?;
            }
            Ok(())
        };
        let commit_all = async {
            let mut ready = BTreeMap::new();
            for (place, layer) in missing.iter().enumerate() {
                let layer_unpacked = loop {
                    if let Some(found) = ready.remove(&place) {
                        break found;
                    }
                    match unpacked.recv().await {
                        Some((place, found)) => drop(ready.insert(place, found)),
                        // There is a sender here.
                        None => return Ok(()),
                    }
                };
                match place {
                    0 => self.commit_first(layer, first, upper, layer_unpacked).await?,
                    _ => self.commit(layer, layer_unpacked, &permits).await?,
                }
            }
            Ok(())
        };
        tokio::try_join!(unpack_all, commit_all).map(drop)
    }

    /// Unpacks a layer into `directory`, which is its snapshot's own.
    async fn fill(
        &self,
        layer: &Layer,
        directory: PathBuf,
        held: KeyedGuard,
        permits: &Semaphore,
    ) -> Result<(Unpacked, Bytes), PullError> {
        // Never closed.
        let _permit = permits.acquire().await;
        let (deferred, bytes) = self.stream(layer, &directory).await?;
        Ok((Unpacked { work: Some((directory, deferred)), _held: held }, bytes))
    }

    /// Unpacks a layer into `directory`, which is made, unless another pull has just done it.
    async fn stage(
        &self,
        layer: &Layer,
        directory: PathBuf,
        permits: &Semaphore,
    ) -> Result<(Unpacked, Bytes), PullError> {
        let (held, waited) = self.lock(layer).await;
        if waited {
            let snapshots = self.unpack.lease.client().snapshots(self.unpack.snapshotter);
            match snapshots.stat(layer.chain_id.as_str()).await {
                Ok(_) => return Ok((Unpacked { work: None, _held: held }, Bytes::Discarded)),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        let _permit = permits.acquire().await;
        let made = {
            let directory = directory.clone();
            let make = move || mkdirat(CWD, &directory, Mode::from_raw_mode(0o755));
            self.unpack.turns.run(0, make).await?
        };
        made.map_err(|error| unusable(layer, &directory, error))?;
        let (deferred, bytes) = self.stream(layer, &directory).await?;
        Ok((Unpacked { work: Some((directory, deferred)), _held: held }, bytes))
    }

    /// The layer's lock among all pulls, and whether another one had it.
    async fn lock(&self, layer: &Layer) -> (KeyedGuard, bool) {
        let mut lock = pin!(self.unpack.unpacking.lock_one(layer.chain_id.as_str()));
        match futures::poll!(&mut lock) {
            Poll::Ready(held) => (held, false),
            Poll::Pending => (lock.await, true),
        }
    }

    /// From the registry, or the content store that has it, into `directory`.
    async fn stream(&self, layer: &Layer, directory: &Path) -> Result<(Deferred, Bytes), PullError> {
        let client = self.unpack.lease.client();
        let (ingest, _held) = match self.unpack.how.layers {
            Layers::Keep => {
                let held = self.unpack.lock_blob(&layer.descriptor.digest).await;
                let labels = gc_labels::first_source(self.unpack.reference);
                let ingest = fetch::open(client, fetch::LAYER, &layer.descriptor, &labels).await?;
                let held = ingest.as_ref().map(|_| held);
                (ingest, held)
            }
            Layers::Discard => (None, None),
        };
        let is_ingesting = ingest.is_some();
        let streamed = self.stream_into(layer, directory, ingest).await;
        if let Err(error) = &streamed
            && is_ingesting
        {
            fetch::abort_unless_passing(client, &layer.descriptor.digest, error).await;
        }
        streamed
    }

    async fn stream_into(
        &self,
        layer: &Layer,
        directory: &Path,
        mut ingest: Option<Ingest>,
    ) -> Result<(Deferred, Bytes), PullError> {
        let Unpack { lease, session, how: UnpackConfig { layers, limits, file_bytes_min, .. }, .. } =
            *self.unpack;
        let turns = self.unpack.turns.of_layer(layer.number);
        let descriptor = &layer.descriptor;
        let is_stored = layers == Layers::Keep && ingest.is_none();
        let source = if is_stored {
            Source::Content(Box::new(lease.client().content().stream(&descriptor.digest).await?))
        } else {
            Source::registry(lease.client(), session, descriptor, ingest.as_mut()).await?
        };
        let ingest = match ingest {
            Some(ingest) => Some(LayerIngest::new(lease.client(), descriptor, ingest, file_bytes_min).await),
            None => None,
        };
        let path = directory.to_owned();
        let opened = turns.run(0, move || overlay::open(&path)).await?;
        let opened =
            opened.map_err(|reason| PullError::Directory { chain_id: layer.chain_id.to_string(), reason })?;
        let form = if layer.parent.is_some() { Form::Overlay } else { Form::Lowest };
        let target = Target { directory: opened, form, diff_id: &layer.diff_id };
        let (deferred, ingest) =
            LayerStream { turns, descriptor, limits }.run(source, ingest, target).await?;
        let bytes = match ingest {
            Some(ingest) => Bytes::Ingested(ingest),
            None if is_stored => Bytes::Stored,
            None => Bytes::Discarded,
        };
        Ok((deferred, bytes))
    }

    /// Makes content of a layer's bytes, with the labels that say what they are.
    async fn keep(&self, layer: &Layer, bytes: Bytes) -> Result<(), PullError> {
        let uncompressed = Labels::from([(UNCOMPRESSED.to_owned(), layer.diff_id.to_string())]);
        let Unpack { lease, session, reference, .. } = self.unpack;
        match bytes {
            Bytes::Discarded => return Ok(()),
            Bytes::Stored => {}
            Bytes::Ingested(ingest) => {
                let all =
                    uncompressed.clone().into_iter().chain(gc_labels::first_source(reference)).collect();
                match ingest.commit(lease.client(), session, &layer.descriptor, &all).await {
                    Ok(true) => return Ok(()),
                    // By another client, without these labels.
                    Ok(false) => {}
                    Err(error) => {
                        fetch::abort_unless_passing(lease.client(), &layer.descriptor.digest, &error).await;
                        return Err(error);
                    }
                }
            }
        }
        let content = lease.client().content();
        Ok(content.set_labels(&layer.descriptor.digest, &uncompressed).await?)
    }

    async fn commit_first(
        &self,
        layer: &Layer,
        first: &Active,
        upper: &Upper,
        unpacked: Unpacked,
    ) -> Result<(), PullError> {
        if let Some((_, deferred)) = unpacked.work {
            self.settle(layer, deferred, upper.lower.clone()).await?;
        }
        self.snapshotting.commit(layer, first).await
    }

    /// Begins the snapshot of `layer` on its parent and puts in its place what was unpacked.
    async fn commit(&self, layer: &Layer, unpacked: Unpacked, permits: &Semaphore) -> Result<(), PullError> {
        let Some(active) = self.snapshotting.prepare(layer).await? else { return Ok(()) };
        let outcome = async {
            let upper = self.upper(&active).ok_or_else(|| strange(&active))?;
            match unpacked.work {
                Some((directory, deferred)) => {
                    self.settle(layer, deferred, upper.lower).await?;
                    self.put(layer, directory, upper.directory).await?;
                }
                // It was found, and has been removed since.
                None => {
                    let _permit = permits.acquire().await;
                    let (deferred, bytes) = self.stream(layer, &upper.directory).await?;
                    self.settle(layer, deferred, upper.lower).await?;
                    self.keep(layer, bytes).await?;
                }
            }
            self.snapshotting.commit(layer, &active).await
        };
        let outcome = outcome.await;
        if outcome.is_err() {
            self.unpack.turns.idle().await;
            self.snapshotting.remove(&active).await;
        }
        outcome
    }

    async fn settle(&self, layer: &Layer, deferred: Deferred, lower: Vec<PathBuf>) -> Result<(), PullError> {
        if deferred.is_empty() {
            return Ok(());
        }
        let settled = self.unpack.turns.run(0, move || deferred.settle(&lower)).await?;
        settled.map_err(|source| PullError::Unpack { layer: layer.descriptor.digest.to_string(), source })
    }

    /// Renames `from` onto the empty directory `to`, whose owner and mode it takes: those are the snapshotter's to choose.
    async fn put(&self, layer: &Layer, from: PathBuf, to: PathBuf) -> Result<(), PullError> {
        let shown = to.clone();
        let rename = move || {
            let stat = statat(CWD, &to, AtFlags::SYMLINK_NOFOLLOW)?;
            let owner = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
            chownat(CWD, &from, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)?;
            chmodat(CWD, &from, Mode::from_raw_mode(stat.st_mode), AtFlags::empty())?;
            rustix::fs::rename(&from, &to)
        };
        self.unpack.turns.run(0, rename).await?.map_err(|error| unusable(layer, &shown, error))
    }

    fn upper(&self, active: &Active) -> Option<Upper> {
        Upper::of(&active.mounts, self.unpack.root.as_deref()?)
    }
}

/// One snapshot of a snapshotter has mounts that are understood and the next one has not.
fn strange(active: &Active) -> PullError {
    let reason = format!("its mounts are not like those of the snapshot below it: {:?}", active.mounts);
    PullError::Directory { chain_id: active.key.clone(), reason }
}

fn unusable(layer: &Layer, directory: &Path, error: rustix::io::Errno) -> PullError {
    let reason = format!("`{}`: {error}", directory.display());
    PullError::Directory { chain_id: layer.chain_id.to_string(), reason }
}
