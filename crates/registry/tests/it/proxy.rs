//! Requests through a proxy.

use registry::{Kind, Proxies};

use crate::support::{MANIFEST, Reply, World, descriptor_of, line};
use crate::tls::Authority;

// `user:pw`.
const AUTHORIZATION: &str = "Basic dXNlcjpwdw==";

fn proxied() -> World {
    let proxies = Proxies::all("http://user:pw@proxy.test:3128", "inside.test");
    World::configured(|config| config.proxies = proxies, None).hosts("r.test", "server = \"http://r.test\"")
}

#[tokio::test(start_paused = true)]
async fn plain_http_is_forwarded_by_the_proxy() {
    let world = proxied();
    world.network.serve("proxy.test:3128", |_| Reply::ok(MANIFEST));
    world.session("r.test/app:1").manifest(&descriptor_of(MANIFEST)).await.unwrap();
    let seen = world.network.seen();
    assert!(seen[0].target.starts_with("http://r.test/v2/app/manifests/sha256:"), "{}", seen[0].target);
    assert_eq!(seen[0].header("proxy-authorization"), Some(AUTHORIZATION));
    assert_eq!(world.network.dialled(), ["proxy.test:3128"]);
}

#[tokio::test(start_paused = true)]
async fn https_goes_through_a_tunnel_that_the_proxy_cannot_read() {
    let authority = Authority::new();
    let world = proxied().file("s.test", "ca.crt", &authority.pem());
    world.network.serve("proxy.test:3128", |_| Reply::new(200));
    world.network.serve_tls("s.test:443", authority.server("s.test"), |_| Reply::ok(MANIFEST));
    world.session("s.test/app:1").manifest(&descriptor_of(MANIFEST)).await.unwrap();
    let seen = world.network.seen();
    assert_eq!(seen[0].method, "CONNECT");
    assert_eq!(seen[0].header("proxy-authorization"), Some(AUTHORIZATION));
    assert_eq!((seen[1].server.as_str(), seen[1].header("proxy-authorization")), ("s.test:443", None));
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_refuses_is_named_without_its_password() {
    let world = proxied();
    world.network.serve("proxy.test:3128", |_| Reply::new(407));
    let error = world.session("s.test/app:1").resolve().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    let line = line(&error);
    assert!(line.contains("proxy `proxy.test:3128` opened no tunnel to `s.test:443`"), "{line}");
    assert!(!format!("{error:?} {line}").contains("pw"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn hosts_of_no_proxy_are_dialled_directly() {
    let world = proxied().hosts("i.test", "server = \"http://inside.test\"");
    world.network.serve("inside.test:80", |_| Reply::ok(MANIFEST));
    world.session("i.test/app:1").manifest(&descriptor_of(MANIFEST)).await.unwrap();
    assert_eq!(world.network.dialled(), ["inside.test:80"]);
}

#[tokio::test(start_paused = true)]
async fn a_socks_proxy_is_a_configuration_error() {
    let world =
        World::configured(|config| config.proxies = Proxies::all("socks5://proxy.test:1080", ""), None);
    let error = world.session("s.test/app:1").resolve().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(line(&error).ends_with("proxy scheme `socks5` is not supported"), "{}", line(&error));
    assert!(world.network.dialled().is_empty());
}
