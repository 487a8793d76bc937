//! Asks each host of a plan what a pull would ask first, step by step, so that the step which fails shows.
//!
//! Nothing is retried, and nothing is fetched but a document where the host's HEAD does not say enough.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use auth::{Challenge, parse_challenges};
use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::Full;
use tokio::time::Instant;

use crate::connector::ConnectError;
use crate::endpoint::Endpoint;
use crate::error::{Failure, ProtocolError};
use crate::hosts::ConfigError;
use crate::session::{Inner, Session};

/// What one host answered: the steps in order, up to the first that failed for good.
#[derive(Debug)]
pub struct Probe {
    /// The steps.
    pub steps: Vec<Step>,
    /// Whether a pull would get on with this host.
    pub serves: bool,
}

/// One step.
#[derive(Debug)]
pub struct Step {
    /// Which.
    pub kind: StepKind,
    /// How long it took.
    pub took: Duration,
    /// The HTTP status of the last answer, where there was one.
    pub status: Option<u16>,
    /// What the answer says: the kinds of its challenges, or the digest of the document.
    pub says: Vec<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// The steps in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// A connection to the host, or through its proxy.
    Connect,
    /// The TLS handshake on it.
    Tls,
    /// `GET` of the API's base, without credentials. What it answers decides nothing.
    Base,
    /// The document that the reference points at, with tokens, credentials and redirects as in a pull.
    Manifest,
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StepKind::Connect => "connect",
            StepKind::Tls => "tls",
            StepKind::Base => "base",
            StepKind::Manifest => "manifest",
        })
    }
}

impl Session {
    /// Asks the hosts, all at the same time; the answers are in the order of [`Session::plan`].
    ///
    /// # Errors
    /// As [`Session::plan`].
    ///
    /// # Cancel safety
    /// Dropping the future closes its connections.
    pub async fn probe(&self) -> Result<Vec<Probe>, Arc<ConfigError>> {
        let endpoints = self.0.endpoints.as_ref().map_err(Arc::clone)?;
        Ok(futures::future::join_all(endpoints.iter().map(|endpoint| self.0.probe(endpoint))).await)
    }
}

impl Inner {
    async fn probe(&self, endpoint: &Endpoint) -> Probe {
        let mut steps = Vec::new();
        let serves = self.take_steps(endpoint, &mut steps).await;
        Probe { steps, serves }
    }

    /// Whether all of them were taken well.
    async fn take_steps(&self, endpoint: &Endpoint, steps: &mut Vec<Step>) -> bool {
        while let Err(error) = self.probe_connection(endpoint, steps).await {
            // A host that speaks no TLS where plain http is allowed is tried a second time, by that.
            if !endpoint.fall_back(&error) {
                return false;
            }
        }
        let base = self.probe_base(endpoint).await;
        let answered = base.failure.is_none();
        steps.push(base);
        // A host that would not be asked for a tag is not asked here.
        if !answered || !endpoint.host.capabilities.has(self.resolving()) {
            return false;
        }
        let manifest = self.probe_manifest(endpoint).await;
        let serves = manifest.failure.is_none();
        steps.push(manifest);
        serves
    }

    async fn probe_connection(
        &self,
        endpoint: &Endpoint,
        steps: &mut Vec<Step>,
    ) -> Result<(), Arc<ConnectError>> {
        // A URL that is none is told by the next step, which needs it too.
        let Ok(url) = endpoint.url("") else { return Ok(()) };
        let connector = self.shared.connector(&endpoint.host);
        let since = Instant::now();
        let (io, error) = shared_error(connector.reach(url.uri()).await);
        steps.push(Step::new(StepKind::Connect, since, error.clone().map(Failure::Connect)));
        let Some((io, _proxied)) = io else { return error.map_or(Ok(()), Err) };
        if !url.is_https() {
            return Ok(());
        }
        let since = Instant::now();
        let (_io, error) = shared_error(connector.handshake(io, url.uri()).await);
        steps.push(Step::new(StepKind::Tls, since, error.clone().map(Failure::Connect)));
        error.map_or(Ok(()), Err)
    }

    async fn probe_base(&self, endpoint: &Endpoint) -> Step {
        let since = Instant::now();
        let answer = async {
            let url = endpoint.url("").map_err(ProtocolError::Url)?;
            let mut request = Request::new(Full::<Bytes>::default());
            *request.uri_mut() = url.uri().clone();
            request.headers_mut().extend(endpoint.host.header.clone());
            endpoint.transport.send(request).await
        };
        match answer.await {
            Ok(response) => Step {
                status: Some(response.status().as_u16()),
                says: challenges(response.headers()),
                ..Step::new(StepKind::Base, since, None)
            },
            Err(failure) => Step::new(StepKind::Base, since, Some(failure)),
        }
    }

    async fn probe_manifest(&self, endpoint: &Endpoint) -> Step {
        let since = Instant::now();
        match self.resolve_at(endpoint).await {
            Ok((descriptor, _body)) => Step {
                status: Some(200),
                says: vec![descriptor.digest.to_string()],
                ..Step::new(StepKind::Manifest, since, None)
            },
            Err(failure) => {
                Step { status: failure.status(), ..Step::new(StepKind::Manifest, since, Some(failure)) }
            }
        }
    }
}

/// The value or the error, which two are to have.
fn shared_error<T>(result: Result<T, ConnectError>) -> (Option<T>, Option<Arc<ConnectError>>) {
    match result {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(Arc::new(error))),
    }
}

/// The schemes of the challenges, for whoever asks why credentials were not taken.
fn challenges(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let kind = |challenge: &Challenge| match challenge {
        Challenge::Bearer(_) => "Bearer".to_owned(),
        Challenge::Basic { .. } => "Basic".to_owned(),
        _ => "a scheme that is not known".to_owned(),
    };
    match parse_challenges(values) {
        Ok(challenges) => challenges.iter().map(kind).collect(),
        Err(_unreadable) => vec!["a challenge that cannot be read".to_owned()],
    }
}

impl Step {
    fn new(kind: StepKind, since: Instant, failure: Option<Failure>) -> Step {
        Step { kind, took: since.elapsed(), status: None, says: Vec::new(), failure }
    }
}
