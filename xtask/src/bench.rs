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
}

#[derive(Debug, clap::Args)]
struct Pull {
    /// An image: tiny, app, big, many or zstd; may be repeated. All of them where none is named.
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

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.what {
        What::Pull(arguments) => pull(arguments),
    }
}

/// The bench itself is in the harness, which has the processes; it is not what is measured, so it is not optimised.
fn pull(arguments: &Pull) -> anyhow::Result<()> {
    let prepared = e2e::prepare_with(build_release_binary)?;
    let bench = build_binary("tests", "bench")?;
    let folder = target().join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut words = Vec::new();
    let mut option = |name: &str, value: Option<String>| {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    };
    arguments.images.iter().for_each(|name| option("--image", Some(name.clone())));
    option("--runs", arguments.runs.map(|runs| runs.to_string()));
    option("--json", arguments.json.as_ref().map(|path| path.display().to_string()));
    option("--against", arguments.against.clone());
    option("--containerd", arguments.containerd.clone());
    let mut bench = Command::new(bench);
    bench.args(words).args(arguments.with_igzip.then_some("--with-igzip"));
    bench.envs(prepared.variables()).env("CRI_IMAGED_BENCH_FOLDER", &folder).env("RUST_BACKTRACE", "0");
    // Where it cannot be had the bench takes the next best program and says which.
    if let Ok(isal) = tools::prepare_isal() {
        bench.env("CRI_IMAGED_BENCH_ISAL", isal);
    }
    step("pulls", || command(&mut bench))
}
