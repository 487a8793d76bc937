//! TLS with real certificates: in memory, and over loopback TCP through the production dialer.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use registry::{Dialer, Kind, RootFiles};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;

use crate::support::{MANIFEST, Network, Reply, World, descriptor_of, line};

/// A certificate authority of this test.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key for `name`, as PEM.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    pub(crate) fn server(&self, name: &str) -> Arc<ServerConfig> {
        self.configured(name, false)
    }

    /// A server that wants a client certificate of this authority.
    fn demanding_server(&self, name: &str) -> Arc<ServerConfig> {
        self.configured(name, true)
    }

    fn configured(&self, name: &str, demand_client: bool) -> Arc<ServerConfig> {
        let (cert, key) = self.issue(name);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if demand_client {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(self.0.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let cert = rustls::pki_types::CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        Arc::new(builder.with_single_cert(vec![cert], key).unwrap())
    }
}

async fn fetch(world: &World) -> Result<bytes::Bytes, registry::FetchError> {
    fetch_from(world, "r.test").await
}

async fn fetch_from(world: &World, registry: &str) -> Result<bytes::Bytes, registry::FetchError> {
    world.session(&format!("{registry}/app:1")).manifest(&descriptor_of(MANIFEST)).await
}

fn serving(world: World, tls: Arc<ServerConfig>) -> World {
    world.network.serve_tls("r.test:443", tls, |_| Reply::ok(MANIFEST));
    world
}

#[tokio::test(start_paused = true)]
async fn an_unknown_authority_is_refused_at_once() {
    let world = serving(World::bare(), Authority::new().server("r.test"));
    let error = fetch(&world).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Tls);
    assert_eq!(world.network.dialled().len(), 1, "a certificate does not get better by asking again");
    let line = line(&error);
    assert!(line.contains("TLS handshake with `r.test:443` failed: invalid peer certificate"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_configured_authority_is_trusted() {
    let authority = Authority::new();
    let world = World::bare().hosts("r.test", "ca = \"ca.pem\"").file("r.test", "ca.pem", &authority.pem());
    fetch(&serving(world, authority.server("r.test"))).await.unwrap();
    // Docker's layout, without a hosts.toml.
    let world = World::bare().file("r.test", "ca.crt", &authority.pem());
    fetch(&serving(world, authority.server("r.test"))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_systems_roots_takes_effect_without_a_new_client() {
    let (old, new) = (Authority::new(), Authority::new());
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(roots.path(), old.pem()).unwrap();
    let files = RootFiles::file(roots.path());
    let world = serving(World::configured(|config| config.system_roots = files, None), new.server("r.test"));
    assert_eq!(fetch(&world).await.unwrap_err().kind(), Kind::Tls);
    std::fs::write(roots.path(), new.pem()).unwrap();
    fetch(&world).await.unwrap();
    // And the other way round: what is taken out is trusted no more, once the open connection is gone.
    std::fs::write(roots.path(), old.pem()).unwrap();
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    assert_eq!(fetch(&world).await.unwrap_err().kind(), Kind::Tls);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_configured_authority_takes_effect_with_the_next_pull() {
    let (old, new) = (Authority::new(), Authority::new());
    let world = World::bare().file("r.test", "ca.crt", &old.pem());
    let world = serving(world, new.server("r.test"));
    assert_eq!(fetch(&world).await.unwrap_err().kind(), Kind::Tls);
    let world = world.file("r.test", "ca.crt", &new.pem());
    fetch(&world).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_trusted_authority_does_not_make_another_name_right() {
    let authority = Authority::new();
    let world = World::bare().file("r.test", "ca.crt", &authority.pem());
    let world = serving(world, authority.server("other.test"));
    assert_eq!(fetch(&world).await.unwrap_err().kind(), Kind::Tls);
}

#[tokio::test(start_paused = true)]
async fn skip_verify_takes_any_certificate() {
    let world = World::bare().hosts("r.test", "skip_verify = true");
    fetch(&serving(world, Authority::new().server("other.test"))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_certificate_is_shown_where_it_is_configured() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("node");
    let world = World::bare()
        .hosts("r.test", "ca = \"ca.pem\"\nclient = [[\"node.pem\", \"node.key\"]]")
        .file("r.test", "ca.pem", &authority.pem())
        .file("r.test", "node.pem", &cert)
        .file("r.test", "node.key", &key);
    fetch(&serving(world, authority.demanding_server("r.test"))).await.unwrap();

    let world = World::bare()
        .hosts("r.test", "ca = \"ca.pem\"\nclient = \"both.pem\"")
        .file("r.test", "ca.pem", &authority.pem())
        .file("r.test", "both.pem", &format!("{cert}\n{key}"));
    fetch(&serving(world, authority.demanding_server("r.test"))).await.unwrap();

    let world = World::bare().file("r.test", "ca.crt", &authority.pem());
    fetch(&serving(world, authority.demanding_server("r.test"))).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_key_of_another_certificate_is_a_configuration_error() {
    let authority = Authority::new();
    let ((cert, _), (_, key)) = (authority.issue("a"), authority.issue("b"));
    let world = World::bare().file("r.test", "node.cert", &cert).file("r.test", "node.key", &key);
    let error = fetch(&world).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(line(&error).contains("node.cert"), "{}", line(&error));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_shakes_hands_ends_at_the_deadline() {
    // Takes the connection and says nothing.
    let dialer = Dialer::new(tower::service_fn(|_uri: http::Uri| async {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            let _held = theirs;
            std::future::pending::<()>().await;
        });
        Ok::<_, std::io::Error>(ours)
    }));
    let world = World::configured(|_config| {}, Some(dialer));
    let before = tokio::time::Instant::now();
    let error = fetch(&world).await.unwrap_err();
    assert_eq!((error.kind(), before.elapsed().as_secs()), (Kind::Unreachable, 10));
}

/// A server on loopback TCP; the address it got.
async fn listen(network: Network, name: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _peer) = listener.accept().await.unwrap();
            network.serve_connection(name, stream);
        }
    });
    address
}

#[tokio::test]
async fn over_tcp_a_configured_authority_is_trusted_and_another_is_not() {
    let authority = Authority::new();
    let world = World::configured(|_config| {}, Some(Dialer::tcp()));
    world.network.serve_tls("server", authority.server("127.0.0.1"), |_| Reply::ok(MANIFEST));
    let address = listen(world.network.clone(), "server").await;
    let server = format!("server = \"https://{address}\"\nskip_verify = false");
    let world = world
        .hosts("trusting.test", &format!("{server}\nca = \"ca.pem\""))
        .file("trusting.test", "ca.pem", &authority.pem())
        .hosts("wary.test", &server);
    fetch_from(&world, "trusting.test").await.unwrap();
    assert_eq!(fetch_from(&world, "wary.test").await.unwrap_err().kind(), Kind::Tls);
}

#[tokio::test]
async fn over_tcp_a_loopback_registry_needs_no_configuration() {
    let world = World::configured(|_config| {}, Some(Dialer::tcp()));
    world.network.serve("plain", |_| Reply::ok(MANIFEST));
    world.network.serve_tls("tls", Authority::new().server("any.test"), |_| Reply::ok(MANIFEST));
    for name in ["plain", "tls"] {
        let address = listen(world.network.clone(), name).await;
        fetch_from(&world, &address).await.unwrap();
        let by_name = address.replace("127.0.0.1", "localhost");
        fetch_from(&world, &by_name).await.unwrap();
    }
}

#[tokio::test]
async fn over_tcp_a_closed_port_is_unreachable() {
    let world = World::configured(|_config| {}, Some(Dialer::tcp()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = fetch_from(&world, &address.to_string()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(line(&error).contains(&format!("cannot connect to `{address}`")), "{}", line(&error));
}
