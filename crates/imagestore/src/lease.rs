//! The lease that holds everything of a pull until its records do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use containerd::{CallError, Client, ContentInfo, LeaseId};
use refparse::{Digest, Reference};

use crate::resume::LEASE_BOOT;
use crate::{ImageStore, StoreError};

/// On our leases: the reference that the pull is for. By it recovery knows them from other clients' leases.
pub(crate) const LEASE_REFERENCE: &str = "cri-imaged.io/reference";

/// How long a lease protects if nobody gives it back: as long as containerd's own pull. A pull that takes longer
/// would lose its layers, so this is far above every deadline.
const LEASE_TTL: Duration = Duration::from_secs(24 * 3600);

/// What this process knows of its leases, for recovery.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownLeases {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// Leases of pulls that run, which recovery must not touch.
    live: BTreeSet<String>,
    /// Leases of pulls that ended with their records, and that containerd could not be told to delete.
    finished: BTreeSet<String>,
    /// How often recovery could not end the pull, while it has its lease.
    refused: BTreeMap<String, u32>,
    numbers: u64,
}

impl KnownLeases {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_number(&self) -> u64 {
        let mut known = self.known();
        known.numbers += 1;
        known.numbers
    }

    /// A name for a lease that exists only to be deleted.
    pub(crate) fn collector_id(&self, instance: &str) -> String {
        format!("cri-imaged-{instance}-{}-collect", self.next_number())
    }

    fn insert(&self, id: String) {
        self.known().live.insert(id);
    }

    fn remove(&self, id: &str) {
        self.known().live.remove(id);
    }

    /// Whether a pull of this process runs under it.
    pub(crate) fn is_live(&self, id: &str) -> bool {
        self.known().live.contains(id)
    }

    fn finish(&self, id: &str) {
        self.known().finished.insert(id.to_owned());
    }

    /// Whether the lease is only to be deleted: its pull has written its records.
    pub(crate) fn is_finished(&self, id: &str) -> bool {
        self.known().finished.contains(id)
    }

    /// Notes that containerd refused a call of the recovery of this pull; answers how often it did so.
    pub(crate) fn refuse(&self, id: &str) -> u32 {
        let mut known = self.known();
        let times = known.refused.entry(id.to_owned()).or_default();
        *times += 1;
        *times
    }

    /// The lease is gone.
    pub(crate) fn forget(&self, id: &str) {
        let mut known = self.known();
        known.finished.remove(id);
        known.refused.remove(id);
    }
}

/// How a pull ended, and with it what is done with what its lease holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The records hold the image.
    Committed,
    /// The next pull would fail like this one.
    Failed,
    /// The next pull can go on from here.
    Interrupted,
}

/// A lease in containerd for one pull. Given back when it is dropped, as of a pull that was interrupted: a task of its own
/// deletes it, so that a cancelled caller does not cancel that too.
#[derive(Debug)]
pub struct PullLease {
    id: LeaseId,
    reference: Reference,
    client: Client,
    store: ImageStore,
    live: Option<LiveLease>,
    end: End,
    /// Whether more is under the lease than the records hold, so that the collector is to run at once.
    has_leftovers: AtomicBool,
}

/// An entry among the live leases, gone when it is dropped.
#[derive(Debug)]
struct LiveLease {
    id: String,
    leases: KnownLeases,
}

impl Drop for LiveLease {
    fn drop(&mut self) {
        self.leases.remove(&self.id);
    }
}

impl ImageStore {
    /// Takes a lease for a pull of `reference`.
    ///
    /// # Errors
    /// [`StoreError::Containerd`].
    ///
    /// # Cancel safety
    /// A lease that containerd makes for a dropped call is given back like any other.
    pub async fn lease(&self, reference: &Reference) -> Result<PullLease, StoreError> {
        let shared = &self.shared;
        let number = shared.known_leases.next_number();
        let id = format!("cri-imaged-{}-{number}", shared.config.instance);
        let labels = [(LEASE_REFERENCE, reference.as_str()), (LEASE_BOOT, shared.config.boot.as_str())];
        let labels = BTreeMap::from(labels.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let expires = (shared.config.now)() + LEASE_TTL;
        // Live before it exists: a recovery that runs meanwhile must not take it for a leftover.
        let live = LiveLease { id: id.clone(), leases: shared.known_leases.clone() };
        shared.known_leases.insert(id.clone());
        let (store, reference) = (self.clone(), reference.clone());
        // On a task of its own: a caller that goes away while containerd makes the lease does not know whether there is
        // one, and a deletion could overtake the call that makes it. This way the answer is awaited, and the lease that
        // nobody takes is dropped, which gives it back.
        let making = tokio::spawn(async move {
            let id = LeaseId::new(&id)?;
            let bare = &store.shared.client;
            if let Err(error) = bare.leases().create(id.as_str(), expires, labels).await {
                take_back(bare, &id, &error).await;
                return Err(error.into());
            }
            let (client, live, end) = (bare.with_lease(&id), Some(live), End::Interrupted);
            Ok(PullLease { id, reference, client, store, live, end, has_leftovers: AtomicBool::new(false) })
        });
        // The task is never aborted, so there is no other error than its panic.
        making.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

/// Deletes a lease of which it is not known whether containerd made it: the answer was lost, and nobody else would
/// before the next recovery (found by the simulator, 2026-11-24).
async fn take_back(client: &Client, id: &LeaseId, error: &CallError) {
    if !error.is_unanswered() {
        return;
    }
    match client.leases().delete(id, false).await {
        Ok(()) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => tracing::warn!(lease = id.as_str(), %error, "lease not taken back; recovery will"),
    }
}

impl PullLease {
    /// containerd under this lease.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A name for an object of this pull that no other pull uses, now or after a restart.
    pub fn unique(&self, object: impl fmt::Display) -> String {
        format!("{}-{object}", self.id.as_str())
    }

    /// Puts a snapshot that this pull found, and did not make, under the lease, and says whether it is there.
    /// containerd does so by itself from 1.6.33 on; 1.6.20 of Debian 12 does not.
    ///
    /// # Errors
    /// [`StoreError::Containerd`].
    ///
    /// # Cancel safety
    /// The lease may hold the snapshot or not.
    pub async fn hold_snapshot(&self, snapshotter: &str, name: &str) -> Result<bool, StoreError> {
        // In this order: what is seen after it was leased stays.
        self.store.shared.client.leases().add_snapshot(&self.id, snapshotter, name).await?;
        match self.store.shared.client.snapshots(snapshotter).stat(name).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a blob that this pull found under the lease, and tells of it; `None` where it is not there.
    ///
    /// # Errors
    /// [`StoreError::Containerd`].
    ///
    /// # Cancel safety
    /// The lease may hold the blob or not.
    pub async fn hold_blob(&self, digest: &Digest) -> Result<Option<ContentInfo>, StoreError> {
        // As for snapshots: what is seen after it was leased stays.
        self.store.shared.client.leases().add_blob(&self.id, digest).await?;
        match self.store.shared.client.content().info(digest).await {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Says that something could not be removed which the records will not hold: the collector takes it when the lease is
    /// given back.
    pub fn leave_to_collector(&self) {
        self.has_leftovers.store(true, Ordering::Relaxed);
    }

    /// Gives the lease back after the records were written. Waits until it is gone, for
    /// a pull that its caller knows of must not be taken for one that was cut off: the recovery of the next process
    /// would write again what another client deleted since (found by the simulator, 2026-11-24). Where containerd cannot
    /// be told, this process remembers it for its own recovery (found by the simulator, 2026-11-26).
    pub(crate) async fn release(self) {
        self.end(End::Committed).await;
    }

    /// Leaves the lease in containerd for recovery: what it holds can neither be finished nor taken back now.
    pub(crate) fn abandon(mut self) {
        // No longer live, so that recovery sees it.
        self.live = None;
    }

    /// Gives the lease of a failed pull back and waits until the collector has taken what only it held, so that the
    /// error leaves nothing behind.
    ///
    /// # Cancel safety
    /// The deletion goes on without the caller.
    pub async fn discard(self) {
        self.end(End::Failed).await;
    }

    /// Gives the lease of an interrupted pull back: what the next pull of the reference can use stays for a while, and the
    /// collector has taken the rest when this returns.
    ///
    /// # Cancel safety
    /// It goes on without the caller.
    pub async fn interrupt(self) {
        self.end(End::Interrupted).await;
    }

    async fn end(mut self, end: End) {
        self.end = end;
        if let Some(deletion) = self.delete_on_own_task() {
            // The task itself logs what goes wrong; a panic in it would be reported by the runtime.
            let _ = deletion.await;
        }
    }

    fn delete_on_own_task(&mut self) -> Option<tokio::task::JoinHandle<()>> {
        // Taken once: a second call, from the drop after `discard`, finds none.
        let live = self.live.take()?;
        let (id, reference, store, end) =
            (self.id.clone(), self.reference.clone(), self.store.clone(), self.end);
        let sync = end != End::Committed || self.has_leftovers.load(Ordering::Relaxed);
        // Outside a runtime (the process is going down) the lease stays for the recovery of the next start.
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        Some(runtime.spawn(async move {
            if end == End::Interrupted
                && let Err(error) = store.keep_for_next(&id, reference.as_str()).await
            {
                tracing::warn!(lease = id.as_str(), %error, "an interrupted pull is not kept for the next one");
            }
            match store.shared.client.leases().delete(&id, sync).await {
                Ok(()) => {}
                Err(error) if error.is_not_found() => {
                    tracing::warn!(lease = id.as_str(), "someone else deleted the lease of a pull");
                }
                Err(error) => {
                    if end == End::Committed {
                        live.leases.finish(id.as_str());
                    }
                    tracing::warn!(lease = id.as_str(), %error, "lease not deleted; recovery will");
                }
            }
            drop(live);
        }))
    }
}

impl Drop for PullLease {
    fn drop(&mut self) {
        self.delete_on_own_task();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_lease_is_forgotten_with_it() {
        let known = KnownLeases::default();
        known.finish("l1");
        assert_eq!([known.refuse("l1"), known.refuse("l1"), known.refuse("l2")], [1, 2, 1]);
        assert!(known.is_finished("l1") && !known.is_finished("l2"));
        known.forget("l1");
        assert!(!known.is_finished("l1"));
        assert_eq!([known.refuse("l1"), known.refuse("l2")], [1, 2]);
    }

    #[test]
    fn no_two_collections_have_one_name() {
        let known = KnownLeases::default();
        let (first, second) = (known.collector_id("i"), known.collector_id("i"));
        assert_ne!(first, second);
        assert!(first.starts_with("cri-imaged-i-") && first.ends_with("-collect"), "{first}");
    }
}
