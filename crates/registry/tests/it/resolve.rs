//! What a reference resolves to, and what is not believed.

use oci::media_type::{DOCKER_INDEX, DOCKER_MANIFEST, OCI_MANIFEST};
use registry::{Kind, Resolved};

use crate::support::{MANIFEST, Reply, World, descriptor_of, line};

fn head() -> Reply {
    Reply::new(200)
        .header("content-type", OCI_MANIFEST)
        .header("docker-content-digest", oci::sha256(MANIFEST).to_string())
        .header("content-length", MANIFEST.len().to_string())
}

fn get() -> Reply {
    Reply::ok(MANIFEST).header("content-type", OCI_MANIFEST)
}

/// Resolves `reference` at a server that answers HEAD and GET as given.
async fn resolve(
    reference: &str,
    head: Reply,
    get: Reply,
) -> (World, Result<Resolved, registry::ResolveError>) {
    let world = World::new();
    world
        .network
        .serve("r.test:80", move |seen| if seen.method == "HEAD" { head.clone() } else { get.clone() });
    let resolved = world.session(reference).resolve().await;
    (world, resolved)
}

#[tokio::test(start_paused = true)]
async fn a_head_with_digest_and_length_is_enough() {
    let (world, resolved) = resolve("r.test/app:1", head(), Reply::new(500)).await;
    let expected = Resolved { descriptor: descriptor_of(MANIFEST), body: None, host: "r.test".to_owned() };
    assert_eq!(resolved.unwrap(), expected);
    assert_eq!(world.network.lines(), ["HEAD r.test:80 /v2/app/manifests/1"]);
    let seen = &world.network.seen()[0];
    assert_eq!(seen.header("user-agent"), Some(concat!("cri-imaged/", env!("CARGO_PKG_VERSION"))));
    for media_type in [OCI_MANIFEST, DOCKER_MANIFEST, DOCKER_INDEX] {
        assert!(seen.header("accept").unwrap().contains(media_type));
    }
}

#[track_caller]
fn check_got(world: &World, resolved: Result<Resolved, registry::ResolveError>) {
    let resolved = resolved.unwrap();
    assert_eq!(resolved.descriptor, descriptor_of(MANIFEST));
    assert_eq!(resolved.body.as_deref(), Some(MANIFEST));
    assert_eq!(
        world.network.lines(),
        ["HEAD r.test:80 /v2/app/manifests/1", "GET r.test:80 /v2/app/manifests/1"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_head_without_digest_is_followed_by_a_get_that_is_hashed() {
    let head = Reply::new(200).header("content-type", OCI_MANIFEST).header("content-length", "5");
    let (world, resolved) = resolve("r.test/app:1", head, get()).await;
    check_got(&world, resolved);
}

#[tokio::test(start_paused = true)]
async fn a_digest_header_that_is_no_digest_is_not_trusted() {
    let head = Reply::new(200)
        .header("content-type", OCI_MANIFEST)
        .header("docker-content-digest", "sha256:short")
        .header("content-length", "5");
    let (world, resolved) = resolve("r.test/app:1", head, get()).await;
    check_got(&world, resolved);
}

#[tokio::test(start_paused = true)]
async fn a_digest_header_without_length_is_not_trusted() {
    let head = Reply::new(200)
        .header("content-type", OCI_MANIFEST)
        .header("docker-content-digest", oci::sha256(b"x").to_string())
        .chunked();
    let (world, resolved) = resolve("r.test/app:1", head, get()).await;
    check_got(&world, resolved);
}

#[tokio::test(start_paused = true)]
async fn a_length_of_zero_is_not_trusted() {
    let head = Reply::new(200)
        .header("content-type", OCI_MANIFEST)
        .header("docker-content-digest", oci::sha256(MANIFEST).to_string())
        .header("content-length", "0");
    let (world, resolved) = resolve("r.test/app:1", head, get()).await;
    check_got(&world, resolved);
}

#[tokio::test(start_paused = true)]
async fn a_registry_without_head_is_asked_by_get() {
    for status in [405, 400, 403, 501] {
        let (world, resolved) = resolve("r.test/app:1", Reply::new(status), get()).await;
        check_got(&world, resolved);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_other_than_its_digest_header_is_refused() {
    let get = get().header("docker-content-digest", oci::sha256(b"other").to_string());
    let (_world, resolved) = resolve("r.test/app:1", Reply::new(405), get).await;
    assert_eq!(resolved.unwrap_err().kind(), Kind::DigestMismatch);
}

#[tokio::test(start_paused = true)]
async fn a_reference_by_digest_resolves_to_that_digest_or_fails() {
    let digest = oci::sha256(MANIFEST);
    let reference = format!("r.test/app@{digest}");
    let (world, resolved) = resolve(&reference, head(), Reply::new(500)).await;
    assert_eq!(resolved.unwrap().descriptor.digest, digest);
    assert_eq!(world.network.lines(), [format!("HEAD r.test:80 /v2/app/manifests/{digest}")]);

    let other = format!("r.test/app@{}", oci::sha256(b"other"));
    let (_world, resolved) = resolve(&other, head(), get()).await;
    assert_eq!(resolved.unwrap_err().kind(), Kind::DigestMismatch);

    let (_world, resolved) = resolve(&other, Reply::new(405), get()).await;
    let error = resolved.unwrap_err();
    assert_eq!(error.kind(), Kind::DigestMismatch);
    assert!(line(&error).contains(oci::sha256(MANIFEST).as_str()), "{}", line(&error));
}

#[tokio::test(start_paused = true)]
async fn a_sha512_reference_is_verified_as_such() {
    use sha2::Digest as _;
    let digest = refparse::Digest::from_sha512(sha2::Sha512::digest(MANIFEST).into());
    // The registry names it by sha256, so only the bytes can tell.
    let (_world, resolved) = resolve(&format!("r.test/app@{digest}"), head(), get()).await;
    assert_eq!(resolved.unwrap().descriptor.digest, digest);
    let wrong = refparse::Digest::from_sha512([0; 64]);
    let (_world, resolved) = resolve(&format!("r.test/app@{wrong}"), head(), get()).await;
    assert_eq!(resolved.unwrap_err().kind(), Kind::DigestMismatch);
}

#[tokio::test(start_paused = true)]
async fn a_web_page_is_no_manifest() {
    let page = Reply::ok("<html>sign in</html>").header("content-type", "text/html");
    let (_world, resolved) = resolve("r.test/app:1", Reply::new(405), page).await;
    let error = resolved.unwrap_err();
    assert_eq!(error.kind(), Kind::UnsupportedMediaType);
    assert!(line(&error).ends_with("host `r.test`: unsupported media type `text/html`"), "{}", line(&error));
}

#[tokio::test(start_paused = true)]
async fn a_document_without_content_type_tells_its_own() {
    let (_world, resolved) = resolve("r.test/app:1", Reply::new(405), Reply::ok(MANIFEST)).await;
    assert_eq!(resolved.unwrap().descriptor.media_type, OCI_MANIFEST);
}

#[tokio::test(start_paused = true)]
async fn a_document_over_8_mib_is_refused_by_length_and_by_count() {
    let head = Reply::new(200)
        .header("content-type", OCI_MANIFEST)
        .header("docker-content-digest", oci::sha256(MANIFEST).to_string())
        .header("content-length", (8 * 1024 * 1024 + 1).to_string());
    let (_world, resolved) = resolve("r.test/app:1", head, get()).await;
    assert_eq!(resolved.unwrap_err().kind(), Kind::TooLarge);
    let body = vec![b' '; 8 * 1024 * 1024 + 1];
    let (_world, resolved) = resolve("r.test/app:1", Reply::new(405), Reply::ok(body).chunked()).await;
    assert_eq!(resolved.unwrap_err().kind(), Kind::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_image_is_not_found_in_one_line() {
    let (world, resolved) = resolve("r.test/app:1", Reply::new(404), Reply::new(500)).await;
    let error = resolved.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(line(&error), "cannot resolve `r.test/app:1`: host `r.test`: not found");
    assert_eq!(world.network.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_head_is_explained_by_get() {
    let body = r#"{"errors":[{"code":"DENIED","message":"quota\nreached"}]}"#;
    let (_world, resolved) = resolve("r.test/app:1", Reply::new(403), Reply::new(403).body(body)).await;
    let error = resolved.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied { credentials_given: false });
    let expected = "cannot resolve `r.test/app:1`: host `r.test`: access denied (DENIED: quota reached)";
    assert_eq!(line(&error), expected);
}
