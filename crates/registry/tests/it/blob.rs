//! Blobs: whole and from an offset, over connections that break, stall or lie.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use oci::Descriptor;
use registry::{Blob, FetchError, Kind};
use tokio::time::Instant;

use crate::support::{Reply, Seen, World, line};

/// Large enough for several times the progress that earns new retries (64 KiB).
fn content() -> Vec<u8> {
    (0..300_000_u32).map(|position| u8::try_from(position % 251).unwrap()).collect()
}

fn descriptor() -> Descriptor {
    let content = content();
    Descriptor::new(
        "application/vnd.oci.image.layer.v1.tar+gzip",
        oci::sha256(&content),
        content.len() as u64,
    )
}

/// The first byte that a request asks for.
fn first(seen: &Seen) -> usize {
    let range = seen.header("range").map(|range| range.trim_start_matches("bytes="));
    range.map_or(0, |range| range.split('-').next().unwrap().parse().unwrap())
}

/// What an honest server answers.
fn honest(seen: &Seen) -> Reply {
    let content = content();
    if seen.header("range").is_some() {
        Reply::part(&content, first(seen), content.len() - 1)
    } else {
        Reply::ok(content)
    }
}

async fn open(world: &World, offset: u64) -> Result<Blob, FetchError> {
    world.session("r.test/app:1").blob(&descriptor(), offset).await
}

async fn read(mut blob: Blob) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!(blob.position(), descriptor().size);
    // The end stays the end.
    assert!(blob.chunk().await?.is_none());
    Ok(bytes)
}

/// Serves by `script`, which is told the number of the request, and reads from `offset`.
async fn fetch(
    offset: u64,
    script: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
) -> (World, Result<Vec<u8>, FetchError>) {
    let world = World::new();
    let requests = AtomicUsize::new(0);
    world.network.serve("r.test:80", move |seen| script(requests.fetch_add(1, Ordering::Relaxed), seen));
    let result = match open(&world, offset).await {
        Ok(blob) => read(blob).await,
        Err(error) => Err(error),
    };
    (world, result)
}

fn ranges(world: &World) -> Vec<Option<String>> {
    world.network.seen().iter().map(|seen| seen.header("range").map(str::to_owned)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_whole_blob_is_asked_for_without_a_range() {
    let (world, bytes) = fetch(0, |_, seen| honest(seen)).await;
    assert_eq!(bytes.unwrap(), content());
    assert_eq!(world.network.lines(), [format!("GET r.test:80 /v2/app/blobs/{}", descriptor().digest)]);
    assert_eq!(ranges(&world), [None]);
    assert_eq!(world.network.seen()[0].header("accept-encoding"), Some("identity"));
}

#[tokio::test(start_paused = true)]
async fn an_offset_is_asked_for_with_both_ends_named() {
    let (world, bytes) = fetch(1000, |_, seen| honest(seen)).await;
    assert_eq!(bytes.unwrap(), content()[1000..]);
    assert_eq!(ranges(&world), [Some("bytes=1000-299999".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ignores_the_range_is_read_over() {
    let (_world, bytes) = fetch(1000, |_, _| Reply::ok(content())).await;
    assert_eq!(bytes.unwrap(), content()[1000..]);
    let (_world, bytes) = fetch(299_999, |_, _| Reply::ok(content()).chunked()).await;
    assert_eq!(bytes.unwrap(), content()[299_999..]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_where_nothing_is_missing() {
    let world = World::new();
    let blob = open(&world, descriptor().size).await.unwrap();
    assert!(read(blob).await.unwrap().is_empty());
    assert_eq!(open(&world, descriptor().size + 1).await.unwrap_err().kind(), Kind::SizeMismatch);
    assert!(world.network.dialled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_range_answer_for_other_bytes_is_refused() {
    let content = content();
    let wrong = [
        Reply::part(&content, 0, 299_999),
        Reply::part(&content, 0, 299_999).chunked(),
        Reply::part(&content, 1001, 299_999),
        Reply::part(&content, 1001, 299_999).chunked(),
        Reply::new(206).body(&content[1000..]),
        Reply::new(206).header("content-range", "bytes 1000-299999/300001").body(&content[1000..]),
        // Too short to be worth a request each.
        Reply::part(&content, 1000, 1999),
        Reply::new(204),
        Reply::new(416),
    ];
    for reply in wrong {
        let world = World::new();
        world.network.serve("r.test:80", move |_| reply.clone());
        // Before the first byte: what was yielded cannot be taken back.
        let error = open(&world, 1000).await.unwrap_err();
        let kind = error.kind();
        assert!(matches!(kind, Kind::Protocol | Kind::SizeMismatch | Kind::Server), "{}", line(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn a_shorter_range_is_followed_by_the_next() {
    let (world, bytes) = fetch(1000, |_, seen| {
        let first = first(seen);
        Reply::part(&content(), first, (first + 99_999).min(299_999))
    })
    .await;
    assert_eq!(bytes.unwrap(), content()[1000..]);
    assert_eq!(world.network.seen().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn ranges_too_short_to_ever_end_are_refused() {
    let (world, result) = fetch(1000, |_, seen| {
        let first = first(seen);
        Reply::part(&content(), first, (first + 999).min(299_999))
    })
    .await;
    assert_eq!(result.unwrap_err().kind(), Kind::Protocol);
    assert_eq!(world.network.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn more_or_fewer_bytes_than_the_descriptor_says_are_refused() {
    let more = [content(), vec![0]].concat();
    for reply in [
        Reply::ok(&more),
        Reply::ok(&more).chunked(),
        // All that was promised, and then one byte by itself.
        Reply::ok(content()).followed_by([0]),
        Reply::ok(&content()[..299_999]),
        Reply::ok(&content()[..299_999]).chunked(),
    ] {
        let (world, result) = fetch(0, move |_, _| reply.clone()).await;
        assert_eq!(result.unwrap_err().kind(), Kind::SizeMismatch);
        assert_eq!(world.network.seen().len(), 1, "a lie is not asked for twice");
    }
}

#[tokio::test(start_paused = true)]
async fn never_more_than_the_size_is_yielded_before_a_surplus_is_reported() {
    let world = World::new();
    world.network.serve("r.test:80", |_| Reply::ok([content(), vec![0; 100_000]].concat()).chunked());
    let mut blob = open(&world, 0).await.unwrap();
    let mut yielded = 0;
    let error = loop {
        match blob.chunk().await {
            Ok(Some(bytes)) => yielded += bytes.len() as u64,
            Ok(None) => panic!("the surplus was not noticed"),
            Err(error) => break error,
        }
    };
    assert!(yielded <= descriptor().size);
    assert_eq!(error.kind(), Kind::SizeMismatch);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_resumed_where_it_broke() {
    let (world, bytes) = fetch(0, |request, seen| match request {
        0 => Reply::ok(&content()[..100_000]).broken(300_000),
        1 => Reply::part(&content(), 100_000, 299_999).body(&content()[100_000..250_000]).broken(200_000),
        _ => honest(seen),
    })
    .await;
    assert_eq!(bytes.unwrap(), content());
    let range = |first: usize| Some(format!("bytes={first}-299999"));
    assert_eq!(ranges(&world), [None, range(100_000), range(250_000)]);
}

#[tokio::test(start_paused = true)]
async fn resumes_without_progress_are_bounded() {
    let before = Instant::now();
    let (world, result) = fetch(0, |_, _| Reply::ok("").broken(300_000)).await;
    assert_eq!(result.unwrap_err().kind(), Kind::Unreachable);
    assert_eq!(world.network.seen().len(), 7);
    assert!(before.elapsed() < Duration::from_secs(16));
    // A byte a request is no progress either.
    let (world, result) = fetch(0, |_, seen| {
        let first = first(seen);
        let one = &content()[first..=first];
        if first == 0 {
            Reply::ok(one).broken(300_000)
        } else {
            Reply::part(&content(), first, 299_999).body(one).broken(300_000 - first)
        }
    })
    .await;
    assert_eq!(result.unwrap_err().kind(), Kind::Unreachable);
    assert_eq!(world.network.seen().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn progress_earns_new_tries() {
    // Ten breaks, 70,000 bytes apart at most, over a blob read four times over by skipping: more than the seven tries.
    let (world, bytes) = fetch(0, |request, seen| {
        let (first, content) = (first(seen), content());
        let failing = request % 2 == 0 && request < 8;
        if failing && first > 0 {
            return Reply::new(503);
        }
        let end = (first + 66_000).min(300_000);
        let reply = if first == 0 { Reply::ok("") } else { Reply::part(&content, first, 299_999) };
        let reply = reply.body(&content[first..end]);
        if end == 300_000 { reply } else { reply.broken(300_000 - first) }
    })
    .await;
    assert_eq!(bytes.unwrap(), content());
    assert!(world.network.seen().len() > 7);
}

#[tokio::test(start_paused = true)]
async fn a_stall_is_mended_by_a_new_request() {
    let before = Instant::now();
    let (world, bytes) = fetch(0, |request, seen| match request {
        0 => Reply::ok(&content()[..100_000]).silent(300_000),
        _ => honest(seen),
    })
    .await;
    assert_eq!(bytes.unwrap(), content());
    assert_eq!(before.elapsed().as_secs(), 20);
    assert_eq!(ranges(&world)[1].as_deref(), Some("bytes=100000-299999"));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_only_stalls_is_given_up_in_bounded_time() {
    let before = Instant::now();
    let (world, result) = fetch(0, |_, _| Reply::ok("").silent(300_000)).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind(), world.network.seen().len()), (Kind::Stalled, 5));
    assert!((100..105).contains(&before.elapsed().as_secs()));
    assert!(line(&error).ends_with("host `r.test`: no byte for 20s"), "{}", line(&error));
}

#[tokio::test(start_paused = true)]
async fn another_host_goes_on_where_a_mirror_broke() {
    let world = World::bare().hosts("r.test", "server = \"http://r.test\"\n[host.\"http://m.test\"]");
    world.network.serve("m.test:80", |_| Reply::ok(&content()[..10]).broken(300_000));
    world.network.serve("r.test:80", honest);
    let blob = open(&world, 0).await.unwrap();
    assert_eq!(blob.host(), Some("m.test"));
    assert_eq!(read(blob).await.unwrap(), content());
    assert_eq!(ranges(&world), [None, Some("bytes=10-299999".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_signed_redirect_is_followed_anew_for_each_request() {
    let world = World::new();
    let signatures = AtomicUsize::new(0);
    world.network.serve("r.test:80", move |_| {
        let signature = signatures.fetch_add(1, Ordering::Relaxed);
        Reply::new(307).header("location", format!("http://cdn.test/blob?sig={signature}"))
    });
    world.network.serve("cdn.test:80", |seen| match seen.target.as_str() {
        "/blob?sig=0" => Reply::ok(&content()[..100_000]).broken(300_000),
        // The first signature has expired.
        _ if seen.header("range").is_some() => honest(seen),
        _ => Reply::new(403),
    });
    let blob = open(&world, 0).await.unwrap();
    assert_eq!(read(blob).await.unwrap(), content());
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_was_not_waited_for_is_not_lost() {
    let world = World::new();
    world.network.serve("r.test:80", |seen| match first(seen) {
        0 => Reply::ok(&content()[..1000]).silent(300_000),
        _ => honest(seen),
    });
    let mut blob = open(&world, 0).await.unwrap();
    let mut bytes = blob.chunk().await.unwrap().unwrap().to_vec();
    // Dropped in the stall, and again in whatever follows it.
    for _ in 0..5 {
        let waited = tokio::time::timeout(Duration::from_secs(5), blob.chunk()).await;
        if let Ok(chunk) = waited {
            bytes.extend_from_slice(&chunk.unwrap().unwrap());
        }
    }
    while let Some(chunk) = blob.chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!(bytes, content());
}

#[tokio::test(start_paused = true)]
async fn a_blob_is_a_stream_too() {
    let world = World::new();
    world.network.serve("r.test:80", honest);
    // In a task of its own, which proves that the futures may move between threads.
    let session = world.session("r.test/app:1");
    let reading = tokio::spawn(async move {
        let blob = session.blob(&descriptor(), 0).await.unwrap();
        blob.into_stream().try_collect::<Vec<_>>().await.unwrap()
    });
    assert_eq!(reading.await.unwrap().concat(), content());
}
