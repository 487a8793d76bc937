//! Makes the image service out of the configuration. The one place where the parts of the daemon meet.

use cri_api::v1;
use cri_api::v1::image_service_server::ImageService;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::config::Config;
use crate::metrics::Metrics;
use crate::readiness::Readiness;

/// A service and what it says of itself.
pub(crate) struct Assembled<S> {
    pub(crate) service: S,
    pub(crate) readiness: watch::Receiver<Readiness>,
}

/// The service that `config` describes.
pub(crate) fn assemble(config: &Config, _metrics: &Metrics) -> Assembled<impl ImageService> {
    let reason = format!("no image store is connected to `{}` yet", config.containerd.address.display());
    let (_, readiness) = watch::channel(Readiness::Waiting { reason: reason.clone() });
    Assembled { service: Unconnected { reason }, readiness }
}

/// Answers as a daemon does whose containerd is away.
struct Unconnected {
    reason: String,
}

impl Unconnected {
    fn refuse<T>(&self) -> Result<Response<T>, Status> {
        Err(Status::unavailable(&self.reason))
    }
}

#[tonic::async_trait]
impl ImageService for Unconnected {
    type StreamImagesStream = tokio_stream::Empty<Result<v1::StreamImagesResponse, Status>>;

    async fn list_images(
        &self,
        _: Request<v1::ListImagesRequest>,
    ) -> Result<Response<v1::ListImagesResponse>, Status> {
        self.refuse()
    }

    async fn stream_images(
        &self,
        _: Request<v1::StreamImagesRequest>,
    ) -> Result<Response<Self::StreamImagesStream>, Status> {
        self.refuse()
    }

    async fn image_status(
        &self,
        _: Request<v1::ImageStatusRequest>,
    ) -> Result<Response<v1::ImageStatusResponse>, Status> {
        self.refuse()
    }

    async fn pull_image(
        &self,
        _: Request<v1::PullImageRequest>,
    ) -> Result<Response<v1::PullImageResponse>, Status> {
        self.refuse()
    }

    async fn remove_image(
        &self,
        _: Request<v1::RemoveImageRequest>,
    ) -> Result<Response<v1::RemoveImageResponse>, Status> {
        self.refuse()
    }

    async fn image_fs_info(
        &self,
        _: Request<v1::ImageFsInfoRequest>,
    ) -> Result<Response<v1::ImageFsInfoResponse>, Status> {
        self.refuse()
    }
}
