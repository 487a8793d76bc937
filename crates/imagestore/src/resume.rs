//! What interrupted pulls leave to the next one.
//!
//! A pull is interrupted when its callers go away, when the registry fails in a way that may pass, or when its process is
//! killed. What it had finished (blobs, committed snapshots) and the writes that it had begun go under a lease for the next
//! pull of the reference before its own lease goes. The next pull knows nothing of that: it finds them as it finds what
//! other images have. These leases expire, are few, and go when the reference was pulled or removed, or the disk is full.
//!
//! What comes from before a restart of the machine is not used: a power cut may have taken what was not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use containerd::{CallError, LeaseId, LeaseInfo, LeaseResource};
use refparse::Digest;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::ImageStore;

/// On our leases for next pulls: the reference.
pub(crate) const LEASE_RESUMES: &str = "cri-imaged.io/resumes";

/// On all our leases: the boot in which they were made.
pub(crate) const LEASE_BOOT: &str = "cri-imaged.io/boot";

/// Leases for next pulls; the oldest give way.
const RESUMABLE_MAX: usize = 16;

/// The leases for next pulls that this process knows of, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Resumables {
    known: Mutex<Vec<Resumable>>,
    changed: Notify,
    /// Orders making a lease and ending it.
    making: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Resumable {
    lease: LeaseId,
    reference: String,
    until: Instant,
}

impl Resumables {
    fn known(&self) -> MutexGuard<'_, Vec<Resumable>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, reference: &str) -> Vec<LeaseId> {
        let of_reference = |resumable: &Resumable| resumable.reference == reference;
        let known = self.known();
        known.iter().filter(|known| of_reference(known)).map(|known| known.lease.clone()).collect()
    }

    fn insert(&self, resumable: Resumable) {
        let mut known = self.known();
        if !known.iter().any(|known| known.lease == resumable.lease) {
            known.push(resumable);
            self.changed.notify_one();
        }
    }

    /// Takes out those that `is_over` says, and the oldest that are too many.
    fn take(&self, mut is_over: impl FnMut(&Resumable) -> bool) -> Vec<LeaseId> {
        let mut known = self.known();
        let mut taken: Vec<Resumable> = known.extract_if(.., |resumable| is_over(resumable)).collect();
        let too_many = known.len().saturating_sub(RESUMABLE_MAX);
        taken.extend(known.drain(..too_many));
        taken.into_iter().map(|taken| taken.lease).collect()
    }

    /// Waits until one has expired.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn expired(&self) {
        loop {
            let next = self.known().iter().map(|resumable| resumable.until).min();
            let Some(next) = next else {
                self.changed.notified().await;
                continue;
            };
            tokio::select! {
                () = sleep_until(next) => return,
                () = self.changed.notified() => {}
            }
        }
    }
}

impl ImageStore {
    /// How long an interrupted pull is kept; zero where it is not.
    fn resume_within(&self) -> Duration {
        self.shared.config.resume_within
    }

    /// Puts what the interrupted pull of `reference` has brought, and what earlier ones left, under a lease for the next
    /// one. `lease` stays.
    pub(crate) async fn keep_for_next(&self, lease: &LeaseId, reference: &str) -> Result<(), CallError> {
        let shared = &self.shared;
        if self.resume_within().is_zero() {
            return Ok(());
        }
        let _ordered = shared.resumables.making.lock().await;
        let mut kept = self.usable(lease).await?;
        if kept.is_empty() {
            return Ok(());
        }
        let earlier = shared.resumables.of(reference);
        for lease in &earlier {
            kept.extend(self.usable(lease).await?);
        }
        let id = LeaseId::new(&format!("{}-next", lease.as_str()))?;
        let (until, expires) =
            (Instant::now() + self.resume_within(), (shared.config.now)() + self.resume_within());
        // Known before it exists, so that it goes in time even where containerd does not say that it made it.
        shared.resumables.insert(Resumable { lease: id.clone(), reference: reference.to_owned(), until });
        let labels = [(LEASE_RESUMES, reference), (LEASE_BOOT, shared.config.boot.as_str())];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let leases = shared.client.leases();
        match leases.create(id.as_str(), expires, BTreeMap::from(labels)).await {
            Ok(_) => {}
            // Begun before, and cut off.
            Err(error) if error.is_already_exists() => {}
            Err(error) => return Err(error),
        }
        for resource in &kept {
            leases.add(&id, resource).await?;
        }
        tracing::info!(
            image = reference,
            objects = kept.len(),
            "an interrupted pull is kept for the next one"
        );
        let earlier = |resumable: &Resumable| earlier.contains(&resumable.lease) && resumable.lease != id;
        self.end_leases(&shared.resumables.take(earlier), false).await;
        Ok(())
    }

    /// What is under `lease` that a next pull can use.
    async fn usable(&self, lease: &LeaseId) -> Result<BTreeSet<LeaseResource>, CallError> {
        let snapshots = LeaseResource::snapshots_of(&self.shared.config.snapshotter);
        let held = match self.shared.client.leases().resources(lease).await {
            Ok(held) => held,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error),
        };
        let is_usable = |resource: &LeaseResource| match resource.kind.as_str() {
            LeaseResource::CONTENT | LeaseResource::INGEST => true,
            // A committed one is called by its chain id, one in the making otherwise.
            kind => kind == snapshots && Digest::parse(&resource.id).is_ok(),
        };
        Ok(held.into_iter().filter(is_usable).collect())
    }

    /// Takes notice of a lease for a next pull that an earlier process made, or ends it.
    pub(crate) async fn learn_resumable(&self, lease: &LeaseInfo, reference: &str) {
        let left =
            lease.expires().and_then(|expires| expires.duration_since((self.shared.config.now)()).ok());
        let left = left.unwrap_or_default().min(self.resume_within());
        let until = Instant::now() + left;
        let (id, reference) = (lease.id.clone(), reference.to_owned());
        self.shared.resumables.insert(Resumable { lease: id, reference, until });
        if left.is_zero() || !self.is_of_this_boot(lease) {
            self.forget(|resumable| resumable.lease == lease.id, true).await;
        }
    }

    /// Whether what is under `lease` was written since the machine was started.
    pub(crate) fn is_of_this_boot(&self, lease: &LeaseInfo) -> bool {
        lease.labels.get(LEASE_BOOT) == Some(&self.shared.config.boot)
    }

    /// Ends what is kept for the next pulls of `references`. With `sync` the collector has taken it when this returns.
    pub(crate) async fn forget_resumable(&self, references: &[&str], sync: bool) {
        self.forget(|resumable| references.contains(&resumable.reference.as_str()), sync).await;
    }

    /// Ends what has expired, and what only it held.
    pub(crate) async fn forget_expired(&self) {
        let now = Instant::now();
        self.forget(|resumable| resumable.until <= now, true).await;
    }

    /// Ends all that interrupted pulls left, and waits until the collector has taken it: for when the disk is full.
    pub async fn forget_interrupted(&self) {
        self.forget(|_| true, true).await;
    }

    async fn forget(&self, is_over: impl Fn(&Resumable) -> bool, sync: bool) {
        let resumables = &self.shared.resumables;
        if !resumables.known().iter().any(&is_over) {
            return;
        }
        let _ordered = resumables.making.lock().await;
        self.end_leases(&resumables.take(is_over), sync).await;
    }

    async fn end_leases(&self, leases: &[LeaseId], sync: bool) {
        for (number, lease) in leases.iter().enumerate() {
            let sync = sync && number + 1 == leases.len();
            match self.shared.client.leases().delete(lease, sync).await {
                Ok(()) => {}
                Err(error) if error.is_not_found() => {}
                // It has an expiry in containerd too.
                Err(error) => {
                    tracing::warn!(lease = lease.as_str(), %error, "the lease of an interrupted pull is not deleted");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resumable(number: usize, seconds: u64) -> Resumable {
        Resumable {
            lease: LeaseId::new(&format!("l{number}")).unwrap(),
            reference: format!("r{}", number % 2),
            until: Instant::now() + Duration::from_secs(seconds),
        }
    }

    fn ids(leases: &[LeaseId]) -> Vec<&str> {
        leases.iter().map(LeaseId::as_str).collect()
    }

    #[tokio::test]
    async fn the_oldest_give_way_to_those_that_are_too_many() {
        let resumables = Resumables::default();
        for number in 0..RESUMABLE_MAX + 2 {
            resumables.insert(resumable(number, 1));
            resumables.insert(resumable(number, 2));
        }
        assert_eq!(ids(&resumables.take(|known| known.lease.as_str() == "l4")), ["l4", "l0"]);
        assert_eq!(ids(&resumables.of("r0")).first(), Some(&"l2"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_that_expires_is_waited_for() {
        let resumables = Resumables::default();
        let begun = Instant::now();
        let insert = async {
            resumables.insert(resumable(1, 10));
            tokio::time::sleep(Duration::from_secs(1)).await;
            resumables.insert(resumable(2, 3));
        };
        tokio::join!(resumables.expired(), insert);
        assert_eq!(begun.elapsed().as_secs(), 4);
    }
}
