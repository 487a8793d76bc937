//! Removing an image: all its records, then what only they held.

use std::collections::BTreeSet;

use containerd::ErrorKind;
use oci::Descriptor;
use refparse::Digest;

use crate::index::Index;
use crate::lookup::{self, Found};
use crate::{ImageStore, KeyedGuard, StoreError};

/// How often removal starts over because the image got a name that it did not have before.
const ROUNDS_MAX: usize = 16;

impl ImageStore {
    /// Removes every record of the image that `image` (id, reference, beginning of an id) leads to. When this
    /// returns the image is gone from the index, and containerd has collected what nothing else uses. An image that
    /// is not there is success.
    ///
    /// # Errors
    /// [`StoreError::Lookup`] for an empty or ambiguous name, [`StoreError::NotReady`] while containerd is away.
    ///
    /// # Cancel safety
    /// Records are deleted one by one, the id last, so after a dropped call the rest can be removed by the id. Recovery then
    /// looks at all names; until it has, the index shows the image as it was.
    pub async fn remove(&self, image: &str) -> Result<(), StoreError> {
        self.check_ready()?;
        // A pull that is writing its records comes first: the index does not know them yet, and that nothing is there would
        // be true neither before the pull nor after it (found by the simulator, 2026-11-27).
        drop(self.shared.changing.lock_one(&lookup::record_name(image)).await);
        let mut wanted = image.to_owned();
        // Held from round to round: a pull that comes between two would have its image taken by a removal that others have
        // seen to be done before it (found by the simulator, 2026-11-27).
        let mut held: Option<(BTreeSet<String>, KeyedGuard)> = None;
        for _ in 0..ROUNDS_MAX {
            let index = self.index();
            let Some(found) = lookup::find(&index, &wanted)? else { return Ok(()) };
            let keys = keys(&index, &found);
            if held.as_ref().is_none_or(|(held, _)| !held.is_superset(&keys)) {
                // While this waits, a pull may give the image another name, or a removal take it away. What is held goes
                // first, so that no two wait for each other.
                drop(held.take());
                let guard = self.shared.changing.lock(&keys).await;
                held = Some((keys, guard));
                continue;
            }
            let records = records(&index, &found);
            // The collection at the end of the removal takes it.
            self.forget_resumable(&records.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), false)
                .await;
            let names_removed = records.iter().map(|(name, _)| name.clone()).collect();
            let writing = self.begin_writing(&names_removed);
            let removed = self.remove_records(&records).await;
            // At once, for an image without some of its names was there neither before the removal nor after it (found by
            // the simulator, 2026-11-27). Where it ended early too.
            let entered = writing.enter().await;
            removed.and(entered)?;
            if names(&self.index(), &found).is_empty() {
                return Ok(());
            }
            // What is left is this image's: a name that another client moved meanwhile must not lead the next round to
            // a second image (found by the simulator, 2026-11-24).
            if let Found::Image(image) = &found {
                wanted = image.id().to_string();
            }
        }
        Err(StoreError::RemoveContended { image: image.to_owned() })
    }

    /// Deletes `records`, in this order, each only while it has its target: another client may move a name of this image to
    /// a second one, and the index may know of it by then (found by the simulator, 2026-11-27).
    async fn remove_records(&self, records: &[(String, Descriptor)]) -> Result<(), StoreError> {
        let images = self.shared.client.images();
        let mut collected = false;
        for (number, (name, target)) in records.iter().enumerate() {
            // The last deletion makes containerd collect before it answers.
            let sync = number + 1 == records.len();
            let moved = match images.get(name).await {
                Ok(record) => record.target.digest != target.digest,
                Err(error) if error.is_not_found() => true,
                Err(error) => return Err(error.into()),
            };
            if !moved {
                // The target goes along: containerd 2.0 and later compare it in the transaction of the deletion.
                match images.delete(name, Some(target), sync).await {
                    Ok(()) => collected = sync,
                    Err(error)
                        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::FailedPrecondition) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if !collected {
            self.collect().await?;
        }
        Ok(())
    }

    /// Makes containerd's collector run to its end: the only calls that wait for it are synchronous deletions.
    pub(crate) async fn collect(&self) -> Result<(), StoreError> {
        let leases = self.shared.client.leases();
        let id = self.shared.known_leases.collector_id(&self.shared.config.instance);
        let lease = leases.create_expired(&id).await?;
        match leases.delete(&lease, true).await {
            Ok(()) => Ok(()),
            // Another collection took it, for it has expired since it was made. That one began after this, so it
            // did what is wanted here (found by the simulator, 2026-11-24).
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Names of the records that `found` stands for, the image id last.
fn names(index: &Index, found: &Found) -> Vec<String> {
    match found {
        Found::Image(image) => index.image(image.id()).map(|now| now.names.clone()).unwrap_or_default(),
        Found::Unreadable { target } => unreadable_names(index, target),
    }
}

/// The records that `found` stands for with their targets, the image id last.
fn records(index: &Index, found: &Found) -> Vec<(String, Descriptor)> {
    let names = names(index, found).into_iter();
    names
        .filter_map(|name| index.entry(&name).map(|entry| entry.target.clone()).map(|target| (name, target)))
        .collect()
}

fn unreadable_names(index: &Index, target: &Digest) -> Vec<String> {
    let names = index.names_of(target).into_iter();
    names.filter(|name| index.entry(name).is_some_and(|entry| entry.details.is_none())).collect()
}

/// What removal of `found` must hold: its names, and the id that a pull of it would write.
fn keys(index: &Index, found: &Found) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = names(index, found).into_iter().collect();
    if let Found::Image(image) = found {
        keys.insert(image.id().to_string());
    }
    keys
}
