//! `ListImages` and `StreamImages`.

use cri_api::v1 as pb;
use futures::stream::{self, BoxStream, StreamExt as _};
use tonic::Status;

use super::{Service, image::to_cri};
use crate::status::from_store;

/// Images in one message of the stream: with a kilobyte each, a message stays far below the 16 MiB that clients take.
const BATCH: usize = 1000;

impl Service {
    /// The ready images, or the one that the filter leads to.
    pub(super) async fn list(&self, filter: Option<pb::ImageFilter>) -> Result<Vec<pb::Image>, Status> {
        let wanted = filter.and_then(|filter| filter.image).unwrap_or_default().image;
        if wanted.is_empty() {
            let images = self.store.list().await.map_err(|error| from_store(&error))?;
            return Ok(images.iter().map(|image| to_cri(image)).collect());
        }
        let found = self.store.status(&wanted).await.map_err(|error| from_store(&error))?;
        Ok(found.iter().map(|image| to_cri(image)).collect())
    }
}

/// `images` as messages of the stream; no message for none.
pub(super) fn in_batches(
    images: Vec<pb::Image>,
) -> BoxStream<'static, Result<pb::StreamImagesResponse, Status>> {
    stream::iter(images).ready_chunks(BATCH).map(|images| Ok(pb::StreamImagesResponse { images })).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_images_come_in_several_messages() {
        let image = |n: usize| pb::Image { id: n.to_string(), ..pb::Image::default() };
        let messages: Vec<_> = in_batches((0..2500).map(image).collect()).collect().await;
        let sizes: Vec<usize> = messages.iter().map(|m| m.as_ref().unwrap().images.len()).collect();
        assert_eq!(sizes, [1000, 1000, 500]);
        assert_eq!(in_batches(Vec::new()).count().await, 0);
    }
}
