//! `ImageStatus`.

use std::collections::BTreeMap;

use cri_api::v1 as pb;
use imagestore::Image;
use oci::DOCUMENT_BYTES_MAX;
use serde::Serialize;
use serde_json::value::RawValue;
use tonic::Status;

use super::{Service, image::to_cri};
use crate::status::{from_containerd, from_store};

/// The verbose information, with the field names of containerd's CRI plugin.
#[derive(Serialize)]
struct Verbose<'a> {
    #[serde(rename = "chainID")]
    chain_id: &'a str,
    #[serde(rename = "imageSpec")]
    image_spec: &'a RawValue,
}

impl Service {
    pub(super) async fn status(
        &self,
        request: pb::ImageStatusRequest,
    ) -> Result<pb::ImageStatusResponse, Status> {
        let wanted = request.image.unwrap_or_default().image;
        let found = self.store.status(&wanted).await.map_err(|error| from_store(&error))?;
        let Some(image) = found else { return Ok(pb::ImageStatusResponse::default()) };
        let info = if request.verbose { self.verbose(&image).await? } else { BTreeMap::new() };
        Ok(pb::ImageStatusResponse { image: Some(to_cri(&image)), info: info.into_iter().collect() })
    }

    async fn verbose(&self, image: &Image) -> Result<BTreeMap<String, String>, Status> {
        let content = self.store.client().content();
        let config = content
            .read(image.id().digest(), DOCUMENT_BYTES_MAX)
            .await
            .map_err(|error| from_containerd(&error))?;
        let malformed = |error: serde_json::Error| {
            Status::internal(format!("image config `{}` is no JSON: {error}", image.id()))
        };
        let image_spec: &RawValue = serde_json::from_slice(&config).map_err(malformed)?;
        let chain_id = image.details.chain_id.as_ref().map(oci::ChainId::as_str).unwrap_or_default();
        let verbose = serde_json::to_string(&Verbose { chain_id, image_spec }).map_err(malformed)?;
        Ok(BTreeMap::from([("info".to_owned(), verbose)]))
    }
}
