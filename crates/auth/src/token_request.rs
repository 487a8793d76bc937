//! The request that turns a Bearer challenge into a token, as text: sending it is the caller's part.
//! Owns the decision whether a credential may go to the realm.

use crate::challenge::BearerChallenge;
use crate::credential::Credential;
use crate::encode::{parameter_bytes_max, push_parameter};
use crate::pair::basic_authorization;
use crate::realm::{Realm, RealmFault};
use crate::scope::Scope;
use crate::secret::Secret;

/// The HTTP method of a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenMethod {
    /// A GET with everything in the query and, with a password, a Basic `Authorization`.
    Get,
    /// An OAuth2 POST with everything in the form.
    Post,
}

/// A token request, ready to be sent.
///
/// GET follows distribution's `docs/content/spec/auth/token.md`, POST its `oauth.md` and RFC 6749.
/// No secret is in the URL: a password goes into `authorization` or, like an identity token, into `form`.
///
/// ```
/// use auth::*;
///
/// let header = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:app:pull""#;
/// let challenges = parse_challenges([header])?;
/// let Some(Challenge::Bearer(challenge)) = challenges.first() else { panic!("a bearer challenge") };
/// let request = TokenRequest::new(challenge, &challenge.scope, None, &TokenRequestOptions::default())?;
/// assert_eq!(
///     request.url,
///     "https://auth.example/token?service=registry.example&scope=repository%3Aapp%3Apull&client_id=cri-imaged",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// How to send it.
    pub method: TokenMethod,
    /// Where to send it: the realm, with its own query kept and that of a GET added.
    pub url: String,
    /// The whole value of the `Authorization` header, if it has one.
    pub authorization: Option<Secret>,
    /// The body of a POST, of type `application/x-www-form-urlencoded`.
    pub form: Option<Secret>,
}

/// What a caller may choose about a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRequestOptions<'a> {
    /// Name of this client, shown to the token server.
    pub client_id: &'a str,
    /// Whether to ask for a refresh token too, to be used as an identity token later.
    pub offline: bool,
    /// Whether to name the user in the query of a GET with a password (`account`), as docker does. Off by default:
    /// the password request already does, and some registries' users put a token into the user name.
    pub account: bool,
    /// Whether to exchange a password by an OAuth2 POST (`grant_type=password`) rather than by a GET. Off by default:
    /// every token server knows the GET, not every one the POST. An identity token always takes the POST.
    pub post_password: bool,
    /// Whether the host that challenged was reached by plain http. Only then may a credential go to an http realm.
    pub plain_http: bool,
}

impl Default for TokenRequestOptions<'_> {
    fn default() -> Self {
        TokenRequestOptions {
            client_id: "cri-imaged",
            offline: false,
            account: false,
            post_password: false,
            plain_http: false,
        }
    }
}

/// Why no token can be asked for. Trying again does not help: the registry's challenge or the credential is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenRequestError {
    /// The realm is no URL of a token server. It is the peer's text and may hold anything, so it is not repeated.
    #[error("the realm of the registry's challenge cannot be used")]
    Realm(#[source] RealmFault),
    /// A registry reached by https wants a credential sent in clear text.
    #[error(
        "the registry's challenge names an http realm, and credentials from https are not sent in clear text"
    )]
    Downgrade,
    /// A registry token is sent to the registry as it is; a registry that challenges it does not accept it.
    #[error("a registry token is for the registry itself and cannot be exchanged for another token")]
    RegistryToken,
}

impl TokenRequest {
    /// The request for a token of `scopes` at the challenge's realm.
    ///
    /// `credential` must be what [`Credentials::for_host`](crate::Credentials::for_host) gave for the host that sent the
    /// challenge: a registry may name any realm, so what it must not see must not be offered here either.
    ///
    /// # Errors
    /// [`TokenRequestError`]; without a credential only an unusable realm.
    pub fn new<'a>(
        challenge: &BearerChallenge,
        scopes: impl IntoIterator<Item = &'a Scope>,
        credential: Option<&Credential>,
        options: &TokenRequestOptions<'_>,
    ) -> Result<TokenRequest, TokenRequestError> {
        let realm = Realm::parse(&challenge.realm).map_err(TokenRequestError::Realm)?;
        if credential.is_some() && !realm.is_https && !options.plain_http {
            return Err(TokenRequestError::Downgrade);
        }
        let scopes: Vec<String> = scopes.into_iter().map(Scope::to_string).collect();
        let service = challenge.service.as_deref();
        match credential {
            None => Ok(get(realm, service, &scopes, None, options)),
            Some(Credential::Basic { username, password }) if !options.post_password => {
                Ok(get(realm, service, &scopes, Some((username, password)), options))
            }
            Some(Credential::Basic { username, password }) => {
                let grant =
                    [("grant_type", "password"), ("username", username), ("password", password.expose())];
                Ok(post(realm, service, &scopes, &grant, options))
            }
            Some(Credential::IdentityToken(token)) => {
                let grant = [("grant_type", "refresh_token"), ("refresh_token", token.expose())];
                Ok(post(realm, service, &scopes, &grant, options))
            }
            Some(Credential::RegistryToken(_)) => Err(TokenRequestError::RegistryToken),
        }
    }
}

fn get(
    realm: Realm,
    service: Option<&str>,
    scopes: &[String],
    pair: Option<(&String, &Secret)>,
    options: &TokenRequestOptions<'_>,
) -> TokenRequest {
    let mut parameters = Vec::with_capacity(4 + scopes.len());
    parameters.extend(service.map(|service| ("service", service)));
    // One parameter each, as the token specification has it; only the form joins them.
    parameters.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
    parameters.push(("client_id", options.client_id));
    parameters.extend(pair.filter(|_| options.account).map(|(username, _)| ("account", username.as_str())));
    parameters.extend(options.offline.then_some(("offline_token", "true")));

    let mut url = realm.url;
    let mut separator = realm.separator;
    for (name, value) in parameters {
        push_parameter(&mut url, separator, name, value);
        separator = "&";
    }
    TokenRequest {
        method: TokenMethod::Get,
        url,
        authorization: pair.map(|(username, password)| basic_authorization(username, password)),
        form: None,
    }
}

fn post(
    realm: Realm,
    service: Option<&str>,
    scopes: &[String],
    grant: &[(&str, &str)],
    options: &TokenRequestOptions<'_>,
) -> TokenRequest {
    let scope = scopes.join(" ");
    let mut parameters = grant.to_vec();
    parameters.extend(service.map(|service| ("service", service)));
    parameters.push(("client_id", options.client_id));
    parameters.extend(Some(("scope", scope.as_str())).filter(|_| !scope.is_empty()));
    parameters.extend(options.offline.then_some(("access_type", "offline")));

    let bytes_max = parameters.iter().map(|(name, value)| parameter_bytes_max(name, value)).sum();
    // Sized up front: a string that grows leaves its former content behind in freed memory.
    let mut form = String::with_capacity(bytes_max);
    let mut separator = "";
    for (name, value) in parameters {
        push_parameter(&mut form, separator, name, value);
        separator = "&";
    }
    TokenRequest {
        method: TokenMethod::Post,
        url: realm.url,
        authorization: None,
        form: Some(Secret::from(form)),
    }
}
