//! `cargo xtask e2e`: brings the tools, builds the daemon and the test binary, runs the tests.

use std::path::PathBuf;

use anyhow::bail;

use crate::cargo::{build_binary, cargo};
use crate::step::step;
use crate::tools;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Runs only the tests whose path contains this, `v1_7` or `errors::` for instance.
    #[arg(long)]
    filter: Option<String>,
    /// Shows what the tests print, also of those that pass.
    #[arg(long)]
    nocapture: bool,
    /// Lists the tests instead of running them.
    #[arg(long)]
    list: bool,
}

impl Arguments {
    /// All tests, output captured: what CI runs.
    pub(crate) fn all() -> Self {
        Self { filter: None, nocapture: false, list: false }
    }
}

/// The environment variables by which the harness finds what was prepared.
pub(crate) struct Prepared {
    tools: PathBuf,
    daemon: PathBuf,
}

impl Prepared {
    pub(crate) fn variables(&self) -> [(&'static str, &PathBuf); 2] {
        [("CRI_IMAGED_E2E_TOOLS", &self.tools), ("CRI_IMAGED_E2E_DAEMON", &self.daemon)]
    }
}

/// Brings the tools and builds the daemon.
///
/// # Errors
/// Where the user is not root (containerd mounts), a tool cannot be had, or the build fails.
pub(crate) fn prepare() -> anyhow::Result<Prepared> {
    prepare_with(build_binary)
}

/// As [`prepare`], with the daemon as `build` makes it.
///
/// # Errors
/// As [`prepare`].
pub(crate) fn prepare_with(
    build: impl FnOnce(&str, &str) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<Prepared> {
    if !is_root()? {
        bail!(
            "a real containerd is started, which mounts and makes cgroups: run this as root, on a Debian machine"
        );
    }
    let tools = tools::prepare()?;
    let daemon = build("cri-server", "cri-imaged")?;
    Ok(Prepared { tools, daemon })
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    step("end-to-end tests", || {
        let prepared = prepare()?;
        let mut command = cargo()?;
        command.args(["test", "--locked", "--package", "tests", "--test", "e2e"]);
        command.envs(prepared.variables());
        // testcontainers reads it; the harness starts a dockerd of its own there and never uses the machine's.
        let docker = std::env::temp_dir().join(format!("cri-imaged-docker-{}.sock", std::process::id()));
        command.env("DOCKER_HOST", format!("unix://{}", docker.display()));
        // A test's error says where it comes from; a backtrace of the async runtime only buries it.
        command.env("RUST_BACKTRACE", "0");
        command.arg("--");
        command.args(&arguments.filter);
        command.args(arguments.nocapture.then_some("--nocapture"));
        command.args(arguments.list.then_some("--list"));
        crate::step::run(&mut command)
    })
}

fn is_root() -> anyhow::Result<bool> {
    Ok(crate::step::output(std::process::Command::new("id").arg("-u"))?.trim() == "0")
}
