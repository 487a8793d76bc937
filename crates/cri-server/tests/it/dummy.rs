//! An image service whose calls the test holds in its hand.

use std::sync::Arc;

use cri_api::v1::image_service_client::ImageServiceClient;
use cri_api::v1::image_service_server::ImageService;
use cri_api::v1::*;
use cri_server::{Config, Daemon, Readiness, ServeError};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Response, Status};

/// Pulls wait for `finish`, and tell `started` that they do.
#[derive(Clone, Default)]
pub(crate) struct Dummy {
    pub(crate) started: Arc<Notify>,
    pub(crate) finish: Arc<Notify>,
}

pub(crate) fn image(name: &str) -> Image {
    Image {
        id: format!("sha256:{}", "1f".repeat(32)),
        repo_tags: vec![name.into()],
        size: 4_261_550,
        uid: Some(Int64Value { value: 0 }),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl ImageService for Dummy {
    type StreamImagesStream = tokio_stream::Empty<Result<StreamImagesResponse, Status>>;

    async fn list_images(
        &self,
        _: Request<ListImagesRequest>,
    ) -> Result<Response<ListImagesResponse>, Status> {
        let images = vec![image("docker.io/library/busybox:1.36"), image("a.example/b:1")];
        Ok(Response::new(ListImagesResponse { images }))
    }

    async fn stream_images(
        &self,
        _: Request<StreamImagesRequest>,
    ) -> Result<Response<Self::StreamImagesStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }

    async fn image_status(
        &self,
        request: Request<ImageStatusRequest>,
    ) -> Result<Response<ImageStatusResponse>, Status> {
        let ImageStatusRequest { image: spec, verbose } = request.into_inner();
        let name = spec.unwrap_or_default().image;
        let image = (name != "absent").then(|| image(&name));
        let info = verbose.then(|| ("info".to_owned(), r#"{"chainID":"sha256:00"}"#.to_owned()));
        Ok(Response::new(ImageStatusResponse { image, info: info.into_iter().collect() }))
    }

    async fn pull_image(&self, _: Request<PullImageRequest>) -> Result<Response<PullImageResponse>, Status> {
        self.started.notify_one();
        self.finish.notified().await;
        Ok(Response::new(PullImageResponse { image_ref: "sha256:1f".into() }))
    }

    async fn remove_image(
        &self,
        request: Request<RemoveImageRequest>,
    ) -> Result<Response<RemoveImageResponse>, Status> {
        match request.into_inner().image.unwrap_or_default().image.as_str() {
            "" => Err(Status::invalid_argument("no image is named")),
            _ => Ok(Response::new(RemoveImageResponse {})),
        }
    }

    async fn image_fs_info(
        &self,
        _: Request<ImageFsInfoRequest>,
    ) -> Result<Response<ImageFsInfoResponse>, Status> {
        Ok(Response::new(ImageFsInfoResponse::default()))
    }
}

/// A daemon that serves a [`Dummy`] in this process.
pub(crate) struct Served {
    pub(crate) config: Config,
    pub(crate) dummy: Dummy,
    pub(crate) readiness: watch::Sender<Readiness>,
    pub(crate) metrics: cri_server::Metrics,
    pub(crate) metrics_address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    pub(crate) ended: JoinHandle<Result<(), ServeError>>,
    _directory: TempDir,
}

impl Served {
    pub(crate) async fn start() -> Served {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut config = Config { socket: directory.path().join("cri.sock"), ..Config::default() };
        config.metrics.address = Some("127.0.0.1:0".parse().expect("an address"));
        let daemon = Daemon::bind(&config).await.expect("binds");
        let (metrics, metrics_address) = (daemon.metrics().clone(), daemon.metrics_address().expect("bound"));
        let dummy = Dummy::default();
        let (readiness, watched) = watch::channel(Readiness::Waiting { reason: "containerd is away".into() });
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let ended = tokio::spawn(daemon.serve(dummy.clone(), watched, shutdown));
        Served {
            config,
            dummy,
            readiness,
            metrics,
            metrics_address,
            stop: Some(stop),
            ended,
            _directory: directory,
        }
    }

    /// What SIGTERM does.
    pub(crate) fn stop(&mut self) {
        self.stop.take().expect("stopped once").send(()).expect("it serves");
    }

    pub(crate) async fn client(&self) -> ImageServiceClient<Channel> {
        self.try_client().await.expect("the daemon accepts")
    }

    pub(crate) async fn try_client(&self) -> Result<ImageServiceClient<Channel>, tonic::transport::Error> {
        let path = self.config.socket.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
        });
        let channel = Endpoint::from_static("http://localhost").connect_with_connector(connector).await?;
        Ok(ImageServiceClient::new(channel).max_decoding_message_size(16 << 20))
    }
}
