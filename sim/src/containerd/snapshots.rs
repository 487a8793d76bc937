//! The snapshots service over one or more snapshotters.
//!
//! Owns keys, parents and children; what the snapshots contain is a [`Tree`] in memory or a directory, as
//! [`Options::directory`](super::Options::directory) says. Semantics of core/metadata/snapshot.go and
//! core/snapshots/storage, mounts of plugins/snapshots/overlay, v2.3.4.

use std::collections::BTreeMap;
use std::time::SystemTime;

use containerd_client::events::{SnapshotCommit, SnapshotPrepare, SnapshotRemove};
use containerd_client::types::Mount;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use super::context::Context;
use super::directory;
use super::events::publish;
use super::failure;
use super::filter::{Filters, label};
use super::labels::{self, Labels};
use super::mounts;
use super::shared::Shared;
use super::state::{Kind, SnapshotRecord, State};
use crate::stub::snapshots as api;
use crate::stub::snapshots::snapshots_server::Snapshots;

/// Names the committed snapshot that a prepared one is meant to become.
const REFERENCE_LABEL: &str = "containerd.io/snapshot.ref";

/// Infos in one message of a listing.
const LIST_BATCH: usize = 100;

#[derive(Clone, Debug)]
pub(crate) struct SnapshotsService(pub(crate) Shared);

#[tonic::async_trait]
impl Snapshots for SnapshotsService {
    async fn prepare(
        &self,
        request: Request<api::PrepareSnapshotRequest>,
    ) -> Result<Response<api::PrepareSnapshotResponse>, Status> {
        let headers = request.metadata().clone();
        let api::PrepareSnapshotRequest { snapshotter, key, parent, labels } = request.into_inner();
        self.check_snapshotter(&snapshotter)?;
        let context = Context::read(&headers)?;
        let new = New { snapshotter, key, parent, labels: labels::stored(labels), kind: Kind::Active };
        let mounts = self.create(&context, &new)?;
        let event = SnapshotPrepare { key: new.key, parent: new.parent, snapshotter: new.snapshotter };
        let now = self.0.now();
        publish(&mut self.0.lock(), now, &context.namespace, "/snapshot/prepare", &event);
        Ok(Response::new(api::PrepareSnapshotResponse { mounts }))
    }

    async fn view(
        &self,
        request: Request<api::ViewSnapshotRequest>,
    ) -> Result<Response<api::ViewSnapshotResponse>, Status> {
        let headers = request.metadata().clone();
        let api::ViewSnapshotRequest { snapshotter, key, parent, labels } = request.into_inner();
        self.check_snapshotter(&snapshotter)?;
        let context = Context::read(&headers)?;
        let new = New { snapshotter, key, parent, labels: labels::stored(labels), kind: Kind::View };
        let mounts = self.create(&context, &new)?;
        Ok(Response::new(api::ViewSnapshotResponse { mounts }))
    }

    async fn mounts(
        &self,
        request: Request<api::MountsRequest>,
    ) -> Result<Response<api::MountsResponse>, Status> {
        let headers = request.metadata().clone();
        let api::MountsRequest { snapshotter, key } = request.into_inner();
        self.check_snapshotter(&snapshotter)?;
        let context = Context::read(&headers)?;
        let state = self.0.lock();
        let records = records(&state, &context, &snapshotter).ok_or_else(|| missing(&key))?;
        let record = records.get(&key).ok_or_else(|| missing(&key))?;
        if record.kind == Kind::Committed {
            return Err(failure::failed_precondition(format!(
                "failed to get active mount: requested snapshot {key} not active or view"
            )));
        }
        let mounts = mounts::of(&self.root(&snapshotter), records, record);
        Ok(Response::new(api::MountsResponse { mounts }))
    }

    async fn commit(&self, request: Request<api::CommitSnapshotRequest>) -> Result<Response<()>, Status> {
        let headers = request.metadata().clone();
        let request = request.into_inner();
        self.check_snapshotter(&request.snapshotter)?;
        let context = Context::read(&headers)?;
        self.commit_active(&context, request)?;
        Ok(Response::new(()))
    }

    async fn remove(&self, request: Request<api::RemoveSnapshotRequest>) -> Result<Response<()>, Status> {
        let headers = request.metadata().clone();
        let api::RemoveSnapshotRequest { snapshotter, key } = request.into_inner();
        self.check_snapshotter(&snapshotter)?;
        let context = Context::read(&headers)?;
        let now = self.0.now();
        let mut guard = self.0.lock();
        let state = &mut *guard;
        let records = records_mut(state, &context, &snapshotter);
        let record = records.get(&key).ok_or_else(|| missing(&key))?;
        if !record.children.is_empty() {
            return Err(failure::failed_precondition("cannot remove snapshot with child"));
        }
        if let Some(parent) = record.parent.clone() {
            records.get_mut(&parent).ok_or_else(|| missing_parent(&parent))?.children.remove(&key);
        }
        if let Some(record) = records.remove(&key) {
            state.abandoned_directories.insert(record.id);
        }
        release(state, &context, &snapshotter, &key);
        state.deletions += 1;
        let event = SnapshotRemove { key, snapshotter };
        publish(state, now, &context.namespace, "/snapshot/remove", &event);
        Ok(Response::new(()))
    }

    async fn stat(
        &self,
        request: Request<api::StatSnapshotRequest>,
    ) -> Result<Response<api::StatSnapshotResponse>, Status> {
        let headers = request.metadata().clone();
        let api::StatSnapshotRequest { snapshotter, key } = request.into_inner();
        self.check_snapshotter(&snapshotter)?;
        let context = Context::read(&headers)?;
        let state = self.0.lock();
        let info = records(&state, &context, &snapshotter)
            .and_then(|records| records.get(&key))
            .map(|record| message(&key, record))
            .ok_or_else(|| missing(&key))?;
        Ok(Response::new(api::StatSnapshotResponse { info: Some(info) }))
    }

    async fn update(
        &self,
        request: Request<api::UpdateSnapshotRequest>,
    ) -> Result<Response<api::UpdateSnapshotResponse>, Status> {
        let headers = request.metadata().clone();
        let api::UpdateSnapshotRequest { snapshotter, info, update_mask } = request.into_inner();
        self.check_snapshotter(&snapshotter)?;
        let context = Context::read(&headers)?;
        let api::Info { name, labels, .. } = info.unwrap_or_default();
        if name.is_empty() {
            return Err(Status::invalid_argument("invalid argument"));
        }
        let incoming = labels::stored(labels);
        let paths = update_mask.map(|mask| mask.paths).unwrap_or_default();
        let now = self.0.now();
        let mut state = self.0.lock();
        let record =
            records_mut(&mut state, &context, &snapshotter).get_mut(&name).ok_or_else(|| missing(&name))?;
        let mut updated = record.labels.clone();
        if paths.is_empty() {
            updated.clone_from(&incoming);
        }
        for path in &paths {
            if !labels::update(path, &mut updated, &incoming) {
                return Err(failure::invalid_argument(format!(
                    "cannot update \"{path}\" field on snapshot \"{name}\""
                )));
            }
        }
        labels::validate(&updated)?;
        record.labels = updated;
        record.updated_at = now;
        let info = message(&name, record);
        Ok(Response::new(api::UpdateSnapshotResponse { info: Some(info) }))
    }

    type ListStream = BoxStream<'static, Result<api::ListSnapshotsResponse, Status>>;

    async fn list(
        &self,
        request: Request<api::ListSnapshotsRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let headers = request.metadata().clone();
        let api::ListSnapshotsRequest { snapshotter, filters } = request.into_inner();
        self.check_snapshotter(&snapshotter)?;
        // containerd returns these two without a class here (plugins/services/snapshots/service.go, v2.3.4).
        let classless = |status: Status| Status::unknown(status.message());
        let context = Context::read(&headers).map_err(classless)?;
        let filters = Filters::parse(&filters).map_err(classless)?;
        let state = self.0.lock();
        let infos: Vec<_> = records(&state, &context, &snapshotter)
            .into_iter()
            .flatten()
            .filter(|(name, record)| filters.matches(|path| field(name, record, path)))
            .map(|(name, record)| message(name, record))
            .collect();
        let batches: Vec<_> = infos
            .chunks(LIST_BATCH)
            .map(|batch| Ok(api::ListSnapshotsResponse { info: batch.to_vec() }))
            .collect();
        Ok(Response::new(stream::iter(batches).boxed()))
    }

    async fn usage(
        &self,
        request: Request<api::UsageRequest>,
    ) -> Result<Response<api::UsageResponse>, Status> {
        let headers = request.metadata().clone();
        let api::UsageRequest { snapshotter, key } = request.into_inner();
        self.check_snapshotter(&snapshotter)?;
        let context = Context::read(&headers)?;
        let state = self.0.lock();
        let record = records(&state, &context, &snapshotter)
            .and_then(|records| records.get(&key))
            .ok_or_else(|| missing(&key))?;
        let (size, inodes) = match record.kind {
            Kind::Committed => record.usage,
            Kind::Active => self.measure(&snapshotter, record)?,
            Kind::View => (0, 0),
        };
        Ok(Response::new(api::UsageResponse { size, inodes }))
    }

    async fn cleanup(&self, request: Request<api::CleanupRequest>) -> Result<Response<()>, Status> {
        let snapshotter = request.into_inner().snapshotter;
        self.check_snapshotter(&snapshotter)?;
        directory::sweep(&self.0);
        Ok(Response::new(()))
    }
}

/// A snapshot to make.
struct New {
    snapshotter: String,
    key: String,
    parent: String,
    labels: Labels,
    kind: Kind,
}

impl SnapshotsService {
    fn check_snapshotter(&self, name: &str) -> Result<(), Status> {
        if name.is_empty() {
            return Err(failure::invalid_argument("snapshotter argument missing"));
        }
        if !self.0.options().snapshotters.iter().any(|known| known == name) {
            return Err(failure::invalid_argument(format!("snapshotter not loaded: {name}")));
        }
        Ok(())
    }

    fn root(&self, snapshotter: &str) -> String {
        self.0.options().snapshotter_root(snapshotter)
    }

    /// # Errors
    /// Already exists when the key does, or the snapshot that the reference label names: the caller's lease then
    /// holds that one, in versions that do so.
    fn create(&self, context: &Context, new: &New) -> Result<Vec<Mount>, Status> {
        labels::validate(&new.labels)?;
        let now = self.0.now();
        let mut guard = self.0.lock();
        let state = &mut *guard;
        state.namespace_mut(context).check_lease(context)?;
        let records = records_mut(state, context, &new.snapshotter);
        let target = new.labels.get(REFERENCE_LABEL).filter(|target| records.contains_key(*target)).cloned();
        if let Some(target) = target {
            self.hold_found(state, context, &new.snapshotter, &target)?;
            return Err(failure::already_exists(format!("target snapshot \"{target}\"")));
        }
        if records.contains_key(&new.key) {
            self.hold_found(state, context, &new.snapshotter, &new.key)?;
            return Err(failure::already_exists(format!("snapshot \"{}\"", new.key)));
        }
        let parent = (!new.parent.is_empty()).then(|| new.parent.clone());
        if let Some(parent) = &parent {
            let record = records.get_mut(parent).ok_or_else(|| missing_parent(parent))?;
            if record.kind != Kind::Committed {
                let what =
                    format!("failed to create snapshot: parent \"{parent}\" is not committed snapshot");
                return Err(failure::invalid_argument(what));
            }
            record.children.insert(new.key.clone());
        }
        let id = state.next_sequence();
        let record = SnapshotRecord {
            id,
            kind: new.kind,
            parent,
            labels: new.labels.clone(),
            created_at: now,
            updated_at: now,
            children: Default::default(),
            upper: Default::default(),
            usage: (0, 0),
        };
        directory::create(&self.0, &new.snapshotter, id, new.kind)
            .map_err(|error| Status::unknown(format!("failed to create prepare snapshot dir: {error}")))?;
        hold(state, context, &new.snapshotter, &new.key)?;
        let records = records_mut(state, context, &new.snapshotter);
        let mounts = mounts::of(&self.root(&new.snapshotter), records, &record);
        records.insert(new.key.clone(), record);
        Ok(mounts)
    }

    fn commit_active(&self, context: &Context, request: api::CommitSnapshotRequest) -> Result<(), Status> {
        let api::CommitSnapshotRequest { snapshotter, name, key, labels, parent: onto } = request;
        let labels = labels::stored(labels);
        labels::validate(&labels)?;
        let now = self.0.now();
        let mut guard = self.0.lock();
        let state = &mut *guard;
        let namespace = state.namespace_mut(context);
        if !namespace.snapshots.contains_key(&snapshotter) {
            return Err(failure::not_found(format!("can not find snapshotter \"{snapshotter}\"")));
        }
        namespace.check_lease(context)?;
        let records = records_mut(state, context, &snapshotter);
        if records.contains_key(&name) {
            self.hold_found(state, context, &snapshotter, &name)?;
            return Err(failure::already_exists(format!("snapshot \"{name}\"")));
        }
        let active = records.get(&key).ok_or_else(|| missing(&key))?;
        let rebase = (self.0.options().version.commits_onto_parent() && !onto.is_empty()).then_some(onto);
        let parent = active.parent.clone().or(rebase);
        if active.kind != Kind::Active {
            return Err(failure::failed_precondition(format!(
                "failed to commit snapshot {key}: snapshot \"{key}\" is not active"
            )));
        }
        let usage = self.measure(&snapshotter, active)?;
        if let Some(parent) = &parent {
            let record = records.get_mut(parent).ok_or_else(|| missing_parent(parent))?;
            if record.kind != Kind::Committed {
                let what = format!("failed to commit snapshot {key}: parent \"{parent}\" is not committed");
                return Err(failure::failed_precondition(what));
            }
            record.children.remove(&key);
            record.children.insert(name.clone());
        }
        let Some(active) = records.remove(&key) else { return Err(missing(&key)) };
        let committed = SnapshotRecord {
            kind: Kind::Committed,
            parent,
            labels,
            created_at: now,
            updated_at: now,
            children: Default::default(),
            usage,
            ..active
        };
        records.insert(name.clone(), committed);
        hold(state, context, &snapshotter, &name)?;
        release(state, context, &snapshotter, &key);
        let event = SnapshotCommit { key, name, snapshotter };
        publish(state, now, &context.namespace, "/snapshot/commit", &event);
        Ok(())
    }

    fn hold_found(
        &self,
        state: &mut State,
        context: &Context,
        snapshotter: &str,
        key: &str,
    ) -> Result<(), Status> {
        if !self.0.options().version.leases_found_snapshots() {
            return Ok(());
        }
        hold(state, context, snapshotter, key)
    }

    fn measure(&self, snapshotter: &str, record: &SnapshotRecord) -> Result<(i64, i64), Status> {
        directory::usage(&self.0, snapshotter, record.id)
            .map_err(|error| Status::unknown(format!("failed to measure snapshot {}: {error}", record.id)))
            .map(|measured| measured.unwrap_or_else(|| record.upper.usage()))
    }
}

pub(crate) type Records = BTreeMap<String, SnapshotRecord>;

fn records<'a>(state: &'a State, context: &Context, snapshotter: &str) -> Option<&'a Records> {
    state.namespace(context)?.snapshots.get(snapshotter)
}

fn records_mut<'a>(state: &'a mut State, context: &Context, snapshotter: &str) -> &'a mut Records {
    state.namespace_mut(context).snapshots.entry(snapshotter.to_owned()).or_default()
}

fn hold(state: &mut State, context: &Context, snapshotter: &str, key: &str) -> Result<(), Status> {
    if let Some(lease) = state.namespace_mut(context).lease_mut(context)? {
        lease.snapshots.insert((snapshotter.to_owned(), key.to_owned()));
    }
    Ok(())
}

fn release(state: &mut State, context: &Context, snapshotter: &str, key: &str) {
    let namespace = state.namespace_mut(context);
    if let Some(lease) = context.lease.as_ref().and_then(|id| namespace.leases.get_mut(id)) {
        lease.snapshots.remove(&(snapshotter.to_owned(), key.to_owned()));
    }
}

fn field(name: &str, record: &SnapshotRecord, path: &[&str]) -> Option<String> {
    match path {
        ["kind"] => Some(
            match record.kind {
                Kind::Active => "active",
                Kind::View => "view",
                Kind::Committed => "committed",
            }
            .to_owned(),
        ),
        ["name"] => Some(name.to_owned()),
        ["parent"] => Some(record.parent.clone().unwrap_or_default()),
        ["labels", rest @ ..] => label(&record.labels, rest),
        _ => None,
    }
}

fn message(name: &str, record: &SnapshotRecord) -> api::Info {
    let kind = match record.kind {
        Kind::View => api::Kind::View,
        Kind::Active => api::Kind::Active,
        Kind::Committed => api::Kind::Committed,
    };
    let timestamp = |at: SystemTime| Some(Timestamp::from(at));
    api::Info {
        name: name.to_owned(),
        parent: record.parent.clone().unwrap_or_default(),
        kind: kind.into(),
        created_at: timestamp(record.created_at),
        updated_at: timestamp(record.updated_at),
        labels: labels::message(&record.labels),
    }
}

fn missing(key: &str) -> Status {
    failure::not_found(format!("snapshot {key} does not exist"))
}

fn missing_parent(parent: &str) -> Status {
    failure::not_found(format!("parent snapshot {parent} does not exist"))
}
