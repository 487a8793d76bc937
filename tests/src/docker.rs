//! A private dockerd, for testcontainers: its own data, socket and containerd below a temporary folder, no network of
//! its own.
//!
//! testcontainers finds it by `DOCKER_HOST`, which xtask sets; so there is at most one at a time.

mod api;
mod gateway;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::{Process, Tools, reap, until};

use gateway::Gateway;

/// The Debian release whose dockerd is used: the newest that runs on every libc since 2.34.
const RELEASE: &str = "trixie";

/// A running dockerd.
#[derive(Debug)]
pub struct Docker {
    _gateway: Gateway,
    process: Option<Process>,
    folder: TempDir,
}

impl Docker {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// Where `DOCKER_HOST` is not a unix socket's path, or dockerd does not come up.
    pub async fn start() -> anyhow::Result<Self> {
        let host = std::env::var("DOCKER_HOST").context("`cargo xtask e2e` sets DOCKER_HOST")?;
        let public = PathBuf::from(host.strip_prefix("unix://").context("DOCKER_HOST names no unix socket")?);
        let folder = tempfile::Builder::new().prefix("cri-imaged-docker-").tempdir()?;
        let path = |sub: &str| folder.path().join(sub);
        std::fs::write(path("daemon.json"), "{}")?;
        let mut command = Tools::get().command(RELEASE, "dockerd")?;
        command.arg("--config-file").arg(path("daemon.json"));
        command.arg("--host").arg(format!("unix://{}", path("docker.sock").display()));
        command.arg("--data-root").arg(path("data")).arg("--exec-root").arg(path("exec"));
        command.arg("--pidfile").arg(path("docker.pid"));
        command.args([
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--exec-opt=native.cgroupdriver=cgroupfs",
        ]);
        command.env("DOCKER_TMPDIR", path("tmp"));
        let mut process = Process::start("dockerd", command, &path("dockerd.log"))?;
        let socket = path("docker.sock");
        let version = until("dockerd answers", Duration::from_secs(60), || {
            let (running, socket) = (process.still_runs(), socket.clone());
            async move {
                running?;
                Ok(api::version(&socket).await.ok())
            }
        })
        .await?;
        let gateway = Gateway::start(&public, &socket, version)?;
        Ok(Self { _gateway: gateway, process: Some(process), folder })
    }

    /// Makes the image `name:tag` from a tar archive of its root folder.
    ///
    /// # Errors
    /// Where dockerd refuses it.
    pub async fn import(&self, name: &str, tag: &str, root: Vec<u8>) -> anyhow::Result<()> {
        api::import(&self.folder.path().join("docker.sock"), name, tag, root).await
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        drop(self.process.take());
        reap::reap(self.folder.path());
    }
}
