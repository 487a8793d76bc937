//! One connection: through a proxy or not, dialled, and under TLS where the scheme is `https`.
//!
//! The connector of the HTTP client. Every step has its own deadline; no HTTP beyond a proxy's `CONNECT`.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower::{Service, ServiceExt};

use crate::dialer::{BoxedIo, Dialer};
use crate::proxy::{Proxies, is_socks5};
use crate::tls::{LazyTls, TlsConfigError};

/// Time for a TLS handshake, and for a proxy's answer to `CONNECT`; what containerd allows (core/remotes/docker
/// `DefaultHTTPTransport`, v2.3.4).
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Of RFC 1928, section 3.
const SOCKS_PORT: u16 = 1080;

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Refused, unreachable, or no such name.
    #[error("cannot connect to `{address}`")]
    Dial {
        /// Host and port dialled.
        address: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// No answer at all.
    #[error("no connection to `{address}` within {after:?}")]
    DialTimeout {
        /// Host and port dialled.
        address: String,
        /// The limit (`dial_timeout`).
        after: Duration,
    },
    /// The peer's certificate is not trusted, or the peer does not speak TLS.
    #[error("TLS handshake with `{address}` failed")]
    Tls {
        /// Host and port dialled.
        address: String,
        /// The reason.
        #[source]
        source: rustls::Error,
    },
    /// The configured certificates do not work.
    #[error("unusable certificates")]
    Certificates(#[source] TlsConfigError),
    /// The connection broke in the handshake.
    #[error("TLS handshake with `{address}` broke off")]
    TlsBroken {
        /// Host and port dialled.
        address: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The peer took the connection and then said nothing.
    #[error("TLS handshake with `{address}` not done within {after:?}")]
    TlsTimeout {
        /// Host and port dialled.
        address: String,
        /// The limit.
        after: Duration,
    },
    /// The proxy would not open the tunnel.
    #[error("proxy `{proxy}` opened no tunnel to `{address}`")]
    Tunnel {
        /// The proxy.
        proxy: String,
        /// Host and port asked for.
        address: String,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The environment names a proxy of a kind that is not supported (SOCKS 4).
    #[error("proxy scheme `{scheme}` is not supported")]
    ProxyScheme {
        /// The scheme.
        scheme: String,
    },
    /// The host part is neither a DNS name nor an address, so no certificate can match it.
    #[error("`{host}` is no name that a certificate can carry")]
    ServerName {
        /// The host.
        host: String,
    },
}

impl ConnectError {
    /// Whether the peer took the TLS handshake for nonsense: answered with something else, as most plain-http servers
    /// do, closed the connection, or waits for more.
    pub(crate) fn is_not_tls(&self) -> bool {
        matches!(
            self,
            ConnectError::Tls { source: rustls::Error::InvalidMessage(_), .. }
                | ConnectError::TlsBroken { .. }
                | ConnectError::TlsTimeout { .. }
        )
    }

    /// Whether the port was closed.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, ConnectError::Dial { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused)
    }
}

/// Makes connections for one host's settings.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) dialer: Dialer,
    pub(crate) tls: Arc<LazyTls>,
    pub(crate) proxies: Proxies,
    pub(crate) dial_timeout: Duration,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<Conn, ConnectError> {
        let (io, proxied) = self.reach(&uri).await?;
        let io = if is_https(&uri) { self.handshake(io, &uri).await? } else { io };
        Ok(Conn { io: TokioIo::new(io), proxied })
    }

    /// A byte stream to the host of `uri`, or to the proxy that is to be asked for it; which of both, is told.
    pub(crate) async fn reach(&self, uri: &Uri) -> Result<(BoxedIo, bool), ConnectError> {
        Ok(match self.proxies.intercept(uri) {
            None => (self.dial(uri).await?, false),
            Some(proxy) if is_socks5(proxy.uri()) => (self.socks5(&proxy, uri).await?, false),
            // A tunnel is for https alone: many proxies refuse CONNECT to other ports than 443, and plain requests
            // are theirs to forward (RFC 9112, section 3.2.2).
            Some(proxy) if is_https(uri) => (self.tunnel(&proxy, uri).await?, false),
            Some(proxy) => (self.dial_proxy(proxy.uri()).await?, true),
        })
    }

    async fn dial(&self, uri: &Uri) -> Result<BoxedIo, ConnectError> {
        let limit = Some(self.dial_timeout).filter(|limit| !limit.is_zero());
        let dialling = self.dialer.dial(uri.clone(), limit);
        let dialled = match limit {
            None => dialling.await,
            Some(after) => match timeout(after, dialling).await {
                Ok(dialled) => dialled,
                Err(_elapsed) => return Err(ConnectError::DialTimeout { address: address(uri), after }),
            },
        };
        dialled.map_err(|source| ConnectError::Dial { address: address(uri), source })
    }

    async fn dial_proxy(&self, proxy: &Uri) -> Result<BoxedIo, ConnectError> {
        match proxy.scheme_str() {
            Some("http") => self.dial(proxy).await,
            Some("https") => {
                let io = self.dial(proxy).await?;
                self.handshake(io, proxy).await
            }
            scheme => Err(ConnectError::ProxyScheme { scheme: scheme.unwrap_or_default().to_owned() }),
        }
    }

    async fn tunnel(&self, proxy: &Intercept, uri: &Uri) -> Result<BoxedIo, ConnectError> {
        let io = self.dial_proxy(proxy.uri()).await?;
        let mut tunnel = Tunnel::new(proxy.uri().clone(), HandOver(Some(TokioIo::new(io))));
        if let Some(value) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(value.clone());
        }
        through(tunnel, proxy.uri(), uri).await
    }

    /// Names are left to the proxy, as Go does for both schemes: this node may not be able to resolve them.
    async fn socks5(&self, proxy: &Intercept, uri: &Uri) -> Result<BoxedIo, ConnectError> {
        // The library's default ports are those of http and https.
        let (server, uri) = (&with_port(proxy.uri()), &with_port(uri));
        let io = self.dial(server).await?;
        let mut tunnel = SocksV5::new(server.clone(), HandOver(Some(TokioIo::new(io))));
        if let Some((user, password)) = proxy.raw_auth() {
            tunnel = tunnel.with_auth(user.to_owned(), password.to_owned());
        }
        through(tunnel, server, uri).await
    }

    /// TLS over `io`, with the host of `uri`.
    pub(crate) async fn handshake(&self, io: BoxedIo, uri: &Uri) -> Result<BoxedIo, ConnectError> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| ConnectError::ServerName { host })?;
        let connector = TlsConnector::from(self.tls.get().map_err(ConnectError::Certificates)?);
        match timeout(HANDSHAKE_TIMEOUT, connector.connect(name, io)).await {
            Ok(Ok(io)) => Ok(Box::new(io)),
            Ok(Err(error)) => Err(tls_error(error, uri)),
            Err(_elapsed) => {
                Err(ConnectError::TlsTimeout { address: address(uri), after: HANDSHAKE_TIMEOUT })
            }
        }
    }
}

/// Has `tunnel` opened to `uri` by the proxy.
async fn through<S>(tunnel: S, proxy: &Uri, uri: &Uri) -> Result<BoxedIo, ConnectError>
where
    S: Service<Uri, Response = TokioIo<BoxedIo>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let failed = |source| ConnectError::Tunnel { proxy: address(proxy), address: address(uri), source };
    match timeout(HANDSHAKE_TIMEOUT, tunnel.oneshot(uri.clone())).await {
        Ok(Ok(io)) => Ok(io.into_inner()),
        Ok(Err(error)) => Err(failed(error.into())),
        Err(elapsed) => Err(failed(elapsed.into())),
    }
}

/// The connector that a tunnel wants; the connection to the proxy is made already, so that its error keeps its type.
struct HandOver(Option<TokioIo<BoxedIo>>);

impl Service<Uri> for HandOver {
    type Response = TokioIo<BoxedIo>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<TokioIo<BoxedIo>>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _proxy: Uri) -> Self::Future {
        std::future::ready(self.0.take().ok_or(io::ErrorKind::NotConnected.into()))
    }
}

fn tls_error(error: io::Error, uri: &Uri) -> ConnectError {
    match error.downcast::<rustls::Error>() {
        Ok(source) => ConnectError::Tls { address: address(uri), source },
        Err(source) => ConnectError::TlsBroken { address: address(uri), source },
    }
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

/// Host and port for an error text; a proxy's user info is left out.
fn address(uri: &Uri) -> String {
    let default = match uri.scheme_str() {
        Some("https") => 443,
        Some("socks5" | "socks5h") => SOCKS_PORT,
        _ => 80,
    };
    format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(default))
}

/// The same with its port spelled out.
fn with_port(uri: &Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.authority = address(uri).parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

impl Service<Uri> for Connector {
    type Response = Conn;
    // Shared, because the HTTP client hands its error out by reference only.
    type Error = Arc<ConnectError>;
    type Future = Pin<Box<dyn Future<Output = Result<Conn, Arc<ConnectError>>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(uri).await.map_err(Arc::new) })
    }
}

/// A connection as the HTTP client wants it.
pub(crate) struct Conn {
    io: TokioIo<BoxedIo>,
    proxied: bool,
}

impl Connection for Conn {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

impl Read for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}
