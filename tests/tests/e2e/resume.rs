//! Pulls that are interrupted in the middle of a layer, and the next pull.

use std::time::Duration;

use anyhow::Context as _;
use sim::image::{Artifact, Blob, Compression, Image, ImageBuilder, Layer, Pushable as _};
use sim::registry::Fault;
use tests::{FaultyRegistry, Node, State, Version, until};
use tokio::task::JoinHandle;

/// Of the second layer's bytes, those that have come when it stalls.
const STALLED_AT: u64 = 5 << 20;

/// What may be on its way to containerd's disk when a pull ends: messages that were not answered.
const UNWRITTEN_MAX: u64 = 3 << 20;

/// What an archive has before the bytes of its file, in a write of it.
const HEAD: u64 = 512;

/// One stream for a layer: how ranges are shared out over several depends on the pace of the machine.
const ONE_STREAM: &str = "range_width = 1\n";

/// A pull that waits for the rest of its second layer.
struct Stalled {
    node: Node,
    registry: FaultyRegistry,
    image: Image,
    pulling: JoinHandle<anyhow::Result<String>>,
}

impl Stalled {
    async fn start(version: Version) -> anyhow::Result<Stalled> {
        let mut node = Node::beside(tests::Containerd::start(version).await?).await?;
        node.kill_daemon().await?;
        node.start_daemon_with(ONE_STREAM).await?;
        let layer = |seed, bytes| Layer::random("data", bytes, seed, Compression::Gzip);
        let image = ImageBuilder::new().layer(layer(1, 1 << 20)).layer(layer(2, 8 << 20)).build();
        let registry = FaultyRegistry::start(&image, &node.containerd().certs_d()).await?;
        let [first, second] = image.layer_blobs() else { unreachable!("it was built of two") };
        registry.set_fault(second.digest(), Fault::Stall(STALLED_AT));
        let pulling = tokio::spawn({
            let (mut images, reference) = (node.images().await?, registry.reference());
            async move { Ok(images.pull(&reference).await?) }
        });
        // The daemon begins the second layer's write before it asks for it, so containerd may not have got a byte yet.
        let (first, second) = (first.digest().to_owned(), format!("layer-{}", second.digest()));
        until("the first layer is there and the second one under way", Duration::from_secs(30), || async {
            let is_there = node.state().await?.content.contains(&first);
            let offset = State::ingest_offset(node.containerd(), &second).await?;
            Ok((is_there && offset + UNWRITTEN_MAX >= STALLED_AT).then_some(()))
        })
        .await?;
        Ok(Stalled { node, registry, image, pulling })
    }

    /// The next pull asks for nothing that came, and leaves what any pull leaves.
    async fn next_fetches_the_rest(self) -> anyhow::Result<()> {
        let Stalled { node, registry, image, .. } = self;
        registry.heal();
        let image_ref = node.images().await?.pull(&registry.reference()).await?;
        assert_eq!(image_ref, image.config().digest());
        let [first, second] = image.layer_blobs() else { unreachable!("it was built of two") };
        for blob in [first, image.config()] {
            assert_eq!(registry.ranges_of(blob.digest()), [None], "asked for once");
        }
        assert_gone_on(&registry, second.digest())?;
        let state = node.state().await?;
        let documents = [image.manifest(), image.config()];
        let blobs = image.layer_blobs().iter().chain(documents).map(Blob::digest).map(str::to_owned);
        assert_eq!(state.content, blobs.collect());
        assert_eq!((state.ingests.len(), state.snapshots.len(), state.leases.len()), (0, 2, 0), "{state:?}");
        Ok(())
    }
}

/// The last request for the blob was for about what had not come.
fn assert_gone_on(registry: &FaultyRegistry, digest: &str) -> anyhow::Result<()> {
    let ranges = registry.ranges_of(digest);
    let [None, .., Some(rest)] = ranges.as_slice() else { panic!("{ranges:?}") };
    let from: u64 =
        rest.strip_prefix("bytes=").and_then(|rest| rest.split('-').next()).context("a range")?.parse()?;
    assert!((STALLED_AT - UNWRITTEN_MAX..=STALLED_AT).contains(&from), "{rest}");
    Ok(())
}

pub(crate) async fn a_killed_pull_is_gone_on_with_where_it_was(version: Version) -> anyhow::Result<()> {
    let mut stalled = Stalled::start(version).await?;
    stalled.node.kill_daemon().await?;
    (&mut stalled.pulling).await?.expect_err("nobody is left to answer");
    stalled.node.start_daemon_with(ONE_STREAM).await?;
    stalled.next_fetches_the_rest().await
}

pub(crate) async fn a_pull_given_up_is_gone_on_with_where_it_was(version: Version) -> anyhow::Result<()> {
    let stalled = Stalled::start(version).await?;
    stalled.pulling.abort();
    until("the pull is put away", Duration::from_secs(30), || async {
        let leases = stalled.node.state().await?.leases;
        Ok(leases.iter().all(|lease| lease.ends_with("-next")).then_some(()))
    })
    .await?;
    stalled.next_fetches_the_rest().await
}

pub(crate) async fn a_file_of_a_killed_pull_is_gone_on_with_where_it_was(
    version: Version,
) -> anyhow::Result<()> {
    let mut node = Node::beside(tests::Containerd::start(version).await?).await?;
    node.kill_daemon().await?;
    node.start_daemon_with(ONE_STREAM).await?;
    let weights: Vec<u8> = (0..8u32 << 20).map(|at| (at % 251) as u8).collect();
    let model = Artifact::new([("weights.bin", weights)]);
    let registry = FaultyRegistry::start(&model, &node.containerd().certs_d()).await?;
    let weights = model.blobs()[0].digest().to_owned();
    registry.set_fault(&weights, Fault::Stall(STALLED_AT));
    let pulling = tokio::spawn({
        let (mut images, reference) = (node.images().await?, registry.reference());
        async move { images.pull(&reference).await }
    });
    until("the file is under way", Duration::from_secs(30), || async {
        // The name of its write is that of an archive whose digest is not known yet.
        let ingests = node.state().await?.ingests;
        let Some(archive) = ingests.iter().find(|name| name.starts_with("layer-")) else { return Ok(None) };
        let offset = State::ingest_offset(node.containerd(), archive).await?;
        Ok((offset + UNWRITTEN_MAX >= STALLED_AT + HEAD).then_some(()))
    })
    .await?;
    node.kill_daemon().await?;
    pulling.await?.expect_err("nobody is left to answer");
    node.start_daemon_with(ONE_STREAM).await?;
    registry.heal();
    let image_ref = node.images().await?.pull(&registry.reference()).await?;
    assert_eq!(image_ref, model.config().digest());
    assert_gone_on(&registry, &weights)?;
    let state = node.state().await?;
    assert!(state.content.contains(model.layers()[0].diff_id()), "{state:?}");
    assert_eq!((state.ingests.len(), state.snapshots.len(), state.leases.len()), (0, 1, 0), "{state:?}");
    Ok(())
}
