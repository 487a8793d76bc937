//! A host in use by one session: its connections, and what was learnt about it on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::connector::ConnectError;
use crate::error::{Failure, chain};
use crate::health::Health;
use crate::hosts::{Host, Scheme};
use crate::reach::Reach;
use crate::transport::Transport;
use crate::url::{RedactedUrl, UrlError};

/// One host of a session.
pub(crate) struct Endpoint {
    /// Position in the configured order; the last one is the registry's own.
    pub(crate) position: usize,
    pub(crate) host: Host,
    pub(crate) transport: Transport,
    pub(crate) health: Arc<Health>,
    plain: AtomicBool,
}

impl Endpoint {
    pub(crate) fn new(position: usize, host: Host, transport: Transport, health: Arc<Health>) -> Endpoint {
        Endpoint { position, host, transport, health, plain: AtomicBool::new(false) }
    }

    pub(crate) fn url(&self, path: &str) -> Result<RedactedUrl, UrlError> {
        self.host.url(path, self.plain.load(Ordering::Relaxed))
    }

    /// Switches to plain http if that is allowed here and `error` shows that the host speaks no TLS (or, for a host
    /// without a port, that nothing listens on 443). True once: a host that fails in plain too has failed.
    pub(crate) fn fall_back(&self, error: &ConnectError) -> bool {
        let refused_default_port = error.is_refused() && !has_port(&self.host.authority);
        self.host.scheme == Scheme::HttpsThenHttp
            && (error.is_not_tls() || refused_default_port)
            && !self.plain.swap(true, Ordering::Relaxed)
    }

    /// Takes note of what a failure says about the host itself.
    pub(crate) fn note(&self, failure: &Failure) {
        if failure.is_host_down() && self.health.reach.set_down(&chain(failure)) {
            tracing::info!(
                host = self.host.name(),
                cause = chain(failure),
                "host is out of reach: asked last from now on"
            );
        }
        if let Failure::RateLimited { after: Some(after), .. } = failure {
            self.health.be_patient(*after);
        }
    }

    /// Takes note that the host answered, whatever it said.
    pub(crate) fn answered(&self) {
        if self.health.reach.set_up() {
            tracing::info!(host = self.host.name(), "host is back");
        }
    }

    /// Takes note of what a failure at `url`, to which the host has redirected, says about the storage there.
    pub(crate) fn note_storage(&self, url: &RedactedUrl, failure: &Failure) {
        if failure.is_host_down() && self.health.set_storage_down(url, &chain(failure)) {
            let (host, storage) = (self.host.name(), url.host_port());
            tracing::info!(
                host,
                storage,
                "storage is out of reach: the host is asked last for blobs from now on"
            );
        }
    }

    /// Takes note that the storage answered, whatever it said.
    pub(crate) fn storage_answered(&self) {
        if self.health.storage.set_up() {
            tracing::info!(host = self.host.name(), "storage is back");
        }
    }

    /// Finds out on a task of its own whether what was out of reach is back, where it is time to: so that no pull waits
    /// for it where it is not.
    pub(crate) fn probe_when_due(self: &Arc<Self>) {
        for of in [Of::Host, Of::Storage] {
            if self.reach(of).claim_probe() {
                let probe = Probe { endpoint: Arc::clone(self), of };
                tokio::spawn(async move { probe.run().await });
            }
        }
    }

    fn reach(&self, of: Of) -> &Reach {
        match of {
            Of::Host => &self.health.reach,
            Of::Storage => &self.health.storage,
        }
    }
}

/// What is probed.
#[derive(Clone, Copy)]
enum Of {
    Host,
    Storage,
}

/// A probe in flight; dropped with its task, it gives its turn back.
struct Probe {
    endpoint: Arc<Endpoint>,
    of: Of,
}

impl Probe {
    async fn run(&self) {
        let Probe { endpoint, of } = self;
        let url = match of {
            Of::Host => endpoint.url("").ok(),
            Of::Storage => endpoint.health.storage_at(),
        };
        let request = url.and_then(|url| Request::get(url.uri()).body(Full::<Bytes>::default()).ok());
        let Some(request) = request else { return };
        match (endpoint.transport.send(request).await, of) {
            (Err(failure), _) if failure.is_host_down() && !is_not_tls(&failure) => {
                endpoint.reach(*of).set_down(&chain(&failure));
            }
            (_, Of::Host) => endpoint.answered(),
            (_, Of::Storage) => endpoint.storage_answered(),
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.endpoint.reach(self.of).probe_dropped();
    }
}

/// Whether a host is there and speaks plain http, which a session finds out for itself.
fn is_not_tls(failure: &Failure) -> bool {
    matches!(failure, Failure::Connect(error) if error.is_not_tls())
}

fn has_port(authority: &str) -> bool {
    authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'))
}
