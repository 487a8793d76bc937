//! Connections to the registry: loopback TCP, any stream, and in-memory streams by host name.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Registry;
use super::body::Payload;
use super::fault::{self, Fault};
use super::log::LoggedRequest;
use super::request::Head;
use super::respond::{self, Answer};
use crate::schedule::Gate;

/// Bytes of a request body, which only the token endpoint reads.
const FORM_BYTES_MAX: usize = 64 << 10;

/// What an in-memory stream holds before its writer waits.
const DUPLEX_BUFFER_BYTES: usize = 256 << 10;

/// A listening registry; dropping it leaves it running.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Serving {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops to accept; running connections end with their current request.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the listener to end by itself.
    pub async fn stop(self) {
        self.stop.cancel();
        // The task only ends; it has no result to lose.
        let _ended = self.task.await;
    }
}

impl Registry {
    /// Listens on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port can be bound.
    ///
    /// # Cancel safety
    /// Nothing listens when the future is dropped.
    pub async fn serve_tcp(&self) -> io::Result<Serving> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(accept(self.clone(), listener, stop.clone()));
        Ok(Serving { address, stop, task })
    }

    /// Serves one connection over `stream`. `dialled` is the host it was opened for, as the log shows it.
    pub fn serve_stream<S>(&self, stream: S, dialled: Option<&str>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let serving =
            connection(self.clone(), stream, dialled.map(str::to_owned), CancellationToken::new(), None);
        tokio::spawn(serving);
    }

    /// Opens an in-memory connection to `host` whose requests wait at `gate` as those of `client`, and which breaks
    /// when `cut` is cancelled.
    pub(crate) fn dial_through(
        &self,
        host: &str,
        gate: Gate,
        client: String,
        cut: CancellationToken,
    ) -> DuplexStream {
        let (stream, server) = tokio::io::duplex(DUPLEX_BUFFER_BYTES);
        let (registry, host) = (self.clone(), host.to_owned());
        tokio::spawn(async move {
            let serving =
                connection(registry, server, Some(host), CancellationToken::new(), Some((gate, client)));
            tokio::select! {
                biased;
                () = cut.cancelled() => {}
                () = serving => {}
            }
        });
        stream
    }

    /// Opens an in-memory connection to `host`.
    pub fn dial(&self, host: &str) -> DuplexStream {
        let (client, server) = tokio::io::duplex(DUPLEX_BUFFER_BYTES);
        self.serve_stream(server, Some(host));
        client
    }
}

async fn accept(registry: Registry, listener: TcpListener, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(connection(registry.clone(), stream, None, stop.clone(), None));
                }
            }
        }
    }
}

async fn connection<S>(
    registry: Registry,
    stream: S,
    dialled: Option<String>,
    stop: CancellationToken,
    gated: Option<(Gate, String)>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // A fault that ends the connection cancels this token: the stream is dropped with whatever was in flight.
    let broken = CancellationToken::new();
    let service = {
        let broken = broken.clone();
        service_fn(move |request: Request<Incoming>| {
            let (registry, dialled, broken) = (registry.clone(), dialled.clone(), broken.clone());
            let gated = gated.clone();
            async move {
                let Some((gate, client)) = gated else {
                    return serve(registry, dialled, broken, request).await;
                };
                let label = format!("{client} {} {}", request.method(), request.uri().path());
                gate.pass(&format!("{label} >")).await;
                let answer = serve(registry, dialled, broken, request).await;
                gate.pass(&format!("{label} <")).await;
                answer
            }
        })
    };
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        biased;
        () = broken.cancelled() => return,
        // A client that goes away is no concern of the registry's.
        _ended = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ended = connection.await;
}

async fn serve(
    registry: Registry,
    dialled: Option<String>,
    broken: CancellationToken,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Infallible> {
    let (parts, body) = request.into_parts();
    let host = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok().map(str::to_owned))
        .or_else(|| parts.uri.authority().map(ToString::to_string))
        .unwrap_or_default();
    let head = Head {
        method: parts.method,
        host,
        dialled,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
    };
    // A body that is too long or breaks off reads as empty, which no grant accepts.
    let form = Limited::new(body, FORM_BYTES_MAX).collect().await.map(|body| body.to_bytes());
    let form = String::from_utf8_lossy(&form.unwrap_or_default()).into_owned();

    let (fault, answer) = decide(&registry, &head, &form);
    match fault {
        Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::Disconnect) => {
            broken.cancel();
            std::future::pending::<()>().await;
        }
        _ => {}
    }
    Ok(send(&head, answer, fault))
}

/// Chooses fault and answer, and writes the log, in one critical section.
fn decide(registry: &Registry, head: &Head, form: &str) -> (Option<Fault>, Answer) {
    let mut guard = registry.lock();
    let state = &mut *guard;
    let fault = fault::take(&mut state.rules, &head.method, &head.host, &head.path);
    let authorization = respond::authorization(state, head);
    let answer = match &fault {
        Some(Fault::Status(status, headers)) => {
            let mut answer = respond::error(*status, "UNKNOWN", "injected fault");
            answer.headers.extend(headers.iter().filter_map(|(name, value)| {
                Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value.clone()))
            }));
            answer
        }
        fault => respond::answer(state, head, form, fault == &Some(Fault::IgnoreRange)),
    };
    state.log.push(LoggedRequest {
        method: head.method.clone(),
        host: head.host.clone(),
        dialled: head.dialled.clone(),
        path: head.path.clone(),
        query: head.query.clone(),
        range: head.header(header::RANGE).map(str::to_owned),
        authorization,
        status: (fault != Some(Fault::Disconnect)).then_some(answer.status),
    });
    (fault, answer)
}

fn send(head: &Head, answer: Answer, fault: Option<Fault>) -> Response<Payload> {
    let Answer { status, mut headers, mut body } = answer;
    if let Some(Fault::Corrupt(at)) = fault {
        body = corrupt(&body, at);
    }
    if let Some(Fault::Header(name, value)) = &fault
        && let Ok(name) = HeaderName::from_bytes(name.as_bytes())
    {
        headers.retain(|(other, _)| *other != name);
        headers.push((name, value.clone()));
    }
    let is_head = head.method == http::Method::HEAD;
    let length = body.len();
    let payload = Payload::new(if is_head { Bytes::new() } else { body });
    let payload = match fault {
        Some(Fault::Reset(after)) => payload.reset_after(after),
        Some(Fault::Stall(after)) => payload.stall_after(after),
        _ => payload,
    };
    let mut response = Response::new(payload);
    *response.status_mut() = status;
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(name, value);
        }
    }
    if is_head && status != StatusCode::TEMPORARY_REDIRECT {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    response
}

fn corrupt(body: &Bytes, at: u64) -> Bytes {
    let mut bytes = body.to_vec();
    if let Some(byte) = usize::try_from(at).ok().and_then(|at| bytes.get_mut(at)) {
        *byte ^= 0xff;
    }
    Bytes::from(bytes)
}
