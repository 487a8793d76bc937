//! Digests of small documents, in every algorithm that a reference may name.

use std::borrow::Cow;

use oci::media_type;
use refparse::{Algorithm, Digest};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::error::Failure;

/// The digest of `bytes` under `algorithm`.
pub(crate) fn of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    match algorithm {
        Algorithm::Sha256 => Digest::from_sha256(Sha256::digest(bytes).into()),
        Algorithm::Sha384 => Digest::from_sha384(Sha384::digest(bytes).into()),
        Algorithm::Sha512 => Digest::from_sha512(Sha512::digest(bytes).into()),
    }
}

/// The bytes of a document that its digest names: all, but of a signed Docker schema 1 manifest what was signed, for
/// registries sign it anew each time.
///
/// # Errors
/// [`Failure::Schema1`].
pub(crate) fn named<'a>(media_type: &str, document: &'a [u8]) -> Result<Cow<'a, [u8]>, Failure> {
    if media_type::is_schema1(media_type) {
        oci::schema1_payload(document).map_err(Failure::Schema1)
    } else {
        Ok(Cow::Borrowed(document))
    }
}

/// Checks that `bytes` are what `expected` names.
///
/// # Errors
/// [`Failure::DigestMismatch`].
pub(crate) fn verify(expected: &Digest, bytes: &[u8]) -> Result<(), Failure> {
    let actual = of(expected.algorithm(), bytes);
    if actual == *expected {
        Ok(())
    } else {
        Err(Failure::DigestMismatch { expected: expected.clone(), actual })
    }
}
