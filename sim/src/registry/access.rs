//! Who may read what: users, access tokens, refresh tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::Instant;

/// How a registry asks for credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Not at all.
    #[default]
    Open,
    /// HTTP Basic, for every request.
    Basic,
    /// Bearer tokens from a token endpoint.
    Token {
        /// Whether a token without credentials opens the repositories that are not private.
        anonymous_pull: bool,
    },
}

/// On whose behalf a request came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// Nobody in particular.
    Anonymous,
    /// A user, by name.
    User(String),
}

/// A user of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name for Basic and password grants.
    pub name: String,
    /// Password.
    pub password: String,
    /// Repositories that the user may read; `None` for all.
    pub repositories: Option<BTreeSet<String>>,
}

impl User {
    /// A user who may read everything.
    pub fn new(name: &str, password: &str) -> User {
        User { name: name.to_owned(), password: password.to_owned(), repositories: None }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) principal: Principal,
    pub(super) repositories: BTreeSet<String>,
    expires_at: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Accounts {
    users: BTreeMap<String, User>,
    tokens: BTreeMap<String, Token>,
    refresh_tokens: BTreeMap<String, String>,
    issued: u64,
}

impl Accounts {
    pub(super) fn add(&mut self, user: User) {
        self.users.insert(user.name.clone(), user);
    }

    /// The user that a Basic `Authorization` value proves.
    pub(super) fn basic(&self, header: &str) -> Option<Principal> {
        let encoded = header.strip_prefix("Basic ")?;
        let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (name, password) = decoded.split_once(':')?;
        self.password(name, password)
    }

    pub(super) fn password(&self, name: &str, password: &str) -> Option<Principal> {
        let user = self.users.get(name).filter(|user| user.password == password)?;
        Some(Principal::User(user.name.clone()))
    }

    pub(super) fn refresh_token(&self, token: &str) -> Option<Principal> {
        self.refresh_tokens.get(token).cloned().map(Principal::User)
    }

    /// The token of a Bearer `Authorization` value, unless it is unknown or has expired.
    pub(super) fn bearer(&self, header: &str) -> Option<&Token> {
        self.tokens.get(header.strip_prefix("Bearer ")?).filter(|token| Instant::now() < token.expires_at)
    }

    pub(super) fn issue_token(
        &mut self,
        principal: Principal,
        repositories: BTreeSet<String>,
        ttl: Duration,
    ) -> String {
        self.issued += 1;
        let name = format!("access-token-{}", self.issued);
        let token = Token { principal, repositories, expires_at: Instant::now() + ttl };
        self.tokens.insert(name.clone(), token);
        name
    }

    pub(super) fn issue_refresh_token(&mut self, user: &str) -> String {
        self.issued += 1;
        let name = format!("refresh-token-{}", self.issued);
        self.refresh_tokens.insert(name.clone(), user.to_owned());
        name
    }

    pub(super) fn revoke_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Whether `principal` may read `repository`, given the private ones.
    pub(super) fn may_read(
        &self,
        principal: &Principal,
        repository: &str,
        anonymous_pull: bool,
        private: &BTreeSet<String>,
    ) -> bool {
        match principal {
            Principal::Anonymous => anonymous_pull && !private.contains(repository),
            Principal::User(name) => self.users.get(name).is_some_and(|user| {
                user.repositories.as_ref().is_none_or(|readable| readable.contains(repository))
            }),
        }
    }
}
