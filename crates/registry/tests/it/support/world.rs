//! A network, a `certs.d` tree and a client over both.

use std::fs;
use std::time::Duration;

use auth::Credentials;
use refparse::Reference;
use registry::{Client, ClientConfig, Dialer, Session};
use tempfile::TempDir;

use super::Network;

/// What one test needs.
pub(crate) struct World {
    pub(crate) network: Network,
    certs_d: TempDir,
    client: Client,
}

/// Long enough to be told from every other wait.
pub(crate) const STALL: Duration = Duration::from_secs(20);

impl World {
    /// Nothing configured: every registry is its own host, by https.
    pub(crate) fn bare() -> World {
        World::configured(|_config| {}, None)
    }

    /// The registry `r.test` is served by plain http at `r.test:80`.
    pub(crate) fn new() -> World {
        World::bare().hosts("r.test", "server = \"http://r.test\"")
    }

    pub(crate) fn configured(change: impl FnOnce(&mut ClientConfig), dialer: Option<Dialer>) -> World {
        let certs_d = tempfile::tempdir().unwrap();
        let network = Network::default();
        let mut config = ClientConfig {
            config_path: vec![certs_d.path().to_owned()],
            stall_timeout: STALL,
            jitter_seed: 1,
            ..ClientConfig::default()
        };
        change(&mut config);
        let client = Client::new(config, dialer.unwrap_or_else(|| network.dialer()));
        World { network, certs_d, client }
    }

    /// The same with the servers of `network`, for a dialer that has them already.
    pub(crate) fn on(mut self, network: Network) -> World {
        self.network = network;
        self
    }

    /// Writes `hosts.toml` for a registry.
    pub(crate) fn hosts(self, registry: &str, text: &str) -> World {
        self.file(registry, "hosts.toml", text)
    }

    /// Writes a file in a registry's directory.
    pub(crate) fn file(self, registry: &str, name: &str, text: &str) -> World {
        let directory = self.certs_d.path().join(registry);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(name), text).unwrap();
        self
    }

    pub(crate) fn session(&self, reference: &str) -> Session {
        self.session_as(reference, &Credentials::anonymous())
    }

    pub(crate) fn session_as(&self, reference: &str, credentials: &Credentials) -> Session {
        self.client.session(&Reference::parse(reference).unwrap(), credentials)
    }
}
