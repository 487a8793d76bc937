//! Ends the calls that a drain does not wait for any longer, with an answer rather than a broken connection.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// Counts the calls in flight, and ends them all when told to. Its clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aborter {
    token: CancellationToken,
    in_flight: Arc<AtomicUsize>,
}

impl Aborter {
    /// Answers every call in flight, and every later one, with UNAVAILABLE.
    pub(crate) fn abort(&self) {
        self.token.cancel();
    }

    /// Calls that run now.
    pub(crate) fn in_flight_count(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }
}

impl<S> Layer<S> for Aborter {
    type Service = Abortable<S>;

    fn layer(&self, inner: S) -> Abortable<S> {
        Abortable { inner, aborter: self.clone() }
    }
}

/// A service whose calls end by an [`Aborter`].
#[derive(Clone, Debug)]
pub(crate) struct Abortable<S> {
    inner: S,
    aborter: Aborter,
}

impl<S> Service<http::Request<Body>> for Abortable<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let in_flight = InFlight::new(&self.aborter.in_flight);
        let token = self.aborter.token.clone();
        let call = self.inner.call(request);
        Box::pin(async move {
            let _in_flight = in_flight;
            tokio::select! {
                biased;
                () = token.cancelled() => Ok(Status::unavailable("cri-imaged is stopping").into_http()),
                response = call => response,
            }
        })
    }
}

struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    fn new(count: &Arc<AtomicUsize>) -> InFlight {
        count.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(count))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
