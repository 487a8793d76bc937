//! Both ways of unpacking make the same of an image, and layers are kept or not.

use std::collections::BTreeMap;

use anyhow::Context as _;
use containerd::{Client, ContentInfo};
use layer::tar::{Kind, Time};
use layer_testing::Tree;
use tests::{
    Access, Containerd, Daemon, DaemonConfig, Format, Registry, SIX_LAYERS_OUTPUT, Version, push, run_to_end,
    six_layers,
};

use crate::mounted;

/// What a pull has left.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    /// The image's files, through an overlay mount.
    tree: Tree,
    /// Labels of each blob.
    labels: BTreeMap<String, BTreeMap<String, String>>,
}

/// A containerd with a daemon beside it that has pulled the image of six layers; whether it wrote the files itself.
async fn pulled(version: Version, more: &str) -> anyhow::Result<(Containerd, Daemon, bool)> {
    let containerd = Containerd::start(version).await?;
    containerd.import_sandbox_image().await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&containerd.certs_d())?;
    push(&registry, "team/six:1", &six_layers()?, Format::Oci).await?;
    let config = DaemonConfig { more: more.to_owned(), ..Daemon::config(&containerd) };
    let daemon = Daemon::start_with(&containerd, &config).await?;
    daemon.cri().await?.pull(&registry.reference("team/six:1")).await?;
    let log = std::fs::read_to_string(containerd.folder().join("cri-imaged.log"))?;
    Ok((containerd, daemon, log.contains("unpack=\"direct\"")))
}

async fn client(containerd: &Containerd) -> anyhow::Result<Client> {
    Ok(Client::new(containerd.channel().await?, "k8s.io")?)
}

async fn left(containerd: &Containerd) -> anyhow::Result<Left> {
    let client = client(containerd).await?;
    let image = six_layers()?;
    let top = image.chain_ids().pop().context("it has layers")?;
    let mut tree = mounted::look(&client, &top, Tree::read).await?;
    // Directories without an entry have the time at which they were made; `layers` compares those that have one.
    for node in tree.nodes.values_mut().filter(|node| node.kind == Kind::Directory) {
        node.modified = Time::default();
    }
    let of_image = |info: &ContentInfo| {
        let digests = [image.manifest().digest(), image.config().digest()];
        digests.contains(&info.digest.as_str())
            || image.layer_blobs().iter().any(|layer| layer.digest() == info.digest.as_str())
    };
    let labels = client.content().list().await?.into_iter().filter(of_image);
    // The registry has another port each time, and the label of the source has no port.
    let labels = labels.map(|info| (info.digest.to_string(), info.labels)).collect();
    Ok(Left { tree, labels })
}

pub(crate) async fn the_daemon_and_the_differ_leave_the_same(version: Version) -> anyhow::Result<()> {
    let (by_daemon, _daemon, is_direct) = pulled(version, "").await?;
    assert!(is_direct, "the daemon left the layers to containerd");
    let (by_differ, _other, is_direct) = pulled(version, "[unpack]\nmethod = \"differ\"\n").await?;
    assert!(!is_direct, "the daemon was told not to unpack");
    let (ours, theirs) = (left(&by_daemon).await?, left(&by_differ).await?);
    assert_eq!(ours.labels, theirs.labels);
    assert_eq!(ours.labels.len(), 2 + 6, "manifest, config and layers");
    assert_eq!(ours.tree, theirs.tree, "{}", ours.tree.differences(&theirs.tree));
    Ok(())
}

pub(crate) async fn discarded_layers_are_not_in_the_content_store(version: Version) -> anyhow::Result<()> {
    let (containerd, _daemon, is_direct) = pulled(version, "[unpack]\nlayers = \"discard\"\n").await?;
    assert!(is_direct, "the daemon left the layers to containerd");
    let image = six_layers()?;
    let mut labels = left(&containerd).await?.labels;
    // The sandbox image, which was imported, has a layer in common with it.
    labels.retain(|_, labels| labels.keys().any(|key| key.starts_with("containerd.io/distribution.source.")));
    assert_eq!(labels.len(), 2, "more than manifest and config were brought: {labels:?}");
    // As with containerd's discard_unpacked_layers: nothing refers to what is not there.
    let of_manifest = labels.get(image.manifest().digest()).context("the manifest is there")?;
    let references = of_manifest.keys().filter(|key| key.starts_with("containerd.io/gc.ref.content."));
    assert_eq!(references.collect::<Vec<_>>(), ["containerd.io/gc.ref.content.config"]);
    assert_eq!(run_to_end(&containerd, image.config().digest()).await?, SIX_LAYERS_OUTPUT);
    Ok(())
}
