//! One pull's view of a registry: its hosts, the caller's credentials, and what was learnt on the way.

use std::fmt;
use std::sync::Arc;

use auth::Credentials;
use refparse::Reference;

use crate::authorizer::Authorizer;
use crate::client::Shared;
use crate::config::ClientConfig;
use crate::endpoint::Endpoint;
use crate::hosts::{self, ConfigError, Host};
use crate::settings::Fallback;

/// One pull's view of the hosts that serve a reference; clones share it.
#[derive(Clone)]
pub struct Session(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) reference: Reference,
    pub(crate) authorizer: Authorizer,
    pub(crate) endpoints: Result<Vec<Arc<Endpoint>>, Arc<ConfigError>>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, reference: &Reference, credentials: &Credentials) -> Session {
        let endpoints = endpoints(&shared, reference.registry()).map_err(Arc::new);
        let credentials = within_domain(&shared.config, reference.registry(), credentials);
        let authorizer = Authorizer::new(credentials, reference);
        Session(Arc::new(Inner { shared, reference: reference.clone(), authorizer, endpoints }))
    }

    /// The hosts that will be asked, in order.
    ///
    /// # Errors
    /// What is wrong with the registry's `certs.d` directory.
    pub fn hosts(&self) -> Result<Vec<&Host>, Arc<ConfigError>> {
        let endpoints = self.0.endpoints.as_ref().map_err(Arc::clone)?;
        Ok(endpoints.iter().map(|endpoint| &endpoint.host).collect())
    }
}

fn endpoints(shared: &Shared, registry: &str) -> Result<Vec<Arc<Endpoint>>, ConfigError> {
    let mut planned = hosts::plan(&shared.config.config_path, registry)?;
    if shared.config.settings(registry).is_some_and(|settings| settings.fallback == Fallback::Never) {
        planned = hosts::mirrors_only(planned, registry)?;
    }
    let endpoint = |(position, host): (usize, Host)| {
        let transport = shared.transport(&host);
        Arc::new(Endpoint::new(position, host, transport))
    };
    Ok(planned.into_iter().enumerate().map(endpoint).collect())
}

/// The caller's credentials for `registry` are also for the hosts that its `credential_domain` names, unless the caller
/// has others for them.
pub(crate) fn within_domain(config: &ClientConfig, registry: &str, credentials: &Credentials) -> Credentials {
    let (Some(settings), Some(credential)) = (config.settings(registry), credentials.for_host(registry))
    else {
        return credentials.clone();
    };
    let mut extended = credentials.clone();
    for host in settings.credential_domain.iter().map(ToString::to_string) {
        if credentials.for_host(&host).is_none() {
            extended = extended.with(&host, credential.clone()).unwrap_or_default();
        }
    }
    extended
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("reference", &self.0.reference)
            .field("hosts", &self.hosts())
            .finish_non_exhaustive()
    }
}
