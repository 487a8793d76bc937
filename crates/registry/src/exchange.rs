//! One request to one host, to its final answer: redirects followed, challenges answered, refusals named.
//!
//! Tries nothing twice but a request that was challenged, or that met a plain-http server where TLS was tried.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use auth::Secret;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::authorizer::Authorization;
use crate::body::{self, Pace};
use crate::endpoint::Endpoint;
use crate::error::{ERROR_BODY_BYTES_MAX, Failure, ProtocolError, ServerSays};
use crate::retry::retry_after;
use crate::session::Inner;
use crate::url::RedactedUrl;

/// Most redirects followed for one request: what Go's client, and so containerd, follows.
const REDIRECTS_MAX: usize = 10;
/// Longest wait for an error body; the status is known already, the body only makes it clearer.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// What to ask of a host.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Below the host's base: `library/busybox/manifests/latest`.
    pub(crate) path: String,
    pub(crate) accept: HeaderValue,
    /// `Range`, if any.
    pub(crate) range: Option<HeaderValue>,
}

/// Where the redirects of a call led, so that the next request for the same thing need not follow them again. It is
/// forgotten with the first request that fails there: what a registry signs is good for some minutes.
#[derive(Debug, Default)]
pub(crate) struct Location(Mutex<Option<(usize, RedactedUrl)>>);

impl Location {
    fn at(&self, endpoint: &Endpoint) -> Option<RedactedUrl> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(position, _)| *position == endpoint.position).map(|(_, url)| url.clone())
    }

    /// The next request follows the redirects anew.
    pub(crate) fn forget(&self) {
        self.set(None);
    }

    fn set(&self, found: Option<(usize, RedactedUrl)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

impl Inner {
    /// Sends `call` to `endpoint` and returns its successful response, body unread.
    ///
    /// # Errors
    /// Anything but a 2xx.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection in use.
    pub(crate) async fn exchange(
        &self,
        endpoint: &Endpoint,
        call: &Call,
    ) -> Result<Response<Incoming>, Failure> {
        endpoint.health.patience().await;
        let url = endpoint.url(&call.path).map_err(ProtocolError::Url)?;
        self.follow(endpoint, call, url).await.map(|(response, _)| response)
    }

    /// As [`Inner::exchange`], beginning at `location` where it is known.
    pub(crate) async fn exchange_at(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        location: &Location,
    ) -> Result<Response<Incoming>, Failure> {
        endpoint.health.patience().await;
        if let Some(url) = location.at(endpoint) {
            match self.follow(endpoint, call, url).await {
                Ok((response, _)) => return Ok(response),
                Err(failure) => {
                    let cause = crate::error::chain(&failure);
                    tracing::debug!(host = endpoint.host.name(), cause, "redirect is followed anew");
                    location.forget();
                }
            }
        }
        let url = endpoint.url(&call.path).map_err(ProtocolError::Url)?;
        let (response, redirected_to) = self.follow(endpoint, call, url).await?;
        location.set(redirected_to.map(|url| (endpoint.position, url)));
        Ok(response)
    }

    /// The response, and where redirects led, if there were any.
    async fn follow(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        mut url: RedactedUrl,
    ) -> Result<(Response<Incoming>, Option<RedactedUrl>), Failure> {
        let mut own = endpoint.url(&call.path).map_err(ProtocolError::Url)?.origin();
        let mut redirects = 0;
        let mut challenged = BTreeSet::new();
        loop {
            let is_foreign = endpoint.host.foreign.is_some();
            let sent = match is_foreign {
                // A manifest's author names it: nobody's credentials go there, not even those for its host.
                true => None,
                false => self.authorizer.authorization(&self.shared, endpoint, &url).await?,
            };
            let configured = (url.origin() == own).then_some(&endpoint.host.header);
            let request = request(call, &url, configured, sent.as_ref())?;
            let is_elsewhere = url.origin() != own;
            let response = match endpoint.transport.send(request).await {
                Err(Failure::Connect(error)) if !is_elsewhere && endpoint.fall_back(&error) => {
                    tracing::info!(
                        host = endpoint.host.name(),
                        "host speaks no TLS, going on with plain http"
                    );
                    url = endpoint.url(&call.path).map_err(ProtocolError::Url)?;
                    own = url.origin();
                    continue;
                }
                Err(failure) => {
                    if is_elsewhere {
                        endpoint.note_storage(&url, &failure);
                    }
                    return Err(failure);
                }
                Ok(response) => response,
            };
            // A host that answers is up, whatever it says.
            endpoint.answered();
            if is_elsewhere {
                endpoint.storage_answered();
            }
            let status = response.status();
            if status.is_success() {
                return Ok((response, (redirects > 0).then_some(url)));
            }
            if is_redirect(status) {
                redirects += 1;
                url = target(&url, response.headers(), redirects)?;
                self.authorizer.check_may_dial(&self.shared, &url)?;
                continue;
            }
            // One answer to a challenge for each origin on the way: a second 401 is a refusal.
            if status == StatusCode::UNAUTHORIZED
                && !is_foreign
                && challenged.insert(url.origin())
                && self
                    .authorizer
                    .challenged(&self.shared, endpoint, &url, response.headers(), sent.as_ref())
                    .await?
            {
                continue;
            }
            let own = self.authorizer.secret_for(&self.shared, endpoint, &url).await;
            let given = own.is_some();
            let own = own.as_ref().map(Secret::expose);
            let secrets: Vec<_> = sent.iter().map(Authorization::secret).chain(own).collect();
            return Err(refusal(response, given, &secrets, self.shared.pace()).await);
        }
    }
}

fn request(
    call: &Call,
    url: &RedactedUrl,
    configured: Option<&HeaderMap>,
    authorization: Option<&Authorization>,
) -> Result<Request<Full<bytes::Bytes>>, ProtocolError> {
    let mut request = Request::new(Full::default());
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = url.uri().clone();
    let headers = request.headers_mut();
    if let Some(configured) = configured {
        headers.extend(configured.clone());
    }
    headers.insert(header::ACCEPT, call.accept.clone());
    // A transparently compressed body would match neither digest nor range.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(range) = &call.range {
        headers.insert(header::RANGE, range.clone());
    }
    if let Some(authorization) = authorization {
        headers.insert(header::AUTHORIZATION, authorization.header_value()?);
    }
    Ok(request)
}

/// Those that keep the method of a GET or HEAD (RFC 9110, section 15.4).
fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn target(from: &RedactedUrl, headers: &HeaderMap, redirects: usize) -> Result<RedactedUrl, ProtocolError> {
    if redirects > REDIRECTS_MAX {
        return Err(ProtocolError::Redirects { max: REDIRECTS_MAX });
    }
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let to = from.join(location.ok_or(ProtocolError::NoLocation)?).map_err(ProtocolError::Redirect)?;
    if from.is_https() && !to.is_https() {
        return Err(ProtocolError::Downgrade { to });
    }
    Ok(to)
}

/// The failure that a response without success stands for; reads its body for the server's reason.
pub(crate) async fn refusal(
    response: Response<Incoming>,
    credentials_given: bool,
    secrets: &[&str],
    pace: Pace,
) -> Failure {
    let status = response.status().as_u16();
    let after = retry_after(response.headers());
    let reading = body::read(response.into_body(), ERROR_BODY_BYTES_MAX, pace);
    let says = match timeout(ERROR_BODY_TIMEOUT, reading).await {
        Ok(Ok(body)) => ServerSays::parse(&body, secrets),
        // The status stands, whatever became of the body.
        Ok(Err(_)) | Err(_) => ServerSays::default(),
    };
    match status {
        401 => Failure::Unauthorized { credentials_given, says },
        403 => Failure::Denied { credentials_given, says },
        404 | 410 => Failure::NotFound { says },
        429 => Failure::RateLimited { after, says },
        status => Failure::Server { status, after, says },
    }
}
