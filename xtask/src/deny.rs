//! `cargo xtask deny`: cargo-deny over `deny.toml`, installed into `target/tools` where it is missing.

use std::path::PathBuf;
use std::process::Command;

use crate::cargo::{cargo, root, target};
use crate::step::step;

/// Pinned, so that a new release of the tool cannot turn CI red.
const VERSION: &str = "0.20.2";

fn check(program: PathBuf) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.current_dir(root()).args(["--workspace", "--locked", "check"]);
    // Advisories are left out: their database is a git repository, which a closed network does not reach.
    crate::step::run(command.args(["licenses", "bans", "sources"]))
}

pub(crate) fn run() -> anyhow::Result<()> {
    step("cargo-deny", || check(install()?))
}

/// Builds cargo-deny without optimisation: 48 s on 2 cores (2026-11-24), and its checks still take under a second.
fn install() -> anyhow::Result<PathBuf> {
    let folder = target().join("tools").join(format!("cargo-deny-{VERSION}"));
    let program = folder.join("bin").join("cargo-deny");
    if !program.exists() {
        let mut command = cargo()?;
        command.args([
            "install",
            "--locked",
            "--quiet",
            "--no-default-features",
            "--version",
            VERSION,
            "--root",
        ]);
        command.arg(&folder).arg("cargo-deny");
        command.env("CARGO_TARGET_DIR", folder.join("build"));
        for (setting, value) in [("OPT_LEVEL", "0"), ("DEBUG", "0"), ("LTO", "off"), ("STRIP", "true")] {
            command.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
        }
        crate::step::run(&mut command)?;
        std::fs::remove_dir_all(folder.join("build"))?;
    }
    Ok(program)
}
