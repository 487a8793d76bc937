//! Makes every call of a client wait at a gate: before its effect, and before its answer leaves. Faults happen to a
//! call here, when it is its turn.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tonic::Status;
use tonic::body::Body;

use super::subject::subject;
use crate::containerd::{Caller, shorten};

/// A layer for one client's connection.
#[derive(Clone, Debug)]
pub(crate) struct GateLayer(pub(crate) Caller);

/// The service under the layer.
#[derive(Clone, Debug)]
pub(crate) struct Gated<S> {
    inner: S,
    caller: Caller,
}

impl<S> tower::Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, caller: self.0.clone() }
    }
}

impl<S> tower::Service<Request<Body>> for Gated<S>
where
    S: tower::Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone takes the readiness that was polled; the original stays for the next call.
        let ready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, ready);
        Box::pin(pass(inner, self.caller.clone(), request))
    }
}

async fn pass<S>(mut inner: S, caller: Caller, request: Request<Body>) -> Result<Response<Body>, S::Error>
where
    S: tower::Service<Request<Body>, Response = Response<Body>>,
{
    let method = method(request.uri().path());
    let (mut parts, mut body) = request.into_parts();
    // A request that breaks off here reads as empty, which the service answers.
    let first = body.frame().await.and_then(Result::ok);
    let frame = first.as_ref().and_then(Frame::data_ref).map(Bytes::as_ref).unwrap_or_default();
    let subject = subject(&method, frame).to_owned();
    let mut label = format!("{} {method}", caller.client);
    if !subject.is_empty() {
        label.push(' ');
        label.push_str(&shorten(&subject));
    }
    parts.extensions.insert(caller.clone());
    let request = Request::from_parts(parts, Body::new(Replayed { first, rest: body }));

    caller.gate.pass(&format!("{label} >")).await;
    let answer = match caller.before(&method, &subject).await {
        Ok(aftermath) => {
            let answer = inner.call(request).await?;
            caller.after(aftermath).await.map(|()| answer)
        }
        Err(status) => Err(status),
    };
    caller.gate.pass(&format!("{label} <")).await;
    Ok(answer.unwrap_or_else(Status::into_http))
}

/// `/containerd.services.images.v1.Images/Create` is `Images/Create`.
fn method(path: &str) -> String {
    let mut parts = path.rsplit('/');
    let call = parts.next().unwrap_or_default();
    let service = parts.next().unwrap_or_default().rsplit('.').next().unwrap_or_default();
    format!("{service}/{call}")
}

/// A body whose first frame was looked at.
struct Replayed {
    first: Option<Frame<Bytes>>,
    rest: Body,
}

impl http_body::Body for Replayed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }
}
