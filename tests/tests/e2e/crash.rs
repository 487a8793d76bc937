//! The daemon dies in the middle of a pull.

use sim::registry::Fault;
use tests::{FaultyRegistry, Node, SIX_LAYERS_OUTPUT, Version, run_to_end, six_layers};

pub(crate) async fn sigkill_in_mid_pull_leaves_nothing_and_the_next_pull_works(
    version: Version,
) -> anyhow::Result<()> {
    let mut node = Node::start(version).await?;
    let image = six_layers()?;
    let registry = FaultyRegistry::start(&image, &node.containerd().certs_d()).await?;
    // The third of six: some layers are there, some may be under way, some have not begun.
    let stalled = &image.layer_blobs()[2];
    registry.set_fault(stalled.digest(), Fault::Stall(stalled.size() / 2));
    let before = node.state().await?;
    let reference = registry.reference();
    let pulling = tokio::spawn({
        let (mut images, reference) = (node.images().await?, reference.clone());
        async move { images.pull(&reference).await }
    });
    registry.asked_for(stalled.digest()).await?;
    node.kill_daemon().await?;
    pulling.await?.expect_err("nobody is left to answer");

    node.start_daemon_with("[pull]\nresume_within = \"0\"\n").await?;
    let mut images = node.images().await?;
    assert_eq!(images.status(&reference).await?, None);
    assert_eq!(node.containerd().cri().await?.status(&reference).await?, None);
    assert_eq!(node.state().await?, before);

    registry.heal();
    let image_ref = images.pull(&reference).await?;
    assert_eq!(run_to_end(node.containerd(), &image_ref).await?, SIX_LAYERS_OUTPUT);
    Ok(())
}
