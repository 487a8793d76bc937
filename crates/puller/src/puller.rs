//! The puller: what all pulls share, and the way into one.

use std::sync::Arc;
use std::time::SystemTime;

use auth::Credentials;
use imagestore::ImageStore;
use oci::{Descriptor, ImageId};
use refparse::Reference;

use crate::PullError;
use crate::in_flight::InFlight;

/// What a puller is given.
#[derive(Clone, Debug)]
pub struct PullerConfig {
    /// containerd's own CRI plugin; `None` means that it is not asked whether it shows the image.
    pub cri: Option<containerd::Cri>,
    /// Wall clock, for the expiry of leases.
    pub now: fn() -> SystemTime,
}

/// An image that was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Digest of the config: what CRI answers.
    pub image_id: ImageId,
    /// What the reference resolved to.
    pub target: Descriptor,
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
    in_flight: InFlight,
}

impl Puller {
    /// A puller that keeps images in `store`.
    pub fn new(store: ImageStore, registry: registry::Client, config: PullerConfig) -> Puller {
        let in_flight = InFlight::default();
        Puller { shared: Arc::new(Shared { store, registry, config, in_flight }) }
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
        let lead = || crate::pull::pull(Arc::clone(shared), reference.clone(), credentials.clone());
        shared.in_flight.join(key, lead).await
    }

    /// How many pulls are in flight, each counted once however many callers it has.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.len()
    }
}
