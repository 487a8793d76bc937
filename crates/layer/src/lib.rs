//! One layer of an image, from bytes to directory.
//!
//! Each stage takes bytes as they come and keeps none: [`Verifier`] holds them against their descriptor, [`Decompressor`]
//! makes the archive of them, [`Hasher`] its digest, and [`Unpacker`] files, by the events of [`tar::Parser`]. What a layer
//! needs of those below it is [`Deferred`]. Nothing here trusts a byte: what an archive may ask for is in [`Limits`], and
//! no name and no link leads out of the directory that is unpacked into.
//!
//! ```
//! use layer::Verifier;
//! use refparse::Digest;
//!
//! let digest = Digest::parse("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")?;
//! let mut verifier = Verifier::new(digest, 3);
//! verifier.update(b"ab")?;
//! verifier.update(b"c")?;
//! verifier.finish()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! No network, no containerd, no threads.

mod decompress;
mod gzip;
mod hasher;
mod limits;
mod output;
pub mod tar;
mod unpack;
mod verify;

pub use decompress::{Compression, DecompressError, Decompressor, Progress};
pub use hasher::Hasher;
pub use limits::Limits;
pub use output::Output;
pub use unpack::{Counts, Deferred, Form, UnpackError, Unpacker};
pub use verify::{Verifier, VerifyError};
