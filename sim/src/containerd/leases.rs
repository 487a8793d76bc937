//! The leases service.
//!
//! Owns leases and what they hold by hand; what a request's `containerd-lease` header adds is done by the service
//! that creates the thing.

use containerd_client::services::v1 as api;
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use super::context::Context;
use super::failure;
use super::filter::{Filters, label};
use super::gc;
use super::labels;
use super::point::Point;
use super::shared::Shared;
use super::state::LeaseRecord;
use crate::digest;
use crate::stub::leases::leases_server::Leases;

#[derive(Clone, Debug)]
pub(crate) struct LeasesService(pub(crate) Shared);

#[tonic::async_trait]
impl Leases for LeasesService {
    async fn create(
        &self,
        request: Request<api::CreateRequest>,
    ) -> Result<Response<api::CreateResponse>, Status> {
        let context = Context::read(request.metadata())?;
        let api::CreateRequest { id, labels } = request.into_inner();
        let now = self.0.now();
        let mut state = self.0.lock();
        let id = if id.is_empty() { format!("lease-{}", state.next_sequence()) } else { id };
        let leases = &mut state.namespace_mut(&context).leases;
        if leases.contains_key(&id) {
            return Err(failure::already_exists(format!("lease \"{id}\"")));
        }
        let record = LeaseRecord {
            labels: labels::stored(labels),
            created_at: now,
            content: Default::default(),
            images: Default::default(),
            ingests: Default::default(),
            snapshots: Default::default(),
        };
        let lease = message(&id, &record);
        leases.insert(id, record);
        Ok(Response::new(api::CreateResponse { lease: Some(lease) }))
    }

    async fn delete(&self, request: Request<api::DeleteRequest>) -> Result<Response<()>, Status> {
        let context = Context::read(request.metadata())?;
        let api::DeleteRequest { id, sync } = request.into_inner();
        {
            let mut state = self.0.lock();
            state
                .namespaces
                .get_mut(&context.namespace)
                .and_then(|namespace| namespace.leases.remove(&id))
                .ok_or_else(|| missing(&id))?;
            state.mutations += 1;
            state.deletions += 1;
        }
        if sync {
            self.0.finish(Point::BeforeCollect, gc::collect).await;
        }
        Ok(Response::new(()))
    }

    async fn list(&self, request: Request<api::ListRequest>) -> Result<Response<api::ListResponse>, Status> {
        let context = Context::read(request.metadata())?;
        let filters = Filters::parse(&request.into_inner().filters)?;
        let state = self.0.lock();
        let leases = state
            .namespace(&context)
            .into_iter()
            .flat_map(|namespace| &namespace.leases)
            .filter(|(id, record)| {
                filters.matches(|path| match path {
                    ["id"] => Some((*id).clone()),
                    ["labels", rest @ ..] => label(&record.labels, rest),
                    _ => None,
                })
            })
            .map(|(id, record)| message(id, record))
            .collect();
        Ok(Response::new(api::ListResponse { leases }))
    }

    async fn add_resource(&self, request: Request<api::AddResourceRequest>) -> Result<Response<()>, Status> {
        let context = Context::read(request.metadata())?;
        let api::AddResourceRequest { id, resource } = request.into_inner();
        let mut state = self.0.lock();
        let lease = lease(state.namespace_mut(&context), &id)?;
        match Held::parse(resource.unwrap_or_default())? {
            Held::Content(digest) => lease.content.insert(digest),
            Held::Image(name) => lease.images.insert(name),
            Held::Ingest(reference) => lease.ingests.insert(reference),
            Held::Snapshot(snapshotter, key) => lease.snapshots.insert((snapshotter, key)),
        };
        Ok(Response::new(()))
    }

    async fn delete_resource(
        &self,
        request: Request<api::DeleteResourceRequest>,
    ) -> Result<Response<()>, Status> {
        let context = Context::read(request.metadata())?;
        let api::DeleteResourceRequest { id, resource } = request.into_inner();
        let mut state = self.0.lock();
        let lease = lease(state.namespace_mut(&context), &id)?;
        match Held::parse(resource.unwrap_or_default())? {
            Held::Content(digest) => lease.content.remove(&digest),
            Held::Image(name) => lease.images.remove(&name),
            Held::Ingest(reference) => lease.ingests.remove(&reference),
            Held::Snapshot(snapshotter, key) => lease.snapshots.remove(&(snapshotter, key)),
        };
        state.deletions += 1;
        Ok(Response::new(()))
    }

    async fn list_resources(
        &self,
        request: Request<api::ListResourcesRequest>,
    ) -> Result<Response<api::ListResourcesResponse>, Status> {
        let context = Context::read(request.metadata())?;
        let id = request.into_inner().id;
        let state = self.0.lock();
        let lease = state
            .namespace(&context)
            .and_then(|namespace| namespace.leases.get(&id))
            .ok_or_else(|| missing(&id))?;
        let plain = |ids: &std::collections::BTreeSet<String>, kind: &str| {
            ids.iter().map(|id| api::Resource { id: id.clone(), r#type: kind.to_owned() }).collect::<Vec<_>>()
        };
        let mut resources = plain(&lease.content, "content");
        resources.extend(plain(&lease.images, "images"));
        resources.extend(plain(&lease.ingests, "ingests"));
        resources.extend(lease.snapshots.iter().map(|(snapshotter, key)| api::Resource {
            id: key.clone(),
            r#type: format!("snapshots/{snapshotter}"),
        }));
        Ok(Response::new(api::ListResourcesResponse { resources }))
    }
}

/// What a lease can hold.
enum Held {
    Content(String),
    Image(String),
    Ingest(String),
    Snapshot(String, String),
}

impl Held {
    fn parse(api::Resource { id, r#type: kind }: api::Resource) -> Result<Held, Status> {
        let mut parts = kind.split('/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("content"), None, _) if digest::is_valid(&id) => Ok(Held::Content(id)),
            (Some("content"), None, _) => {
                Err(failure::invalid_argument(format!("invalid content resource id {id}")))
            }
            (Some("images"), None, _) => Ok(Held::Image(id)),
            (Some("ingests"), None, _) => Ok(Held::Ingest(id)),
            (Some("snapshots"), Some(snapshotter), None) => Ok(Held::Snapshot(snapshotter.to_owned(), id)),
            (Some("content" | "images" | "ingests" | "snapshots"), ..) => {
                Err(failure::invalid_argument(format!("invalid resource type {kind}")))
            }
            _ => Err(Status::unimplemented(format!("resource type {kind} not supported yet"))),
        }
    }
}

fn lease<'a>(namespace: &'a mut super::state::Namespace, id: &str) -> Result<&'a mut LeaseRecord, Status> {
    namespace.leases.get_mut(id).ok_or_else(|| missing(id))
}

fn message(id: &str, record: &LeaseRecord) -> api::Lease {
    api::Lease {
        id: id.to_owned(),
        created_at: Some(Timestamp::from(record.created_at)),
        labels: labels::message(&record.labels),
    }
}

fn missing(id: &str) -> Status {
    failure::not_found(format!("lease \"{id}\""))
}
