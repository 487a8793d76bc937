//! The diff service: applies a layer blob to the snapshot that the given mounts reach.
//!
//! Only mounts of this fake's own snapshotters are understood. Comparing two trees is not offered.

use containerd_client::services::v1 as api;
use containerd_client::types::Descriptor;
use tonic::{Request, Response, Status};

use super::apply::{self, Encoding};
use super::caller::Caller;
use super::context::Context;
use super::directory;
use super::failure;
use super::mounts;
use super::point::Point;
use super::shared::Shared;
use super::state::Kind;
use super::tree::Tree;
use crate::stub::diff::diff_server::Diff;

#[derive(Clone, Debug)]
pub(crate) struct DiffService(pub(crate) Shared);

#[tonic::async_trait]
impl Diff for DiffService {
    async fn apply(
        &self,
        request: Request<api::ApplyRequest>,
    ) -> Result<Response<api::ApplyResponse>, Status> {
        let context = Context::read(request.metadata())?;
        let client = Caller::name(&request);
        let request = request.into_inner();
        let diff = request.diff.unwrap_or_default();
        let blob = self.0.lock().blob(&context.namespace, &diff.digest).ok_or_else(|| {
            failure::not_found(format!(
                "failed to get reader from content store: content digest {}",
                diff.digest
            ))
        })?;
        let encoding = Encoding::of(&diff.media_type).ok_or_else(|| {
            Status::unknown(format!(
                "failed to get stream processor for {}: no processor for media-type",
                diff.media_type
            ))
        })?;
        let destination = self.find(&request.mounts).ok_or_else(|| {
            Status::unknown(format!("failed to mount {:?}: not mounts of an active snapshot", request.mounts))
        })?;
        self.0.pause(Point::BeforeLayer { client, digest: diff.digest.clone() }).await;
        let mut upper = self.upper(&destination)?;
        let lower = destination.has_lower.then(|| self.lower(&destination)).transpose()?;
        let applied = apply::apply(&blob, encoding, &mut upper, lower.as_ref())
            .map_err(|error| Status::unknown(format!("failed to apply {}: {error}", diff.digest)))?;
        directory::store(&self.0, &destination.snapshotter, destination.id, &upper)
            .map_err(|error| Status::unknown(format!("failed to write {}: {error}", destination.id)))?;
        self.set_upper(&destination, upper);
        let applied = Descriptor {
            media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
            digest: applied.digest,
            size: applied.size,
            annotations: Default::default(),
        };
        Ok(Response::new(api::ApplyResponse { applied: Some(applied) }))
    }

    async fn diff(&self, _: Request<api::DiffRequest>) -> Result<Response<api::DiffResponse>, Status> {
        Err(Status::unimplemented("the simulated containerd computes no diffs"))
    }
}

/// The snapshot whose upper directory the mounts write to. The differ is not bound to the caller's namespace.
struct Destination {
    namespace: String,
    snapshotter: String,
    key: String,
    id: u64,
    has_lower: bool,
}

impl DiffService {
    fn find(&self, wanted: &[containerd_client::types::Mount]) -> Option<Destination> {
        let state = self.0.lock();
        let options = self.0.options();
        for snapshotter in &options.snapshotters {
            let Some((id, has_lower)) = mounts::written(&options.snapshotter_root(snapshotter), wanted)
            else {
                continue;
            };
            for (namespace, records) in &state.namespaces {
                let Some(records) = records.snapshots.get(snapshotter) else { continue };
                if let Some((key, _)) =
                    records.iter().find(|(_, record)| record.id == id && record.kind == Kind::Active)
                {
                    let (namespace, snapshotter) = (namespace.clone(), snapshotter.clone());
                    return Some(Destination { namespace, snapshotter, key: key.clone(), id, has_lower });
                }
            }
        }
        None
    }

    fn upper(&self, destination: &Destination) -> Result<Tree, Status> {
        let kept = directory::load(&self.0, &destination.snapshotter, destination.id)
            .map_err(|error| Status::unknown(format!("failed to read snapshot: {error}")))?;
        Ok(kept.unwrap_or_else(|| {
            let state = self.0.lock();
            state
                .namespaces
                .get(&destination.namespace)
                .and_then(|namespace| {
                    namespace.snapshots.get(&destination.snapshotter)?.get(&destination.key)
                })
                .map(|record| record.upper.clone())
                .unwrap_or_default()
        }))
    }

    fn lower(&self, destination: &Destination) -> Result<Tree, Status> {
        view(&self.0, &destination.namespace, &destination.snapshotter, &destination.key, false)
            .map_err(|error| Status::unknown(format!("failed to read parents: {error}")))
            .map(Option::unwrap_or_default)
    }

    fn set_upper(&self, destination: &Destination, upper: Tree) {
        let mut state = self.0.lock();
        if let Some(record) = state.namespaces.get_mut(&destination.namespace).and_then(|namespace| {
            namespace.snapshots.get_mut(&destination.snapshotter)?.get_mut(&destination.key)
        }) {
            record.upper = upper;
        }
    }
}

/// The tree that a mount of the snapshot shows, or with `own` false, that of its parents alone.
pub(crate) fn view(
    shared: &Shared,
    namespace: &str,
    snapshotter: &str,
    key: &str,
    own: bool,
) -> std::io::Result<Option<Tree>> {
    let layers: Vec<(u64, Tree)> = {
        let state = shared.lock();
        let Some(records) =
            state.namespaces.get(namespace).and_then(|namespace| namespace.snapshots.get(snapshotter))
        else {
            return Ok(None);
        };
        let Some(record) = records.get(key) else { return Ok(None) };
        let parents = mounts::parents(records, record);
        let own = own.then_some(record);
        own.into_iter().chain(parents).map(|record| (record.id, record.upper.clone())).collect()
    };
    let mut seen = Tree::default();
    for (id, kept) in layers.into_iter().rev() {
        let upper = directory::load(shared, snapshotter, id)?.unwrap_or(kept);
        seen = seen.with_upper(&upper);
    }
    Ok(Some(seen))
}
