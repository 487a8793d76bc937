//! Everything that the fake stores, behind one lock.
//!
//! Owns the records of each namespace and the blobs and ingests that namespaces share. Every operation of a
//! service is one critical section on [`State`], as it is one database transaction in containerd. Ordered maps
//! throughout: what is listed, collected or published never depends on a hash seed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use bytes::Bytes;
use tonic::Status;

use super::content::IngestBytes;
use super::context::Context;
use super::events::Subscriber;
use super::failure;
use super::labels::Labels;
use super::tree::Tree;

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) namespaces: BTreeMap<String, Namespace>,
    /// Committed bytes by digest, shared by all namespaces and freed by the collector only.
    pub(crate) blobs: BTreeMap<String, Bytes>,
    /// Bytes of unfinished writes by backend key.
    pub(crate) ingests: BTreeMap<String, IngestData>,
    /// Backend keys of the ingests that a writer has open.
    pub(crate) locks: BTreeSet<String>,
    pub(crate) subscribers: BTreeMap<u64, Subscriber>,
    /// Snapshot directories that no record names any more.
    pub(crate) abandoned_directories: BTreeSet<u64>,
    /// Mutations and deletions since the collector ran.
    pub(crate) mutations: u64,
    pub(crate) deletions: u64,
    sequence: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Namespace {
    pub(crate) labels: Labels,
    pub(crate) images: BTreeMap<String, ImageRecord>,
    /// Name and target's digest of every record that there was, for checkers.
    pub(crate) images_ever: BTreeSet<(String, String)>,
    pub(crate) content: BTreeMap<String, ContentRecord>,
    pub(crate) ingests: BTreeMap<String, IngestRecord>,
    pub(crate) leases: BTreeMap<String, LeaseRecord>,
    /// Snapshotter, then key or name.
    pub(crate) snapshots: BTreeMap<String, BTreeMap<String, SnapshotRecord>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: i64,
    pub(crate) annotations: Labels,
}

#[derive(Clone, Debug)]
pub(crate) struct ImageRecord {
    pub(crate) labels: Labels,
    pub(crate) target: Target,
    pub(crate) created_at: SystemTime,
    pub(crate) updated_at: SystemTime,
}

#[derive(Clone, Debug)]
pub(crate) struct ContentRecord {
    pub(crate) size: i64,
    pub(crate) labels: Labels,
    pub(crate) created_at: SystemTime,
    pub(crate) updated_at: SystemTime,
}

#[derive(Clone, Debug)]
pub(crate) struct IngestRecord {
    pub(crate) backend_key: String,
    /// Set when the blob exists in another namespace and is taken over without being sent.
    pub(crate) shared_digest: Option<String>,
    /// When an ingest outside any lease may be collected.
    pub(crate) expires_at: Option<SystemTime>,
}

#[derive(Debug)]
pub(crate) struct IngestData {
    pub(crate) bytes: IngestBytes,
    pub(crate) total: i64,
    pub(crate) started_at: SystemTime,
    pub(crate) updated_at: SystemTime,
}

#[derive(Clone, Debug)]
pub(crate) struct LeaseRecord {
    pub(crate) labels: Labels,
    pub(crate) created_at: SystemTime,
    pub(crate) content: BTreeSet<String>,
    pub(crate) images: BTreeSet<String>,
    pub(crate) ingests: BTreeSet<String>,
    /// Snapshotter and key.
    pub(crate) snapshots: BTreeSet<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    View,
    Active,
    Committed,
}

#[derive(Clone, Debug)]
pub(crate) struct SnapshotRecord {
    /// Names the directory.
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    pub(crate) parent: Option<String>,
    pub(crate) labels: Labels,
    pub(crate) created_at: SystemTime,
    pub(crate) updated_at: SystemTime,
    /// Links from here to snapshots on top. As in containerd, collecting a child leaves its link behind.
    pub(crate) children: BTreeSet<String>,
    /// What this snapshot changes, in overlay form.
    pub(crate) upper: Tree,
    /// Size and inodes, fixed on commit.
    pub(crate) usage: (i64, i64),
}

impl State {
    /// A number never handed out before.
    pub(crate) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// The namespace of `context`, created by its first write as containerd does.
    pub(crate) fn namespace_mut(&mut self, context: &Context) -> &mut Namespace {
        self.mutations += 1;
        self.namespaces.entry(context.namespace.clone()).or_default()
    }

    pub(crate) fn namespace(&self, context: &Context) -> Option<&Namespace> {
        self.namespaces.get(&context.namespace)
    }

    pub(crate) fn blob_exists(&self, namespace: &str, digest: &str) -> bool {
        self.namespaces.get(namespace).is_some_and(|namespace| namespace.content.contains_key(digest))
    }

    /// Bytes of a blob, if the namespace may see it.
    pub(crate) fn blob(&self, namespace: &str, digest: &str) -> Option<Bytes> {
        if self.blob_exists(namespace, digest) { self.blobs.get(digest).cloned() } else { None }
    }
}

impl Namespace {
    /// The lease that the request names; `None` when it names none.
    ///
    /// # Errors
    /// Not found when the named lease does not exist.
    pub(crate) fn lease_mut(&mut self, context: &Context) -> Result<Option<&mut LeaseRecord>, Status> {
        let Some(id) = &context.lease else { return Ok(None) };
        self.leases.get_mut(id).map(Some).ok_or_else(|| failure::not_found("lease does not exist"))
    }

    /// Checks the lease of the request without changing it.
    pub(crate) fn check_lease(&self, context: &Context) -> Result<(), Status> {
        match &context.lease {
            Some(id) if !self.leases.contains_key(id) => Err(failure::not_found("lease does not exist")),
            _ => Ok(()),
        }
    }
}
