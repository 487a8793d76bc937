//! The tar format, read as a step function: bytes in, events out, no I/O and no waiting.
//!
//! What is understood: v7, ustar (POSIX.1-1988), pax (POSIX.1-2001, section "pax Interchange Format"), star, and GNU tar
//! with long names, base-256 numbers and sparse files (the old form, and 0.0, 0.1 and 1.0 in pax records). Where the
//! standards are silent, entries mean what Go's `archive/tar` makes of them, for that is what containerd reads with.
//! All that is kept in memory is bounded: see [`crate::Limits`].
//!
//! Written is one form only, an archive of one file: [`FileArchive`].

mod entry;
mod error;
mod file_archive;
mod header;
mod number;
mod parser;
mod pax;
mod sparse;

pub use entry::{Entry, Kind, Time};
pub use error::{TarError, TarProblem};
pub use file_archive::FileArchive;
pub use parser::{Event, Parser};
