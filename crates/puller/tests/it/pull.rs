//! What a pull leaves in containerd, and what it asks of the registry.

use std::collections::BTreeMap;
use std::time::Duration;

use containerd::{Client, IngestStart};
use oci::Descriptor;
use refparse::Digest;
use sim::image::{Compression, File, Format, ImageBuilder, Index, Layer};
use sim::registry::{Access, Fault, Match, Rule, User};

use crate::node::{HOST, Node, image, on_host};

#[tokio::test(start_paused = true)]
async fn a_pulled_image_has_its_three_records_and_is_kept_by_them() {
    let node = Node::start().await;
    let digest = node.registry.push("app", Some("1"), &image(1));
    let pulled = node.pull(&on_host("app:1")).await.unwrap();
    node.settle().await;
    node.assert_at_rest();
    node.containerd.collect();
    let inventory = node.inventory();
    let id = pulled.image_id.to_string();
    let names: Vec<&str> = inventory.images.keys().map(String::as_str).collect();
    assert_eq!(names, [format!("{HOST}/app:1"), format!("{HOST}/app@{digest}"), id.clone()]);
    for record in inventory.images.values() {
        assert_eq!(record.target, digest);
        assert_eq!(record.labels.get("io.cri-containerd.image").map(String::as_str), Some("managed"));
    }
    assert_eq!(inventory.content.len(), 4, "manifest, config and two layers outlive a collection");
    assert_eq!(inventory.snapshots.len(), 2);
    let chain: Vec<String> = image(1).chain_ids();
    let config = &inventory.content[&id];
    assert_eq!(config.labels.get("containerd.io/gc.ref.snapshot.overlayfs"), chain.last());
    let layer = &inventory.content[image(1).layer_blobs()[1].digest()];
    assert_eq!(
        layer.labels.get("containerd.io/uncompressed").map(String::as_str),
        Some(image(1).layers()[1].diff_id())
    );
    assert_eq!(
        layer.labels.get("containerd.io/distribution.source.localhost").map(String::as_str),
        Some("app")
    );
    let status = node.store.status(&on_host("app:1")).await.unwrap().unwrap();
    assert_eq!(status.repo_tags, [on_host("app:1")]);
    assert_eq!(status.repo_digests, [format!("{HOST}/app@{digest}")]);
    assert_eq!(node.store.list().await.unwrap(), [status]);
}

#[tokio::test(start_paused = true)]
async fn a_pull_by_digest_has_no_tag() {
    let node = Node::start().await;
    let digest = node.registry.push("app", Some("1"), &image(1));
    node.pull(&on_host(&format!("app:1@{digest}"))).await.unwrap();
    let status = node.store.status(&on_host(&format!("app@{digest}"))).await.unwrap().unwrap();
    assert!(status.repo_tags.is_empty());
    assert_eq!(status.repo_digests, [format!("{HOST}/app@{digest}")]);
    assert!(node.store.status(&on_host("app:1")).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_image_of_an_index_is_the_one_for_this_platform() {
    let node = Node::start().await;
    let mine = image(1);
    let other = ImageBuilder::new()
        .platform("linux", "s390x")
        .layer(Layer::random("x", 10, 9, Compression::None))
        .build();
    let index = Index::new(Format::Oci, [other.clone(), mine.clone()]);
    let digest = node.registry.push("app", Some("1"), &index);
    let pulled = node.pull(&on_host("app:1")).await.unwrap();
    assert_eq!(pulled.image_id.as_str(), mine.config().digest());
    assert_eq!(pulled.target.digest.as_str(), digest, "the records name the index");
    let fetched = node.registry.requests();
    assert!(fetched.iter().all(|r| !r.path.contains(other.manifest().digest())), "{fetched:?}");
}

#[tokio::test(start_paused = true)]
async fn every_compression_and_both_formats_are_pulled() {
    let node = Node::start().await;
    for (number, (format, compression)) in [
        (Format::Oci, Compression::None),
        (Format::Oci, Compression::Gzip),
        (Format::Oci, Compression::Zstd),
        (Format::Docker, Compression::None),
        (Format::Docker, Compression::Gzip),
    ]
    .into_iter()
    .enumerate()
    {
        let file = File::regular("f", format!("{number}"));
        let image = ImageBuilder::new().format(format).layer(Layer::new([file], compression)).build();
        node.registry.push("app", Some(&number.to_string()), &image);
        let pulled = node.pull(&on_host(&format!("app:{number}"))).await.unwrap();
        assert_eq!(pulled.image_id.as_str(), image.config().digest(), "{format:?} {compression:?}");
        assert!(node.store.status(pulled.image_id.as_str()).await.unwrap().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn layers_that_are_there_are_not_fetched_again() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    node.registry.push("app", Some("2"), &image(2));
    node.pull(&on_host("app:1")).await.unwrap();
    node.registry.clear_requests();
    node.pull(&on_host("app:2")).await.unwrap();
    let shared = image(1).layer_blobs()[0].digest().to_owned();
    let requests = node.registry.requests();
    assert!(requests.iter().any(|r| r.path.contains(image(2).layer_blobs()[1].digest())));
    assert!(requests.iter().all(|r| !r.path.contains(&shared)), "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_another_namespace_has_is_not_fetched() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    let blob = image(1).layer_blobs()[1].clone();
    let other = Client::new(node.containerd.connect(), "moby").unwrap().content();
    let digest = Digest::parse(blob.digest()).unwrap();
    let descriptor = Descriptor::new("application/octet-stream", digest, blob.bytes().len() as u64);
    let IngestStart::Open(mut ingest) = other.ingest("theirs", &descriptor).await.unwrap() else {
        panic!("it was there")
    };
    ingest.write(blob.bytes().clone()).await.unwrap();
    let root = BTreeMap::from([("containerd.io/gc.root".to_owned(), "theirs".to_owned())]);
    assert!(ingest.commit(&root).await.unwrap());

    node.pull(&on_host("app:1")).await.unwrap();
    assert!(node.inventory().content.contains_key(blob.digest()));
    let requests = node.registry.requests();
    assert!(requests.iter().all(|request| !request.path.ends_with(blob.digest())), "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_pull_asks_the_registry_and_fetches_nothing() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    let first = node.pull(&on_host("app:1")).await.unwrap();
    node.registry.clear_requests();
    let second = node.pull(&on_host("app:1")).await.unwrap();
    assert_eq!(first, second);
    let requests: Vec<String> =
        node.registry.requests().iter().map(|r| format!("{} {}", r.method, r.path)).collect();
    assert_eq!(requests, ["HEAD /v2/app/manifests/1"]);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_of_one_image_fetch_it_once() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    let (reference, pulls) = (on_host("app:1"), 100);
    let outcomes = futures::future::join_all((0..pulls).map(|_| node.pull(&reference))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let requests = node.registry.requests();
    for blob in image(1).layer_blobs() {
        assert_eq!(requests.iter().filter(|r| r.path.contains(blob.digest())).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_with_a_wrong_password_is_not_served_by_one_with_the_right_one() {
    let node = Node::start().await;
    node.registry.configure(|options| options.access = Access::Token { anonymous_pull: true });
    node.registry.configure(|options| {
        options.private_repositories.insert("app".into());
    });
    node.registry.add_user(User::new("alice", "right"));
    node.registry.push("app", Some("1"), &image(1));
    let reference = on_host("app:1");
    let (right, wrong, none) = futures::join!(
        node.pull_as(&reference, "alice", "right"),
        node.pull_as(&reference, "alice", "wrong"),
        node.pull(&reference),
    );
    right.unwrap();
    wrong.unwrap_err();
    none.unwrap_err();
    // All bytes are here now: still only the registry decides.
    node.pull_as(&reference, "alice", "wrong").await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_moved_leaves_the_old_image_untagged() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    let old = node.pull(&on_host("app:1")).await.unwrap();
    node.registry.push("app", Some("1"), &image(2));
    let new = node.pull(&on_host("app:1")).await.unwrap();
    assert_ne!(old.image_id, new.image_id);
    let old = node.store.status(old.image_id.as_str()).await.unwrap().unwrap();
    let new = node.store.status(new.image_id.as_str()).await.unwrap().unwrap();
    assert_eq!((old.repo_tags.as_slice(), new.repo_tags.as_slice()), (&[][..], &[on_host("app:1")][..]));
}

#[tokio::test(start_paused = true)]
async fn labels_that_others_set_survive_a_pull() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    node.pull(&on_host("app:1")).await.unwrap();
    let images = node.store.client().images();
    let mut record = images.get(&on_host("app:1")).await.unwrap();
    record.labels.insert("io.cri-containerd.pinned".into(), "pinned".into());
    images.update(&record).await.unwrap();
    node.registry.push("app", Some("1"), &image(2));
    let pulled = node.pull(&on_host("app:1")).await.unwrap();
    let record = images.get(&on_host("app:1")).await.unwrap();
    assert_eq!(record.labels.get("io.cri-containerd.pinned").map(String::as_str), Some("pinned"));
    assert!(node.store.status(pulled.image_id.as_str()).await.unwrap().unwrap().pinned);
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_comes_by_several_ranges_is_the_same_and_each_byte_is_sent_once() {
    const RANGE: u64 = 8 << 10;
    let containerd = sim::containerd::Containerd::new(sim::containerd::Options::default());
    let registry = sim::registry::Registry::new(sim::registry::Options::default());
    let node =
        Node::configured(containerd, registry, "first", |client, _unpack| client.ranges.bytes = RANGE).await;
    let layer = Layer::random("data", 300_000, 7, Compression::None);
    let app = ImageBuilder::new().layer(layer).build();
    node.registry.push("app", Some("1"), &app);
    let blob = &app.layer_blobs()[0];
    node.registry.inject(Rule::new(Match::path(blob.digest()), Fault::Delay(Duration::from_millis(400))));
    let begin = tokio::time::Instant::now();
    node.pull(&on_host("app:1")).await.unwrap();
    let took = begin.elapsed();
    node.settle().await;
    node.assert_at_rest();
    let requests = node.registry.requests();
    let mut ranges: Vec<(u64, u64)> = requests
        .iter()
        .filter_map(|request| request.range.as_ref()?.strip_prefix("bytes=")?.split_once('-'))
        .map(|(first, last)| (first.parse().unwrap(), last.parse::<u64>().unwrap() + 1))
        .collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].1 == pair[1].0), "{ranges:?}");
    assert_eq!((ranges[0].0, ranges.last().unwrap().1), (0, blob.bytes().len() as u64));
    let one_by_one = Duration::from_millis(400) * u32::try_from(ranges.len()).unwrap();
    assert!(took * 3 < one_by_one, "{took:?} for {} ranges", ranges.len());
}
