//! What the product relies on in containerd, as bodies that run against the fake and against the real thing.
//!
//! A body takes a [`Subject`], asserts, and cleans up nothing: give each a namespace of its own. It panics when
//! containerd behaves otherwise, as a test does. [`all`] lists those that need nothing but the API, [`on_disk`] those that
//! look into its directories.

#![expect(clippy::unwrap_used, reason = "the bodies are tests")]

mod content;
mod content_file;
mod content_write;
mod cri;
mod diff;
mod events;
mod gc;
mod images;
mod introspection;
mod leases;
pub mod registry;
mod snapshots;
mod subject;

use std::fmt;

use futures::future::BoxFuture;

pub use subject::Subject;

/// The lease that holds what a body makes.
const HOLD: &str = "conformance";

/// One body.
#[derive(Clone, Copy)]
pub struct Body {
    name: &'static str,
    /// Whether a lease holds what the body makes: without one, containerd may collect it under the body's hands.
    is_held: bool,
    run: fn(Subject) -> BoxFuture<'static, ()>,
}

impl Body {
    /// `module::what_holds`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the body.
    ///
    /// # Panics
    /// When containerd does not behave as the body says.
    ///
    /// # Cancel safety
    /// What the body made so far stays.
    pub async fn run(&self, subject: Subject) {
        if self.is_held {
            subject.create_lease(HOLD, &[]).await;
            (self.run)(subject.with_lease(HOLD)).await;
        } else {
            (self.run)(subject).await;
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Body").field(&self.name).finish()
    }
}

macro_rules! bodies {
    ($(#[$doc:meta])* $name:ident: $($module:ident $held:literal { $($body:ident,)* })*) => {
        $(#[$doc])*
        pub fn $name() -> Vec<Body> {
            vec![$($(Body {
                name: concat!(stringify!($module), "::", stringify!($body)),
                is_held: $held,
                run: |subject| Box::pin($module::$body(subject)),
            },)*)*]
        }
    };
}

bodies! {
    /// Bodies about what the directories of containerd hold, which are on this machine.
    on_disk:
    content_file true {
        what_is_in_the_file_counts_when_the_ingest_is_opened_again,
        what_is_in_the_file_is_unknown_to_a_writer_that_was_open_before,
        what_was_written_into_the_file_is_cut_off_by_a_write_at_zero,
    }
}

bodies! {
    /// Every body that needs nothing but the API, grouped by service.
    all:
    content true {
        a_missing_blob_is_not_found,
        a_malformed_digest_is_an_invalid_argument,
        reads_honour_offset_and_size,
        labels_are_updated_through_a_mask,
        blobs_are_listed_by_filter,
        a_deleted_blob_is_gone,
    }
    content_write true {
        a_write_becomes_a_blob_on_commit,
        a_blob_may_be_named_by_its_commit,
        an_interrupted_write_goes_on_at_its_offset,
        a_write_at_another_offset_is_out_of_range,
        a_write_at_zero_starts_over,
        a_second_writer_is_turned_away,
        a_wrong_digest_is_refused_and_the_ingest_stays,
        a_wrong_size_is_refused,
        an_existing_blob_is_told_at_once_and_leased,
        an_aborted_write_is_forgotten,
        a_blob_of_another_namespace_is_taken_over_without_its_bytes,
        the_first_message_needs_a_reference,
    }
    cri false {
        a_record_becomes_visible_by_id_and_by_name,
        an_unlabelled_record_is_taken_over,
        a_deleted_record_disappears,
    }
    diff true {
        every_compression_gives_the_diff_id,
        a_broken_layer_is_an_error,
        a_missing_blob_is_not_found,
    }
    events false {
        image_events_arrive_in_order,
        other_topics_are_filtered_out,
    }
    gc false {
        an_image_keeps_everything_below_it,
        a_lease_keeps_what_was_made_under_it,
        an_expired_lease_keeps_nothing,
        what_nothing_names_is_collected,
        ingests_go_with_their_lease,
        an_ingest_under_a_second_lease_goes_with_that_and_is_resumed,
        parents_are_kept_by_their_children,
    }
    images true {
        a_request_needs_a_namespace,
        a_created_record_is_found,
        a_second_create_already_exists,
        an_update_of_a_missing_record_is_not_found,
        a_mask_updates_only_what_it_names,
        an_update_without_a_mask_replaces_the_record,
        incomplete_targets_are_refused,
        records_are_listed_by_filter,
        a_delete_can_compare_the_target,
        namespaces_are_apart,
    }
    introspection false {
        the_version_is_told,
        the_snapshotter_tells_root_and_capabilities,
    }
    leases false {
        a_lease_lives_from_create_to_delete,
        an_id_is_used_once,
        resources_are_added_and_removed,
        the_header_adds_what_is_made,
        a_lease_that_is_gone_is_not_found,
    }
    snapshots true {
        a_chain_is_built_bottom_up,
        mounts_are_those_of_an_overlay,
        the_reference_label_finds_the_committed_one,
        a_second_commit_already_exists,
        a_parent_outlives_its_children,
        a_commit_may_name_the_parent,
        labels_are_kept_and_updated,
        snapshots_are_listed_by_filter,
        an_unknown_snapshotter_is_an_invalid_argument,
    }
}
