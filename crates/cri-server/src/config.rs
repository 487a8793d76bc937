//! The daemon's configuration: typed, with defaults that fit a stock node.
//!
//! Owns what the keys mean and what they may be. The file and the flags that set them are read in the private modules
//! below; every fault in either is collected, so that an operator mends all of them at once.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use puller::{Layers, Method};
use registry::{ClientConfig, Registries};

pub use flags::Flags;
pub use load::DEFAULT_FILE;
pub use problem::{BadValue, ConfigErrors, Fault, Origin, Problem};

mod document;
mod flags;
mod host;
mod key;
mod load;
mod nearest;
mod problem;
mod value;

/// A configuration file with every key, its meaning and its default: what `cri-imaged config default` prints.
pub const DEFAULT_TOML: &str = include_str!("config/default.toml");

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The socket that is served. Absolute, at most 107 bytes; default `/run/cri-imaged/cri-imaged.sock`.
    pub socket: PathBuf,
    /// The containerd that keeps the images.
    pub containerd: ContainerdConfig,
    /// Where images come from.
    pub registry: RegistryConfig,
    /// What becomes of pulls that do not end.
    pub pull: PullConfig,
    /// How layers become snapshots.
    pub unpack: UnpackConfig,
    /// What is told about the daemon.
    pub metrics: MetricsConfig,
}

/// The containerd that keeps the images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerdConfig {
    /// Its socket. Absolute, at most 107 bytes; default `/run/containerd/containerd.sock`.
    pub address: PathBuf,
    /// The containerd namespace of all records. 1 to 76 bytes; default `k8s.io`, which is the CRI plugin's.
    pub namespace: String,
    /// The snapshotter of all images. 1 to 76 bytes; default `overlayfs`.
    pub snapshotter: String,
    /// Whom to ask whether the CRI plugin sees an image; default [`CriAddress::SameAsContainerd`].
    pub cri: CriAddress,
}

impl ContainerdConfig {
    /// The socket of containerd's CRI plugin; `None` where it shall not be asked.
    pub fn cri_address(&self) -> Option<&Path> {
        match &self.cri {
            CriAddress::SameAsContainerd => Some(&self.address),
            CriAddress::Socket(path) => Some(path),
            CriAddress::Off => None,
        }
    }
}

/// The key `containerd.cri_address`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CriAddress {
    /// Left out: the plugin listens where containerd does, as it does unless someone cut them apart.
    SameAsContainerd,
    /// A socket of its own. Absolute, at most 107 bytes.
    Socket(PathBuf),
    /// `""`: pulls do not wait for the plugin.
    Off,
}

/// Where images come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryConfig {
    /// Directories of `<registry>/hosts.toml`, in order of precedence. Absolute; default containerd's own,
    /// `/etc/containerd/certs.d` and `/etc/docker/certs.d`.
    pub config_path: Vec<PathBuf>,
    /// What is set for single registries and mirrors, by host; default nothing.
    pub hosts: Registries,
    /// What becomes of Docker schema 1 manifests; default [`Schema1::Convert`].
    pub schema1: Schema1,
    /// How long and how much at the same time.
    pub network: NetworkConfig,
}

/// Limits of waiting, where zero is none, and of what comes at the same time; see [`registry::ClientConfig`], whose
/// defaults are these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    /// For one connect.
    pub dial_timeout: Duration,
    /// From a request to the beginning of its answer.
    pub header_timeout: Duration,
    /// In which `stall_bytes` have to come.
    pub stall_timeout: Duration,
    /// Fewest bytes in that time.
    pub stall_bytes: u64,
    /// Requests for one big layer.
    pub range_width: NonZeroUsize,
    /// Big layers from one host.
    pub streams_per_host: NonZeroUsize,
    /// Big layers from all hosts.
    pub streams: NonZeroUsize,
}

impl Default for NetworkConfig {
    fn default() -> NetworkConfig {
        let default = ClientConfig::default();
        NetworkConfig {
            dial_timeout: default.dial_timeout,
            header_timeout: default.header_timeout,
            stall_timeout: default.stall_timeout,
            stall_bytes: default.stall_bytes,
            range_width: default.ranges.width_max,
            streams_per_host: default.streams_per_host,
            streams: default.streams,
        }
    }
}

/// The key `registry.schema1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema1 {
    /// Their images are converted on pull, as containerd 1.x did.
    Convert,
    /// Their pulls fail.
    Reject,
}

/// What becomes of pulls that do not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullConfig {
    /// How long what an interrupted pull has brought stays for the next one, at most a day; zero: not at all; default an
    /// hour.
    pub resume_within: Duration,
}

/// How layers become snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpackConfig {
    /// Who writes the files of layers; default [`Method::Auto`].
    pub method: Method,
    /// What becomes of the compressed layers; default [`Layers::Keep`].
    pub layers: Layers,
    /// Pieces of work that run at the same time for all pulls together, at most 1024; default `None`, one a processor.
    pub workers: Option<NonZeroUsize>,
    /// Niceness of the threads that do it, 0 to 19; default 5: behind the node's pods, before its batch work.
    pub niceness: i32,
}

/// What is told about the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Where metrics and health are served, a loopback address; default `None`, nowhere, because a port that nobody
    /// asked for can clash with another daemon's.
    pub address: Option<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            socket: "/run/cri-imaged/cri-imaged.sock".into(),
            containerd: ContainerdConfig {
                address: "/run/containerd/containerd.sock".into(),
                namespace: "k8s.io".into(),
                snapshotter: "overlayfs".into(),
                cri: CriAddress::SameAsContainerd,
            },
            registry: RegistryConfig {
                config_path: vec!["/etc/containerd/certs.d".into(), "/etc/docker/certs.d".into()],
                hosts: Registries::new(),
                schema1: Schema1::Convert,
                network: NetworkConfig::default(),
            },
            pull: PullConfig { resume_within: Duration::from_secs(3600) },
            unpack: UnpackConfig { method: Method::Auto, layers: Layers::Keep, workers: None, niceness: 5 },
            metrics: MetricsConfig { address: None },
        }
    }
}
