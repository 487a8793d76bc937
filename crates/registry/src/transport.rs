//! Requests over pooled connections, one pool for each set of connection settings.
//!
//! Knows timeouts, not meaning: statuses, redirects and credentials are judged by the exchange above.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use crate::connector::{ConnectError, Connector, HANDSHAKE_TIMEOUT};
use crate::error::Failure;

/// Idle connections are closed after this; below the 60 s at which common load balancers cut them.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// Idle connections kept for each host, enough for the layers of one image.
const POOL_IDLE_PER_HOST_MAX: usize = 8;
/// Largest read buffer of a connection. It bounds the headers of a response, and the chunks in which a body arrives.
const READ_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// Name and version of this client, sent with every request.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("cri-imaged/", env!("CARGO_PKG_VERSION")));

/// An HTTP client for one set of connection settings; clones share the pool.
#[derive(Clone)]
pub(crate) struct Transport {
    http: HyperClient<Connector, Full<Bytes>>,
    proxies: crate::Proxies,
    /// `None` where connecting or the answer may take any time.
    response_timeout: Option<Duration>,
}

impl Transport {
    pub(crate) fn new(connector: Connector, header_timeout: Duration) -> Transport {
        let proxies = connector.proxies.clone();
        // The HTTP client connects inside the request, so its time counts here too.
        let is_bounded = !connector.dial_timeout.is_zero() && !header_timeout.is_zero();
        let response_timeout =
            is_bounded.then_some(connector.dial_timeout + 2 * HANDSHAKE_TIMEOUT + header_timeout);
        let http = HyperClient::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(POOL_IDLE_PER_HOST_MAX)
            .http1_max_buf_size(READ_BUFFER_BYTES_MAX)
            .build(connector);
        Transport { http, proxies, response_timeout }
    }

    /// Sends `request` and returns once the response's headers are there.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection unless the response had begun.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        // `hosts.toml` may have another, for registries that judge by it.
        request.headers_mut().entry(header::USER_AGENT).or_insert(USER_AGENT);
        if let Some(value) = self.proxies.authorization(request.uri()) {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, value);
        }
        let response = self.http.request(request);
        let result = match self.response_timeout {
            None => response.await,
            Some(after) => match timeout(after, response).await {
                Ok(result) => result,
                Err(_elapsed) => return Err(Failure::NoResponse { after }),
            },
        };
        result.map_err(failure)
    }
}

fn failure(error: hyper_util::client::legacy::Error) -> Failure {
    match connect_error(&error) {
        Some(connect) => Failure::Connect(connect),
        None => Failure::Broken(Box::new(error)),
    }
}

fn connect_error(error: &(dyn StdError + 'static)) -> Option<Arc<ConnectError>> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(connect) = error.downcast_ref::<Arc<ConnectError>>() {
            return Some(Arc::clone(connect));
        }
        next = error.source();
    }
    None
}
