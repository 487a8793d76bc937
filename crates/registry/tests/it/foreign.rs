//! Layers that registries may not give away: the URLs that their descriptors name.

use oci::Descriptor;
use registry::Kind;

use crate::support::{Reply, World, basic, line};
use crate::tls::Authority;

const LAYER: &[u8] = b"a layer that may not be distributed";

fn descriptor(urls: &[&str]) -> Descriptor {
    let media_type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let mut descriptor = Descriptor::new(media_type, oci::sha256(LAYER), LAYER.len() as u64);
    descriptor.urls = urls.iter().map(|url| (*url).to_owned()).collect();
    descriptor
}

/// `r.test`, and `f.test` by TLS with an authority of its own.
fn world() -> World {
    let authority = Authority::new();
    let world = World::new().file("f.test", "ca.pem", &authority.pem()).hosts("f.test", "ca = \"ca.pem\"");
    world.network.serve_tls("f.test:443", authority.server("f.test"), |seen| match seen.target.as_str() {
        "/layers/1?sig=a" => Reply::ok(LAYER),
        _ => Reply::new(401).header("www-authenticate", "Basic realm=\"f\""),
    });
    world
}

async fn fetch(world: &World, descriptor: &Descriptor) -> Result<Vec<u8>, registry::FetchError> {
    let credentials = basic("f.test", "user", "password");
    let mut blob = world.session_as("r.test/app:1", &credentials).blob(descriptor, 0).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[tokio::test(start_paused = true)]
async fn a_foreign_layer_comes_from_its_url_without_credentials() {
    let world = world();
    world.network.serve("r.test:80", |_| Reply::new(404));
    assert_eq!(fetch(&world, &descriptor(&["https://f.test/layers/1?sig=a"])).await.unwrap(), LAYER);
    assert!(world.network.seen().iter().all(|seen| seen.header("authorization").is_none()));
    // A challenge changes nothing.
    let error = fetch(&world, &descriptor(&["https://f.test/layers/2?sig=b"])).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Unauthorized { credentials_given: _ }));
    assert!(world.network.seen().iter().all(|seen| seen.header("authorization").is_none()));
    assert!(!line(&error).contains("sig="), "{}", line(&error));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_has_a_foreign_layer_is_enough() {
    let world = world();
    world.network.serve("r.test:80", |_| Reply::ok(LAYER));
    assert_eq!(fetch(&world, &descriptor(&["https://f.test/layers/1?sig=a"])).await.unwrap(), LAYER);
    assert!(world.network.seen().iter().all(|seen| seen.server == "r.test:80"));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_layer_by_plain_http_is_not_asked_for() {
    let world = world();
    world.network.serve("r.test:80", |_| Reply::new(404));
    world.network.serve("f.test:80", |_| Reply::ok(LAYER));
    let error = fetch(&world, &descriptor(&["http://f.test/layers/1", "no url"])).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(!world.network.dialled().contains(&"f.test:80".to_owned()));
}
