//! CRI v1 `ImageService` over the plugin's cache. It pulls nothing: the fake has no network.

use std::collections::{BTreeMap, HashMap};

use k8s_cri::v1 as api;
use k8s_cri::v1::image_service_server::ImageService;
use serde_json::json;
use tonic::{Request, Response, Status};

use super::super::context::Context;
use super::super::gc;
use super::super::images;
use super::super::point::Point;
use super::super::shared::Shared;
use super::cache::Cache;
use super::document::Image;
use super::{NAMESPACE, reference, refresh};

#[derive(Clone, Debug)]
pub(crate) struct CriService {
    shared: Shared,
    cache: Cache,
}

impl CriService {
    pub(crate) fn new(shared: Shared, cache: Cache) -> CriService {
        CriService { shared, cache }
    }
}

#[tonic::async_trait]
impl ImageService for CriService {
    /// The filter is ignored, as containerd ignores it.
    async fn list_images(
        &self,
        _: Request<api::ListImagesRequest>,
    ) -> Result<Response<api::ListImagesResponse>, Status> {
        let images = self.cache.list().iter().map(message).collect();
        Ok(Response::new(api::ListImagesResponse { images }))
    }

    async fn image_status(
        &self,
        request: Request<api::ImageStatusRequest>,
    ) -> Result<Response<api::ImageStatusResponse>, Status> {
        let api::ImageStatusRequest { image, verbose } = request.into_inner();
        let Some(found) = self.cache.resolve(&image.unwrap_or_default().image)? else {
            return Ok(Response::new(api::ImageStatusResponse::default()));
        };
        let mut info = HashMap::new();
        if verbose {
            let text = json!({ "chainID": found.chain_id, "imageSpec": found.spec }).to_string();
            info.insert("info".to_owned(), text);
        }
        Ok(Response::new(api::ImageStatusResponse { image: Some(message(&found)), info }))
    }

    async fn pull_image(
        &self,
        _: Request<api::PullImageRequest>,
    ) -> Result<Response<api::PullImageResponse>, Status> {
        Err(Status::unimplemented("the simulated containerd pulls no images"))
    }

    async fn remove_image(
        &self,
        request: Request<api::RemoveImageRequest>,
    ) -> Result<Response<api::RemoveImageResponse>, Status> {
        let name = request.into_inner().image.unwrap_or_default().image;
        let Some(image) = self.cache.resolve(&name)? else {
            return Ok(Response::new(api::RemoveImageResponse {}));
        };
        // Tags, then digests, then the id, as docker sorts references; the last delete collects.
        let mut names: Vec<&String> = image.references.iter().collect();
        names.sort_by_key(|name| (reference::is_id(name), reference::is_digested(name)));
        let context = Context { namespace: NAMESPACE.to_owned(), lease: None };
        for (index, name) in names.iter().enumerate() {
            delete(&self.shared, &context, name)?;
            if index + 1 == names.len() {
                self.shared.finish(Point::BeforeCollect, gc::collect).await;
            }
            refresh(&self.shared, &self.cache, name)?;
        }
        Ok(Response::new(api::RemoveImageResponse {}))
    }

    async fn image_fs_info(
        &self,
        _: Request<api::ImageFsInfoRequest>,
    ) -> Result<Response<api::ImageFsInfoResponse>, Status> {
        let options = self.shared.options();
        let state = self.shared.lock();
        let mut usages: BTreeMap<&String, (u64, u64)> =
            options.snapshotters.iter().map(|name| (name, (0, 0))).collect();
        let snapshots =
            state.namespaces.get(NAMESPACE).into_iter().flat_map(|namespace| &namespace.snapshots);
        for (snapshotter, records) in snapshots {
            let Some(usage) = usages.get_mut(snapshotter) else { continue };
            for record in records.values() {
                usage.0 += u64::try_from(record.usage.0).unwrap_or(0);
                usage.1 += u64::try_from(record.usage.1).unwrap_or(0);
            }
        }
        let since_epoch = self.shared.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let timestamp = i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX);
        let image_filesystems = usages
            .into_iter()
            .map(|(snapshotter, (bytes, inodes))| api::FilesystemUsage {
                timestamp,
                fs_id: Some(api::FilesystemIdentifier { mountpoint: options.snapshotter_root(snapshotter) }),
                used_bytes: Some(api::UInt64Value { value: bytes }),
                inodes_used: Some(api::UInt64Value { value: inodes }),
            })
            .collect();
        Ok(Response::new(api::ImageFsInfoResponse { image_filesystems, container_filesystems: Vec::new() }))
    }
}

/// Deletes a record, if it is there.
fn delete(shared: &Shared, context: &Context, name: &str) -> Result<(), Status> {
    let now = shared.now();
    let mut state = shared.lock();
    match images::delete(&mut state, context, name, None) {
        Ok(event) => images::announce(&mut state, now, context, &event),
        Err(status) if status.code() == tonic::Code::NotFound => {}
        Err(status) => return Err(status),
    }
    Ok(())
}

fn message(image: &Image) -> api::Image {
    let (ids, names): (Vec<&String>, Vec<&String>) =
        image.references.iter().partition(|name| reference::is_id(name));
    drop(ids);
    let (digests, tags): (Vec<&String>, Vec<&String>) =
        names.into_iter().partition(|name| reference::is_digested(name));
    let user = image.user.split(':').next().unwrap_or_default();
    let uid = user.parse::<i64>().ok();
    api::Image {
        id: image.id.clone(),
        repo_tags: tags.into_iter().cloned().collect(),
        repo_digests: digests.into_iter().cloned().collect(),
        size: image.size,
        uid: uid.map(|value| api::Int64Value { value }),
        username: if uid.is_some() { String::new() } else { user.to_owned() },
        spec: None,
        pinned: !image.pinned_by.is_empty(),
    }
}
