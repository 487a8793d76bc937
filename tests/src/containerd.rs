//! A private containerd: its own root, state, socket and configuration below a temporary folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use containerd_client::services::v1::version_client::VersionClient;
use rustix::mount::{MountFlags, mount};
use tempfile::TempDir;
use tonic::transport::Channel;

use crate::{Cri, Process, Tools, Version, fixtures, layout, reap, socket, until};

/// The sandbox image of every private containerd, imported before it is used: nothing can be pulled from outside here.
pub const SANDBOX_IMAGE: &str = "localhost/pause:e2e";

/// How the name of every set-up's folder begins.
const PREFIX: &str = "cri-imaged-e2e-";

/// From the start to the CRI plugin's first answer; 0.6 s measured, with room for a busy machine.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// What a bench's containerd has and a test's has not.
#[derive(Clone, Debug, Default)]
pub struct ContainerdSetup {
    /// Lines of TOML for the end of its configuration: tables of their own.
    pub config: String,
    /// Variables of its environment.
    pub environment: Vec<(&'static str, &'static str)>,
    /// A folder of unpacked packages whose programs it finds.
    pub packages: Option<PathBuf>,
}

/// A running containerd.
#[derive(Debug)]
pub struct Containerd {
    // Dropped first: containerd must be gone before its folder is reaped.
    process: Option<Process>,
    version: Version,
    setup: ContainerdSetup,
    folder: TempDir,
}

impl Containerd {
    /// Starts one and waits until its CRI plugin answers.
    ///
    /// # Errors
    /// Where it is not of the expected version or does not come up.
    pub async fn start(version: Version) -> anyhow::Result<Self> {
        Self::prepare(version)?.started().await
    }

    /// Starts one whose whole folder lies in `parent`, on a disk of its own for instance.
    ///
    /// # Errors
    /// As [`Containerd::start`].
    pub async fn start_in(parent: &Path, version: Version, setup: ContainerdSetup) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        Self::prepare_in(folder, version, setup)?.started().await
    }

    /// Starts one whose root is a file system of `bytes`: a pull of more than that meets a full disk.
    ///
    /// # Errors
    /// As [`Containerd::start`], or where the file system cannot be mounted.
    pub async fn start_on_small_disk(version: Version, bytes: u64) -> anyhow::Result<Self> {
        let containerd = Self::prepare(version)?;
        let options = std::ffi::CString::new(format!("size={bytes}"))?;
        let root = containerd.root();
        mount("tmpfs", &root, "tmpfs", MountFlags::empty(), options.as_c_str())
            .with_context(|| format!("cannot mount a tmpfs on {}", root.display()))?;
        containerd.started().await
    }

    /// Starts it again after [`Containerd::stop`].
    ///
    /// # Errors
    /// As [`Containerd::start`].
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let mut command = Tools::get().command(self.version.release(), "containerd")?;
        command.arg("--config").arg(self.config_path());
        command.envs(self.setup.environment.iter().copied());
        if let Some(folder) = &self.setup.packages {
            Tools::extend(&mut command, folder)?;
        }
        let mut process = Process::start("containerd", command, &self.path("containerd.log"))?;
        let socket = self.socket();
        until("containerd and its CRI plugin answer", START_DEADLINE, || {
            let (running, socket) = (process.still_runs(), socket.clone());
            async move {
                running?;
                let Ok(mut cri) = Cri::connect(&socket).await else { return Ok(None) };
                Ok(cri.runtime_is_ready().await.then_some(()))
            }
        })
        .await?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it with SIGTERM; its folder stays.
    ///
    /// # Errors
    /// Where it does not end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("containerd does not run")?;
        process.terminate().await.map(drop)
    }

    /// The socket of its gRPC services and its CRI plugin.
    pub fn socket(&self) -> PathBuf {
        self.path("containerd.sock")
    }

    /// Its process.
    ///
    /// # Errors
    /// Where it was stopped.
    pub fn process(&self) -> anyhow::Result<&Process> {
        self.process.as_ref().context("containerd does not run")
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What it says its version is, `1.7.24~ds1` for instance.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn release(&self) -> anyhow::Result<String> {
        Ok(VersionClient::new(self.channel().await?).version(()).await?.into_inner().version)
    }

    /// The folder below which everything of this set-up lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The `certs.d` folder that its own CRI plugin reads, and the daemon of this set-up too.
    pub fn certs_d(&self) -> PathBuf {
        self.path("certs.d")
    }

    /// A channel for containerd's own gRPC services.
    ///
    /// # Errors
    /// Where the socket does not answer.
    pub async fn channel(&self) -> anyhow::Result<Channel> {
        socket::channel(&self.socket()).await
    }

    /// A client of its CRI plugin.
    ///
    /// # Errors
    /// Where the socket does not answer.
    pub async fn cri(&self) -> anyhow::Result<Cri> {
        Cri::connect(&self.socket()).await
    }

    /// Imports the sandbox image and waits until the CRI plugin knows it. Only a test that runs pods needs it.
    ///
    /// # Errors
    /// Where `ctr` fails or the CRI plugin does not notice.
    pub async fn import_sandbox_image(&self) -> anyhow::Result<()> {
        let archive = self.path("pause.tar");
        layout::write_archive(&fixtures::pause()?, SANDBOX_IMAGE, &archive)?;
        self.ctr(&["images", "import", &archive.to_string_lossy()]).await?;
        let cri = self.cri().await?;
        until("the CRI plugin knows the sandbox image", Duration::from_secs(10), || {
            let mut cri = cri.clone();
            async move { Ok(cri.status(SANDBOX_IMAGE).await?.map(drop)) }
        })
        .await
    }

    fn prepare(version: Version) -> anyhow::Result<Self> {
        Self::prepare_in(
            tempfile::Builder::new().prefix(PREFIX).tempdir()?,
            version,
            ContainerdSetup::default(),
        )
    }

    fn prepare_in(folder: TempDir, version: Version, setup: ContainerdSetup) -> anyhow::Result<Self> {
        let containerd = Self { process: None, version, setup, folder };
        for sub in ["root", "state", "certs.d", "cni", "opt"] {
            std::fs::create_dir(containerd.path(sub))?;
        }
        let runc = Tools::get().program(version.release(), "runc")?;
        let text = Self::config_text(containerd.folder.path(), &runc) + &containerd.setup.config;
        std::fs::write(containerd.config_path(), text)?;
        Ok(containerd)
    }

    async fn started(mut self) -> anyhow::Result<Self> {
        self.start_again().await?;
        let version = self.release().await?;
        let is_expected = self.version.expected().iter().any(|prefix| version.starts_with(prefix));
        ensure!(
            is_expected,
            "Debian {} has containerd {version}, not {:?}",
            self.version.release(),
            self.version
        );
        Ok(self)
    }

    pub(crate) fn path(&self, sub: &str) -> PathBuf {
        self.folder.path().join(sub)
    }

    fn root(&self) -> PathBuf {
        self.path("root")
    }

    fn config_path(&self) -> PathBuf {
        self.path("containerd.toml")
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        drop(self.process.take());
        reap::reap(self.folder.path());
    }
}

impl Containerd {
    /// The configuration, in the form that 1.6 and 1.7 read and 2.x still converts.
    pub(crate) fn config_text(folder: &Path, runc: &Path) -> String {
        let (folder, runc) = (folder.display(), runc.display());
        format!(
            r#"version = 2
root = "{folder}/root"
state = "{folder}/state"
# Each of these would reach outside the folder or needs what the machine may not have.
disabled_plugins = [
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{folder}/containerd.sock"
[ttrpc]
  address = "{folder}/containerd.sock.ttrpc"
[debug]
  level = "warn"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{SANDBOX_IMAGE}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{folder}/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{folder}/certs.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{runc}"
"#
        )
    }
}
