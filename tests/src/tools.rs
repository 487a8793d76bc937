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
        // The base release's: gpgme for skopeo, libseccomp for runc.
        command.env("LD_LIBRARY_PATH", libraries(&self.releases.join(BASE))?.join(&OsString::from(":")));
        Ok(command)
    }

    /// Lets `command` also find the programs and shared libraries of packages unpacked in `folder`.
    ///
    /// # Errors
    /// Where there are no libraries.
    pub fn extend(command: &mut Command, folder: &Path) -> anyhow::Result<()> {
        let programs = program_folders(folder).into_iter().map(PathBuf::into_os_string).collect::<Vec<_>>();
        for (name, mut values) in [("PATH", programs), ("LD_LIBRARY_PATH", libraries(folder)?)] {
            let set = command.as_std().get_envs().find(|(other, _)| *other == name);
            let value = set.map_or_else(|| env::var_os(name), |(_, value)| value.map(OsString::from));
            values.extend(value);
            command.env(name, values.join(&OsString::from(":")));
        }
        Ok(())
    }

    fn program_folders(&self, release: &str) -> Vec<PathBuf> {
        program_folders(&self.releases.join(release)).into()
    }
}

fn program_folders(unpacked: &Path) -> [PathBuf; 4] {
    ["usr/sbin", "usr/bin", "bin", "sbin"].map(|folder| unpacked.join(folder))
}

/// The folders of shared libraries.
fn libraries(unpacked: &Path) -> anyhow::Result<Vec<OsString>> {
    let mut found = Vec::new();
    for lib in [unpacked.join("usr/lib"), unpacked.join("lib")].iter().filter(|lib| lib.is_dir()) {
        for entry in std::fs::read_dir(lib).with_context(|| format!("cannot list {}", lib.display()))? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with("-linux-gnu") {
                found.push(path.into_os_string());
            }
        }
    }
    if found.is_empty() {
        bail!("{} has no shared libraries", unpacked.display());
    }
    Ok(found)
}

/// The daemon under test.
///
/// # Panics
/// As [`Tools::get`].
pub fn daemon() -> PathBuf {
    from_environment("CRI_IMAGED_E2E_DAEMON")
}

fn from_environment(name: &str) -> PathBuf {
    env::var_os(name).map(PathBuf::from).unwrap_or_else(|| {
        panic!("`{name}` is not set: the end-to-end tests are run by `cargo xtask e2e`, which prepares what they need")
    })
}
