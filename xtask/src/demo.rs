//! `cargo xtask demo`: the main job, shown; with `--containerd` on a real containerd.

use std::process::Command;

use crate::cargo::build_binary;
use crate::e2e;
use crate::step::{run as command, step};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Uses a real containerd of Debian's and starts a container from the image (needs root on Debian).
    #[arg(long)]
    containerd: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.containerd {
        let prepared = e2e::prepare()?;
        let demo = build_binary("tests", "demo")?;
        return step("demo on a real containerd", || {
            command(Command::new(demo).arg("--containerd").envs(prepared.variables()))
        });
    }
    let daemon = build_binary("cri-server", "cri-imaged")?;
    let demo = build_binary("tests", "demo")?;
    step("demo", || command(Command::new(demo).env("CRI_IMAGED_E2E_DAEMON", daemon)))
}
