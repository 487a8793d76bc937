//! The daemon dies in the middle of a pull.

use tests::{Fault, Node, StubRegistry, Version, certs_d, run_to_end, six_layers};

pub(crate) async fn sigkill_in_mid_pull_leaves_nothing_and_the_next_pull_works(
    version: Version,
) -> anyhow::Result<()> {
    let mut node = Node::start(version).await?;
    let image = six_layers()?;
    // The third of six: some layers are there, some may be under way, some have not begun.
    let stub = StubRegistry::start(&image, Fault::StallHalfway(image.layers[2].digest.clone())).await?;
    certs_d(&node.containerd().certs_d(), &stub.host(), None)?;
    let before = node.state().await?;
    let mut images = node.images().await?;
    let reference = stub.reference("six:1");
    let pulling = tokio::spawn({
        let (mut images, reference) = (images.clone(), reference.clone());
        async move { images.pull(&reference).await }
    });
    stub.stalled().await?;
    node.kill_daemon().await?;
    pulling.await?.expect_err("nobody is left to answer");

    node.start_daemon().await?;
    images = node.images().await?;
    assert_eq!(images.status(&reference).await?, None);
    assert_eq!(node.containerd().cri().await?.status(&reference).await?, None);
    assert_eq!(node.state().await?, before);

    stub.set_fault(Fault::None);
    let image_ref = images.pull(&reference).await?;
    assert_eq!(run_to_end(node.containerd(), &image_ref).await?, tests::SIX_LAYERS_OUTPUT);
    Ok(())
}
