//! Documents by descriptor.

use oci::Descriptor;
use oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use registry::Kind;

use crate::support::{MANIFEST, Reply, World, descriptor_of};

#[tokio::test(start_paused = true)]
async fn manifests_and_configs_are_asked_for_where_registries_keep_them() {
    let world = World::new();
    world.network.serve("r.test:80", |_| Reply::ok(MANIFEST));
    let session = world.session("r.test/app:1");
    let (digest, size) = (oci::sha256(MANIFEST), MANIFEST.len() as u64);
    for media_type in [OCI_INDEX, OCI_MANIFEST, OCI_CONFIG, "odd\ntype"] {
        let document = session.manifest(&Descriptor::new(media_type, digest.clone(), size)).await.unwrap();
        assert_eq!(document, MANIFEST);
    }
    let accepted: Vec<_> =
        world.network.seen().iter().map(|seen| seen.header("accept").unwrap().to_owned()).collect();
    assert_eq!(accepted[0], format!("{OCI_INDEX}, */*"));
    assert_eq!(accepted[3], "*/*");
    let line = |collection: &str| format!("GET r.test:80 /v2/app/{collection}/{digest}");
    assert_eq!(world.network.lines(), [line("manifests"), line("manifests"), line("blobs"), line("blobs")]);
}

#[track_caller]
fn check(result: Result<bytes::Bytes, registry::FetchError>, expected: Kind) {
    assert_eq!(result.unwrap_err().kind(), expected);
}

#[tokio::test(start_paused = true)]
async fn other_bytes_than_the_descriptor_names_are_refused() {
    let world = World::new();
    world.network.serve("r.test:80", |seen| {
        // Same length, one byte more, one byte less.
        if seen.target.contains("/same/") {
            Reply::ok(vec![b'x'; MANIFEST.len()])
        } else if seen.target.contains("/more/") {
            Reply::ok([MANIFEST, b"x"].concat())
        } else {
            Reply::ok(&MANIFEST[1..]).chunked()
        }
    });
    let descriptor = descriptor_of(MANIFEST);
    check(world.session("r.test/same/a:1").manifest(&descriptor).await, Kind::DigestMismatch);
    check(world.session("r.test/more/a:1").manifest(&descriptor).await, Kind::SizeMismatch);
    check(world.session("r.test/less/a:1").manifest(&descriptor).await, Kind::SizeMismatch);
}

#[tokio::test(start_paused = true)]
async fn a_mirror_with_other_bytes_is_passed_over() {
    let world = World::bare().hosts("r.test", "server = \"http://r.test\"\n[host.\"http://m.test\"]");
    world.network.serve("m.test:80", |_| Reply::ok(vec![b'x'; MANIFEST.len()]));
    world.network.serve("r.test:80", |_| Reply::ok(MANIFEST));
    let document = world.session("r.test/app:1").manifest(&descriptor_of(MANIFEST)).await.unwrap();
    assert_eq!(document, MANIFEST);
}

#[tokio::test(start_paused = true)]
async fn a_descriptor_over_8_mib_is_refused_without_a_request() {
    let world = World::new();
    let descriptor = Descriptor::new(OCI_MANIFEST, oci::sha256(b""), 8 * 1024 * 1024 + 1);
    check(world.session("r.test/app:1").manifest(&descriptor).await, Kind::TooLarge);
    assert!(world.network.dialled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_document_that_its_descriptor_holds_is_not_asked_for() {
    let world = World::new();
    let mut descriptor = descriptor_of(MANIFEST);
    descriptor.data = Some(MANIFEST.to_vec());
    let session = world.session("r.test/app:1");
    assert_eq!(session.manifest(&descriptor).await.unwrap(), MANIFEST);
    assert!(world.network.dialled().is_empty());
    // Other bytes than the digest's are nobody's.
    descriptor.data = Some(vec![b' '; MANIFEST.len()]);
    world.network.serve("r.test:80", |_| Reply::ok(MANIFEST));
    assert_eq!(session.manifest(&descriptor).await.unwrap(), MANIFEST);
}
