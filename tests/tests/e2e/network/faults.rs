//! What breaks on the way, and what a server refuses for a while.

use std::time::Duration;

use http::StatusCode;
use sim::registry::Fault;
use tests::{
    Access, FaultyRegistry, Format, Front, Harm, Link, Nginx, Quality, Registry, Relay, State, assert_status,
    certs_d, push, resets, until,
};
use tokio::time::Instant;
use tonic::Code;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_resets_every_twentieth_chunk() -> anyhow::Result<()> {
    let node = super::node().await?;
    let registry = Registry::start(Access::Plain).await?;
    let image = super::incompressible(&[8 << 20, 4 << 20, 1000]);
    push(&registry, "team/app:1", &image, Format::Oci).await?;
    let relay = Relay::start(registry.address(), resets(5.0, 2)).await?;
    certs_d(&node.containerd().certs_d(), &relay.host(), None)?;

    let image_ref = node.images().await?.pull(&format!("{}/team/app:1", relay.host())).await?;
    assert_eq!(image_ref, image.config().digest());
    assert!(relay.harmed() > 3, "{relay:?}");
    let bytes_max = super::blob_bytes(&image) * 105 / 100 + super::OVERHEAD_BYTES;
    assert!(relay.sent_bytes() <= bytes_max, "more than {bytes_max}: {relay:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_ends_early_is_gone_on_with() -> anyhow::Result<()> {
    let node = super::node_without_ranges().await?;
    let registry = Registry::start(Access::Plain).await?;
    let image = super::incompressible(&[4 << 20]);
    push(&registry, "team/app:1", &image, Format::Oci).await?;
    let relay = Relay::start(registry.address(), |_| Harm::Truncate(1 << 20)).await?.at_most(3);
    certs_d(&node.containerd().certs_d(), &relay.host(), None)?;

    let image_ref = node.images().await?.pull(&format!("{}/team/app:1", relay.host())).await?;
    assert_eq!(image_ref, image.config().digest());
    assert_eq!(relay.harmed(), 3);
    let bytes_max = super::blob_bytes(&image) * 105 / 100 + super::OVERHEAD_BYTES;
    assert!(relay.sent_bytes() <= bytes_max, "more than {bytes_max}: {relay:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_an_error_and_leaves_nothing() -> anyhow::Result<()> {
    let node = super::node().await?;
    let registry = Registry::start(Access::Plain).await?;
    let image = super::incompressible(&[4 << 20]);
    push(&registry, "team/app:1", &image, Format::Oci).await?;
    let relay =
        Relay::start(registry.address(), |connection| Harm::Garbage(1 << 20, connection.into())).await?;
    certs_d(&node.containerd().certs_d(), &relay.host(), None)?;

    let result = node.images().await?.pull(&format!("{}/team/app:1", relay.host())).await;
    assert_status(result, Code::DataLoss, &[image.layer_blobs()[0].digest()]);
    assert_eq!(node.state().await?, State::default());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_pull_whose_caller_goes_away_leaves_nothing() -> anyhow::Result<()> {
    let node = super::node_with("[pull]\nresume_within = \"0\"\n").await?;
    let registry = Registry::start(Access::Plain).await?;
    let image = super::incompressible(&[4 << 20]);
    push(&registry, "team/app:1", &image, Format::Oci).await?;
    let relay = Relay::start(registry.address(), |_| Harm::Stall(1 << 20)).await?;
    certs_d(&node.containerd().certs_d(), &relay.host(), None)?;
    let reference = format!("{}/team/app:1", relay.host());

    let mut images = node.images().await?;
    let pulling = tokio::spawn(async move { images.pull(&reference).await });
    until("the layer stalls", Duration::from_secs(30), || async { Ok((relay.harmed() > 0).then_some(())) })
        .await?;
    // Something is there to be left.
    assert_ne!(node.state().await?, State::default());
    pulling.abort();
    until("nothing is left", Duration::from_secs(30), || async {
        Ok((node.state().await? == State::default()).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_errors_of_the_server_are_waited_out() -> anyhow::Result<()> {
    let node = super::node().await?;
    let image = super::incompressible(&[100_000, 50_000]);
    let registry = FaultyRegistry::start(&image, &node.containerd().certs_d()).await?;
    let statuses = [
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    let blobs = image.layer_blobs().iter().chain([image.config(), image.manifest()]);
    for (blob, status) in blobs.zip(statuses) {
        registry.add_fault(blob.digest(), Fault::Status(status, Vec::new()), 1);
    }
    assert_eq!(node.images().await?.pull(&registry.reference()).await?, image.config().digest());
    for status in statuses {
        assert_eq!(registry.answers_of(status), 1, "{status}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_to_wait_is_waited_for() -> anyhow::Result<()> {
    let node = super::node().await?;
    let registry = Registry::start(Access::Plain).await?;
    let image = super::incompressible(&[1000]);
    push(&registry, "team/app:1", &image, Format::Oci).await?;
    let front = Nginx::start(&registry, &Front { throttled: Some(1), ..Front::default() }).await?;
    certs_d(&node.containerd().certs_d(), &front.host(), None)?;
    let reference = format!("{}/team/app:1", front.host());
    let refusals = || -> anyhow::Result<usize> {
        Ok(front.answered()?.iter().filter(|answer| answer.status == 429).count())
    };

    let mut images = node.images().await?;
    let pulling = tokio::spawn(async move { images.pull(&reference).await });
    until("a request is refused", Duration::from_secs(10), || async { Ok((refusals()? > 0).then_some(())) })
        .await?;
    front.relent()?;
    assert_eq!(pulling.await??, image.config().digest());
    let answered = front.all_answered().await?;
    for pair in answered.windows(2).filter(|pair| pair[0].status == 429) {
        // To the millisecond, as the log has it.
        let waited = pair[1].at.saturating_sub(pair[0].at);
        assert!(waited >= Duration::from_millis(999), "{waited:?}: {answered:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_far_link_that_loses_packets() -> anyhow::Result<()> {
    let node = super::node().await?;
    let registry = Registry::start(Access::Plain).await?;
    let image = super::incompressible(&[200_000, 100_000]);
    push(&registry, "team/app:1", &image, Format::Oci).await?;
    let quality = Quality { delay: Duration::from_millis(50), loss_percent: 1.0, rate_bytes: None, seed: 1 };
    let link = Link::new(quality).await?;
    let relay = Relay::on(link.listen().await?, registry.address(), |_| Harm::None)?;
    certs_d(&node.containerd().certs_d(), &relay.host(), None)?;

    let started = Instant::now();
    let image_ref = node.images().await?.pull(&format!("{}/team/app:1", relay.host())).await?;
    assert_eq!(image_ref, image.config().digest());
    // To connect, to resolve, for the manifest, for the config and for the layers, which begin with ten packets or so.
    assert!(started.elapsed() > quality.delay * 2 * 5, "the link was not that far");
    Ok(())
}
