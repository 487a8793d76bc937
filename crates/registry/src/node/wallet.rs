//! The node's credentials as one session uses them: which host's count for a request, read at the first need.

use std::collections::BTreeMap;
use std::sync::Arc;

use auth::{Credential, Host};
use tokio::sync::Mutex;

use super::source::{CredentialSource, CredentialSourceError};
use crate::config::ClientConfig;
use crate::url::RedactedUrl;

type Found = Result<Option<Credential>, Arc<CredentialSourceError>>;

/// What one session has found so far.
pub(crate) struct Wallet {
    /// The registry of the session's reference.
    registry: String,
    repository: String,
    /// By the host that the credentials are configured for. Held while they are read, so that the layers of an image
    /// that are refused at the same time run a helper once.
    found: Mutex<BTreeMap<Host, Found>>,
}

impl Wallet {
    pub(crate) fn new(registry: &str, repository: &str) -> Wallet {
        Wallet { registry: registry.to_owned(), repository: repository.to_owned(), found: Mutex::default() }
    }

    pub(crate) fn registry(&self) -> &str {
        &self.registry
    }

    /// The credential for `url`, asked for on the way of a request to `dialled`; reads it where that was not done yet.
    pub(crate) async fn find(&self, config: &ClientConfig, dialled: &str, url: &RedactedUrl) -> Found {
        let Some((host, source)) = self.source(config, dialled, url) else { return Ok(None) };
        let mut found = self.found.lock().await;
        if let Some(found) = found.get(&host) {
            return found.clone();
        }
        tracing::debug!(%host, %source, "looking for this node's credentials");
        let answer = source.fetch(&host, &self.repository, &config.helper_path).await.map_err(Arc::new);
        found.insert(host, answer.clone());
        answer
    }

    /// As [`find`](Wallet::find), of what was found already.
    pub(crate) async fn known(
        &self,
        config: &ClientConfig,
        dialled: &str,
        url: &RedactedUrl,
    ) -> Option<Credential> {
        let (host, _source) = self.source(config, dialled, url)?;
        self.found.lock().await.get(&host)?.clone().ok()?
    }

    fn source<'a>(
        &self,
        config: &'a ClientConfig,
        dialled: &str,
        url: &RedactedUrl,
    ) -> Option<(Host, &'a CredentialSource)> {
        let host = Host::parse(&url.host_port()).ok()?;
        let is_dialled = Host::parse(dialled).is_ok_and(|dialled| dialled == host);
        config.credentials_for(&host, is_dialled, &self.registry)
    }
}
