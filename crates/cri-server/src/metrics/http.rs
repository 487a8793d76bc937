//! Serves `/metrics`, `/healthz` and `/readyz` in plain HTTP/1.1, for this machine alone.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::Metrics;
use imagestore::Readiness;

use crate::readiness;

/// Connections at a time; a scraper and a few probes need no more, and any local user can open them.
const CONNECTIONS_MAX: usize = 16;
/// For a request's head, so that an idle client gives its place back.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// For a connection as a whole; scrapers connect anew.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// After a failed accept, which means that the process is out of descriptors: trying again at once would burn a CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until dropped.
///
/// # Cancel safety
/// Dropping it closes the listener; connections end by themselves within [`CONNECTION_TIMEOUT`].
pub(crate) async fn serve(listener: TcpListener, metrics: Metrics, readiness: watch::Receiver<Readiness>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let (metrics, readiness) = (metrics.clone(), readiness.clone());
                tokio::spawn(async move {
                    // A connection that ends by time or by error concerns its client alone.
                    let _ = timeout(CONNECTION_TIMEOUT, connection(stream, metrics, readiness)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for metrics");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    metrics: Metrics,
    readiness: watch::Receiver<Readiness>,
) -> Result<(), hyper::Error> {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path(), &metrics, &readiness);
        async move { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn answer(
    method: &Method,
    path: &str,
    metrics: &Metrics,
    readiness: &watch::Receiver<Readiness>,
) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let (status, kind, body) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, OPEN_METRICS, metrics.text()),
        // Alive, not ready: to restart this daemon does not bring containerd back.
        (&Method::GET | &Method::HEAD, "/healthz") => (StatusCode::OK, TEXT, "ok\n".to_owned()),
        (&Method::GET | &Method::HEAD, "/readyz") => {
            let now = readiness.borrow();
            let ready = *now == Readiness::Ready;
            let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            (status, TEXT, readiness::line(&now) + "\n")
        }
        (_, "/metrics" | "/healthz" | "/readyz") => (StatusCode::METHOD_NOT_ALLOWED, TEXT, String::new()),
        _ => (StatusCode::NOT_FOUND, TEXT, "there are /metrics, /healthz and /readyz\n".to_owned()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
