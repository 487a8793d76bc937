//! Mirrors: one that fetches by itself what it is asked for, one that dies, one that is not there.

use std::time::Duration;

use tests::{Access, Format, Front, Harm, Link, Nginx, Quality, Registry, Relay, push, small};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_through_cache_serves_as_a_mirror() -> anyhow::Result<()> {
    let node = super::node().await?;
    let origin = Registry::start(Access::TlsAndToken).await?;
    let image = small("through a cache")?;
    push(&origin, "team/app:1", &image, Format::Oci).await?;
    let cache = Registry::cache_of(&origin).await?;
    let front = Nginx::start(&cache, &Front::default()).await?;
    // The registry itself cannot be reached, nor even its name be found.
    let hosts = format!("server = \"https://registry.test\"\n[host.\"http://{}\"]\n", front.host());
    super::configure(&node, "registry.test", &hosts)?;

    let mut images = node.images().await?;
    let image_ref = images.pull_as("registry.test/team/app:1", origin.auth()).await?;
    assert_eq!(image_ref, image.config().digest());
    let answered = front.all_answered().await?;
    assert!(!answered.is_empty());
    for request in &answered {
        assert!(request.target.contains("?ns=registry.test"), "{request:?}");
        assert!(!request.has_authorization, "the registry's credentials went to a mirror: {request:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_goes_on_at_the_registry_where_its_mirror_died() -> anyhow::Result<()> {
    const DIES_AT: u64 = 3 << 20;
    let node = super::node_without_ranges().await?;
    let registry = Registry::start(Access::Plain).await?;
    let image = super::incompressible(&[6 << 20]);
    push(&registry, "team/app:1", &image, Format::Oci).await?;
    let mirror = Relay::start(registry.address(), |_| Harm::Die(DIES_AT)).await?;
    let front = Nginx::start(&registry, &Front::default()).await?;
    let hosts = format!("server = \"http://{}\"\n[host.\"http://{}\"]\n", front.host(), mirror.host());
    super::configure(&node, &front.host(), &hosts)?;

    let image_ref = node.images().await?.pull(&format!("{}/team/app:1", front.host())).await?;
    assert_eq!(image_ref, image.config().digest());
    assert_eq!(mirror.harmed(), 1);
    let answered = front.all_answered().await?;
    let layer = image.layer_blobs()[0].clone();
    let of_layer = answered.iter().filter(|answer| answer.target.contains(layer.digest()));
    // What the mirror sent is not asked for again, in however many ranges the rest comes.
    let (mut begins, mut sent) = (Vec::new(), 0);
    for answer in of_layer {
        assert_eq!(answer.status, 206, "{answer:?}");
        let first = answer.range.strip_prefix("bytes=").and_then(|range| range.split('-').next());
        begins.push(first.and_then(|first| first.parse::<u64>().ok()).unwrap_or_default());
        sent += answer.body_bytes;
    }
    let first = begins.into_iter().min().unwrap_or_default();
    assert!(first > DIES_AT - (1 << 20), "{answered:?}");
    assert!(sent <= layer.size() - first, "{sent} bytes from {first} on: {answered:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_that_is_not_there_costs_one_dial_timeout() -> anyhow::Result<()> {
    let node = super::node().await?;
    let registry = Registry::start(Access::Plain).await?;
    let image = super::incompressible(&[1000; 12]);
    push(&registry, "team/app:1", &image, Format::Oci).await?;
    // Every packet is lost, and counted: what a pull takes depends on the machine, how often it dials does not.
    let lost = Quality { delay: Duration::ZERO, loss_percent: 100.0, rate_bytes: None, seed: 1 };
    let link = Link::new(lost).await?;
    let hosts = format!(
        "server = \"http://{}\"\n[host.\"http://{}:5000\"]\ndial_timeout = \"1s\"\n",
        registry.host(),
        link.far(),
    );
    super::configure(&node, &registry.host(), &hosts)?;
    let image_ref = node.images().await?.pull(&registry.reference("team/app:1")).await?;
    assert_eq!(image_ref, image.config().digest());
    assert_eq!(link.dials(), 1);
    Ok(())
}
