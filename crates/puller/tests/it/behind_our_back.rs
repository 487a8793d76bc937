//! Other clients of containerd: what they do to records shows in the index, what they do to bytes shows when asked.

use crate::node::{Node, image, on_host};

#[tokio::test(start_paused = true)]
async fn a_record_that_another_client_deletes_leaves_the_index() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    let id = node.pull(&on_host("app:1")).await.unwrap().image_id;
    let images = node.store.client().images();
    images.delete(&on_host("app:1"), None, false).await.unwrap();
    node.settle().await;
    let status = node.store.status(id.as_str()).await.unwrap().unwrap();
    assert!(status.repo_tags.is_empty());
    for name in status.names.clone() {
        images.delete(&name, None, false).await.unwrap();
    }
    node.settle().await;
    assert!(node.store.list().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_another_client_adds_joins_its_image() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    let id = node.pull(&on_host("app:1")).await.unwrap().image_id;
    let images = node.store.client().images();
    let mut record = images.get(&on_host("app:1")).await.unwrap();
    record.name = "example.com/other:2".into();
    images.create(&record).await.unwrap();
    node.settle().await;
    let status = node.store.status(id.as_str()).await.unwrap().unwrap();
    assert_eq!(status.repo_tags, ["example.com/other:2".to_owned(), on_host("app:1")]);
}

#[tokio::test(start_paused = true)]
async fn an_image_whose_snapshot_vanished_is_absent_and_healed_by_the_next_pull() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    let id = node.pull(&on_host("app:1")).await.unwrap().image_id;
    let top = image(1).chain_ids().pop().unwrap();
    node.store.client().snapshots("overlayfs").remove(&top).await.unwrap();
    assert!(node.store.status(id.as_str()).await.unwrap().is_none());
    assert!(node.store.list().await.unwrap().is_empty());
    node.pull(&on_host("app:1")).await.unwrap();
    assert!(node.store.status(id.as_str()).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn an_image_whose_config_vanished_is_absent_and_healed_by_the_next_pull() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    let id = node.pull(&on_host("app:1")).await.unwrap().image_id;
    node.store.client().content().delete(id.digest()).await.unwrap();
    assert!(node.store.status(id.as_str()).await.unwrap().is_none());
    assert!(node.store.list().await.unwrap().is_empty());
    node.pull(&on_host("app:1")).await.unwrap();
    assert!(node.store.status(id.as_str()).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_containerd_that_restarts_is_followed_again() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    node.pull(&on_host("app:1")).await.unwrap();
    node.containerd.restart();
    node.settle().await;
    node.until_ready().await;
    let images = node.store.client().images();
    images.delete(&on_host("app:1"), None, false).await.unwrap();
    node.settle().await;
    assert!(node.store.status(&on_host("app:1")).await.unwrap().is_none());
}
