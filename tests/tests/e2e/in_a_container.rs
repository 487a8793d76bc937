//! The whole node in a container that testcontainers runs: what is proven does not depend on this machine's paths.

use std::time::Duration;

use testcontainers::core::{CgroupnsMode, ExecCommand, Mount};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};
use tests::{
    Access, Cri, Docker, Format, Pod, Registry, SHARED, Version, node_root, push, small, until,
    write_sandbox_image,
};

pub(crate) async fn node_in_a_container_pulls_and_runs(version: Version) -> anyhow::Result<()> {
    let docker = Docker::start().await?;
    docker.import("cri-imaged-node", "e2e", node_root(version).await?).await?;
    let registry = Registry::start(Access::Plain).await?;
    let image = small("in a container")?;
    push(&registry, "inner:1", &image, Format::Oci).await?;
    let shared = tempfile::tempdir()?;
    // containerd's root must not lie on the container's own overlay: overlay on overlay is refused.
    let root = tempfile::tempdir()?;
    registry.announce(&shared.path().join("certs.d"))?;
    write_sandbox_image(shared.path())?;

    let path = |folder: &tempfile::TempDir| folder.path().to_string_lossy().into_owned();
    let node = GenericImage::new("cri-imaged-node", "e2e")
        .with_entrypoint("/start")
        .with_privileged(true)
        // The registry listens on the machine's loopback.
        .with_network("host")
        .with_cgroupns_mode(CgroupnsMode::Host)
        .with_mount(Mount::bind_mount(path(&shared), SHARED))
        .with_mount(Mount::bind_mount(path(&root), "/var/lib/containerd"))
        .start()
        .await?;
    let sockets = ["containerd.sock", "cri-imaged.sock"].map(|name| shared.path().join(name));
    let outcome = pull_and_run(&node, &sockets, &registry.reference("inner:1"), &image, shared.path()).await;
    let logs = ["containerd.log", "cri-imaged.log"]
        .map(|name| std::fs::read_to_string(shared.path().join(name)).unwrap_or_default());
    node.rm().await?;
    outcome.map_err(|error| error.context(logs.join("\n")))
}

async fn pull_and_run(
    node: &ContainerAsync<GenericImage>,
    [containerd, daemon]: &[std::path::PathBuf; 2],
    reference: &str,
    image: &sim::image::Image,
    shared: &std::path::Path,
) -> anyhow::Result<()> {
    let ready = |socket: &std::path::Path| {
        let socket = socket.to_owned();
        until("the node in the container answers", Duration::from_secs(60), move || {
            let socket = socket.clone();
            async move {
                let Ok(mut cri) = Cri::connect(&socket).await else { return Ok(None) };
                Ok(cri.list().await.ok().map(|_| cri))
            }
        })
    };
    let theirs = ready(containerd).await?;
    let address = format!("{SHARED}/containerd.sock");
    let import =
        ["ctr", "--address", &address, "--namespace", "k8s.io", "images", "import", "/shared/pause.tar"];
    let mut done = node.exec(ExecCommand::new(import)).await?;
    let output = done.stdout_to_vec().await?;
    anyhow::ensure!(done.exit_code().await? == Some(0), "{}", String::from_utf8_lossy(&output));

    let mut ours = ready(daemon).await?;
    let image_ref = ours.pull(reference).await?;
    assert_eq!(image_ref, image.config().digest());
    let listed = theirs.clone().status(&image_ref).await?.expect("containerd knows the image");
    assert_eq!(listed.repo_tags, [reference]);
    let mut pod = Pod::start_with(theirs, "inner", shared, SHARED).await?;
    let ended = pod.run("main", &image_ref).await?;
    pod.remove().await?;
    assert_eq!((ended.exit_code, ended.output.as_str()), (0, "in a container\n"));
    ours.remove(&image_ref).await?;
    Ok(())
}
