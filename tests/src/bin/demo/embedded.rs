//! The demo without root and packages: containerd and registry are the simulator's, in this process; the daemon is the
//! real binary.

use anyhow::Context as _;
use sim::image::{Compression, File, ImageBuilder, Layer};
use sim::{containerd, registry};
use tests::{Daemon, DaemonConfig, certs_d};

use crate::show;

pub(crate) async fn run() -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("cri-imaged-demo-").tempdir()?;
    let path = |name: &str| folder.path().join(name);

    let mut options = containerd::Options::default();
    options.clock = sim::Clock::system();
    let containerd = containerd::Containerd::new(options);
    let serving = containerd.serve_unix(path("containerd.sock"))?;
    let registry = registry::Registry::new(registry::Options::default());
    let listening = registry.serve_tcp().await?;
    let host = listening.address().to_string();
    certs_d(&path("certs.d"), &host, None)?;
    show::step(&format!(
        "an embedded containerd on {} and a registry on {host}",
        path("containerd.sock").display()
    ));

    let release = std::fs::read("/etc/os-release").context("cannot read /etc/os-release")?;
    let files = [File::directory("etc"), File::regular("etc/os-release", release)];
    let image = ImageBuilder::new()
        .layer(Layer::new(files, Compression::Gzip))
        .layer(Layer::random("data", 1 << 20, 7, Compression::Zstd))
        .user("1000:1000")
        .build();
    registry.push("demo/hello", Some("1"), &image);
    let reference = format!("{host}/demo/hello:1");

    let config = DaemonConfig {
        socket: path("cri-imaged.sock"),
        containerd: path("containerd.sock"),
        certs_d: path("certs.d"),
        more: String::new(),
        environment: Vec::new(),
    };
    let mut daemon = Daemon::spawn(folder.path(), &config)?;
    daemon.answers().await?;
    show::step(&format!("cri-imaged serve, on {}", config.socket.display()));

    let mut cri = daemon.cri().await?;
    show::step(&format!("PullImage {reference}"));
    let image_ref = cri.pull(&reference).await?;
    show::line(&format!("image ref    {image_ref}"));
    show::step(&format!("ImageStatus {image_ref}"));
    show::image(&cri.status(&image_ref).await?.context("the image that was just pulled is not there")?);
    show::step("the same image, as containerd's records name it");
    let inventory = containerd.inventory("k8s.io");
    inventory.images.keys().for_each(|name| show::line(name));

    show::step(&format!("RemoveImage {image_ref}"));
    cri.remove(&image_ref).await?;
    show::line(&format!("{} images left", cri.list().await?.len()));
    show::step("SIGTERM");
    let code = daemon.process().terminate().await?;
    show::line(&format!("cri-imaged ended with exit code {}", code.context("a signal ended it")?));
    serving.stop().await?;
    listening.stop().await;
    tests::hide_logs();
    Ok(())
}
