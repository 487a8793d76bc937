//! From an image's layers to its chain of snapshots.
//!
//! Two ways lead there, told apart by the mounts that containerd answers: where they are overlayfs's on this machine,
//! layers are written straight into the snapshots' directories, all at the same time ([`direct`]); everywhere else
//! containerd's differ unpacks them, one on top of the other ([`portable`]).

mod direct;
mod layer_stream;
mod measure;
mod overlay;
mod plan;
mod portable;
mod snapshot;

use std::path::PathBuf;

use imagestore::{KeyedGuard, KeyedLocks, PullLease};
use refparse::{Digest, Reference};
use registry::Session;

use crate::PullError;
use crate::documents::Documents;
use crate::puller::{Method, UnpackConfig};
use crate::workers::Turns;
pub(crate) use layer_stream::LayerStream;
pub(crate) use measure::Measured;
use overlay::Upper;
use snapshot::Snapshotting;

/// What unpacking needs at each step.
pub(crate) struct Unpack<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) lease: &'a PullLease,
    pub(crate) session: &'a Session,
    pub(crate) snapshotter: &'a str,
    /// Directory of the snapshotter, where containerd tells.
    pub(crate) root: Option<PathBuf>,
    pub(crate) how: UnpackConfig,
    pub(crate) turns: &'a Turns,
    /// Layers that are being unpacked, by chain id, so that two pulls do not do the same, and those that are being written.
    pub(crate) unpacking: &'a KeyedLocks,
}

/// What was done for an image's layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nothing: all snapshots were there.
    Found,
    /// Written into the snapshots' directories.
    Direct,
    /// Left to containerd's differ.
    Differ,
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Found => "found",
            Way::Direct => "direct",
            Way::Differ => "differ",
        }
    }
}

impl Unpack<'_> {
    /// Makes the whole snapshot chain. Layers whose snapshots are there are neither fetched nor unpacked.
    pub(crate) async fn all(&self, documents: &Documents) -> Result<Way, PullError> {
        let layers = plan::layers(documents);
        let snapshotting = Snapshotting { lease: self.lease, snapshotter: self.snapshotter };
        let mut missing = layers.as_slice();
        while let [layer, above @ ..] = missing {
            let held = self.unpacking.lock_one(layer.chain_id.as_str()).await;
            let Some(active) = snapshotting.prepare(layer).await? else {
                missing = above;
                continue;
            };
            let way = match self.upper(&active.mounts) {
                Some(upper) => {
                    direct::Direct { unpack: self, snapshotting }.all(missing, active, upper, held).await?;
                    Way::Direct
                }
                None => {
                    portable::Portable { unpack: self, snapshotting }.all(missing, active).await?;
                    Way::Differ
                }
            };
            return Ok(way);
        }
        Ok(Way::Found)
    }

    /// For as long as this pull writes the blob. Who waited for its write in containerd would go on with bytes that were
    /// found to be wrong and are about to be dropped.
    async fn lock_blob(&self, digest: &Digest) -> KeyedGuard {
        self.unpacking.lock_one(&format!("blob {digest}")).await
    }

    /// The directory behind `mounts`, where layers may be written into it.
    fn upper(&self, mounts: &[containerd::Mount]) -> Option<Upper> {
        if self.how.method == Method::Differ {
            return None;
        }
        let upper = Upper::of(mounts, self.root.as_deref()?)?;
        match overlay::open(&upper.directory) {
            Ok(_) => Some(upper),
            Err(reason) => {
                tracing::debug!(reason, "layers are left to containerd's differ");
                None
            }
        }
    }
}
