//! The public surface of the crate, a file a part.

mod auth_config;
mod binding;
mod canary;
mod challenge;
mod docker_config;
mod helper;
mod public_api;
mod scope;
mod secret;
mod token;
mod token_key;
mod token_request;

use auth::{AuthConfig, BearerChallenge, Credential, Credentials, ScopeSet, Secret};

/// User name `user` and this password.
fn basic(password: &str) -> Credential {
    Credential::Basic { username: "user".to_owned(), password: Secret::from(password) }
}

/// `user` and `password`, bound to this host.
fn bound_to(host: &str) -> Credentials {
    Credentials::anonymous().with(host, basic("password")).expect("a host")
}

/// A credential with its secrets shown, for snapshots.
fn shown(credential: Option<&Credential>) -> String {
    match credential {
        None => "anonymous".to_owned(),
        Some(Credential::Basic { username, password }) => {
            format!("basic {username:?} {:?}", password.expose())
        }
        Some(Credential::IdentityToken(token)) => format!("identity token {:?}", token.expose()),
        Some(Credential::RegistryToken(token)) => format!("registry token {:?}", token.expose()),
        Some(other) => panic!("a form that the tests do not know: {other:?}"),
    }
}

/// An error with all that caused it, as the log line at the edge joins them.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A CRI message with user name and password.
fn password_message<'a>() -> AuthConfig<'a> {
    AuthConfig { username: "user", password: "password", ..AuthConfig::default() }
}

/// A challenge that names this realm and nothing else.
fn challenge_of(realm: &str) -> BearerChallenge {
    BearerChallenge { realm: realm.to_owned(), service: None, scope: ScopeSet::new(), error: None }
}
