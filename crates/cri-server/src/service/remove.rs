//! `RemoveImage`.

use cri_api::v1 as pb;
use tonic::Status;

use super::Service;
use crate::status::from_store;

impl Service {
    /// Removes the image with all its names. On a task of its own: a removal that was begun ends even if the caller
    /// goes away, so that no image is left with half its names.
    pub(super) async fn remove(
        &self,
        request: pb::RemoveImageRequest,
    ) -> Result<pb::RemoveImageResponse, Status> {
        let image = request.image.unwrap_or_default().image;
        let store = self.store.clone();
        let removal = tokio::spawn(async move {
            let outcome = store.remove(&image).await;
            if outcome.is_ok() {
                tracing::info!(%image, "removed");
            }
            outcome
        });
        let outcome =
            removal.await.map_err(|error| Status::internal(format!("removal ended early: {error}")))?;
        outcome.map_err(|error| from_store(&error))?;
        Ok(pb::RemoveImageResponse {})
    }
}
