//! containerd's own command line, of the same version: the hand that changes things behind the daemon's back.

use anyhow::{Context as _, ensure};

use crate::{Containerd, Tools};

impl Containerd {
    /// Runs `ctr` in the namespace `k8s.io` and returns what it printed.
    ///
    /// # Errors
    /// Where it does not exit with 0; quotes its standard error.
    pub async fn ctr(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Tools::get().command(self.version().release(), "ctr")?;
        command.arg("--address").arg(self.socket()).args(["--namespace", "k8s.io"]).args(arguments);
        let output = command.output().await.context("cannot start ctr")?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ctr {arguments:?} ended with {}: {}", output.status, stderr.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
