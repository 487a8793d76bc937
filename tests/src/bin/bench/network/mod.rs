//! Pulls over bad networks, side by side: containerd's own CRI plugin and the daemon in turn, each on a fresh disk, each
//! over the same network in the same mood.

mod case;
mod image;
mod outcome;
mod scene;
mod table;
mod turn;

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tests::Version;

use crate::contestant::{self, Contestant};
use crate::programs::Programs;
use crate::report;
use case::Case;
use outcome::Outcome;
use scene::Scene;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A case, by name; may be repeated. All of them where none is named.
    #[arg(long = "case")]
    cases: Vec<Case>,
    /// How often each contestant takes each case.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Where every run and the medians are written as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Who pulls beside `ours`, with commas between.
    #[arg(long, value_delimiter = ',', default_value = "containerd,containerd-tuned")]
    against: Vec<Contestant>,
    /// The containerd that everyone gets.
    #[arg(long, default_value = "2.1", value_parser = crate::version)]
    containerd: Version,
    /// Layers are so many hundredths of their full size.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100))]
    scale: u64,
}

/// What all turns have in common.
#[derive(Debug)]
struct Bench {
    /// Where the disks' files lie.
    folder: PathBuf,
    programs: Programs,
    version: Version,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let folder = crate::folder()?;
    let cases = if arguments.cases.is_empty() { Case::ALL.to_vec() } else { arguments.cases };
    let contestants = contestant::order(arguments.containerd, &arguments.against)?;
    ensure!(!contestants.contains(&Contestant::Limit), "the limit of a bad network is the network");
    let bench = Bench { folder, programs: Programs::find()?, version: arguments.containerd };
    let release = crate::pull::release(arguments.containerd).await?;
    table::conditions();
    let load_before = report::load();
    let mut outcomes = Vec::new();
    for case in cases {
        let scene = Scene::prepare(&bench.folder, case, arguments.scale).await?;
        let mut outcome = Outcome::new(case, arguments.scale, &release);
        for run in 1..=arguments.runs {
            for contestant in &contestants {
                tests::show_logs();
                let figures = bench.turn(&scene, *contestant, run).await;
                tests::hide_logs();
                let (name, contestant_name) = (case.name(), contestant.name());
                let figures = figures.with_context(|| format!("`{name}`, run {run}, `{contestant_name}`"))?;
                crate::table::progress(&format!(
                    "{name} {run}/{} {contestant_name}: {figures}",
                    arguments.runs
                ));
                outcome.add(*contestant, figures);
            }
        }
        table::print(&outcome);
        outcomes.push(outcome.json());
        // After each case: a later one that fails must not cost what is known.
        if let Some(path) = &arguments.json {
            let report = json!({ "load_before": load_before, "cases": outcomes });
            std::fs::write(path, format!("{report:#}\n"))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}
