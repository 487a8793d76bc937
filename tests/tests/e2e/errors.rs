//! Errors as a user meets them: the right code, one line that says what and where, and nothing left behind.

use k8s_cri::v1::AuthConfig;
use sim::image::{Blob, Compression, Image, ImageBuilder, Layer, Pushable};
use sim::registry::Fault;
use tests::{
    Access, Containerd, FaultyRegistry, Format, Node, Registry, State, Version, assert_status, push, small,
};
use tonic::Code;

/// A node without a sandbox image, and what its containerd holds.
async fn node(version: Version) -> anyhow::Result<(Node, State)> {
    let node = Node::beside(Containerd::start(version).await?).await?;
    let before = node.state().await?;
    assert_eq!(before, State::default());
    Ok((node, before))
}

pub(crate) async fn bad_reference(version: Version) -> anyhow::Result<()> {
    let (node, before) = node(version).await?;
    for reference in ["", "team/UPPER:1", "busybox:ta g", "busybox@sha256:short"] {
        let result = node.images().await?.pull(reference).await;
        assert_status(result, Code::InvalidArgument, &[reference, "reference"]);
    }
    assert_eq!(node.state().await?, before);
    Ok(())
}

pub(crate) async fn unknown_image(version: Version) -> anyhow::Result<()> {
    let (node, before) = node(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    let reference = registry.reference("no/such:image");
    assert_status(node.images().await?.pull(&reference).await, Code::NotFound, &[&reference, "not found"]);
    assert_eq!(node.state().await?, before);
    Ok(())
}

pub(crate) async fn wrong_password(version: Version) -> anyhow::Result<()> {
    let (node, before) = node(version).await?;
    let registry = Registry::start(Access::TlsAndToken).await?;
    registry.announce(&node.containerd().certs_d())?;
    push(&registry, "secret:1", &small("secret")?, Format::Oci).await?;
    let reference = registry.reference("secret:1");
    let auth = |password: &str| AuthConfig {
        username: "puller".to_owned(),
        password: password.to_owned(),
        ..AuthConfig::default()
    };
    let mut images = node.images().await?;
    let wrong = images.pull_as(&reference, Some(auth("not-the-password"))).await;
    if let Err(status) = &wrong {
        assert!(!status.message().contains("not-the-password"), "{status:?}");
    }
    assert_status(wrong, Code::Unauthenticated, &[&reference, "credentials refused"]);
    assert_status(images.pull(&reference).await, Code::Unauthenticated, &[&reference]);
    assert_eq!(node.state().await?, before);
    Ok(())
}

pub(crate) async fn registry_down(version: Version) -> anyhow::Result<()> {
    let (node, before) = node(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    let reference = registry.reference("down:1");
    drop(registry);
    let result = node.images().await?.pull(&reference).await;
    // kubelet turns this prefix, with this code, into the pod's reason.
    let message = result.as_ref().expect_err("the call must fail").message().to_owned();
    assert!(message.starts_with("RegistryUnavailable"), "{message}");
    assert_status(result, Code::Unknown, &[&reference, "refused"]);
    assert_eq!(node.state().await?, before);
    Ok(())
}

pub(crate) async fn no_space(version: Version) -> anyhow::Result<()> {
    // containerd's own databases take about 1 MB of it.
    let containerd = Containerd::start_on_small_disk(version, 8 << 20).await?;
    let node = Node::beside(containerd).await?;
    let before = node.state().await?;
    let image = ImageBuilder::new().layer(Layer::random("large", 12 << 20, 1, Compression::Gzip)).build();
    let registry = FaultyRegistry::start(&image, &node.containerd().certs_d()).await?;
    let result = node.images().await?.pull(&registry.reference()).await;
    assert_status(result, Code::ResourceExhausted, &[&registry.reference(), "o space left"]);
    assert_eq!(node.state().await?, before);
    Ok(())
}

pub(crate) async fn unsupported_media_type(version: Version) -> anyhow::Result<()> {
    let (node, before) = node(version).await?;
    let image = Cpio(small("cpio")?);
    let registry = FaultyRegistry::start(&image, &node.containerd().certs_d()).await?;
    let result = node.images().await?.pull(&registry.reference()).await;
    assert_status(result, Code::Unimplemented, &[&registry.reference(), CPIO]);
    assert_eq!(node.state().await?, before);
    Ok(())
}

pub(crate) async fn wrong_digest_from_the_registry(version: Version) -> anyhow::Result<()> {
    let (node, before) = node(version).await?;
    let image = small("tampered")?;
    let registry = FaultyRegistry::start(&image, &node.containerd().certs_d()).await?;
    for blob in [&image.layer_blobs()[1], image.config(), image.manifest()] {
        registry.set_fault(blob.digest(), Fault::Corrupt(blob.size() - 1));
        let result = node.images().await?.pull(&registry.reference()).await;
        assert_status(result, Code::DataLoss, &[&registry.reference(), blob.digest()]);
        assert_eq!(node.state().await?, before);
    }
    Ok(())
}

pub(crate) async fn containerd_away(version: Version) -> anyhow::Result<()> {
    let (mut node, before) = node(version).await?;
    let image = small("away")?;
    let registry = FaultyRegistry::start(&image, &node.containerd().certs_d()).await?;
    node.containerd_mut().stop().await?;
    let mut images = node.images().await?;
    let socket = node.containerd().socket().to_string_lossy().into_owned();
    assert_status(images.pull(&registry.reference()).await, Code::Unavailable, &["containerd", &socket]);

    node.containerd_mut().start_again().await?;
    assert_eq!(node.state().await?, before);
    assert_eq!(images.pull(&registry.reference()).await?, image.config().digest());
    Ok(())
}

/// A layer type that nobody can unpack.
const CPIO: &str = "application/vnd.example.layer.v1.cpio";

/// An image whose manifest says that its last layer is [`CPIO`].
struct Cpio(Image);

impl Cpio {
    fn manifest(&self) -> Blob {
        let mut manifest: serde_json::Value =
            serde_json::from_slice(self.0.manifest().bytes()).expect("the builder writes JSON");
        let last =
            manifest["layers"].as_array_mut().and_then(|layers| layers.last_mut()).expect("it has layers");
        last["mediaType"] = CPIO.into();
        Blob::new(self.0.manifest().media_type(), manifest.to_string().into_bytes())
    }
}

impl Pushable for Cpio {
    fn target(&self) -> Blob {
        self.manifest()
    }

    fn manifests(&self) -> Vec<Blob> {
        vec![self.manifest()]
    }

    fn blobs(&self) -> Vec<Blob> {
        self.0.blobs()
    }
}
