//! The benches of whole pulls, run by `cargo xtask bench pull` and `cargo xtask bench network`: containerd's own CRI
//! plugin, the daemon in front of the same containerd, and a pipeline of plain programs, in turn, each on a fresh disk.
//!
//! Relies on the end-to-end harness for every process and on xtask for the programs. Never touches a containerd or an
//! image of the machine's own; reads the machine's files below `/usr` and writes below xtask's folder alone.

mod contestant;
mod corpus;
mod figures;
mod image;
mod layer;
mod limit;
mod meter;
mod network;
mod outcome;
mod programs;
mod pull;
mod report;
mod shape;
mod table;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Parser;
use tests::Version;
use tokio::signal::unix::{SignalKind, signal};

use contestant::Contestant;
use programs::Programs;
use pull::Bench;
use report::Report;

/// Pulls whole images, side by side.
#[derive(Debug, Parser)]
enum Arguments {
    /// Over a network that is in nobody's way.
    Pull(Pull),
    /// Over networks that are bad in one way each.
    Network(network::Arguments),
}

#[derive(Debug, clap::Args)]
struct Pull {
    /// An image, by name; may be repeated. All of them where none is named.
    #[arg(long = "image")]
    images: Vec<String>,
    /// How often each contestant pulls each image.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Where every run and the medians are written as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Who pulls beside `ours`, with commas between.
    #[arg(long, value_delimiter = ',', default_value = "containerd,limit")]
    against: Vec<Contestant>,
    /// The containerd that everyone gets.
    #[arg(long, default_value = "2.1", value_parser = version)]
    containerd: Version,
    /// Lets every containerd use the igzip that the limit uses.
    #[arg(long)]
    with_igzip: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Whichever way this ends, what was started is dropped, and so ended and unmounted.
    let running = async {
        match arguments {
            Arguments::Pull(arguments) => run(arguments).await,
            Arguments::Network(arguments) => network::run(arguments).await,
        }
    };
    tokio::select! {
        result = running => result,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

async fn run(arguments: Pull) -> anyhow::Result<()> {
    let folder = folder()?;
    let shapes = shape::named(&arguments.images)?;
    let contestants = contestant::order(arguments.containerd, &arguments.against)?;
    let programs = Programs::find()?;
    let gunzip = programs.gunzip_name();
    table::conditions(&gunzip, arguments.with_igzip);
    let mut report = Report::new(&gunzip, arguments.with_igzip);
    for shape in shapes {
        let image = image::build(&folder, shape).await?;
        let (version, with_igzip) = (arguments.containerd, arguments.with_igzip);
        let bench = Bench::prepare(&folder, &programs, image, version, with_igzip).await?;
        let outcome = bench.run(&contestants, arguments.runs).await?;
        table::print(&outcome);
        report.add(&outcome);
        // After each image: a later one that fails must not cost what is known.
        if let Some(path) = &arguments.json {
            report.write(path)?;
        }
    }
    Ok(())
}

/// Where xtask wants files.
fn folder() -> anyhow::Result<PathBuf> {
    let folder = std::env::var_os("CRI_IMAGED_BENCH_FOLDER").context("run this by `cargo xtask bench`")?;
    Ok(PathBuf::from(folder))
}

fn version(name: &str) -> Result<Version, String> {
    match name {
        "1.6" => Ok(Version::V1_6),
        "1.7" => Ok(Version::V1_7),
        "2.1" => Ok(Version::V2),
        _ => Err("one of 1.6, 1.7, 2.1".to_owned()),
    }
}
