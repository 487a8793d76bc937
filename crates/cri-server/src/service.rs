//! The CRI v1 `ImageService`: each call in a file of its own; what it means for images is decided below, in
//! `imagestore` and `puller`.

mod fs_info;
mod image;
mod list;
mod pull;
mod remove;
mod status;

use std::time::SystemTime;

use cri_api::v1 as pb;
use cri_api::v1::image_service_server::ImageService;
use futures::stream::BoxStream;
use imagestore::ImageStore;
use puller::Puller;
use tonic::{Request, Response, Status};

use crate::metrics::Metrics;

/// Serves the images of one store.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    store: ImageStore,
    puller: Puller,
    metrics: Metrics,
    now: fn() -> SystemTime,
}

impl Service {
    /// A service over `store`, pulling with `puller` and counting into `metrics`; `now` is the wall clock of
    /// `ImageFsInfo`'s timestamps.
    pub(crate) fn new(
        store: ImageStore,
        puller: Puller,
        metrics: Metrics,
        now: fn() -> SystemTime,
    ) -> Service {
        Service { store, puller, metrics, now }
    }
}

#[tonic::async_trait]
impl ImageService for Service {
    type StreamImagesStream = BoxStream<'static, Result<pb::StreamImagesResponse, Status>>;

    async fn list_images(
        &self,
        request: Request<pb::ListImagesRequest>,
    ) -> Result<Response<pb::ListImagesResponse>, Status> {
        let images = self.list(request.into_inner().filter).await?;
        Ok(Response::new(pb::ListImagesResponse { images }))
    }

    async fn stream_images(
        &self,
        request: Request<pb::StreamImagesRequest>,
    ) -> Result<Response<Self::StreamImagesStream>, Status> {
        let images = self.list(request.into_inner().filter).await?;
        Ok(Response::new(list::in_batches(images)))
    }

    async fn image_status(
        &self,
        request: Request<pb::ImageStatusRequest>,
    ) -> Result<Response<pb::ImageStatusResponse>, Status> {
        self.status(request.into_inner()).await.map(Response::new)
    }

    async fn pull_image(
        &self,
        request: Request<pb::PullImageRequest>,
    ) -> Result<Response<pb::PullImageResponse>, Status> {
        self.pull(request.into_inner()).await.map(Response::new)
    }

    async fn remove_image(
        &self,
        request: Request<pb::RemoveImageRequest>,
    ) -> Result<Response<pb::RemoveImageResponse>, Status> {
        self.remove(request.into_inner()).await.map(Response::new)
    }

    async fn image_fs_info(
        &self,
        _request: Request<pb::ImageFsInfoRequest>,
    ) -> Result<Response<pb::ImageFsInfoResponse>, Status> {
        self.fs_info().await.map(Response::new)
    }
}
