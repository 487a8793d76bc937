//! Registry credentials in all their forms, the challenges that ask for them, and the tokens that come back.
//!
//! Everything that authentication against a container registry takes but sockets: bytes and header values in, requests
//! as text out. The crate does no I/O, reads no clock, starts no program and is not async.
//!
//! # Example: from a pull's credentials to a token
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use auth::*;
//!
//! // What the kubelet sent with the pull of an image from `registry.example`.
//! let message = AuthConfig { auth: "amFuZTpodW50ZXIy", ..AuthConfig::default() };
//! let credentials = Credentials::from_auth_config(&message, "registry.example")?;
//!
//! // What the registry answered to the first request.
//! let challenges = parse_challenges([
//!     r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:app:pull""#,
//! ])?;
//! let Some(Challenge::Bearer(challenge)) = challenges.first() else { panic!("a bearer challenge") };
//!
//! // What to send to the token server: a GET with user name and password.
//! let credential = credentials.for_host("registry.example");
//! let request = TokenRequest::new(challenge, &challenge.scope, credential, &TokenRequestOptions::default())?;
//! assert_eq!(request.method, TokenMethod::Get);
//! assert_eq!(request.authorization.expect("a password").expose(), "Basic amFuZTpodW50ZXIy");
//!
//! // What the token server answered, and until when the token is used.
//! # #[expect(clippy::disallowed_methods, reason = "an example has no simulated clock")]
//! let requested_at = Instant::now();
//! let token = Token::parse(br#"{"token":"ey...","expires_in":300}"#, requested_at)?;
//! assert!(token.is_valid_at(requested_at + Duration::from_secs(280)));
//! assert_eq!(token.authorization().expose(), "Bearer ey...");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where credentials come from
//!
//! | Source | Type | Which form counts, if there are several |
//! |---|---|---|
//! | CRI `AuthConfig` (cri-api 0.36) | [`AuthConfig`] | user name, identity token, `auth`, registry token: containerd's order |
//! | docker's `config.json`, containers-auth.json(5) | [`DockerConfig`] | identity token, `auth`, user name, registry token: docker's order |
//! | `docker-credential-*` programs | [`HelperRequest`] | one, and the user name `<token>` marks an identity token |
//!
//! `auth` is what Go's non-strict standard base64 decodes: padding is required, line ends are skipped, loose bits after
//! the last byte do not matter. The user name ends at the first colon, zero bytes around the password are cut off, and
//! with nothing before the colon the password is an identity token. Nothing else is trimmed. Other than in Go, what is
//! not UTF-8 once decoded is refused.
//!
//! # Where credentials go
//!
//! [`Credentials`] are bound to a host, and [`Credentials::for_host`] is the only way to them. Unless the message says
//! otherwise that host is the registry of the image's reference, so a mirror, a redirect's target or any other host that
//! merely asks gets none. `docker.io`, `index.docker.io` and `registry-1.docker.io` are one host; case and a default port
//! that is spelled out do not matter.
//!
//! A challenge's realm is the registry's own choice, so a credential bound to the registry may go to it, with one
//! exception: from https to an http realm ([`TokenRequestError::Downgrade`]).
//!
//! # Challenges and tokens
//!
//! [`parse_challenges`] reads RFC 9110, section 11.6.1; the module that does shows the grammar. [`TokenRequest`] follows
//! distribution's token specification (v3.0.0, `docs/content/spec/auth/token.md` and `oauth.md`), [`Token`] its answers.
//! A token cache is a map from [`TokenKey`] to [`Token`]: the key holds who asked, so that no caller gets another's token.
//!
//! # Secrets
//!
//! A [`Secret`] has no `Display`, masks itself in `Debug`, and wipes its memory. Errors name a field, an entry or a
//! position, never the content, and none keeps a foreign error that might. Everything read is bounded by a constant.

pub use auth_config::{AuthConfig, CredentialsError};
pub use bounds::{
    CHALLENGE_COUNT_MAX, CHALLENGE_HEADER_BYTES_MAX, CREDENTIAL_BYTES_MAX, DOCKER_CONFIG_BYTES_MAX,
    HELPER_ANSWER_BYTES_MAX, TOKEN_ANSWER_BYTES_MAX,
};
pub use challenge::{BearerChallenge, Challenge, ChallengeError, parse_challenges};
pub use credential::Credential;
pub use credentials::Credentials;
pub use docker_config::{DockerConfig, DockerConfigError, Lookup};
pub use helper::{HelperError, HelperRequest};
pub use host::{Host, HostFault};
pub use realm::RealmFault;
pub use scope::{Scope, ScopeError};
pub use scope_set::ScopeSet;
pub use secret::Secret;
pub use token::{Token, TokenError};
pub use token_key::TokenKey;
pub use token_request::{TokenMethod, TokenRequest, TokenRequestError, TokenRequestOptions};

mod auth_config;
mod bounds;
mod challenge;
mod credential;
mod credentials;
mod docker_config;
mod encode;
mod helper;
mod host;
mod json;
mod pair;
mod realm;
mod scope;
mod scope_set;
mod secret;
mod token;
mod token_key;
mod token_request;
