//! `PullImage`.

use auth::{AuthConfig, Credentials};
use cri_api::v1 as pb;
use refparse::Reference;
use tonic::Status;

use super::Service;
use crate::metrics::PullResult;
use crate::status::{from_pull, invalid};

impl Service {
    pub(super) async fn pull(&self, request: pb::PullImageRequest) -> Result<pb::PullImageResponse, Status> {
        let image = request.image.unwrap_or_default().image;
        let reference = Reference::parse(&image).map_err(|error| invalid(&error))?;
        let auth = request.auth.unwrap_or_default();
        let auth = AuthConfig {
            username: &auth.username,
            password: &auth.password,
            auth: &auth.auth,
            server_address: &auth.server_address,
            identity_token: &auth.identity_token,
            registry_token: &auth.registry_token,
        };
        let credentials =
            Credentials::from_auth_config(&auth, reference.registry()).map_err(|error| invalid(&error))?;
        let counted = self.metrics.pull_started();
        match self.puller.pull(&reference, &credentials).await {
            Ok(pulled) => {
                counted.end(PullResult::Done);
                Ok(pb::PullImageResponse { image_ref: pulled.image_id.to_string() })
            }
            Err(error) => {
                counted.end(PullResult::Failed);
                let status = from_pull(&reference, &error);
                tracing::warn!(image = %reference, code = ?status.code(), error = status.message(), "pull failed");
                Err(status)
            }
        }
    }
}
