//! A copy of what a namespace holds, for checkers and assertions.

use std::collections::{BTreeMap, BTreeSet};

use super::labels::Labels;
use super::state::{Kind, State};

/// Everything stored in one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inventory {
    /// Image records by name.
    pub images: BTreeMap<String, ImageItem>,
    /// Blobs by digest.
    pub content: BTreeMap<String, ContentItem>,
    /// References of unfinished writes.
    pub ingests: BTreeSet<String>,
    /// Leases by id.
    pub leases: BTreeMap<String, LeaseItem>,
    /// Snapshots by snapshotter and key.
    pub snapshots: BTreeMap<(String, String), SnapshotItem>,
}

/// An image record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageItem {
    /// Digest of the target.
    pub target: String,
    /// Labels of the record.
    pub labels: BTreeMap<String, String>,
}

/// A blob.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContentItem {
    /// Size in bytes.
    pub size: i64,
    /// Labels of the blob.
    pub labels: BTreeMap<String, String>,
}

/// A lease and how much it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseItem {
    /// Labels of the lease.
    pub labels: BTreeMap<String, String>,
    /// Digests held.
    pub content: BTreeSet<String>,
    /// Ingests held.
    pub ingests: BTreeSet<String>,
    /// Snapshotters and keys held.
    pub snapshots: BTreeSet<(String, String)>,
}

/// Whether a snapshot can be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotKind {
    /// Read-only and temporary.
    View,
    /// Being written.
    Active,
    /// Finished.
    Committed,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotItem {
    /// What it can be used for.
    pub kind: SnapshotKind,
    /// Name of the snapshot below.
    pub parent: Option<String>,
    /// Labels of the snapshot.
    pub labels: Labels,
}

pub(crate) fn take(state: &State, namespace: &str) -> Inventory {
    let Some(namespace) = state.namespaces.get(namespace) else { return Inventory::default() };
    let image = |record: &super::state::ImageRecord| ImageItem {
        target: record.target.digest.clone(),
        labels: record.labels.clone(),
    };
    let content = |record: &super::state::ContentRecord| ContentItem {
        size: record.size,
        labels: record.labels.clone(),
    };
    let lease = |record: &super::state::LeaseRecord| LeaseItem {
        labels: record.labels.clone(),
        content: record.content.clone(),
        ingests: record.ingests.clone(),
        snapshots: record.snapshots.clone(),
    };
    let snapshot = |record: &super::state::SnapshotRecord| SnapshotItem {
        kind: match record.kind {
            Kind::View => SnapshotKind::View,
            Kind::Active => SnapshotKind::Active,
            Kind::Committed => SnapshotKind::Committed,
        },
        parent: record.parent.clone(),
        labels: record.labels.clone(),
    };
    Inventory {
        images: namespace.images.iter().map(|(name, record)| (name.clone(), image(record))).collect(),
        content: namespace.content.iter().map(|(digest, record)| (digest.clone(), content(record))).collect(),
        ingests: namespace.ingests.keys().cloned().collect(),
        leases: namespace.leases.iter().map(|(id, record)| (id.clone(), lease(record))).collect(),
        snapshots: namespace
            .snapshots
            .iter()
            .flat_map(|(snapshotter, records)| {
                records
                    .iter()
                    .map(move |(key, record)| ((snapshotter.clone(), key.clone()), snapshot(record)))
            })
            .collect(),
    }
}
