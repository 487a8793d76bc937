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

use containerd::labels::UNCOMPRESSED;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use imagestore::KeyedGuard;
use layer::{Deferred, Form};
use rustix::fs::{AtFlags, CWD, Gid, Mode, Uid, chmodat, chownat, mkdirat, statat};
use tokio::sync::{Semaphore, mpsc};

use super::Unpack;
use super::layer_stream::{LayerStream, Source};
use super::overlay::{self, Upper};
use super::plan::Layer;
use super::snapshot::{Active, Snapshotting};
use crate::gc_labels::{self, Labels};
use crate::puller::Layers;
use crate::{PullError, fetch};

/// Layers of one pull that are fetched and unpacked at the same time. More than containerd's three, because each also
/// waits for containerd's disk in between; as many as CRI-O fetches.
const LAYERS_AT_ONCE: usize = 6;

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
        let unpacking: FuturesUnordered<_> = missing
            .iter()
            .enumerate()
            .map(|(place, layer)| {
                let (held, permits) = (held.take(), &permits);
                async move {
                    let unpacked = match held {
                        Some(held) => self.fill(layer, upper.directory.clone(), held, permits).await?,
                        None => {
                            let staging = staging.unwrap_or(&upper.directory);
                            self.stage(layer, staging.join(layer.number.to_string()), permits).await?
                        }
                    };
                    Ok::<_, PullError>((place, unpacked))
                }
            })
            .collect();
        let unpack_all = async move {
            let mut unpacking = unpacking;
            while let Some(unpacked) = unpacking.next().await {
                // The receiver lives as long as this: both end together.
                let _ = done.send(unpacked?);
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
                        // The unpacking has failed, which is what the whole answers.
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
    ) -> Result<Unpacked, PullError> {
        // Never closed.
        let _permit = permits.acquire().await;
        let deferred = self.stream(layer, &directory).await?;
        Ok(Unpacked { work: Some((directory, deferred)), _held: held })
    }

    /// Unpacks a layer into `directory`, which is made, unless another pull has just done it.
    async fn stage(
        &self,
        layer: &Layer,
        directory: PathBuf,
        permits: &Semaphore,
    ) -> Result<Unpacked, PullError> {
        let (held, waited) = self.lock(layer).await;
        if waited {
            let snapshots = self.unpack.lease.client().snapshots(self.unpack.snapshotter);
            match snapshots.stat(layer.chain_id.as_str()).await {
                Ok(_) => return Ok(Unpacked { work: None, _held: held }),
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
        let deferred = self.stream(layer, &directory).await?;
        Ok(Unpacked { work: Some((directory, deferred)), _held: held })
    }

    /// The layer's lock among all pulls, and whether another one had it.
    async fn lock(&self, layer: &Layer) -> (KeyedGuard, bool) {
        let mut lock = pin!(self.unpack.unpacking.lock_one(layer.chain_id.as_str()));
        match futures::poll!(&mut lock) {
            Poll::Ready(held) => (held, false),
            Poll::Pending => (lock.await, true),
        }
    }

    /// From the registry or the content store into `directory`, and into the content store where layers are kept.
    async fn stream(&self, layer: &Layer, directory: &Path) -> Result<Deferred, PullError> {
        const WHAT: &str = "layer";
        let Unpack { reference, lease, session, turns, limits, .. } = *self.unpack;
        let client = lease.client();
        let descriptor = &layer.descriptor;
        let (ingest, is_stored) = match self.unpack.layers {
            Layers::Keep => match fetch::open(client, WHAT, descriptor).await? {
                Some(ingest) => (Some(ingest), false),
                None => (None, true),
            },
            Layers::Discard => match client.content().info(&descriptor.digest).await {
                Ok(_) => (None, true),
                Err(error) if error.is_not_found() => (None, false),
                Err(error) => return Err(error.into()),
            },
        };
        let is_ingesting = ingest.is_some();
        let streamed = async {
            let source = match is_stored {
                true => Source::Content(Box::new(client.content().stream(&descriptor.digest).await?)),
                false => Source::Registry(Box::new(
                    session
                        .blob(descriptor, 0)
                        .await
                        .map_err(|source| PullError::Fetch { what: WHAT, source })?,
                )),
            };
            let path = directory.to_owned();
            let opened = turns.run(0, move || overlay::open(&path)).await?;
            let opened = opened
                .map_err(|reason| PullError::Directory { chain_id: layer.chain_id.to_string(), reason })?;
            let form = if layer.parent.is_some() { Form::Overlay } else { Form::Lowest };
            let stream = LayerStream { turns, descriptor, diff_id: &layer.diff_id, form, limits };
            let (deferred, ingest) = stream.run(source, ingest, opened).await?;
            let uncompressed = (UNCOMPRESSED.to_owned(), layer.diff_id.to_string());
            let labels = Labels::from([uncompressed]);
            let is_written = match ingest {
                Some(ingest) => {
                    let source = gc_labels::source(reference, &Labels::new());
                    let all = labels.clone().into_iter().chain(source).collect();
                    ingest.commit(&all).await?
                }
                None => !is_stored,
            };
            if !is_written {
                // There before, or committed by another client meanwhile.
                client.content().set_labels(&descriptor.digest, &labels).await?;
            }
            Ok(deferred)
        };
        let streamed = streamed.await;
        if streamed.is_err() && is_ingesting {
            // The lease's deletion would take it too; this also unlocks it for a pull that waits.
            if let Err(error) = client.content().abort(&fetch::ingest_ref(WHAT, descriptor)).await {
                tracing::debug!(%error, "ingest not aborted");
            }
        }
        streamed
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
                    let deferred = self.stream(layer, &upper.directory).await?;
                    self.settle(layer, deferred, upper.lower).await?;
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
