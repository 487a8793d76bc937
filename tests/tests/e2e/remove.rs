//! What the daemon removes is gone in containerd too.

use tests::{Access, Format, Node, Registry, Version, assert_status, push, small};
use tonic::Code;

pub(crate) async fn removed_image_is_gone_in_containerd_too(version: Version) -> anyhow::Result<()> {
    let node = Node::start(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    let before = node.state().await?;
    let image = small("removed")?;
    let digest = push(&registry, "removed:1", &image, Format::Oci).await?;
    push(&registry, "removed:2", &image, Format::Oci).await?;
    let mut images = node.images().await?;
    let by_digest = format!("{}@{digest}", registry.reference("removed"));
    // One name is enough, whichever: the CRI removes the image, not the name.
    for name in [
        registry.reference("removed:1"),
        by_digest,
        image.config().digest().to_owned(),
        image.config().digest()[7..20].to_owned(),
    ] {
        images.pull(&registry.reference("removed:1")).await?;
        images.pull(&registry.reference("removed:2")).await?;
        images.remove(&name).await?;
        for mut cri in [images.clone(), node.containerd().cri().await?] {
            let left: Vec<_> =
                cri.list().await?.into_iter().filter(|listed| listed.id == image.config().digest()).collect();
            assert_eq!(left, [], "after the removal of {name}");
        }
        assert_eq!(node.state().await?, before, "after the removal of {name}");
    }
    Ok(())
}

pub(crate) async fn removal_frees_only_what_no_other_image_uses(version: Version) -> anyhow::Result<()> {
    let node = Node::start(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    // They share their base layer.
    let (kept, removed) = (small("kept")?, small("removed")?);
    push(&registry, "kept:1", &kept, Format::Oci).await?;
    push(&registry, "removed:1", &removed, Format::Oci).await?;
    let mut images = node.images().await?;
    images.pull(&registry.reference("kept:1")).await?;
    let with_kept = node.state().await?;
    images.pull(&registry.reference("removed:1")).await?;

    images.remove(&registry.reference("removed:1")).await?;
    assert_eq!(node.state().await?, with_kept);
    assert_eq!(tests::run_to_end(node.containerd(), kept.config().digest()).await?, "kept\n");
    Ok(())
}

pub(crate) async fn removal_is_idempotent_for_five_at_once(version: Version) -> anyhow::Result<()> {
    let node = Node::start(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    let image = small("five times")?;
    push(&registry, "five:1", &image, Format::Oci).await?;
    let images = node.images().await?;
    images.clone().pull(&registry.reference("five:1")).await?;
    let mut removals = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let (mut images, id) = (images.clone(), image.config().digest().to_owned());
        removals.spawn(async move {
            images.remove(&id).await?;
            // Gone when this very call has returned, whichever of the five it was.
            images.status(&id).await
        });
    }
    for status in removals.join_all().await {
        assert_eq!(status?, None);
    }
    Ok(())
}

pub(crate) async fn unknown_and_empty_names(version: Version) -> anyhow::Result<()> {
    let node = Node::start(version).await?;
    let mut images = node.images().await?;
    let before = node.state().await?;
    images.remove("localhost/never/pulled:1").await?;
    images.remove(&format!("sha256:{}", "0".repeat(64))).await?;
    assert_eq!(images.status("localhost/never/pulled:1").await?, None);
    // Every id begins with an empty prefix: containerd removes the only image there is.
    assert_status(images.remove("").await, Code::InvalidArgument, &["image"]);
    assert_eq!(node.state().await?, before);
    Ok(())
}
