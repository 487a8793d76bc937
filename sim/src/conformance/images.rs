//! Image records.

use containerd_client::services::v1 as api;
use prost_types::FieldMask;
use tonic::{Code, Request};

use super::subject::{Subject, descriptor, label_map};
use crate::image::Blob;

async fn get(subject: &Subject, name: &str) -> Result<api::Image, tonic::Status> {
    let request = subject.request(api::GetImageRequest { name: name.to_owned() });
    Ok(subject.images().get(request).await?.into_inner().image.unwrap())
}

async fn update(subject: &Subject, image: api::Image, paths: &[&str]) -> Result<api::Image, tonic::Status> {
    let paths = paths.iter().map(|&path| path.to_owned()).collect();
    let request = api::UpdateImageRequest {
        image: Some(image),
        update_mask: Some(FieldMask { paths }),
        source_date_epoch: None,
    };
    Ok(subject.images().update(subject.request(request)).await?.into_inner().image.unwrap())
}

pub(super) async fn a_request_needs_a_namespace(subject: Subject) {
    let bare = Request::new(api::GetImageRequest { name: "x".to_owned() });
    assert_eq!(subject.images().get(bare).await.unwrap_err().code(), Code::FailedPrecondition);
}

pub(super) async fn a_created_record_is_found(subject: Subject) {
    let target = subject.blob("image");
    subject.create_image("docker.io/library/a:1", &target, &[("k", "v")]).await;
    let image = get(&subject, "docker.io/library/a:1").await.unwrap();
    assert_eq!(image.target, Some(descriptor(&target)), "the target need not exist");
    assert_eq!(image.labels, label_map(&[("k", "v")]));
    assert!(image.created_at.is_some());
    assert_eq!(get(&subject, "docker.io/library/b:1").await.unwrap_err().code(), Code::NotFound);
}

pub(super) async fn a_second_create_already_exists(subject: Subject) {
    let (one, two) = (subject.blob("one"), subject.blob("two"));
    subject.create_image("a", &one, &[]).await;
    let request =
        api::CreateImageRequest { image: Some(subject.image("a", &two, &[])), source_date_epoch: None };
    let refused = subject.images().create(subject.request(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert_eq!(get(&subject, "a").await.unwrap().target, Some(descriptor(&one)));
}

pub(super) async fn an_update_of_a_missing_record_is_not_found(subject: Subject) {
    let image = subject.image("missing", &subject.blob("x"), &[]);
    assert_eq!(update(&subject, image, &["target"]).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(subject.delete_image("missing", false).await.unwrap_err().code(), Code::NotFound);
}

pub(super) async fn a_mask_updates_only_what_it_names(subject: Subject) {
    let (one, two) = (subject.blob("one"), subject.blob("two"));
    subject.create_image("a", &one, &[("keep", "1"), ("change", "1"), ("drop", "1")]).await;
    let incoming = subject.image("a", &two, &[("keep", "x"), ("change", "2")]);
    let updated = update(&subject, incoming.clone(), &["labels.change", "labels.drop"]).await.unwrap();
    assert_eq!(updated.labels, label_map(&[("keep", "1"), ("change", "2")]));
    assert_eq!(updated.target, Some(descriptor(&one)));
    let updated = update(&subject, incoming.clone(), &["target"]).await.unwrap();
    assert_eq!(updated.target, Some(descriptor(&two)));
    assert_eq!(get(&subject, "a").await.unwrap().labels, label_map(&[("keep", "1"), ("change", "2")]));
    let refused = update(&subject, incoming, &["name"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

pub(super) async fn an_update_without_a_mask_replaces_the_record(subject: Subject) {
    let (one, two) = (subject.blob("one"), subject.blob("two"));
    subject.create_image("a", &one, &[("old", "1")]).await;
    let created_at = get(&subject, "a").await.unwrap().created_at;
    update(&subject, subject.image("a", &two, &[("new", "1")]), &[]).await.unwrap();
    let image = get(&subject, "a").await.unwrap();
    assert_eq!(image.labels, label_map(&[("new", "1")]));
    assert_eq!(image.target, Some(descriptor(&two)));
    assert_eq!(image.created_at, created_at);
}

pub(super) async fn incomplete_targets_are_refused(subject: Subject) {
    let good = subject.image("a", &subject.blob("x"), &[]);
    let with = |change: fn(&mut api::Image)| {
        let mut image = good.clone();
        change(&mut image);
        image
    };
    for (what, image) in [
        ("size", with(|image| image.target.as_mut().unwrap().size = 0)),
        ("media type", with(|image| image.target.as_mut().unwrap().media_type.clear())),
        ("digest", with(|image| image.target.as_mut().unwrap().digest = "sha256:1".to_owned())),
        ("name", with(|image| image.name.clear())),
        ("label", with(|image| drop(image.labels.insert("k".to_owned(), "v".repeat(4096))))),
    ] {
        let request = api::CreateImageRequest { image: Some(image), source_date_epoch: None };
        let refused = subject.images().create(subject.request(request)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{what}");
    }
}

pub(super) async fn records_are_listed_by_filter(subject: Subject) {
    let target = subject.blob("x");
    subject.create_image("r.example/a:1", &target, &[("io.test/kind", "base")]).await;
    subject.create_image("r.example/a:2", &target, &[]).await;
    subject.create_image("r.example/b:1", &target, &[]).await;
    let list = async |filters: &[&str]| {
        let filters = filters.iter().map(|&filter| filter.to_owned()).collect();
        let request = subject.request(api::ListImagesRequest { filters });
        let images = subject.images().list(request).await?.into_inner().images;
        Ok::<_, tonic::Status>(images.into_iter().map(|image| image.name).collect::<Vec<_>>())
    };
    assert_eq!(list(&[]).await.unwrap(), ["r.example/a:1", "r.example/a:2", "r.example/b:1"]);
    assert_eq!(list(&["name==r.example/a:2"]).await.unwrap(), ["r.example/a:2"]);
    assert_eq!(list(&["name~=/a:/"]).await.unwrap(), ["r.example/a:1", "r.example/a:2"]);
    assert_eq!(list(&["labels.\"io.test/kind\"==base"]).await.unwrap(), ["r.example/a:1"]);
    let either = ["name==r.example/b:1", "labels.\"io.test/kind\""];
    assert_eq!(list(&either).await.unwrap(), ["r.example/a:1", "r.example/b:1"]);
    let by_digest = format!("target.digest=={},name~=b", target.digest());
    assert_eq!(list(&[&by_digest]).await.unwrap(), ["r.example/b:1"]);
    assert_eq!(list(&["name=="]).await.unwrap_err().code(), Code::InvalidArgument);
}

pub(super) async fn a_delete_can_compare_the_target(subject: Subject) {
    let (one, two) = (subject.blob("one"), subject.blob("two"));
    subject.create_image("a", &one, &[]).await;
    let delete = async |target: &Blob| {
        let target = Some(descriptor(target));
        let request = api::DeleteImageRequest { name: "a".to_owned(), sync: false, target };
        subject.images().delete(subject.request(request)).await
    };
    if subject.version.honours_delete_target() {
        assert_eq!(delete(&two).await.unwrap_err().code(), Code::NotFound);
        get(&subject, "a").await.expect("the record stays");
        delete(&one).await.unwrap();
    } else {
        delete(&two).await.expect("the target is ignored");
    }
    assert_eq!(get(&subject, "a").await.unwrap_err().code(), Code::NotFound);
}

pub(super) async fn namespaces_are_apart(subject: Subject) {
    subject.create_image("a", &subject.blob("x"), &[]).await;
    let other = subject.in_namespace(&format!("{}-other", subject.namespace));
    assert_eq!(get(&other, "a").await.unwrap_err().code(), Code::NotFound);
}
