//! Locks by key: those who hold a common key exclude each other, others do not meet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

type Held = Arc<AsyncMutex<()>>;

/// A family of locks, one a key, made when first wanted and dropped when nobody wants it.
#[derive(Clone, Debug, Default)]
pub struct KeyedLocks {
    held: Arc<Mutex<BTreeMap<String, Held>>>,
}

/// Holds its keys until it is dropped.
#[derive(Debug)]
pub struct KeyedGuard {
    guards: Vec<OwnedMutexGuard<()>>,
    locks: KeyedLocks,
}

impl KeyedLocks {
    /// Waits until all of `keys` are free and takes them. Keys are taken in their order, so no two callers can wait
    /// for each other.
    ///
    /// # Cancel safety
    /// Dropping the future gives back what it had taken.
    pub async fn lock(&self, keys: &BTreeSet<String>) -> KeyedGuard {
        let mut taken = KeyedGuard { guards: Vec::with_capacity(keys.len()), locks: self.clone() };
        for key in keys {
            let lock = {
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(held.entry(key.clone()).or_default())
            };
            taken.guards.push(lock.lock_owned().await);
        }
        taken
    }

    /// The keys that are held, or waited for.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// [`KeyedLocks::lock`] of one key.
    pub async fn lock_one(&self, key: &str) -> KeyedGuard {
        self.lock(&BTreeSet::from([key.to_owned()])).await
    }
}

impl Drop for KeyedGuard {
    fn drop(&mut self) {
        self.guards.clear();
        let mut held = self.locks.held.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits for a lock, or holds it, has a second handle to it.
        held.retain(|_, lock| Arc::strong_count(lock) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> BTreeSet<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_common_key_excludes_and_others_do_not_wait() {
        let locks = KeyedLocks::default();
        let first = locks.lock(&keys("a b")).await;
        drop(locks.lock(&keys("c")).await);
        let second = tokio::time::timeout(std::time::Duration::from_secs(1), locks.lock(&keys("b c"))).await;
        assert!(second.is_err(), "b is held");
        drop(first);
        drop(locks.lock(&keys("a b c")).await);
        assert!(locks.held.lock().unwrap().is_empty(), "no key outlives its holders");
    }

    #[tokio::test(start_paused = true)]
    async fn crossing_sets_never_wait_for_each_other() {
        let locks = KeyedLocks::default();
        let run = |text: &'static str| {
            let locks = locks.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    let guard = locks.lock(&keys(text)).await;
                    tokio::task::yield_now().await;
                    drop(guard);
                }
            })
        };
        for task in [run("a b"), run("b a c"), run("c a")] {
            task.await.unwrap();
        }
    }
}
