//! The lease of a pull.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use containerd::{Client, LeaseId};
use imagestore::{ImageStore, PullLease, StoreConfig};
use oci::PlatformMatcher;
use refparse::Reference;
use sim::containerd::{Containerd, Options};

const SNAPSHOTTER: &str = "overlayfs";

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn store() -> ImageStore {
    let client = Client::new(Containerd::new(Options::default()).connect(), "k8s.io").unwrap();
    let config = StoreConfig {
        address: "/run/containerd/containerd.sock".to_owned(),
        snapshotter: SNAPSHOTTER.to_owned(),
        platform: PlatformMatcher::host(),
        instance: "test".to_owned(),
        boot: "boot".to_owned(),
        now,
        resume_within: Duration::ZERO,
    };
    ImageStore::new(client, config)
}

async fn lease(store: &ImageStore) -> PullLease {
    store.lease(&Reference::parse("busybox:1").unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_lease_protects_for_a_day_and_says_what_for() {
    let store = store();
    let _lease = lease(&store).await;
    let [listed] = store.client().leases().list().await.unwrap().try_into().unwrap();
    assert_eq!(listed.expires(), Some(now() + Duration::from_secs(24 * 3600)));
    let label = |name: &str| listed.labels.get(name).map(String::as_str);
    assert_eq!(label("cri-imaged.io/reference"), Some("docker.io/library/busybox:1"));
    assert_eq!(label("cri-imaged.io/boot"), Some("boot"));
}

#[tokio::test]
async fn two_pulls_name_their_objects_differently() {
    let store = store();
    let (first, second) = (lease(&store).await, lease(&store).await);
    assert_ne!(first.unique("staging"), second.unique("staging"));
    assert_ne!(first.unique("staging"), first.unique("other"));
}

#[tokio::test]
async fn what_is_not_there_is_not_held_and_no_error() {
    let store = store();
    let lease = lease(&store).await;
    assert!(lease.hold_blob(&oci::sha256(b"not there")).await.unwrap().is_none());
    assert!(!lease.hold_snapshot(SNAPSHOTTER, "not there").await.unwrap());
    let client = lease.client();
    client.snapshots(SNAPSHOTTER).prepare("active", "", &BTreeMap::new()).await.unwrap();
    assert!(lease.hold_snapshot(SNAPSHOTTER, "active").await.unwrap());
}

#[tokio::test]
async fn a_lease_that_is_gone_holds_nothing_and_says_so() {
    let store = store();
    let lease = lease(&store).await;
    let [listed] = store.client().leases().list().await.unwrap().try_into().unwrap();
    store.client().leases().delete(&LeaseId::new(listed.id.as_str()).unwrap(), false).await.unwrap();
    let error = lease.hold_blob(&oci::sha256(b"a blob")).await.unwrap_err();
    assert!(error.to_string().contains("not found"), "{error}");
}
