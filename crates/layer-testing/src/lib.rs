//! What the tests, fuzz targets and benches of layers share: a writer of archives, well formed or not, a corpus of
//! hostile ones, and trees of files that can be compared in everything that a layer says of a file.
//!
//! Never part of the daemon.

mod archive;
mod header;
mod hostile;
mod tree;

pub use archive::{Archive, entry};
pub use header::Header;
pub use hostile::{Hostile, hostile_archives};
pub use tree::{Node, Tree};
