//! Which connection the bytes of a blob take.

use containerd::Client;
use sim::containerd::{Containerd, Options};
use sim::image::Blob;

use crate::details::put;

#[tokio::test]
async fn the_bytes_of_large_blobs_have_a_connection_of_their_own() {
    // That they lead to different containerds tells the connections apart.
    let (for_calls, for_bytes) = (Containerd::new(Options::default()), Containerd::new(Options::default()));
    let client = Client::new(for_calls.connect(), "k8s.io").unwrap().with_bulk(for_bytes.connect());
    for (length, expected) in [(1 << 20, &for_calls), (2 << 20, &for_bytes)] {
        let blob = put(&client.content(), &Blob::new("application/octet-stream", vec![7; length])).await;
        let there = Client::new(expected.connect(), "k8s.io").unwrap().content();
        assert_eq!(there.info(&blob.digest).await.unwrap().size, blob.size);
    }
    // Only layers are read as streams.
    let layer = Blob::new("application/octet-stream", b"small".to_vec());
    let there = put(&Client::new(for_bytes.connect(), "k8s.io").unwrap().content(), &layer).await;
    let mut read = client.content().stream(&there.digest).await.unwrap();
    assert_eq!(read.chunk().await.unwrap().as_deref(), Some(b"small".as_slice()));
}
