//! A node: containerd, registry, and the product's own store and puller between them.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use auth::{AuthConfig, Credentials};
use containerd::Client;
use imagestore::{ImageStore, Readiness, StoreConfig};
use oci::PlatformMatcher;
use puller::{PullError, Pulled, Puller, PullerConfig, UnpackConfig};
use refparse::Reference;
use registry::{BoxedIo, ClientConfig, Dialer};
use sim::containerd::{Containerd, Inventory, Options};
use sim::image::{Compression, File, Image, ImageBuilder, Layer};
use sim::registry::Registry;
use tokio::task::JoinHandle;

/// The registry's host in every test: plain HTTP, because it is a loopback name.
pub(crate) const HOST: &str = "localhost:5000";

pub(crate) struct Node {
    pub(crate) containerd: Containerd,
    pub(crate) registry: Registry,
    pub(crate) store: ImageStore,
    pub(crate) puller: Puller,
    follower: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// A wall clock that stands still: the lease's expiry is the only thing that reads it.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

impl Node {
    pub(crate) async fn start() -> Node {
        let containerd = Containerd::new(Options::default());
        let registry = Registry::new(sim::registry::Options::default());
        Node::beside(containerd, registry, "first").await
    }

    /// A daemon beside a containerd and a registry that may have a past.
    pub(crate) async fn beside(containerd: Containerd, registry: Registry, instance: &str) -> Node {
        Node::configured(containerd, registry, instance, |_client, _unpack| {}).await
    }

    /// One that is told something else than the defaults.
    pub(crate) async fn configured(
        containerd: Containerd,
        registry: Registry,
        instance: &str,
        change: impl FnOnce(&mut ClientConfig, &mut UnpackConfig),
    ) -> Node {
        let channel = containerd.connect();
        let client = Client::new(channel.clone(), "k8s.io").unwrap();
        let cri = Client::cri(channel, client.deadlines());
        let store = ImageStore::new(
            client,
            StoreConfig {
                address: "in memory".into(),
                snapshotter: "overlayfs".into(),
                platform: PlatformMatcher::host(),
                instance: instance.into(),
                boot: "the only one".into(),
                now,
                resume_within: Duration::ZERO,
            },
        );
        let dialled = registry.clone();
        let dialer = Dialer::new(tower::service_fn(move |uri: http::Uri| {
            let stream = dialled.dial(uri.authority().map_or("", |authority| authority.as_str()));
            std::future::ready(Ok::<BoxedIo, io::Error>(Box::new(stream)))
        }));
        let mut config = ClientConfig { config_path: Vec::new(), ..ClientConfig::default() };
        let mut unpack = UnpackConfig::default();
        change(&mut config, &mut unpack);
        let registry_client = registry::Client::new(config, dialer);
        let puller = Puller::new(store.clone(), registry_client, PullerConfig { cri: Some(cri), unpack });
        let follower = tokio::spawn({
            let store = store.clone();
            async move { store.run().await }
        });
        let node = Node { containerd, registry, store, puller, follower };
        node.until_ready().await;
        node
    }

    pub(crate) async fn until_ready(&self) {
        let mut readiness = self.store.readiness();
        let ready = readiness.wait_for(|state| *state == Readiness::Ready);
        if tokio::time::timeout(Duration::from_secs(60), ready).await.is_err() {
            panic!("not ready: {:?}", *self.store.readiness().borrow());
        }
    }

    /// Ends the daemon's own tasks as a kill would: nothing is cleaned up.
    pub(crate) fn kill(self) -> (Containerd, Registry) {
        (self.containerd.clone(), self.registry.clone())
    }

    pub(crate) async fn pull(&self, image: &str) -> Result<Pulled, Arc<PullError>> {
        self.puller.pull(&Reference::parse(image).unwrap(), &Credentials::anonymous()).await
    }

    pub(crate) async fn pull_as(
        &self,
        image: &str,
        user: &str,
        password: &str,
    ) -> Result<Pulled, Arc<PullError>> {
        let reference = Reference::parse(image).unwrap();
        let auth = AuthConfig { username: user, password, ..AuthConfig::default() };
        let credentials = Credentials::from_auth_config(&auth, reference.registry()).unwrap();
        self.puller.pull(&reference, &credentials).await
    }

    pub(crate) fn inventory(&self) -> Inventory {
        self.containerd.inventory("k8s.io")
    }

    /// Waits until nothing runs: on a paused clock a timer fires only then.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Containerd holds nothing at all, after a collection.
    #[track_caller]
    pub(crate) fn assert_empty(&self) {
        self.containerd.collect();
        assert_eq!(self.inventory(), Inventory::default());
    }

    /// No lease, ingest or active snapshot outlives the pulls.
    #[track_caller]
    pub(crate) fn assert_at_rest(&self) {
        let inventory = self.inventory();
        assert!(inventory.leases.is_empty(), "{:?}", inventory.leases);
        assert!(inventory.ingests.is_empty(), "{:?}", inventory.ingests);
        let active = inventory.snapshots.keys().filter(|(_, key)| key.starts_with("extract-")).count();
        assert_eq!(active, 0, "{:?}", inventory.snapshots);
    }
}

/// An image of two layers whose bytes depend on `seed` above a base that is shared by all.
pub(crate) fn image(seed: u64) -> Image {
    let base = Layer::new([File::directory("etc"), File::regular("etc/os", "base")], Compression::Gzip);
    let top = Layer::random("top", 40_000, seed, Compression::Gzip);
    ImageBuilder::new().layer(base).layer(top).user("1000:1000").build()
}

/// `localhost:5000/name`.
pub(crate) fn on_host(name: &str) -> String {
    format!("{HOST}/{name}")
}
