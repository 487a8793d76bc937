//! containerd's own CRI plugin, asked only what it sees.

use cri_api::v1 as pb;
use cri_api::v1::image_service_client::ImageServiceClient;
use tonic::transport::Channel;

use crate::client::{MESSAGE_BYTES_MAX, within};
use crate::{CallError, Deadlines};

/// An image in the plugin's cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CriImage {
    /// Image id.
    pub id: String,
    /// `name:tag` of each tag.
    pub repo_tags: Vec<String>,
    /// `name@digest` of each digest.
    pub repo_digests: Vec<String>,
}

/// The CRI image service of containerd.
#[derive(Clone, Debug)]
pub struct Cri {
    grpc: ImageServiceClient<Channel>,
    deadlines: Deadlines,
}

impl Cri {
    pub(crate) fn new(channel: Channel, deadlines: Deadlines) -> Cri {
        Cri { grpc: ImageServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX), deadlines }
    }

    /// The image that the plugin finds under `image` (id or reference); `None` where it has none.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unimplemented`] where containerd runs without its CRI plugin.
    pub async fn image(&self, image: &str) -> Result<Option<CriImage>, CallError> {
        let spec = pb::ImageSpec { image: image.to_owned(), ..pb::ImageSpec::default() };
        let request = pb::ImageStatusRequest { image: Some(spec), verbose: false };
        let mut grpc = self.grpc.clone();
        let call = grpc.image_status(request);
        let answer = within(self.deadlines.metadata, "ask CRI plugin for", image, call).await?;
        Ok(answer.image.map(|found| CriImage {
            id: found.id,
            repo_tags: found.repo_tags,
            repo_digests: found.repo_digests,
        }))
    }
}
