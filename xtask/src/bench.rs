//! `cargo xtask bench`: what a whole pull takes, side by side; see benches/README.md.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::cargo::{build_binary, build_release_binary, target};
use crate::step::{run as command, step};
use crate::{e2e, tools};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Whole pulls: containerd's own CRI plugin, the daemon, and a pipeline of plain programs, in turn.
    Pull(Pull),
    /// Whole pulls over bad networks: containerd's own CRI plugin and the daemon, in turn.
    Network(Network),
}

#[derive(Debug, clap::Args)]
struct Pull {
    /// An image: tiny, app, big, many, zstd or huge; may be repeated. All but huge where none is named.
    #[arg(long = "image")]
    images: Vec<String>,
    /// How often each contestant pulls each image.
    #[arg(long)]
    runs: Option<u32>,
    /// Where every run and the medians are written as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Who pulls beside the daemon, with commas between: containerd, containerd-tuned, ours-discard, limit.
    #[arg(long)]
    against: Option<String>,
    /// The containerd that everyone gets: 1.6, 1.7 or 2.1.
    #[arg(long)]
    containerd: Option<String>,
    /// Lets every containerd use igzip.
    #[arg(long)]
    with_igzip: bool,
}

#[derive(Debug, clap::Args)]
struct Network {
    /// A case: rate-limited, shared-link, far, resets, errors, throttled, hundred, beside or dead-mirror; may be repeated. All of them
    /// where none is named.
    #[arg(long = "case")]
    cases: Vec<String>,
    /// How often each contestant takes each case.
    #[arg(long)]
    runs: Option<u32>,
    /// Where every run and the medians are written as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Who pulls beside the daemon, with commas between: containerd, containerd-tuned, ours-discard.
    #[arg(long)]
    against: Option<String>,
    /// The containerd that everyone gets: 1.6, 1.7 or 2.1.
    #[arg(long)]
    containerd: Option<String>,
    /// Layers are so many hundredths of their full size, 1 to 100: to try whether it works.
    #[arg(long)]
    scale: Option<u32>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.what {
        What::Pull(arguments) => pull(arguments),
        What::Network(arguments) => network(arguments),
    }
}

fn pull(arguments: &Pull) -> anyhow::Result<()> {
    let mut words = Words::new("pull");
    arguments.images.iter().for_each(|name| words.option("--image", Some(name)));
    words.option("--runs", arguments.runs);
    words.option("--json", arguments.json.as_ref().map(|path| path.display()));
    words.option("--against", arguments.against.as_ref());
    words.option("--containerd", arguments.containerd.as_ref());
    words.0.extend(arguments.with_igzip.then(|| "--with-igzip".to_owned()));
    bench("pulls", words)
}

fn network(arguments: &Network) -> anyhow::Result<()> {
    let mut words = Words::new("network");
    arguments.cases.iter().for_each(|name| words.option("--case", Some(name)));
    words.option("--runs", arguments.runs);
    words.option("--json", arguments.json.as_ref().map(|path| path.display()));
    words.option("--against", arguments.against.as_ref());
    words.option("--containerd", arguments.containerd.as_ref());
    words.option("--scale", arguments.scale);
    bench("pulls over bad networks", words)
}

/// The command line of the bench.
struct Words(Vec<String>);

impl Words {
    fn new(what: &str) -> Self {
        Self(vec![what.to_owned()])
    }

    fn option(&mut self, name: &str, value: Option<impl ToString>) {
        self.0.extend(value.into_iter().flat_map(|value| [name.to_owned(), value.to_string()]));
    }
}

/// The bench itself is in the harness, which has the processes; it is not what is measured, so it is not optimised.
fn bench(name: &str, words: Words) -> anyhow::Result<()> {
    let prepared = e2e::prepare_with(build_release_binary)?;
    let bench = build_binary("tests", "bench")?;
    let folder = target().join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut bench = Command::new(bench);
    bench.args(words.0);
    bench.envs(prepared.variables()).env("CRI_IMAGED_BENCH_FOLDER", &folder).env("RUST_BACKTRACE", "0");
    // Where it cannot be had the bench takes the next best program and says which.
    if let Ok(isal) = tools::prepare_isal() {
        bench.env("CRI_IMAGED_BENCH_ISAL", isal);
    }
    step(name, || command(&mut bench))
}
