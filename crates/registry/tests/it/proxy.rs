//! Requests through a proxy.

use std::sync::{Arc, Mutex};

use registry::{Dialer, Kind, Proxies};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{MANIFEST, Network, Reply, World, descriptor_of, line};
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
async fn a_proxy_of_socks_4_is_a_configuration_error() {
    let world =
        World::configured(|config| config.proxies = Proxies::all("socks4://proxy.test:1080", ""), None);
    let error = world.session("s.test/app:1").resolve().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(line(&error).ends_with("proxy scheme `socks4` is not supported"), "{}", line(&error));
    assert!(world.network.dialled().is_empty());
}

/// Answers SOCKS 5 (RFC 1928; RFC 1929 with `jane:hunter2`) and serves what was asked for as a server of `network`.
async fn socks5(mut io: tokio::io::DuplexStream, network: Network, asked: Arc<Mutex<Vec<String>>>) {
    let mut greeting = [0; 3];
    io.read_exact(&mut greeting).await.unwrap();
    let method = greeting[2];
    io.write_all(&[5, method]).await.unwrap();
    if method == 2 {
        let mut login = [0; 14];
        io.read_exact(&mut login).await.unwrap();
        let accepted = &login == b"\x01\x04jane\x07hunter2";
        io.write_all(&[1, u8::from(!accepted)]).await.unwrap();
        if !accepted {
            return;
        }
    }
    let mut request = [0; 5];
    io.read_exact(&mut request).await.unwrap();
    assert_eq!(request[..4], [5, 1, 0, 3], "a connect to a name that the proxy resolves");
    let mut rest = vec![0; usize::from(request[4]) + 2];
    io.read_exact(&mut rest).await.unwrap();
    let port = u16::from_be_bytes([rest[rest.len() - 2], rest[rest.len() - 1]]);
    let address = format!("{}:{port}", std::str::from_utf8(&rest[..rest.len() - 2]).unwrap());
    asked.lock().unwrap().push(address.clone());
    io.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    network.serve_connection(&address, io);
}

/// A world whose only way out is a SOCKS proxy; what it was asked for.
fn behind_socks(proxy: &str) -> (World, Arc<Mutex<Vec<String>>>) {
    let (network, asked) = (Network::default(), Arc::<Mutex<Vec<String>>>::default());
    let (servers, noted) = (network.clone(), Arc::clone(&asked));
    let dialer = Dialer::new(tower::service_fn(move |uri: http::Uri| {
        let (servers, noted) = (servers.clone(), Arc::clone(&noted));
        async move {
            assert_eq!((uri.host(), uri.port_u16()), (Some("proxy.test"), Some(1080)));
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            tokio::spawn(socks5(theirs, servers, noted));
            Ok::<_, std::io::Error>(ours)
        }
    }));
    let proxies = Proxies::all(proxy, "");
    let world = World::configured(|config| config.proxies = proxies, Some(dialer)).on(network);
    (world.hosts("r.test", "server = \"http://r.test\""), asked)
}

#[tokio::test(start_paused = true)]
async fn socks_5_carries_http_and_https_and_resolves_the_names() {
    let authority = Authority::new();
    for proxy in ["socks5://proxy.test", "socks5h://proxy.test:1080", "socks5://jane:hunter2@proxy.test:1080"]
    {
        let (world, asked) = behind_socks(proxy);
        let world = world.file("s.test", "ca.crt", &authority.pem());
        world.network.serve("r.test:80", |_| Reply::ok(MANIFEST));
        world.network.serve_tls("s.test:443", authority.server("s.test"), |_| Reply::ok(MANIFEST));
        for registry in ["r.test", "s.test"] {
            let session = world.session(&format!("{registry}/app:1"));
            session.manifest(&descriptor_of(MANIFEST)).await.unwrap();
        }
        assert_eq!(*asked.lock().unwrap(), ["r.test:80", "s.test:443"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_socks_proxy_that_refuses_is_named_without_its_password() {
    let (world, _asked) = behind_socks("socks5://jane:hunter3@proxy.test");
    let error = world.session("s.test/app:1").resolve().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    let line = line(&error);
    assert!(line.contains("proxy `proxy.test:1080` opened no tunnel to `s.test:443`"), "{line}");
    assert!(!format!("{error:?} {line}").contains("hunter3"), "{line}");
}
