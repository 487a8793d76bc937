//! Makes every call of a server wait at a gate: before its effect, and before its answer leaves.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};

use super::Gate;

/// A layer for one client's connection.
#[derive(Clone, Debug)]
pub(crate) struct GateLayer {
    pub(crate) gate: Gate,
    pub(crate) client: String,
}

/// The service under the layer.
#[derive(Clone, Debug)]
pub(crate) struct Gated<S> {
    inner: S,
    gate: Gate,
    client: String,
}

impl<S> tower::Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, gate: self.gate.clone(), client: self.client.clone() }
    }
}

impl<S, B, R> tower::Service<Request<B>> for Gated<S>
where
    S: tower::Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone takes the readiness that was polled; the original stays for the next call.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let gate = self.gate.clone();
        let label = format!("{} {}", self.client, method(request.uri().path()));
        Box::pin(async move {
            gate.pass(&format!("{label} >")).await;
            let answer = inner.call(request).await;
            gate.pass(&format!("{label} <")).await;
            answer
        })
    }
}

/// `/containerd.services.images.v1.Images/Create` is `Images/Create`.
fn method(path: &str) -> String {
    let mut parts = path.rsplit('/');
    let call = parts.next().unwrap_or_default();
    let service = parts.next().unwrap_or_default().rsplit('.').next().unwrap_or_default();
    format!("{service}/{call}")
}
