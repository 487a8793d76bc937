//! The signature around a document: a JSON web signature that stands inside the JSON that it signs.
//!
//! Docker's libtrust signs a JSON object and then puts `signatures` before its closing brace. Each signature's protected
//! header says how many bytes of the whole belong to what was signed (`formatLength`) and what came after them
//! (`formatTail`). Both together are the payload, and a registry's digest of the document is the payload's.
//!
//! The signature itself is not checked: the keys are made up by the registries, and the digest says which bytes are meant.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::Schema1Error;
use super::error::SignatureError;
use crate::lenient::null_default;

/// As the JSON web signature specification writes it, without padding, and also with it.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Deserialize)]
struct Signed {
    #[serde(default, deserialize_with = "null_default")]
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    #[serde(default, deserialize_with = "null_default")]
    protected: String,
}

#[derive(Deserialize)]
struct Protected {
    #[serde(rename = "formatLength", default, deserialize_with = "null_default")]
    format_length: u64,
    #[serde(rename = "formatTail", default, deserialize_with = "null_default")]
    format_tail: String,
}

/// The bytes of a schema 1 document that its digest is taken over: all of an unsigned one, what was signed of a signed
/// one.
///
/// # Errors
/// [`Schema1Error::Json`] and [`Schema1Error::Signature`].
pub fn payload(document: &[u8]) -> Result<Cow<'_, [u8]>, Schema1Error> {
    let signed: Signed =
        serde_json::from_slice(document).map_err(|error| Schema1Error::Json(error.into()))?;
    match signed.signatures.first() {
        None => Ok(Cow::Borrowed(document)),
        Some(signature) => signature.payload(document).map(Cow::Owned).map_err(Schema1Error::Signature),
    }
}

impl Signature {
    fn payload(&self, document: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let protected = decode("protected", &self.protected)?;
        let protected: Protected =
            serde_json::from_slice(&protected).map_err(|error| SignatureError::Json(error.into()))?;
        let tail = decode("formatTail", &protected.format_tail)?;
        let signed = usize::try_from(protected.format_length).ok().and_then(|end| document.get(..end));
        let signed = signed.ok_or(SignatureError::Length {
            format_length: protected.format_length,
            length: document.len(),
        })?;
        Ok([signed, &tail].concat())
    }
}

fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, SignatureError> {
    BASE64URL.decode(text).map_err(|_| SignatureError::Base64(field))
}
