//! The puller: what all pulls share, and the way into one.

use std::num::NonZeroUsize;
use std::sync::Arc;

use auth::Credentials;
use imagestore::{ConvertedFrom, ImageStore, KeyedLocks};
use layer::Limits;
use oci::{Descriptor, ImageId};
use refparse::Reference;

use crate::PullError;
use crate::in_flight::InFlight;
use crate::workers::Workers;

/// Where opening an ingest twice costs as much as sending its bytes.
const FILE_BYTES_MIN: u64 = 4 << 20;

/// What a puller is given.
#[derive(Clone, Debug)]
pub struct PullerConfig {
    /// containerd's own CRI plugin; `None` means that it is not asked whether it shows the image.
    pub cri: Option<containerd::Cri>,
    /// How layers become snapshots.
    pub unpack: UnpackConfig,
}

/// How layers become snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnpackConfig {
    /// Who writes the files.
    pub method: Method,
    /// What becomes of the compressed layers.
    pub layers: Layers,
    /// Pieces of work (inflating, writing files) that run at the same time on this node.
    pub workers: NonZeroUsize,
    /// Niceness of the threads that do it, which is also that of their I/O: 0 is the process's own, 19 the least.
    pub niceness: i32,
    /// What a layer may be.
    pub limits: Limits,
    /// Smallest layer, in bytes, that is written into the content store's own file where that is on this machine, and not
    /// over containerd's API. To do so costs two transactions of containerd's more, and saves the copying of the bytes.
    pub file_bytes_min: u64,
}

/// Who writes the files of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// This process where the snapshotter's directories can be written into, containerd's differ elsewhere.
    #[default]
    Auto,
    /// Always containerd's differ.
    Differ,
}

/// What becomes of the compressed layers of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layers {
    /// They are in containerd's content store, for its other clients: `ctr images export` and `push`, unpacking into
    /// another snapshotter.
    #[default]
    Keep,
    /// They are not written to disk where this process unpacks them; the labels are those that containerd leaves with
    /// `discard_unpacked_layers`. What containerd's differ unpacks is written, and then left to the collector.
    Discard,
}

impl Default for UnpackConfig {
    fn default() -> UnpackConfig {
        UnpackConfig {
            method: Method::Auto,
            layers: Layers::Keep,
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            niceness: 0,
            limits: Limits::default(),
            file_bytes_min: FILE_BYTES_MIN,
        }
    }
}

/// An image that was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Digest of the config: what CRI answers.
    pub image_id: ImageId,
    /// What the reference resolved to, or was converted to.
    pub target: Descriptor,
    /// What the target was made of, where it was made here.
    pub converted_from: Option<ConvertedFrom>,
}

/// Pulls images. Cheap to clone; clones share the pulls in flight.
#[derive(Clone, Debug)]
pub struct Puller {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: ImageStore,
    pub(crate) registry: registry::Client,
    pub(crate) config: PullerConfig,
    pub(crate) workers: Workers,
    pub(crate) unpacking: KeyedLocks,
    in_flight: InFlight,
}

impl Puller {
    /// A puller that keeps images in `store`.
    pub fn new(store: ImageStore, registry: registry::Client, config: PullerConfig) -> Puller {
        let workers = Workers::new(config.unpack.workers, config.unpack.niceness);
        let (unpacking, in_flight) = (KeyedLocks::default(), InFlight::default());
        Puller { shared: Arc::new(Shared { store, registry, config, workers, unpacking, in_flight }) }
    }

    /// Pulls `reference` with `credentials`, or joins the same pull that is in flight.
    ///
    /// Only pulls with equal credentials are joined: each other caller has to convince the registry itself.
    ///
    /// # Errors
    /// [`PullError`], shared by all callers of a joined pull.
    ///
    /// # Cancel safety
    /// Dropping the future leaves a joined pull running for its other callers; dropping the last one ends it and
    /// gives its lease back.
    pub async fn pull(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Pulled, Arc<PullError>> {
        let shared = &self.shared;
        let key = (reference.clone(), credentials.clone());
        let lead = |door| crate::pull::pull(Arc::clone(shared), reference.clone(), credentials.clone(), door);
        shared.in_flight.join(key, lead).await
    }

    /// How many pulls are in flight, each counted once however many callers it has.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.len()
    }
}
