//! What proxies of every protocol have: they listen, alone know where the names of a test are, and note what they are asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A running proxy, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

/// What its connections share.
#[derive(Debug)]
pub(super) struct State {
    names: BTreeMap<String, SocketAddr>,
    requests: Mutex<Vec<String>>,
}

impl Proxy {
    /// Starts one that reaches the servers of `names` (`host:port`), and nothing else; `serve` serves a connection. A client
    /// that breaks the protocol sees its connection end, and its own error is the test's.
    pub(super) async fn start<F: Future<Output: Send> + Send + 'static>(
        names: BTreeMap<String, SocketAddr>,
        serve: impl Fn(Arc<State>, TcpStream) -> F + Send + 'static,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State { names, requests: Mutex::default() });
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let served = serve(Arc::clone(&shared), stream);
                connections.spawn(async move { drop(served.await) });
            }
        });
        Ok(Self { address, state, serving })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far, as it was noted.
    pub(super) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl State {
    /// Notes a request.
    pub(super) fn note(&self, request: String) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    /// Where `target` is, which is `host:port`.
    pub(super) fn server(&self, target: &str) -> Option<SocketAddr> {
        self.names.get(target).copied()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
