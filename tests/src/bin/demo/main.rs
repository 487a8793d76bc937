//! The main job, shown: `cargo xtask demo` on an embedded containerd, `cargo xtask demo --containerd` on a real one.

mod embedded;
mod real;
mod show;

use clap::Parser;

/// What xtask passes on.
#[derive(Debug, Parser)]
struct Arguments {
    /// A real containerd, and a container started from the image.
    #[arg(long)]
    containerd: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().containerd {
        true => real::run().await,
        false => embedded::run().await,
    }
}
