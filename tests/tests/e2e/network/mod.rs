//! Pulls over networks as nodes have them. One containerd line only: what differs from test to test is the network.
//!
//! | file | what it shows |
//! |---|---|
//! | `certificates.rs` | client certificates, and proxies before them |
//! | `mirrors.rs` | a pull-through cache, mirrors that die or are not there |
//! | `redirects.rs` | blobs at another origin, by signed URLs that expire |
//! | `faults.rs` | resets, 5xx, 429, answers cut short, garbage |
//! | `servers.rs` | servers without ranges, without lengths |
//! | `many.rs` | a hundred pulls at once |

mod certificates;
mod faults;
mod many;
mod mirrors;
mod redirects;
mod servers;

use sim::image::{Compression, Image, ImageBuilder, Layer};
use tests::{Containerd, Daemon, DaemonConfig, Node, Version};

/// Heads of answers, and documents that are small: what a pull costs beside its layers.
const OVERHEAD_BYTES: u64 = 16 << 10;

/// A node whose containerd has no image.
async fn node() -> anyhow::Result<Node> {
    Node::beside(Containerd::start(Version::V2).await?).await
}

/// One that fetches a blob by one request at a time, for tests in which it counts where a connection breaks: how ranges are
/// shared out over several depends on the pace of the machine.
async fn node_without_ranges() -> anyhow::Result<Node> {
    node_with("range_width = 1\n").await
}

/// One with `more` in its daemon's configuration ([`DaemonConfig::more`]).
async fn node_with(more: &str) -> anyhow::Result<Node> {
    let containerd = Containerd::start(Version::V2).await?;
    let config = DaemonConfig { more: more.to_owned(), ..Daemon::config(&containerd) };
    let daemon = Daemon::start_with(&containerd, &config).await?;
    Ok(Node::of(containerd, daemon))
}

/// Writes the `hosts.toml` of the registry `host`.
fn configure(node: &Node, host: &str, text: &str) -> anyhow::Result<()> {
    let folder = node.containerd().certs_d().join(host);
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join("hosts.toml"), text)?)
}

/// An image of layers of so many bytes that no compression makes fewer.
fn incompressible(layers: &[usize]) -> Image {
    let layer = |(seed, bytes): (u64, &usize)| {
        Layer::random(&format!("data-{seed}"), *bytes, seed, Compression::Gzip)
    };
    let layers = (1..).zip(layers).map(layer);
    layers.fold(ImageBuilder::new(), ImageBuilder::layer).build()
}

/// The bytes of an image's blobs.
fn blob_bytes(image: &Image) -> u64 {
    image.layer_blobs().iter().map(sim::image::Blob::size).sum::<u64>() + image.config().size()
}
