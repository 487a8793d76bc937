//! A host in use by one session: its connections, and what was learnt about it on the way.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::connector::ConnectError;
use crate::hosts::{Host, Scheme};
use crate::transport::Transport;
use crate::url::{RedactedUrl, UrlError};

/// One host of a session.
pub(crate) struct Endpoint {
    /// Position in the configured order; the last one is the registry's own.
    pub(crate) position: usize,
    pub(crate) host: Host,
    pub(crate) transport: Transport,
    plain: AtomicBool,
    down: AtomicBool,
}

impl Endpoint {
    pub(crate) fn new(position: usize, host: Host, transport: Transport) -> Endpoint {
        Endpoint { position, host, transport, plain: AtomicBool::new(false), down: AtomicBool::new(false) }
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

    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }
}

fn has_port(authority: &str) -> bool {
    authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'))
}
