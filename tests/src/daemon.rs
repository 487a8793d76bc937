//! The daemon under test as a child process, beside one private containerd.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Containerd, Cri, Process, tools, until};

const START_DEADLINE: Duration = Duration::from_secs(30);

/// What the daemon's configuration file says.
#[derive(Clone, Debug)]
pub struct DaemonConfig {
    /// Its own socket.
    pub socket: PathBuf,
    /// containerd's socket.
    pub containerd: PathBuf,
    /// The `certs.d` folder.
    pub certs_d: PathBuf,
    /// Lines of TOML for the file's end: keys of `[registry]`, then tables of their own.
    pub more: String,
    /// Variables of its environment.
    pub environment: Vec<(&'static str, String)>,
}

impl DaemonConfig {
    fn text(&self) -> String {
        let (socket, address) = (self.socket.display(), self.containerd.display());
        let certs_d = self.certs_d.display();
        format!(
            "socket = \"{socket}\"\n[containerd]\naddress = \"{address}\"\nnamespace = \"k8s.io\"\n\
             snapshotter = \"overlayfs\"\n[registry]\nconfig_path = \"{certs_d}\"\n{}",
            self.more
        )
    }
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    process: Process,
    socket: PathBuf,
}

impl Daemon {
    /// Starts one for `containerd` and waits until it answers a list.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn start(containerd: &Containerd) -> anyhow::Result<Self> {
        Self::start_with(containerd, &Self::config(containerd)).await
    }

    /// As [`Daemon::start`], with `config`.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn start_with(containerd: &Containerd, config: &DaemonConfig) -> anyhow::Result<Self> {
        let mut daemon = Self::spawn(containerd.folder(), config)?;
        daemon.answers().await?;
        Ok(daemon)
    }

    /// The configuration for `containerd`.
    pub fn config(containerd: &Containerd) -> DaemonConfig {
        DaemonConfig {
            socket: containerd.folder().join("cri-imaged.sock"),
            containerd: containerd.socket(),
            certs_d: containerd.certs_d(),
            more: String::new(),
            environment: Vec::new(),
        }
    }

    /// Starts one with `config`, keeping its files in `folder`, and does not wait.
    ///
    /// # Errors
    /// Where a file cannot be written or the program cannot be started.
    pub fn spawn(folder: &Path, config: &DaemonConfig) -> anyhow::Result<Self> {
        let path = folder.join("cri-imaged.toml");
        std::fs::write(&path, config.text())?;
        let mut command = tokio::process::Command::new(tools::daemon());
        command.args(["serve", "--config"]).arg(&path);
        command.envs(config.environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start("cri-imaged", command, &folder.join("cri-imaged.log"))?;
        Ok(Self { process, socket: config.socket.clone() })
    }

    /// A CRI client of the daemon.
    ///
    /// # Errors
    /// Where the socket does not answer.
    pub async fn cri(&self) -> anyhow::Result<Cri> {
        Cri::connect(&self.socket).await
    }

    /// The daemon's process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Returns once the daemon lists images.
    ///
    /// # Errors
    /// Where it ends or does not within 30 s.
    pub async fn answers(&mut self) -> anyhow::Result<()> {
        until("the daemon answers", START_DEADLINE, || {
            let (running, socket) = (self.process.still_runs(), self.socket.clone());
            async move {
                running?;
                let Ok(mut cri) = Cri::connect(&socket).await else { return Ok(None) };
                Ok(cri.list().await.ok().map(drop))
            }
        })
        .await
    }
}
