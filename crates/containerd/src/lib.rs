//! A typed client of containerd's gRPC API, for the services that an image needs.
//!
//! It is the one place that sets a namespace or a lease on a call, that puts a deadline on it, and that reads a gRPC
//! status of containerd: everything above works with [`ErrorKind`]. It has no policy: what to do about an error, and
//! in which order to call what, is the caller's.
//!
//! [`Client`] is cheap to clone; each clone shares the channel. [`Client::with_lease`] gives one whose calls are made
//! under a lease, so that containerd's collector spares what they create.
//!
//! Written against containerd API 1.11 (containerd 2.3); containerd 1.6 and later serve all of it but
//! `CommitSnapshotRequest.parent` (2.2) and `DeleteImageRequest.target` (2.0), which older versions ignore.
//!
//! # Cancel safety
//! Dropping a unary call's future abandons the answer, not the effect: containerd may have done it. Where an effect
//! matters after cancellation (deleting a lease), run the call on a task of its own.

mod client;
mod connect;
mod content;
mod cri;
mod diff;
mod error;
mod events;
mod file_write;
mod images;
mod ingest;
mod ingest_file;
mod introspection;
pub mod labels;
mod leases;
mod snapshots;
mod write_back;

#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    reason = "generated from proto/"
)]
mod pb {
    pub(crate) mod snapshots {
        tonic::include_proto!("containerd.services.snapshots.v1");
    }
}

pub use client::{Client, Deadlines, NamespaceError};
pub use connect::unix_channel;
pub use containerd_client::types::Mount;
pub use content::{Content, ContentInfo, ContentStream, IngestStatus};
pub use cri::{Cri, CriImage};
pub use diff::Diff;
pub use error::{CallError, ErrorKind};
pub use events::{Events, ImageEvent, ImageEvents};
pub use images::{ImageRecord, Images};
pub use ingest::{FileIngest, Ingest, IngestStart};
pub use ingest_file::open_ingest;
pub use introspection::{Introspection, SnapshotterPlugin};
pub use leases::{LeaseId, LeaseInfo, LeaseResource, Leases};
pub use snapshots::{Prepared, SnapshotInfo, SnapshotKind, SnapshotUsage, Snapshots};
