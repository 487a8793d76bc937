//! Snapshots: keys, parents, references.

use prost_types::FieldMask;
use tonic::Code;

use super::subject::{SNAPSHOTTER, Subject, label_map};
use crate::stub::snapshots as api;

const REFERENCE: &str = "containerd.io/snapshot.ref";

pub(super) async fn a_chain_is_built_bottom_up(subject: Subject) {
    subject.prepare("k1", "", &[]).await.unwrap();
    assert_eq!(subject.stat("k1").await.unwrap().kind(), api::Kind::Active);
    let too_early = subject.prepare("k2", "k1", &[]).await.unwrap_err();
    assert_eq!(too_early.code(), Code::InvalidArgument, "a parent must be committed");
    let missing = subject.prepare("k2", "nothing", &[]).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    subject.commit("k1", "c1", "").await.unwrap();
    assert_eq!(subject.stat("k1").await.unwrap_err().code(), Code::NotFound, "the key is used up");
    subject.prepare("k2", "c1", &[]).await.unwrap();
    subject.commit("k2", "c2", "").await.unwrap();
    let top = subject.stat("c2").await.unwrap();
    assert_eq!((top.kind(), top.parent.as_str()), (api::Kind::Committed, "c1"));
    assert_eq!(subject.commit("k2", "c3", "").await.unwrap_err().code(), Code::NotFound);
    let again = subject.commit("c2", "c3", "").await.unwrap_err();
    assert_eq!(again.code(), Code::FailedPrecondition, "a committed one is not active");
}

pub(super) async fn mounts_are_those_of_an_overlay(subject: Subject) {
    let first = subject.prepare("k1", "", &[]).await.unwrap();
    assert_eq!((first.len(), first[0].r#type.as_str()), (1, "bind"));
    assert!(first[0].source.ends_with("/fs") && first[0].options.contains(&"rw".to_owned()), "{first:?}");
    subject.commit("k1", "c1", "").await.unwrap();
    let second = subject.prepare("k2", "c1", &[]).await.unwrap();
    assert_eq!((second.len(), second[0].r#type.as_str()), (1, "overlay"));
    let option = |name: &str| second[0].options.iter().find_map(|option| option.strip_prefix(name)).unwrap();
    assert_eq!(option("lowerdir="), first[0].source, "the directory stays with the commit");
    assert!(option("upperdir=").ends_with("/fs") && option("workdir=").ends_with("/work"));
    let request = api::MountsRequest { snapshotter: SNAPSHOTTER.to_owned(), key: "k2".to_owned() };
    let mounts = subject.snapshots().mounts(subject.request(request)).await.unwrap().into_inner().mounts;
    assert_eq!(mounts, second);
    let view = api::ViewSnapshotRequest {
        snapshotter: SNAPSHOTTER.to_owned(),
        key: "v".to_owned(),
        parent: "c1".to_owned(),
        labels: Default::default(),
    };
    let view = subject.snapshots().view(subject.request(view)).await.unwrap().into_inner().mounts;
    assert_eq!((view[0].r#type.as_str(), &view[0].source), ("bind", &first[0].source));
    assert!(view[0].options.contains(&"ro".to_owned()));
}

pub(super) async fn the_reference_label_finds_the_committed_one(subject: Subject) {
    subject.prepare("k1", "", &[(REFERENCE, "chain")]).await.unwrap();
    subject.commit("k1", "chain", "").await.unwrap();
    subject.create_lease("l", &[]).await;
    let found = subject.with_lease("l").prepare("k2", "", &[(REFERENCE, "chain")]).await.unwrap_err();
    assert_eq!(found.code(), Code::AlreadyExists);
    assert_eq!(subject.stat("k2").await.unwrap_err().code(), Code::NotFound, "nothing was prepared");
    if subject.version.leases_found_snapshots() {
        assert_eq!(subject.held("l").await, [format!("snapshots/{SNAPSHOTTER} chain")].into());
    }
    subject.prepare("k3", "", &[(REFERENCE, "other")]).await.unwrap();
    let key = subject.prepare("k3", "", &[]).await.unwrap_err();
    assert_eq!(key.code(), Code::AlreadyExists, "a key is used once");
}

pub(super) async fn a_second_commit_already_exists(subject: Subject) {
    subject.prepare("k1", "", &[]).await.unwrap();
    subject.prepare("k2", "", &[]).await.unwrap();
    subject.commit("k1", "c", "").await.unwrap();
    assert_eq!(subject.commit("k2", "c", "").await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(
        subject.stat("k2").await.unwrap().kind(),
        api::Kind::Active,
        "the key is the caller's to remove"
    );
    subject.remove_snapshot("k2").await.unwrap();
    assert_eq!(subject.remove_snapshot("k2").await.unwrap_err().code(), Code::NotFound);
}

pub(super) async fn a_parent_outlives_its_children(subject: Subject) {
    subject.prepare("k1", "", &[]).await.unwrap();
    subject.commit("k1", "c1", "").await.unwrap();
    subject.prepare("k2", "c1", &[]).await.unwrap();
    assert_eq!(subject.remove_snapshot("c1").await.unwrap_err().code(), Code::FailedPrecondition);
    subject.remove_snapshot("k2").await.unwrap();
    subject.remove_snapshot("c1").await.unwrap();
}

pub(super) async fn a_commit_may_name_the_parent(subject: Subject) {
    subject.prepare("k1", "", &[]).await.unwrap();
    subject.commit("k1", "c1", "").await.unwrap();
    subject.prepare("k2", "", &[]).await.unwrap();
    if subject.version.commits_onto_parent() {
        let missing = subject.commit("k2", "c2", "nothing").await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound);
        subject.commit("k2", "c2", "c1").await.unwrap();
        assert_eq!(subject.stat("c2").await.unwrap().parent, "c1");
        assert_eq!(subject.remove_snapshot("c1").await.unwrap_err().code(), Code::FailedPrecondition);
    } else {
        subject.commit("k2", "c2", "c1").await.unwrap();
        assert_eq!(subject.stat("c2").await.unwrap().parent, "", "the field is not known yet");
    }
}

pub(super) async fn labels_are_kept_and_updated(subject: Subject) {
    subject.prepare("k", "", &[("a", "1"), ("b", "2")]).await.unwrap();
    assert_eq!(subject.stat("k").await.unwrap().labels, label_map(&[("a", "1"), ("b", "2")]));
    let info = api::Info { name: "k".to_owned(), labels: label_map(&[("b", "3")]), ..Default::default() };
    let request = api::UpdateSnapshotRequest {
        snapshotter: SNAPSHOTTER.to_owned(),
        info: Some(info),
        update_mask: Some(FieldMask { paths: vec!["labels.b".to_owned()] }),
    };
    subject.snapshots().update(subject.request(request)).await.unwrap();
    assert_eq!(subject.stat("k").await.unwrap().labels, label_map(&[("a", "1"), ("b", "3")]));
    subject.commit("k", "c", "").await.unwrap();
    assert!(subject.stat("c").await.unwrap().labels.is_empty(), "a commit brings its own labels");
}

pub(super) async fn snapshots_are_listed_by_filter(subject: Subject) {
    subject.prepare("k1", "", &[]).await.unwrap();
    subject.commit("k1", "c1", "").await.unwrap();
    subject.prepare("k2", "c1", &[]).await.unwrap();
    let list = async |filters: &[&str]| {
        let filters = filters.iter().map(|&filter| filter.to_owned()).collect();
        let request = api::ListSnapshotsRequest { snapshotter: SNAPSHOTTER.to_owned(), filters };
        let mut responses = subject.snapshots().list(subject.request(request)).await.unwrap().into_inner();
        let mut names = Vec::new();
        while let Some(response) = responses.message().await.unwrap() {
            names.extend(response.info.into_iter().map(|info| info.name));
        }
        names
    };
    assert_eq!(list(&[]).await, ["c1", "k2"]);
    assert_eq!(list(&["kind==committed"]).await, ["c1"]);
    assert_eq!(list(&["parent==c1"]).await, ["k2"]);
    assert_eq!(list(&["name==nothing"]).await, [""; 0]);
}

pub(super) async fn an_unknown_snapshotter_is_an_invalid_argument(subject: Subject) {
    for snapshotter in ["", "nothing"] {
        let request = api::StatSnapshotRequest { snapshotter: snapshotter.to_owned(), key: "k".to_owned() };
        let refused = subject.snapshots().stat(subject.request(request)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "`{snapshotter}`");
    }
}
