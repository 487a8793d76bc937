//! The demo on a real containerd of Debian's, private to it: pull by our daemon, then a container started from the
//! image by containerd's own CRI plugin.

use anyhow::Context as _;
use tests::{Access, Format, Node, Pod, Registry, Version, push, six_layers};

use crate::show;

pub(crate) async fn run() -> anyhow::Result<()> {
    let mut node = Node::start(Version::V1_7).await?;
    let registry = Registry::start(Access::TlsAndToken).await?;
    registry.announce(&node.containerd().certs_d())?;
    let version = node.containerd().release().await?;
    show::step(&format!("containerd {version} on {}", node.containerd().socket().display()));
    show::step(&format!("docker-registry on {}, TLS and token authentication", registry.host()));
    let reference = registry.reference("demo/six-layers:1");
    push(&registry, "demo/six-layers:1", &six_layers()?, Format::Oci).await?;

    show::step(&format!("PullImage {reference}, on the socket of cri-imaged"));
    let mut ours = node.images().await?;
    let image_ref = ours.pull_as(&reference, registry.auth()).await?;
    show::line(&format!("image ref    {image_ref}"));
    show::step("ImageStatus, on the socket of containerd");
    let mut theirs = node.containerd().cri().await?;
    show::image(&theirs.status(&image_ref).await?.context("containerd does not know the image")?);

    show::step("RunPodSandbox, CreateContainer, StartContainer, on the socket of containerd");
    let mut pod = Pod::start(node.containerd(), "demo").await?;
    let ended = pod.run("main", &image_ref).await?;
    show::line(&format!("exit code    {}", ended.exit_code));
    show::line("its output:");
    ended.output.lines().for_each(|line| show::line(&format!("  {line}")));
    pod.remove().await?;

    show::step("RemoveImage, on the socket of cri-imaged");
    ours.remove(&image_ref).await?;
    show::line(&format!("containerd still has it: {}", theirs.status(&image_ref).await?.is_some()));
    show::step("SIGTERM");
    let code = node.daemon()?.process().terminate().await?;
    show::line(&format!("cri-imaged ended with exit code {}", code.context("a signal ended it")?));
    tests::hide_logs();
    Ok(())
}
