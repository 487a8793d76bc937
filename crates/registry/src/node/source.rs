//! Where the node's credentials for one host are, and how they are had from there.

use std::fmt;
use std::path::{Path, PathBuf};

use auth::{Credential, Credentials, DOCKER_CONFIG_BYTES_MAX, DockerConfig, Host, Lookup};

use super::helper::{self, HelperRunError};
use super::secret_file::{self, SecretFileError};

/// Where the node's credentials for a host are. None of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// A TOML file with `username` and `password`, or `identity_token`, or `registry_token`.
    File(PathBuf),
    /// Docker's `config.json` or an `auth.json` of containers-auth.json(5); the helpers that it names are asked too.
    DockerConfig(PathBuf),
    /// The program `docker-credential-<name>`.
    Helper(String),
}

/// Why the node's credentials cannot be had. Names the place and never what is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialSourceError {
    /// A file is missing, open to everyone, or not of its form.
    #[error("cannot use the credentials in `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: SecretFileError,
    },
    /// A docker configuration cannot be read, or its entry for this image not be used.
    #[error("docker configuration `{}` cannot be used", path.display())]
    DockerConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: auth::DockerConfigError,
    },
    /// A helper cannot be asked, or did not answer as helpers do.
    #[error("credential helper failed")]
    Helper(#[source] auth::HelperError),
    /// A helper cannot be run.
    #[error("cannot run the credential helper `{program}`")]
    Run {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: HelperRunError,
    },
}

impl CredentialSource {
    /// The credential for `repository` at `host`, if this place has one. Programs are looked for in `directories`.
    ///
    /// # Cancel safety
    /// A program that runs is killed.
    pub(crate) async fn fetch(
        &self,
        host: &Host,
        repository: &str,
        directories: &[PathBuf],
    ) -> Result<Option<Credential>, CredentialSourceError> {
        let registry = host.to_string();
        let found = match self {
            CredentialSource::File(path) => {
                secret_file::credentials(path, &registry).map_err(|source| file_error(path, source))?
            }
            CredentialSource::Helper(name) => {
                let request =
                    auth::HelperRequest::new(name, &registry).map_err(CredentialSourceError::Helper)?;
                helper::ask(&request, directories).await?
            }
            CredentialSource::DockerConfig(path) => {
                match docker_config(path, &format!("{registry}/{repository}"))? {
                    Lookup::Credentials(credentials) => credentials,
                    Lookup::Helper(request) => helper::ask(&request, directories).await?,
                    Lookup::None => Credentials::anonymous(),
                }
            }
        };
        Ok(found.for_host(&registry).cloned())
    }

    /// Whether this place can be used at all, without looking for any credentials: the file's mode and form, or that
    /// there is such a program.
    ///
    /// # Errors
    /// What a pull that needs the credentials would fail with.
    pub fn check(&self, host: &Host, directories: &[PathBuf]) -> Result<(), CredentialSourceError> {
        let registry = host.to_string();
        match self {
            CredentialSource::File(path) => {
                secret_file::credentials(path, &registry).map(drop).map_err(|source| file_error(path, source))
            }
            CredentialSource::DockerConfig(path) => docker_config(path, &registry).map(drop),
            CredentialSource::Helper(name) => {
                let request =
                    auth::HelperRequest::new(name, &registry).map_err(CredentialSourceError::Helper)?;
                helper::find(request.program(), directories).map(drop)
            }
        }
    }
}

fn docker_config(path: &Path, name: &str) -> Result<Lookup, CredentialSourceError> {
    let text = secret_file::read(path, DOCKER_CONFIG_BYTES_MAX).map_err(|source| file_error(path, source))?;
    let unusable = |source| CredentialSourceError::DockerConfig { path: path.to_owned(), source };
    DockerConfig::parse(text.expose().as_bytes()).map_err(unusable)?.lookup(name).map_err(unusable)
}

fn file_error(path: &Path, source: SecretFileError) -> CredentialSourceError {
    CredentialSourceError::File { path: path.to_owned(), source }
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CredentialSource::File(path) => write!(f, "file {}", path.display()),
            CredentialSource::DockerConfig(path) => write!(f, "docker configuration {}", path.display()),
            CredentialSource::Helper(name) => write!(f, "program docker-credential-{name}"),
        }
    }
}
