//! Writes past containerd's API, into its file.

use containerd::{Client, ErrorKind, IngestStart, open_ingest};
use oci::Descriptor;
use sim::containerd::{Containerd, Options};

#[tokio::test]
async fn a_write_into_the_file_ends_where_containerd_goes_away_for_the_ingest_is_not_locked_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.directory = Some(directory.path().to_owned());
    let containerd = Containerd::new(options);
    let client = Client::new(containerd.connect(), "k8s.io").unwrap();
    let layer = Descriptor::new("application/octet-stream", oci::sha256(b"bytes"), 5);
    let IngestStart::Open(ingest) = client.content().ingest("layer", &layer).await.unwrap() else {
        panic!("it is there");
    };
    let root = client.introspection().content_root().await.unwrap().unwrap();
    let file = open_ingest(&root, "k8s.io", "layer").unwrap().unwrap();
    let mut ingest = ingest.into_file(file);
    ingest.write("by".into()).await.unwrap();
    containerd.stop();
    // Now the connection knows.
    client.content().info(&layer.digest).await.unwrap_err();
    let error = ingest.write("tes".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}
