//! What someone else changes in containerd is right in our list within a second.

use std::collections::BTreeSet;
use std::time::Duration;

use tests::{Access, Format, Node, Registry, Version, push, small, until};

/// The promise.
const DEADLINE: Duration = Duration::from_secs(1);

/// A node that has pulled `back:1`, whose registry also has another image as `back:2`.
struct Scene {
    node: Node,
    registry: Registry,
    tag: String,
    by_digest: String,
    others: BTreeSet<String>,
}

impl Scene {
    async fn new(version: Version) -> anyhow::Result<Self> {
        let node = Node::start(version).await?;
        let registry = Registry::start(Access::Plain).await?;
        registry.announce(&node.containerd().certs_d())?;
        let digest = push(&registry, "back:1", &small("one")?, Format::Oci).await?;
        push(&registry, "back:2", &small("two")?, Format::Oci).await?;
        let others = node.images().await?.names().await?;
        let tag = registry.reference("back:1");
        node.images().await?.pull(&tag).await?;
        let by_digest = format!("{}@{digest}", registry.reference("back"));
        Ok(Self { node, registry, tag, by_digest, others })
    }

    /// Waits until our list shows the names of `expected` and those that were there before.
    async fn list_becomes(&self, expected: &[&str]) -> anyhow::Result<()> {
        let mut expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        expected.extend(self.others.iter().cloned());
        let images = self.node.images().await?;
        until(&format!("the list becomes {expected:?}"), DEADLINE, || {
            let (mut images, expected) = (images.clone(), &expected);
            async move { Ok((images.names().await? == *expected).then_some(())) }
        })
        .await
    }
}

pub(crate) async fn tag_removed_by_ctr(version: Version) -> anyhow::Result<()> {
    let scene = Scene::new(version).await?;
    scene.node.containerd().ctr(&["images", "remove", &scene.tag]).await?;
    scene.list_becomes(&[&scene.by_digest]).await
}

pub(crate) async fn image_removed_by_ctr(version: Version) -> anyhow::Result<()> {
    let scene = Scene::new(version).await?;
    let id = scene.node.images().await?.status(&scene.tag).await?.expect("the image is there").id;
    scene.node.containerd().ctr(&["images", "remove", &scene.tag, &scene.by_digest, &id]).await?;
    scene.list_becomes(&[]).await
}

pub(crate) async fn tag_moved_by_ctr(version: Version) -> anyhow::Result<()> {
    let scene = Scene::new(version).await?;
    let second = scene.registry.reference("back:2");
    scene.node.images().await?.pull(&second).await?;
    let moved = scene.node.images().await?.status(&second).await?.expect("the second image is there");
    scene.node.containerd().ctr(&["images", "tag", "--force", &second, &scene.tag]).await?;
    scene.list_becomes(&[&scene.tag, &scene.by_digest, &second, &moved.repo_digests[0]]).await?;
    let tagged = scene.node.images().await?.status(&scene.tag).await?.expect("the tag is there");
    assert_eq!((tagged.id, tagged.repo_tags), (moved.id, vec![scene.tag, second]));
    Ok(())
}

pub(crate) async fn image_pulled_by_containerd(version: Version) -> anyhow::Result<()> {
    let scene = Scene::new(version).await?;
    let second = scene.registry.reference("back:2");
    let mut theirs = scene.node.containerd().cri().await?;
    theirs.pull(&second).await?;
    let pulled = theirs.status(&second).await?.expect("containerd has pulled it");
    scene.list_becomes(&[&scene.tag, &scene.by_digest, &second, &pulled.repo_digests[0]]).await?;
    assert_eq!(scene.node.images().await?.status(&second).await?, Some(pulled));
    Ok(())
}

/// The event stream breaks; what changed meanwhile must still be noticed.
pub(crate) async fn containerd_restarted(version: Version) -> anyhow::Result<()> {
    let mut scene = Scene::new(version).await?;
    scene.node.containerd_mut().stop().await?;
    scene.node.containerd_mut().start_again().await?;
    scene.node.containerd().ctr(&["images", "remove", &scene.tag]).await?;
    until("the list is right after the restart", Duration::from_secs(10), || {
        let (node, tag) = (&scene.node, &scene.tag);
        async move {
            let names = node.images().await?.names().await;
            Ok(names.is_ok_and(|names| !names.contains(tag)).then_some(()))
        }
    })
    .await?;
    scene.list_becomes(&[&scene.by_digest]).await?;
    // The stream is up again, not only the list read once more.
    scene.node.containerd().ctr(&["images", "remove", &scene.by_digest]).await?;
    scene.node.images().await?.pull(&scene.registry.reference("back:2")).await?;
    Ok(())
}
