//! Servers by host and port, dialled in memory; every request is recorded.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use registry::{BoxedIo, Dialer, Io};
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use super::Reply;

/// One request as a server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) server: String,
    pub(crate) method: String,
    /// Path and query, or the absolute form that a proxy gets.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

type Script = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

#[derive(Clone)]
struct Server {
    script: Script,
    tls: Option<Arc<ServerConfig>>,
}

/// The servers and what they saw; clones are one network.
#[derive(Clone, Default)]
pub(crate) struct Network {
    servers: Arc<Mutex<BTreeMap<String, Server>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    dialled: Arc<Mutex<Vec<String>>>,
}

impl Network {
    pub(crate) fn serve(&self, address: &str, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        let server = Server { script: Arc::new(script), tls: None };
        self.servers.lock().unwrap().insert(address.to_owned(), server);
    }

    pub(crate) fn serve_tls(
        &self,
        address: &str,
        tls: Arc<ServerConfig>,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) {
        let server = Server { script: Arc::new(script), tls: Some(tls) };
        self.servers.lock().unwrap().insert(address.to_owned(), server);
    }

    pub(crate) fn stop(&self, address: &str) {
        self.servers.lock().unwrap().remove(address);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// `METHOD server target` of each request.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {} {}", seen.method, seen.server, seen.target)).collect()
    }

    pub(crate) fn dialled(&self) -> Vec<String> {
        self.dialled.lock().unwrap().clone()
    }

    /// A dialer that reaches these servers and nothing else.
    pub(crate) fn dialer(&self) -> Dialer {
        let network = self.clone();
        Dialer::new(tower::service_fn(move |uri: Uri| {
            let network = network.clone();
            async move { network.dial(&uri) }
        }))
    }

    /// What a dial of a server comes to, `None` where there is no such server.
    pub(crate) fn dial_if_served(&self, uri: &Uri) -> Option<io::Result<BoxedIo>> {
        self.dial(uri).map(Ok).ok()
    }

    fn dial(&self, uri: &Uri) -> io::Result<BoxedIo> {
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let address = format!("{}:{port}", uri.host().unwrap());
        self.dialled.lock().unwrap().push(address.clone());
        let server = self.servers.lock().unwrap().get(&address).cloned();
        let server = server.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let network = self.clone();
        tokio::spawn(network.accept(address, server, Box::new(theirs)));
        Ok(Box::new(ours))
    }

    /// Serves a connection that was accepted elsewhere, as the server `address`.
    pub(crate) fn serve_connection(&self, address: &str, io: impl Io) {
        let server = self.servers.lock().unwrap().get(address).cloned().unwrap();
        tokio::spawn(self.clone().accept(address.to_owned(), server, Box::new(io)));
    }

    /// Serves one connection of any kind until it ends.
    fn accept(
        self,
        address: String,
        server: Server,
        io: BoxedIo,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            match server.tls {
                Some(tls) => match TlsAcceptor::from(tls).accept(io).await {
                    Ok(io) => self.http(address, io).await,
                    // The client's side of the failed handshake is what tests look at.
                    Err(_refused) => {}
                },
                None => self.http(address, io).await,
            }
        })
    }

    async fn http(self, address: String, io: impl Io) {
        let service = service_fn(move |request: Request<Incoming>| {
            let (network, address) = (self.clone(), address.clone());
            // The script of this moment, for connections outlive changes of it; a stopped server breaks them.
            let server = self.servers.lock().unwrap().get(&address).cloned();
            async move {
                let server = server.ok_or(io::ErrorKind::ConnectionReset)?;
                if request.method() == http::Method::CONNECT {
                    return Ok(network.tunnel(address, &server, request).await);
                }
                let seen = record(address, request).await;
                network.seen.lock().unwrap().push(seen.clone());
                Ok::<_, io::Error>((server.script)(&seen).into_response().await)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades();
        // A connection that the script broke ends with an error; that is the point of it.
        let _ended = connection.await;
    }

    /// A proxy's CONNECT: the script says yes or no, then bytes pass.
    async fn tunnel(
        self,
        address: String,
        server: &Server,
        mut request: Request<Incoming>,
    ) -> http::Response<super::reply::Body> {
        let target = request.uri().to_string();
        let upgraded = hyper::upgrade::on(&mut request);
        let seen = record(address, request).await;
        self.seen.lock().unwrap().push(seen.clone());
        let reply = (server.script)(&seen);
        tokio::spawn(async move {
            let Ok(upgraded) = upgraded.await else { return };
            let uri: Uri = format!("http://{target}/").parse().unwrap();
            let mut far = self.dial(&uri).unwrap();
            // Either side may close first, with or without an error.
            let _ended = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut far).await;
        });
        reply.into_response().await
    }
}

async fn record(server: String, request: Request<Incoming>) -> Seen {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Seen {
        server,
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}
