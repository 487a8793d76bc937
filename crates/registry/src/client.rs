//! What all pulls share: connection pools, one for each set of connection settings, and tokens.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use auth::Credentials;
use refparse::Reference;
use tokio::sync::Semaphore;

use crate::body::Pace;
use crate::config::ClientConfig;
use crate::connector::Connector;
use crate::dialer::Dialer;
use crate::health::Hosts;
use crate::hosts::{self, ConfigError, Host};
use crate::retry::Jitter;
use crate::session::Session;
use crate::tls::{LazyTls, SystemRoots};
use crate::tokens::Tokens;
use crate::transport::Transport;

/// Most connection pools kept. One for each set of certificates and dial timeout in `certs.d`, so a handful in practice;
/// rotated certificates leave old ones behind, which this bounds.
const TRANSPORTS_MAX: usize = 64;

/// A registry client; clones share connections and tokens.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: ClientConfig,
    pub(crate) tokens: Tokens,
    pub(crate) jitter: Jitter,
    pub(crate) hosts: Hosts,
    /// Permits for ranges in memory.
    pub(crate) ahead: Arc<Semaphore>,
    /// Permits for the big blobs of all hosts.
    pub(crate) streams: Arc<Semaphore>,
    dialer: Dialer,
    roots: SystemRoots,
    transports: Mutex<BTreeMap<TransportKey, Transport>>,
}

/// Certificates, dial timeout, and the host where that has a proxy of its own.
type TransportKey = ([u8; 32], Duration, Option<String>);

impl Client {
    /// A client that reaches hosts through `dialer`. The system's root certificates are read at the first
    /// https connection, and again at one after they have changed.
    pub fn new(config: ClientConfig, dialer: Dialer) -> Client {
        Client(Arc::new(Shared {
            tokens: Tokens::default(),
            jitter: Jitter::new(config.jitter_seed),
            hosts: Hosts::default(),
            ahead: Arc::new(Semaphore::new(config.ranges.ahead_max)),
            streams: Arc::new(Semaphore::new(config.streams.get())),
            dialer,
            roots: SystemRoots::new(config.system_roots.clone()),
            transports: Mutex::default(),
            config,
        }))
    }

    /// One pull's view of the hosts that serve `reference`, asked with `credentials`.
    ///
    /// Reads the registry's `certs.d` directory now: a few small local files, so a change of them takes effect with the
    /// next pull. An error in them is reported by the session's first use.
    pub fn session(&self, reference: &Reference, credentials: &Credentials) -> Session {
        Session::new(Arc::clone(&self.0), reference, credentials)
    }

    /// The directory in `certs.d` that configures `registry`, if there is one.
    ///
    /// # Errors
    /// [`ConfigError::Read`].
    pub fn hosts_directory(&self, registry: &str) -> Result<Option<PathBuf>, ConfigError> {
        hosts::find(&self.0.config.config_path, registry)
    }
}

impl Shared {
    /// The pace that every body must keep.
    pub(crate) fn pace(&self) -> Pace {
        Pace::new(self.config.stall_timeout, self.config.stall_bytes)
    }

    /// The pool for `host`'s settings, made at the first need.
    pub(crate) fn transport(&self, host: &Host) -> Transport {
        let dial_timeout = host.dial_timeout.unwrap_or(self.config.dial_timeout);
        let own_way = self.config.settings(&host.authority).is_some_and(|settings| settings.proxy.is_some());
        let key = (host.tls.fingerprint(), dial_timeout, own_way.then(|| host.authority.clone()));
        let mut transports = self.transports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = transports.get(&key) {
            return transport.clone();
        }
        let connector = self.connector(host);
        let transport = Transport::new(connector, self.config.header_timeout);
        if transports.len() >= TRANSPORTS_MAX {
            // Sessions hold their own handles; what is dropped here is only no longer shared with new ones.
            transports.clear();
        }
        transports.insert(key, transport.clone());
        transport
    }

    /// What connects to `host`, without a pool.
    pub(crate) fn connector(&self, host: &Host) -> Connector {
        Connector {
            dialer: self.dialer.clone(),
            tls: Arc::new(LazyTls::new(host.tls.clone(), self.roots.clone())),
            proxies: self.config.proxies(&host.authority),
            dial_timeout: host.dial_timeout.unwrap_or(self.config.dial_timeout),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.0.config).finish_non_exhaustive()
    }
}
