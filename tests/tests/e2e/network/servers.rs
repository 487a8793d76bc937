//! Servers that can less than docker-registry.

use tests::{Access, Format, Front, Harm, Nginx, Registry, Relay, certs_d, push};

/// Pulls an image of one layer from `front`, on connections of which one breaks in the layer's middle.
async fn pull_from(front: &Front) -> anyhow::Result<()> {
    let node = super::node().await?;
    let registry = Registry::start(Access::Plain).await?;
    let image = super::incompressible(&[3 << 20]);
    push(&registry, "team/app:1", &image, Format::Oci).await?;
    let nginx = Nginx::start(&registry, front).await?;
    let relay = Relay::start(nginx.address(), |_| Harm::Reset(1 << 20)).await?.at_most(1);
    certs_d(&node.containerd().certs_d(), &relay.host(), None)?;

    let image_ref = node.images().await?.pull(&format!("{}/team/app:1", relay.host())).await?;
    assert_eq!(image_ref, image.config().digest());
    assert_eq!(relay.harmed(), 1);
    let answered = nginx.all_answered().await?;
    let of_layer: Vec<_> =
        answered.iter().filter(|answer| answer.target.contains(image.layer_blobs()[0].digest())).collect();
    let [broken, again] = of_layer[..] else { panic!("the layer was not asked for twice: {answered:?}") };
    assert!(broken.range.starts_with("bytes=0-") && broken.status == 200, "{answered:?}");
    // All of it; the frame of a body in chunks is counted too.
    assert!(again.range.starts_with("bytes="), "{answered:?}");
    assert!(again.status == 200 && again.body_bytes >= image.layer_blobs()[0].size(), "{again:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ignores_ranges() -> anyhow::Result<()> {
    pull_from(&Front { without_ranges: true, ..Front::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_tell_lengths() -> anyhow::Result<()> {
    pull_from(&Front { without_length: true, ..Front::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_limits_each_connection() -> anyhow::Result<()> {
    let node = super::node().await?;
    let registry = Registry::start(Access::Plain).await?;
    let image = super::incompressible(&[8 << 20]);
    push(&registry, "team/app:1", &image, Format::Oci).await?;
    let front = Front { rate_bytes: Some(1 << 20), ..Front::default() };
    let nginx = Nginx::start(&registry, &front).await?;
    certs_d(&node.containerd().certs_d(), &nginx.host(), None)?;

    let image_ref = node.images().await?.pull(&format!("{}/team/app:1", nginx.host())).await?;
    assert_eq!(image_ref, image.config().digest());
    let answered = nginx.all_answered().await?;
    let layer = &image.layer_blobs()[0];
    let of_layer = answered.iter().filter(|answer| answer.target.contains(layer.digest()));
    let (mut ranges, mut sent) = (0, 0);
    for answer in of_layer {
        assert_eq!(answer.status, 206, "{answer:?}");
        (ranges, sent) = (ranges + 1, sent + answer.body_bytes);
    }
    assert!(ranges > 4, "{answered:?}");
    assert_eq!(sent, layer.size(), "{answered:?}");
    Ok(())
}
