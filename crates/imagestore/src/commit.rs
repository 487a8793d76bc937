//! Writing the records of an image that is complete.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use containerd::{ErrorKind, ImageRecord, Images, labels};
use oci::{Descriptor, ImageId};
use refparse::Reference;

use crate::{ConvertedFrom, ImageStore, PullLease, StoreError};

/// How often a record is tried to be written while others delete and create it in between. Each attempt loses only
/// to a change made within a millisecond of it, so a hundred means that someone fights over the name.
const ATTEMPTS_MAX: u32 = 100;

/// An image whose records are to be written.
#[derive(Clone, Debug)]
pub struct Committed<'a> {
    /// The reference that was pulled.
    pub reference: &'a Reference,
    /// The index or manifest that it resolved to.
    pub target: &'a Descriptor,
    /// Digest of the config.
    pub image_id: &'a ImageId,
    /// What the target was made of, where it was made here.
    pub converted_from: Option<&'a ConvertedFrom>,
}

impl Committed<'_> {
    /// The records in the order in which they are written: id, digest, tag. As containerd's CRI plugin would write them.
    ///
    /// The id goes first because containerd's CRI plugin wants it before it meets a managed tag
    /// (`internal/cri/server/images/image_pull.go`, v2.3.4), the tag goes last because it is what a client looks up.
    /// A converted image has no digest record unless it was asked for by digest, and then that one: the registry knows no
    /// other (v1.7.34 `pkg/cri/server/helpers.go`, `getRepoDigestAndTag`).
    pub(crate) fn records(&self) -> Vec<ImageRecord> {
        let managed = (labels::CRI_IMAGE.to_owned(), labels::CRI_IMAGE_MANAGED.to_owned());
        let labels = BTreeMap::from([managed]);
        let record = |name: &str| ImageRecord {
            name: name.to_owned(),
            target: self.target.clone(),
            labels: labels.clone(),
        };
        let mut id = record(self.image_id.as_str());
        // On the id alone: a tag that moves on to another image would keep it.
        id.labels.extend(self.converted_from.map(ConvertedFrom::label));
        let mut records = vec![id];
        if self.converted_from.is_none() {
            records.push(record(self.reference.with_digest(&self.target.digest).as_str()));
        }
        if self.converted_from.is_some() || self.reference.digest().is_none() {
            records.push(record(self.reference.as_str()));
        }
        records
    }
}

/// What writing a record did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// There was none of that name.
    Created,
    /// It was brought to target and labels.
    Updated,
    /// It was right already.
    Unchanged,
}

impl ImageStore {
    /// Writes the records of an image, enters them in the index and gives `lease` back. Content, snapshots and labels
    /// must be complete and under the lease, because containerd's CRI plugin reads them as soon as the first record
    /// appears.
    ///
    /// # Errors
    /// [`StoreError`]. Where containerd refused a record, those that were new are taken back, and what the lease held is
    /// collected. Where it did not answer, recovery ends what was begun: the image is then fully there or fully gone.
    ///
    /// # Cancel safety
    /// Some of the records may stay after a dropped call, and the lease is deleted: run it on a task of its own. The index
    /// is right again when recovery has looked.
    pub async fn commit(&self, lease: PullLease, image: Committed<'_>) -> Result<(), StoreError> {
        let records = image.records();
        let names: BTreeSet<String> = records.iter().map(|record| record.name.clone()).collect();
        let _ordered = self.shared.changing.lock(&names).await;
        let images = lease.client().images();
        let mut created = Vec::new();
        let writing = self.begin_writing(&names);
        let Err(error) = write_all(&images, &records, &mut created).await else {
            // The image is fully there, whatever comes of entering it.
            let entered = writing.enter().await;
            lease.release().await;
            // It may be of another image that the tag was.
            self.forget_resumable(&[image.reference.as_str()], true).await;
            return entered;
        };
        // Taking back what containerd wrote without saying so could take what another client has made of it since (found
        // by the simulator, 2026-11-27).
        let undone = !is_unanswered(&error) && self.take_back(&images, &created, image.target).await.is_ok();
        // What other clients did to the names meanwhile was left to this; the error that counts is the first one.
        let _entered = writing.enter().await;
        if undone {
            lease.discard().await;
        } else {
            tracing::warn!(image = %image.reference, %error, "records half written; recovery ends it");
            lease.abandon();
            self.shared.recovery_wanted.notify_one();
        }
        Err(error)
    }

    /// Deletes the records that a refused commit created, the id last.
    async fn take_back(
        &self,
        images: &Images,
        created: &[String],
        target: &Descriptor,
    ) -> Result<(), StoreError> {
        for name in created.iter().rev() {
            match images.delete(name, Some(target), false).await {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::FailedPrecondition) => {
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Names whose records are being written or removed, by those who enter them in the index at their end.
#[derive(Debug, Default)]
pub(crate) struct Writing {
    names: Mutex<BTreeSet<String>>,
}

impl Writing {
    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names().contains(name)
    }
}

/// Names that are in [`Writing`] until they are entered. No two have a common one: writers of one name exclude each other.
/// Dropped before that, recovery looks at all names.
pub(crate) struct WritingNames<'a> {
    store: &'a ImageStore,
    names: &'a BTreeSet<String>,
    is_entered: bool,
}

impl ImageStore {
    pub(crate) fn begin_writing<'a>(&'a self, names: &'a BTreeSet<String>) -> WritingNames<'a> {
        self.shared.writing.names().extend(names.iter().cloned());
        WritingNames { store: self, names, is_entered: false }
    }
}

impl WritingNames<'_> {
    /// Enters all that was written, or removed, at once. A list that shows an image whose tag is yet to be written would be
    /// true neither before the pull nor after it (found by the simulator, 2026-11-27).
    pub(crate) async fn enter(mut self) -> Result<(), StoreError> {
        self.end();
        self.store.refresh_all(self.names).await?;
        self.is_entered = true;
        Ok(())
    }

    fn end(&self) {
        self.store.shared.writing.names().retain(|name| !self.names.contains(name));
    }
}

impl Drop for WritingNames<'_> {
    fn drop(&mut self) {
        if !self.is_entered {
            self.end();
            self.store.shared.recovery_wanted.notify_one();
        }
    }
}

/// Writes `records` in their order; `created` gets the names of those that were not there.
async fn write_all(
    images: &Images,
    records: &[ImageRecord],
    created: &mut Vec<String>,
) -> Result<(), StoreError> {
    for record in records {
        if write_record(images, record).await? == Written::Created {
            created.push(record.name.clone());
        }
    }
    Ok(())
}

/// Whether the call that failed may have had its effect.
pub(crate) fn is_unanswered(error: &StoreError) -> bool {
    matches!(error, StoreError::Containerd(error) if error.is_unanswered())
}

/// Creates `record`, or brings an existing one of that name to its target and labels; labels that others set stay.
///
/// containerd has no create-or-update, so another client may delete the record after `create` said that it exists and
/// before `update` comes: then the next attempt creates it. An existing record that is already right is left alone,
/// which spares containerd a write with fsync and every subscriber an event.
///
/// Create goes first because a pull mostly writes a new name. Medians of 300 calls on 2026-11-24, containerd 1.6.20 and
/// 2.1.9 on a local disk: create 0.6 to 1.0 ms, update 0.6 to 2.9 ms, create of an existing name 0.15 to 0.28 ms, get
/// 0.14 to 0.22 ms, update of a missing name 0.11 to 0.25 ms. So a new name costs one write this way and a fifth more
/// with update first; an unchanged one costs 0.4 ms.
///
/// # Errors
/// [`StoreError::Contended`] after a hundred lost races; [`StoreError::Containerd`] otherwise.
///
/// # Cancel safety
/// The record is then either as before or as wanted.
pub async fn write_record(images: &Images, record: &ImageRecord) -> Result<Written, StoreError> {
    for _ in 0..ATTEMPTS_MAX {
        match images.create(record).await {
            Ok(()) => return Ok(Written::Created),
            Err(error) if error.is_already_exists() => {}
            Err(error) => return Err(error.into()),
        }
        match images.get(&record.name).await {
            Ok(present) if is_as_wanted(&present, record) => return Ok(Written::Unchanged),
            Ok(_) => {}
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error.into()),
        }
        match images.update(record).await {
            Ok(()) => return Ok(Written::Updated),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Contended { name: record.name.clone(), attempts: ATTEMPTS_MAX })
}

fn is_as_wanted(present: &ImageRecord, wanted: &ImageRecord) -> bool {
    present.target == wanted.target
        && wanted.labels.iter().all(|(key, value)| present.labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use refparse::Digest;

    use super::*;

    /// The names of the records, and whether each says what it was converted from.
    #[track_caller]
    fn check(reference: &str, converted_from: Option<u8>, expected: &[(&str, bool)]) {
        let digest = |number: u8| Digest::from_sha256([number; 32]);
        let with_digests = |text: &str| {
            text.replace("TARGET", digest(1).as_str())
                .replace("ID", digest(2).as_str())
                .replace("FROM", digest(3).as_str())
        };
        let converted_from = converted_from.map(digest).map(ConvertedFrom::Artifact);
        let committed = Committed {
            reference: &Reference::parse(&with_digests(reference)).unwrap(),
            target: &Descriptor::new("m", digest(1), 1),
            image_id: &ImageId::new(digest(2)),
            converted_from: converted_from.as_ref(),
        };
        let records = committed.records();
        let is_marked = |record: &ImageRecord| record.labels.contains_key(labels::CONVERTED_ARTIFACT);
        let got: Vec<_> = records.iter().map(|record| (record.name.clone(), is_marked(record))).collect();
        let expected: Vec<_> = expected.iter().map(|(name, marked)| (with_digests(name), *marked)).collect();
        assert_eq!(got, expected);
        assert!(records.iter().all(|record| record.labels.contains_key(labels::CRI_IMAGE)));
    }

    #[test]
    fn an_image_has_a_record_for_its_id_its_digest_and_its_tag() {
        check("r.test/a:1", None, &[("ID", false), ("r.test/a@TARGET", false), ("r.test/a:1", false)]);
        check("r.test/a@TARGET", None, &[("ID", false), ("r.test/a@TARGET", false)]);
    }

    #[test]
    fn a_converted_image_has_only_digests_that_the_registry_knows() {
        check("r.test/a:1", Some(3), &[("ID", true), ("r.test/a:1", false)]);
        check("r.test/a@FROM", Some(3), &[("ID", true), ("r.test/a@FROM", false)]);
    }
}
