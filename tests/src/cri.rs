//! A CRI client over a unix socket, from stubs that are not ours: the judge of our wire format and of containerd's.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    AuthConfig, FilesystemUsage, Image, ImageFilter, ImageFsInfoRequest, ImageSpec, ImageStatusRequest,
    ImageStatusResponse, ListImagesRequest, PullImageRequest, RemoveImageRequest, StatusRequest,
};
use tonic::Status;
use tonic::transport::Channel;

use crate::socket;

/// The size that kubelet's client allows.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Both services of one CRI socket.
#[derive(Clone, Debug)]
pub struct Cri {
    /// The image service.
    pub images: ImageServiceClient<Channel>,
    /// The runtime service; our daemon does not serve it.
    pub runtime: RuntimeServiceClient<Channel>,
}

impl Cri {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// Where nothing listens there.
    pub async fn connect(path: &Path) -> anyhow::Result<Self> {
        let channel = socket::channel(path).await?;
        Ok(Self {
            images: ImageServiceClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX),
            runtime: RuntimeServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX),
        })
    }

    /// Pulls without credentials and returns the image reference.
    ///
    /// # Errors
    /// The service's status.
    pub async fn pull(&mut self, image: &str) -> Result<String, Status> {
        self.pull_as(image, None).await
    }

    /// Pulls with `auth` and returns the image reference.
    ///
    /// # Errors
    /// The service's status.
    pub async fn pull_as(&mut self, image: &str, auth: Option<AuthConfig>) -> Result<String, Status> {
        let request = PullImageRequest { image: Some(image_spec(image)), auth, sandbox_config: None };
        Ok(self.images.pull_image(request).await?.into_inner().image_ref)
    }

    /// All images.
    ///
    /// # Errors
    /// The service's status.
    pub async fn list(&mut self) -> Result<Vec<Image>, Status> {
        Ok(self.images.list_images(ListImagesRequest { filter: None }).await?.into_inner().images)
    }

    /// The images that the filter `image` lets through.
    ///
    /// # Errors
    /// The service's status.
    pub async fn list_filtered(&mut self, image: &str) -> Result<Vec<Image>, Status> {
        let filter = Some(ImageFilter { image: Some(image_spec(image)) });
        Ok(self.images.list_images(ListImagesRequest { filter }).await?.into_inner().images)
    }

    /// Every tag and digest that the list shows, and the id of each image without either.
    ///
    /// # Errors
    /// The service's status.
    pub async fn names(&mut self) -> Result<BTreeSet<String>, Status> {
        let names = |image: Image| match image.repo_tags.is_empty() && image.repo_digests.is_empty() {
            true => vec![image.id],
            false => [image.repo_tags, image.repo_digests].concat(),
        };
        Ok(self.list().await?.into_iter().flat_map(names).collect())
    }

    /// The image, where there is one.
    ///
    /// # Errors
    /// The service's status.
    pub async fn status(&mut self, image: &str) -> Result<Option<Image>, Status> {
        Ok(self.status_verbose(image, false).await?.image)
    }

    /// The whole answer of ImageStatus.
    ///
    /// # Errors
    /// The service's status.
    pub async fn status_verbose(
        &mut self,
        image: &str,
        verbose: bool,
    ) -> Result<ImageStatusResponse, Status> {
        let request = ImageStatusRequest { image: Some(image_spec(image)), verbose };
        Ok(self.images.image_status(request).await?.into_inner())
    }

    /// Removes the image.
    ///
    /// # Errors
    /// The service's status.
    pub async fn remove(&mut self, image: &str) -> Result<(), Status> {
        let request = RemoveImageRequest { image: Some(image_spec(image)) };
        self.images.remove_image(request).await.map(drop)
    }

    /// The file system that kubelet reads: the first.
    ///
    /// # Errors
    /// The service's status, or an empty answer.
    pub async fn image_fs(&mut self) -> anyhow::Result<FilesystemUsage> {
        let answer = self.images.image_fs_info(ImageFsInfoRequest {}).await?.into_inner();
        answer.image_filesystems.into_iter().next().context("ImageFsInfo names no file system")
    }

    /// Whether the runtime service has finished its start.
    pub async fn runtime_is_ready(&mut self) -> bool {
        let status = self.runtime.status(StatusRequest { verbose: false }).await;
        let conditions =
            status.ok().and_then(|answer| answer.into_inner().status).map(|status| status.conditions);
        // `NetworkReady` stays false: there is no CNI, and pods share the host's network.
        conditions.is_some_and(|all| {
            all.iter().any(|condition| condition.r#type == "RuntimeReady" && condition.status)
        })
    }
}

/// An image spec with only the name set, as crictl sends it.
pub fn image_spec(image: &str) -> ImageSpec {
    ImageSpec { image: image.to_owned(), ..ImageSpec::default() }
}
