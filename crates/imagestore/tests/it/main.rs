//! The store against the in-process containerd: the writing of records with another client beside it, and what documents
//! say of an image.

#![expect(
    clippy::unwrap_used,
    reason = "clippy's own exception covers functions marked #[test], not their helpers"
)]

mod bulk;
mod details;
mod file_ingest;
mod lease;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use containerd::{Client, ImageRecord, Images};
use imagestore::write_record;
use oci::Descriptor;
use sim::containerd::{Containerd, Options};

const NAME: &str = "docker.io/library/busybox:1";

fn record(target: u8, labels: &[(&str, &str)]) -> ImageRecord {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let target = Descriptor::new("application/vnd.oci.image.manifest.v1+json", oci::sha256(&[target]), 7);
    ImageRecord { name: NAME.to_owned(), target, labels: labels.collect::<BTreeMap<_, _>>() }
}

fn images(containerd: &Containerd) -> Images {
    Client::new(containerd.connect(), "k8s.io").unwrap().images()
}

/// Another client that deletes the record as often as it can until it is told to stop; answers how often it did.
fn deleter(images: Images, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<u32> {
    tokio::spawn(async move {
        let mut deleted = 0;
        while !stop.load(Ordering::Relaxed) {
            deleted += u32::from(images.delete(NAME, None, false).await.is_ok());
        }
        deleted
    })
}

#[tokio::test]
async fn a_record_that_is_deleted_again_and_again_is_written_in_the_end() {
    let containerd = Containerd::new(Options::default());
    let (ours, stop) = (images(&containerd), Arc::new(AtomicBool::new(false)));
    let deleting = deleter(images(&containerd), Arc::clone(&stop));
    // Two targets by turns, so that each round has to create or to update, and never finds what it wants.
    for round in 0..200u8 {
        write_record(&ours, &record(round % 2, &[("io.cri-containerd.image", "managed")])).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let deleted = deleting.await.unwrap();
    assert!(deleted > 10, "the other client deleted {deleted} times: no race was run");
    write_record(&ours, &record(7, &[])).await.unwrap();
    assert_eq!(ours.get(NAME).await.unwrap().target, record(7, &[]).target);
}

#[tokio::test]
async fn writing_keeps_foreign_labels_and_leaves_a_right_record_alone() {
    let containerd = Containerd::new(Options::default());
    let images = images(&containerd);
    images.create(&record(1, &[("theirs", "kept")])).await.unwrap();
    write_record(&images, &record(2, &[("ours", "set")])).await.unwrap();
    let expected = record(2, &[("theirs", "kept"), ("ours", "set")]);
    assert_eq!(images.get(NAME).await.unwrap(), expected);

    let client = Client::new(containerd.connect(), "k8s.io").unwrap();
    let mut events = client.events().images().await.unwrap();
    write_record(&images, &record(2, &[("ours", "set")])).await.unwrap();
    images.create(&ImageRecord { name: "marker:1".into(), ..expected }).await.unwrap();
    assert_eq!(events.next().await.unwrap().name, "marker:1", "no event for a record that was right already");
}
