//! Makes the image service out of the configuration. The one place where the parts of the daemon meet.

use std::time::SystemTime;

use containerd::{Client, NamespaceError, unix_channel};
use imagestore::{ImageStore, Readiness, StoreConfig};
use oci::PlatformMatcher;
use puller::{Puller, PullerConfig, UnpackConfig};
use registry::{ClientConfig, Dialer, Proxies, Ranges};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::config::{self, Config, RegistryConfig, Schema1};
use crate::metrics::Metrics;
use crate::service::Service;

/// A service, what it says of itself, and the task that keeps its index true.
pub(crate) struct Assembled {
    pub(crate) service: Service,
    pub(crate) readiness: watch::Receiver<Readiness>,
    _follower: AbortOnDropHandle<()>,
}

/// The service that `config` describes. containerd need not be there yet.
///
/// # Errors
/// [`NamespaceError`] for a namespace that containerd would refuse.
pub(crate) fn assemble(config: &Config, metrics: &Metrics) -> Result<Assembled, NamespaceError> {
    let client = Client::new(unix_channel(&config.containerd.address), &config.containerd.namespace)?
        .with_bulk(unix_channel(&config.containerd.address));
    let cri =
        config.containerd.cri_address().map(|address| Client::cri(unix_channel(address), client.deadlines()));
    let store = ImageStore::new(
        client,
        StoreConfig {
            address: config.containerd.address.display().to_string(),
            snapshotter: config.containerd.snapshotter.clone(),
            platform: PlatformMatcher::host(),
            instance: format!("{:016x}", rand::random::<u64>()),
            boot: boot_id(),
            now: wall_clock,
            resume_within: config.pull.resume_within,
        },
    );
    let registry = registry::Client::new(registry_config(&config.registry), Dialer::tcp());
    let puller =
        Puller::new(store.clone(), registry, PullerConfig { cri, unpack: unpack_config(&config.unpack) });
    let readiness = store.readiness();
    let follower = AbortOnDropHandle::new(tokio::spawn({
        let store = store.clone();
        async move { store.run().await }
    }));
    let service = Service::new(store, puller, metrics.clone(), wall_clock);
    Ok(Assembled { service, readiness, _follower: follower })
}

/// The id of the machine's boot. Where the kernel does not tell it, no two processes have the same, so that none uses what
/// another left.
fn boot_id() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    told.map_or_else(|_| format!("{:032x}", rand::random::<u128>()), |id| id.trim().to_owned())
}

fn unpack_config(config: &config::UnpackConfig) -> UnpackConfig {
    let default = UnpackConfig::default();
    UnpackConfig {
        method: config.method,
        layers: config.layers,
        workers: config.workers.unwrap_or(default.workers),
        niceness: config.niceness,
        ..default
    }
}

pub(crate) fn registry_config(config: &RegistryConfig) -> ClientConfig {
    let default = ClientConfig::default();
    let network = config.network;
    let path = std::env::var_os("PATH").filter(|path| !path.is_empty());
    ClientConfig {
        config_path: config.config_path.clone(),
        registries: config.hosts.clone(),
        helper_path: path.map_or(default.helper_path, |path| std::env::split_paths(&path).collect()),
        schema1: config.schema1 == Schema1::Convert,
        dial_timeout: network.dial_timeout,
        header_timeout: network.header_timeout,
        stall_timeout: network.stall_timeout,
        stall_bytes: network.stall_bytes,
        ranges: Ranges { width_max: network.range_width, ..default.ranges },
        streams_per_host: network.streams_per_host,
        streams: network.streams,
        proxies: Proxies::from_env(),
        jitter_seed: rand::random(),
        ..ClientConfig::default()
    }
}

/// Wall time: the expiry of leases and the timestamps of `ImageFsInfo` are read by others.
#[expect(clippy::disallowed_methods, reason = "the one place of the daemon that reads wall time")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
