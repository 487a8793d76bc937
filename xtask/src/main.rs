//! Every developer task of the workspace, one file each; `cargo xtask help` lists them.
//!
//! Relies on cargo and git alone: what else a task needs (`protoc`, `cargo-deny`, Debian's packages) the task brings
//! into `target/tools` by itself. Never changes anything outside `target/` and the system's temporary folder.

mod bench;
mod cargo;
mod ci;
mod demo;
mod deny;
mod e2e;
mod sim;
mod soak;
mod step;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer tasks of cri-imaged.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Everything that CI runs: format, lints, tests, docs, licences, tidiness, end-to-end.
    Ci(ci::Arguments),
    /// The tests against real containerds and a real registry (needs root on Debian).
    E2e(e2e::Arguments),
    /// Pulls whole images beside containerd and beside what the machine could do (needs root on Debian).
    Bench(bench::Arguments),
    /// Searches for races in the simulator, by seed.
    Sim(sim::Arguments),
    /// The same again and again, in the simulator, to see whether something is left.
    Soak(soak::Arguments),
    /// Pulls an image through the daemon and shows what came of it.
    Demo(demo::Arguments),
    /// Licences, banned crates and sources of the dependencies.
    Deny,
    /// Rules of this repository that no other tool checks.
    Tidy,
}

#[expect(clippy::print_stderr, reason = "how a command line reports its failure")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Ci(arguments) => ci::run(&arguments),
        Task::E2e(arguments) => e2e::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Sim(arguments) => sim::run(&arguments),
        Task::Soak(arguments) => soak::run(&arguments),
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Deny => deny::run(),
        Task::Tidy => tidy::run(),
    }
}
