//! What the daemon pulls, containerd's own CRI plugin lists and starts.

use anyhow::Context as _;
use sim::image::{self, Compression, File, ImageBuilder, Index, Layer};
use tests::{
    Access, Format, Node, Registry, SIX_LAYERS_OUTPUT, Version, busybox_layer, push, run_to_end, six_layers,
    size_bytes, small, small_on,
};

pub(crate) async fn six_layers_run_through_containerds_cri_plugin(version: Version) -> anyhow::Result<()> {
    let node = Node::start(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    let image = six_layers()?;
    let digest = push(&registry, "team/six:1", &image, Format::Oci).await?;
    assert_eq!(digest, image.manifest().digest());

    let image_ref = node.images().await?.pull(&registry.reference("team/six:1")).await?;
    assert_eq!(image_ref, image.config().digest());

    // At once, without a wait: kubelet creates the container as soon as PullImage has returned.
    let listed =
        node.containerd().cri().await?.status(&image_ref).await?.expect("containerd knows the image");
    assert_eq!(listed.repo_tags, [registry.reference("team/six:1")]);
    assert_eq!(listed.repo_digests, [format!("{}@{digest}", registry.reference("team/six"))]);
    assert_eq!(run_to_end(node.containerd(), &image_ref).await?, SIX_LAYERS_OUTPUT);
    Ok(())
}

pub(crate) async fn private_image_over_tls_with_a_token(version: Version) -> anyhow::Result<()> {
    let node = Node::start(version).await?;
    let registry = Registry::start(Access::TlsAndToken).await?;
    registry.announce(&node.containerd().certs_d())?;
    let image = small("private")?;
    push(&registry, "secret/image:1", &image, Format::Oci).await?;

    let image_ref =
        node.images().await?.pull_as(&registry.reference("secret/image:1"), registry.auth()).await?;
    assert_eq!(image_ref, image.config().digest());
    assert_eq!(run_to_end(node.containerd(), &image_ref).await?, "private\n");
    Ok(())
}

pub(crate) async fn docker_schema_2_image(version: Version) -> anyhow::Result<()> {
    let node = Node::start(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    let image = small("schema 2")?;
    let digest = push(&registry, "docker:1", &image, Format::DockerV2).await?;
    assert_ne!(digest, image.manifest().digest(), "skopeo has converted nothing");

    let image_ref = node.images().await?.pull(&registry.reference("docker:1")).await?;
    assert_eq!(run_to_end(node.containerd(), &image_ref).await?, "schema 2\n");
    Ok(())
}

pub(crate) async fn index_picks_this_machine(version: Version) -> anyhow::Result<()> {
    let node = Node::start(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    // Before this machine's entry stand machines that cannot run here, a variant above what containerd assumes, and
    // one that an amd64 machine runs only where nothing better is named.
    let index = Index::new(
        image::Format::Oci,
        [
            small_on("s390x", "linux", "s390x", "")?,
            small_on("arm", "linux", "arm", "v7")?,
            small_on("new amd64", "linux", "amd64", "v3")?,
            small_on("386", "linux", "386", "")?,
            small("this machine")?,
            small_on("windows", "windows", "amd64", "")?,
        ],
    );
    let digest = push(&registry, "multi:1", &index, Format::Oci).await?;
    assert_eq!(digest, index.blob().digest());

    let image_ref = node.images().await?.pull(&registry.reference("multi:1")).await?;
    assert_eq!(image_ref, index.images()[4].config().digest());
    let listed =
        node.containerd().cri().await?.status(&image_ref).await?.expect("containerd knows the image");
    assert_eq!(listed.repo_digests, [format!("{}@{digest}", registry.reference("multi"))]);
    assert_eq!(run_to_end(node.containerd(), &image_ref).await?, "this machine\n");
    Ok(())
}

pub(crate) async fn digest_reference_has_no_tag(version: Version) -> anyhow::Result<()> {
    let node = Node::start(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    let image = small("by digest")?;
    let digest = push(&registry, "pinned:1", &image, Format::Oci).await?;
    let reference = format!("{}@{digest}", registry.reference("pinned"));

    let image_ref = node.images().await?.pull(&reference).await?;
    assert_eq!(image_ref, image.config().digest());
    for mut cri in [node.images().await?, node.containerd().cri().await?] {
        let status = cri.status(&reference).await?.expect("the image is there");
        assert_eq!((status.repo_tags, status.repo_digests), (vec![], vec![reference.clone()]));
    }
    assert_eq!(run_to_end(node.containerd(), &image_ref).await?, "by digest\n");
    Ok(())
}

/// Field by field, by every name, and through the list: containerd's plugin is the reference.
pub(crate) async fn status_says_what_containerds_plugin_says(version: Version) -> anyhow::Result<()> {
    let node = Node::start(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    let (mut ours, mut theirs) = (node.images().await?, node.containerd().cri().await?);
    for (user, tag) in
        [("", "users:none"), ("0", "users:zero"), ("1000:1000", "users:number"), ("user", "users:name")]
    {
        let layer = Layer::new([File::regular("message", "x")], Compression::Zstd);
        let image =
            ImageBuilder::new().layer(busybox_layer()?).layer(layer).user(user).command(&["/bin/ls"]).build();
        let digest = push(&registry, tag, &image, Format::Oci).await?;
        let tag = registry.reference(tag);
        let image_ref = ours.pull(&tag).await?;

        let status = ours.status(&tag).await?.expect("the image is there");
        assert_eq!(status.size, size_bytes(&image));
        let by_digest = format!("{}@{digest}", registry.reference("users"));
        for name in [&tag, &by_digest, &image_ref, &image_ref["sha256:".len()..][..13].to_owned()] {
            assert_eq!(ours.status(name).await?.as_ref(), Some(&status), "{name}");
            assert_eq!(theirs.status(name).await?.as_ref(), Some(&status), "{name}");
        }
    }
    let sorted = |mut images: Vec<k8s_cri::v1::Image>| {
        images.sort_by(|a, b| a.id.cmp(&b.id));
        images
    };
    assert_eq!(sorted(ours.list().await?), sorted(theirs.list().await?));

    let (ours_verbose, theirs_verbose) = (
        ours.status_verbose(&registry.reference("users:name"), true).await?.info,
        theirs.status_verbose(&registry.reference("users:name"), true).await?.info,
    );
    // Go leaves an empty list out where it writes the config anew; the config itself may have it.
    let info = |map: &std::collections::HashMap<String, String>| -> anyhow::Result<serde_json::Value> {
        let mut info: serde_json::Value = serde_json::from_str(&map["info"])?;
        let run = info["imageSpec"]["config"].as_object_mut().context("the info has the image's config")?;
        run.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
        Ok(info)
    };
    assert_eq!(info(&ours_verbose)?, info(&theirs_verbose)?);

    let (ours_fs, theirs_fs) = (ours.image_fs().await?, theirs.image_fs().await?);
    assert_eq!(ours_fs.fs_id, theirs_fs.fs_id);
    assert!(ours_fs.timestamp > 0 && ours_fs.used_bytes.is_some_and(|bytes| bytes.value > 0), "{ours_fs:?}");
    Ok(())
}

pub(crate) async fn two_pulls_at_once_are_both_answered(version: Version) -> anyhow::Result<()> {
    let node = Node::start(version).await?;
    let registry = Registry::start(Access::Plain).await?;
    registry.announce(&node.containerd().certs_d())?;
    let image = six_layers()?;
    push(&registry, "six:1", &image, Format::Oci).await?;
    push(&registry, "six:2", &image, Format::Oci).await?;

    let mut clients = [node.images().await?, node.images().await?, node.images().await?];
    let [first, second, third] = &mut clients;
    let (one, two) = (registry.reference("six:1"), registry.reference("six:2"));
    let (first, second, third) = tokio::try_join!(first.pull(&one), second.pull(&one), third.pull(&two))?;
    assert_eq!([first.as_str(), second.as_str(), third.as_str()], [image.config().digest(); 3]);
    let status = node.images().await?.status(image.config().digest()).await?.expect("the image is there");
    assert_eq!(status.repo_tags, [one, two]);
    Ok(())
}
