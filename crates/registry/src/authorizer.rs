//! Which `Authorization` a request carries: credentials kept to their hosts, challenges answered, tokens asked for.
//!
//! State of one session. The token cache is the client's, and asking for tokens is the token server's part.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use auth::{
    BearerChallenge, Challenge, Credential, Credentials, Scope, ScopeSet, Secret, Token, TokenKey,
    TokenRequest, TokenRequestOptions, parse_challenges,
};
use http::{HeaderMap, HeaderValue, header};
use refparse::Reference;

use crate::client::Shared;
use crate::endpoint::Endpoint;
use crate::error::{Failure, ProtocolError};
use crate::node::Wallet;
use crate::token_server::{self, TokenServer};
use crate::url::{Origin, RedactedUrl};

/// Most origins whose challenge is remembered; redirects to ever new hosts must not grow a session.
const CHALLENGED_ORIGINS_MAX: usize = 32;

/// The credentials of one caller and the challenges met so far.
pub(crate) struct Authorizer {
    credentials: Credentials,
    wallet: Wallet,
    repository: String,
    challenges: Mutex<BTreeMap<Origin, Challenge>>,
}

/// What one request carries, kept to know what a 401 refused and what an error text must not repeat.
pub(crate) struct Authorization {
    value: Secret,
    token: Option<(TokenKey, Token)>,
}

impl Authorizer {
    pub(crate) fn new(credentials: Credentials, reference: &Reference) -> Authorizer {
        Authorizer {
            credentials,
            wallet: Wallet::new(reference.registry(), reference.repository()),
            repository: reference.repository().to_owned(),
            challenges: Mutex::default(),
        }
    }

    /// Whether `url`, to which a host leads, may be asked.
    ///
    /// # Errors
    /// [`ProtocolError::Fallback`].
    pub(crate) fn check_may_dial(&self, shared: &Shared, url: &RedactedUrl) -> Result<(), ProtocolError> {
        if shared.config.may_dial(&url.host_port(), self.wallet.registry()) {
            Ok(())
        } else {
            Err(ProtocolError::Fallback { to: url.clone() })
        }
    }

    /// What of the credentials in use the host of `url` may know, to keep it out of error texts; `None` where this
    /// session is anonymous there.
    pub(crate) async fn secret_for(
        &self,
        shared: &Shared,
        endpoint: &Endpoint,
        url: &RedactedUrl,
    ) -> Option<Secret> {
        self.known(shared, endpoint, url).await.as_ref().and_then(secret_of).cloned()
    }

    /// The credential for `url`: the caller's, or the node's where that was looked for already.
    async fn known(&self, shared: &Shared, endpoint: &Endpoint, url: &RedactedUrl) -> Option<Credential> {
        match self.credentials.for_host(&url.host_port()) {
            Some(credential) => Some(credential.clone()),
            None => self.wallet.known(&shared.config, endpoint.host.name(), url).await,
        }
    }

    /// The credential for `url`, the node's looked for where the caller has none.
    async fn find(
        &self,
        shared: &Shared,
        endpoint: &Endpoint,
        url: &RedactedUrl,
    ) -> Result<Option<Credential>, Failure> {
        match self.credentials.for_host(&url.host_port()) {
            Some(credential) => Ok(Some(credential.clone())),
            None => self
                .wallet
                .find(&shared.config, endpoint.host.name(), url)
                .await
                .map_err(Failure::Credentials),
        }
    }

    /// What a request to `url` should carry: the answer to the origin's last challenge, or a registry token unasked.
    ///
    /// # Errors
    /// A token that cannot be had.
    pub(crate) async fn authorization(
        &self,
        shared: &Shared,
        endpoint: &Endpoint,
        url: &RedactedUrl,
    ) -> Result<Option<Authorization>, Failure> {
        let credential = self.known(shared, endpoint, url).await;
        let credential = credential.as_ref();
        if let Some(token @ Credential::RegistryToken(_)) = credential {
            return Ok(token.authorization().map(|value| Authorization { value, token: None }));
        }
        let challenge =
            self.challenges.lock().unwrap_or_else(PoisonError::into_inner).get(&url.origin()).cloned();
        match challenge {
            None => Ok(None),
            Some(Challenge::Bearer(challenge)) => {
                self.bearer(shared, endpoint, url, &challenge, credential).await.map(Some)
            }
            Some(_basic) => Ok(credential
                .and_then(Credential::authorization)
                .map(|value| Authorization { value, token: None })),
        }
    }

    /// Takes note of a 401 to a request that carried `sent`; true when the request is worth another try.
    ///
    /// # Errors
    /// [`Failure::Challenge`] when nothing in the challenge can be understood, [`Failure::Credentials`].
    pub(crate) async fn challenged(
        &self,
        shared: &Shared,
        endpoint: &Endpoint,
        url: &RedactedUrl,
        headers: &HeaderMap,
        sent: Option<&Authorization>,
    ) -> Result<bool, Failure> {
        let credential = self.find(shared, endpoint, url).await?;
        if matches!(credential, Some(Credential::RegistryToken(_))) {
            // The caller's was sent unasked; the node's is looked for only now.
            return Ok(sent.is_none());
        }
        if let Some(Authorization { token: Some((key, token)), .. }) = sent {
            shared.tokens.refused(key, token).await;
        }
        let values = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenges = parse_challenges(values).map_err(Failure::Challenge)?;
        let was_basic = sent.is_some_and(|sent| sent.token.is_none());
        let can_basic = matches!(credential, Some(Credential::Basic { .. })) && !was_basic;
        let usable = |challenge: &Challenge| match challenge {
            Challenge::Bearer(_) => true,
            Challenge::Basic { .. } => can_basic,
            _ => false,
        };
        // A token is worth less than a password to whoever steals it, so Bearer goes first where both are offered.
        let bearer = challenges.iter().find(|challenge| matches!(challenge, Challenge::Bearer(_)));
        let Some(chosen) = bearer.or_else(|| challenges.iter().find(|challenge| usable(challenge))) else {
            return Ok(false);
        };
        let mut known = self.challenges.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = url.origin();
        if known.len() >= CHALLENGED_ORIGINS_MAX && !known.contains_key(&origin) {
            return Ok(false);
        }
        known.insert(origin, chosen.clone());
        Ok(true)
    }

    async fn bearer(
        &self,
        shared: &Shared,
        endpoint: &Endpoint,
        url: &RedactedUrl,
        challenge: &BearerChallenge,
        credential: Option<&Credential>,
    ) -> Result<Authorization, Failure> {
        // A mirror may keep the repository under another name, so its own scope goes before ours.
        let scopes = if challenge.scope.is_empty() {
            ScopeSet::from_iter([Scope::repository_pull(&self.repository)])
        } else {
            challenge.scope.clone()
        };
        let key = TokenKey::new(challenge, &scopes, credential);
        let ask = |post_password| {
            let plain_http = !url.is_https();
            let options = TokenRequestOptions { post_password, plain_http, ..TokenRequestOptions::default() };
            TokenRequest::new(challenge, &scopes, credential, &options).map_err(Failure::TokenRequest)
        };
        let request = ask(false)?;
        let realm = token_server::realm(&request)?;
        self.check_may_dial(shared, &realm)?;
        let is_password = matches!(credential, Some(Credential::Basic { .. }));
        let by_post = is_password.then(|| ask(true)).transpose()?;
        let secret = credential.and_then(secret_of).map(Secret::expose);
        let server = TokenServer { shared, endpoint, challenger: url, secret };
        let fetch = server.token(by_post, request);
        match shared.tokens.get(&key, fetch).await {
            Ok(token) => Ok(Authorization { value: token.authorization(), token: Some((key, token)) }),
            Err(source) => Err(Failure::Token { realm, source }),
        }
    }
}

/// The part of a credential that must not be seen.
fn secret_of(credential: &Credential) -> Option<&Secret> {
    match credential {
        Credential::Basic { password: secret, .. }
        | Credential::IdentityToken(secret)
        | Credential::RegistryToken(secret) => Some(secret),
        _ => None,
    }
}

pub(crate) fn sensitive(secret: &Secret) -> Result<HeaderValue, ProtocolError> {
    let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| ProtocolError::Header)?;
    value.set_sensitive(true);
    Ok(value)
}

impl Authorization {
    pub(crate) fn header_value(&self) -> Result<HeaderValue, ProtocolError> {
        sensitive(&self.value)
    }

    /// The header's value without its scheme: what a server would echo.
    pub(crate) fn secret(&self) -> &str {
        let value = self.value.expose();
        value.split_once(' ').map_or(value, |(_scheme, secret)| secret)
    }
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}
