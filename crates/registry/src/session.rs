//! One pull's view of a registry: its hosts, the caller's credentials, and what was learnt on the way.

use std::fmt;
use std::sync::Arc;

use auth::Credentials;
use oci::Descriptor;
use refparse::Reference;

use crate::authorizer::Authorizer;
use crate::blob::KnownPace;
use crate::client::Shared;
use crate::config::ClientConfig;
use crate::endpoint::Endpoint;
use crate::error::chain;
use crate::hosts::{self, ConfigError, Host};
use crate::retry::Budget;
use crate::url::RedactedUrl;

/// One pull's view of the hosts that serve a reference; clones share it.
#[derive(Clone)]
pub struct Session(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) reference: Reference,
    pub(crate) authorizer: Authorizer,
    pub(crate) budget: Arc<Budget>,
    pub(crate) pace: KnownPace,
    pub(crate) endpoints: Result<Vec<Arc<Endpoint>>, Arc<ConfigError>>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, reference: &Reference, credentials: &Credentials) -> Session {
        let endpoints = endpoints(&shared, reference.registry()).map_err(Arc::new);
        let credentials = within_domain(&shared.config, reference.registry(), credentials);
        let authorizer = Authorizer::new(credentials, reference);
        let (reference, budget, pace) = (reference.clone(), Arc::default(), KnownPace::default());
        Session(Arc::new(Inner { shared, reference, authorizer, budget, pace, endpoints }))
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
    if !shared.config.may_dial(registry, registry) {
        planned = hosts::mirrors_only(planned, registry)?;
    }
    Ok(planned.into_iter().enumerate().map(|(position, host)| endpoint(shared, position, host)).collect())
}

fn endpoint(shared: &Shared, position: usize, host: Host) -> Arc<Endpoint> {
    let transport = shared.transport(&host);
    let health = shared.hosts.at(host.base(), shared.config.streams_per_host.get());
    Arc::new(Endpoint::new(position, host, transport, health))
}

impl Inner {
    /// Where `descriptor` is to be had beside the registry: the URLs that it names, by https alone, after `position`
    /// hosts.
    pub(crate) fn foreign(&self, descriptor: &Descriptor, position: usize) -> Vec<Arc<Endpoint>> {
        let (config, registry) = (&self.shared.config, self.reference.registry());
        let urls = descriptor.urls.iter().filter_map(|url| RedactedUrl::parse(url).ok());
        let urls = urls.filter(|url| url.is_https() && config.may_dial(&url.host_port(), registry));
        let hosts = urls.filter_map(|url| {
            let planned = hosts::foreign(&self.shared.config.config_path, &url);
            // What is wrong with the settings of that host is a reason not to ask it.
            planned.inspect_err(|error| tracing::warn!(%url, cause = chain(error), "foreign layer")).ok()?
        });
        let numbered = hosts.enumerate();
        numbered.map(|(number, host)| endpoint(&self.shared, position + number, host)).collect()
    }
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
