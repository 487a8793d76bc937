//! Removal, alone and beside pulls.

use futures::future::join_all;

use crate::node::{Node, image, on_host};

#[tokio::test(start_paused = true)]
async fn removal_by_any_name_takes_all_names_and_all_bytes() {
    let node = Node::start().await;
    let digest = node.registry.push("app", Some("1"), &image(1));
    node.registry.push("app", Some("latest"), &image(1));
    for name in
        [on_host("app:1"), on_host("app"), on_host(&format!("app@{digest}")), "ID".into(), "PREFIX".into()]
    {
        node.pull(&on_host("app:1")).await.unwrap();
        let id = node.pull(&on_host("app:latest")).await.unwrap().image_id.to_string();
        let name = match name.as_str() {
            "ID" => id.clone(),
            "PREFIX" => id["sha256:".len()..][..12].to_owned(),
            _ => name,
        };
        node.settle().await;
        node.store.remove(&name).await.unwrap();
        assert!(node.store.list().await.unwrap().is_empty(), "{name}");
        let inventory = node.inventory();
        assert_eq!(
            (inventory.images.len(), inventory.content.len(), inventory.snapshots.len()),
            (0, 0, 0),
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn five_removals_at_once_all_succeed() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    let id = node.pull(&on_host("app:1")).await.unwrap().image_id;
    let outcomes = join_all((0..5).map(|_| node.store.remove(id.as_str()))).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    node.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn removal_keeps_what_another_image_uses() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    node.registry.push("app", Some("2"), &image(2));
    node.pull(&on_host("app:1")).await.unwrap();
    let kept = node.pull(&on_host("app:2")).await.unwrap();
    node.store.remove(&on_host("app:1")).await.unwrap();
    assert!(node.store.status(kept.image_id.as_str()).await.unwrap().is_some());
    assert_eq!(node.inventory().snapshots.len(), 2);
    assert!(node.inventory().content.contains_key(image(2).layer_blobs()[0].digest()));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_not_there_is_removed_already() {
    let node = Node::start().await;
    node.store.remove(&on_host("never:1")).await.unwrap();
    assert_eq!(
        node.store.remove("").await.unwrap_err().to_string(),
        "the image is empty: give a reference, an image id or the beginning of one"
    );
}

#[tokio::test(start_paused = true)]
async fn pull_and_removal_of_one_image_beside_each_other_leave_it_whole_or_gone() {
    for _ in 0..20 {
        let node = Node::start().await;
        node.registry.push("app", Some("1"), &image(1));
        node.pull(&on_host("app:1")).await.unwrap();
        let reference = on_host("app:1");
        let (pulled, removed) = futures::join!(node.pull(&reference), node.store.remove(&reference));
        pulled.unwrap();
        removed.unwrap();
        node.settle().await;
        node.assert_at_rest();
        node.containerd.collect();
        match node.store.status(&reference).await.unwrap() {
            Some(image) => assert_eq!(image.names.len(), 3),
            None => node.assert_empty(),
        }
    }
}
