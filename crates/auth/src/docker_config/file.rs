//! The JSON of the file and the credential in one entry. Reads what docker, podman and cloud login tools write.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::auth_config::{CredentialsError, check_length, registry_token};
use crate::credential::Credential;
use crate::json::{Object, or_default, secret};
use crate::pair;
use crate::secret::Secret;

#[derive(Clone, Deserialize)]
pub(super) struct File {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) auths: BTreeMap<String, Option<Object<Entry>>>,
    #[serde(default, rename = "credHelpers", deserialize_with = "or_default")]
    pub(super) cred_helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore", deserialize_with = "or_default")]
    pub(super) creds_store: String,
}

/// One value of `auths`. A field that is missing or null is empty, as in Go.
#[derive(Clone, Deserialize)]
pub(super) struct Entry {
    #[serde(default, deserialize_with = "secret")]
    auth: Secret,
    #[serde(default, deserialize_with = "or_default")]
    username: String,
    #[serde(default, deserialize_with = "secret")]
    password: Secret,
    #[serde(default, deserialize_with = "secret")]
    identitytoken: Secret,
    #[serde(default, deserialize_with = "secret")]
    registrytoken: Secret,
}

impl Entry {
    /// The credential that counts: identity token, `auth`, user name and password, registry token.
    ///
    /// Other than in a CRI message the identity token is first: login tools write it beside an `auth` whose user name
    /// is a placeholder, and docker uses it whenever it is there.
    pub(super) fn credential(&self) -> Result<Option<Credential>, CredentialsError> {
        check_length("auth", self.auth.expose())?;
        check_length("username", &self.username)?;
        check_length("password", self.password.expose())?;
        check_length("identitytoken", self.identitytoken.expose())?;
        check_length("registrytoken", self.registrytoken.expose())?;
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credential::IdentityToken(self.identitytoken.clone())));
        }
        if !self.auth.is_empty() {
            let (username, password) = pair::decode("auth", self.auth.expose())?;
            return Ok(Credential::from_pair(username, password));
        }
        if !self.username.is_empty() {
            return Ok(Credential::from_pair(self.username.clone(), self.password.clone()));
        }
        if !self.registrytoken.is_empty() {
            return registry_token("registrytoken", self.registrytoken.expose()).map(Some);
        }
        Ok(None)
    }
}
