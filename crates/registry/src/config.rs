//! What a client is told about its node: where `certs.d` lies, limits of waiting, proxies, settings of single hosts.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use auth::Host;

use crate::hosts;
use crate::node::CredentialSource;
use crate::proxy::Proxies;
use crate::settings::{Fallback, ProxySetting, Registries, RegistrySettings};
use crate::tls::RootFiles;

/// systemd's default for services (systemd.exec(5), `$PATH`).
const HELPER_PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Configuration of a [`Client`](crate::Client).
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Roots of the `certs.d` trees, searched in order; a registry's directory in the first root that has one counts.
    /// Default: containerd's on Linux, `/etc/containerd/certs.d` and `/etc/docker/certs.d`.
    pub config_path: Vec<PathBuf>,
    /// Limit for one connect, name lookup included, where the host's `dial_timeout` says nothing. Default 30 s; zero is
    /// none but the system's own.
    pub dial_timeout: Duration,
    /// Limit from a request to the headers of its response, beside the time that connecting may take. Default 30 s; zero
    /// is none.
    pub header_timeout: Duration,
    /// Time in which [`stall_bytes`](ClientConfig::stall_bytes) of a response's body have to come. Default 30 s; zero is
    /// any. A blob that is slower is asked for again from where it stopped, as often as its retries allow.
    pub stall_timeout: Duration,
    /// Fewest bytes in that time. Default 64 KiB: 2 KiB a second. Zero and one mean that any byte will do.
    pub stall_bytes: u64,
    /// How a big blob is fetched by several requests at the same time.
    pub ranges: Ranges,
    /// Blobs of more than [`SMALL_BLOB_BYTES`](ClientConfig::SMALL_BLOB_BYTES) that come from one host at the same time;
    /// more wait. Documents and smaller blobs do not. Default 32.
    pub streams_per_host: NonZeroUsize,
    /// The same for all hosts together. Default 96.
    pub streams: NonZeroUsize,
    /// Proxies of this node. Default: none; the daemon passes [`Proxies::from_env`].
    pub proxies: Proxies,
    /// Where the certificates lie that every https host is verified with. Default: the system's.
    pub system_roots: RootFiles,
    /// What is configured for single registries and mirrors beyond `certs.d`. Default: nothing.
    pub registries: Registries,
    /// Directories in which credential helpers are looked for; relative ones are passed over. Default: those of a
    /// system service, `/usr/local/sbin` to `/bin`; the daemon passes its `PATH`.
    pub helper_path: Vec<PathBuf>,
    /// Whether Docker schema 1 manifests are given to the caller, who must convert them; else they are refused by name.
    /// Default true.
    pub schema1: bool,
    /// Seed of the jitter in backoff, so that a simulated run can be repeated. Default 0; the daemon passes entropy.
    pub jitter_seed: u64,
}

/// How a big blob is fetched by several requests at the same time. What comes before its turn is kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranges {
    /// Bytes of one range that is fetched ahead, at most; those of smaller blobs are shorter. Default 4 MiB.
    pub bytes: u64,
    /// Most requests for one blob at the same time; 1 is one after the other. Default 8.
    pub width_max: NonZeroUsize,
    /// Most ranges of all blobs together that are in memory, so that they hold no more than `ahead_max` × `bytes`.
    /// Default 8.
    pub ahead_max: usize,
}

impl Default for Ranges {
    fn default() -> Ranges {
        let width_max = NonZeroUsize::new(8).expect("8 is not zero");
        Ranges { bytes: 4 << 20, width_max, ahead_max: 8 }
    }
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig {
            config_path: ClientConfig::split_config_path("/etc/containerd/certs.d:/etc/docker/certs.d"),
            dial_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
            stall_bytes: 64 << 10,
            ranges: Ranges::default(),
            streams_per_host: NonZeroUsize::new(32).expect("32 is not zero"),
            streams: NonZeroUsize::new(96).expect("96 is not zero"),
            proxies: Proxies::none(),
            system_roots: RootFiles::system(),
            registries: Registries::new(),
            helper_path: HELPER_PATH.iter().map(PathBuf::from).collect(),
            schema1: true,
            jitter_seed: 0,
        }
    }
}

impl ClientConfig {
    /// What counts as a small blob, 1 MiB.
    pub const SMALL_BLOB_BYTES: u64 = 1 << 20;

    /// What is configured for `host`, a registry's name or a host that is dialled.
    pub(crate) fn settings(&self, host: &str) -> Option<&RegistrySettings> {
        self.registries.get(&Host::parse(host).ok()?)
    }

    /// Whether `host` may be asked in a pull from `registry`: not the registry itself where only mirrors may be.
    pub(crate) fn may_dial(&self, host: &str, registry: &str) -> bool {
        let mirrors_only =
            self.settings(registry).is_some_and(|settings| settings.fallback == Fallback::Never);
        !mirrors_only || Host::parse(host) != Host::parse(registry)
    }

    /// Whose credentials of this node may go to `host` in a pull from `registry`, and where they are: those configured
    /// for the host itself, where it was chosen here (`is_dialled`); else the registry's where its domain names the host.
    ///
    /// A host that a peer named gets none by being named: neither a redirect nor a challenge makes this node show what it
    /// has for another registry.
    pub(crate) fn credentials_for(
        &self,
        host: &Host,
        is_dialled: bool,
        registry: &str,
    ) -> Option<(Host, &CredentialSource)> {
        let source_of = |host: &Host| self.registries.get(host)?.credentials.as_ref();
        if let Some(source) = source_of(host).filter(|_| is_dialled) {
            return Some((host.clone(), source));
        }
        let registry = Host::parse(registry).ok()?;
        let domain = &self.registries.get(&registry)?.credential_domain;
        let source = source_of(&registry).filter(|_| domain.contains(host))?;
        Some((registry, source))
    }

    /// The proxies for requests to `host` and to where it leads.
    pub(crate) fn proxies(&self, host: &str) -> Proxies {
        match self.settings(host).and_then(|settings| settings.proxy.as_ref()) {
            None => self.proxies.clone(),
            Some(ProxySetting::Direct) => Proxies::none(),
            Some(ProxySetting::Through(proxy)) => Proxies::through(proxy),
        }
    }

    /// Reads a duration as Go and `hosts.toml` write it, `1m30s`; `None` for what is none, negative or beyond a year.
    ///
    /// ```
    /// use std::time::Duration;
    /// use registry::ClientConfig;
    ///
    /// assert_eq!(ClientConfig::parse_duration("1.5s"), Some(Duration::from_millis(1500)));
    /// assert_eq!(ClientConfig::parse_duration("30"), None);
    /// ```
    pub fn parse_duration(text: &str) -> Option<Duration> {
        hosts::parse_duration(text)
    }

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
