//! Docker schema 1 images: they run, and are what containerd 1.6 and 1.7 make of them, to the byte.

use serde_json::json;
use sim::image::{Image, ImageBuilder};
use tests::{
    Access, Containerd, Daemon, DaemonConfig, Format, Node, Registry, State, Version, assert_status,
    busybox_layer, push, push_schema1, push_schema1_of, run_to_end, small,
};
use tonic::Code;

/// A node, and a registry with `image` as `old:new`.
async fn world(version: Version, image: &Image) -> anyhow::Result<(Node, Registry)> {
    let node = Node::start(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    push(&registry, "old:new", image, Format::DockerV2).await?;
    Ok((node, registry))
}

/// An image that prints `text`. It has one layer and one entry of history: the registry makes schema 1 by the latter.
fn one_layer(text: &str) -> anyhow::Result<Image> {
    Ok(ImageBuilder::new().layer(busybox_layer()?).command(&["/bin/echo", text]).build())
}

/// Pulls `reference` through the daemon, and through the CRI plugin of a containerd of its own where that still converts:
/// both name the same image, and their containerds hold the same records, content and snapshots.
async fn pull_beside_containerd(node: &Node, registry: &Registry, reference: &str) -> anyhow::Result<String> {
    let before = node.state().await?;
    let image_ref = node.images().await?.pull(reference).await?;
    // Again: the same image, whatever of it is there.
    assert_eq!(node.images().await?.pull(reference).await?, image_ref);
    let version = node.containerd().version();
    if version == Version::V2 {
        return Ok(image_ref);
    }
    let other = Containerd::start(version).await?;
    other.import_sandbox_image().await?;
    assert_eq!(State::after_collection(&other).await?, before);
    registry.announce(&other.certs_d())?;
    assert_eq!(other.cri().await?.pull(reference).await?, image_ref, "containerd's image id");
    assert_eq!(node.state().await?, State::after_collection(&other).await?);
    let (mut ours, mut theirs) = (node.images().await?, other.cri().await?);
    assert_eq!(ours.status(reference).await?, theirs.status(reference).await?);
    // What containerd has made is known for what it is.
    let daemon = Daemon::start(&other).await?;
    let held = State::after_collection(&other).await?;
    assert_eq!(daemon.cri().await?.pull(reference).await?, image_ref);
    assert_eq!(State::after_collection(&other).await?, held);
    Ok(image_ref)
}

pub(crate) async fn image_that_the_registry_made_of_a_newer_one(version: Version) -> anyhow::Result<()> {
    let (node, registry) = world(version, &one_layer("made by the registry")?).await?;
    push_schema1_of(&registry, "old", "new", "1").await?;
    let reference = registry.reference("old:1");
    let image_ref = pull_beside_containerd(&node, &registry, &reference).await?;
    assert_eq!(run_to_end(node.containerd(), &image_ref).await?, "made by the registry\n");
    let listed =
        node.containerd().cri().await?.status(&image_ref).await?.expect("containerd knows the image");
    assert_eq!((listed.repo_tags, listed.repo_digests), (vec![reference], vec![]));
    Ok(())
}

/// With all that a config may have, and all that is written in another way than it was read.
pub(crate) async fn image_that_was_signed_ten_years_ago(version: Version) -> anyhow::Result<()> {
    let (node, registry) = world(version, &small("signed")?).await?;
    let base = json!({
        "id": "a".repeat(64), "created": "2015-10-31T22:22:54.690851953+01:00", "Size": 1_100_000,
        "container_config": { "Cmd": ["/bin/sh", "-c", "#(nop) ADD file:1 in / && echo <done>"] },
        "os": "linux", "architecture": "amd64", "docker_version": "1.8.2", "config": {},
    });
    let env = json!({
        "id": "b".repeat(64), "parent": "a".repeat(64), "created": "2015-10-31T22:22:55.100Z", "Size": 0,
        "container_config": { "Cmd": ["/bin/sh", "-c", "#(nop) ENV A=1"] }, "comment": "caf\u{e9} \u{2028}",
    });
    let top = json!({
        "id": "c".repeat(64), "parent": "b".repeat(64), "created": "2015-10-31T22:22:55.613815829Z",
        "container": "d".repeat(64), "docker_version": "1.9.1", "author": "A & B <a@b>", "os": "linux",
        "architecture": "amd64", "throwaway": false, "checksum": "tarsum", "layer_id": "x",
        "container_config": { "Cmd": null },
        "config": {
            "Hostname": "h", "User": "1000:1000", "Env": ["PATH=/bin", "TEXT=\u{1f600}\t\"<&>\u{7f}"],
            "Cmd": ["/bin/cat", "/message"], "Entrypoint": null, "WorkingDir": "/etc", "OnBuild": [],
            "ExposedPorts": { "8080/tcp": {}, "53/udp": {} }, "Volumes": { "/data": {} },
            "Labels": { "z": "last", "a": "first <b>" }, "StopSignal": "SIGQUIT", "Image": "sha256:1",
        },
    });
    push_schema1(&registry, "old", "new", "1", &[(base, true), (env, false), (top, true)]).await?;
    let image_ref = pull_beside_containerd(&node, &registry, &registry.reference("old:1")).await?;
    assert_eq!(run_to_end(node.containerd(), &image_ref).await?, "signed\n");
    Ok(())
}

pub(crate) async fn image_by_digest(version: Version) -> anyhow::Result<()> {
    let (node, registry) = world(version, &one_layer("by digest")?).await?;
    let digest = push_schema1_of(&registry, "old", "new", "1").await?;
    let reference = format!("{}@{digest}", registry.reference("old"));
    let image_ref = pull_beside_containerd(&node, &registry, &reference).await?;
    for mut cri in [node.images().await?, node.containerd().cri().await?] {
        let status = cri.status(&reference).await?.expect("the image is there");
        assert_eq!((status.repo_tags, status.repo_digests), (vec![], vec![reference.clone()]));
    }
    assert_eq!(run_to_end(node.containerd(), &image_ref).await?, "by digest\n");
    node.images().await?.remove(&image_ref).await?;
    assert!(!node.state().await?.records.contains_key(&image_ref));
    Ok(())
}

pub(crate) async fn image_is_refused_where_it_is_switched_off(version: Version) -> anyhow::Result<()> {
    let containerd = Containerd::start(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&containerd.certs_d())?;
    push(&registry, "old:new", &one_layer("refused")?, Format::DockerV2).await?;
    push_schema1_of(&registry, "old", "new", "1").await?;
    let before = State::after_collection(&containerd).await?;
    // The table that is open at the end of the file is `[registry]`.
    let more = "schema1 = \"reject\"\n".to_owned();
    let daemon =
        Daemon::start_with(&containerd, &DaemonConfig { more, ..Daemon::config(&containerd) }).await?;
    let reference = registry.reference("old:1");
    let result = daemon.cri().await?.pull(&reference).await;
    assert_status(
        result,
        Code::Unimplemented,
        &[&reference, "Docker schema 1 images are switched off on this node"],
    );
    assert_eq!(State::after_collection(&containerd).await?, before);
    Ok(())
}
