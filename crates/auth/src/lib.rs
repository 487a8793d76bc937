//! Registry credentials in all their forms, the challenges that ask for them, and the tokens that come back.
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
pub use host::HostFault;
pub use realm::RealmFault;
pub use scope::{Scope, ScopeError};
pub use scope_set::ScopeSet;
pub use secret::Secret;
pub use token::{Token, TokenError};
pub use token_key::TokenKey;
pub use token_request::{TokenMethod, TokenRequest, TokenRequestError, TokenRequestOptions};
