//! The introspection, version and namespaces services.

use std::collections::HashMap;

use containerd_client::events::{NamespaceCreate, NamespaceDelete, NamespaceUpdate};
use containerd_client::services::v1 as api;
use tonic::{Request, Response, Status};

use super::context::validate_identifier;
use super::events::publish;
use super::failure;
use super::filter::Filters;
use super::labels::{self, Labels};
use super::shared::Shared;
use super::state::Namespace;
use crate::stub::introspection::introspection_server::Introspection;
use crate::stub::namespaces::namespaces_server::Namespaces;
use crate::stub::version::version_server::Version;

const SNAPSHOTTER_TYPE: &str = "io.containerd.snapshotter.v1";

/// The same in every run: nothing may depend on it being new.
const SERVER_UUID: &str = "5b2f1c5e-0000-4000-8000-000000000001";

#[derive(Clone, Debug)]
pub(crate) struct IntrospectionService(pub(crate) Shared);

#[tonic::async_trait]
impl Introspection for IntrospectionService {
    async fn plugins(
        &self,
        request: Request<api::PluginsRequest>,
    ) -> Result<Response<api::PluginsResponse>, Status> {
        let filters = Filters::parse(&request.into_inner().filters)?;
        let plugins = self
            .all()
            .into_iter()
            .filter(|plugin| {
                filters.matches(|path| match path {
                    ["type"] => Some(plugin.r#type.clone()),
                    ["id"] => Some(plugin.id.clone()),
                    _ => None,
                })
            })
            .collect();
        Ok(Response::new(api::PluginsResponse { plugins }))
    }

    async fn server(&self, _: Request<()>) -> Result<Response<api::ServerResponse>, Status> {
        Ok(Response::new(api::ServerResponse {
            uuid: SERVER_UUID.to_owned(),
            pid: 1,
            pidns: 1,
            deprecations: Vec::new(),
        }))
    }

    async fn plugin_info(
        &self,
        request: Request<api::PluginInfoRequest>,
    ) -> Result<Response<api::PluginInfoResponse>, Status> {
        let api::PluginInfoRequest { r#type: kind, id, .. } = request.into_inner();
        let plugin = self
            .all()
            .into_iter()
            .find(|plugin| plugin.r#type == kind && plugin.id == id)
            .ok_or_else(|| failure::not_found(format!("plugin {kind}.{id} not found")))?;
        Ok(Response::new(api::PluginInfoResponse { plugin: Some(plugin), extra: None }))
    }
}

impl IntrospectionService {
    /// The plugins that a client of the image services looks for.
    fn all(&self) -> Vec<api::Plugin> {
        let options = self.0.options();
        let plugin = |kind: &str, id: &str| api::Plugin {
            r#type: kind.to_owned(),
            id: id.to_owned(),
            ..Default::default()
        };
        let mut plugins = vec![api::Plugin {
            exports: HashMap::from([("root".to_owned(), options.content_root())]),
            ..plugin("io.containerd.content.v1", "content")
        }];
        for snapshotter in &options.snapshotters {
            let rebase = options.version.has_rebase_capability().then(|| "rebase".to_owned());
            plugins.push(api::Plugin {
                exports: HashMap::from([("root".to_owned(), options.snapshotter_root(snapshotter))]),
                capabilities: rebase.into_iter().collect(),
                ..plugin(SNAPSHOTTER_TYPE, snapshotter)
            });
        }
        plugins.push(plugin("io.containerd.metadata.v1", "bolt"));
        plugins.push(plugin("io.containerd.gc.v1", "scheduler"));
        for service in [
            "content",
            "diff",
            "events",
            "images",
            "introspection",
            "leases",
            "namespaces",
            "snapshots",
            "version",
        ] {
            plugins.push(plugin("io.containerd.grpc.v1", service));
        }
        if options.cri {
            plugins.push(plugin("io.containerd.grpc.v1", "cri"));
        }
        plugins
    }
}

#[derive(Clone, Debug)]
pub(crate) struct VersionService(pub(crate) Shared);

#[tonic::async_trait]
impl Version for VersionService {
    async fn version(&self, _: Request<()>) -> Result<Response<api::VersionResponse>, Status> {
        let version = self.0.options().version.text().to_owned();
        Ok(Response::new(api::VersionResponse { version, revision: "simulated".to_owned() }))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct NamespacesService(pub(crate) Shared);

#[tonic::async_trait]
impl Namespaces for NamespacesService {
    async fn get(
        &self,
        request: Request<api::GetNamespaceRequest>,
    ) -> Result<Response<api::GetNamespaceResponse>, Status> {
        let name = request.into_inner().name;
        let state = self.0.lock();
        // As in containerd, asking for labels of an unknown namespace answers an empty one.
        let labels = state.namespaces.get(&name).map(|namespace| labels::message(&namespace.labels));
        let namespace = api::Namespace { name, labels: labels.unwrap_or_default() };
        Ok(Response::new(api::GetNamespaceResponse { namespace: Some(namespace) }))
    }

    async fn list(
        &self,
        _: Request<api::ListNamespacesRequest>,
    ) -> Result<Response<api::ListNamespacesResponse>, Status> {
        let state = self.0.lock();
        let namespaces = state
            .namespaces
            .iter()
            .map(|(name, namespace)| api::Namespace {
                name: name.clone(),
                labels: labels::message(&namespace.labels),
            })
            .collect();
        Ok(Response::new(api::ListNamespacesResponse { namespaces }))
    }

    async fn create(
        &self,
        request: Request<api::CreateNamespaceRequest>,
    ) -> Result<Response<api::CreateNamespaceResponse>, Status> {
        let namespace = request.into_inner().namespace.unwrap_or_default();
        validate_identifier(&namespace.name).map_err(failure::invalid_argument)?;
        let labels = labels::stored(namespace.labels.clone());
        labels::validate(&labels)?;
        let now = self.0.now();
        let mut state = self.0.lock();
        if state.namespaces.contains_key(&namespace.name) {
            return Err(failure::already_exists(format!("namespace \"{}\"", namespace.name)));
        }
        state.namespaces.insert(namespace.name.clone(), Namespace { labels, ..Default::default() });
        let event = NamespaceCreate { name: namespace.name.clone(), labels: namespace.labels.clone() };
        publish(&mut state, now, &namespace.name, "/namespaces/create", &event);
        Ok(Response::new(api::CreateNamespaceResponse { namespace: Some(namespace) }))
    }

    async fn update(
        &self,
        request: Request<api::UpdateNamespaceRequest>,
    ) -> Result<Response<api::UpdateNamespaceResponse>, Status> {
        let api::UpdateNamespaceRequest { namespace, update_mask } = request.into_inner();
        let namespace = namespace.unwrap_or_default();
        let incoming: Labels = labels::stored(namespace.labels.clone());
        let paths = update_mask.map(|mask| mask.paths).unwrap_or_default();
        let now = self.0.now();
        let mut state = self.0.lock();
        let current = state
            .namespaces
            .get_mut(&namespace.name)
            .ok_or_else(|| failure::not_found(format!("namespace \"{}\"", namespace.name)))?;
        let mut updated = current.labels.clone();
        if paths.is_empty() {
            updated.clone_from(&incoming);
        }
        for path in &paths {
            if !path.starts_with("labels.") || !labels::update(path, &mut updated, &incoming) {
                return Err(Status::invalid_argument(format!("cannot update \"{path}\" field")));
            }
        }
        labels::validate(&updated)?;
        current.labels = updated;
        let event = NamespaceUpdate { name: namespace.name.clone(), labels: namespace.labels.clone() };
        publish(&mut state, now, &namespace.name, "/namespaces/update", &event);
        Ok(Response::new(api::UpdateNamespaceResponse { namespace: Some(namespace) }))
    }

    async fn delete(&self, request: Request<api::DeleteNamespaceRequest>) -> Result<Response<()>, Status> {
        let name = request.into_inner().name;
        let now = self.0.now();
        let mut state = self.0.lock();
        let namespace =
            state.namespaces.get(&name).ok_or_else(|| failure::not_found(format!("namespace \"{name}\"")))?;
        let is_empty = namespace.images.is_empty()
            && namespace.content.is_empty()
            && namespace.ingests.is_empty()
            && namespace.leases.is_empty()
            && namespace.snapshots.values().all(|records| records.is_empty());
        if !is_empty {
            return Err(failure::failed_precondition(format!(
                "namespace \"{name}\" must be empty, but it still has objects"
            )));
        }
        state.namespaces.remove(&name);
        publish(&mut state, now, &name, "/namespaces/delete", &NamespaceDelete { name: name.clone() });
        Ok(Response::new(()))
    }
}
