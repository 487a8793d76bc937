//! `cargo xtask ci`: what CI runs and what a developer runs before a commit.
//!
//! The cheap checks come first; the end-to-end tests come last, so that a run ends with their result lines.

use crate::cargo::cargo;
use crate::step::{run as command, step};
use crate::{deny, e2e, sim, tidy};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Leaves the end-to-end tests out (for a machine that is not Debian, or without root).
    #[arg(long)]
    without_e2e: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    step("tidy", tidy::run)?;
    step("format", || command(cargo()?.args(["fmt", "--all", "--check"])))?;
    step("lints", || {
        let lints = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
        command(cargo()?.args(lints))
    })?;
    step("tests", || command(cargo()?.args(["test", "--locked", "--workspace"])))?;
    step("documentation", || {
        let doc = ["doc", "--locked", "--workspace", "--no-deps"];
        command(cargo()?.args(doc).env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    deny::run()?;
    sim::check()?;
    if !arguments.without_e2e {
        e2e::run(&e2e::Arguments::all())?;
    }
    Ok(())
}
