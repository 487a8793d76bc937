//! Docker schema 1: which digest names a signed document, how it is announced, how long its blobs are.

use std::time::Duration;

use oci::Descriptor;
use oci::media_type::{DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED};
use refparse::Digest;
use registry::{Kind, ResolveError, Resolved};

use crate::support::{Reply, Seen, World, line};

const PAYLOAD: &str = r#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#;

/// The payload in a signature whose text is `signature`: signed anew, it has another one, also of another length.
fn signed(signature: &str) -> String {
    // `{"formatLength":45,"formatTail":"fQ"}`: all but the closing brace.
    const PROTECTED: &str = "eyJmb3JtYXRMZW5ndGgiOjQ1LCJmb3JtYXRUYWlsIjoiZlEifQ";
    let open = PAYLOAD.strip_suffix('}').unwrap();
    assert_eq!(open.len(), 45);
    format!(r#"{open},"signatures":[{{"signature":"{signature}","protected":"{PROTECTED}"}}]}}"#)
}

fn payload_digest() -> Digest {
    oci::sha256(PAYLOAD.as_bytes())
}

/// A registry that signs anew for each request; its HEAD says digest and length.
fn registry(content_type: &'static str) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    move |seen| {
        let signature = if seen.method == "HEAD" { "short" } else { "and now a longer one" };
        let body = signed(signature);
        let reply = if seen.method == "HEAD" {
            Reply::new(200).header("content-length", body.len().to_string())
        } else {
            Reply::ok(body)
        };
        let reply = reply.header("docker-content-digest", payload_digest().to_string());
        if content_type.is_empty() { reply } else { reply.header("content-type", content_type) }
    }
}

async fn resolve(
    reference: &str,
    serve: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> Result<Resolved, ResolveError> {
    let world = World::new();
    world.network.serve("r.test:80", serve);
    world.session(reference).resolve().await
}

#[tokio::test(start_paused = true)]
async fn a_head_that_announces_it_is_enough() {
    let resolved = resolve("r.test/app:1", registry(DOCKER_SCHEMA1_SIGNED)).await.unwrap();
    let size = signed("short").len() as u64;
    assert_eq!(resolved.descriptor, Descriptor::new(DOCKER_SCHEMA1_SIGNED, payload_digest(), size));
    assert_eq!(resolved.body, None);
}

#[tokio::test(start_paused = true)]
async fn under_a_type_that_says_nothing_the_body_tells() {
    for content_type in ["", "application/json", "text/plain; charset=utf-8"] {
        let resolved = resolve("r.test/app:1", registry(content_type)).await.unwrap();
        assert_eq!(resolved.descriptor.media_type, DOCKER_SCHEMA1_SIGNED, "{content_type}");
        assert_eq!(resolved.descriptor.digest, payload_digest(), "{content_type}");
        assert_eq!(resolved.body.unwrap(), signed("and now a longer one"));
    }
    let unsigned = |_: &Seen| Reply::ok(PAYLOAD).header("content-type", "application/json");
    let resolved = resolve("r.test/app:1", unsigned).await.unwrap();
    assert_eq!(resolved.descriptor.media_type, DOCKER_SCHEMA1);
    assert_eq!(resolved.descriptor.digest, payload_digest());
}

#[tokio::test(start_paused = true)]
async fn a_reference_by_digest_names_what_was_signed() {
    let reference = format!("r.test/app@{}", payload_digest());
    let get_only = |seen: &Seen| {
        if seen.method == "HEAD" { Reply::new(405) } else { registry(DOCKER_SCHEMA1_SIGNED)(seen) }
    };
    let resolved = resolve(&reference, get_only).await.unwrap();
    assert_eq!(resolved.descriptor.digest, payload_digest());
    // The digest of the bytes as sent is no name of the document.
    let whole = oci::sha256(signed("and now a longer one").as_bytes());
    let error = resolve(&format!("r.test/app@{whole}"), get_only).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DigestMismatch);
}

#[tokio::test(start_paused = true)]
async fn a_document_by_descriptor_may_have_another_signature() {
    let world = World::new();
    world.network.serve("r.test:80", registry(DOCKER_SCHEMA1_SIGNED));
    let session = world.session("r.test/app:1");
    let resolved = session.resolve().await.unwrap();
    let document = session.manifest(&resolved.descriptor).await.unwrap();
    assert_eq!(document, signed("and now a longer one"));
    assert_eq!(
        world.network.lines(),
        [
            "HEAD r.test:80 /v2/app/manifests/1".to_owned(),
            format!("GET r.test:80 /v2/app/manifests/{}", payload_digest()),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn other_documents_than_the_descriptor_names_are_refused() {
    let world = World::new();
    world.network.serve("r.test:80", |seen| {
        if seen.target.contains("/long/") {
            Reply::ok(vec![b' '; usize::try_from(oci::DOCUMENT_BYTES_MAX).unwrap() + 1]).chunked()
        } else if seen.target.contains("/cut/") {
            Reply::ok(signed("x").replace("eyJ", "!!!"))
        } else {
            Reply::ok(signed("x").replace("\"history\"", "\"History\""))
        }
    });
    let descriptor = Descriptor::new(DOCKER_SCHEMA1_SIGNED, payload_digest(), 5);
    for (repository, kind) in
        [("other", Kind::DigestMismatch), ("long", Kind::TooLarge), ("cut", Kind::Protocol)]
    {
        let error =
            world.session(&format!("r.test/{repository}/a:1")).manifest(&descriptor).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{}", line(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn where_it_is_switched_off_it_is_refused_by_name() {
    for content_type in
        [DOCKER_SCHEMA1_SIGNED, DOCKER_SCHEMA1, "text/plain; charset=utf-8", "application/json"]
    {
        let world = World::configured(|config| config.schema1 = false, None)
            .hosts("r.test", "server = \"http://r.test\"");
        world.network.serve("r.test:80", registry(content_type));
        let error = world.session("r.test/app:1").resolve().await.unwrap_err();
        assert_eq!(error.kind(), Kind::UnsupportedMediaType);
        assert!(
            line(&error).contains("Docker schema 1 images are switched off on this node"),
            "{content_type}: {}",
            line(&error)
        );
    }
}

async fn blob_size(
    serve: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> (Vec<String>, Result<u64, Kind>) {
    let world = World::new();
    world.network.serve("r.test:80", serve);
    let size = world.session("r.test/app:1").blob_size(&payload_digest()).await;
    let methods = world.network.seen().iter().map(|seen| seen.method.to_string()).collect();
    (methods, size.map_err(|error| error.kind()))
}

#[tokio::test(start_paused = true)]
async fn the_size_of_a_blob_is_what_a_head_says() {
    let (methods, size) = blob_size(|_| Reply::new(200).header("content-length", "1234")).await;
    assert_eq!((methods, size), (vec!["HEAD".to_owned()], Ok(1234)));
}

#[tokio::test(start_paused = true)]
async fn where_a_head_does_not_say_the_first_byte_does() {
    let heads =
        [Reply::new(200), Reply::new(200).header("content-length", "0"), Reply::new(403), Reply::new(405)];
    for head in heads {
        let serve = move |seen: &Seen| {
            if seen.method == "HEAD" {
                return head.clone();
            }
            assert_eq!(seen.header("range"), Some("bytes=0-0"));
            Reply::part(PAYLOAD.as_bytes(), 0, 0)
        };
        let (methods, size) = blob_size(serve).await;
        assert_eq!((methods.len(), size), (2, Ok(PAYLOAD.len() as u64)));
    }
    // A server without ranges answers with the whole.
    let (_, size) =
        blob_size(|seen| if seen.method == "HEAD" { Reply::new(501) } else { Reply::ok(PAYLOAD) }).await;
    assert_eq!(size, Ok(PAYLOAD.len() as u64));
}

#[tokio::test(start_paused = true)]
async fn a_blob_whose_size_nobody_tells_is_an_error() {
    let silent =
        |seen: &Seen| if seen.method == "HEAD" { Reply::new(200) } else { Reply::ok(PAYLOAD).chunked() };
    assert_eq!(blob_size(silent).await.1, Err(Kind::Protocol));
    let (methods, size) = blob_size(|_| Reply::new(404)).await;
    assert_eq!((methods.len(), size), (1, Err(Kind::NotFound)));
}

#[tokio::test(start_paused = true)]
async fn a_mirror_without_the_blob_is_passed_over_for_its_size() {
    let world = World::bare().hosts("r.test", "server = \"http://r.test\"\n[host.\"http://m.test\"]");
    world.network.serve("m.test:80", |_| Reply::new(404));
    world.network.serve("r.test:80", |_| {
        Reply::new(200).header("content-length", "7").delayed(Duration::from_secs(1))
    });
    let size = world.session("r.test/app:1").blob_size(&payload_digest()).await;
    assert_eq!(size.unwrap(), 7);
}
