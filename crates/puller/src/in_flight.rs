//! Pulls in flight, and the joining of identical ones.
//!
//! A pull is a shared future: whoever still wants it drives it, so no caller depends on the one who came first, and
//! when the last one goes away the future is dropped and the pull with it. The table holds weak handles only, so
//! there is no entry to leak.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use auth::Credentials;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use refparse::Reference;

use crate::{PullError, Pulled};

/// Credentials are part of the key: joining on the reference alone would hand a private image to a caller whom the
/// registry would have refused.
type Key = (Reference, Credentials);
type Outcome = Result<Pulled, Arc<PullError>>;
type Running = BoxFuture<'static, Outcome>;

#[derive(Default)]
pub(crate) struct InFlight {
    table: Mutex<Vec<Entry>>,
}

struct Entry {
    key: Key,
    pull: WeakShared<Running>,
    door: Door,
}

/// Whether others may still join a pull. A clone is the same door.
#[derive(Clone, Debug, Default)]
pub(crate) struct Door(Arc<AtomicBool>);

impl Door {
    /// From now on nobody joins.
    pub(crate) fn close(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_open(&self) -> bool {
        !self.0.load(Ordering::Acquire)
    }
}

impl std::fmt::Debug for InFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InFlight").field("pulls", &self.len()).finish()
    }
}

impl InFlight {
    /// The pull called `key`: the one in flight whose door is open, or the one that `lead` makes.
    pub(crate) fn join<F>(&self, key: Key, lead: impl FnOnce(Door) -> F) -> Shared<Running>
    where
        F: Future<Output = Result<Pulled, PullError>> + Send + 'static,
    {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|entry| is_running(&entry.pull));
        let mut joinable = table.iter().filter(|entry| entry.key == key && entry.door.is_open());
        if let Some(running) = joinable.find_map(|entry| entry.pull.upgrade()) {
            tracing::debug!(image = %key.0, "joining a pull in flight");
            return running;
        }
        let door = Door::default();
        let running = lead(door.clone()).map(|outcome| outcome.map_err(Arc::new)).boxed().shared();
        // `None` only for a future that has finished, which one that was never polled has not.
        if let Some(pull) = running.downgrade() {
            table.push(Entry { key, pull, door });
        }
        running
    }

    pub(crate) fn len(&self) -> usize {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.iter().filter(|entry| is_running(&entry.pull)).count()
    }
}

/// A pull that has finished is not joined although callers may not have taken its outcome yet: who comes now must
/// hear what the registry says now.
fn is_running(pull: &WeakShared<Running>) -> bool {
    pull.upgrade().is_some_and(|running| running.peek().is_none())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use auth::AuthConfig;
    use oci::{Descriptor, ImageId};
    use tokio::sync::oneshot;

    use super::*;

    fn key(user: &str) -> Key {
        let reference = Reference::parse("busybox").unwrap();
        let auth = AuthConfig { username: user, password: "p", ..AuthConfig::default() };
        let credentials = Credentials::from_auth_config(&auth, reference.registry()).unwrap();
        (reference, credentials)
    }

    fn pulled() -> Pulled {
        let digest = oci::sha256(b"x");
        let (image_id, target) = (ImageId::new(digest.clone()), Descriptor::new("m", digest, 1));
        Pulled { image_id, target, converted_from: None }
    }

    #[tokio::test]
    async fn equal_pulls_are_one_and_others_are_not() {
        let (table, led) = (InFlight::default(), AtomicUsize::new(0));
        let lead = |_| {
            led.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(pulled()))
        };
        let (first, second, other) =
            (table.join(key("a"), lead), table.join(key("a"), lead), table.join(key("b"), lead));
        assert_eq!(
            (led.load(Ordering::Relaxed), table.len()),
            (2, 2),
            "one pull for each set of credentials"
        );
        assert!(first.await.is_ok() && second.await.is_ok() && other.await.is_ok());
        assert_eq!(table.len(), 0);
    }

    #[tokio::test]
    async fn a_leader_that_goes_away_leaves_the_pull_to_the_others() {
        let table = InFlight::default();
        let (finish, finished) = oneshot::channel::<()>();
        let lead = |_| async move {
            finished.await.expect("the sender outlives the pull");
            Ok(pulled())
        };
        let leader = table.join(key("a"), lead);
        let follower = table.join(key("a"), |_| async { panic!("a second pull of the same key") });
        drop(leader);
        finish.send(()).unwrap();
        assert_eq!(follower.await.unwrap(), pulled());
    }

    #[tokio::test]
    async fn the_last_caller_that_goes_away_ends_the_pull() {
        let table = InFlight::default();
        let (sender, ended) = oneshot::channel::<()>();
        let lead = |_| async move {
            let _held = sender;
            std::future::pending().await
        };
        let (leader, follower) =
            (table.join(key("a"), lead), table.join(key("a"), |_| async { Ok(pulled()) }));
        drop(leader);
        drop(follower);
        assert!(ended.await.is_err(), "the pull's future was dropped");
        assert_eq!(table.len(), 0);
    }

    #[tokio::test]
    async fn a_pull_is_not_joined_behind_its_door() {
        let (table, doors) = (InFlight::default(), Mutex::new(Vec::new()));
        let lead = |door| {
            doors.lock().unwrap().push(door);
            std::future::pending()
        };
        let first = table.join(key("a"), lead);
        let joined = table.join(key("a"), lead);
        assert!(first.ptr_eq(&joined));
        doors.lock().unwrap()[0].close();
        let second = table.join(key("a"), lead);
        assert!(!first.ptr_eq(&second));
        assert!(second.ptr_eq(&table.join(key("a"), lead)));
        assert_eq!((doors.lock().unwrap().len(), table.len()), (2, 2));
    }

    #[tokio::test]
    async fn a_finished_pull_is_not_joined() {
        let table = InFlight::default();
        let first = table.join(key("a"), |_| std::future::ready(Ok(pulled())));
        first.clone().await.unwrap();
        let again = AtomicUsize::new(0);
        let lead = |_| {
            again.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(pulled()))
        };
        table.join(key("a"), lead).await.unwrap();
        assert_eq!(again.load(Ordering::Relaxed), 1);
        drop(first);
    }
}
