//! What this node knows about a host, from all pulls: out of reach, asking for patience, without ranges.
//!
//! Knowledge only: the rounds decide the order, the exchange waits, the blob divides. A host that is out of reach is
//! never refused here; it is asked last, and one request at a time finds out whether it is back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use crate::reach::Reach;
use crate::url::RedactedUrl;

/// Most hosts remembered; `certs.d` and references name far fewer.
const HOSTS_MAX: usize = 256;
/// How long a host is taken to send whole blobs only: servers are replaced.
const NO_RANGES_FOR: Duration = Duration::from_secs(3600);
/// Longest that a host's word keeps other requests from it.
const PATIENCE_MAX: Duration = Duration::from_secs(30);

/// The hosts of this node, by the base of their URLs.
#[derive(Debug, Default)]
pub(crate) struct Hosts(Mutex<BTreeMap<String, Arc<Health>>>);

impl Hosts {
    /// What is known about the host at `base`, which may be nothing yet. `streams` of its blobs may be open at once.
    pub(crate) fn at(&self, base: String, streams: usize) -> Arc<Health> {
        let mut known = lock(&self.0);
        if known.len() >= HOSTS_MAX && !known.contains_key(&base) {
            // Those in use are kept: sessions must not disagree about them.
            known.retain(|_, health| Arc::strong_count(health) > 1);
        }
        Arc::clone(known.entry(base).or_insert_with(|| Arc::new(Health::new(streams))))
    }
}

/// One host.
#[derive(Debug)]
pub(crate) struct Health {
    state: Mutex<State>,
    /// The host itself.
    pub(crate) reach: Reach,
    /// Where it redirects requests for blobs.
    pub(crate) storage: Reach,
    /// Permits for the big blobs that come from it at the same time.
    pub(crate) streams: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    /// The root of the storage that was out of reach.
    storage: Option<RedactedUrl>,
    /// Asked for by the host (429, `Retry-After`).
    not_before: Option<Instant>,
    /// Until when it is held to send whole blobs only.
    no_ranges_until: Option<Instant>,
}

impl Health {
    fn new(streams: usize) -> Health {
        Health {
            state: Mutex::default(),
            reach: Reach::default(),
            storage: Reach::default(),
            streams: Arc::new(Semaphore::new(streams)),
        }
    }

    /// Takes note that the storage at `url`, to which the host has redirected, is out of reach; true where that is news.
    pub(crate) fn set_storage_down(&self, url: &RedactedUrl, cause: &str) -> bool {
        let is_news = self.storage.set_down(cause);
        if is_news {
            // What is asked there later needs no signature.
            lock(&self.state).storage = url.join("/").ok();
        }
        is_news
    }

    /// Where to find out whether the storage is back.
    pub(crate) fn storage_at(&self) -> Option<RedactedUrl> {
        lock(&self.state).storage.clone()
    }

    /// Takes note that the host wants no request for `wait`.
    pub(crate) fn be_patient(&self, wait: Duration) {
        let until = Instant::now() + wait.min(PATIENCE_MAX);
        let mut state = lock(&self.state);
        state.not_before = state.not_before.max(Some(until));
    }

    /// Waits as long as the host asked for, at most half a minute from its last word.
    pub(crate) async fn patience(&self) {
        let until = lock(&self.state).not_before;
        if let Some(until) = until.filter(|until| *until > Instant::now()) {
            sleep_until(until).await;
        }
    }

    /// Whether the host sends whole blobs only.
    pub(crate) fn has_no_ranges(&self) -> bool {
        lock(&self.state).no_ranges_until.is_some_and(|until| Instant::now() < until)
    }

    /// Takes note that it does; true where that is news.
    pub(crate) fn set_no_ranges(&self) -> bool {
        let is_news = !self.has_no_ranges();
        lock(&self.state).no_ranges_until = Some(Instant::now() + NO_RANGES_FOR);
        is_news
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_is_the_longest_asked_for_and_bounded() {
        let health = Health::new(1);
        let waited = || async {
            let before = Instant::now();
            health.patience().await;
            before.elapsed().as_secs()
        };
        assert_eq!(waited().await, 0);
        health.be_patient(Duration::from_secs(7));
        health.be_patient(Duration::from_secs(2));
        assert_eq!(waited().await, 7);
        health.be_patient(Duration::from_secs(86_400));
        assert_eq!(waited().await, 30);
    }

    #[tokio::test(start_paused = true)]
    async fn that_a_host_sends_no_ranges_is_known_for_an_hour() {
        let health = Health::new(1);
        assert!(health.set_no_ranges());
        assert!(!health.set_no_ranges());
        tokio::time::advance(NO_RANGES_FOR).await;
        assert!(!health.has_no_ranges());
        assert!(health.set_no_ranges());
    }

    #[test]
    fn hosts_in_use_stay_the_same_however_many_there_are() {
        let hosts = Hosts::default();
        let kept = hosts.at("https://kept/v2".to_owned(), 1);
        for number in 0..2 * HOSTS_MAX {
            hosts.at(format!("https://{number}/v2"), 1);
        }
        assert!(Arc::ptr_eq(&kept, &hosts.at("https://kept/v2".to_owned(), 1)));
        assert!(lock(&hosts.0).len() <= HOSTS_MAX);
    }
}
