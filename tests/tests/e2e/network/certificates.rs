//! Registries that want to know who asks by TLS itself, reached directly and through proxies.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sim::image::Image;
use tests::{
    Access, Containerd, Daemon, DaemonConfig, Format, ForwardProxy, Node, Registry, SocksProxy, State,
    Version, push, small,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_is_shown_to_the_registry_that_wants_one() -> anyhow::Result<()> {
    let node = super::node().await?;
    let registry = Registry::start(Access::TlsAndClientCertificate).await?;
    let image = small("by certificate")?;
    push(&registry, "team/app:1", &image, Format::Oci).await?;
    let reference = registry.reference("team/app:1");
    let (mut ours, mut theirs) = (node.images().await?, node.containerd().cri().await?);

    // The registry's authority alone is not enough.
    let server =
        format!("server = \"https://{}\"\nca = \"{}\"\n", registry.host(), registry.authority().display());
    super::configure(&node, &registry.host(), &server)?;
    ours.pull(&reference).await.expect_err("the registry wants a certificate");
    theirs.pull(&reference).await.expect_err("the registry wants a certificate");
    assert_eq!(node.state().await?, State::default());

    // The file is read anew, and it is the one that containerd's own plugin reads.
    registry.announce(&node.containerd().certs_d())?;
    assert_eq!(ours.pull(&reference).await?, image.config().digest());
    ours.remove(&reference).await?;
    assert_eq!(theirs.pull(&reference).await?, image.config().digest());
    Ok(())
}

/// Two registries that nobody knows but the proxy, and an image in both.
struct Behind {
    secure: Registry,
    plain: Registry,
    image: Image,
}

impl Behind {
    async fn start() -> anyhow::Result<Self> {
        let secure = Registry::start(Access::TlsAndClientCertificate).await?;
        let plain = Registry::start(Access::Plain).await?;
        let image = small("by proxy")?;
        push(&secure, "team/app:1", &image, Format::Oci).await?;
        push(&plain, "team/app:1", &image, Format::Oci).await?;
        Ok(Self { secure, plain, image })
    }

    /// What the proxy knows.
    fn names(&self) -> BTreeMap<String, SocketAddr> {
        let names = [("registry.test:443", self.secure.address()), ("plain.test:80", self.plain.address())];
        names.map(|(name, address)| (name.to_owned(), address)).into()
    }

    /// Pulls from both.
    async fn are_reached_by(&self, node: &Node) -> anyhow::Result<()> {
        let trust = self.secure.certificate_folder();
        let trust = trust.display();
        let hosts = format!(
            "server = \"https://registry.test\"\nca = \"{trust}/ca.crt\"\n\
             client = [[\"{trust}/client.cert\", \"{trust}/client.key\"]]\n"
        );
        super::configure(node, "registry.test", &hosts)?;
        super::configure(node, "plain.test", "server = \"http://plain.test\"\n")?;
        let mut images = node.images().await?;
        for reference in ["registry.test/team/app:1", "plain.test/team/app:1"] {
            assert_eq!(images.pull(reference).await?, self.image.config().digest());
            images.remove(reference).await?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registries_are_reached_through_a_forward_proxy() -> anyhow::Result<()> {
    let registries = Behind::start().await?;
    let proxy = ForwardProxy::start(registries.names()).await?;
    let containerd = Containerd::start(Version::V2).await?;
    let environment =
        vec![("HTTP_PROXY", proxy.url()), ("HTTPS_PROXY", proxy.url()), ("NO_PROXY", String::new())];
    let config = DaemonConfig { environment, ..Daemon::config(&containerd) };
    let daemon = Daemon::start_with(&containerd, &config).await?;
    registries.are_reached_by(&Node::of(containerd, daemon)).await?;
    let requests = proxy.requests();
    assert!(requests.iter().any(|request| request == "CONNECT registry.test:443"), "{requests:?}");
    let plain = |request: &String| request.starts_with("GET http://plain.test/v2/team/app/blobs/");
    assert!(requests.iter().any(plain), "{requests:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registries_are_reached_through_their_own_socks_proxy() -> anyhow::Result<()> {
    let registries = Behind::start().await?;
    for proxy in
        [SocksProxy::start(registries.names()).await?, SocksProxy::for_everybody(registries.names()).await?]
    {
        let own = |host: &str| format!("[registry.\"{host}\"]\nproxy = \"{}\"\n", proxy.url());
        let node = super::node_with(&(own("registry.test") + &own("plain.test"))).await?;
        registries.are_reached_by(&node).await?;
        let requests = proxy.requests();
        for target in ["registry.test:443", "plain.test:80"] {
            assert!(requests.iter().any(|request| request == target), "{requests:?}");
        }
    }
    Ok(())
}
