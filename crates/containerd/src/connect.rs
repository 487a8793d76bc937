//! The channel to a unix socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

/// A channel to the gRPC server on the unix socket `path`. It connects at the first call and again after each break,
/// so a server that is not up yet fails calls, not the construction. Must be called inside a tokio runtime.
pub fn unix_channel(path: &Path) -> Channel {
    let path: PathBuf = path.to_owned();
    // The authority must be a plain name: h2 refuses a percent-encoded path there, and Go's server ignores it.
    Endpoint::from_static("http://localhost")
        .connect_timeout(Duration::from_secs(5))
        // A containerd that is stuck with its socket open is noticed within a minute, not never.
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        // Layers pass through in messages of up to a mebibyte: the default window of 64 KiB would stall each.
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(8 << 20)
        .connect_with_connector_lazy(tower::service_fn(move |_| {
            let path = path.clone();
            async move {
                let connected = UnixStream::connect(&path).await;
                // The system's error does not say which file it means.
                let named =
                    |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
                connected.map(TokioIo::new).map_err(named)
            }
        }))
}
