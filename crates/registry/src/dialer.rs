//! The seam to the network: host and port in, byte stream out, below TLS.
//!
//! Production dials TCP; the simulator hands out in-memory streams. Nothing above this file knows which.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::io::{AsyncRead, AsyncWrite};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

/// Idle time before TCP probes a connection, so that a peer that vanished frees its socket.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What a dialled connection must be able to do.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A dialled byte stream of any kind.
pub type BoxedIo = Box<dyn Io>;

impl fmt::Debug for dyn Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Io")
    }
}

/// Opens byte streams to a host and port; TLS and HTTP are layered above by this crate.
///
/// ```
/// use std::io;
/// use registry::Dialer;
///
/// // Every host answers through memory.
/// let dialer = Dialer::new(tower::service_fn(|_uri: http::Uri| async {
///     let (ours, _theirs) = tokio::io::duplex(64 * 1024);
///     Ok::<_, io::Error>(ours)
/// }));
/// # let _ = dialer;
/// ```
#[derive(Clone)]
pub struct Dialer(Kind);

#[derive(Clone)]
enum Kind {
    Tcp,
    Custom(BoxCloneSyncService<Uri, BoxedIo, io::Error>),
}

impl Dialer {
    /// TCP with the system's resolver; where a name has IPv4 and IPv6 addresses both families race (RFC 8305).
    pub fn tcp() -> Dialer {
        Dialer(Kind::Tcp)
    }

    /// Any service from URI (only scheme, host and port count) to a byte stream.
    pub fn new<S>(service: S) -> Dialer
    where
        S: Service<Uri, Error = io::Error> + Clone + Send + Sync + 'static,
        S::Response: Io,
        S::Future: Send + 'static,
    {
        Dialer(Kind::Custom(BoxCloneSyncService::new(service.map_response(|io| Box::new(io) as BoxedIo))))
    }

    /// Dials the host and port of `uri`. The caller bounds the whole; `timeout`, if any, is shared out over the
    /// addresses of the name, so that one black hole does not eat the time of the address that works.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was half open.
    pub(crate) async fn dial(&self, uri: Uri, timeout: Option<Duration>) -> io::Result<BoxedIo> {
        match &self.0 {
            Kind::Tcp => tcp(uri, timeout).await,
            Kind::Custom(service) => service.clone().oneshot(uri).await,
        }
    }
}

async fn tcp(uri: Uri, timeout: Option<Duration>) -> io::Result<BoxedIo> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(KEEPALIVE));
    connector.set_connect_timeout(timeout);
    match connector.oneshot(uri).await {
        Ok(stream) => Ok(Box::new(stream.into_inner())),
        Err(error) => Err(io::Error::new(kind_of(&error), error)),
    }
}

/// The kind of the innermost I/O error, which the connector's own error hides.
fn kind_of(error: &(dyn StdError + 'static)) -> io::ErrorKind {
    let mut kind = io::ErrorKind::Other;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            kind = io.kind();
        }
        next = error.source();
    }
    kind
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Tcp => "Dialer::Tcp",
            Kind::Custom(_) => "Dialer::Custom",
        })
    }
}
