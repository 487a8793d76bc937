//! Big blobs: several ranges at the same time where that is faster, and servers that know no ranges.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use oci::Descriptor;
use registry::{Blob, ClientConfig, Ranges};
use tokio::time::Instant;

use crate::support::{MANIFEST, Reply, Seen, World, descriptor_of};

/// More than a small blob, so that the limits of streams count.
const SIZE: usize = 2 << 20;
const RANGE: usize = 64 << 10;

fn content() -> &'static [u8] {
    static CONTENT: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..SIZE).map(|position| u8::try_from(position % 251).unwrap()).collect());
    &CONTENT
}

fn descriptor() -> Descriptor {
    Descriptor::new("application/vnd.oci.image.layer.v1.tar", oci::sha256(content()), SIZE as u64)
}

fn world(change: impl FnOnce(&mut ClientConfig)) -> World {
    let configured = |config: &mut ClientConfig| {
        config.ranges = Ranges { bytes: RANGE as u64, ..Ranges::default() };
        change(config);
    };
    World::configured(configured, None).hosts("r.test", "server = \"http://r.test\"")
}

/// The range that a request asks for, its end excluded.
fn range(seen: &Seen) -> Option<(usize, usize)> {
    let (first, last) = seen.header("range")?.strip_prefix("bytes=")?.split_once('-').unwrap();
    Some((first.parse().unwrap(), last.parse::<usize>().unwrap() + 1))
}

fn honest(seen: &Seen) -> Reply {
    match range(seen) {
        Some((first, end)) => Reply::part(content(), first, end - 1),
        None => Reply::ok(content()),
    }
}

/// What most of the tests look at is the blob's requests, not its start.
async fn open(world: &World) -> Blob {
    world.session("r.test/app:1").blob(&descriptor(), 0).await.unwrap()
}

async fn read(mut blob: Blob) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

fn ranges(world: &World) -> Vec<Option<(usize, usize)>> {
    world.network.seen().iter().map(range).collect()
}

/// Each range after the one before, and all of the blob once.
#[track_caller]
fn assert_disjoint(world: &World) {
    let mut asked: Vec<_> = ranges(world).into_iter().map(Option::unwrap).collect();
    asked.sort_unstable();
    assert_eq!(asked.first().map(|range| range.0), Some(0));
    assert_eq!(asked.last().map(|range| range.1), Some(SIZE));
    assert!(asked.windows(2).all(|pair| pair[0].1 == pair[1].0), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_connection_is_helped_by_others() {
    let slow = |seen: &Seen| honest(seen).slow(RANGE / 8, Duration::from_millis(50));
    let time = async |width| {
        let world = world(|config| config.ranges.width_max = NonZeroUsize::new(width).unwrap());
        world.network.serve("r.test:80", slow);
        let before = Instant::now();
        assert_eq!(read(open(&world).await).await, content());
        (before.elapsed(), world)
    };
    let (alone, alone_world) = time(1).await;
    assert_eq!(ranges(&alone_world), [None]);
    let (together, together_world) = time(8).await;
    assert_disjoint(&together_world);
    assert!(together * 3 < alone, "{together:?}, alone {alone:?}");
}

#[tokio::test(start_paused = true)]
async fn where_more_connections_bring_no_more_there_are_few() {
    // All connections share what the server sends in a second.
    let world = world(|_config| {});
    let waiting = Arc::new(Mutex::new(Vec::new()));
    let (noted, wire) = (Arc::clone(&waiting), Mutex::new(Instant::now()));
    world.network.serve("r.test:80", move |seen| {
        let (first, end) = range(seen).unwrap();
        // The next free time of the one wire, from which this answer takes its share.
        let mut free = wire.lock().unwrap();
        let begin = (*free).max(Instant::now());
        *free = begin + Duration::from_millis(400) * u32::try_from((end - first) / RANGE).unwrap();
        let delay = *free - Instant::now();
        noted.lock().unwrap().push(delay.as_millis() / 400);
        honest(seen).delayed(delay)
    });
    assert_eq!(read(open(&world).await).await, content());
    assert_disjoint(&world);
    // Eight are tried once, and given up for it.
    let waiting = waiting.lock().unwrap();
    assert!(waiting.iter().rev().take(8).all(|requests| *requests <= 4), "{waiting:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_slower_than_the_network_is_sent_one_range_at_a_time() {
    let world = world(|_config| {});
    world.network.serve("r.test:80", honest);
    let mut blob = open(&world).await;
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(bytes, content());
    assert_disjoint(&world);
    // In order, and longer with time.
    let asked: Vec<_> = ranges(&world).into_iter().map(Option::unwrap).collect();
    assert!(asked.is_sorted());
    assert_eq!(asked[0], (0, RANGE));
    assert_eq!(asked.iter().map(|(first, end)| end - first).max(), Some(8 * RANGE));
}

#[tokio::test(start_paused = true)]
async fn memory_holds_no_more_ranges_than_allowed_however_slow_the_reader_is() {
    let world = world(|config| config.ranges.ahead_max = 3);
    world.network.serve("r.test:80", |seen| honest(seen).delayed(Duration::from_secs(1)));
    let furthest = || ranges(&world).into_iter().map(|range| range.unwrap().1).max().unwrap();
    let mut blob = open(&world).await;
    let mut read = 0;
    while let Some(chunk) = blob.chunk().await.unwrap() {
        read += chunk.len();
        if read == SIZE / 2 {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            let ahead = furthest() - read;
            assert!((2 * RANGE..=3 * RANGE).contains(&ahead), "{ahead}");
        }
    }
    assert_eq!(read, SIZE);
    drop(blob);
    // What one blob held is there for the next, though the first was left in the middle.
    for _ in 0..3 {
        let mut blob = open(&world).await;
        for _ in 0..4 {
            blob.chunk().await.unwrap();
        }
    }
    let before = world.network.seen().len();
    let begin = Instant::now();
    assert_eq!(self::read(open(&world).await).await.len(), SIZE);
    let requests = u32::try_from(world.network.seen().len() - before).unwrap();
    assert!(
        begin.elapsed() < Duration::from_secs(1) * requests,
        "{:?}, {requests} requests",
        begin.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_knows_no_ranges_is_asked_once_and_remembered() {
    for (name, refusal) in [
        ("whole", None),
        ("416", Some(Reply::new(416))),
        ("400", Some(Reply::new(400))),
        ("501", Some(Reply::new(501))),
        ("other range", Some(Reply::part(content(), 5, 10))),
    ] {
        let world = world(|_config| {});
        world.network.serve("r.test:80", move |seen| match (&refusal, range(seen)) {
            (Some(refusal), Some(_)) => refusal.clone(),
            _ => Reply::ok(content()),
        });
        assert_eq!(read(open(&world).await).await, content(), "{name}");
        let first = world.network.seen().len();
        assert!(first <= 2, "{name}");
        // Another pull knows it.
        assert_eq!(read(open(&world).await).await, content(), "{name}");
        assert_eq!(ranges(&world)[first..], [None], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_that_is_not_what_it_should_be_does_not_take_the_ranges_from_its_host() {
    let world = world(|_config| {});
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    world.network.serve("r.test:80", move |seen| match count.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Reply::new(400),
        _ => honest(seen),
    });
    world.session("r.test/app:1").blob(&descriptor(), 0).await.unwrap_err();
    assert_eq!(requests.load(Ordering::Relaxed), 2);
    assert_eq!(read(open(&world).await).await, content());
    assert!(ranges(&world)[2..].iter().all(Option::is_some));
}

#[tokio::test(start_paused = true)]
async fn a_server_without_lengths_will_do() {
    let world = world(|_config| {});
    world.network.serve("r.test:80", |seen| honest(seen).chunked().delayed(Duration::from_millis(300)));
    assert_eq!(read(open(&world).await).await, content());
    assert_disjoint(&world);
}

#[tokio::test(start_paused = true)]
async fn ranges_fetched_ahead_that_fail_leave_one_request_after_the_other() {
    // As an old cache does: one range at a time, else the whole or nothing.
    for busy in [Reply::new(403), Reply::ok(content()), Reply::part(content(), 0, 9)] {
        let world = world(|_config| {});
        let requests = AtomicUsize::new(0);
        world.network.serve("r.test:80", move |seen| {
            // The fourth is one too many.
            let number = requests.fetch_add(1, Ordering::Relaxed);
            if number == 3 { busy.clone() } else { honest(seen).delayed(Duration::from_millis(300)) }
        });
        assert_eq!(read(open(&world).await).await, content());
    }
}

#[tokio::test(start_paused = true)]
async fn redirects_are_followed_once_for_all_ranges_until_they_expire() {
    let world = world(|_config| {});
    let signatures = AtomicUsize::new(0);
    world.network.serve("r.test:80", move |_| {
        let signature = signatures.fetch_add(1, Ordering::Relaxed);
        Reply::new(307).header("location", format!("http://cdn.test/blob?sig={signature}"))
    });
    let uses = AtomicUsize::new(0);
    world.network.serve("cdn.test:80", move |seen| {
        let is_first = seen.target.ends_with("sig=0");
        if is_first && uses.fetch_add(1, Ordering::Relaxed) >= 5 { Reply::new(403) } else { honest(seen) }
    });
    assert_eq!(read(open(&world).await).await, content());
    let asked = world.network.seen().iter().filter(|seen| seen.server == "r.test:80").count();
    assert_eq!(asked, 2);
}

#[tokio::test(start_paused = true)]
async fn big_blobs_wait_for_each_other_and_nothing_else_waits_for_them() {
    let world = world(|config| {
        config.streams_per_host = NonZeroUsize::MIN;
        config.ranges.width_max = NonZeroUsize::MIN;
    });
    let small = MANIFEST;
    world.network.serve("r.test:80", move |seen| {
        if seen.target.contains(oci::sha256(small).as_str()) { Reply::ok(small) } else { honest(seen) }
    });
    let first = open(&world).await;
    let session = world.session("r.test/app:1");
    let second = tokio::time::timeout(Duration::from_secs(3600), session.blob(&descriptor(), 0)).await;
    assert!(second.is_err(), "one at a time");
    session.manifest(&descriptor_of(small)).await.unwrap();
    assert!(session.blob(&descriptor_of(small), 0).await.unwrap().chunk().await.unwrap().is_some());
    drop(first);
    assert_eq!(read(session.blob(&descriptor(), 0).await.unwrap()).await, content());
}

#[tokio::test(start_paused = true)]
async fn a_trickle_is_a_stall_unless_that_is_switched_off() {
    let trickle = |seen: &Seen| honest(seen).slow(1000, Duration::from_secs(1));
    let world = world(|config| config.stall_bytes = 64 << 10);
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    world.network.serve("r.test:80", move |seen| {
        if count.fetch_add(1, Ordering::Relaxed) == 0 { trickle(seen) } else { honest(seen) }
    });
    let before = Instant::now();
    assert_eq!(read(open(&world).await).await, content());
    assert_eq!(before.elapsed().as_secs(), 20, "the window of stall_timeout");

    let world = self::world(|config| {
        config.stall_timeout = Duration::ZERO;
        config.header_timeout = Duration::ZERO;
        config.dial_timeout = Duration::ZERO;
        config.ranges.width_max = NonZeroUsize::MIN;
    });
    world.network.serve("r.test:80", |seen| {
        honest(seen).slow(100_000, Duration::from_secs(600)).delayed(Duration::from_secs(7200))
    });
    assert_eq!(read(open(&world).await).await, content());
    assert_eq!(world.network.seen().len(), 1);
}
