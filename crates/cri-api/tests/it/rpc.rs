//! A client made from `k8s-cri` reaches every method of our server: service, method names and both kinds of answer.

use cri_api::v1 as ours;
use cri_api::v1::image_service_client::ImageServiceClient;
use cri_api::v1::image_service_server::{ImageService, ImageServiceServer};
use expect_test::expect;
use k8s_cri::v1 as theirs;
use k8s_cri::v1::image_service_client::ImageServiceClient as TheirClient;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

/// Answers each call with something that only its own method answers.
struct Echo;

fn image(id: impl Into<String>) -> ours::Image {
    ours::Image { id: id.into(), ..Default::default() }
}

#[tonic::async_trait]
impl ImageService for Echo {
    type StreamImagesStream =
        tokio_stream::Iter<std::vec::IntoIter<Result<ours::StreamImagesResponse, Status>>>;

    async fn list_images(
        &self,
        _: Request<ours::ListImagesRequest>,
    ) -> Result<Response<ours::ListImagesResponse>, Status> {
        Ok(Response::new(ours::ListImagesResponse { images: vec![image("listed")] }))
    }

    async fn stream_images(
        &self,
        _: Request<ours::StreamImagesRequest>,
    ) -> Result<Response<Self::StreamImagesStream>, Status> {
        let part = |id| Ok(ours::StreamImagesResponse { images: vec![image(id)] });
        Ok(Response::new(tokio_stream::iter(vec![part("first"), part("second")])))
    }

    async fn image_status(
        &self,
        request: Request<ours::ImageStatusRequest>,
    ) -> Result<Response<ours::ImageStatusResponse>, Status> {
        let id = request.into_inner().image.unwrap_or_default().image;
        Ok(Response::new(ours::ImageStatusResponse { image: Some(image(id)), info: Default::default() }))
    }

    async fn pull_image(
        &self,
        request: Request<ours::PullImageRequest>,
    ) -> Result<Response<ours::PullImageResponse>, Status> {
        let auth = request.into_inner().auth.unwrap_or_default();
        Ok(Response::new(ours::PullImageResponse { image_ref: auth.registry_token }))
    }

    async fn remove_image(
        &self,
        _: Request<ours::RemoveImageRequest>,
    ) -> Result<Response<ours::RemoveImageResponse>, Status> {
        Err(Status::not_found("remove"))
    }

    async fn image_fs_info(
        &self,
        _: Request<ours::ImageFsInfoRequest>,
    ) -> Result<Response<ours::ImageFsInfoResponse>, Status> {
        let usage = ours::FilesystemUsage { timestamp: 7, ..Default::default() };
        Ok(Response::new(ours::ImageFsInfoResponse {
            image_filesystems: vec![usage],
            container_filesystems: vec![],
        }))
    }
}

/// A channel to an `Echo` on a unix socket, and the directory that the socket lives in.
async fn served() -> (Channel, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let socket = directory.path().join("cri.sock");
    let listener = UnixListener::bind(&socket).expect("the socket binds");
    let server = Server::builder().add_service(ImageServiceServer::new(Echo));
    tokio::spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
    let endpoint = Endpoint::try_from(format!("unix://{}", socket.display())).expect("a path is an endpoint");
    (endpoint.connect().await.expect("the server is there"), directory)
}

#[tokio::test]
async fn their_client_reaches_every_method_it_knows() {
    let (channel, _directory) = served().await;
    let mut client = TheirClient::new(channel);

    let listed =
        client.list_images(theirs::ListImagesRequest::default()).await.expect("answered").into_inner();
    assert_eq!(listed.images[0].id, "listed");

    let spec = theirs::ImageSpec { image: "asked".into(), ..Default::default() };
    let request = theirs::ImageStatusRequest { image: Some(spec), verbose: false };
    let status = client.image_status(request).await.expect("answered").into_inner();
    assert_eq!(status.image.expect("an image").id, "asked");

    let auth = theirs::AuthConfig { registry_token: "token".into(), ..Default::default() };
    let request = theirs::PullImageRequest { auth: Some(auth), ..Default::default() };
    assert_eq!(client.pull_image(request).await.expect("answered").into_inner().image_ref, "token");

    let refused = client.remove_image(theirs::RemoveImageRequest::default()).await.expect_err("refused");
    assert_eq!((refused.code(), refused.message()), (tonic::Code::NotFound, "remove"));

    let usage = client.image_fs_info(theirs::ImageFsInfoRequest {}).await.expect("answered").into_inner();
    assert_eq!(usage.image_filesystems[0].timestamp, 7);
}

#[tokio::test]
async fn stream_images_answers_its_parts_in_order() {
    let (channel, _directory) = served().await;
    let request = ours::StreamImagesRequest::default();
    let mut parts =
        ImageServiceClient::new(channel).stream_images(request).await.expect("answered").into_inner();
    let mut ids = Vec::new();
    while let Some(part) = parts.message().await.expect("no error in the stream") {
        ids.extend(part.images.into_iter().map(|image| image.id));
    }
    expect![[r#"
        [
            "first",
            "second",
        ]
    "#]]
    .assert_debug_eq(&ids);
}
