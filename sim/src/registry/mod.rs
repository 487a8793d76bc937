//! An in-process registry: the pull half of the distribution protocol over real HTTP.
//!
//! Start at [`Registry`]. Implements distribution-spec v1.1 "Pull" with ranges, docker's token specification with
//! refresh tokens, and redirects of blobs to a storage that, like an object store, refuses an `Authorization`
//! header beside its signed URL. Pushing is a function call, not HTTP.

mod access;
mod body;
mod fault;
mod log;
mod request;
mod respond;
mod serve;
mod store;
mod token;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use access::{Access, Principal, User};
pub use fault::{Fault, Match, Rule};
pub use log::{Authorization, LoggedRequest};
pub use serve::Serving;

use crate::image::Pushable;

/// Options of [`Registry::new`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Who may read. Default: everybody, without a challenge.
    pub access: Access,
    /// How long an access token is good for, on tokio's clock. Default: 300 s.
    pub token_ttl: Duration,
    /// Base URL of the token endpoint, e.g. `https://auth.example`. Default: the host that was asked, over `http`.
    pub realm: Option<String>,
    /// Base URL that blob requests are redirected to, e.g. `http://storage.example`. Default: no redirect.
    pub redirect: Option<String>,
    /// Repositories that anonymous tokens do not open. Default: none.
    pub private_repositories: BTreeSet<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            access: Access::Open,
            token_ttl: Duration::from_secs(300),
            realm: None,
            redirect: None,
            private_repositories: BTreeSet::new(),
        }
    }
}

/// A registry. Clones share the state.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    options: Options,
    store: store::Store,
    access: access::Accounts,
    rules: Vec<Rule>,
    log: Vec<LoggedRequest>,
}

impl Registry {
    /// An empty registry that behaves as `options` say.
    pub fn new(options: Options) -> Registry {
        Registry(Arc::new(Mutex::new(State {
            options,
            store: store::Store::default(),
            access: access::Accounts::default(),
            rules: Vec::new(),
            log: Vec::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the options from the next request on.
    pub fn configure(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.lock().options);
    }

    /// Stores everything of `image` in `repository`; a tag, when given, is moved to its target. Returns the
    /// digest of the target.
    pub fn push(&self, repository: &str, tag: Option<&str>, image: &impl Pushable) -> String {
        let mut state = self.lock();
        for blob in image.blobs() {
            state.store.put_blob(repository, blob);
        }
        for manifest in image.manifests() {
            state.store.put_manifest(repository, manifest);
        }
        let digest = image.target().digest().to_owned();
        if let Some(tag) = tag {
            state.store.tag(repository, tag, &digest);
        }
        digest
    }

    /// Moves a tag.
    pub fn tag(&self, repository: &str, tag: &str, digest: &str) {
        self.lock().store.tag(repository, tag, digest);
    }

    /// Removes a tag; what it pointed at stays.
    pub fn untag(&self, repository: &str, tag: &str) {
        self.lock().store.untag(repository, tag);
    }

    /// Removes one manifest or blob.
    pub fn remove(&self, repository: &str, digest: &str) {
        self.lock().store.remove(repository, digest);
    }

    /// Adds or replaces a user.
    pub fn add_user(&self, user: User) {
        self.lock().access.add(user);
    }

    /// An identity token of `user`: what a token server hands out as refresh token.
    pub fn identity_token(&self, user: &str) -> String {
        self.lock().access.issue_refresh_token(user)
    }

    /// An access token of `user` for pulls from `repository`, as a client may get it out of band.
    pub fn registry_token(&self, user: &str, repository: &str) -> String {
        let mut state = self.lock();
        let ttl = state.options.token_ttl;
        let principal = Principal::User(user.to_owned());
        state.access.issue_token(principal, BTreeSet::from([repository.to_owned()]), ttl)
    }

    /// Makes every access token invalid at once.
    pub fn revoke_tokens(&self) {
        self.lock().access.revoke_tokens();
    }

    /// Adds a fault. Rules are tried in the order in which they were added; the first that matches is applied.
    pub fn inject(&self, rule: Rule) {
        self.lock().rules.push(rule);
    }

    /// Removes every fault.
    pub fn heal(&self) {
        self.lock().rules.clear();
    }

    /// Every request so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.lock().log.clone()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.lock().log.clear();
    }
}
