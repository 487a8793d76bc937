//! What earlier processes left half done, told apart by their leases.
//!
//! A pull takes its lease first and gives it back last, so a lease of ours that no running pull owns marks a pull
//! that was cut off. Where its image id record had been written, everything beneath is complete: the missing records
//! are written, and the image is fully there. Otherwise deleting the lease leaves nothing that a record holds, and
//! the collector takes it: fully gone.

use std::sync::atomic::Ordering;

use containerd::{ImageRecord, LeaseInfo, LeaseResource};
use refparse::{Digest, Reference};

use crate::commit::{Committed, is_unanswered, write_record};
use crate::lease::LEASE_REFERENCE;
use crate::resume::LEASE_RESUMES;
use crate::{ConvertedFrom, Details, ImageStore, StoreError};

/// Recoveries that containerd may refuse for one pull before the others go on without it.
const REFUSED_MAX: u32 = 3;

impl ImageStore {
    /// Ends all pulls that were cut off, and collects what they left. Pulls that run in this process are not touched.
    ///
    /// # Errors
    /// [`StoreError`]; what was not ended is tried again at the next recovery.
    pub(crate) async fn recover(&self, records: &[ImageRecord]) -> Result<(), StoreError> {
        let shared = &self.shared;
        let leases = shared.client.leases();
        let listed = leases.list().await?;
        for lease in &listed {
            if let Some(reference) = lease.labels.get(LEASE_RESUMES) {
                self.learn_resumable(lease, reference).await;
            }
        }
        for lease in listed {
            let Some(reference) = lease.labels.get(LEASE_REFERENCE) else { continue };
            if shared.known_leases.is_live(lease.id.as_str()) {
                continue;
            }
            let is_finished = shared.known_leases.is_finished(lease.id.as_str());
            if !is_finished && let Ok(reference) = Reference::parse(reference) {
                let is_complete = match self.complete_records(&lease, &reference, records).await {
                    Ok(is_complete) => is_complete,
                    // A blob that the disk gives back no more must not keep the daemon from being ready.
                    Err(error)
                        if !is_unanswered(&error)
                            && shared.known_leases.refuse(lease.id.as_str()) >= REFUSED_MAX =>
                    {
                        tracing::warn!(image = %reference, %error, "a pull that was cut off is left to a later recovery");
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                if !is_complete && self.is_of_this_boot(&lease) {
                    match self.keep_for_next(&lease.id, reference.as_str()).await {
                        Ok(()) => {}
                        Err(error) if error.is_unanswered() => return Err(error.into()),
                        // It costs the next pull bytes; it must not keep the daemon from being ready.
                        Err(error) => {
                            tracing::warn!(image = %reference, %error, "an interrupted pull is not kept for the next one");
                        }
                    }
                }
            }
            tracing::info!(lease = lease.id.as_str(), image = %reference, "deleting the lease of an ended pull");
            // Before it goes: where the answer is lost, the next recovery does not see it.
            shared.collection_due.store(true, Ordering::Relaxed);
            match leases.delete(&lease.id, false).await {
                Ok(()) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
            shared.known_leases.forget(lease.id.as_str());
        }
        if shared.collection_due.load(Ordering::Relaxed) {
            self.collect().await?;
            shared.collection_due.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Writes what is missing of the records of the pull of `reference`, where its image id record was written; says
    /// whether it was.
    async fn complete_records(
        &self,
        lease: &LeaseInfo,
        reference: &Reference,
        records: &[ImageRecord],
    ) -> Result<bool, StoreError> {
        let shared = &self.shared;
        let under_lease = match shared.client.leases().resources(&lease.id).await {
            Ok(resources) => resources,
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let mut is_complete = false;
        let client = shared.client.with_lease(&lease.id);
        for record in records {
            let kind = LeaseResource::CONTENT.to_owned();
            let target = LeaseResource { kind, id: record.target.digest.to_string() };
            if !under_lease.contains(&target) || Digest::parse(&record.name).is_err() {
                continue;
            }
            let details = Details::read(&client.content(), &shared.config.platform, &record.target).await;
            let details = match details {
                Ok(Some(details)) => details,
                Ok(None) | Err(StoreError::Document { .. }) => continue,
                // What cannot be read now is not incomplete.
                Err(error) => return Err(error),
            };
            if details.image_id.as_str() != record.name {
                continue;
            }
            is_complete = true;
            let converted_from = ConvertedFrom::of(record);
            let committed = Committed {
                reference,
                target: &record.target,
                image_id: &details.image_id,
                converted_from: converted_from.as_ref(),
            };
            for mut missing in committed.records() {
                if !records.iter().any(|present| present.name == missing.name) {
                    let others = record.labels.iter().filter(|(key, _)| !ConvertedFrom::is_label(key));
                    missing.labels.extend(others.map(|(key, value)| (key.clone(), value.clone())));
                    write_record(&client.images(), &missing).await?;
                }
            }
        }
        Ok(is_complete)
    }
}
