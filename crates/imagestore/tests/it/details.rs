//! What the documents under a record say of the image.

use std::collections::BTreeMap;

use containerd::{Client, Content, IngestStart};
use imagestore::Details;
use oci::{Descriptor, PlatformMatcher};
use sim::containerd::{Containerd, Options};
use sim::image::{Blob, Compression, Image, ImageBuilder, Layer};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Writes `blob` into the store, unless it is there.
pub(crate) async fn put(content: &Content, blob: &Blob) -> Descriptor {
    let digest = blob.digest().parse().unwrap();
    let descriptor = Descriptor::new(blob.media_type(), digest, blob.size());
    match content.ingest(blob.digest(), &descriptor).await.unwrap() {
        IngestStart::Open(mut ingest) => {
            ingest.write(blob.bytes().clone()).await.unwrap();
            ingest.commit(&BTreeMap::new()).await.unwrap();
        }
        IngestStart::Exists => {}
    }
    descriptor
}

/// The image's documents in the store; what its manifest is called.
async fn stored(content: &Content, image: &Image) -> Descriptor {
    put(content, image.config()).await;
    put(content, image.manifest()).await
}

/// An index that names this one document, for no platform in particular.
async fn index_of(content: &Content, entry: &Descriptor) -> Descriptor {
    let Descriptor { media_type, digest, size, .. } = entry;
    let entry = format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#);
    let text = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{entry}]}}"#);
    put(content, &Blob::new(INDEX, text.into_bytes())).await
}

fn content() -> Content {
    Client::new(Containerd::new(Options::default()).connect(), "k8s.io").unwrap().content()
}

fn builder() -> ImageBuilder {
    ImageBuilder::new().layer(Layer::random("top", 50, 1, Compression::Gzip))
}

async fn read(content: &Content, target: &Descriptor) -> Option<Details> {
    Details::read(content, &PlatformMatcher::host(), target).await.unwrap()
}

#[tokio::test]
async fn an_image_under_an_index_has_the_documents_and_sizes_of_both() {
    let content = content();
    let image = builder().build();
    let manifest = stored(&content, &image).await;
    let index = index_of(&content, &manifest).await;
    let details = read(&content, &index).await.expect("an image");
    let documents: Vec<String> = details.documents.iter().map(ToString::to_string).collect();
    assert_eq!(documents, [index.digest.as_ref(), image.manifest().digest(), image.config().digest()]);
    let layers: u64 = image.layer_blobs().iter().map(Blob::size).sum();
    assert_eq!(details.size_bytes, index.size + manifest.size + image.config().size() + layers);
}

/// Eight documents from the target to the manifest, the manifest included.
#[tokio::test]
async fn indexes_nest_seven_deep_and_no_deeper() {
    let content = content();
    let mut target = stored(&content, &builder().build()).await;
    for _ in 0..7 {
        target = index_of(&content, &target).await;
    }
    assert_eq!(read(&content, &target).await.expect("an image").documents.len(), 9);
    let target = index_of(&content, &target).await;
    assert_eq!(read(&content, &target).await, None);
}

#[tokio::test]
async fn an_entry_without_a_platform_is_for_what_its_config_says_and_a_manifest_for_everybody() {
    let content = content();
    let other = stored(&content, &builder().platform("plan9", "mips").build()).await;
    assert!(read(&content, &other).await.is_some());
    assert_eq!(read(&content, &index_of(&content, &other).await).await, None);
}
