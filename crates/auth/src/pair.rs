//! `user:password` in base64, the form of `auth` in the CRI message and in docker's configuration files.
//! Reads exactly what Go's non-strict standard encoding reads, for that is what every other client of these files uses.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::CredentialsError;
use crate::secret::Secret;

/// Padding is required but the unused bits of the last character may be anything, as in Go.
const GO_STANDARD: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The user name and password of an `auth` field. `field` names it in errors; its content never appears there.
pub(crate) fn decode(field: &'static str, text: &str) -> Result<(String, Secret), CredentialsError> {
    // `base64(1)` and PEM-minded tools wrap lines, and Go's decoder skips line ends wherever they are.
    let mut packed = Zeroizing::new(String::with_capacity(text.len()));
    packed.extend(text.chars().filter(|character| !matches!(character, '\r' | '\n')));
    let mut bytes = Zeroizing::new(Vec::with_capacity(base64::decoded_len_estimate(packed.len())));
    // The decoder's own error holds a byte of the input, so it is not kept as a source.
    GO_STANDARD.decode_vec(packed.as_bytes(), &mut bytes).map_err(|_| CredentialsError::Base64 { field })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| CredentialsError::Encoding { field })?;
    let (username, password) = text.split_once(':').ok_or(CredentialsError::Colon { field })?;
    // Some clients decode into a buffer longer than the text and store it whole; the CRI plugin has trimmed the
    // zero bytes at both ends since its first version of 2017.
    Ok((username.to_owned(), Secret::from(password.trim_matches('\0'))))
}

/// `Basic` and the base64 of `username:password`: a whole `Authorization` value (RFC 7617, section 2).
pub(crate) fn basic_authorization(username: &str, password: &Secret) -> Secret {
    const SCHEME: &str = "Basic ";
    let password = password.expose();
    let mut pair = Zeroizing::new(String::with_capacity(username.len() + 1 + password.len()));
    pair.push_str(username);
    pair.push(':');
    pair.push_str(password);
    // Sized up front: a string that grows leaves its former content behind in freed memory.
    let mut value = String::with_capacity(SCHEME.len() + pair.len().div_ceil(3) * 4);
    value.push_str(SCHEME);
    base64::engine::general_purpose::STANDARD.encode_string(pair.as_bytes(), &mut value);
    Secret::from(value)
}
