//! What the collector keeps and what it takes, seen after a synchronous delete.

use std::collections::BTreeSet;

use containerd_client::services::v1 as api;
use tonic::Code;

use super::subject::{SNAPSHOTTER, Subject};
use crate::image::Blob;

const EXPIRE: &str = "containerd.io/gc.expire";
const PAST: &str = "2001-01-01T00:00:00Z";

/// Index → manifest → config and layer; config → snapshot → its parent. Made under `lease`.
async fn build(subject: &Subject, lease: &str) -> (Blob, Vec<Blob>) {
    let leased = subject.with_lease(lease);
    let [index, manifest, config, layer] =
        ["index", "manifest", "config", "layer"].map(|tag| subject.blob(tag));
    leased.prepare("k1", "", &[]).await.unwrap();
    leased.commit("k1", "bottom", "").await.unwrap();
    leased.prepare("k2", "bottom", &[]).await.unwrap();
    leased.commit("k2", "top", "").await.unwrap();
    leased.put(&layer, &[]).await;
    let snapshot = format!("containerd.io/gc.ref.snapshot.{SNAPSHOTTER}");
    leased.put(&config, &[(snapshot.as_str(), "top")]).await;
    let below = [
        ("containerd.io/gc.ref.content.config", config.digest()),
        ("containerd.io/gc.ref.content.l.0", layer.digest()),
        ("containerd.io/gc.ref.content.l.1", "sha256:dangling"),
    ];
    leased.put(&manifest, &below).await;
    leased.put(&index, &[("containerd.io/gc.ref.content.m.0", manifest.digest())]).await;
    (index.clone(), vec![index, manifest, config, layer])
}

pub(super) async fn an_image_keeps_everything_below_it(subject: Subject) {
    subject.create_lease("l", &[]).await;
    let (target, blobs) = build(&subject, "l").await;
    subject.create_image("a", &target, &[]).await;
    subject.create_image("b", &target, &[]).await;
    subject.delete_lease_and_collect("l").await;
    let all = blobs.iter().map(|blob| blob.digest().to_owned()).collect();
    assert_eq!(subject.digests().await, all);
    subject.stat("top").await.unwrap();
    subject.stat("bottom").await.expect("kept by its child");
    subject.delete_image("a", true).await.unwrap();
    assert_eq!(subject.digests().await, all, "the other record still names it");
    subject.delete_image("b", true).await.unwrap();
    assert!(subject.digests().await.is_empty());
    assert_eq!(subject.stat("top").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(subject.stat("bottom").await.unwrap_err().code(), Code::NotFound);
}

pub(super) async fn a_lease_keeps_what_was_made_under_it(subject: Subject) {
    subject.create_lease("l", &[(EXPIRE, "2100-01-01T00:00:00Z")]).await;
    build(&subject, "l").await;
    subject.with_lease("l").prepare("active", "top", &[]).await.unwrap();
    subject.collect().await;
    assert_eq!(subject.digests().await.len(), 4);
    subject.stat("active").await.unwrap();
    subject.delete_lease_and_collect("l").await;
    assert!(subject.digests().await.is_empty());
    for key in ["active", "top", "bottom"] {
        assert_eq!(subject.stat(key).await.unwrap_err().code(), Code::NotFound, "{key}");
    }
}

pub(super) async fn an_expired_lease_keeps_nothing(subject: Subject) {
    subject.create_lease("l", &[(EXPIRE, PAST)]).await;
    subject.with_lease("l").prepare("k", "", &[]).await.unwrap();
    subject.collect().await;
    assert_eq!(subject.stat("k").await.unwrap_err().code(), Code::NotFound);
    let request = subject.request(api::ListRequest::default());
    let leases = subject.leases().list(request).await.unwrap().into_inner().leases;
    assert!(leases.is_empty(), "the lease itself is collected");
}

pub(super) async fn what_nothing_names_is_collected(subject: Subject) {
    let (rooted, loose) = (subject.blob("rooted"), subject.blob("loose"));
    subject.put(&rooted, &[("containerd.io/gc.root", "2026-01-01T00:00:00Z")]).await;
    subject.put(&loose, &[]).await;
    subject.prepare("rooted", "", &[("containerd.io/gc.root", "1")]).await.unwrap();
    subject.prepare("loose", "", &[]).await.unwrap();
    subject.collect().await;
    assert_eq!(subject.digests().await, [rooted.digest().to_owned()].into());
    subject.stat("rooted").await.unwrap();
    assert_eq!(subject.stat("loose").await.unwrap_err().code(), Code::NotFound);
}

/// Sends one message of a write and ends the stream; answers the offset that the server told.
async fn write(subject: &Subject, action: api::WriteAction, reference: &str, data: &[u8]) -> i64 {
    let write = api::WriteContentRequest {
        action: action.into(),
        r#ref: reference.to_owned(),
        data: data.to_vec(),
        ..Default::default()
    };
    let request = subject.request(tokio_stream::iter([write]));
    let mut responses = subject.content().write(request).await.unwrap().into_inner();
    let mut offset = 0;
    while let Some(response) = responses.message().await.unwrap() {
        offset = response.offset;
    }
    offset
}

/// Names of the unfinished writes.
async fn ingests(subject: &Subject) -> BTreeSet<String> {
    let request = subject.request(api::ListStatusesRequest::default());
    let statuses = subject.content().list_statuses(request).await.unwrap().into_inner().statuses;
    statuses.into_iter().map(|status| status.r#ref).collect()
}

pub(super) async fn ingests_go_with_their_lease(subject: Subject) {
    subject.create_lease("l", &[]).await;
    write(&subject.with_lease("l"), api::WriteAction::Write, "leased", b"partial").await;
    write(&subject, api::WriteAction::Write, "unleased", b"partial").await;
    subject.collect().await;
    assert_eq!(ingests(&subject).await, ["leased".to_owned(), "unleased".to_owned()].into());
    subject.delete_lease_and_collect("l").await;
    assert_eq!(ingests(&subject).await, ["unleased".to_owned()].into(), "an unleased ingest lives for a day");
}

pub(super) async fn an_ingest_under_a_second_lease_goes_with_that_and_is_resumed(subject: Subject) {
    subject.create_lease("first", &[]).await;
    subject.create_lease("second", &[]).await;
    write(&subject.with_lease("first"), api::WriteAction::Write, "w", b"partial").await;
    let resource = api::Resource { r#type: "ingests".to_owned(), id: "w".to_owned() };
    let add = api::AddResourceRequest { id: "second".to_owned(), resource: Some(resource) };
    subject.leases().add_resource(subject.request(add)).await.unwrap();
    subject.delete_lease_and_collect("first").await;
    assert_eq!(ingests(&subject).await, ["w".to_owned()].into());
    subject.create_lease("third", &[]).await;
    let offset = write(&subject.with_lease("third"), api::WriteAction::Stat, "w", b"").await;
    assert_eq!(offset, 7, "a writer is told what is there");
    subject.delete_lease_and_collect("second").await;
    assert_eq!(ingests(&subject).await, ["w".to_owned()].into(), "opened under a lease, it is held by that");
    subject.delete_lease_and_collect("third").await;
    assert_eq!(ingests(&subject).await, BTreeSet::new());
}

pub(super) async fn parents_are_kept_by_their_children(subject: Subject) {
    subject.create_lease("l", &[]).await;
    let leased = subject.with_lease("l");
    leased.prepare("k1", "", &[]).await.unwrap();
    leased.commit("k1", "bottom", "").await.unwrap();
    leased.prepare("child", "bottom", &[("containerd.io/gc.root", "1")]).await.unwrap();
    subject.delete_lease_and_collect("l").await;
    subject.stat("bottom").await.unwrap();
}
