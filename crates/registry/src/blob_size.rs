//! How long a blob is, where the document that names it does not say: Docker schema 1.

use http::{HeaderValue, Method, StatusCode, header};
use refparse::Digest;

use crate::content_range::ContentRange;
use crate::endpoint::Endpoint;
use crate::error::{AccessError, Failure, FetchError, ProtocolError};
use crate::exchange::Call;
use crate::hosts::Capability;
use crate::resolve::{decimal, deserves_get};
use crate::rounds::Rounds;
use crate::session::{Inner, Session};

impl Session {
    /// The size in bytes of the blob that `digest` names, as a host tells it. Only the blob itself can prove it.
    ///
    /// # Errors
    /// [`FetchError`] with every host tried; transient failures were retried here already.
    ///
    /// # Cancel safety
    /// Dropping the future drops the request.
    pub async fn blob_size(&self, digest: &Digest) -> Result<u64, FetchError> {
        self.0.blob_size(digest).await.map_err(|source| FetchError { digest: digest.clone(), source })
    }
}

impl Inner {
    async fn blob_size(&self, digest: &Digest) -> Result<u64, AccessError> {
        let mut rounds = Rounds::new(self, Capability::Pull)?;
        loop {
            let endpoint = rounds.next().await?;
            match self.blob_size_at(&endpoint, digest).await {
                Ok(size) => return Ok(size),
                Err(failure) => rounds.failed(&endpoint, failure),
            }
        }
    }

    async fn blob_size_at(&self, endpoint: &Endpoint, digest: &Digest) -> Result<u64, Failure> {
        let mut call = Call {
            method: Method::HEAD,
            path: format!("{}/blobs/{digest}", self.reference.repository()),
            accept: HeaderValue::from_static("*/*"),
            range: None,
        };
        match self.exchange(endpoint, &call).await {
            Ok(response) => {
                // No layer is empty: some proxies answer every HEAD with a length of zero.
                let length = response.headers().get(header::CONTENT_LENGTH).and_then(decimal);
                if let Some(length) = length.filter(|length| *length > 0) {
                    return Ok(length);
                }
            }
            // Also a storage whose signed URLs are good for GET alone.
            Err(failure) if deserves_get(&failure) => {}
            Err(failure) => return Err(failure),
        }
        call.method = Method::GET;
        call.range = Some(HeaderValue::from_static("bytes=0-0"));
        let response = self.exchange(endpoint, &call).await?;
        let headers = response.headers();
        let size = match response.status() {
            StatusCode::PARTIAL_CONTENT => ContentRange::of(headers).and_then(|range| range.size),
            // The body is not read: dropping the response closes the connection.
            _ => headers.get(header::CONTENT_LENGTH).and_then(decimal),
        };
        size.ok_or(Failure::Protocol(ProtocolError::NoLength))
    }
}
