//! Credentials bound to the hosts they are for. Owns that binding; how the credential came about is others' part.

use std::collections::BTreeMap;

use crate::credential::Credential;
use crate::host::Host;
use crate::{AuthConfig, CredentialsError};

/// What one caller may show to which host; everywhere else it is anonymous.
///
/// Credentials given with a pull belong to the registry that the reference names. A mirror that serves the same
/// content, a host that a redirect leads to, or a registry that merely asks, never sees them:
///
/// ```
/// use auth::{AuthConfig, Credentials};
///
/// let auth = AuthConfig { username: "jane", password: "hunter2", ..AuthConfig::default() };
/// let credentials = Credentials::from_auth_config(&auth, "docker.io")?;
/// assert!(credentials.for_host("registry-1.docker.io").is_some());
/// assert!(credentials.for_host("mirror.example").is_none());
/// # Ok::<(), auth::CredentialsError>(())
/// ```
///
/// Two values are equal only if they show the same secrets to the same hosts, so they serve as part of a key for work
/// that callers may share.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credentials {
    bound: BTreeMap<Host, Credential>,
}

impl Credentials {
    /// Credentials that show nothing to anyone.
    pub fn anonymous() -> Credentials {
        Credentials::default()
    }

    /// The credentials in a CRI `AuthConfig`, bound to its server address or, where that is empty, to `registry`.
    ///
    /// An empty message is anonymous. Of several forms in one message the first of these counts, as in containerd:
    /// user name (with whatever password), identity token, `auth`, and last the registry token.
    /// A server address of another host than `registry` binds them there, which leaves `registry` anonymous.
    ///
    /// # Errors
    /// [`CredentialsError`] names the field that cannot be read, never what is in it. Trying again does not help.
    pub fn from_auth_config(auth: &AuthConfig<'_>, registry: &str) -> Result<Credentials, CredentialsError> {
        let Some(credential) = auth.credential()? else {
            return Ok(Credentials::anonymous());
        };
        let (field, address) = match auth.server_address {
            "" => ("registry", registry),
            address => ("server_address", address),
        };
        let host = Host::parse(address).map_err(|fault| CredentialsError::Host { field, fault })?;
        Ok(Credentials::bound_to(host, Some(credential)))
    }

    /// These credentials and, for `host`, this one in place of what was bound to it before.
    ///
    /// For a mirror or a token domain that the node's own configuration names; never for a host that a peer named.
    ///
    /// # Errors
    /// [`CredentialsError::Host`] if `host` is not `host[:port]` or a URL of one.
    pub fn with(mut self, host: &str, credential: Credential) -> Result<Credentials, CredentialsError> {
        let host = Host::parse(host).map_err(|fault| CredentialsError::Host { field: "host", fault })?;
        self.bound.insert(host, credential);
        Ok(self)
    }

    pub(crate) fn bound_to(host: Host, credential: Option<Credential>) -> Credentials {
        Credentials { bound: credential.map(|credential| (host, credential)).into_iter().collect() }
    }

    /// What to show to `host` (`host[:port]`, or a URL of it); `None` means to come as anonymous.
    ///
    /// Case does not matter, nor does a default port that is spelled out (443 of https, 80 of http, either where there is
    /// no scheme), and `docker.io`, `index.docker.io` and `registry-1.docker.io` are one. A text that names no host gets
    /// nothing.
    pub fn for_host(&self, host: &str) -> Option<&Credential> {
        self.bound.get(&Host::parse(host).ok()?)
    }

    /// Whether no host is shown anything.
    pub fn is_anonymous(&self) -> bool {
        self.bound.is_empty()
    }
}
