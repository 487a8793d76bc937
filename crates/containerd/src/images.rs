//! Image records: a name, its target, its labels.

use std::collections::BTreeMap;

use containerd_client::services::v1 as pb;
use containerd_client::services::v1::images_client::ImagesClient;
use oci::Descriptor;
use prost_types::FieldMask;
use refparse::Digest;

use crate::client::{MESSAGE_BYTES_MAX, Service, within};
use crate::{CallError, Client, Deadlines, ErrorKind};

/// One record of the image store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRecord {
    /// A normalized reference, or an image id.
    pub name: String,
    /// The index or manifest that the name stands for.
    pub target: Descriptor,
    /// Labels in key order.
    pub labels: BTreeMap<String, String>,
}

/// The image store.
#[derive(Clone, Debug)]
pub struct Images {
    grpc: ImagesClient<Service>,
    deadlines: Deadlines,
}

impl Images {
    pub(crate) fn new(client: &Client) -> Images {
        let grpc = ImagesClient::new(client.service())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Images { grpc, deadlines: client.deadlines() }
    }

    /// The record called `name`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none.
    pub async fn get(&self, name: &str) -> Result<ImageRecord, CallError> {
        const OPERATION: &str = "get image";
        let request = pb::GetImageRequest { name: name.to_owned() };
        let answer = within(self.deadlines.metadata, OPERATION, name, self.grpc.clone().get(request)).await?;
        from_wire(OPERATION, name, answer.image)
    }

    /// Every record, in the order of names. A record that cannot be read (its target is no descriptor) is left out
    /// with a warning: one broken record must not hide all others.
    ///
    /// # Errors
    /// The call's own.
    pub async fn list(&self) -> Result<Vec<ImageRecord>, CallError> {
        const OPERATION: &str = "list images";
        let request = pb::ListImagesRequest { filters: Vec::new() };
        let answer = within(self.deadlines.metadata, OPERATION, "", self.grpc.clone().list(request)).await?;
        let mut records = Vec::with_capacity(answer.images.len());
        for image in answer.images {
            let name = image.name.clone();
            match from_wire(OPERATION, &name, Some(image)) {
                Ok(record) => records.push(record),
                Err(error) => tracing::warn!(image = %name, %error, "skipping an unreadable image record"),
            }
        }
        records.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(records)
    }

    /// Writes a new record.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] where there is one of that name.
    pub async fn create(&self, record: &ImageRecord) -> Result<(), CallError> {
        let request = pb::CreateImageRequest { image: Some(to_wire(record)), source_date_epoch: None };
        let mut grpc = self.grpc.clone();
        let call = grpc.create(request);
        within(self.deadlines.metadata, "create image", &record.name, call).await.map(drop)
    }

    /// Sets the target and the given labels of an existing record; labels that `record` does not have stay.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such record.
    pub async fn update(&self, record: &ImageRecord) -> Result<(), CallError> {
        let mut paths = vec!["target".to_owned()];
        paths.extend(record.labels.keys().map(|key| format!("labels.{key}")));
        let request = pb::UpdateImageRequest {
            image: Some(to_wire(record)),
            // Without a mask containerd replaces the whole record and so wipes labels that others set.
            update_mask: Some(FieldMask { paths }),
            source_date_epoch: None,
        };
        let mut grpc = self.grpc.clone();
        let call = grpc.update(request);
        within(self.deadlines.metadata, "update image", &record.name, call).await.map(drop)
    }

    /// Deletes a record. With `target` only while the record still points there (containerd 2.0 and later; older
    /// versions ignore it, so the caller checks first as well). With `sync` containerd has collected what only this
    /// record held when it answers.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such record; where the target differs, `NotFound` or
    /// [`ErrorKind::FailedPrecondition`], depending on containerd's version.
    pub async fn delete(&self, name: &str, target: Option<&Descriptor>, sync: bool) -> Result<(), CallError> {
        let target = target.map(descriptor_to_wire);
        let request = pb::DeleteImageRequest { name: name.to_owned(), sync, target };
        let limit = if sync { self.deadlines.collect } else { self.deadlines.metadata };
        within(limit, "delete image", name, self.grpc.clone().delete(request)).await.map(drop)
    }
}

pub(crate) fn descriptor_to_wire(descriptor: &Descriptor) -> containerd_client::types::Descriptor {
    containerd_client::types::Descriptor {
        media_type: descriptor.media_type.clone(),
        digest: descriptor.digest.to_string(),
        // Sizes come from JSON numbers that were read as i64, so this never saturates.
        size: i64::try_from(descriptor.size).unwrap_or(i64::MAX),
        annotations: descriptor.annotations.clone().into_iter().collect(),
    }
}

fn to_wire(record: &ImageRecord) -> pb::Image {
    pb::Image {
        name: record.name.clone(),
        labels: record.labels.clone().into_iter().collect(),
        target: Some(descriptor_to_wire(&record.target)),
        created_at: None,
        updated_at: None,
    }
}

fn from_wire(
    operation: &'static str,
    name: &str,
    image: Option<pb::Image>,
) -> Result<ImageRecord, CallError> {
    let malformed = |what: String| CallError::local(operation, name, ErrorKind::Other, what);
    let image = image.ok_or_else(|| malformed("the answer has no image".into()))?;
    let target = image.target.ok_or_else(|| malformed("the record has no target".into()))?;
    let digest =
        Digest::parse(&target.digest).map_err(|e| malformed(format!("the record's target digest: {e}")))?;
    let size = u64::try_from(target.size)
        .map_err(|_| malformed(format!("the record's target has the negative size {}", target.size)))?;
    let mut descriptor = Descriptor::new(target.media_type, digest, size);
    descriptor.annotations = target.annotations.into_iter().collect();
    Ok(ImageRecord { name: image.name, target: descriptor, labels: image.labels.into_iter().collect() })
}
