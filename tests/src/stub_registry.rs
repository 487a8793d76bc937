//! A registry of this process that serves one image and lies or stops at a chosen place: what no real registry does on
//! request. Plain http on loopback, read-only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Blob, Image};

/// What the registry does wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The blob of this digest is served with its last byte changed.
    Corrupt(String),
    /// The blob of this digest stops after half its bytes, with the connection left open.
    StallHalfway(String),
    /// Every request is answered with this status.
    Status(u16),
}

/// A running stub.
#[derive(Debug)]
pub struct StubRegistry {
    port: u16,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    blobs: BTreeMap<String, Blob>,
    target: String,
    fault: Mutex<Fault>,
    stalled: watch::Sender<bool>,
}

type Body = BoxBody<Bytes, std::convert::Infallible>;

impl StubRegistry {
    /// Serves `image` under every repository and tag.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(image: &Image, fault: Fault) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let blobs = image.blobs().map(|blob| (blob.digest.clone(), blob.clone())).collect();
        let target = image.manifest.digest.clone();
        let shared =
            Arc::new(Shared { blobs, target, fault: Mutex::new(fault), stalled: watch::Sender::new(false) });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { port, shared, serving })
    }

    /// The registry's part of a reference.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A reference to `name` in this registry.
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// From now on it does this wrong instead.
    pub fn set_fault(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Returns once a client waits in the middle of the stalled blob.
    ///
    /// # Errors
    /// Where none does within 30 s.
    pub async fn stalled(&self) -> anyhow::Result<()> {
        let mut stalled = self.shared.stalled.subscribe();
        let waiting = stalled.wait_for(|stalled| *stalled);
        tokio::time::timeout(Duration::from_secs(30), waiting).await.context("no client reached the stalled blob")??;
        Ok(())
    }
}

impl Drop for StubRegistry {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Ends every connection with the stub: a stalled client must not outlive it.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let answer = service_fn(move |request| {
                let answer = answer(&shared, &request);
                async move { answer }
            });
            let _ =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

fn answer<B>(shared: &Arc<Shared>, request: &Request<B>) -> anyhow::Result<Response<Body>> {
    let fault = shared.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let status = |code| Ok(Response::builder().status(code).body(Full::default().boxed())?);
    if let Fault::Status(code) = fault {
        return status(StatusCode::from_u16(code)?);
    }
    let path = request.uri().path();
    let reference = path.rsplit_once("/manifests/").map(|(_, reference)| match reference.contains(':') {
        true => reference.to_owned(),
        false => shared.target.clone(),
    });
    let digest = reference.or_else(|| path.rsplit_once("/blobs/").map(|(_, digest)| digest.to_owned()));
    let Some(digest) = digest else { return status(StatusCode::OK) };
    let Some(blob) = shared.blobs.get(&digest) else { return status(StatusCode::NOT_FOUND) };
    let mut bytes = Bytes::from(blob.bytes.clone());
    if fault == Fault::Corrupt(digest.clone()) {
        let mut changed = bytes.to_vec();
        *changed.last_mut().context("an empty blob cannot be corrupt")? ^= 1;
        bytes = changed.into();
    }
    let total = bytes.len();
    let offset = range_start(request).unwrap_or(0).min(total);
    let mut response = Response::builder()
        .header("content-type", &blob.media_type)
        .header("content-length", total - offset)
        .header("docker-content-digest", &digest);
    if offset > 0 {
        let range = format!("bytes {offset}-{}/{total}", total - 1);
        response = response.status(StatusCode::PARTIAL_CONTENT).header("content-range", range);
    }
    let bytes = bytes.slice(offset..);
    Ok(response.body(match request.method() {
        &Method::HEAD => Full::default().boxed(),
        _ if fault == Fault::StallHalfway(digest) => stalling(bytes, shared),
        _ => Full::new(bytes).boxed(),
    })?)
}

/// Half the bytes, then the word to the waiting test, then nothing for ever.
fn stalling(bytes: Bytes, shared: &Arc<Shared>) -> Body {
    use tokio_stream::StreamExt as _;
    let shared = Arc::clone(shared);
    let half = bytes.slice(..bytes.len() / 2);
    let first = tokio_stream::once(Ok(Frame::data(half)));
    // Asked for its second part, the body knows that the first was taken by the connection.
    let mut announced = false;
    let never = std::iter::from_fn(move || (!std::mem::replace(&mut announced, true)).then(|| shared.stalled.send_replace(true)));
    let announce = tokio_stream::iter(never).filter_map(|_| None);
    StreamBody::new(first.chain(announce).chain(tokio_stream::pending())).boxed()
}

fn range_start<B>(request: &Request<B>) -> Option<usize> {
    let range = request.headers().get("range")?.to_str().ok()?;
    range.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
}
