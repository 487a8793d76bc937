//! Documents by descriptor: index, manifest and config, read whole and verified.

use bytes::Bytes;
use http::{HeaderValue, Method};
use oci::{DOCUMENT_BYTES_MAX, Descriptor, DocumentKind, media_type};

use crate::body;
use crate::digest;
use crate::endpoint::Endpoint;
use crate::error::{AccessError, Failure, FetchError};
use crate::exchange::Call;
use crate::hosts::Capability;
use crate::resolve::check_size;
use crate::rounds::Rounds;
use crate::session::{Inner, Session};

impl Session {
    /// The bytes of the index, manifest or config that `descriptor` names; size and digest are right. Of a Docker schema 1
    /// manifest the digest is, for its signature is not a part of it and may have another length each time.
    ///
    /// # Errors
    /// [`FetchError`] with every host tried; [`Kind::TooLarge`](crate::Kind::TooLarge) for more than 8 MiB, before
    /// anything is asked. A host that sends other bytes is passed over for the next one. Bytes that the descriptor itself
    /// holds are not asked for.
    ///
    /// # Cancel safety
    /// Dropping the future drops the request.
    pub async fn manifest(&self, descriptor: &Descriptor) -> Result<Bytes, FetchError> {
        let digest = &descriptor.digest;
        self.0.manifest(descriptor).await.map_err(|source| FetchError { digest: digest.clone(), source })
    }
}

impl Inner {
    async fn manifest(&self, descriptor: &Descriptor) -> Result<Bytes, AccessError> {
        check_size(descriptor.size).map_err(AccessError::Refused)?;
        if let Some(data) = &descriptor.data
            && digest::verify(&descriptor.digest, data).is_ok()
        {
            return Ok(Bytes::copy_from_slice(data));
        }
        let mut rounds = Rounds::new(self, Capability::Pull)?;
        loop {
            let endpoint = rounds.next().await?;
            match self.manifest_at(&endpoint, descriptor).await {
                Ok(document) => return Ok(document),
                Err(failure) => rounds.failed(&endpoint, failure),
            }
        }
    }

    async fn manifest_at(&self, endpoint: &Endpoint, descriptor: &Descriptor) -> Result<Bytes, Failure> {
        let Descriptor { media_type, digest, size, .. } = descriptor;
        let is_schema1 = media_type::is_schema1(media_type);
        // A registry keeps configs among the blobs (distribution specification 1.1, "Pulling blobs").
        let is_manifest = is_schema1 || DocumentKind::of(media_type).is_some();
        let collection = if is_manifest { "manifests" } else { "blobs" };
        let accept = HeaderValue::from_str(&format!("{media_type}, */*"));
        let call = Call {
            method: Method::GET,
            path: format!("{}/{collection}/{digest}", self.reference.repository()),
            // A media type from a document may hold anything; then the wildcard alone has to do.
            accept: accept.unwrap_or(HeaderValue::from_static("*/*")),
            range: None,
        };
        let response = self.exchange(endpoint, &call).await?;
        if is_schema1 {
            let body = body::read(response.into_body(), DOCUMENT_BYTES_MAX, self.shared.pace()).await?;
            digest::verify(digest, &digest::named(media_type, &body)?)?;
            return Ok(body);
        }
        let body = match body::read(response.into_body(), *size, self.shared.pace()).await {
            Err(Failure::TooLarge { .. }) => {
                return Err(Failure::SizeMismatch {
                    expected_bytes: *size,
                    actual_bytes: size.saturating_add(1),
                });
            }
            result => result?,
        };
        let actual_bytes = body.len() as u64;
        if actual_bytes != *size {
            return Err(Failure::SizeMismatch { expected_bytes: *size, actual_bytes });
        }
        digest::verify(digest, &body)?;
        Ok(body)
    }
}
