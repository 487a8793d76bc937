//! The way down from a tag to the image: nested indexes, platforms, and the labels of what is met.

use oci::Platform;
use sim::image::{Blob, Format, Image, ImageBuilder, Index, Layer, Pushable};

use crate::node::{Node, image, on_host};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image under indexes that name one document each, for no platform in particular.
struct Nested {
    image: Image,
    indexes: Vec<Blob>,
}

impl Nested {
    fn new(image: Image, depth: usize) -> Nested {
        let mut indexes: Vec<Blob> = Vec::new();
        for _ in 0..depth {
            let beneath = indexes.last().unwrap_or(image.manifest());
            let (media_type, digest, size) = (beneath.media_type(), beneath.digest(), beneath.size());
            let entry = format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#);
            let text = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{entry}]}}"#);
            indexes.push(Blob::new(INDEX, text.into_bytes()));
        }
        Nested { image, indexes }
    }
}

impl Pushable for Nested {
    fn target(&self) -> Blob {
        self.indexes.last().unwrap_or(self.image.manifest()).clone()
    }

    fn manifests(&self) -> Vec<Blob> {
        let manifest = self.image.manifest().clone();
        self.indexes.iter().cloned().chain([manifest]).collect()
    }

    fn blobs(&self) -> Vec<Blob> {
        self.image.blobs()
    }
}

fn for_another_platform() -> Image {
    let layer = Layer::random("x", 10, 9, sim::image::Compression::None);
    ImageBuilder::new().platform("linux", "s390x").layer(layer).build()
}

/// The id of the image that a pull of `pushed` brings, or the error.
async fn pulled(pushed: &impl Pushable) -> Result<String, String> {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), pushed);
    let pulled = node.pull(&on_host("app:1")).await.map_err(|error| error.to_string())?;
    Ok(pulled.image_id.to_string())
}

#[tokio::test(start_paused = true)]
async fn indexes_are_followed_four_deep_and_no_deeper() {
    let image = image(1);
    let id = image.config().digest().to_owned();
    assert_eq!(pulled(&Nested::new(image.clone(), 4)).await, Ok(id));
    let error = format!("`{}` nests more than 4 indexes", on_host("app:1"));
    assert_eq!(pulled(&Nested::new(image, 5)).await, Err(error));
}

#[tokio::test(start_paused = true)]
async fn an_entry_without_a_platform_is_for_what_its_config_says_and_a_manifest_for_everybody() {
    let other = for_another_platform();
    let id = other.config().digest().to_owned();
    assert_eq!(pulled(&other).await, Ok(id.clone()), "a manifest by itself");
    let error = format!("`{}` has no image for {}", on_host("app:1"), Platform::host());
    assert_eq!(pulled(&Nested::new(other.clone(), 1)).await, Err(error), "an entry without a platform");
    // Its entry says s390x, that of this node its own.
    let both = Index::new(Format::Oci, [other, image(1)]);
    assert_eq!(pulled(&both).await, Ok(image(1).config().digest().to_owned()));
}

#[tokio::test(start_paused = true)]
async fn every_document_says_where_it_came_from_once() {
    let node = Node::start().await;
    let index = Nested::new(image(1), 1);
    let source = |digest: &str| {
        let content = node.inventory().content;
        content[digest].labels.get("containerd.io/distribution.source.localhost").cloned()
    };
    let documents = [index.target().digest().to_owned(), image(1).manifest().digest().to_owned()];
    let config = image(1).config().digest().to_owned();
    node.registry.push("app", Some("1"), &index);
    node.registry.push("copy", Some("1"), &index);
    for (name, expected) in [("app:1", "app"), ("app:1", "app"), ("copy:1", "app,copy")] {
        node.pull(&on_host(name)).await.unwrap();
        for digest in documents.iter().chain([&config]) {
            assert_eq!(source(digest).as_deref(), Some(expected), "{name}: {digest}");
        }
    }
}

/// What another client left, without the labels by which containerd's collector finds what is beneath.
#[tokio::test(start_paused = true)]
async fn documents_that_are_there_get_the_labels_that_they_lack() {
    let node = Node::start().await;
    node.registry.push("app", Some("1"), &image(1));
    node.pull(&on_host("app:1")).await.unwrap();
    let labels = |node: &Node| {
        let manifest = node.inventory().content[image(1).manifest().digest()].labels.clone();
        (manifest, node.inventory().content[image(1).config().digest()].labels.clone())
    };
    let complete = labels(&node);
    let content = node.store.client().content();
    for (blob, labels) in [(image(1).manifest(), &complete.0), (image(1).config(), &complete.1)] {
        let removed = labels.keys().map(|key| (key.clone(), String::new())).collect();
        content.set_labels(&blob.digest().parse().unwrap(), &removed).await.unwrap();
    }
    assert_ne!(labels(&node), complete);
    node.pull(&on_host("app:1")).await.unwrap();
    assert_eq!(labels(&node), complete);
}
