//! A daemon that starts after one that was cut off.

use std::time::Duration;

use sim::registry::{Fault, Match, Rule};

use crate::node::{Node, image, on_host};

#[tokio::test(start_paused = true)]
async fn a_pull_that_was_cut_off_in_a_layer_leaves_nothing_after_the_restart() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    node.registry.inject(Rule::new(Match::path(image(1).layer_blobs()[1].digest()), Fault::Stall(100)));
    let reference = on_host("app:1");
    {
        let pulling = node.pull(&reference);
        assert!(tokio::time::timeout(Duration::from_secs(1), pulling).await.is_err());
        // Cut off before the runtime runs the task that would give the lease back.
        let abandoned = node.inventory();
        assert_eq!(abandoned.leases.len(), 1);
    }
    let (containerd, registry) = node.kill();
    registry.heal();
    let node = Node::beside(containerd, registry, "second").await;
    node.assert_empty();
    node.pull(&reference).await.unwrap();
    assert_eq!(node.store.list().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_was_cut_off_between_its_records_is_completed_after_the_restart() {
    let node = Node::start().await;
    let digest = node.registry.push("app", Some("1"), &image(1));
    let reference = refparse::Reference::parse(&on_host("app:1")).unwrap();
    let pulled = node.pull(reference.as_str()).await.unwrap();
    node.settle().await;
    // The state between the id record and the others: a lease that holds everything, and the id record alone.
    let lease = node.store.lease(&reference).await.unwrap();
    let images = lease.client().images();
    for blob in std::iter::once(digest.as_str()).chain([pulled.image_id.as_str()]) {
        let descriptor = oci::Descriptor::new("m", refparse::Digest::parse(blob).unwrap(), 0);
        lease.client().content().ingest("again", &descriptor).await.unwrap();
    }
    for name in [reference.as_str().to_owned(), on_host(&format!("app@{digest}"))] {
        images.delete(&name, None, true).await.unwrap();
    }
    std::mem::forget(lease);
    let (containerd, registry) = node.kill();
    let node = Node::beside(containerd, registry, "second").await;
    node.assert_at_rest();
    let status = node.store.status(reference.as_str()).await.unwrap().unwrap();
    assert_eq!(status.names.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn leases_of_other_clients_are_left_alone() {
    let node = Node::start().await;
    let leases = node.store.client().leases();
    let expires = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    leases.create("theirs", expires, Default::default()).await.unwrap();
    let (containerd, registry) = node.kill();
    let node = Node::beside(containerd, registry, "second").await;
    assert!(node.inventory().leases.contains_key("theirs"));
}
