//! `cargo xtask soak`: the same again and again, to see whether something is left each time.

use crate::cargo::build_release_binary;
use crate::step::{run as command, step};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Pulls in the simulator from a registry that misbehaves by a seed.
    Network(Network),
}

#[derive(Debug, clap::Args)]
struct Network {
    /// How many pulls, in each of the two ways to unpack.
    #[arg(long, default_value_t = 10_000)]
    pulls: u64,
    /// What the registry does wrong.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of the first pull: each pull's misdeeds depend on the seed and its number alone.
    #[arg(long, default_value_t = 0)]
    first: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let What::Network(arguments) = &arguments.what;
    let soak = build_release_binary("scenarios", "soak")?;
    let words = [arguments.seed, arguments.first, arguments.pulls].map(|number| number.to_string());
    step("soak", || command(std::process::Command::new(soak).args(words)))
}
