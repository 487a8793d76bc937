//! Blobs that are there: info, read, labels, list, delete.

use containerd_client::services::v1 as api;
use prost_types::FieldMask;
use tonic::Code;

use super::subject::{Subject, label_map};
use crate::image::Blob;

pub(super) async fn a_missing_blob_is_not_found(subject: Subject) {
    let digest = subject.blob("never written").digest().to_owned();
    let info = subject.request(api::InfoRequest { digest: digest.clone() });
    assert_eq!(subject.content().info(info).await.unwrap_err().code(), Code::NotFound);
    let read = subject.request(api::ReadContentRequest { digest: digest.clone(), offset: 0, size: 0 });
    assert_eq!(read_all(&subject, read).await.unwrap_err().code(), Code::NotFound);
    let delete = subject.request(api::DeleteContentRequest { digest });
    assert_eq!(subject.content().delete(delete).await.unwrap_err().code(), Code::NotFound);
    let status = subject.request(api::StatusRequest { r#ref: "never begun".to_owned() });
    assert_eq!(subject.content().status(status).await.unwrap_err().code(), Code::NotFound);
}

pub(super) async fn a_malformed_digest_is_an_invalid_argument(subject: Subject) {
    let digest = "sha256:short".to_owned();
    let info = subject.request(api::InfoRequest { digest: digest.clone() });
    assert_eq!(subject.content().info(info).await.unwrap_err().code(), Code::InvalidArgument);
    let read = subject.request(api::ReadContentRequest { digest, offset: 0, size: 0 });
    assert_eq!(read_all(&subject, read).await.unwrap_err().code(), Code::InvalidArgument);
}

pub(super) async fn reads_honour_offset_and_size(subject: Subject) {
    let bytes: Vec<u8> = (0_u32..600_000).flat_map(u32::to_le_bytes).collect();
    let blob = Blob::new("application/octet-stream", bytes.clone());
    subject.put(&blob, &[]).await;
    let digest = blob.digest().to_owned();
    let length = i64::try_from(bytes.len()).unwrap();
    for (offset, size, expected) in [
        (0, 0, &bytes[..]),
        (5, 0, &bytes[5..]),
        (7, 11, &bytes[7..18]),
        (length - 3, 100, &bytes[bytes.len() - 3..]),
        (length, 0, &[][..]),
    ] {
        let request = subject.request(api::ReadContentRequest { digest: digest.clone(), offset, size });
        let read = read_all(&subject, request).await.unwrap();
        assert!(read == expected, "offset {offset} size {size}: {} bytes", read.len());
    }
    let request = subject.request(api::ReadContentRequest { digest, offset: length + 1, size: 0 });
    assert_eq!(read_all(&subject, request).await.unwrap_err().code(), Code::OutOfRange);
}

pub(super) async fn labels_are_updated_through_a_mask(subject: Subject) {
    let blob = subject.blob("labels");
    subject.put(&blob, &[("a", "1"), ("b", "2")]).await;
    let update = async |labels: &[(&str, &str)], paths: &[&str]| {
        let info =
            api::Info { digest: blob.digest().to_owned(), labels: label_map(labels), ..Default::default() };
        let mask = FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() };
        let request = api::UpdateRequest { info: Some(info), update_mask: Some(mask) };
        subject.content().update(subject.request(request)).await
    };
    update(&[("b", "3"), ("c", "4"), ("ignored", "x")], &["labels.b", "labels.c"]).await.unwrap();
    assert_eq!(labels(&subject, &blob).await, label_map(&[("a", "1"), ("b", "3"), ("c", "4")]));
    update(&[], &["labels.a"]).await.unwrap();
    assert_eq!(labels(&subject, &blob).await, label_map(&[("b", "3"), ("c", "4")]), "empty removes");
    update(&[("d", "5")], &["labels"]).await.unwrap();
    assert_eq!(labels(&subject, &blob).await, label_map(&[("d", "5")]));
    let status = update(&[], &["size"]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let long = "x".repeat(4096);
    let status = update(&[("d", long.as_str())], &["labels"]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "label over 4096 bytes");
}

pub(super) async fn blobs_are_listed_by_filter(subject: Subject) {
    let (first, second) = (subject.blob("list one"), subject.blob("list two"));
    subject.put(&first, &[("containerd.io/test", "one")]).await;
    subject.put(&second, &[("containerd.io/test", "two")]).await;
    let list = async |filter: &str| {
        let request = subject.request(api::ListContentRequest { filters: vec![filter.to_owned()] });
        let mut responses = subject.content().list(request).await.unwrap().into_inner();
        let mut digests = Vec::new();
        while let Some(response) = responses.message().await.unwrap() {
            digests.extend(response.info.into_iter().map(|info| info.digest));
        }
        digests
    };
    assert_eq!(list(&format!("digest=={}", first.digest())).await, [first.digest()]);
    assert_eq!(list("labels.\"containerd.io/test\"==two").await, [second.digest()]);
    assert_eq!(list("labels.\"containerd.io/test\"==\"one\"").await, [first.digest()]);
    assert!(list("labels.absent").await.is_empty());
}

pub(super) async fn a_deleted_blob_is_gone(subject: Subject) {
    let blob = subject.blob("delete");
    subject.put(&blob, &[]).await;
    let request = || subject.request(api::DeleteContentRequest { digest: blob.digest().to_owned() });
    subject.content().delete(request()).await.unwrap();
    let info = subject.request(api::InfoRequest { digest: blob.digest().to_owned() });
    assert_eq!(subject.content().info(info).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(subject.content().delete(request()).await.unwrap_err().code(), Code::NotFound);
}

async fn labels(subject: &Subject, blob: &Blob) -> std::collections::HashMap<String, String> {
    let request = subject.request(api::InfoRequest { digest: blob.digest().to_owned() });
    subject.content().info(request).await.unwrap().into_inner().info.unwrap().labels
}

async fn read_all(
    subject: &Subject,
    request: tonic::Request<api::ReadContentRequest>,
) -> Result<Vec<u8>, tonic::Status> {
    let mut responses = subject.content().read(request).await?.into_inner();
    let mut bytes = Vec::new();
    while let Some(response) = responses.message().await? {
        assert_eq!(
            response.offset,
            i64::try_from(bytes.len()).unwrap(),
            "offsets count from the read's start"
        );
        bytes.extend(response.data);
    }
    Ok(bytes)
}
