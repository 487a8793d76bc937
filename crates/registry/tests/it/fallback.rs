//! Loopback registries: https first, plain http where the host speaks no TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use registry::{Dialer, Kind, Session};

use crate::support::{MANIFEST, Reply, World, descriptor_of};
use crate::tls::Authority;

async fn fetch(session: &Session) -> Result<bytes::Bytes, registry::FetchError> {
    session.manifest(&descriptor_of(MANIFEST)).await
}

#[tokio::test(start_paused = true)]
async fn a_plain_loopback_registry_is_found_and_remembered() {
    let world = World::bare();
    world.network.serve("localhost:5000", |_| Reply::ok(MANIFEST));
    let session = world.session("localhost:5000/app:1");
    fetch(&session).await.unwrap();
    let dials = world.network.dialled().len();
    assert_eq!(dials, 2, "one with TLS, one without");
    fetch(&session).await.unwrap();
    assert_eq!(world.network.dialled().len(), dials, "the plain connection is used again");
}

#[tokio::test(start_paused = true)]
async fn a_loopback_registry_with_tls_is_not_verified() {
    let world = World::bare();
    world.network.serve_tls("localhost:5000", Authority::new().server("other.test"), |_| Reply::ok(MANIFEST));
    fetch(&world.session("localhost:5000/app:1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_closed_loopback_port_is_not_tried_twice_for_its_protocol() {
    let world = World::bare();
    let error = fetch(&world.session("localhost:5000/app:1")).await.unwrap_err();
    assert_eq!((error.kind(), world.network.dialled().len()), (Kind::Unreachable, 3));
}

#[tokio::test(start_paused = true)]
async fn no_other_host_falls_back_to_plain_http() {
    let world = World::bare();
    world.network.serve("r.test:443", |_| Reply::ok(MANIFEST));
    let error = fetch(&world.session("r.test/app:1")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Tls);
    assert!(world.network.seen().is_empty(), "nothing was asked in clear");
}

#[tokio::test(start_paused = true)]
async fn port_80_is_plain_from_the_start() {
    let world = World::bare();
    world.network.serve("localhost:80", |_| Reply::ok(MANIFEST));
    fetch(&world.session("localhost:80/app:1")).await.unwrap();
    assert_eq!(world.network.dialled().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_http_host_with_tls_settings_may_be_plain_after_all() {
    let world = World::bare().hosts("r.test", "server = \"http://r.test:5000\"\nskip_verify = true");
    world.network.serve("r.test:5000", |_| Reply::ok(MANIFEST));
    fetch(&world.session("r.test/app:1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_closed_443_leaves_80_to_an_http_host_without_a_port() {
    let world = World::bare().hosts("r.test", "server = \"http://r.test\"\nskip_verify = true");
    world.network.serve("r.test:80", |_| Reply::ok(MANIFEST));
    fetch(&world.session("r.test/app:1")).await.unwrap();
    assert_eq!(world.network.dialled(), ["r.test:443", "r.test:80"]);
}

#[tokio::test(start_paused = true)]
async fn a_plain_server_that_hangs_up_on_a_handshake_is_asked_in_plain() {
    // The first connection is closed at once; the second leads to the server.
    let network = crate::support::Network::default();
    network.serve("localhost:5000", |_| Reply::ok(MANIFEST));
    let dials = Arc::new(AtomicUsize::new(0));
    let dialer = Dialer::new(tower::service_fn(move |_uri: http::Uri| {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        if dials.fetch_add(1, Ordering::Relaxed) > 0 {
            network.serve_connection("localhost:5000", theirs);
        }
        std::future::ready(Ok::<_, std::io::Error>(ours))
    }));
    let world = World::configured(|_config| {}, Some(dialer));
    fetch(&world.session("localhost:5000/app:1")).await.unwrap();
}
