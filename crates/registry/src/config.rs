//! What a client is told about its node: where `certs.d` lies, limits of waiting, proxies.

use std::path::PathBuf;
use std::time::Duration;

use crate::proxy::Proxies;

/// Configuration of a [`Client`](crate::Client).
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Roots of the `certs.d` trees, searched in order; a registry's directory in the first root that has one counts.
    /// Default: containerd's on Linux, `/etc/containerd/certs.d` and `/etc/docker/certs.d`.
    pub config_path: Vec<PathBuf>,
    /// Limit for one connect, name lookup included, where the host's `dial_timeout` says nothing. Default 30 s.
    pub dial_timeout: Duration,
    /// Limit from a request to the headers of its response, beside the time that connecting may take. Default 30 s.
    pub header_timeout: Duration,
    /// Longest time without a byte inside a response's body. Default 30 s; a blob is then asked for again from where
    /// it stopped, as often as its retries allow.
    pub stall_timeout: Duration,
    /// Proxies of this node. Default: none; the daemon passes [`Proxies::from_env`].
    pub proxies: Proxies,
    /// Whether Docker schema 1 manifests are given to the caller, who must convert them; else they are refused by name.
    /// Default true.
    pub schema1: bool,
    /// Seed of the jitter in backoff, so that a simulated run can be repeated. Default 0; the daemon passes entropy.
    pub jitter_seed: u64,
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig {
            config_path: ClientConfig::split_config_path("/etc/containerd/certs.d:/etc/docker/certs.d"),
            dial_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
            proxies: Proxies::none(),
            schema1: true,
            jitter_seed: 0,
        }
    }
}

impl ClientConfig {
    /// Splits containerd's `config_path`, a list separated by `:`; an empty text is no root at all.
    ///
    /// ```
    /// use registry::ClientConfig;
    ///
    /// assert_eq!(ClientConfig::split_config_path("/etc/a:/etc/b").len(), 2);
    /// assert!(ClientConfig::split_config_path("").is_empty());
    /// ```
    pub fn split_config_path(list: &str) -> Vec<PathBuf> {
        list.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect()
    }
}
