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
        if failure.is_host_down() && self.health.set_down(&chain(failure)) {
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
        if self.health.set_up() {
            tracing::info!(host = self.host.name(), "host is back");
        }
    }

    /// Finds out on a task of its own whether a host that was out of reach is back, where it is time to: so that no pull
    /// waits for one that is not.
    pub(crate) fn probe_when_due(self: &Arc<Self>) {
        if self.health.claim_probe() {
            let probe = Probe(Arc::clone(self));
            tokio::spawn(async move { probe.run().await });
        }
    }
}

/// A probe in flight; dropped with its task, it gives its turn back.
struct Probe(Arc<Endpoint>);

impl Probe {
    async fn run(&self) {
        let Probe(endpoint) = self;
        let Ok(url) = endpoint.url("") else { return };
        let Ok(request) = Request::get(url.uri()).body(Full::<Bytes>::default()) else { return };
        match endpoint.transport.send(request).await {
            Err(failure) if failure.is_host_down() && !is_not_tls(&failure) => {
                endpoint.health.set_down(&chain(&failure));
            }
            Ok(_) | Err(_) => endpoint.answered(),
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.health.probe_dropped();
    }
}

/// Whether a host is there and speaks plain http, which a session finds out for itself.
fn is_not_tls(failure: &Failure) -> bool {
    matches!(failure, Failure::Connect(error) if error.is_not_tls())
}

fn has_port(authority: &str) -> bool {
    authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'))
}
