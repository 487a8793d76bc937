//! A forward proxy: `CONNECT` for https, absolute URLs for http. It alone knows where the names of a test are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::proxy::{Proxy, State};

type Body = BoxBody<Bytes, hyper::Error>;

/// A running proxy.
#[derive(Debug)]
pub struct ForwardProxy(Proxy);

impl ForwardProxy {
    /// Starts one that reaches the servers of `names` (`host:port`), and nothing else.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(names: BTreeMap<String, SocketAddr>) -> anyhow::Result<Self> {
        let serve = |state: Arc<State>, stream| async move {
            let pass = service_fn(move |request| pass(Arc::clone(&state), request));
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), pass);
            connection.with_upgrades().await
        };
        Ok(Self(Proxy::start(names, serve).await?))
    }

    /// Its URL, for `HTTP_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address())
    }

    /// `METHOD target` of every request so far.
    pub fn requests(&self) -> Vec<String> {
        self.0.requests()
    }
}

async fn pass(state: Arc<State>, request: Request<Incoming>) -> anyhow::Result<Response<Body>> {
    let line = format!("{} {}", request.method(), request.uri());
    state.note(line);
    let authority = request.uri().authority().context("no absolute URL")?;
    let target = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
    let Some(address) = state.server(&target) else {
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
