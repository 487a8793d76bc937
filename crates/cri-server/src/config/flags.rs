//! The flags of `cri-imaged serve` that set configuration keys.

use std::path::PathBuf;

use super::key::{KEYS, Key};

/// What the command line says about the configuration. A flag wins over the file; a value is checked as in the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Configuration file [default: /etc/cri-imaged/config.toml, where it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Socket to serve (key `socket`)
    #[arg(long, value_name = "PATH")]
    pub socket: Option<String>,
    /// containerd's socket (key `containerd.address`)
    #[arg(long, value_name = "PATH")]
    pub containerd_address: Option<String>,
    /// containerd's namespace (key `containerd.namespace`)
    #[arg(long, value_name = "NAME")]
    pub containerd_namespace: Option<String>,
    /// Snapshotter to unpack with (key `containerd.snapshotter`)
    #[arg(long, value_name = "NAME")]
    pub containerd_snapshotter: Option<String>,
    /// Socket of containerd's CRI plugin, "" to not ask it (key `containerd.cri_address`)
    #[arg(long, value_name = "PATH")]
    pub containerd_cri_address: Option<String>,
    /// Directories of hosts.toml files, with `:` between them (key `registry.config_path`)
    #[arg(long, value_name = "PATHS")]
    pub registry_config_path: Option<String>,
    /// Loopback address for metrics and health, "" for none (key `metrics.address`)
    #[arg(long, value_name = "IP:PORT")]
    pub metrics_address: Option<String>,
}

impl Flags {
    /// The keys that are set, and to what.
    pub(super) fn values(&self) -> impl Iterator<Item = (&'static Key, &str)> {
        KEYS.iter().filter_map(|key| Some((key, self.value(key.flag)?)))
    }

    fn value(&self, flag: &str) -> Option<&str> {
        let value = match flag {
            "--socket" => &self.socket,
            "--containerd-address" => &self.containerd_address,
            "--containerd-namespace" => &self.containerd_namespace,
            "--containerd-snapshotter" => &self.containerd_snapshotter,
            "--containerd-cri-address" => &self.containerd_cri_address,
            "--registry-config-path" => &self.registry_config_path,
            "--metrics-address" => &self.metrics_address,
            _ => unreachable!(
                "a key without its flag; `config::every_key_is_a_flag` holds the two lists together"
            ),
        };
        value.as_deref()
    }
}
