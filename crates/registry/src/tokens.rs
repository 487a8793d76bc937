//! Tokens of all pulls, by what they are for and who asked; concurrent needs for one token make one request.
//!
//! Holds tokens only in memory. The request itself is the token server's part.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auth::{Token, TokenKey};
use tokio::time::Instant;

use crate::error::Failure;
use crate::url::Origin;

/// Most tokens kept; a node pulls from far fewer repositories within the life of a token.
const TOKENS_MAX: usize = 512;

/// Most token servers that are known to take no POST; one more is asked twice each time.
const GET_ALONE_MAX: usize = 64;

#[derive(Default)]
pub(crate) struct Tokens {
    slots: Mutex<BTreeMap<TokenKey, Arc<Slot>>>,
    /// Token servers that have given to a GET what they refused to a POST.
    get_alone: Mutex<BTreeSet<Origin>>,
}

#[derive(Default)]
struct Slot {
    /// Requests that were finished, so that a waiter can tell that one was while it waited.
    finished: AtomicU64,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    failure: Option<Arc<Failure>>,
}

impl Tokens {
    /// The token for `key`: the cached one while it is valid, else what `request` brings.
    ///
    /// Callers that wait for another's request share its result, a failure too: a token server that is down must not
    /// be asked once for each layer, one after the other.
    ///
    /// # Cancel safety
    /// When the future that makes the request is dropped, the next waiter makes its own.
    pub(crate) async fn get(
        &self,
        key: &TokenKey,
        request: impl Future<Output = Result<Token, Failure>>,
    ) -> Result<Token, Arc<Failure>> {
        let slot = self.slot(key);
        let finished_before = slot.finished.load(Ordering::Relaxed);
        let mut state = slot.state.lock().await;
        if let Some(token) = &state.token
            && token.is_valid_at(Instant::now().into_std())
        {
            return Ok(token.clone());
        }
        if let Some(failure) = &state.failure
            && slot.finished.load(Ordering::Relaxed) != finished_before
        {
            return Err(Arc::clone(failure));
        }
        let result = request.await.map_err(Arc::new);
        slot.finished.fetch_add(1, Ordering::Relaxed);
        *state = State { token: result.as_ref().ok().cloned(), failure: result.as_ref().err().cloned() };
        result
    }

    /// Drops `token` because the registry did not accept it; another that took its place meanwhile stays.
    pub(crate) async fn refused(&self, key: &TokenKey, token: &Token) {
        let slot = self.slot(key);
        let mut state = slot.state.lock().await;
        if state.token.as_ref() == Some(token) {
            state.token = None;
        }
    }

    /// Whether a password may be exchanged by POST at this token server, as far as is known.
    pub(crate) fn takes_post(&self, server: &Origin) -> bool {
        !self.get_alone().contains(server)
    }

    /// Takes note that this token server knows the GET alone.
    pub(crate) fn takes_no_post(&self, server: Origin) {
        let mut get_alone = self.get_alone();
        if get_alone.len() < GET_ALONE_MAX {
            get_alone.insert(server);
        }
    }

    fn get_alone(&self) -> MutexGuard<'_, BTreeSet<Origin>> {
        self.get_alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, key: &TokenKey) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(key) {
            return Arc::clone(slot);
        }
        if slots.len() >= TOKENS_MAX {
            let now = Instant::now().into_std();
            let is_valid = |slot: &Slot| {
                let state = slot.state.try_lock();
                state.is_ok_and(|state| state.token.as_ref().is_some_and(|token| token.is_valid_at(now)))
            };
            // A slot that someone holds is in use; dropping it would only make a second request for its token.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || is_valid(slot));
            if slots.len() >= TOKENS_MAX {
                slots.pop_first();
            }
        }
        Arc::clone(slots.entry(key.clone()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use auth::{BearerChallenge, ScopeSet};

    use super::*;

    fn key(realm: &str) -> TokenKey {
        let challenge =
            BearerChallenge { realm: realm.to_owned(), service: None, scope: ScopeSet::new(), error: None };
        TokenKey::new(&challenge, &ScopeSet::new(), None)
    }

    fn token(text: &str) -> Token {
        let body = format!(r#"{{"token":"{text}","expires_in":100}}"#);
        Token::parse(body.as_bytes(), Instant::now().into_std()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_needs_make_one_request_and_expiry_makes_another() {
        let tokens = Tokens::default();
        let requests = AtomicU64::new(0);
        let get = || async {
            let request = async {
                requests.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(token("a"))
            };
            tokens.get(&key("r"), request).await.map(drop).map_err(drop)
        };
        assert_eq!(tokio::join!(get(), get(), get()), (Ok(()), Ok(()), Ok(())));
        assert_eq!(requests.load(Ordering::Relaxed), 1);
        tokio::time::advance(Duration::from_secs(101)).await;
        assert_eq!(get().await, Ok(()));
        assert_eq!(requests.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_share_a_failure_and_later_callers_ask_again() {
        let tokens = Tokens::default();
        let requests = AtomicU64::new(0);
        let get = || async {
            let request = async {
                requests.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
                Err(Failure::NoResponse { after: Duration::from_secs(1) })
            };
            tokens.get(&key("r"), request).await.is_err()
        };
        assert_eq!(tokio::join!(get(), get()), (true, true));
        assert_eq!(requests.load(Ordering::Relaxed), 1);
        assert!(get().await);
        assert_eq!(requests.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_request_leaves_the_next_waiter_to_make_its_own() {
        let tokens = Tokens::default();
        let key = key("r");
        let dropped = tokens.get(&key, std::future::pending());
        assert!(tokio::time::timeout(Duration::from_secs(1), dropped).await.is_err());
        let got = tokens.get(&key, async { Ok(token("b")) }).await.unwrap();
        tokens.refused(&key, &token("other")).await;
        assert_eq!(tokens.get(&key, async { Ok(token("c")) }).await.unwrap(), got);
        tokens.refused(&key, &got).await;
        assert_eq!(tokens.get(&key, async { Ok(token("c")) }).await.unwrap().secret().expose(), "c");
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_tokens_is_bounded() {
        let tokens = Tokens::default();
        for number in 0..2 * TOKENS_MAX {
            tokens.get(&key(&number.to_string()), async { Ok(token("a")) }).await.unwrap();
        }
        assert_eq!(tokens.slots.lock().unwrap().len(), TOKENS_MAX);
    }
}
