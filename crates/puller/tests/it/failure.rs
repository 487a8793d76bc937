//! What a pull that fails leaves: nothing.

use std::error::Error as _;

use expect_test::{Expect, expect};
use http::StatusCode;
use sim::image::{Compression, ImageBuilder, Layer};
use sim::registry::{Fault, Match, Rule};

use crate::node::{Node, image, on_host};

/// The chain of causes of the failed pull of `app:1`, after which nothing is left.
async fn check(node: &Node, expected: Expect) {
    let error = node.pull(&on_host("app:1")).await.unwrap_err();
    let mut lines = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        lines.push(cause.to_string());
        source = cause.source();
    }
    lines.dedup();
    expected.assert_eq(&lines.join("\n"));
    node.settle().await;
    node.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn an_unknown_image() {
    let node = Node::start().await;
    check(
        &node,
        expect![[r#"
        cannot resolve `localhost:5000/app:1`
        host `localhost:5000`: not found"#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_layer_with_other_bytes() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    node.registry.inject(Rule::new(Match::path(image(1).layer_blobs()[1].digest()), Fault::Corrupt(20)));
    check(&node, expect![[r#"
        verify layer
        blob `sha256:bc945f9336d6941788e066d853dd3eeca503306a5a60c65700aadfd0e4cf998c` has other bytes than announced: their digest is `sha256:a253129fd9d8e1fec44477344d51d09fded089941a550fead7679b3d613b0b02`"#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_the_registry_lost() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    node.registry.remove("app", image(1).layer_blobs()[1].digest());
    check(
        &node,
        expect![[r#"
        pull layer
        cannot fetch `sha256:bc945f9336d6941788e066d853dd3eeca503306a5a60c65700aadfd0e4cf998c`
        host `localhost:5000`: not found (BLOB_UNKNOWN: blob unknown to registry)"#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_stops_for_ever() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    node.registry.inject(Rule::new(Match::path(image(1).layer_blobs()[1].digest()), Fault::Stall(100)));
    check(
        &node,
        expect![[r#"
        pull layer
        cannot fetch `sha256:bc945f9336d6941788e066d853dd3eeca503306a5a60c65700aadfd0e4cf998c`
        host `localhost:5000`: only 100 bytes in 30s"#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_registry_in_trouble() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    node.registry.inject(Rule::new(Match::any(), Fault::Status(StatusCode::BAD_GATEWAY, Vec::new())));
    check(
        &node,
        expect![[r#"
        cannot resolve `localhost:5000/app:1`
        host `localhost:5000`: server answered 502"#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_image_for_another_platform_only() {
    let node = Node::start().await;
    let other =
        ImageBuilder::new().platform("linux", "s390x").layer(Layer::random("x", 10, 9, Compression::None));
    let index = sim::image::Index::new(sim::image::Format::Oci, [other.build()]);
    node.registry.push("app", Some("1"), &index);
    let error = node.pull(&on_host("app:1")).await.unwrap_err();
    let platform = oci::Platform::host();
    assert_eq!(error.to_string(), format!("`{}` has no image for {platform}", on_host("app:1")));
    node.settle().await;
    node.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn a_reset_in_the_middle_of_a_layer_is_no_failure() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    let layer = image(1).layer_blobs()[1].digest().to_owned();
    node.registry.inject(Rule::new(Match::path(&layer), Fault::Reset(15_000)).times(2));
    node.pull(&on_host("app:1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_last_caller_that_goes_away_leaves_nothing() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    node.registry.inject(Rule::new(Match::path(image(1).layer_blobs()[1].digest()), Fault::Stall(100)));
    let reference = on_host("app:1");
    let pulling = node.pull(&reference);
    let cut = tokio::time::timeout(std::time::Duration::from_secs(1), pulling).await;
    assert!(cut.is_err(), "the layer stalls");
    assert_eq!(node.puller.in_flight(), 0);
    node.settle().await;
    node.assert_empty();
}
