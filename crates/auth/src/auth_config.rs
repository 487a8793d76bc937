//! The CRI message's credentials and which of its forms counts. Knows neither protobuf nor gRPC: the fields are borrowed
//! from whatever message the caller has.

use std::fmt;

use crate::bounds::CREDENTIAL_BYTES_MAX;
use crate::credential::{Credential, is_header_safe};
use crate::host::HostFault;
use crate::pair;
use crate::secret::{Masked, Secret};

/// The fields of `runtime.v1.AuthConfig` (cri-api 0.36); a field that is not given is empty, as on the wire.
///
/// Nothing is trimmed but what `auth` says: white space may be part of a password. `Debug` shows the user name and the
/// server address (without the user information a URL may have) and masks the rest.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct AuthConfig<'a> {
    /// User name; if not empty, it and `password` are used and every other form is not.
    pub username: &'a str,
    /// Password of `username`; may be empty, and means nothing without a user name.
    pub password: &'a str,
    /// `username:password` in padded base64 of the standard alphabet. Line ends in it are skipped, and zero bytes
    /// around the password cut off.
    pub auth: &'a str,
    /// The host, `host:port` or URL that the credentials are for; empty means the registry of the image.
    pub server_address: &'a str,
    /// An OAuth2 refresh token.
    pub identity_token: &'a str,
    /// A bearer token for the registry itself.
    pub registry_token: &'a str,
}

/// Why credentials cannot be read. Names the field and never shows its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// A field is longer than [`CREDENTIAL_BYTES_MAX`].
    #[error(
        "credential field `{field}` has {bytes} bytes, more than the {CREDENTIAL_BYTES_MAX} that are read"
    )]
    Length {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        bytes: usize,
    },
    /// The field is not padded base64 of the standard alphabet.
    #[error("credential field `{field}` is not padded base64 of the standard alphabet")]
    Base64 {
        /// The field.
        field: &'static str,
    },
    /// The field decodes to bytes that are not UTF-8 text.
    #[error("credential field `{field}` does not decode to UTF-8 text")]
    Encoding {
        /// The field.
        field: &'static str,
    },
    /// The field decodes to a text without a colon, so it is not user name and password.
    #[error("credential field `{field}` has no colon between user name and password once decoded")]
    Colon {
        /// The field.
        field: &'static str,
    },
    /// The field is a token with a character that no HTTP header may have.
    #[error("credential field `{field}` has a character that cannot be sent in an HTTP header")]
    HeaderCharacter {
        /// The field.
        field: &'static str,
    },
    /// The field names no host, so it is not known where the credentials may go.
    #[error("credential field `{field}` does not name a host")]
    Host {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        fault: HostFault,
    },
}

impl AuthConfig<'_> {
    /// The one credential that counts, checked so that it can be sent.
    pub(crate) fn credential(&self) -> Result<Option<Credential>, CredentialsError> {
        self.check_lengths()?;
        if !self.username.is_empty() {
            return Ok(Credential::from_pair(self.username.to_owned(), Secret::from(self.password)));
        }
        if !self.identity_token.is_empty() {
            return Ok(Some(Credential::IdentityToken(Secret::from(self.identity_token))));
        }
        if !self.auth.is_empty() {
            let (username, password) = pair::decode("auth", self.auth)?;
            return Ok(Credential::from_pair(username, password));
        }
        if !self.registry_token.is_empty() {
            return registry_token("registry_token", self.registry_token).map(Some);
        }
        Ok(None)
    }

    fn check_lengths(&self) -> Result<(), CredentialsError> {
        check_length("username", self.username)?;
        check_length("password", self.password)?;
        check_length("auth", self.auth)?;
        check_length("server_address", self.server_address)?;
        check_length("identity_token", self.identity_token)?;
        check_length("registry_token", self.registry_token)
    }
}

pub(crate) fn check_length(field: &'static str, text: &str) -> Result<(), CredentialsError> {
    match text.len() {
        bytes if bytes > CREDENTIAL_BYTES_MAX => Err(CredentialsError::Length { field, bytes }),
        _ => Ok(()),
    }
}

pub(crate) fn registry_token(field: &'static str, token: &str) -> Result<Credential, CredentialsError> {
    if is_header_safe(token) {
        Ok(Credential::RegistryToken(Secret::from(token)))
    } else {
        Err(CredentialsError::HeaderCharacter { field })
    }
}

impl fmt::Debug for AuthConfig<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last part after an `@` is what is left of a URL once its user information is gone.
        let server_address = self.server_address.rsplit('@').next().unwrap_or_default();
        formatter
            .debug_struct("AuthConfig")
            .field("username", &self.username)
            .field("password", &Masked(self.password))
            .field("auth", &Masked(self.auth))
            .field("server_address", &server_address)
            .field("identity_token", &Masked(self.identity_token))
            .field("registry_token", &Masked(self.registry_token))
            .finish()
    }
}
