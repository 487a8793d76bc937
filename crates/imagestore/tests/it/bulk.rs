//! Which connection the bytes of a blob take.

use containerd::{Client, IngestStart};
use oci::Descriptor;
use sim::containerd::{Containerd, Options};

#[tokio::test]
async fn the_bytes_of_large_blobs_have_a_connection_of_their_own() {
    // That they lead to different containerds tells the connections apart.
    let (for_calls, for_bytes) = (Containerd::new(Options::default()), Containerd::new(Options::default()));
    let client = Client::new(for_calls.connect(), "k8s.io").unwrap().with_bulk(for_bytes.connect());
    for (length, expected) in [(1 << 20, &for_calls), (2 << 20, &for_bytes)] {
        let bytes = vec![7; length];
        let blob = Descriptor::new("application/octet-stream", oci::sha256(&bytes), length as u64);
        let IngestStart::Open(mut ingest) = client.content().ingest("blob", &blob).await.unwrap() else {
            panic!("the blob is there")
        };
        ingest.write(bytes.into()).await.unwrap();
        assert!(ingest.commit(&[].into()).await.unwrap());
        let there = Client::new(expected.connect(), "k8s.io").unwrap().content();
        assert_eq!(there.info(&blob.digest).await.unwrap().size, length as u64);
    }
}
