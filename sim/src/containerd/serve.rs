//! Connections to the fake: unix sockets, any stream, and channels over in-memory streams.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use hyper_util::rt::TokioIo;
use k8s_cri::v1::image_service_server::ImageServiceServer;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Server};

use super::Containerd;
use super::caller::Caller;
use super::content::ContentService;
use super::cri::CriService;
use super::diff::DiffService;
use super::events::EventsService;
use super::images::ImagesService;
use super::introspection::{IntrospectionService, NamespacesService, VersionService};
use super::io::Breakable;
use super::leases::LeasesService;
use super::snapshots::SnapshotsService;
use crate::schedule::{Gate, GateLayer};
use crate::stub::{
    content::content_server::ContentServer, diff::diff_server::DiffServer,
    events::events_server::EventsServer, images::images_server::ImagesServer,
    introspection::introspection_server::IntrospectionServer, leases::leases_server::LeasesServer,
    namespaces::namespaces_server::NamespacesServer, snapshots::snapshots_server::SnapshotsServer,
    version::version_server::VersionServer,
};

/// containerd's limit on one message in either direction.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// What an in-memory stream holds before its writer waits.
const DUPLEX_BUFFER_BYTES: usize = 256 << 10;

/// How long calls may go on after a server was told to stop. Event streams never end by themselves.
const GRACE: Duration = Duration::from_secs(1);

/// A listening server; dropping it leaves the server running.
#[derive(Debug)]
pub struct Serving {
    path: PathBuf,
    stop: CancellationToken,
    cut: CancellationToken,
    task: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Serving {
    /// Stops to accept, lets running calls end for a second at most, and removes the socket.
    ///
    /// # Errors
    /// When the server failed while it ran.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the server to end by itself.
    pub async fn stop(mut self) -> io::Result<()> {
        self.stop.cancel();
        let ended = match tokio::time::timeout(GRACE, &mut self.task).await {
            Ok(ended) => ended,
            Err(_) => {
                self.cut.cancel();
                self.task.await
            }
        };
        ended.map_err(io::Error::other)?.map_err(io::Error::other)?;
        match tokio::task::spawn_blocking(move || std::fs::remove_file(self.path)).await {
            Ok(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Containerd {
    /// All services, for a server that puts its own layers on top.
    pub fn routes(&self) -> Routes {
        let shared = &self.shared;
        macro_rules! server {
            ($server:ident, $service:expr) => {
                $server::new($service)
                    .max_decoding_message_size(MESSAGE_BYTES_MAX)
                    .max_encoding_message_size(MESSAGE_BYTES_MAX)
            };
        }
        let mut routes = Routes::builder();
        routes
            .add_service(server!(ContentServer, ContentService(shared.clone())))
            .add_service(server!(DiffServer, DiffService(shared.clone())))
            .add_service(server!(EventsServer, EventsService(shared.clone())))
            .add_service(server!(ImagesServer, ImagesService(shared.clone())))
            .add_service(server!(IntrospectionServer, IntrospectionService(shared.clone())))
            .add_service(server!(LeasesServer, LeasesService(shared.clone())))
            .add_service(server!(NamespacesServer, NamespacesService(shared.clone())))
            .add_service(server!(SnapshotsServer, SnapshotsService(shared.clone())))
            .add_service(server!(VersionServer, VersionService(shared.clone())));
        if shared.options().cri {
            let cri = CriService::new(shared.clone(), self.cache.clone());
            routes.add_service(server!(ImageServiceServer, cri));
        }
        routes.routes()
    }

    /// Listens on a unix socket, replacing what lies at `path`.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn serve_unix(&self, path: impl AsRef<Path>) -> io::Result<Serving> {
        let path = path.as_ref().to_owned();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let shared = self.shared.clone();
        let cut = CancellationToken::new();
        let incoming = {
            let cut = cut.clone();
            UnixListenerStream::new(UnixListener::bind(&path)?).map(move |stream| {
                let (stopping, cut) = (shared.stopping(), cut.clone());
                stream.map(|stream| Breakable::new(stream, stopping, cut))
            })
        };
        let stop = CancellationToken::new();
        let server = Server::builder()
            .add_routes(self.routes())
            .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
        Ok(Serving { path, stop, cut, task: tokio::spawn(server) })
    }

    /// Serves one connection over `stream`, until either side ends it.
    pub fn serve_stream<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let incoming = stream::iter([Ok::<_, io::Error>(Breakable::new(
            stream,
            self.shared.stopping(),
            CancellationToken::new(),
        ))]);
        let server = Server::builder().add_routes(self.routes()).serve_with_incoming(incoming);
        tokio::spawn(server);
    }

    /// Opens an in-memory connection.
    ///
    /// # Errors
    /// Connection refused while containerd is stopped.
    pub fn dial(&self) -> io::Result<DuplexStream> {
        if self.shared.stopping().is_cancelled() {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "containerd is stopped"));
        }
        let (client, server) = tokio::io::duplex(DUPLEX_BUFFER_BYTES);
        self.serve_stream(server);
        Ok(client)
    }

    /// Opens an in-memory connection whose calls wait at `gate` as those of `client`, and which breaks when `cut` is
    /// cancelled or by a fault.
    pub(crate) fn dial_through(
        &self,
        client: &str,
        gate: &Gate,
        cut: &CancellationToken,
    ) -> io::Result<DuplexStream> {
        let stopping = self.shared.stopping();
        if stopping.is_cancelled() {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "containerd is stopped"));
        }
        let connection = cut.child_token();
        let layer = GateLayer(Caller {
            client: client.to_owned(),
            gate: gate.clone(),
            shared: self.shared.clone(),
            connection: connection.clone(),
        });
        let (client, server) = tokio::io::duplex(DUPLEX_BUFFER_BYTES);
        let incoming = stream::iter([Ok::<_, io::Error>(Breakable::new(server, stopping, connection))]);
        let server = Server::builder().layer(layer).add_routes(self.routes()).serve_with_incoming(incoming);
        tokio::spawn(server);
        Ok(client)
    }

    /// A channel over in-memory connections; it dials when first used and again after a restart.
    pub fn connect(&self) -> Channel {
        let containerd = self.clone();
        Endpoint::from_static("http://containerd.sim").connect_with_connector_lazy(tower::service_fn(
            move |_| {
                let dialled = containerd.dial().map(TokioIo::new);
                async { dialled }
            },
        ))
    }
}
