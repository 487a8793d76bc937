//! Docker's `config.json` and the `auth.json` of containers-auth.json(5): which of their entries is for an image.
//! Reads bytes; finding the file and running helpers is the caller's part.

mod file;
mod key;

use std::fmt;

use crate::auth_config::CredentialsError;
use crate::bounds::DOCKER_CONFIG_BYTES_MAX;
use crate::credentials::Credentials;
use crate::helper::{HelperError, HelperRequest};
use crate::host::{Host, HostFault};
use crate::json::{self, JsonFault, Object};

use file::File;
use key::Key;

/// A configuration file's credentials and helpers.
///
/// ```
/// use auth::{DockerConfig, Lookup};
///
/// let config = DockerConfig::parse(br#"{
///     "auths": {
///         "quay.io": { "auth": "YWxsOnB3" },
///         "quay.io/team": { "auth": "dGVhbTpwdw==" }
///     },
///     "credHelpers": { "registry.example": "pass" }
/// }"#)?;
/// let Lookup::Credentials(credentials) = config.lookup("quay.io/team/app")? else { panic!("in the file") };
/// assert!(credentials.for_host("quay.io").is_some());
/// let Lookup::Helper(request) = config.lookup("registry.example/app")? else { panic!("a helper's") };
/// assert_eq!(request.program(), "docker-credential-pass");
/// # Ok::<(), auth::DockerConfigError>(())
/// ```
#[derive(Clone)]
pub struct DockerConfig {
    file: File,
}

/// Where the credentials for an image are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// In the file: these. They may be anonymous, if the entry is empty.
    Credentials(Credentials),
    /// A helper program has them: run it and give its output to [`HelperRequest::answer`].
    Helper(HelperRequest),
    /// The file says nothing about this registry.
    None,
}

/// Why a configuration file, or the entry that counts for an image, cannot be read. Never shows a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DockerConfigError {
    /// The file is longer than [`DOCKER_CONFIG_BYTES_MAX`].
    #[error(
        "the docker configuration has {bytes} bytes, more than the {DOCKER_CONFIG_BYTES_MAX} that are read"
    )]
    Length {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The file is not JSON, or a field is not of its type.
    #[error("the docker configuration is not the expected JSON at line {line}, column {column}")]
    Json {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the last byte read, from 1; 0 where nothing of the line was.
        column: usize,
    },
    /// The name that was looked up does not begin with a registry.
    #[error("the name to look up does not begin with a registry")]
    Name(#[source] HostFault),
    /// The entry for the image has credentials that cannot be read.
    #[error("the docker configuration's entry `{key}` cannot be read")]
    Entry {
        /// The entry's key, without scheme and user information.
        key: String,
        /// What is wrong with it.
        #[source]
        fault: CredentialsError,
    },
    /// The helper for the image cannot be asked.
    #[error("the docker configuration's credential helper for `{registry}` cannot be used")]
    Helper {
        /// The registry.
        registry: String,
        /// What is wrong with it.
        #[source]
        fault: HelperError,
    },
}

impl DockerConfig {
    /// Reads a file; fields that have nothing to do with credentials are skipped.
    ///
    /// # Errors
    /// [`DockerConfigError::Length`] or [`DockerConfigError::Json`]. Entries are not looked into: one that is broken
    /// concerns only the images that it is for.
    pub fn parse(bytes: &[u8]) -> Result<DockerConfig, DockerConfigError> {
        if bytes.len() > DOCKER_CONFIG_BYTES_MAX {
            return Err(DockerConfigError::Length { bytes: bytes.len() });
        }
        let file = json::object(bytes)
            .map_err(|JsonFault { line, column }| DockerConfigError::Json { line, column })?;
        Ok(DockerConfig { file })
    }

    /// Where the credentials for `name` are: a registry (`quay.io`) or a repository in it (`quay.io/team/app`).
    ///
    /// The order is docker's: a helper named for the registry, then the store for all, then the entries. As in docker
    /// an empty helper name switches the store off for that registry.
    /// Of several keys the one with the longest path that contains the name counts (containers-auth.json(5)); keys that
    /// are URLs, and `host/v1/` and `host/v2/`, are for the whole host. The credentials are bound to the name's registry.
    ///
    /// # Errors
    /// [`DockerConfigError`] if the name has no registry, or what is configured for it cannot be used.
    pub fn lookup(&self, name: &str) -> Result<Lookup, DockerConfigError> {
        let (registry, path) = name.split_once('/').unwrap_or((name, ""));
        let host = Host::parse(registry).map_err(DockerConfigError::Name)?;
        let named = key::best(&self.file.cred_helpers, &host, path).map(|(_, helper)| helper.as_str());
        let helper = named.unwrap_or(&self.file.creds_store);
        if !helper.is_empty() {
            return HelperRequest::for_host(helper, host.clone())
                .map(Lookup::Helper)
                .map_err(|fault| DockerConfigError::Helper { registry: host.to_string(), fault });
        }
        let Some((key, entry)) = key::best(&self.file.auths, &host, path) else { return Ok(Lookup::None) };
        match entry.as_ref().map_or(Ok(None), |Object(entry)| entry.credential()) {
            Ok(credential) => Ok(Lookup::Credentials(Credentials::bound_to(host, credential))),
            Err(fault) => Err(DockerConfigError::Entry {
                key: Key::parse(key).map_or_else(String::new, |key| key.to_string()),
                fault,
            }),
        }
    }
}

impl fmt::Debug for DockerConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys may be URLs with a password in them, so only their readable part is shown.
        let keys = |keys: Vec<&String>| -> Vec<String> {
            keys.into_iter().filter_map(|key| Key::parse(key)).map(|key| key.to_string()).collect()
        };
        formatter
            .debug_struct("DockerConfig")
            .field("auths", &keys(self.file.auths.keys().collect()))
            .field("cred_helpers", &keys(self.file.cred_helpers.keys().collect()))
            .finish_non_exhaustive()
    }
}
