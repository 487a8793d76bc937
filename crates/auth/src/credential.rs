//! One credential: what it is, and how it looks in an `Authorization` header. Which host may see it is `Credentials`'s.

use crate::pair;
use crate::secret::Secret;

/// What a caller proves itself with at one host.
///
/// `Debug` shows the user name and masks the rest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Credential {
    /// User name and password. The password may be empty, for registries that put a token into the user name.
    Basic {
        /// The user name, never empty.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token, exchanged for an access token by an OAuth2 request to the challenge's realm.
    IdentityToken(Secret),
    /// A token that the registry itself accepts; sent to it as it is, never to a realm.
    RegistryToken(Secret),
}

impl Credential {
    /// The credential in a pair of user name and password, or none in a pair of empty ones.
    ///
    /// A password without a user name is an identity token: containerd carries identity tokens that way, so `auth`
    /// fields with nothing before the colon have always been read so.
    pub(crate) fn from_pair(username: String, password: Secret) -> Option<Credential> {
        match (username.is_empty(), password.is_empty()) {
            (false, _) => Some(Credential::Basic { username, password }),
            (true, false) => Some(Credential::IdentityToken(password)),
            (true, true) => None,
        }
    }

    /// The `Authorization` value to send to the registry itself: `Basic ...` or, of a registry token, `Bearer ...`.
    ///
    /// `None` for an identity token, which only a token request can use. A registry token answers a Bearer challenge,
    /// user name and password a Basic one.
    pub fn authorization(&self) -> Option<Secret> {
        match self {
            Credential::Basic { username, password } => Some(pair::basic_authorization(username, password)),
            Credential::RegistryToken(token) => Some(bearer_authorization(token)),
            Credential::IdentityToken(_) => None,
        }
    }
}

/// `Bearer` and the token: a whole `Authorization` value (RFC 6750, section 2.1).
pub(crate) fn bearer_authorization(token: &Secret) -> Secret {
    const SCHEME: &str = "Bearer ";
    let mut value = String::with_capacity(SCHEME.len() + token.expose().len());
    value.push_str(SCHEME);
    value.push_str(token.expose());
    Secret::from(value)
}

/// Whether a token can stand in a header: visible ASCII, which every token of RFC 6750 is. Anything else would end or
/// break the header.
pub(crate) fn is_header_safe(token: &str) -> bool {
    token.bytes().all(|byte| byte.is_ascii_graphic())
}
