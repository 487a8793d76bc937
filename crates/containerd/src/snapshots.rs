//! Snapshots of one snapshotter.

use std::collections::BTreeMap;

use containerd_client::types::Mount;

use crate::client::{MESSAGE_BYTES_MAX, Service, within};
use crate::content::next;
use crate::pb::snapshots as pb;
use crate::pb::snapshots::snapshots_client::SnapshotsClient;
use crate::{CallError, Client, Deadlines, ErrorKind};

/// What a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotKind {
    /// Read-only, cannot be committed.
    View,
    /// Being written.
    Active,
    /// Finished, may be a parent.
    Committed,
}

/// A snapshot as its snapshotter knows it.
#[derive(Clone, Debug)]
pub struct SnapshotInfo {
    /// Active key or committed name.
    pub name: String,
    /// Committed name of the parent; empty for a base.
    pub parent: String,
    /// What it is.
    pub kind: SnapshotKind,
    /// Labels in key order.
    pub labels: BTreeMap<String, String>,
}

/// Disk use of one snapshot without its parents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotUsage {
    /// Bytes.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
}

/// What preparing a snapshot found.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// The target named by the label `containerd.io/snapshot.ref` is there already, and now under the lease.
    Exists,
    /// An active snapshot, to be mounted so.
    Active(Vec<Mount>),
}

/// One snapshotter.
#[derive(Clone, Debug)]
pub struct Snapshots {
    grpc: SnapshotsClient<Service>,
    snapshotter: String,
    deadlines: Deadlines,
}

impl Snapshots {
    pub(crate) fn new(client: &Client, snapshotter: &str) -> Snapshots {
        let grpc = SnapshotsClient::new(client.service()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Snapshots { grpc, snapshotter: snapshotter.to_owned(), deadlines: client.deadlines() }
    }

    /// Begins the active snapshot `key` on the committed `parent` (empty for a base).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such parent. An existing `key` counts as [`Prepared::Exists`] too,
    /// since containerd answers both alike; the caller stats its target to tell.
    pub async fn prepare(
        &self,
        key: &str,
        parent: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<Prepared, CallError> {
        let request = pb::PrepareSnapshotRequest {
            snapshotter: self.snapshotter.clone(),
            key: key.to_owned(),
            parent: parent.to_owned(),
            labels: labels.clone().into_iter().collect(),
        };
        let mut grpc = self.grpc.clone();
        let call = grpc.prepare(request);
        match within(self.deadlines.metadata, "prepare snapshot", key, call).await {
            Ok(answer) => Ok(Prepared::Active(answer.mounts)),
            Err(error) if error.is_already_exists() => Ok(Prepared::Exists),
            Err(error) => Err(error),
        }
    }

    /// Finishes the active snapshot `key` under `name`.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] where `name` is taken: the active snapshot stays and is the caller's to remove.
    pub async fn commit(
        &self,
        name: &str,
        key: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), CallError> {
        let request = pb::CommitSnapshotRequest {
            snapshotter: self.snapshotter.clone(),
            name: name.to_owned(),
            key: key.to_owned(),
            labels: labels.clone().into_iter().collect(),
            parent: String::new(),
        };
        let mut grpc = self.grpc.clone();
        let call = grpc.commit(request);
        within(self.deadlines.metadata, "commit snapshot", name, call).await.map(drop)
    }

    /// Removes a snapshot.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none; [`ErrorKind::FailedPrecondition`] where it has children.
    pub async fn remove(&self, key: &str) -> Result<(), CallError> {
        let request =
            pb::RemoveSnapshotRequest { snapshotter: self.snapshotter.clone(), key: key.to_owned() };
        let mut grpc = self.grpc.clone();
        let call = grpc.remove(request);
        within(self.deadlines.metadata, "remove snapshot", key, call).await.map(drop)
    }

    /// What is known of a snapshot.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none.
    pub async fn stat(&self, key: &str) -> Result<SnapshotInfo, CallError> {
        const OPERATION: &str = "stat snapshot";
        let request = pb::StatSnapshotRequest { snapshotter: self.snapshotter.clone(), key: key.to_owned() };
        let mut grpc = self.grpc.clone();
        let call = grpc.stat(request);
        let answer = within(self.deadlines.metadata, OPERATION, key, call).await?;
        answer
            .info
            .and_then(snapshot_info)
            .ok_or_else(|| CallError::local(OPERATION, key, ErrorKind::Other, "the answer has no info"))
    }

    /// Every snapshot, in the order of names.
    ///
    /// # Errors
    /// The call's own; [`ErrorKind::Other`] for a snapshotter that containerd does not have.
    pub async fn list(&self) -> Result<Vec<SnapshotInfo>, CallError> {
        const OPERATION: &str = "list snapshots";
        let request = pb::ListSnapshotsRequest { snapshotter: self.snapshotter.clone(), filters: Vec::new() };
        let mut grpc = self.grpc.clone();
        let call = grpc.list(request);
        let mut stream = within(self.deadlines.metadata, OPERATION, &self.snapshotter, call).await?;
        let mut found = Vec::new();
        while let Some(message) = next(OPERATION, &self.snapshotter, &mut stream).await? {
            found.extend(message.info.into_iter().filter_map(snapshot_info));
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Disk use of one snapshot. For an active one the snapshotter walks its directory.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none.
    pub async fn usage(&self, key: &str) -> Result<SnapshotUsage, CallError> {
        let request = pb::UsageRequest { snapshotter: self.snapshotter.clone(), key: key.to_owned() };
        let mut grpc = self.grpc.clone();
        let call = grpc.usage(request);
        let answer = within(self.deadlines.metadata, "measure snapshot", key, call).await?;
        Ok(SnapshotUsage {
            bytes: u64::try_from(answer.size).unwrap_or(0),
            inodes: u64::try_from(answer.inodes).unwrap_or(0),
        })
    }
}

fn snapshot_info(info: pb::Info) -> Option<SnapshotInfo> {
    let kind = match info.kind() {
        pb::Kind::View => SnapshotKind::View,
        pb::Kind::Active => SnapshotKind::Active,
        pb::Kind::Committed => SnapshotKind::Committed,
        pb::Kind::Unknown => return None,
    };
    Some(SnapshotInfo {
        name: info.name,
        parent: info.parent,
        kind,
        labels: info.labels.into_iter().collect(),
    })
}
