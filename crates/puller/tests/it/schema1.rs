//! Pulls of Docker schema 1 images: what they leave in containerd, and how they fail.

use puller::{Layers, PullError, UnpackConfig};
use sim::containerd::{Containerd, Options};
use sim::image::{Blob, Compression, File, Layer, Pushable, Schema1};
use sim::registry::{Fault, Match, Registry, Rule};

use crate::node::{HOST, Node, image, on_host};

/// Two layers, of which one has no file, and an entry without a layer.
fn old() -> Schema1 {
    Schema1::new("app", "1", image(1).layers()).signed()
}

fn labels<'a>(node: &'a sim::containerd::Inventory, digest: &str) -> Vec<(&'a str, &'a str)> {
    let labels = &node.content[digest].labels;
    labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pulled_schema_1_image_is_as_containerd_1_x_leaves_it() {
    let node = Node::start().await;
    let old = old();
    let digest = node.registry.push("app", Some("1"), &old);
    let pulled = node.pull(&on_host("app:1")).await.unwrap();
    node.settle().await;
    node.assert_at_rest();
    node.containerd.collect();
    let inventory = node.inventory();
    assert_eq!(pulled.image_id.as_str(), old.config().digest());
    assert_eq!(pulled.target.digest.as_str(), old.converted().digest());
    assert_eq!(pulled.converted_from.unwrap().digest().as_str(), digest);
    let names: Vec<&str> = inventory.images.keys().map(String::as_str).collect();
    assert_eq!(names, [&on_host("app:1"), old.config().digest()]);
    for record in inventory.images.values() {
        assert_eq!(record.target, old.converted().digest());
    }
    let id = &inventory.images[old.config().digest()];
    let converted = id.labels.get("io.containerd.image/converted-docker-schema1");
    assert_eq!(converted, Some(&digest));
    assert_eq!(inventory.content.len(), 4, "manifest, config and two layers outlive a collection");
    assert_eq!(inventory.snapshots.len(), 2);
    let new = image(1);
    let layers = new.layer_blobs();
    assert_eq!(
        labels(&inventory, old.converted().digest()),
        [
            ("containerd.io/gc.ref.content.config", old.config().digest()),
            ("containerd.io/gc.ref.content.l.0", layers[0].digest()),
            ("containerd.io/gc.ref.content.l.1", layers[1].digest()),
        ],
        "no registry has the manifest"
    );
    let top = image(1).chain_ids().pop().unwrap();
    assert_eq!(
        labels(&inventory, old.config().digest()),
        [("containerd.io/gc.ref.snapshot.overlayfs", top.as_str())]
    );
    assert_eq!(
        labels(&inventory, layers[1].digest()),
        [
            ("containerd.io/distribution.source.localhost", "app"),
            ("containerd.io/docker.schema1.empty-layer", "false"),
            ("containerd.io/uncompressed", new.layers()[1].diff_id()),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_schema_1_image_by_digest_has_the_digest_that_was_asked_for() {
    let node = Node::start().await;
    let digest = node.registry.push("app", Some("1"), &old());
    let name = on_host(&format!("app@{digest}"));
    for _ in 0..2 {
        node.pull(&name).await.unwrap();
        let status = node.store.status(&name).await.unwrap().unwrap();
        assert_eq!(status.id().as_str(), old().config().digest());
        assert_eq!(
            (status.repo_tags.as_slice(), status.repo_digests.as_slice()),
            (&[][..], &[name.clone()][..])
        );
    }
    // Another document is not what the digest names.
    let error = node.pull(&format!("{HOST}/app@{}", old().converted().digest())).await.unwrap_err();
    assert!(matches!(*error, PullError::Resolve(_)), "{error}");
}

/// A layer of nothing but zeros is found out by its bytes, and again by its label.
#[tokio::test(start_paused = true)]
async fn an_empty_layer_is_left_out_however_it_is_found() {
    let node = Node::start().await;
    let empty = Layer::from_tar(vec![0; 10_240], Compression::Gzip);
    let file = Layer::new([File::regular("f", "f")], Compression::None);
    let old = Schema1::new("app", "1", &[empty.clone(), file.clone()]);
    node.registry.push("app", Some("1"), &old);
    let first = node.pull(&on_host("app:1")).await.unwrap();
    let inventory = node.inventory();
    assert_eq!(inventory.snapshots.len(), 1);
    assert!(
        !inventory.content.contains_key(old.blobs()[0].digest()),
        "the collector has taken the empty layer"
    );
    node.store.remove(&on_host("app:1")).await.unwrap();
    node.assert_empty();
    assert_eq!(node.pull(&on_host("app:1")).await.unwrap(), first);
}

#[tokio::test(start_paused = true)]
async fn discarded_layers_of_a_schema_1_image_are_not_kept_and_not_fetched_for_the_next_pull() {
    let containerd = Containerd::new(Options::default());
    let registry = Registry::new(sim::registry::Options::default());
    let node =
        Node::configured(containerd, registry, "first", |_, unpack| unpack.layers = Layers::Discard).await;
    node.registry.push("app", Some("1"), &old());
    let pulled = node.pull(&on_host("app:1")).await.unwrap();
    node.settle().await;
    let content: Vec<String> = node.inventory().content.into_keys().collect();
    let mut documents = [old().config().digest().to_owned(), old().converted().digest().to_owned()];
    documents.sort();
    assert_eq!(content, documents);
    node.registry.clear_requests();
    assert_eq!(node.pull(&on_host("app:1")).await.unwrap(), pulled);
    let asked: Vec<String> = node.registry.requests().into_iter().map(|r| r.method.to_string()).collect();
    assert_eq!(asked, ["HEAD"]);
}

#[tokio::test(start_paused = true)]
async fn a_layer_of_a_schema_1_image_that_unpacks_to_more_than_the_limit_is_refused() {
    let size = image(1).layers().iter().map(|layer| layer.tar().len() as u64).max().unwrap();
    for (bytes_max, is_pulled) in [(size, true), (size - 1, false)] {
        let containerd = Containerd::new(Options::default());
        let registry = Registry::new(sim::registry::Options::default());
        let limit = |_: &mut _, unpack: &mut UnpackConfig| unpack.limits.bytes_max = bytes_max;
        let node = Node::configured(containerd, registry, "first", limit).await;
        node.registry.push("app", Some("1"), &old());
        let pulled = node.pull(&on_host("app:1")).await;
        assert_eq!(pulled.is_ok(), is_pulled, "{bytes_max}: {pulled:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_of_a_schema_1_image_that_is_said_to_be_too_large_is_not_begun() {
    const BYTES_MAX: u64 = 32 << 30;
    for (said, is_too_large) in [(BYTES_MAX, false), (BYTES_MAX + 1, true)] {
        let node = Node::start().await;
        node.registry.push("app", Some("1"), &old());
        let asked = Match::path(image(1).layer_blobs()[0].digest()).method(http::Method::HEAD);
        let said = Fault::Header("content-length".to_owned(), said.to_string());
        node.registry.inject(Rule::new(asked, said));
        let error = node.pull(&on_host("app:1")).await.unwrap_err();
        assert_eq!(matches!(&*error, PullError::LayerSize { .. }), is_too_large, "{error}");
        node.settle().await;
        node.assert_empty();
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_moves_on_from_a_schema_1_image_is_pulled_as_what_it_is() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &old());
    node.pull(&on_host("app:1")).await.unwrap();
    node.registry.push("app", Some("1"), &image(2));
    let pulled = node.pull(&on_host("app:1")).await.unwrap();
    assert_eq!((pulled.image_id.as_str(), pulled.converted_from), (image(2).config().digest(), None));
    node.registry.push("app", Some("1"), &old());
    assert_eq!(node.pull(&on_host("app:1")).await.unwrap().image_id.as_str(), old().config().digest());
}

/// Pushes `manifest` beside the layers of [`old`].
async fn pull_of(node: &Node, manifest: String) -> String {
    struct Odd(Blob);
    impl Pushable for Odd {
        fn target(&self) -> Blob {
            self.0.clone()
        }
        fn manifests(&self) -> Vec<Blob> {
            vec![self.0.clone()]
        }
        fn blobs(&self) -> Vec<Blob> {
            Vec::new()
        }
    }
    let media_type = "application/vnd.docker.distribution.manifest.v1+json";
    node.registry.push("app", None, &old());
    node.registry.push("app", Some("odd"), &Odd(Blob::new(media_type, manifest)));
    let error = node.pull(&on_host("app:odd")).await.unwrap_err();
    node.settle().await;
    node.assert_at_rest();
    node.assert_empty();
    let error: &dyn std::error::Error = &*error;
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test(start_paused = true)]
async fn a_schema_1_manifest_that_cannot_be_converted_is_a_clear_error_that_leaves_nothing() {
    let node = Node::start().await;
    let text =
        String::from_utf8(Schema1::new("app", "1", image(1).layers()).target().bytes().to_vec()).unwrap();
    let told = pull_of(&node, text.replace("fsLayers", "fslayers")).await;
    assert!(told.contains("Docker schema 1 manifest with 0 layers but 3 history entries"), "{told}");
    let gone = image(1).layer_blobs()[0].digest().replace("sha256:", "sha256:00");
    let told = pull_of(&node, text.replace(image(1).layer_blobs()[0].digest(), &gone[..71])).await;
    assert!(told.contains("pull layer") && told.contains("not found"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_schema_1_image_is_refused_clearly_where_it_is_switched_off() {
    let containerd = Containerd::new(Options::default());
    let registry = Registry::new(sim::registry::Options::default());
    let node = Node::configured(containerd, registry, "first", |client, _| client.schema1 = false).await;
    node.registry.push("app", Some("1"), &old());
    let error = node.pull(&on_host("app:1")).await.unwrap_err();
    let PullError::Resolve(source) = &*error else { panic!("{error}") };
    let told = source.access().to_string();
    assert!(told.contains("Docker schema 1 images are switched off on this node"), "{told}");
    node.assert_empty();
}
