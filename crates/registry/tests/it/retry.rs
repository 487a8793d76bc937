//! Trying again: how often, after how long, and when not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use registry::{Kind, Retry};
use tokio::time::Instant;

use crate::support::{MANIFEST, Reply, World, descriptor_of, line};

/// Fetches a document from a server that answers `failure` so many times; the requests, the time and the result.
async fn fetch(failure: Reply, times: usize) -> (usize, Duration, Result<(), registry::FetchError>) {
    let world = World::new();
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    world.network.serve("r.test:80", move |_| {
        if count.fetch_add(1, Ordering::Relaxed) < times { failure.clone() } else { Reply::ok(MANIFEST) }
    });
    let before = Instant::now();
    let result = world.session("r.test/app:1").manifest(&descriptor_of(MANIFEST)).await;
    (requests.load(Ordering::Relaxed), before.elapsed(), result.map(drop))
}

#[tokio::test(start_paused = true)]
async fn transient_statuses_are_tried_again_with_growing_waits() {
    for status in [408, 429, 500, 502, 503, 504] {
        let (requests, elapsed, result) = fetch(Reply::new(status), 6).await;
        result.unwrap();
        assert_eq!(requests, 7, "{status}");
        // 250 ms, doubled five times, each between half and whole.
        assert!((7875..15_751).contains(&elapsed.as_millis()), "{status}: {elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_number_of_tries_is_bounded() {
    let (requests, _elapsed, result) = fetch(Reply::new(503), usize::MAX).await;
    let error = result.unwrap_err();
    assert_eq!((requests, error.kind(), error.retry()), (7, Kind::Server, Retry::Now));
    assert!(line(&error).ends_with("host `r.test`: server answered 503"), "{}", line(&error));
}

#[tokio::test(start_paused = true)]
async fn final_answers_are_not_tried_again() {
    for status in [400, 401, 403, 404, 451, 501] {
        let (requests, elapsed, result) = fetch(Reply::new(status), usize::MAX).await;
        assert_eq!((requests, elapsed), (1, Duration::ZERO), "{status}");
        result.unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_and_clamped() {
    let (_requests, elapsed, result) = fetch(Reply::new(429).header("retry-after", "7"), 1).await;
    result.unwrap();
    assert!((7000..7500).contains(&elapsed.as_millis()), "{elapsed:?}");
    let (_requests, elapsed, result) = fetch(Reply::new(503).header("retry-after", "86400"), 1).await;
    result.unwrap();
    assert!((30_000..30_500).contains(&elapsed.as_millis()), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_that_lasts_says_so_and_when() {
    let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#;
    let limited = Reply::new(429).header("retry-after", "60").body(body);
    let (_requests, _elapsed, result) = fetch(limited, usize::MAX).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::RateLimited, Retry::After(Duration::from_secs(60))));
    assert!(line(&error).ends_with("rate limit reached (TOOMANYREQUESTS: slow down)"), "{}", line(&error));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_in_a_document_is_tried_again() {
    let broken = Reply::ok(&MANIFEST[..10]).broken(MANIFEST.len());
    let (requests, _elapsed, result) = fetch(broken, 2).await;
    result.unwrap();
    assert_eq!(requests, 3);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_stalls_is_tried_again_and_then_reported() {
    let silent = Reply::ok(&MANIFEST[..10]).silent(MANIFEST.len());
    let (requests, _elapsed, result) = fetch(silent.clone(), 1).await;
    result.unwrap();
    assert_eq!(requests, 2);
    let (requests, elapsed, result) = fetch(silent, usize::MAX).await;
    let error = result.unwrap_err();
    assert_eq!((requests, error.kind()), (5, Kind::Stalled));
    assert!((100..110).contains(&elapsed.as_secs()), "{elapsed:?}");
    assert!(line(&error).ends_with("host `r.test`: only 10 bytes in 20s"), "{}", line(&error));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let (requests, elapsed, result) =
        fetch(Reply::new(200).delayed(Duration::from_secs(86_400)), usize::MAX).await;
    let error = result.unwrap_err();
    assert_eq!((requests, error.kind()), (5, Kind::Unreachable));
    assert!(elapsed < Duration::from_secs(500), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_tried_three_times_within_a_second() {
    let world = World::new();
    let before = Instant::now();
    let error = world.session("r.test/app:1").resolve().await.unwrap_err();
    assert_eq!((world.network.dialled().len(), error.kind()), (3, Kind::Unreachable));
    assert!(before.elapsed() < Duration::from_secs(1));
    assert_eq!(
        line(&error),
        "cannot resolve `r.test/app:1`: host `r.test`: cannot connect to `r.test:80`: connection refused"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_hangs_ends_at_the_hosts_own_timeout() {
    let dialer = registry::Dialer::new(tower::service_fn(|_uri: http::Uri| {
        std::future::pending::<std::io::Result<tokio::io::DuplexStream>>()
    }));
    let world = World::configured(|_config| {}, Some(dialer))
        .hosts("r.test", "server = \"http://r.test\"\ndial_timeout = \"1500ms\"");
    let before = Instant::now();
    let error = world.session("r.test/app:1").resolve().await.unwrap_err();
    assert_eq!(before.elapsed(), Duration::from_millis(1500));
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(line(&error).ends_with("no connection to `r.test:80` within 1.5s"), "{}", line(&error));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_waits_the_same_time() {
    let (_requests, first, _result) = fetch(Reply::new(503), 4).await;
    let (_requests, second, _result) = fetch(Reply::new(503), 4).await;
    assert_eq!(first, second);
}
