//! gRPC over a unix socket.

use std::path::Path;

use anyhow::Context as _;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// Connects to the socket at `path`.
pub(crate) async fn channel(path: &Path) -> anyhow::Result<Channel> {
    let target = path.to_owned();
    let dial = tower::service_fn(move |_: Uri| {
        let target = target.clone();
        async move { UnixStream::connect(target).await.map(TokioIo::new) }
    });
    // The authority that kubelet's and crictl's client sends.
    let endpoint = Endpoint::from_static("http://localhost");
    endpoint
        .connect_with_connector(dial)
        .await
        .with_context(|| format!("cannot connect to {}", path.display()))
}
