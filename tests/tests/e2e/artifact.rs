//! OCI artifacts: containerd has their files, as an image that it mounts as a volume.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use containerd::Client;
use sim::image::{Artifact, Blob, ImageBuilder, Layer, chain_id};
use tests::{Access, Format, Node, Pod, Registry, Version, assert_status, busybox_layer, push};
use tonic::Code;

/// Two layers deep a file that is no text, one of several megabytes, and a name that needs an extended header.
fn model(seed: u8) -> Artifact {
    let weights: Vec<u8> = (0..3_000_001u32).map(|at| (at % 251) as u8 ^ seed).collect();
    Artifact::new([
        ("config.json", b"{\"layers\":2}\n".to_vec()),
        ("weights/part/1.bin", weights),
        ("empty", Vec::new()),
    ])
}

/// Modes and bytes of all files below `root`, by their paths.
fn files(root: &Path) -> std::io::Result<BTreeMap<String, (u32, Vec<u8>)>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let (path, metadata) = {
                let entry = entry?;
                (entry.path(), entry.metadata()?)
            };
            if metadata.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            found.insert(name, (metadata.permissions().mode() & 0o7777, std::fs::read(&path)?));
        }
    }
    Ok(found)
}

pub(crate) async fn artifact_shows_its_files(version: Version) -> anyhow::Result<()> {
    let node = Node::start(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    let model = model(1);
    let digest = push(&registry, "team/model:1", &model, Format::Oci).await?;
    let before = node.state().await?;
    let reference = registry.reference("team/model:1");
    let image_ref = node.images().await?.pull(&reference).await?;
    assert_eq!(image_ref, model.config().digest());
    let held = node.state().await?;
    for again in [&reference, &format!("{}@{digest}", registry.reference("team/model"))] {
        assert_eq!(node.images().await?.pull(again).await?, image_ref);
    }
    // Only the name that was asked for has come.
    assert_eq!(node.state().await?.records.len(), held.records.len() + 1);

    let client = Client::new(node.containerd().channel().await?, "k8s.io")?;
    let top = chain_id(model.layers().iter().map(Layer::diff_id));
    let seen = crate::mounted::look(&client, &top, files).await?;
    let names: Vec<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(names, ["config.json", "empty", "weights/part/1.bin"]);
    assert!(seen.values().all(|(mode, _)| *mode == 0o644), "a file of an artifact is no program");
    let bytes: Vec<&[u8]> = seen.values().map(|(_, bytes)| bytes.as_slice()).collect();
    let blobs = sim::image::Pushable::blobs(&model);
    assert!(bytes == [blobs[0].bytes().as_ref(), b"", blobs[1].bytes()], "other bytes");

    for mut cri in [node.images().await?, node.containerd().cri().await?] {
        let status = cri.status(&reference).await?.expect("the image is there");
        assert_eq!(
            (status.id.as_str(), status.repo_tags),
            (model.config().digest(), vec![reference.clone()])
        );
    }
    if version == Version::V2 {
        in_a_volume(&node, &registry, &image_ref).await?;
    }
    node.images().await?.remove(&image_ref).await?;
    let after = node.state().await?;
    assert!(before.records.keys().all(|name| after.records.contains_key(name)));
    assert!(!after.records.contains_key(&image_ref));
    assert!(!after.records.contains_key(&reference));
    Ok(())
}

/// A container sees the files of the image `volume`.
async fn in_a_volume(node: &Node, registry: &Registry, volume: &str) -> anyhow::Result<()> {
    let script = "cd /model; find . -type f | sort; cat config.json; stat -c '%s %a' weights/part/1.bin; \
                  echo no > config.json || echo read only";
    let shell = ImageBuilder::new().layer(busybox_layer()?).command(&["/bin/sh", "-c", script]).build();
    push(registry, "team/shell:1", &shell, Format::Oci).await?;
    let shell = node.images().await?.pull(&registry.reference("team/shell:1")).await?;
    let mut pod = Pod::start(node.containerd(), "volume").await?;
    let ended = pod.run_with_volume("main", &shell, (volume, "/model")).await?;
    pod.remove().await?;
    assert_eq!(
        ended.output,
        "./config.json\n./empty\n./weights/part/1.bin\n{\"layers\":2}\n3000001 644\nread only\n"
    );
    Ok(())
}

pub(crate) async fn helm_chart_is_refused(version: Version) -> anyhow::Result<()> {
    let node = Node::start(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    let config = Blob::new("application/vnd.cncf.helm.config.v1+json", r#"{"name":"chart"}"#);
    let chart = Blob::new("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "chart");
    push(&registry, "team/chart:1", &Artifact::with(config, vec![(chart, Vec::new())]), Format::Oci).await?;
    let before = node.state().await?;
    let reference = registry.reference("team/chart:1");
    let result = node.images().await?.pull(&reference).await;
    assert_status(
        result,
        Code::Unimplemented,
        &[&reference, "no file in an artifact of 1 blobs", "org.opencontainers.image.title"],
    );
    assert_eq!(node.state().await?, before);
    Ok(())
}

pub(crate) async fn name_that_leads_out_of_a_volume_is_refused(version: Version) -> anyhow::Result<()> {
    let node = Node::start(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    let config = Blob::new("application/vnd.oci.empty.v1+json", "{}");
    let annotations = [("org.example.first", "x"), ("org.opencontainers.image.title", "../up")];
    let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let blob = (Blob::new("text/plain", "up"), annotations.to_vec());
    push(&registry, "team/odd:1", &Artifact::with(config, vec![blob]), Format::Oci).await?;
    let before = node.state().await?;
    let reference = registry.reference("team/odd:1");
    let result = node.images().await?.pull(&reference).await;
    assert_status(result, Code::InvalidArgument, &[&reference, "called `../up`, which has `..`"]);
    assert_eq!(node.state().await?, before);
    Ok(())
}
