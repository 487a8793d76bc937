//! The product between containerd and registry, as its daemon puts it together.

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
use sim::containerd::Containerd;
use sim::registry::Registry;
use sim::schedule::{Gate, Link};
use tokio::task::JoinHandle;

/// Longest simulated time that a daemon may need to know containerd's images.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// One process of the product. Dropped or [killed](Daemon::kill), it is gone at once: nothing that it had begun goes on
/// from its side.
#[derive(Debug)]
pub struct Daemon {
    store: ImageStore,
    puller: Puller,
    link: Link,
    follower: JoinHandle<()>,
}

/// A wall clock that stands still: only the expiry of leases reads it.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

impl Daemon {
    /// Starts the daemon called `name`, which is also its client name at the gate, in the machine's boot `boot`. It keeps
    /// interrupted pulls for `resume_within`.
    pub fn start(
        name: &str,
        boot: &str,
        resume_within: Duration,
        gate: &Gate,
        containerd: &Containerd,
        registry: &Registry,
    ) -> Daemon {
        let link = Link::new(name, gate);
        let channel = link.containerd(containerd);
        let client = Client::new(channel.clone(), "k8s.io").expect("a namespace that containerd takes");
        let client = client.with_bulk(link.containerd(containerd));
        let cri = Client::cri(channel, client.deadlines());
        let config = StoreConfig {
            address: "in memory".into(),
            snapshotter: "overlayfs".into(),
            platform: PlatformMatcher::host(),
            instance: name.into(),
            boot: boot.into(),
            now,
            resume_within,
        };
        let store = ImageStore::new(client, config);
        let (dialled, through) = (registry.clone(), link.clone());
        let dialer = Dialer::new(tower::service_fn(move |uri: http::Uri| {
            let host = uri.authority().map_or("", |authority| authority.as_str());
            let stream = through.dial_registry(&dialled, host).map(|stream| Box::new(stream) as BoxedIo);
            std::future::ready::<Result<BoxedIo, io::Error>>(stream)
        }));
        let config = ClientConfig { config_path: Vec::new(), ..ClientConfig::default() };
        let client = registry::Client::new(config, dialer);
        let puller = Puller::new(
            store.clone(),
            client,
            // The layers of scenarios are small: where containerd has files, they go there.
            PullerConfig {
                cri: Some(cri),
                unpack: UnpackConfig { file_bytes_min: 0, ..UnpackConfig::default() },
            },
        );
        let follower = tokio::spawn({
            let store = store.clone();
            async move { store.run().await }
        });
        Daemon { store, puller, link, follower }
    }

    /// Waits until it knows containerd's images.
    ///
    /// # Errors
    /// What it waits for, where that takes longer than a simulated minute.
    pub async fn until_ready(&self) -> Result<(), String> {
        let mut readiness = self.store.readiness();
        let ready = readiness.wait_for(|state| *state == Readiness::Ready);
        match tokio::time::timeout(READY_WITHIN, ready).await {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("{:?}", *self.store.readiness().borrow())),
        }
    }

    /// Its image store.
    pub fn store(&self) -> &ImageStore {
        &self.store
    }

    /// Its puller.
    pub fn puller(&self) -> &Puller {
        &self.puller
    }

    /// Pulls without credentials.
    ///
    /// # Errors
    /// The pull's own.
    ///
    /// # Panics
    /// Where `image` is no reference.
    pub async fn pull(&self, image: &str) -> Result<Pulled, Arc<PullError>> {
        self.pull_as(image, "", "").await
    }

    /// Pulls with user name and password.
    ///
    /// # Errors
    /// The pull's own.
    ///
    /// # Panics
    /// Where `image` is no reference.
    pub async fn pull_as(&self, image: &str, user: &str, password: &str) -> Result<Pulled, Arc<PullError>> {
        pull_with(&self.puller, image, user, password).await
    }

    /// Ends it as SIGKILL would.
    pub fn kill(self) {
        self.link.cut();
    }
}

/// Pulls with user name and password, by handles that may outlive the daemon.
pub(crate) async fn pull_with(
    puller: &Puller,
    image: &str,
    user: &str,
    password: &str,
) -> Result<Pulled, Arc<PullError>> {
    let reference = Reference::parse(image).expect("a scenario's references parse");
    let auth = AuthConfig { username: user, password, ..AuthConfig::default() };
    let credentials = Credentials::from_auth_config(&auth, reference.registry())
        .expect("a scenario's credentials are good");
    puller.pull(&reference, &credentials).await
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.follower.abort();
        self.link.cut();
    }
}
