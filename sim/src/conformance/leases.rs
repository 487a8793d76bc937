//! Leases and what they hold.

use containerd_client::services::v1 as api;
use tonic::Code;

use super::subject::{SNAPSHOTTER, Subject, label_map};

pub(super) async fn a_lease_lives_from_create_to_delete(subject: Subject) {
    let labels = [("containerd.io/gc.expire", "2100-01-01T00:00:00Z")];
    let create = api::CreateRequest { id: String::new(), labels: label_map(&labels) };
    let lease = subject.leases().create(subject.request(create)).await.unwrap().into_inner().lease.unwrap();
    assert!(!lease.id.is_empty(), "an id is made up when none is given");
    assert_eq!(lease.labels, label_map(&labels));
    let list = async || {
        let request = subject.request(api::ListRequest::default());
        let leases = subject.leases().list(request).await.unwrap().into_inner().leases;
        leases.into_iter().map(|lease| lease.id).collect::<Vec<_>>()
    };
    assert_eq!(list().await, [lease.id.as_str()]);
    let delete = || subject.request(api::DeleteRequest { id: lease.id.clone(), sync: false });
    subject.leases().delete(delete()).await.unwrap();
    assert!(list().await.is_empty());
    assert_eq!(subject.leases().delete(delete()).await.unwrap_err().code(), Code::NotFound);
}

pub(super) async fn an_id_is_used_once(subject: Subject) {
    subject.create_lease("once", &[]).await;
    let again = api::CreateRequest { id: "once".to_owned(), ..Default::default() };
    let refused = subject.leases().create(subject.request(again)).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
}

pub(super) async fn resources_are_added_and_removed(subject: Subject) {
    subject.create_lease("l", &[]).await;
    let resource = |kind: &str, id: &str| api::Resource { r#type: kind.to_owned(), id: id.to_owned() };
    let digest = subject.blob("held").digest().to_owned();
    for resource in
        [resource("content", &digest), resource("snapshots/overlayfs", "k"), resource("ingests", "i")]
    {
        let add = api::AddResourceRequest { id: "l".to_owned(), resource: Some(resource) };
        subject.leases().add_resource(subject.request(add)).await.unwrap();
    }
    let all = [format!("content {digest}"), "snapshots/overlayfs k".to_owned(), "ingests i".to_owned()];
    assert_eq!(subject.held("l").await, all.into());
    let remove = api::DeleteResourceRequest { id: "l".to_owned(), resource: Some(resource("ingests", "i")) };
    subject.leases().delete_resource(subject.request(remove)).await.unwrap();
    assert_eq!(subject.held("l").await.len(), 2);
    for (resource, code) in [
        (resource("content", "no digest"), Code::InvalidArgument),
        (resource("snapshots", "k"), Code::InvalidArgument),
        (resource("tasks", "k"), Code::Unimplemented),
    ] {
        let add = api::AddResourceRequest { id: "l".to_owned(), resource: Some(resource) };
        assert_eq!(subject.leases().add_resource(subject.request(add)).await.unwrap_err().code(), code);
    }
}

pub(super) async fn the_header_adds_what_is_made(subject: Subject) {
    subject.create_lease("l", &[]).await;
    let leased = subject.with_lease("l");
    let blob = subject.blob("made under a lease");
    leased.put(&blob, &[]).await;
    leased.prepare("active", "", &[]).await.unwrap();
    let snapshot = |key: &str| format!("snapshots/{SNAPSHOTTER} {key}");
    let content = format!("content {}", blob.digest());
    assert_eq!(subject.held("l").await, [content.clone(), snapshot("active")].into());
    leased.commit("active", "committed", "").await.unwrap();
    assert_eq!(subject.held("l").await, [content.clone(), snapshot("committed")].into());
    leased.remove_snapshot("committed").await.unwrap();
    assert_eq!(subject.held("l").await, [content].into());
}

pub(super) async fn a_lease_that_is_gone_is_not_found(subject: Subject) {
    let leased = subject.with_lease("gone");
    assert_eq!(leased.prepare("k", "", &[]).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(subject.stat("k").await.unwrap_err().code(), Code::NotFound, "nothing was made");
    let write = api::WriteContentRequest { r#ref: "r".to_owned(), ..Default::default() };
    let refused = leased.content().write(leased.request(tokio_stream::iter([write]))).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}
