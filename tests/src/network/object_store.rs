//! A storage that blobs are redirected to by signed URLs that expire, as a registry before an object store does it.
//!
//! Two origins: the one that signs stands behind the registry's host, the other is asked by clients directly. As object
//! stores do, the storage refuses an `Authorization` header beside its own signature.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ring::hmac;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

type Body = BoxBody<Bytes, std::io::Error>;

/// What the storage was asked, and what it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreRequest {
    /// The digest.
    pub digest: String,
    /// Whether it had an `Authorization` header.
    pub has_authorization: bool,
    /// The first byte that it wanted.
    pub offset: u64,
    /// The answer.
    pub status: u16,
}

/// A running storage.
#[derive(Debug)]
pub struct ObjectStore {
    signer: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct State {
    /// The registry's own folder.
    data: PathBuf,
    storage: SocketAddr,
    key: hmac::Key,
    /// The digests whose URLs that were signed before their break have expired.
    broken: BTreeSet<String>,
    /// The digest whose next transfer ends in its middle.
    breaks: Option<String>,
    requests: Vec<StoreRequest>,
}

impl ObjectStore {
    /// Serves the blobs of the registry whose files are in `data`.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(data: PathBuf) -> anyhow::Result<Self> {
        let front = TcpListener::bind(("127.0.0.1", 0)).await?;
        let storage = TcpListener::bind(("127.0.0.1", 0)).await?;
        let signer = front.local_addr()?;
        let state = Arc::new(Mutex::new(State {
            data,
            storage: storage.local_addr()?,
            key: hmac::Key::new(hmac::HMAC_SHA256, b"the storage's own"),
            broken: BTreeSet::new(),
            breaks: None,
            requests: Vec::new(),
        }));
        let serving = [serve(front, Arc::clone(&state), sign), serve(storage, Arc::clone(&state), give)];
        Ok(Self { signer, state, serving })
    }

    /// The origin that redirects: what a registry's front asks for blobs.
    pub fn signer(&self) -> String {
        format!("http://{}", self.signer)
    }

    /// The next transfer of `digest` ends in its middle, and with it every URL that was signed for it until then.
    pub fn break_next(&self, digest: &str) {
        lock(&self.state).breaks = Some(digest.to_owned());
    }

    /// What the storage was asked so far.
    pub fn requests(&self) -> Vec<StoreRequest> {
        lock(&self.state).requests.clone()
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        self.serving.iter().for_each(JoinHandle::abort);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

type Answer = fn(&Mutex<State>, &Request<Incoming>) -> anyhow::Result<Response<Body>>;

fn serve(listener: TcpListener, state: Arc<Mutex<State>>, answer: Answer) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let state = Arc::clone(&state);
            connections.spawn(async move {
                let answer = service_fn(move |request| {
                    let answer = answer(&state, &request);
                    async move { answer }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    })
}

/// The redirect of a blob's path to the storage.
fn sign(state: &Mutex<State>, request: &Request<Incoming>) -> anyhow::Result<Response<Body>> {
    let state = lock(state);
    let (_, digest) = request.uri().path().rsplit_once('/').context("no digest")?;
    let (storage, signature) = (state.storage, state.signature(digest));
    let location = format!("http://{storage}/objects/{digest}?signature={signature}");
    Ok(Response::builder()
        .status(StatusCode::TEMPORARY_REDIRECT)
        .header("location", location)
        .body(empty())?)
}

/// The bytes of a blob, for whoever has a signature that holds.
fn give(state: &Mutex<State>, request: &Request<Incoming>) -> anyhow::Result<Response<Body>> {
    let mut state = lock(state);
    let digest = request.uri().path().trim_start_matches("/objects/").to_owned();
    let has_authorization = request.headers().contains_key("authorization");
    let offset = offset(request);
    let status = match (state.allows(&digest, request.uri().query().unwrap_or_default()), has_authorization) {
        (_, true) => StatusCode::BAD_REQUEST,
        (false, false) => StatusCode::FORBIDDEN,
        (true, false) if offset > 0 => StatusCode::PARTIAL_CONTENT,
        (true, false) => StatusCode::OK,
    };
    state.requests.push(StoreRequest {
        digest: digest.clone(),
        has_authorization,
        offset,
        status: status.as_u16(),
    });
    let response = Response::builder().status(status);
    if !status.is_success() {
        return Ok(response.body(empty())?);
    }
    let content = std::fs::read(state.path(&digest)).context("no such object")?;
    let size = content.len();
    let rest = Bytes::from(content).split_off(usize::try_from(offset)?.min(size));
    let response = response.header("content-length", rest.len());
    let response = match status {
        StatusCode::PARTIAL_CONTENT => {
            response.header("content-range", format!("bytes {offset}-{}/{size}", size.saturating_sub(1)))
        }
        _ => response,
    };
    if state.breaks.take_if(|broken| *broken == digest).is_none() {
        return Ok(response.body(Full::new(rest).map_err(|never| match never {}).boxed())?);
    }
    state.broken.insert(digest);
    let half = rest.slice(..rest.len() / 2);
    let broken = std::io::Error::other("this transfer was to break");
    let frames = [Ok(Frame::data(half)), Err(broken)];
    Ok(response.body(BodyExt::boxed(StreamBody::new(tokio_stream::iter(frames))))?)
}

impl State {
    fn allows(&self, digest: &str, query: &str) -> bool {
        let expected = self.signature(digest);
        query.split('&').filter_map(|pair| pair.strip_prefix("signature=")).any(|text| text == expected)
    }

    /// The signature that holds now.
    fn signature(&self, digest: &str) -> String {
        let signed = format!("{digest} {}", self.broken.contains(digest));
        hex(hmac::sign(&self.key, signed.as_bytes()).as_ref())
    }

    fn path(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let folder = hex.get(..2).unwrap_or_default();
        self.data.join("docker/registry/v2/blobs/sha256").join(folder).join(hex).join("data")
    }
}

/// The first byte of a request's `Range`.
fn offset(request: &Request<Incoming>) -> u64 {
    let range = request.headers().get("range").and_then(|value| value.to_str().ok());
    let first = range.and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok());
    first.unwrap_or(0)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn empty() -> Body {
    Full::default().map_err(|never| match never {}).boxed()
}
