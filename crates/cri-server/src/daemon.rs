//! The life of the daemon: what it takes hold of at start, in which order, and how it lets go.
//!
//! Start: socket with its lock, then metrics port ([`Daemon::bind`]); only then may the caller build the service, whose
//! recovery would disturb a daemon that already runs here. Then serve, and tell systemd ([`Daemon::serve`]). containerd
//! need not be up for any of it.
//!
//! Stop: no more connections, calls in flight get [`DRAIN_GRACE`], what is left is answered UNAVAILABLE, the socket's
//! path is given free last.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use cri_api::v1::image_service_server::ImageService;
use imagestore::Readiness;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::abort::Aborter;
use crate::config::Config;
use crate::metrics::{self, Metrics};
use crate::readiness;
use crate::socket::{Socket, SocketError};
use crate::{grpc, notify};

/// How long a drain waits for calls in flight. Enough for every call but a long pull, which the kubelet asks for again
/// and which goes on from the content that is there; well below systemd's 90 s and a node's own shutdown.
pub const DRAIN_GRACE: Duration = Duration::from_secs(10);

/// How long answers to aborted calls may take to leave.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// A daemon that holds its socket and does not serve yet.
#[derive(Debug)]
pub struct Daemon {
    socket: Socket,
    metrics: Metrics,
    metrics_listener: Option<TcpListener>,
}

/// Why a daemon does not start. Nothing it reports goes away by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The socket cannot be had.
    #[error("cannot take the socket")]
    Socket(#[from] SocketError),
    /// The metrics address cannot be had.
    #[error("cannot listen on `{address}` for metrics")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why a daemon ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The runtime does not take the socket.
    #[error("cannot listen on the socket")]
    Listen(#[source] io::Error),
    /// The server ended by itself.
    #[error("the gRPC server ended")]
    Server(#[source] Option<tonic::transport::Error>),
}

impl Daemon {
    /// Takes hold of what only one daemon can have.
    ///
    /// # Errors
    /// [`StartError`]; nothing is held then.
    ///
    /// # Cancel safety
    /// Dropping it gives back what was taken.
    pub async fn bind(config: &Config) -> Result<Daemon, StartError> {
        // First: of two daemons with one configuration the second is told about the socket, not about a port.
        let socket = Socket::open(&config.socket)?;
        let metrics_listener = match config.metrics.address {
            None => None,
            Some(address) => Some(
                TcpListener::bind(address).await.map_err(|source| StartError::Metrics { address, source })?,
            ),
        };
        Ok(Daemon { socket, metrics: Metrics::new(), metrics_listener })
    }

    /// The numbers that this daemon tells.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where metrics and health are served; tells the port where port 0 was asked for.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_listener.as_ref()?.local_addr().ok()
    }

    /// Serves `service` until `shutdown` ends, then drains. `readiness` is told to systemd, the log and `/readyz`.
    ///
    /// # Errors
    /// [`ServeError`]; a drain that had to abort calls is none.
    ///
    /// # Cancel safety
    /// Dropping it closes the listeners and gives the socket's path free without a drain; calls in flight run on for as
    /// long as the runtime does.
    pub async fn serve<S: ImageService>(
        self,
        service: S,
        mut readiness: watch::Receiver<Readiness>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let (listener, place) = self.socket.into_parts().map_err(ServeError::Listen)?;
        let _metrics_server = self.metrics_listener.map(|listener| {
            AbortOnDropHandle::new(tokio::spawn(metrics::http::serve(
                listener,
                self.metrics,
                readiness.clone(),
            )))
        });

        let (aborter, stop_accepting) = (Aborter::default(), CancellationToken::new());
        let server = grpc::server(service, aborter.clone()).serve_with_incoming_shutdown(
            UnixListenerStream::new(listener),
            stop_accepting.clone().cancelled_owned(),
        );
        let mut server = std::pin::pin!(server);

        tracing::info!(socket = %place.path().display(), from_systemd = place.is_activated(), "serving");
        // Before READY=1: whoever waits for that has been told then what is still missing.
        readiness::report(&mut readiness);
        notify::ready();
        let reporter = AbortOnDropHandle::new(tokio::spawn(readiness::report_changes(readiness)));
        tokio::select! {
            biased;
            () = shutdown => {}
            ended = &mut server => return Err(ServeError::Server(ended.err())),
        }

        drop(reporter);
        notify::stopping();
        stop_accepting.cancel();
        tracing::info!(calls = aborter.in_flight_count(), "draining");
        if timeout(DRAIN_GRACE, &mut server).await.is_err() {
            tracing::warn!(calls = aborter.in_flight_count(), grace = ?DRAIN_GRACE, "aborting the calls that are left");
            aborter.abort();
            if timeout(ABORT_GRACE, &mut server).await.is_err() {
                tracing::warn!("a client did not take its answer");
            }
        }
        drop(place);
        tracing::info!("stopped");
        Ok(())
    }
}
