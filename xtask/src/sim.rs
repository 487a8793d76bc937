//! `cargo xtask sim`: the search for races by seed, the replay of one, and the proof that the search finds planted bugs.

mod planted;

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::cargo::{build_release_binary, cargo, root};
use crate::step::{output, run as command, step};

/// How many seeds a CI run tries of those that are the same for ever, and of those that are the commit's own.
const FIXED_SEEDS: u64 = 5_000;
const FRESH_SEEDS: u64 = 10_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Replays this seed: what was done, message by message, and what came of it.
    #[arg(long, conflicts_with_all = ["start", "seeds", "minutes"])]
    seed: Option<u64>,
    /// The first seed; without it the search begins where no search began before.
    #[arg(long)]
    start: Option<u64>,
    /// How many seeds are tried; 10 000 where nothing else ends the search.
    #[arg(long)]
    seeds: Option<u64>,
    /// How long seeds are tried, in minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// How the next message is chosen: random, priorities, labels or mixed.
    #[arg(long)]
    strategy: Option<String>,
    /// Runs the scenarios whose names contain this instead of generated workloads. With --seed or --seeds, those that try
    /// seeds try these.
    #[arg(long, conflicts_with_all = ["start", "minutes", "strategy"])]
    scenario: Option<String>,
    /// Plants each bug of scenarios/planted, or those whose names contain this, into a copy of the workspace, and says in a
    /// table how many seeds and seconds each strategy needed to find it.
    #[arg(long, num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["seed", "start", "minutes", "scenario", "strategy"])]
    planted: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(filter) = &arguments.planted {
        return planted::run(filter, arguments.seeds.unwrap_or(planted::SEEDS_MAX));
    }
    if let Some(name) = &arguments.scenario {
        return scenario(name, arguments);
    }
    let mut words = Vec::new();
    let numbers = [
        ("--seed", arguments.seed),
        ("--start", arguments.start),
        ("--seeds", arguments.seeds),
        ("--minutes", arguments.minutes),
    ];
    for (name, value) in numbers {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value.to_string()]));
    }
    words.extend(arguments.strategy.iter().flat_map(|name| ["--strategy".to_owned(), name.clone()]));
    command(std::process::Command::new(build()?).args(words))
}

/// What CI runs: the same seeds every time, then others for each commit. Those follow from the commit's tree, so that a run
/// that fails fails again, and one that passed here passes there.
///
/// # Errors
/// Where a seed fails; its story has been printed.
pub(crate) fn check() -> anyhow::Result<()> {
    let program = step("simulator: build", build)?;
    step("simulator: fixed seeds", || {
        let seeds = FIXED_SEEDS.to_string();
        command(std::process::Command::new(&program).args(["--start", "1", "--seeds", &seeds]))
    })?;
    step("simulator: fresh seeds", || {
        let (start, seeds) = (start_of(&tree()?)?.to_string(), FRESH_SEEDS.to_string());
        command(std::process::Command::new(&program).args(["--start", &start, "--seeds", &seeds]))
    })
}

/// Id of the tree of the commit that is checked out.
fn tree() -> anyhow::Result<String> {
    let mut git = std::process::Command::new("git");
    output(git.current_dir(root()).args(["rev-parse", "HEAD^{tree}"]))
        .context("the seeds follow from a git commit")
}

/// The first seed for a tree: its id's first 48 bits, far from the seeds of other trees.
fn start_of(tree: &str) -> anyhow::Result<u64> {
    let digits = tree.get(..12).with_context(|| format!("`{tree}` is no tree id"))?;
    u64::from_str_radix(digits, 16).with_context(|| format!("`{tree}` is no tree id"))
}

/// Builds the search, optimised: it makes its choices fifty times faster so.
fn build() -> anyhow::Result<PathBuf> {
    build_release_binary("scenarios", "sim")
}

fn scenario(name: &str, arguments: &Arguments) -> anyhow::Result<()> {
    let mut tests = cargo()?;
    tests.args(["test", "--locked", "--package", "scenarios", "--test", "it", "--", name]);
    match (arguments.seed, arguments.seeds) {
        (Some(_), Some(_)) => bail!("--seed replays one seed and --seeds tries many: give one of them"),
        (Some(seed), None) => tests.env("CRI_IMAGED_SIM_SEED", seed.to_string()).arg("--nocapture"),
        (None, Some(seeds)) => tests.env("CRI_IMAGED_SIM_SEEDS", seeds.to_string()),
        (None, None) => &mut tests,
    };
    command(tests.env("RUST_BACKTRACE", "0"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_follow_from_the_tree() {
        let tree = super::tree().expect("the tests run in a checkout");
        assert!(super::start_of(&tree).expect("git prints hexadecimal digits") < 1 << 48);
        assert_eq!(super::start_of("0000000000ff9a").expect("digits"), 255);
        assert!(super::start_of("main").is_err());
    }
}
