//! Applying layers.

use containerd_client::services::v1 as api;
use containerd_client::types::{Descriptor, Mount};
use tonic::Code;

use super::subject::{SNAPSHOTTER, Subject, descriptor};
use crate::image::{Blob, Compression, File, Format, Layer};
use crate::stub::snapshots as snapshots_api;

async fn apply(subject: &Subject, blob: &Blob, mounts: Vec<Mount>) -> Result<Descriptor, tonic::Status> {
    let request = api::ApplyRequest { diff: Some(descriptor(blob)), mounts, ..Default::default() };
    let response = subject.diff().apply(subject.request(request)).await?;
    Ok(response.into_inner().applied.unwrap())
}

fn files(tag: &str) -> Vec<File> {
    vec![File::directory("etc"), File::regular("etc/name", tag.to_owned()), File::symlink("link", "etc/name")]
}

pub(super) async fn every_compression_gives_the_diff_id(subject: Subject) {
    let mut parent = String::new();
    for (index, (compression, format)) in [
        (Compression::None, Format::Oci),
        (Compression::Gzip, Format::Oci),
        (Compression::Zstd, Format::Oci),
        (Compression::None, Format::Docker),
        (Compression::Gzip, Format::Docker),
    ]
    .into_iter()
    .enumerate()
    {
        let layer = Layer::new(files(&format!("diff {index}")), compression);
        let blob = layer.blob(format);
        subject.put(&blob, &[]).await;
        let (key, name) = (format!("k{index}"), format!("c{index}"));
        let mounts = subject.prepare(&key, &parent, &[]).await.unwrap();
        let applied = apply(&subject, &blob, mounts).await.unwrap();
        assert_eq!(applied.digest, layer.diff_id(), "{compression:?} {format:?}");
        assert_eq!(applied.size, i64::try_from(layer.tar().len()).unwrap());
        assert_eq!(applied.media_type, "application/vnd.oci.image.layer.v1.tar");
        subject.commit(&key, &name, "").await.unwrap();
        let usage = snapshots_api::UsageRequest { snapshotter: SNAPSHOTTER.to_owned(), key: name.clone() };
        let usage = subject.snapshots().usage(subject.request(usage)).await.unwrap().into_inner();
        assert!(usage.size > 0 && usage.inodes >= 3, "{usage:?}");
        parent = name;
    }
}

pub(super) async fn a_broken_layer_is_an_error(subject: Subject) {
    let whole = Layer::new(files("broken"), Compression::Gzip).blob(Format::Oci);
    let half = whole.bytes().slice(..whole.bytes().len() / 2);
    let broken = Blob::new(whole.media_type(), half);
    subject.put(&broken, &[]).await;
    let mounts = subject.prepare("k", "", &[]).await.unwrap();
    apply(&subject, &broken, mounts.clone()).await.unwrap_err();
    let unknown = Blob::new("application/x-unknown", broken.bytes().clone());
    apply(&subject, &unknown, mounts).await.unwrap_err();
}

pub(super) async fn a_missing_blob_is_not_found(subject: Subject) {
    let missing = Layer::new(files("never put"), Compression::Gzip).blob(Format::Oci);
    let mounts = subject.prepare("k", "", &[]).await.unwrap();
    assert_eq!(apply(&subject, &missing, mounts).await.unwrap_err().code(), Code::NotFound);
}
