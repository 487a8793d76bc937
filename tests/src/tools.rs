//! Where the programs are that xtask prepared: unpacked Debian releases and the daemon's binary.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, bail};
use tokio::process::Command;

/// The release that every tool except containerd comes from.
const BASE: &str = "bookworm";

/// The prepared programs.
#[derive(Debug)]
pub struct Tools {
    releases: PathBuf,
}

impl Tools {
    /// The tools that xtask names in the environment.
    ///
    /// # Panics
    /// Without them: a test that passed because it had nothing to run would be worse than none.
    pub fn get() -> &'static Self {
        static TOOLS: OnceLock<Tools> = OnceLock::new();
        TOOLS.get_or_init(|| Tools { releases: from_environment("CRI_IMAGED_E2E_TOOLS") })
    }

    /// The path of `program` in `release`, else in the base release.
    ///
    /// # Errors
    /// Where neither has it.
    pub fn program(&self, release: &str, program: &str) -> anyhow::Result<PathBuf> {
        let folders = [release, BASE].into_iter().flat_map(|release| self.program_folders(release));
        let found = folders.map(|folder| folder.join(program)).find(|path| path.exists());
        found.with_context(|| format!("`{program}` is not among the tools of {release}"))
    }

    /// A command for `program`, which finds the release's other programs and the shared libraries it needs.
    ///
    /// # Errors
    /// As [`Tools::program`].
    pub fn command(&self, release: &str, program: &str) -> anyhow::Result<Command> {
        let mut command = self.command_at(&self.program(release, program)?)?;
        let base = self.program_folders(BASE);
        let folders = self.program_folders(release).into_iter().chain(base).map(OsString::from);
        let system = env::var_os("PATH").into_iter();
        command.env("PATH", folders.chain(system).collect::<Vec<_>>().join(&OsString::from(":")));
        Ok(command)
    }

    /// A command for the program at `path`, which finds the shared libraries of the tools.
    ///
    /// # Errors
    /// Where there are none.
    pub(crate) fn command_at(&self, path: &Path) -> anyhow::Result<Command> {
        let mut command = Command::new(path);
        command.env("LD_LIBRARY_PATH", self.libraries()?);
        Ok(command)
    }

    /// The base release's folder of shared libraries: gpgme for skopeo, libseccomp for runc.
    fn libraries(&self) -> anyhow::Result<OsString> {
        let base = self.releases.join(BASE);
        let mut found = Vec::new();
        for lib in [base.join("usr/lib"), base.join("lib")] {
            for entry in std::fs::read_dir(&lib).with_context(|| format!("cannot list {}", lib.display()))? {
                let path = entry?.path();
                if path.to_string_lossy().ends_with("-linux-gnu") {
                    found.push(path.into_os_string());
                }
            }
        }
        if found.is_empty() {
            bail!("{} has no shared libraries", base.display());
        }
        Ok(found.join(&OsString::from(":")))
    }

    fn program_folders(&self, release: &str) -> Vec<PathBuf> {
        ["usr/sbin", "usr/bin", "bin", "sbin"].map(|folder| self.releases.join(release).join(folder)).into()
    }
}

/// The daemon under test.
///
/// # Panics
/// As [`Tools::get`].
pub(crate) fn daemon() -> PathBuf {
    from_environment("CRI_IMAGED_E2E_DAEMON")
}

fn from_environment(name: &str) -> PathBuf {
    env::var_os(name).map(PathBuf::from).unwrap_or_else(|| {
        panic!("`{name}` is not set: the end-to-end tests are run by `cargo xtask e2e`, which prepares what they need")
    })
}
