//! What pulls learn from each other about hosts: out of reach, back again, in need of patience.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use registry::{Dialer, Kind};
use tokio::time::Instant;

use crate::support::{MANIFEST, Network, Reply, World, descriptor_of, line};

const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// `r.test` with the mirror `m.test`, which takes every dial and answers none until it is served.
fn black_hole() -> (World, Network) {
    let network = Network::default();
    let reachable = network.clone();
    let dialer = Dialer::new(tower::service_fn(move |uri: http::Uri| {
        let network = reachable.clone();
        async move {
            match network.dial_if_served(&uri) {
                Some(dialled) => dialled,
                None => std::future::pending().await,
            }
        }
    }));
    let world = World::configured(|_config| {}, Some(dialer))
        .hosts("r.test", "server = \"http://r.test\"\n[host.\"http://m.test\"]");
    (world, network)
}

async fn pull(world: &World) -> Result<Duration, registry::FetchError> {
    let before = Instant::now();
    let session = world.session("r.test/app:1");
    session.manifest(&descriptor_of(MANIFEST)).await?;
    session.blob(&descriptor_of(MANIFEST), 0).await?;
    Ok(before.elapsed())
}

fn dials(network: &Network, host: &str) -> usize {
    network.dialled().iter().filter(|address| *address == host).count()
}

#[tokio::test(start_paused = true)]
async fn a_dead_mirror_costs_one_pull_one_dial_timeout_and_later_pulls_nothing() {
    let (world, network) = black_hole();
    network.serve("r.test:80", |_| Reply::ok(MANIFEST));
    assert_eq!(pull(&world).await.unwrap(), DIAL_TIMEOUT);
    for _ in 0..20 {
        assert_eq!(pull(&world).await.unwrap(), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(30)).await;
    }
    // Ten minutes: the first dial, then probes after 5, 10, 20 ... seconds and at most two minutes.
    assert!((4..12).contains(&dials(&network, "m.test:80")), "{}", dials(&network, "m.test:80"));
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_is_back_is_found_by_a_probe_and_used_first() {
    let (world, network) = black_hole();
    network.serve("r.test:80", |_| Reply::ok(MANIFEST));
    pull(&world).await.unwrap();
    network.serve("m.test:80", |_| Reply::ok(MANIFEST));
    tokio::time::advance(Duration::from_secs(5)).await;
    // This one sends the probe, and does not wait for it.
    assert_eq!(pull(&world).await.unwrap(), Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let before = network.seen().len();
    pull(&world).await.unwrap();
    assert!(network.seen()[before..].iter().all(|seen| seen.server == "m.test:80"));
    let probe = network.seen().into_iter().find(|seen| seen.server == "m.test:80").unwrap();
    assert_eq!((probe.method.as_str(), probe.target.as_str()), ("GET", "/v2/?ns=r.test"));
    assert_eq!(probe.header("authorization"), None);
}

/// A mirror that answers, and sends those who want blobs to a storage that does not.
fn redirect_to_storage(network: &Network) {
    network.serve("m.test:80", |seen| match seen.target.contains("/blobs/") {
        true => Reply::new(307).header("location", "http://s.test/blob?signature=secret"),
        false => Reply::ok(MANIFEST),
    });
}

#[tokio::test(start_paused = true)]
async fn a_mirror_whose_storage_is_dead_costs_one_pull_one_dial_timeout_and_later_pulls_nothing() {
    let (world, network) = black_hole();
    network.serve("r.test:80", |_| Reply::ok(MANIFEST));
    redirect_to_storage(&network);
    assert_eq!(pull(&world).await.unwrap(), DIAL_TIMEOUT);
    for _ in 0..20 {
        assert_eq!(pull(&world).await.unwrap(), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(30)).await;
    }
    assert!((4..12).contains(&dials(&network, "s.test:80")), "{}", dials(&network, "s.test:80"));
    let manifests = network.seen().into_iter().filter(|seen| seen.target.contains("/manifests/"));
    let of_mirror = manifests.filter(|seen| seen.server == "m.test:80").count();
    assert!(of_mirror > 10, "the mirror itself is asked as before: {of_mirror}");
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_is_back_is_found_by_a_probe_that_shows_no_signature() {
    let (world, network) = black_hole();
    network.serve("r.test:80", |_| Reply::ok(MANIFEST));
    redirect_to_storage(&network);
    pull(&world).await.unwrap();
    network.serve("s.test:80", |seen| match seen.target.as_str() {
        "/" => Reply::new(403),
        _ => Reply::ok(MANIFEST),
    });
    tokio::time::advance(Duration::from_secs(5)).await;
    // This one sends the probes, and does not wait for them.
    assert_eq!(pull(&world).await.unwrap(), Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let before = network.seen().len();
    pull(&world).await.unwrap();
    let seen = network.seen();
    assert!(seen[before..].iter().any(|seen| seen.server == "s.test:80"), "{seen:?}");
    assert!(seen[before..].iter().all(|seen| seen.server != "r.test:80"), "{seen:?}");
    let at_storage: Vec<_> = seen.iter().filter(|seen| seen.server == "s.test:80").collect();
    assert_eq!(at_storage[0].target, "/", "the probe");
    assert!(at_storage.iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test(start_paused = true)]
async fn the_registrys_last_word_is_not_kept_back_by_a_dead_mirror() {
    let (world, network) = black_hole();
    network.serve("r.test:80", |_| Reply::new(404));
    pull(&world).await.unwrap_err();
    let before = Instant::now();
    let error = pull(&world).await.unwrap_err();
    assert_eq!((before.elapsed(), error.kind()), (Duration::ZERO, Kind::NotFound));
    assert!(
        line(&error).ends_with(
            "host `m.test`: not asked, out of reach: no connection to `m.test:80` within 30s; \
             host `r.test`: not found"
        ),
        "{}",
        line(&error)
    );
}

#[tokio::test(start_paused = true)]
async fn the_registry_itself_is_always_asked() {
    let (world, network) = black_hole();
    network.serve("m.test:80", |_| Reply::new(404));
    assert_eq!(pull(&world).await.unwrap_err().kind(), Kind::Unreachable);
    network.serve("r.test:80", |_| Reply::ok(MANIFEST));
    pull(&world).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_host_that_asks_one_pull_for_patience_gets_it_from_all_and_no_other_host_does() {
    let world = World::new().hosts("other.test", "server = \"http://other.test\"");
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    world.network.serve("r.test:80", move |_| {
        let is_first = count.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first { Reply::new(429).header("retry-after", "7") } else { Reply::ok(MANIFEST) }
    });
    world.network.serve("other.test:80", |_| Reply::ok(MANIFEST));
    let limited = tokio::spawn({
        let session = world.session("r.test/app:1");
        async move { session.manifest(&descriptor_of(MANIFEST)).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = Instant::now();
    world.session("other.test/app:1").manifest(&descriptor_of(MANIFEST)).await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
    world.session("r.test/app:1").manifest(&descriptor_of(MANIFEST)).await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 6);
    limited.await.unwrap().unwrap();
    assert_eq!(requests.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn ten_seconds_of_rate_limit_are_outlasted() {
    let world = World::new();
    let begin = Instant::now();
    world.network.serve("r.test:80", move |_| {
        let is_limited = begin.elapsed() < Duration::from_secs(10);
        if is_limited { Reply::new(429).header("retry-after", "1") } else { Reply::ok(MANIFEST) }
    });
    pull(&world).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(12));
}

#[tokio::test(start_paused = true)]
async fn the_requests_of_a_pull_share_their_retries() {
    let world = World::new();
    world.network.serve("r.test:80", |_| Reply::new(503));
    let session = world.session("r.test/app:1");
    for _ in 0..40 {
        session.manifest(&descriptor_of(MANIFEST)).await.unwrap_err();
    }
    assert_eq!(world.network.seen().len(), 40 + 64);
}
