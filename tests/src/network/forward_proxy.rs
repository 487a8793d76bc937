//! A forward proxy: `CONNECT` for https, absolute URLs for http. It alone knows where the names of a test are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

type Body = BoxBody<Bytes, hyper::Error>;

/// A running proxy.
#[derive(Debug)]
pub struct ForwardProxy {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    names: BTreeMap<String, SocketAddr>,
    requests: Mutex<Vec<String>>,
}

impl ForwardProxy {
    /// Starts one that reaches the servers of `names` (`host:port`), and nothing else.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(names: BTreeMap<String, SocketAddr>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State { names, requests: Mutex::default() });
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                connections.spawn(async move {
                    let pass = service_fn(move |request| pass(Arc::clone(&state), request));
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), pass);
                    let _ = connection.with_upgrades().await;
                });
            }
        });
        Ok(Self { address, state, serving })
    }

    /// Its URL, for `HTTP_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `METHOD target` of every request so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(state: Arc<State>, request: Request<Incoming>) -> anyhow::Result<Response<Body>> {
    let line = format!("{} {}", request.method(), request.uri());
    state.requests.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    let authority = request.uri().authority().context("no absolute URL")?;
    let target = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
    let Some(address) = state.names.get(&target) else {
        return Ok(Response::builder().status(StatusCode::BAD_GATEWAY).body(empty())?);
    };
    let server = TcpStream::connect(address).await?;
    match *request.method() {
        Method::CONNECT => Ok(tunnel(request, server)),
        _ => forward(request, server).await,
    }
}

fn tunnel(request: Request<Incoming>, mut server: TcpStream) -> Response<Body> {
    tokio::spawn(async move {
        if let Ok(client) = hyper::upgrade::on(request).await {
            let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut server).await;
        }
    });
    Response::new(empty())
}

async fn forward(mut request: Request<Incoming>, server: TcpStream) -> anyhow::Result<Response<Body>> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>()?;
    request.headers_mut().remove("proxy-authorization");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(server)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?.map(BodyExt::boxed))
}

fn empty() -> Body {
    Full::default().map_err(|never| match never {}).boxed()
}
