//! What a reference points at: a HEAD where the registry answers it well, else a GET.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use hyper::body::Incoming;
use oci::{DOCUMENT_BYTES_MAX, Descriptor};
use refparse::{Algorithm, Digest};

use crate::body;
use crate::digest;
use crate::endpoint::Endpoint;
use crate::error::{AccessError, Failure, ResolveError};
use crate::exchange::Call;
use crate::hosts::Capability;
use crate::media::{Announced, MANIFEST_ACCEPT, sniff};
use crate::rounds::Rounds;
use crate::session::{Inner, Session};

/// What a reference points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The index or manifest.
    pub descriptor: Descriptor,
    /// Its bytes, verified, where the registry had to be asked for them to tell.
    pub body: Option<Bytes>,
    /// The host that answered.
    pub host: String,
}

impl Session {
    /// Asks what the reference points at now. A reference by digest resolves to that digest or fails.
    ///
    /// # Errors
    /// [`ResolveError`] with every host tried; transient failures were retried here already.
    ///
    /// # Cancel safety
    /// Dropping the future drops the request; nothing else was begun.
    pub async fn resolve(&self) -> Result<Resolved, ResolveError> {
        let reference = &self.0.reference;
        self.0.resolve().await.map_err(|source| ResolveError { reference: reference.clone(), source })
    }
}

impl Inner {
    async fn resolve(&self) -> Result<Resolved, AccessError> {
        let mut rounds = Rounds::new(self, self.resolving())?;
        loop {
            let endpoint = rounds.next().await?;
            match self.resolve_at(&endpoint).await {
                Ok((descriptor, body)) => {
                    return Ok(Resolved { descriptor, body, host: endpoint.host.name().to_owned() });
                }
                Err(failure) => rounds.failed(&endpoint, failure),
            }
        }
    }

    /// Where hosts have the document, below their base.
    pub(crate) fn manifest_path(&self) -> String {
        let name = self.reference.digest().map(Digest::as_str).or(self.reference.tag()).unwrap_or_default();
        format!("{}/manifests/{name}", self.reference.repository())
    }

    /// What a host must be able to do that is asked what the reference points at.
    pub(crate) fn resolving(&self) -> Capability {
        // Any mirror can be held to a digest, but only a trusted one may say what a tag means.
        if self.reference.digest().is_some() { Capability::Pull } else { Capability::Resolve }
    }

    pub(crate) async fn resolve_at(
        &self,
        endpoint: &Endpoint,
    ) -> Result<(Descriptor, Option<Bytes>), Failure> {
        let mut call =
            Call { method: Method::HEAD, path: self.manifest_path(), accept: MANIFEST_ACCEPT, range: None };
        match self.exchange(endpoint, &call).await {
            Ok(response) => {
                if let Some(descriptor) = self.described(response.headers())? {
                    return Ok((descriptor, None));
                }
            }
            Err(failure) if deserves_get(&failure) => {}
            Err(failure) => return Err(failure),
        }
        call.method = Method::GET;
        let response = self.exchange(endpoint, &call).await?;
        let (descriptor, body) = self.read_described(response).await?;
        Ok((descriptor, Some(body)))
    }

    /// The descriptor in the headers of a HEAD; `None` where they do not say enough to be trusted.
    fn described(&self, headers: &HeaderMap) -> Result<Option<Descriptor>, Failure> {
        let media_type = match Announced::of(headers, self.shared.config.schema1) {
            Announced::Document(media_type) => media_type,
            Announced::Unclear => return Ok(None),
            Announced::Unsupported(media_type) => return Err(Failure::UnsupportedMediaType { media_type }),
        };
        let Some(digest) = self.digest_in(headers)? else { return Ok(None) };
        let Some(size) = headers.get(header::CONTENT_LENGTH).and_then(decimal) else { return Ok(None) };
        if size == 0 {
            // No document is empty: some proxies answer every HEAD with a length of zero.
            return Ok(None);
        }
        check_size(size)?;
        Ok(Some(Descriptor::new(media_type, digest, size)))
    }

    /// The digest that the headers and the reference agree on; `None` where the headers must not be relied on.
    fn digest_in(&self, headers: &HeaderMap) -> Result<Option<Digest>, Failure> {
        let told = content_digest(headers);
        match (self.reference.digest(), told) {
            (None, told) => Ok(told),
            (Some(wanted), None) => Ok(Some(wanted.clone())),
            (Some(wanted), Some(told)) if *wanted == told => Ok(Some(told)),
            // The same bytes under another algorithm: only hashing them can tell.
            (Some(wanted), Some(told)) if wanted.algorithm() != told.algorithm() => Ok(None),
            (Some(wanted), Some(told)) => {
                Err(Failure::DigestMismatch { expected: wanted.clone(), actual: told })
            }
        }
    }

    /// The descriptor of a GET's body, hashed here.
    async fn read_described(
        &self,
        response: http::Response<Incoming>,
    ) -> Result<(Descriptor, Bytes), Failure> {
        let schema1 = self.shared.config.schema1;
        let announced = match Announced::of(response.headers(), schema1) {
            Announced::Unsupported(media_type) => return Err(Failure::UnsupportedMediaType { media_type }),
            announced => announced,
        };
        let told = content_digest(response.headers());
        let body = body::read(response.into_body(), DOCUMENT_BYTES_MAX, self.shared.pace()).await?;
        let media_type = match announced {
            Announced::Document(media_type) => media_type,
            _ => sniff(&body, schema1)?,
        };
        let named = digest::named(&media_type, &body)?;
        let digest = match self.reference.digest().cloned().or(told) {
            Some(digest) => {
                digest::verify(&digest, &named)?;
                digest
            }
            None => digest::of(Algorithm::Sha256, &named),
        };
        drop(named);
        Ok((Descriptor::new(media_type, digest, body.len() as u64), body))
    }
}

/// Whether a GET may do where a HEAD did not: registries without HEAD answer 405, 501 or anything; a 403 to a HEAD
/// has no body that says why.
pub(crate) fn deserves_get(failure: &Failure) -> bool {
    match failure {
        Failure::Denied { .. } => true,
        Failure::Server { status, .. } => (400..500).contains(status) && *status != 408 || *status == 501,
        _ => false,
    }
}

/// `Docker-Content-Digest`, if it is a digest.
fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    let text = headers.get("docker-content-digest")?.to_str().ok()?;
    Digest::parse(text).ok()
}

pub(crate) fn decimal(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

/// # Errors
/// [`Failure::TooLarge`].
pub(crate) fn check_size(size: u64) -> Result<(), Failure> {
    if size > DOCUMENT_BYTES_MAX {
        Err(Failure::TooLarge { limit_bytes: DOCUMENT_BYTES_MAX })
    } else {
        Ok(())
    }
}
