//! What a pull would do with each host, in words and paths that an operator can check. Shows no secret; asks nobody.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auth::Credentials;

use crate::endpoint::Endpoint;
use crate::hosts::{Capabilities, ClientPair, ConfigError, Scheme};
use crate::node::{CredentialSource, CredentialSourceError};
use crate::session::Session;
use crate::settings::RegistrySettings;

/// One host as a pull would ask it.
#[derive(Debug)]
pub struct PlannedHost {
    /// `host` or `host:port` as dialled.
    pub name: String,
    /// What would be asked for first, with the scheme that is tried first.
    pub url: String,
    /// Whether it is asked on behalf of the registry, as a mirror is (`?ns=`).
    pub is_mirror: bool,
    /// What it may be asked for.
    pub capabilities: Capabilities,
    /// Whether these are enough for the reference: a tag must be resolved, a digest only be pulled.
    pub may_resolve: bool,
    /// Which protocols are tried.
    pub scheme: Scheme,
    /// Files with certificates that are trusted beside the system's.
    pub ca: Vec<PathBuf>,
    /// Client certificates.
    pub client: Vec<ClientPair>,
    /// Whether any certificate is taken.
    pub skip_verify: bool,
    /// Names of the configured headers.
    pub headers: Vec<String>,
    /// Limit for connecting.
    pub dial_timeout: Duration,
    /// The proxy for the URL, without user information.
    pub proxy: Option<String>,
    /// Whether the caller's credentials for the registry are shown to it.
    pub takes_callers_credentials: bool,
    /// Where the node's own credentials are, for when the caller has none.
    pub credentials: Option<CredentialSource>,
    /// Why these cannot be used.
    pub credentials_problem: Option<CredentialSourceError>,
}

impl Session {
    /// What a pull would do with each host, in order. Reads files with credentials and forgets them; runs no program.
    ///
    /// # Errors
    /// What is wrong with the registry's `certs.d` directory, or that nobody may be asked.
    pub fn plan(&self) -> Result<Vec<PlannedHost>, Arc<ConfigError>> {
        let endpoints = self.0.endpoints.as_ref().map_err(Arc::clone)?;
        Ok(endpoints.iter().map(|endpoint| self.planned(endpoint)).collect())
    }

    fn planned(&self, endpoint: &Endpoint) -> PlannedHost {
        let (host, config) = (&endpoint.host, &self.0.shared.config);
        // Longer than a URL may be is what no pull asks for either.
        let url = host.url(&self.0.manifest_path(), false).ok();
        let (credentials, credentials_problem) = self.node_credentials(endpoint);
        PlannedHost {
            name: host.name().to_owned(),
            proxy: url.as_ref().and_then(|url| config.proxies(host.name()).shown(url.uri())),
            url: url.map_or_else(|| host.base(), |url| url.uri().to_string()),
            is_mirror: host.mirror_of.is_some(),
            capabilities: host.capabilities,
            may_resolve: host.capabilities.has(self.0.resolving()),
            scheme: host.scheme,
            ca: host.ca.clone(),
            client: host.client.clone(),
            skip_verify: host.tls.skip_verify,
            headers: host.header.keys().map(ToString::to_string).collect(),
            dial_timeout: host.dial_timeout.unwrap_or(config.dial_timeout),
            takes_callers_credentials: self.takes_callers(endpoint),
            credentials,
            credentials_problem,
        }
    }

    /// Tried out with credentials of nobody: the rule is in one place only.
    fn takes_callers(&self, endpoint: &Endpoint) -> bool {
        let registry = self.0.reference.registry();
        let nobody = auth::AuthConfig { username: "nobody", ..auth::AuthConfig::default() };
        let Ok(credentials) = Credentials::from_auth_config(&nobody, registry) else { return false };
        let extended = crate::session::within_domain(&self.0.shared.config, registry, &credentials);
        extended.for_host(endpoint.host.name()).is_some()
    }

    fn node_credentials(
        &self,
        endpoint: &Endpoint,
    ) -> (Option<CredentialSource>, Option<CredentialSourceError>) {
        let config = &self.0.shared.config;
        let Ok(host) = auth::Host::parse(endpoint.host.name()) else { return (None, None) };
        let Some((owner, source)) = config.credentials_for(&host, true, self.0.reference.registry()) else {
            return (None, None);
        };
        (Some(source.clone()), source.check(&owner, &config.helper_path).err())
    }

    /// What is configured for the reference's registry beyond `certs.d`.
    pub fn settings(&self) -> RegistrySettings {
        self.0.shared.config.settings(self.0.reference.registry()).cloned().unwrap_or_default()
    }
}
