//! A node: one private containerd with the daemon beside it.

use anyhow::Context as _;

use crate::{Containerd, Cri, Daemon, DaemonConfig, State, Version};

/// A running node.
#[derive(Debug)]
pub struct Node {
    // Dropped first: the daemon's log of a failing test must not end in a lost containerd.
    daemon: Option<Daemon>,
    containerd: Containerd,
}

impl Node {
    /// Starts containerd, gives it the sandbox image, and starts the daemon.
    ///
    /// # Errors
    /// Where either does not come up.
    pub async fn start(version: Version) -> anyhow::Result<Self> {
        let containerd = Containerd::start(version).await?;
        containerd.import_sandbox_image().await?;
        Self::beside(containerd).await
    }

    /// Starts the daemon beside `containerd`.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn beside(containerd: Containerd) -> anyhow::Result<Self> {
        let daemon = Daemon::start(&containerd).await?;
        Ok(Self { daemon: Some(daemon), containerd })
    }

    /// `containerd` and the daemon that was started beside it.
    pub fn of(containerd: Containerd, daemon: Daemon) -> Self {
        Self { daemon: Some(daemon), containerd }
    }

    /// The containerd.
    pub fn containerd(&self) -> &Containerd {
        &self.containerd
    }

    /// The containerd, to stop and start it.
    pub fn containerd_mut(&mut self) -> &mut Containerd {
        &mut self.containerd
    }

    /// The daemon.
    ///
    /// # Errors
    /// Where it was killed and not started again.
    pub fn daemon(&mut self) -> anyhow::Result<&mut Daemon> {
        self.daemon.as_mut().context("the daemon does not run")
    }

    /// A client of the daemon's image service.
    ///
    /// # Errors
    /// Where it does not run or answer.
    pub async fn images(&self) -> anyhow::Result<Cri> {
        self.daemon.as_ref().context("the daemon does not run")?.cri().await
    }

    /// Kills the daemon with SIGKILL, without a word.
    ///
    /// # Errors
    /// Where it does not run.
    pub async fn kill_daemon(&mut self) -> anyhow::Result<()> {
        self.daemon.take().context("the daemon does not run")?.process().kill().await
    }

    /// Starts the daemon after [`Node::kill_daemon`].
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn start_daemon(&mut self) -> anyhow::Result<()> {
        self.start_daemon_with("").await
    }

    /// As [`Node::start_daemon`], with `more` in its configuration ([`DaemonConfig::more`]).
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn start_daemon_with(&mut self, more: &str) -> anyhow::Result<()> {
        let config = DaemonConfig { more: more.to_owned(), ..Daemon::config(&self.containerd) };
        self.daemon = Some(Daemon::start_with(&self.containerd, &config).await?);
        Ok(())
    }

    /// What containerd holds after its collector has run.
    ///
    /// # Errors
    /// Where containerd does not answer.
    pub async fn state(&self) -> anyhow::Result<State> {
        State::after_collection(&self.containerd).await
    }
}
