//! What makes two token requests one: the key of a token cache. Holds the credential itself, which prints masked.

use crate::challenge::BearerChallenge;
use crate::credential::Credential;
use crate::scope_set::ScopeSet;

/// Identity of a token: the realm and service that gave it, the scopes it is for, and who asked.
///
/// Keeping the credential in the key is the point: a token got with one pod's secret must not serve another's pull.
/// Clones of a secret share its memory, so a key is no further copy of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenKey {
    realm: String,
    service: Option<String>,
    scopes: ScopeSet,
    credential: Option<Credential>,
}

impl TokenKey {
    /// The key of the token that [`TokenRequest::new`](crate::TokenRequest::new) asks for with these arguments.
    pub fn new(challenge: &BearerChallenge, scopes: &ScopeSet, credential: Option<&Credential>) -> TokenKey {
        TokenKey {
            realm: challenge.realm.clone(),
            service: challenge.service.clone(),
            scopes: scopes.clone(),
            credential: credential.cloned(),
        }
    }

    /// Whether a token under this key does for `wanted`: all the same but for scopes, which may be more than wanted.
    pub fn covers(&self, wanted: &TokenKey) -> bool {
        self.realm == wanted.realm
            && self.service == wanted.service
            && self.credential == wanted.credential
            && self.scopes.covers(&wanted.scopes)
    }
}
